# SPDX-License-Identifier: GPL-2.0-only
"""The report of the tasks of a guest that hangs."""

from __future__ import annotations

from pathlib import Path

import pytest

from pykit.guests.hang import waits

#: A guest whose disk never answered a flush: pid, process, parent, name, state, stack.
TASKS = [
    (1, 1, 0, "init", "S (sleeping)", "do_wait"),
    (2, 2, 0, "kthreadd", "S (sleeping)", "kthreadd"),
    (9, 9, 2, "kworker/0:1", "I (idle)", "worker_thread"),
    (159, 159, 1, "sh", "S (sleeping)", "do_wait"),
    (162, 162, 159, "sh", "S (sleeping)", "do_wait"),
    (163, 163, 159, "sh", "S (sleeping)", "do_wait"),
    (173, 173, 1, "loopback", "S (sleeping)", "do_sys_poll"),
    (189, 189, 163, "sh", "S (sleeping)", "do_wait"),
    (210, 210, 189, "mkfs.ext4", "D (disk sleep)", "submit_bio_wait blkdev_fsync a b c"),
    (211, 211, 162, "sh", "R (running)", ""),
]
READER = (212, 212, 211, "carry", "R (running)", "")


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    for task in TASKS:
        put(tmp_path, *task)
    put(tmp_path, *READER, folder="self")
    return tmp_path


def put(
    to: Path,
    pid: int,
    process: int,
    parent: int,
    name: str,
    state: str,
    stack: str,
    folder: str = "",
) -> None:
    task = to / "tasks" / (folder or str(pid))
    task.mkdir(parents=True, exist_ok=True)
    status = {"Name": name, "Umask": "0022", "State": state}
    status |= {"Tgid": str(process), "Pid": str(pid), "PPid": str(parent)}
    (task / "status").write_text("".join(f"{key}:\t{text}\n" for key, text in status.items()))
    if folder != "self":
        frames = (f"[<0>] {function}+0x79/0xc0 [module]\n" for function in stack.split())
        (task / "stack").write_text("".join(frames))


def test_a_task_that_cannot_be_interrupted(capture: Path) -> None:
    assert waits(capture) == "mkfs.ext4 (state D) in submit_bio_wait < blkdev_fsync < a < b"


def test_the_innermost_of_the_step(capture: Path) -> None:
    put(capture, 210, 210, 189, "fio", "S (sleeping)", "read_events")
    put(capture, 214, 210, 189, "fio", "S (sleeping)", "hrtimer_nanosleep")
    assert waits(capture) == ("fio (state S) in read_events; fio (state S) in hrtimer_nanosleep")


def test_many(capture: Path) -> None:
    for pid in range(300, 305):
        put(capture, pid, pid, 2, f"kworker/{pid}", "D (disk sleep)", "x")
    assert waits(capture).endswith("; kworker/301 (state D) in x; 3 more")


@pytest.mark.parametrize("text", ["", "Name:\tx\n", "Pid:\tone\nTgid:\t1\nPPid:\t0\n", "\xff"])
def test_one_that_ended_while_it_was_read(capture: Path, text: str) -> None:
    (capture / "tasks/210/status").write_text(text)
    assert waits(capture) == "sh (state S) in do_wait"


def test_no_stacks_and_no_tasks(capture: Path, tmp_path: Path) -> None:
    (capture / "tasks/210/stack").unlink()
    assert waits(capture) == "mkfs.ext4 (state D)"
    assert waits(tmp_path / "none") == ""
