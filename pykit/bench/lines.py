# SPDX-License-Identifier: GPL-2.0-only
"""One measured number beside its peer's, the same for all measurements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class BenchLine:
    """A number, and what it is compared with.

    Attributes:
        what: was measured.
        value: in ``unit``.
        peer: its name; empty where there is none, and the number itself has a goal.
        peer_value: in the same unit, of the same run.
        goal: of the ratio to the peer; of the value where there is no peer.
        better: whether a lower or a higher number is the better one.
    """

    what: str
    value: float
    unit: str
    better: Literal["lower", "higher"]
    peer: str = ""
    peer_value: float | None = None
    goal: float | None = None

    @property
    def ratio(self) -> float | None:
        """The value over the peer's."""
        return self.value / self.peer_value if self.peer_value else None

    @property
    def compared(self) -> float:
        """What is compared with a goal, and with another run: the ratio where there is a peer."""
        return self.value if self.ratio is None else self.ratio

    @property
    def kept(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        if self.goal is None:
            return None
        lower = self.better == "lower"
        return self.compared <= self.goal if lower else self.compared >= self.goal
