# SPDX-License-Identifier: GPL-2.0-only
"""What the tasks of a step wait for that never ended: who comes with a guest that hangs asks that.

Of every task the capture has ``/proc/PID/task/TID/status`` and ``stack`` (the kernel's
Documentation/filesystems/proc.rst), in ``tasks/TID/``, and of who read that in ``tasks/self/``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

#: The first task: the parent of whatever has none.
_INIT = 1
_MOST_TASKS, _MOST_FRAMES = 3, 4


@dataclass(frozen=True)
class _Task:
    pid: int
    process: int
    parent: int
    name: str
    #: A letter, see proc_pid_status(5): D cannot be interrupted.
    state: str
    #: Functions, the innermost first; empty where the kernel does not report them.
    stack: tuple[str, ...]

    def __str__(self) -> str:
        words = f"{self.name} (state {self.state})"
        if self.stack:
            words += f" in {' < '.join(self.stack[:_MOST_FRAMES])}"
        return words


def waits(capture: Path) -> str:
    """The tasks that cannot be interrupted, and where the step's own wait, for the message.

    Empty where the capture has no tasks, or none of them waits.
    """
    tasks = [task for folder in sorted(capture.glob("tasks/[0-9]*")) if (task := _read(folder))]
    shown = [task for task in tasks if task.state == "D"]
    if reader := _read(capture / "tasks/self"):
        shown += [task for task in _of_step(tasks, reader) if task not in shown]
    words = "; ".join(map(str, shown[:_MOST_TASKS]))
    return f"{words}; {len(shown) - _MOST_TASKS} more" if len(shown) > _MOST_TASKS else words


def _of_step(tasks: list[_Task], reader: _Task) -> list[_Task]:
    """Tasks without children below what is above the reader: the agent began both."""
    parents = {task.process: task.parent for task in tasks}

    def above(process: int) -> set[int]:
        found: set[int] = set()
        while (process := parents.get(process, 0)) not in (0, _INIT, *found):
            found.add(process)
        return found

    agents = {reader.parent} | above(reader.parent)
    childless = {task.process for task in tasks} - {task.parent for task in tasks} - agents
    return [task for task in tasks if task.process in childless and above(task.process) & agents]


def _read(folder: Path) -> _Task | None:
    """A task; or None for one that ended while it was read."""
    fields: dict[str, str] = {}
    for line in _text(folder / "status").splitlines():
        key, _, value = line.partition(":")
        fields[key] = value.strip()
    try:
        pid, process, parent = (int(fields[key]) for key in ("Pid", "Tgid", "PPid"))
    except (KeyError, ValueError):
        return None
    # A line is "[<0>] function+0x12/0x34 [module]".
    frames = (line.split("] ", 1)[-1] for line in _text(folder / "stack").splitlines())
    stack = tuple(frame.partition("+")[0] for frame in frames if "+" in frame)
    return _Task(pid, process, parent, fields.get("Name", ""), fields.get("State", "?")[:1], stack)


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""
