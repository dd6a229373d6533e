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
from pykit.peers.virtio_user import VirtioUser, _read


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
    assert under._by_libblkio(Path("library"), Path("socket")) == (fared, said)


def test_a_library_that_does_not_load_is_no_reaction(tmp_path: Path) -> None:
    with pytest.raises(InfraError, match="libblkio cannot be used: OSError"):
        under._by_libblkio(tmp_path / "none.so", tmp_path / "socket")


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


class Ended:
    """A use of a device that ended so, as far as it is classified."""

    def __init__(self, got: list[bytes], status: int | None = None) -> None:
        self.given = [b"one", b"two", b"three"]
        self.got, self.status, self.last_line = got, status, "said"


@pytest.mark.parametrize(
    ("got", "status", "fared", "said"),
    [
        ([b"one", b"two", b"three"], None, "contained", "3 frames verified"),
        ([b"one", b"two"], None, "hung", "1 of 3 frames did not come back"),
        ([b"one", b"three", b"two"], None, "wrong-data", "frames came back in another order"),
        ([b"one", b"one", b"two", b"three"], None, "wrong-data", "frames came back in another"),
        ([b"one", b"other"], None, "wrong-data", "frame 1 is not one that was sent"),
        ([], 1, "detected", "said"),
        ([b"one"], -11, "crashed", "killed by SIGSEGV: said"),
    ],
)
def test_ends_of_virtio_user(got: list[bytes], status: int | None, fared: str, said: str) -> None:
    found, words = under._fared(Ended(got, status))  # type: ignore[arg-type]
    assert found == fared
    assert words.startswith(said)


def test_frames_go_out_and_come_back(tmp_path: Path) -> None:
    """A stand-in copies a part of what it is given, in the middle of a record."""
    program = tmp_path / "stand-in"
    program.write_text(
        f"#!{sys.executable}\nimport re, sys, time\n"
        "given = re.search('rx_pcap=([^,]*),tx_pcap=(.*)', ' '.join(sys.argv))\n"
        "got = given[2].split()[0]\n"
        "open(got, 'wb').write(open(given[1], 'rb').read()[:24 + 16 + 60 + 16 + 30])\n"
        "print('no more\\ntestpmd> ')\n"
    )
    program.chmod(0o755)
    used = VirtioUser(program, tmp_path / "socket", packed=False, folder=tmp_path)
    used.run()
    assert used.got == used.given[:1]
    assert (used.status, used.last_line) == (0, "no more")
    assert len(set(used.given)) == len(used.given)
    assert _read(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("name", "has", "lacks"),
    [
        ("libblkio", "wrap-wrong", ""),
        ("virtio-user-split", "index-back", "wrap-wrong"),
        ("virtio-user-packed", "wrap-wrong", "index-back"),
        ("virtio-user-packed", "id-wrong", "status-undefined"),
        ("virtio-user-split", "id-wrong", "zones-lost"),
    ],
)
def test_faults_of_a_driver(name: str, has: str, lacks: str) -> None:
    faults = under.DRIVERS[name].faults()
    assert has in faults
    assert lacks not in faults


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--device", "nut"), "did you mean 'net'"),
        (("--device", "net", "--fault", "status-undefined"), "a fault of disks"),
        (("--device", "net", "--zones"), "has no disk"),
        (("--device", "net", "--queues", "3"), "an even number"),
        (("--driver", "virtio-user-split", "--fault", "wrap-wrong"), "has no effect"),
    ],
)
def test_usage_of_types(options: tuple[str, ...], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pykit.cli", "device", "--socket", "none", *options],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
