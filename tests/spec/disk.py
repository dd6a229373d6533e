# SPDX-License-Identifier: GPL-2.0-only
"""A driver that makes one block request after the other, with replies that are chosen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pykit.spec import bits
from pykit.spec import blkconfig as cfg
from tests.spec.cases.base import bare
from tests.spec.log import Log
from tests.spec.machine import OFFERED

ZONE = 2048
#: Of eight zones: type, state, how far the write pointer is behind the start.
ZONES = (
    (bits.ZT_CONVENTIONAL, bits.ZS_NOT_WP, 0),
    (bits.ZT_SEQUENTIAL_REQUIRED, bits.ZS_EMPTY, 0),
    (bits.ZT_SEQUENTIAL_REQUIRED, bits.ZS_IOPEN, 8),
    (bits.ZT_SEQUENTIAL_REQUIRED, bits.ZS_EOPEN, 0),
    (bits.ZT_SEQUENTIAL_REQUIRED, bits.ZS_CLOSED, 8),
    (bits.ZT_SEQUENTIAL_REQUIRED, bits.ZS_READ_ONLY, 0),
    (bits.ZT_SEQUENTIAL_REQUIRED, bits.ZS_FULL, 0),
    (bits.ZT_SEQUENTIAL_REQUIRED, bits.ZS_OFFLINE, 0),
)
CONVENTIONAL, EMPTY, IOPEN, EOPEN, CLOSED, READ_ONLY, FULL, OFFLINE = (
    ZONE * n for n in range(len(ZONES))
)
ZONED = OFFERED & ~(1 << bits.BLK_DISCARD) | 1 << bits.BLK_ZONED | 1 << bits.BLK_SECURE_ERASE
VALUES: dict[cfg.Field, int] = {
    cfg.CAPACITY: ZONE * len(ZONES),
    cfg.SEG_MAX: 62,
    cfg.SIZE_MAX: 65536,
    cfg.ERASE_ALIGNMENT: ZONE,
    cfg.ZONE_SECTORS: ZONE,
    cfg.MAX_OPEN_ZONES: 2,
    cfg.MAX_ACTIVE_ZONES: 3,
    cfg.MAX_APPEND_SECTORS: 64,
    cfg.WRITE_GRANULARITY: 4096,
    cfg.ZONE_MODEL: bits.Z_HOST_MANAGED,
}


class Disk:
    """Writes a session down in ``log``; ``values``: what the driver reads of the configuration."""

    def __init__(
        self,
        *,
        offered: int = ZONED,
        acked: int | None = None,
        packed: bool = False,
        values: dict[cfg.Field, int] | None = None,
    ) -> None:
        self.log: Log = bare(offered=offered, acked=offered if acked is None else acked)
        self.place: dict[str, Any] = {"dev": 1, "life": 0, "cpu": 0, "pid": 7}
        self.count = 0
        for field, value in (VALUES | (values or {})).items():
            self.read(field, value)
        self.log.add(
            "queue",
            **self.place,
            vq=0,
            desc=0x10000,
            avail=0x11000,
            used=0x12000,
            size=64,
            num_queues=1,
            avail_flags=0,
            avail_idx=0,
            used_flags=0,
            used_idx=0,
            layout=int(packed),
            op=0,
        )

    def read(self, field: cfg.Field, value: int) -> None:
        """Read a field of the configuration."""
        self.log.add(
            "config", **self.place, offset=field.offset, len=field.width, value=value, write=0
        )

    def ask(
        self,
        kind: int,
        sector: int = 0,
        sectors: int = 0,
        status: int = bits.S_OK,
        *,
        size: int | None = None,
        answer: tuple[int, int, int] | None = None,
        zones: Iterable[tuple[int, int, int]] = (),
        ranges: Iterable[tuple[int, int]] = (),
        wrote: dict[str, int] | None = None,
        length: int = 1,
    ) -> Disk:
        """Make a request that the device ends; ``wrote``: fields of the event ``blk_wrote``."""
        queue = {**self.place, "vq": 0}
        head = self.count % 64
        data = sectors * bits.SECTOR if size is None else size
        ranges = list(ranges)
        add = self.log.add
        self.count += 1
        add("add", **queue, before=0, readable=16, writable=1, chain=2, num_free=60, head=head)
        self.log.events[-1] |= {"avail_idx": self.count, "slots": 2, "indirect": 0}
        start = {"sector": sector, "status_addr": 0, "bytes": data, "type": kind}
        add("blk_start", **queue, **start, head=head, segments=len(ranges))
        for pos, (first, count) in enumerate(ranges):
            add("blk_range", **queue, sector=first, sectors=count, flags=0, head=head, pos=pos)
        used = {"index": self.count - 1, "used_idx": self.count, "accepted": 1}
        add("used", **queue, id=head, len=length, **used)
        if wrote is not None:
            marks = {"bytes": data, "written": data, "touched": data, "type": kind, "sum": 0}
            marks |= {"head": head, "header": 1, "zero": 0}
            add("blk_wrote", **queue, **(marks | wrote))
        if answer is not None:
            words = dict(zip(("first", "second", "third"), answer, strict=True))
            add("blk_answer", **queue, **words, type=kind, head=head, got=24)
        for n, (zone, state, behind) in enumerate(zones):
            at = {"start": ZONE * n, "capacity": ZONE, "wp": ZONE * n + behind}
            add("blk_zone", **queue, **at, head=head, pos=n, z_type=zone, z_state=state)
        end = {"sector": sector, "type": kind, "len": length, "head": head, "status": status}
        add("blk_done", **queue, **end)
        return self

    def report(self, zones: Iterable[tuple[int, int, int]] = ZONES) -> Disk:
        """Have zones reported, ``ZONES`` if none are given."""
        zones = list(zones)
        return self.ask(bits.T_ZONE_REPORT, answer=(len(zones), 0, 0), zones=zones)

    def changed(self, number: int, state: int, behind: int) -> Disk:
        """Have the zones reported with another state and write pointer of one of them."""
        zones = list(ZONES)
        zones[number] = (zones[number][0], state, behind)
        return self.report(zones)
