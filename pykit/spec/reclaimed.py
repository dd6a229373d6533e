# SPDX-License-Identifier: GPL-2.0-only
"""Requests outstanding when a device or a queue was reset, or a queue broke: their end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import Bools, are, ints
from pykit.spec.owed import carries_requests
from pykit.spec.timing import PREEMPTED_TASK
from pykit.spec.view import View
from pykit.trace.kinds import BROKEN, DELETED


@dataclass(frozen=True)
class InterruptedQueue:
    """A queue of requests that was reset, alone or with its device, or broke with any outstanding.

    Attributes:
        q: the queue, by its number in ``view.rings``.
        name: the queue's name, for messages.
        outstanding: requests at that moment.
        reclaimed: those that were answered or taken back by the queue's end.
        doubtful: answers may be another chain's.
        open: the queue is there still, and the trace ends within 10 s.
        rows: the reset or break, and the first request.
    """

    q: int
    name: str
    outstanding: int
    reclaimed: int
    doubtful: bool
    open: bool
    rows: tuple[int, int]

    @property
    def forgotten(self) -> int:
        """Return how many requests are neither answered nor taken back."""
        return 0 if self.doubtful else max(self.outstanding - self.reclaimed, 0)

    @property
    def sentence(self) -> str:
        """Say how many requests were forgotten."""
        return (
            f"{self.name}: {self.forgotten} of {self.outstanding} requests were neither answered "
            "nor taken back"
        )


def request_queues(view: View) -> Bools:
    """By q: whether each chain of the queue is a request that has to be answered."""
    return view.keep("queues of requests", _request_queues)


def _request_queues(view: View) -> Bools:
    return np.array(
        [carries_requests(view.life(dev, life).id, vq) for dev, life, vq in view.rings.queue],
        dtype=np.bool_,
    )


def interrupted_queues(view: View) -> Iterator[InterruptedQueue]:
    """Yield the queues of requests that were reset, alone or with their device, or broke."""
    rings, adds, pairs, used = view.rings, view.adds, view.pairs, view.used
    times = view.events.base["time"]
    # What the driver took for the answer of a request may be that of another one.
    strange = (used.accepted == 1) & (pairs.add_of < 0)
    renewed = {old for old, _ in renewals(view)}
    for q, requests in enumerate(request_queues(view).tolist()):
        if not requests or not rings.whole[q]:
            continue
        events = rings.of("queue", "detach").of_queue(q)
        ops = np.where(are(events, "queue"), ints(events, "op"), -1)
        row = ints(events, "row")
        ends = ops == BROKEN
        if q in renewed:
            ends |= ops == DELETED
        broke = _first_break(view, q, row[ends].tolist())
        if broke is None:
            continue
        # Chains are in the order of their queues.
        low, high = np.searchsorted(adds.q, [q, q + 1])
        mine = np.arange(low, high)[adds.row[low:high] < broke]
        entry = pairs.used_of[mine]
        before = (entry >= 0) & (used.row[np.maximum(entry, 0)] < broke if len(used.row) else False)
        taken_back = row[are(events, "detach")]
        early = int(np.count_nonzero(taken_back < broke))
        outstanding = mine[~before][early:]
        if not len(outstanding):
            continue
        answered = int(np.count_nonzero(pairs.used_of[outstanding] >= 0))
        recent = view.end[0] - int(times[broke] or 0) < PREEMPTED_TASK
        yield InterruptedQueue(
            q=q,
            name=rings.name(q),
            outstanding=len(outstanding),
            reclaimed=answered + int(np.count_nonzero(taken_back >= broke)),
            doubtful=bool(pairs.doubtful[low:high].any() or strange[used.q == q].any()),
            open=not (ops == DELETED).any() and recent,
            rows=(broke, int(adds.row[outstanding[0]])),
        )


def renewals(view: View) -> Iterator[tuple[int, int]]:
    """Yield each queue that was reset alone (section 2.6.1), and the one that it became.

    That is a queue that is deleted and set up anew within a life with RING_RESET.
    """
    rings = view.rings
    last: dict[tuple[int, int, int], int] = {}
    for q, name in enumerate(rings.queue):
        if name in last and rings.whole[q] and view.life(*name[:2]).has(bits.RING_RESET):
            yield last[name], q
        last[name] = q


def _first_break(view: View, q: int, broken: list[int]) -> int | None:
    """Return the row of the first reset of a queue's device, or break of the queue, if any."""
    dev, life, _ = view.rings.queue[q]
    begun = int(view.rings.row[np.searchsorted(view.rings.q, q)])
    resets = [
        s.row for s in view.life(dev, life).status if s.op == bits.STATUS_RESET and s.row > begun
    ]
    return min([*resets, *broken], default=None)
