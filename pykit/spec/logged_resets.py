# SPDX-License-Identifier: GPL-2.0-only
"""Requests that a device had at a reset and did not return, as its log and QMP show them.

What became of them only the driver knows: it may make them available again, or fail them. Reads
and writes of the same sectors, later, count as made available again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import polars as pl

from pykit.spec import bits
from pykit.spec.asked import outstanding_at_first
from pykit.spec.owed import carries_requests
from pykit.spec.standstill import host_end
from pykit.spec.view import View

#: A disk's request: its type, first sector and number of sectors.
_Request = tuple[int, int, int]


@dataclass
class ResetQueue:
    """A queue whose device was reset while it had requests.

    Attributes:
        count: requests that it did not return.
        ns: since the reset.
        rows: the reset, and the first of the requests that the log has.
        in_use: the device was set up again.
        known: requests of which the log has more, by what they ask for.
        later: requests that it took since.
    """

    dev: int
    vq: int
    count: int
    ns: int
    rows: tuple[int, ...]
    in_use: bool = False
    known: Counter[_Request] = field(default_factory=Counter)
    later: Counter[_Request] = field(default_factory=Counter)

    @property
    def again(self) -> int:
        """Return how many of its requests were made available again."""
        return (self.known & self.later).total()


def reset_queues(view: View) -> Iterator[ResetQueue]:
    """Yield the queues of requests that a device had chains of when it was reset for the last time.

    Of devices whose driver is not traced, by their log; what they had taken before that begins is
    from QMP's first look.
    """
    traced = {dev for dev, _, _ in view.rings.queue}
    log = view.of("dev_status", "dev_pop", "dev_fill", "dev_blk_start")
    log = log.filter(~pl.col("dev").is_in(list(traced)))
    resets = log.filter(kind="dev_status", status=0)["dev"].drop_nulls().unique().sort()
    before = outstanding_at_first(view)
    for dev in resets:
        number = next((life.id for life in view.lives.values() if life.dev == dev), None)
        held = {vq: count for (of, vq), count in before.items() if of == dev}
        found = _follow(dev, log.filter(dev=dev).sort("row"), held, host_end(view))
        yield from (queue for queue in found if carries_requests(number, queue.vq))


def _follow(dev: int, log: pl.DataFrame, before: dict[int, int], end: int) -> list[ResetQueue]:
    """Follow one device's log; ``before`` has what each queue's device had taken by then."""
    lost: dict[int, ResetQueue] = {}
    taken: dict[int, dict[int, int]] = defaultdict(dict)
    asks: dict[int, _Request] = {}
    columns = ("row", "ts", "kind", "vq", "elem", "status", "type", "sector", "sectors")
    for row, ts, kind, vq, elem, status, *request in log.select(columns).iter_rows():
        if kind == "dev_blk_start":
            asks[elem] = (request[0], request[1], request[2])
            for queue in lost.values():
                queue.later[asks[elem]] += 1
        elif kind == "dev_pop" and vq is not None:
            taken[vq][elem] = row
        elif kind == "dev_fill" and vq is not None:
            if taken[vq].pop(elem, None) is None:
                before[vq] = before.get(vq, 0) - 1
        elif kind == "dev_status" and status == 0:
            for number in {*taken, *before}:
                count = len(taken[number]) + max(before.get(number, 0), 0)
                if count:
                    rows = (row, *sorted(taken[number].values())[:1])
                    known = Counter(asks[e] for e in taken[number] if e in asks)
                    lost[number] = ResetQueue(
                        dev, number, count, max(end - ts, 0), rows, known=known
                    )
            taken.clear()
            before = {}
        if kind == "dev_status":
            for queue in lost.values():
                queue.in_use = bool(status & bits.DRIVER_OK)
    return list(lost.values())
