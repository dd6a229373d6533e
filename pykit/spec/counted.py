# SPDX-License-Identifier: GPL-2.0-only
"""Interrupts that a driver got, counted against those that it asked for (sections 2.7.7, 2.8.10).

The log of a device that another process serves has no interrupts. Observers in the guest trace each
one that comes, those that bring nothing, too (event ``stray``), with its number::

    used_event   0        2                  5            6
    ------------+--------+------------------+------------+------> the queue's order
    interrupts     I(0,1)     I(2,3,4)   S        I(5)

A value of used_event asks for one interrupt, of the entry that it names, and for none as long as
that is not there; one that is left alone asks again when the indices have gone round, which those
of a packed ring do with each second lap. So where an interrupt brings nothing, no more may have
come than values were asked by that name entries which were there: S is the third one, and only two
entries were asked for.

An interrupt that is sent while another one is on its way comes together with that. So one that was
asked for and has not come by itself may be on its way for as long as nothing shows that it came;
but no more than a few can be at a time (``_UNDER_WAY``): the others have come, and excuse none that
comes later. A device that sends too many is found by some of them.

With flags each entry asks for an interrupt, unless it was used while they were disabled: after the
driver had disabled them and looked at the used index, and before it took the entry and enabled them
again. The first such entry counts as asked for, as the look may have come before the flag.

Not counted is what comes before the driver has taken anything: back-ends interrupt when they are
set up, in case that one was missed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import WRAP, Bools
from pykit.spec.model import Result
from pykit.spec.packed import AT_DESC, ENABLE, cycle
from pykit.spec.rings import PACKED
from pykit.spec.rows import Tally
from pykit.trace.kinds import SET_UP

if TYPE_CHECKING:
    from pykit.spec.view import View

#: A back-end may interrupt once when it gets the descriptor to interrupt by, and gets another one
#: when a vector is unmasked.
_SPARE = 1
#: Interrupts that may be on their way: in the descriptor of a back-end, and with the interrupt
#: controller, and one that is held back while a vector is masked.
_UNDER_WAY = 3
_NONE = "no interrupt can be counted: its number is not known, or other queues have it, too"


def unasked(view: View, chosen: Bools) -> Result:
    """Check interrupts of queues, ``chosen`` by number, against what the driver asked for."""
    tally = Tally(none=_NONE)
    for q in _own_vectors(view):
        if chosen[q] and view.rings.feature(bits.EVENT_IDX)[q] >= 0:
            _count(view, q, tally)
    return tally.result()


def _own_vectors(view: View) -> Iterator[int]:
    """Queues, seen from their set-up on, whose interrupt has a number of its own.

    They are those of PCI devices, and of our loopback, which numbers what its back-end calls for:
    on MMIO a change of the configuration has the queue's number. A line comes again until the
    driver has read why it is raised.
    """
    rings = view.rings
    came = rings.of("interrupt", "stray")
    #: The same queue in another life of its device may have a number.
    places: dict[int, set[tuple[int, int]]] = {}
    numbers: dict[int, set[int]] = {}
    for q, irq in zip(came["q"].tolist(), came["irq"].tolist(), strict=True):
        places.setdefault(irq, set()).add(rings.queue[q][::2])
        numbers.setdefault(q, set()).add(irq)
    looped = {*view.of("vhost_attach")["dev"].drop_nulls().to_list()}
    for q, irqs in numbers.items():
        dev, life, vq = rings.queue[q]
        own = len(irqs) == 1 and 0 not in irqs and all(places[n] == {(dev, vq)} for n in irqs)
        seen = view.life(dev, life)
        transport = None if seen.shares_vectors else seen.transport
        on_loopback = seen.transport is None and dev in looped
        if own and rings.whole[q] and (transport == "pci" or on_loopback):
            yield q


@dataclass
class _Asked:
    """How many interrupts a driver has asked for, of entries that were there.

    Attributes:
        span: how many positions there are.
        size: how many entries there may be that the driver has not taken.
        here: the next entry, a position.
        place: the same, counted from the set-up on.
        event_idx: whether a value may name one entry.
        always: each entry asks for one.
        sure: entries from this place on were used while none was asked for.
        named: places that were asked for, and are not there yet.
        again: where the entry that is asked for now comes round again.
        count: how many were asked for.
    """

    span: int
    size: int
    here: int
    event_idx: bool
    always: bool
    place: int = 0
    sure: int | None = None
    named: set[int] = field(default_factory=set)
    again: int | None = None
    count: int = 0

    def go_to(self, position: int) -> None:
        """The driver has taken what is before a position."""
        step = (position - self.here) % self.span
        if step >= self.span // 2:
            return
        if self.always:
            self.count += step
        elif self.sure is not None:
            self.count += min(step, max(self.sure - self.place, 0))
        self.here, self.place = position, self.place + step
        passed = {place for place in self.named if place < self.place}
        self.count += len(passed)
        self.named -= passed
        if self.again is not None and self.again < self.place:
            self.count, self.again = self.count + 1, self.again + self.span

    def name(self, position: int) -> None:
        """One entry is asked for; one that is past comes round again."""
        # The device may have come there before the driver asked for another one.
        if self.again is not None and self.again - self.place <= self.size:
            self.named.add(self.again)
        ahead = (position - self.here) % self.span
        self.again = self.place + ahead
        if ahead < self.span // 2:
            self.named.add(self.again)
            self.again += self.span

    def suppress(self, seen: int) -> None:
        """None is asked for any more; so many entries were seen to be there."""
        if self.always:
            self.sure = self.place + seen + 1
        self.always = False

    def enable(self) -> None:
        """Each entry asks again."""
        self.always, self.sure = True, None


def _count(view: View, q: int, tally: Tally) -> None:
    rings = view.rings
    rows = rings.of("callback", "used", "interrupt", "stray").of_queue(q)
    setup = rings.of("queue").of_queue(q)
    flags = int(setup["avail_flags"][setup["op"] == SET_UP][0])
    size, packed = int(rings.size[q]), bool(rings.layout[q] == PACKED)
    event_idx = bool(rings.feature(bits.EVENT_IDX)[q])
    asked = _Asked(
        span=2 * size if packed else WRAP,
        size=size,
        here=0 if packed else int(rings.used[q]),
        event_idx=event_idx,
        always=flags == ENABLE if packed else not event_idx and not flags & 1,
    )
    if event_idx and not packed:
        asked.name(asked.here)
    owed, known = _SPARE, 0
    for row in _events(rows, size, packed):
        if row["kind"] not in ("interrupt", "stray"):
            _follow(asked, row, packed)
            owed, known = min(owed + asked.count - known, _UNDER_WAY), asked.count
            continue
        # What one brings is taken behind it.
        owed -= bool(asked.place)
        if row["kind"] == "interrupt" or owed >= 0:
            tally.check(True, row["row"], "")
            continue
        owed += 1
        if view.contested_queues[q]:
            tally.contested()
            continue
        text = (
            "an interrupt brought nothing, and those that the driver had asked for had come before"
        )
        tally.check(False, row["row"], f"{rings.name(q)}: {text}")


def _follow(asked: _Asked, row: dict[str, Any], packed: bool) -> None:
    """Take note of what the driver took, and asked for behind that."""
    asked.go_to(row["here"])
    if packed:
        if row["flags"] == AT_DESC and asked.event_idx:
            asked.suppress(asked.span)
            asked.sure = None
            asked.name(row["event"])
        elif row["flags"] == ENABLE:
            asked.enable()
        else:
            # How many used descriptors are there shows for the first one alone.
            asked.suppress(asked.span)
    elif asked.event_idx:
        asked.name(row["event"])
    elif row["flags"] & 1:
        asked.suppress(row["seen"])
    else:
        asked.enable()


def _events(rows: Any, size: int, packed: bool) -> Iterator[dict[str, Any]]:
    """A queue's events with the driver's suppression behind each: event and flags."""
    callback = np.array([rows.kinds[kind] == "callback" for kind in rows.kind])
    names = [rows.kinds[kind] for kind in rows.kind]
    event = np.where(callback, rows["used_event"], rows["event"]).astype(np.int64)
    flags = np.where(callback, rows["avail_flags"], rows["event_flags"]).astype(np.int64)
    last = rows["last_used"].astype(np.int64)
    seen = (rows["used_idx"].astype(np.int64) - last) % WRAP
    index = rows["index"].astype(np.int64)
    if packed:
        sizes = np.full(len(rows), size)
        event, last, index = (cycle(one, sizes) for one in (event, last, index))
    for n, kind in enumerate(names):
        # A used entry leads to the next one: of a packed ring its list's length is not known here,
        # and the next event has the place.
        here = int(last[n]) if kind != "used" else int(index[n]) + (0 if packed else 1)
        yield {
            "kind": kind, "row": int(rows["row"][n]), "here": here, "event": int(event[n]),
            "flags": int(flags[n]), "seen": int(seen[n]),
        }  # fmt: skip
