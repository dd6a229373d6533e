# SPDX-License-Identifier: GPL-2.0-only
"""What a driver of another maker does with our device: how the end of its program is read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pykit.device import under
from pykit.errors import InfraError
from pykit.peers import blkio


@pytest.mark.parametrize(
    ("ends", "fared", "said"),
    [
        ("print('192 blocks verified')", "contained", "192 blocks verified"),
        (f"print('a\\nb'); sys.exit({blkio.ERROR})", "detected", "b"),
        (f"print('x'); sys.exit({blkio.WRONG})", "wrong-data", "x"),
        (f"print('late'); sys.exit({blkio.HUNG})", "hung", "late"),
        ("print('panicked', flush=True); os.abort()", "crashed", "panicked"),
        ("time.sleep(60)", "hung", "not through after 2 s"),
    ],
)
def test_ends_of_the_program(
    ends: str, fared: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stand_in.py").write_text(f"import os, sys, time\n{ends}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(blkio, "__name__", "stand_in")
    monkeypatch.setattr(under, "_DEADLINE", 2.0)
    assert under._used(Path("library"), Path("socket")) == (fared, said)


def test_a_library_that_does_not_load_is_no_reaction(tmp_path: Path) -> None:
    with pytest.raises(InfraError, match="libblkio cannot be used: OSError"):
        under._used(tmp_path / "none.so", tmp_path / "socket")


def test_blocks_differ() -> None:
    found = {blkio._data(number, block) for number in range(2) for block in range(8)}
    assert len(found) == 16
    assert all(len(data) == 4096 for data in found)


def test_usage_of_the_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pykit.cli", "device", "--driver", "none"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "unknown driver 'none'" in done.stderr
