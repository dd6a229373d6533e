# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/forms.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import Make, case
from tests.spec.disk import Disk
from tests.spec.log import Log
from tests.spec.machine import OFFERED

_PACKED = 1 << bits.RING_PACKED
#: Buffers of the data of two sectors.
PLAIN, ODD = (1024,), (512, 512)


def ask(
    disk: Disk,
    kind: int,
    cut: tuple[int, ...],
    *,
    table: bool = False,
    flags: int = 0,
    ahead: int = 0,
    unreadable: int = 0,
) -> None:
    """Make a request of two sectors of which all descriptors and both sums are traced."""
    queue, head = {**disk.place, "vq": 0}, disk.count % 64
    data = 0 if kind == bits.T_OUT and not unreadable else bits.WRITE
    pieces = [(16, 0), *((length, data) for length in cut), (1, bits.WRITE)]
    direct, inner = (pieces[:ahead], pieces[ahead:]) if table else (pieces, [])
    slots = len(direct) + bool(inner)
    add, at = disk.log.add, {"head": head, "next": 0}
    disk.count += 1
    numbers = {"readable": 16, "writable": 1, "chain": len(pieces), "num_free": 40}
    place = {"head": head, "avail_idx": disk.count, "slots": slots, "indirect": int(table)}
    add("add", **queue, before=0, **numbers, **place)
    for pos, (length, more) in enumerate(direct):
        more |= bits.NEXT if pos + 1 < slots else 0
        add(
            "desc",
            **queue,
            **at,
            addr=4096,
            len=length,
            slot=head + pos,
            flags=more,
            pos=pos,
            table=0,
        )
    if inner:
        pos, more = len(direct), bits.INDIRECT | flags
        add(
            "desc",
            **queue,
            **at,
            addr=8192,
            len=16 * len(inner),
            slot=head + pos,
            flags=more,
            pos=pos,
            table=0,
        )
    for pos, (length, more) in enumerate(inner):
        more |= bits.NEXT if pos + 1 < len(inner) else 0
        add("desc", **queue, **at, addr=4096, len=length, slot=pos, flags=more, pos=pos, table=1)
    start = {"sector": 0, "status_addr": 0, "bytes": 1024, "type": kind}
    add("blk_start", **queue, **start, head=head, segments=len(cut))
    used = {"index": disk.count - 1, "used_idx": disk.count, "accepted": 1}
    add("used", **queue, id=head, len=1, **used)
    for sector in (0, 1):
        holds = {"sum": (unreadable or 77) + sector, "write": int(kind == bits.T_OUT)}
        add("blk_sector", **queue, sector=sector, head=head, **holds)
    add("blk_done", **queue, sector=0, type=kind, len=1, head=head, status=bits.S_OK)


def forms(*, packed: bool = False, flags: int = 0, ahead: int = 0, table: bool = False) -> Make:
    """Return a maker of logs: a write, a plain read, and a read in another form."""

    def make() -> Log:
        disk = Disk(offered=OFFERED | (_PACKED if packed else 0), packed=packed)
        ask(disk, bits.T_OUT, PLAIN, table=False)
        ask(disk, bits.T_IN, PLAIN, table=False)
        ask(disk, bits.T_IN, ODD, table=table, flags=flags, ahead=ahead)
        return disk.log

    return make


@case("MF-DE-01", clean=forms())
@case("SI-DE-01", clean=forms(table=True, flags=bits.WRITE))
@case("SI-DE-02", clean=forms(table=True, ahead=1))
@case("PS-DE-01", clean=forms(packed=True))
def data_depend_on_the_form(log: Log) -> None:
    """Two sectors change places where they are read in another form."""
    first, second = log.of("blk_sector")[-2:]
    first["sum"], second["sum"] = second["sum"], first["sum"]


@case("SI-DE-01", clean=forms(table=True, flags=bits.WRITE))
@case("SI-DE-02", clean=forms(table=True, ahead=1))
def the_form_is_refused(log: Log) -> None:
    """A request in such a form ends with UNSUPP."""
    log.drop(log.of("blk_sector")[-2:])
    log.of("blk_done")[-1]["status"] = bits.S_UNSUPP


@case("SI-DE-01", clean=forms(table=True, flags=bits.WRITE))
@case("SI-DE-02", clean=forms(table=True, ahead=1))
def the_form_is_not_served(log: Log) -> None:
    """A request in such a form does not come back before the driver is through."""
    log.drop([*log.of("blk_sector")[-2:], log.of("blk_done")[-1], log.of("used")[-1]])
    log.add("driver", dev=1, life=0, cpu=0, pid=7, id=2, err=0, stage=bits.REMOVED)


def unreadable(*, packed: bool = False) -> Make:
    """Return a maker of logs: a write, one whose data are not to be read, and a read."""

    def make() -> Log:
        disk = Disk(offered=OFFERED | (_PACKED if packed else 0), packed=packed)
        ask(disk, bits.T_OUT, PLAIN)
        ask(disk, bits.T_OUT, PLAIN, unreadable=200)
        ask(disk, bits.T_IN, PLAIN)
        return disk.log

    return make


@case("SD-DE-02", clean=unreadable())
@case("PD-DE-02", clean=unreadable(packed=True))
def unreadable_data_are_stored(log: Log) -> None:
    """A read brings what stood in buffers that the device may only write."""
    for stored, found in zip(log.of("blk_sector")[2:4], log.of("blk_sector")[4:], strict=True):
        found["sum"] = stored["sum"]
