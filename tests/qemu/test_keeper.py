# SPDX-License-Identifier: GPL-2.0-only
"""Processes and files that must not outlive pykit, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest

from pykit.errors import InfraError
from pykit.qemu.keeper import Keeper


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until_gone(folder: Path, *pids: int) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if not folder.exists() and not any(map(alive, pids)):
            return
        time.sleep(0.02)
    pytest.fail(f"left after ten seconds: {[p for p in pids if alive(p)]}, {folder}")


def test_the_normal_end(tmp_path: Path) -> None:
    with Keeper() as keeper, (tmp_path / "output").open("wb") as output:
        process = keeper.start(["sh", "-c", "echo here; sleep 1000"], output)
        (keeper.folder / "file").write_text("x")
        while not (tmp_path / "output").read_bytes():
            time.sleep(0.01)
    assert process.returncode == -signal.SIGTERM
    wait_until_gone(keeper.folder, process.pid)


def test_one_that_ignores_the_request_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pykit.qemu.keeper._TERM_S", 0.2)
    with Keeper() as keeper, (tmp_path / "output").open("wb") as output:
        process = keeper.start(["sh", "-c", "trap '' TERM; echo; sleep 1000 & wait"], output)
        while not (tmp_path / "output").read_bytes():
            time.sleep(0.01)
    assert process.returncode == -signal.SIGKILL
    wait_until_gone(keeper.folder, process.pid)


def test_an_exit_code_and_output_come_through(tmp_path: Path) -> None:
    with Keeper() as keeper, (tmp_path / "output").open("wb") as output:
        process = keeper.start(["sh", "-c", 'cat; echo "$1"; exit 7', "x", "a b"], output)
        assert process.wait(timeout=10) == 7
    assert (tmp_path / "output").read_text() == "a b\n"


def test_a_second_one_takes_the_place_of_the_first(tmp_path: Path) -> None:
    with Keeper() as keeper, (tmp_path / "output").open("wb") as output:
        first = keeper.start(["sleep", "1000"], output)
        second = keeper.start(["sleep", "1000"], output)
        assert first.returncode == -signal.SIGTERM
        assert second.poll() is None
    wait_until_gone(keeper.folder, first.pid, second.pid)


def test_nothing_started() -> None:
    with Keeper() as keeper:
        assert keeper.folder.is_dir()
    wait_until_gone(keeper.folder)


@pytest.mark.parametrize("started", [False, True])
def test_sigkill_leaves_nothing(tmp_path: Path, started: bool) -> None:
    # A grandchild too, as virtme-ng's QEMU is one.
    script = textwrap.dedent(f"""
        import time
        from pathlib import Path
        from pykit.qemu.keeper import Keeper
        with Keeper() as keeper, open({str(tmp_path / "output")!r}, "wb") as output:
            print(keeper.folder, flush=True)
            if {started}:
                keeper.start(["sh", "-c", "sleep 1000 & echo $! $$; wait"], output)
            time.sleep(1000)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        output = tmp_path / "output"
        while started and not output.read_text().endswith("\n"):
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    pids = [int(word) for word in output.read_text().split()]
    assert len(pids) == (2 if started else 0)
    wait_until_gone(folder, *pids)


@pytest.mark.parametrize(("name", "words"), [("x" * 100, "over 107 bytes"), ("a%d", "placeholder")])
def test_a_folder_that_qemu_cannot_use_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / name))
    with pytest.raises(InfraError, match=words):
        Keeper()
    assert not any((tmp_path / name).iterdir())
