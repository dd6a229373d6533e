# SPDX-License-Identifier: GPL-2.0-only
"""What a case did to the device, and what is left of it: facts first, the class follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

#: What became of the chain.
#:
#: * served: it came back and did what the request says; error: with an error status;
#:   returned: without a status; wrong-data: with other bytes than it had to have;
#: * swallowed: it never came back;
#: * closed: the device ended the connection; exited, signal: its process ended;
#: * none: the device was given nothing to do.
Effect = Literal[
    "served", "error", "returned", "wrong-data", "swallowed", "closed", "exited", "signal"
]
#: What still works afterwards: the same queue; another queue only; after a reset or a new
#: connection; after a new start of the process; nothing.
Life = Literal["queue", "other-queue", "reset", "restart", "nothing"]
#: What it comes to.
#:
#: * handled: served; rejected: refused, and all goes on;
#: * stopped: the queue needs a reset of the device, which helps (section 2.1.2);
#: * wedged: not even a reset helps; exited: the process ended by itself;
#: * spinning: a thread runs without end; crashed: killed by a signal;
#: * flooding: it logs so much that a guest fills a disk by it;
#: * trespassed: it wrote what it must not; wrong-data: it said that all is well.
Class = Literal[
    "handled", "rejected", "stopped", "exited", "wedged", "spinning", "flooding", "wrong-data",
    "crashed", "trespassed",
]  # fmt: skip
#: Classes that are confirmed by new runs before they are reported.
SERIOUS: frozenset[Class] = frozenset(
    {"wedged", "spinning", "flooding", "wrong-data", "crashed", "trespassed"}
)

#: Of these the classes that rest on time: a busy machine alone may make one.
BY_TIME: frozenset[Class] = frozenset({"wedged", "spinning"})


#: More bytes than this of log, for one case or one life of conforming requests, are a flood: those
#: have less than a hundred chains, and few lines on each are some ten thousand bytes.
FLOOD = 1 << 20


@dataclass(frozen=True)
class CaseOutcome:
    """The result of a case.

    Attributes:
        effect: what became of the chain.
        life: what still works.
        spinning: whether a thread ran on with nothing to do.
        trespass: the bytes that were written and must not be, in words; empty without any.
        detail: how the process ended, or what came back.
        seconds: how long the case took.
        logged: bytes that the process wrote to its output meanwhile.
    """

    effect: Effect
    life: Life
    spinning: bool = False
    trespass: str = ""
    detail: str = ""
    seconds: float = 0.0
    logged: int = 0

    @property
    def verdict(self) -> Class:
        """The class that follows from the facts, the worst first."""
        if self.trespass:
            return "trespassed"
        if self.effect == "signal":
            return "crashed"
        if self.effect == "wrong-data":
            return "wrong-data"
        if self.spinning:
            return "spinning"
        if self.logged > FLOOD:
            return "flooding"
        if self.effect == "exited":
            return "exited"
        if self.life in ("restart", "nothing"):
            return "wedged"
        if self.effect == "served":
            return "handled"
        if self.life == "queue" or self.effect == "closed":
            return "rejected"
        return "stopped"

    def as_json(self) -> dict[str, Any]:
        """Facts and class."""
        return {
            "class": self.verdict,
            "effect": self.effect,
            "life": self.life,
            "spinning": self.spinning,
            "trespass": self.trespass,
            "detail": self.detail,
            "seconds": round(self.seconds, 4),
            "logged": self.logged,
        }
