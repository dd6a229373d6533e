# SPDX-License-Identifier: GPL-2.0-only
"""Whether a process still does something, from what the kernel counts of its threads.

A device is through with what it was given when all its threads sleep and have not run for a
while. Waiting by that evidence is faster than a deadline, and right on a busy machine: a thread
that waits for a CPU does not sleep.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass

#: How often the counts have to stand still, and the seconds between two looks.
_STILL, _BETWEEN = 3, 0.002
#: A thread that runs or waits for a CPU for this share of the time spins.
SPINNING = 0.8
#: Seconds of a CPU that all chains of a ring may take, and those that pass at most meanwhile.
_RING, _LONGEST = 2.0, 40.0


@dataclass(frozen=True)
class ThreadTimes:
    """Counts of all threads: ns run and waited for a CPU, switches, and whether all sleep."""

    ran: int
    busiest: int
    sleeping: bool


class Activity:
    """Looks at one process.

    Args:
        pid: of the process.
        polls: it runs with nothing to do as well, so that this shows nothing.
    """

    def __init__(self, pid: int, polls: bool = False) -> None:
        self.polls = polls
        self._tasks = f"/proc/{pid}/task"
        self._still = 0
        self._last: ThreadTimes | None = None
        self._at = 0.0

    def _threads(self) -> list[str]:
        with os.scandir(self._tasks) as found:
            return [task.path for task in found]

    def sample(self) -> ThreadTimes:
        """Read the counts; a process that has gone sleeps."""
        total = busiest = 0
        sleeping = True
        try:
            for task in self._threads():
                try:
                    ran, waited, _ = _read(f"{task}/schedstat").split()
                    state = _read(f"{task}/stat").rpartition(b")")[2].split()[0]
                except (OSError, ValueError):
                    continue
                spent = int(ran) + int(waited)
                total += spent
                busiest = max(busiest, spent)
                sleeping &= state not in (b"R", b"D")
        except OSError:
            pass
        return ThreadTimes(total, busiest, sleeping)

    def ran(self) -> float:
        """Return the seconds that its threads have run, without those that they waited to."""
        total = 0
        try:
            for task in self._threads():
                with contextlib.suppress(OSError, ValueError):
                    total += int(_read(f"{task}/schedstat").split()[0])
        except OSError:
            pass
        return total / 1e9

    def asleep(self) -> bool:
        """Whether all threads slept and none ran, at this look and the ones before.

        Looks that follow each other too fast count once.
        """
        now = time.monotonic()
        if now - self._at < _BETWEEN:
            time.sleep(_BETWEEN - (now - self._at))
        sample = self.sample()
        still = sample.sleeping and self._last is not None and sample.ran == self._last.ran
        self._still = self._still + 1 if still else 0
        self._last, self._at = sample, time.monotonic()
        return self._still >= _STILL

    def never_sleeps(self, seconds: float = 0.5) -> bool:
        """Whether some thread ran or waited for a CPU at each look during this time.

        The kernel counts how long a thread waited when it gets its CPU, which is too late where
        many others want it; the state is right at any time.
        """
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            if self.sample().sleeping:
                return False
            time.sleep(_BETWEEN)
        return True

    def spins(self) -> bool:
        """Whether it runs without a rest for longer than any ring keeps it busy.

        An index that is wrong may offer 65535 chains. On a busy machine the time that it has run
        is what counts, or that the busiest thread ran or waited for a CPU, for most of a long time.
        """
        before, begun, ran = self.sample(), time.monotonic(), self.ran()
        while (passed := time.monotonic() - begun) < _LONGEST:
            if self.asleep():
                return False
            if self.ran() - ran > _RING:
                return True
        return (self.sample().busiest - before.busiest) / 1e9 >= SPINNING * passed


def _read(path: str) -> bytes:
    """Read a short file of /proc; this is done so often that no object is made for it."""
    file = os.open(path, os.O_RDONLY)
    try:
        return os.read(file, 4096)
    finally:
        os.close(file)
