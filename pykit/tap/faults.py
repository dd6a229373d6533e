# SPDX-License-Identifier: GPL-2.0-only
"""Deliberate faults on the way: each spoils one chain, as a faulty driver or device would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from pykit.spec.bits import NEXT
from pykit.tap.chain import Element, TappedChain

Direction = Literal["device", "driver"]
#: An address that no front-end shares.
_NOWHERE = 1 << 52


@dataclass
class Offered:
    """A chain on its way to the back-end; a fault changes what becomes of it.

    Attributes:
        size: of its queue.
        chain: as the front-end has it.
        elements: its ring descriptors as the back-end gets them.
        heads: what is made available: once each.
        jump: added to the available index beyond that (split rings).
        silent: the back-end is not notified.
    """

    size: int
    chain: TappedChain
    elements: list[Element]
    heads: list[int]
    jump: int = 0
    silent: bool = False


@dataclass
class Returned:
    """A used entry on its way to the front-end.

    Attributes:
        size: of its queue.
        entries: id and used length of each entry that the front-end gets.
        capacity: bytes that the device may write.
        silent: the front-end is not interrupted.
    """

    size: int
    entries: list[tuple[int, int]]
    capacity: int
    silent: bool = False


@dataclass(frozen=True)
class TapFault:
    """A fault: its name, what it does, which side it reaches, and the step.

    ``table`` says that it changes descriptors, ``split`` that only split rings have it.
    """

    name: str
    does: str
    reaches: Direction
    offer: Callable[[Offered], None] | None = None
    give: Callable[[Returned], None] | None = None
    table: bool = False
    split: bool = False


def _head_outside(step: Offered) -> None:
    step.heads = [step.size]


def _head_again(step: Offered) -> None:
    step.heads = step.heads * 2


def _index_jump(step: Offered) -> None:
    step.jump = step.size + 1


def _address_outside(step: Offered) -> None:
    if step.elements:
        step.elements[0] = step.elements[0]._replace(address=_NOWHERE)


def _chain_loop(step: Offered) -> None:
    if not step.elements:
        return
    last = step.elements[-1]
    step.elements[-1] = last._replace(flags=last.flags | NEXT, next=step.chain.head)


def _kick_missing(step: Offered) -> None:
    step.silent = True


def _id_wrong(step: Returned) -> None:
    step.entries = [((number + 1) % step.size, length) for number, length in step.entries]


def _id_outside(step: Returned) -> None:
    step.entries = [(step.size, length) for _, length in step.entries]


def _length_greater(step: Returned) -> None:
    step.entries = [(number, step.capacity + 1) for number, _ in step.entries]


def _length_zero(step: Returned) -> None:
    step.entries = [(number, 0) for number, _ in step.entries]


def _returned_twice(step: Returned) -> None:
    step.entries = step.entries * 2


def _swallowed(step: Returned) -> None:
    step.entries = []


def _interrupt_missing(step: Returned) -> None:
    step.silent = True


FAULTS: dict[str, TapFault] = {
    fault.name: fault
    for fault in (
        TapFault(
            "head-outside", "make a head available that is no descriptor", "device",
            offer=_head_outside, split=True,
        ),
        TapFault(
            "head-again", "make a chain available twice", "device", offer=_head_again, split=True
        ),
        TapFault(
            "index-jump", "move the available index beyond the queue", "device",
            offer=_index_jump, split=True,
        ),
        TapFault(
            "address-outside", "name memory that is not shared", "device",
            offer=_address_outside, table=True,
        ),
        TapFault(
            "chain-loop", "lead a chain back to its head", "device",
            offer=_chain_loop, table=True, split=True,
        ),
        TapFault(
            "notification-missing", "do not notify the back-end", "device", offer=_kick_missing
        ),
        TapFault("id-wrong", "return the next id", "driver", give=_id_wrong),
        TapFault("id-outside", "return an id that is no descriptor", "driver", give=_id_outside),
        TapFault(
            "length-greater", "return a used length beyond the writable buffers", "driver",
            give=_length_greater,
        ),
        TapFault("length-zero", "return a used length of 0", "driver", give=_length_zero),
        TapFault(
            "returned-twice", "return a chain twice", "driver", give=_returned_twice, split=True
        ),
        TapFault("swallowed", "do not return a chain", "driver", give=_swallowed),
        TapFault(
            "interrupt-missing", "do not interrupt the driver", "driver", give=_interrupt_missing
        ),
    )
}  # fmt: skip


@dataclass
class Injection:
    """A fault that spoils the ``at``-th chain that goes its way, counted from 1, once.

    Attributes:
        done: it has happened.
    """

    fault: TapFault
    at: int = 1
    done: bool = False
    _count: int = field(default=0)

    def due(self, reaches: Direction) -> bool:
        """Count a chain that goes to this side; whether it is the one."""
        if self.done or self.fault.reaches != reaches:
            return False
        self._count += 1
        self.done = self._count == self.at
        return self.done
