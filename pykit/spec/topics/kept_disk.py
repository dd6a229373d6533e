# SPDX-License-Identifier: GPL-2.0-only
"""What of a disk's data outlasts a reset, or the end of a connection (section 5.2.6.2).

``pykit drive`` writes down what each sector held that it wrote or read (``blk_sector``). A sector
is followed from a write that ended with OK on; what may write to it beside that ends this.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from pykit.spec import bits
from pykit.spec.model import Result, rule
from pykit.spec.rows import Rows, Tally
from pykit.spec.topics.answers import not_the_devices
from pykit.spec.topics.block_data import altered_queues
from pykit.spec.view import View
from pykit.spec.zones import requests_of

_NEEDS = ("driver:blk_start", "driver:blk_done", "driver:add", "driver:used", "driver:features")
#: Requests that change no data, beside writes and flushes.
_HARMLESS = frozenset({bits.T_IN, bits.T_GET_ID, bits.T_GET_LIFETIME})
_UNREAD = "the data was not read before the life that wrote it ended"


@dataclass(eq=False)
class _Stored:
    """What a sector holds, by the row and the life of the write that put it there.

    Attributes:
        through: the write was stable when it was completed.
        flushed: a flush that was sent after it is done.
        read: a read of the same life has brought it.
    """

    row: int
    life: int
    total: int
    through: bool
    flushed: bool = False
    read: bool = False


class _Step(NamedTuple):
    """A moment of a disk: what happens, and the request or the event that it is about."""

    row: int
    what: int
    number: int


_BEGINS, _SECTOR, _ENDS, _ANEW = range(4)


@dataclass
class _Disk:
    """One device: what its sectors hold, and what is under way.

    Attributes:
        writing: sectors of writes under way, by request; ``mixed``: those of them that met another.
        flushing: what a flush under way makes stable.
        unknown: requests under way that may change any data.
    """

    held: dict[int, _Stored] = field(default_factory=dict)
    writing: dict[int, tuple[int, int]] = field(default_factory=dict)
    mixed: set[int] = field(default_factory=set)
    flushing: dict[int, list[_Stored]] = field(default_factory=dict)
    unknown: set[int] = field(default_factory=set)

    def forget(self, first: int = 0, end: int | None = None) -> None:
        """Know no more what these sectors hold."""
        for sector in [s for s in self.held if s >= first and (end is None or s < end)]:
            del self.held[sector]

    def write(self, number: int, first: int, end: int) -> None:
        """Begin a write."""
        self.forget(first, end)
        for other, (low, high) in self.writing.items():
            if first < high and low < end:
                self.mixed |= {other, number}
        self.writing[number] = first, end


def _steps(view: View) -> Iterator[_Step]:
    requests, events = view.requests, view.rings.of("blk_sector")
    yield from (_Step(int(row), _BEGINS, n) for n, row in enumerate(requests.row.tolist()))
    yield from (_Step(int(row), _SECTOR, i) for i, row in enumerate(events["row"].tolist()))
    yield from (
        _Step(int(row), _ENDS, n) for n, row in enumerate(requests.done.tolist()) if row >= 0
    )
    for kind in ("config_change", "restarted"):
        for row, dev in view.of(kind).select("row", "dev").drop_nulls().iter_rows():
            yield _Step(row, _ANEW, dev)


class _Follower:
    """Follows the sectors of all disks of a capture."""

    def __init__(self, view: View, tally: Tally) -> None:
        self._view, self._tally = view, tally
        self._requests, self._events = view.requests, view.rings.of("blk_sector")
        self._number = requests_of(view, self._events)
        self._disks: dict[int, _Disk] = {}
        self._contested = _contested(view)

    def run(self) -> None:
        """Go through all that happens, in order."""
        for row, what, number in sorted(_steps(self._view)):
            if what == _ANEW:
                self._disk(number).forget()
                continue
            n = int(self._number[number]) if what == _SECTOR else number
            if n < 0:
                continue
            dev, life, _ = self._view.rings.queue[int(self._requests.q[n])]
            disk = self._disk(dev)
            if (dev, life) in self._contested:
                disk.forget()
            elif what == _BEGINS:
                self._begin(disk, n)
            elif what == _ENDS:
                self._end(disk, n)
            else:
                self._sector(disk, row, number, n, life)

    def _disk(self, dev: int) -> _Disk:
        return self._disks.setdefault(dev, _Disk())

    def _begin(self, disk: _Disk, n: int) -> None:
        kind, sector = int(self._requests.type[n]), int(self._requests.sector[n])
        life = self._life(n)
        if kind == bits.T_OUT:
            disk.write(n, sector, sector - -int(self._requests.bytes[n]) // bits.SECTOR)
        elif kind == bits.T_FLUSH:
            disk.flushing[n] = [held for held in disk.held.values() if held.life == life]
        elif kind not in _HARMLESS:
            disk.forget()
            disk.unknown.add(n)

    def _end(self, disk: _Disk, n: int) -> None:
        disk.writing.pop(n, None)
        disk.unknown.discard(n)
        for held in disk.flushing.pop(n, ()):
            held.flushed |= int(self._requests.status[n]) == bits.S_OK

    def _sector(self, disk: _Disk, row: int, i: int, n: int, life: int) -> None:
        sector, total = int(self._events["sector"][i]), int(self._events["sum"][i])
        if self._events["write"][i]:
            if n in disk.writing and n not in disk.mixed and not disk.unknown:
                through = self._through(n)
                disk.held[sector] = _Stored(row, life, total, through)
            return
        held = disk.held.get(sector)
        if held is None or int(self._requests.row[n]) < held.row:
            return
        if held.life == life:
            held.read = total == held.total
        elif held.flushed or held.through:
            self._judge(n, row, sector, held, same=total == held.total)
            # A disk without it has it no more: the next read shows the same.
            del disk.held[sector]

    def _judge(self, n: int, row: int, sector: int, held: _Stored, *, same: bool) -> None:
        if not held.read:
            self._tally.undecided(doubt=_UNREAD)
            return
        how = "flushed" if held.flushed else "written, with FLUSH declined,"
        place = self._view.rings.name(int(self._requests.q[n]))
        text = f"{place}: sector {sector} has other data than were {how} in life {held.life}"
        self._tally.check(same, (held.row, row), text)

    def _life(self, n: int) -> int:
        return self._view.rings.queue[int(self._requests.q[n])][1]

    def _through(self, n: int) -> bool:
        """Whether writes are stable when they are done: FLUSH is offered, and declined."""
        dev, number, _ = self._view.rings.queue[int(self._requests.q[n])]
        life = self._view.life(dev, number)
        seen = life.negotiated
        if seen is None or life.has(bits.BLK_CONFIG_WCE) or life.has(bits.BLK_FLUSH):
            return False
        return bool(seen.offered >> bits.BLK_FLUSH & 1)


def _contested(view: View) -> set[tuple[int, int]]:
    """Lives (dev, life) in which the driver broke a ring or a request, or a chain was altered."""
    requests = Rows.of(view.rings, view.requests)
    wrong = not_the_devices(view, requests, np.arange(len(requests)))
    queues = {*requests["q"][wrong].tolist(), *np.flatnonzero(altered_queues(view)).tolist()}
    return {view.rings.queue[q][:2] for q in queues}


@rule("BO-DE-13", needs=_NEEDS)
def stable_data_outlasts_a_reset(view: View) -> Result:
    """Section 5.2.6.2: what was written and is stable is kept: it is there in a later life.

    Judged is what a reset of the device, or the end of a connection, leaves. Whether data outlasts
    a loss of power is not visible, nor whether it outlasts the process, which may have its data in
    memory.

    Checked: each sector that is read in a later life than that in which it was written last, where
    a flush was sent after the write was done, and is done itself; or where FLUSH was offered, and
    neither it nor CONFIG_WCE accepted: the data is the same. Anything else that may write there in
    between leaves the sector out: a write that began, requests of other types, two writes at a
    time. So do a change of the configuration, and a process that was started anew. Lives in which
    the driver broke a ring or a request are left out with what was known before them.

    Undecided: data that no read has brought in the life in which it was written: whether it was
    written at all is what other rules are about.
    """
    tally = Tally(none="no stable data was read in a later life")
    if len(view.rings.of("blk_sector")):
        _Follower(view, tally).run()
    return tally.result()
