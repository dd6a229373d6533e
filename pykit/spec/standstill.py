# SPDX-License-Identifier: GPL-2.0-only
"""A queue at the end of a trace: how far it came, and the sentence that describes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from pykit.spec.arrays import WRAP

if TYPE_CHECKING:
    from pykit.spec.view import View

#: The side that has to act, and where the first waiting chain is on its way (see standing.py).
Turn = Literal["driver", "device", "unknown", "host"]
State = Literal["published", "untaken", "asleep", "held", "unsignalled", "uncollected"]

#: State, turn, number of chains that wait, index of the first, fact.
Standing = tuple[State, Turn, int, int, str]

_NS = 1_000_000_000


class Undecided(NamedTuple):
    """Why it does not show whether chains wait in a queue; whose turn it is if they do."""

    words: str
    turn: Turn = "unknown"


@dataclass(frozen=True)
class Standstill:
    """One queue at the end of a trace, with a chain that waits.

    Attributes:
        dev, life, vq: the queue; ``life`` is None where it is not known.
        device: the device's name, for messages.
        state: where the first waiting chain is on its way, see the module.
        turn: the side that has to act.
        count: chains that wait.
        index: index of the first of them in the ring, modulo 2^16 (its number, if packed).
        fact: what was seen of the side whose turn it is.
        ns: for how long nothing has moved.
        rows: events that show it.
        requests: each chain of the queue is a request that has to be answered.
        sound: the waiting chain was seen whole, so that the device can be expected to serve it.
    """

    dev: int
    life: int | None
    vq: int
    device: str
    state: State
    turn: Turn
    count: int
    index: int
    fact: str
    ns: int
    rows: tuple[int, ...] = ()
    requests: bool = True
    sound: bool = True

    @property
    def sentence(self) -> str:
        """Which queue stands still, at which index, for how long, whose turn it is and why."""
        whose = {
            "driver": "the driver's turn",
            "device": "the device's turn",
            "unknown": "it is not known whose turn it is",
            "host": "the host's turn",
        }[self.turn]
        chains = "1 chain waits" if self.count == 1 else f"{self.count} chains wait"
        return (
            f"queue {self.vq} of {self.device} stands still at index {self.index} for "
            f"{self.ns / _NS:.1f} s: {chains}, {whose}: {self.fact}"
        )


@dataclass(frozen=True)
class Progress:
    """Used entries of a queue: how many the device has returned, and the driver has taken.

    Split rings: as indices, modulo 2^16. ``row`` shows the last that was returned, -1 if none.
    """

    returned: int
    collected: int
    row: int

    @property
    def ahead(self) -> int:
        """How many entries lie in the ring."""
        ahead = (self.returned - self.collected) % WRAP
        return ahead if ahead < WRAP // 2 else 0

    @property
    def words(self) -> str:
        """Both indices."""
        return f"used index {self.returned}, the driver has taken up to {self.collected}"


def name_of(view: View, dev: int) -> str:
    """Return the name that messages have for a device: its number, and its id if that is known."""
    names = [name for name, number in view.events.devices.items() if number == dev]
    return f"device {dev} ({names[0]})" if len(names) == 1 else f"device {dev}"


def host_end(view: View) -> int:
    """Return when the host looked at the devices for the last time, ns of its wall clock."""
    asked = [answer.time_ns or 0 for answer in view.events.capture.qmp]
    return max(view.end[1], *asked, 0)
