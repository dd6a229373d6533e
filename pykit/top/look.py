# SPDX-License-Identifier: GPL-2.0-only
"""One look at all queues, wherever it comes from."""

from __future__ import annotations

from dataclasses import dataclass

from pykit.analysis.why import Found

#: Seconds for which a queue has to stand still to count as stuck.
STUCK_S = 5.0


@dataclass(frozen=True)
class QueueLine:
    """A queue at one look; None and empty text are what does not show.

    Attributes:
        depth: chains made available and not returned; seen by the device's log alone, taken and
            not returned.
        rate: chains returned in a second.
        ns: how long a chain is under way.
        notify: when the device asks for a notification: on, off, or how many chains later.
        interrupt: when the driver asks for an interrupt, in the same words.
        found: stuck, moves, idle or unknown, as `pykit why` has it.
        turn: the side that has to act, of one that is stuck.
        sentence: of `pykit why`, of one that is stuck or undecided.
    """

    device: str
    vq: int
    depth: int | None = None
    size: int | None = None
    rate: float | None = None
    ns: float | None = None
    notify: str = ""
    interrupt: str = ""
    found: Found = "idle"
    turn: str = ""
    sentence: str = ""

    @property
    def stuck(self) -> bool:
        """Return whether it stands still."""
        return self.found == "stuck"


@dataclass(frozen=True)
class TopLook:
    """All queues in use at one moment.

    Attributes:
        broken: sentences on what is wrong with the guest or a device as a whole.
        over: why there is no further look; empty while there is.
    """

    queues: tuple[QueueLine, ...]
    broken: tuple[str, ...] = ()
    over: str = ""
