# SPDX-License-Identifier: GPL-2.0-only
"""The two observers compared: where they disagree, one of them is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from pykit.spec import bits
from pykit.spec.arrays import WRAP, are, ints
from pykit.spec.lives import Life
from pykit.spec.model import Result, Violation, rule
from pykit.spec.rings import SPLIT
from pykit.spec.view import View
from pykit.trace import QmpAnswer
from pykit.trace.asked import STATUS_QUERY, feature_bits
from pykit.trace.kinds import SET_UP

QUEUE_QUERY = "x-query-virtio-queue-status"
#: When QMP is asked, the device is idle: few requests can follow, until it is unbound.
TAIL = 64
NO_ANSWER = "QMP was not asked while a driver was bound"
BUSY = "the queue was in use, set up more than once, or it is not certain whose life was asked"
ONE_SIDE = "seen from one side only"
#: What QMP calls the fields of the event ``queue``.
_RING = {"vring-num": "size", "vring-desc": "desc", "vring-avail": "avail", "vring-used": "used"}


def _answers(view: View, query: str) -> Iterator[tuple[QmpAnswer, Life | None]]:
    """Answers, with the life of the device that was then, None where that is not certain."""
    for answer in view.events.capture.qmp:
        if answer.query == query:
            dev = view.events.devices.get(answer.device)
            if dev is None:
                yield answer, None
                continue
            when = answer.time_ns
            if when is None:
                lives = [life for life in view.lives.values() if life.dev == dev and life.stages]
            else:
                now = _current(view, when)
                every = [life for life in view.lives.values() if now.get(life.dev) == life.number]
                # The guest gives the number of a device that is gone to the next one.
                lives = [life for life in every if life.dev == dev]
            yield answer, lives[0] if len(lives) == 1 else None


def _current(view: View, when: int) -> dict[int, int]:
    """The life of each device that goes on at a time, by QEMU's log, whose clock is QMP's."""
    before = view.of("dev_status").filter(pl.col("dev").is_not_null() & (pl.col("ts") <= when))
    last = before.unique("dev", keep="last").drop_nulls("life")
    return dict(last.select("dev", "life").iter_rows())


@rule(
    "XC-01", needs="driver:features", title="Features in the driver's trace are those QMP tells of."
)
def features_agree(view: View) -> Result:
    checked, undecided = 0, 0
    found: list[Violation] = []
    # What QMP itself told is no second account.
    asked = set(view.of("features").filter(source="qmp")["row"].to_list())
    for answer, life in _answers(view, STATUS_QUERY):
        last = life.negotiated if life else None
        said = feature_bits(answer.answer.get("guest-features", {}))
        if last is None or life is None or said is None or last.row in asked:
            undecided += 1
            continue
        checked += 1
        # A device drops what it had not offered.
        other = (last.acked & last.offered) ^ said
        if other:
            text = f"{life.name}: QMP and the trace disagree on bits {bits.names_of(other)}"
            found.append(Violation((last.row,), text))
    return Result(checked, tuple(found), undecided, NO_ANSWER, BUSY)


@rule(
    "XC-02",
    needs="driver:queue",
    title="Rings and their indices in the driver's trace are those QMP tells of.",
)
def indices_agree(view: View) -> Result:
    rings = view.rings
    checked, undecided = 0, 0
    found: list[Violation] = []
    for answer, life in _answers(view, QUEUE_QUERY):
        name = (life.dev, life.number, answer.queue) if life else None
        said = answer.answer
        q = next((n for n, queue in enumerate(rings.queue) if queue == name and rings.alone[n]), -1)
        if q < 0 or rings.layout[q] != SPLIT or not rings.whole[q] or said.get("inuse"):
            undecided += 1
            continue
        uneven = said["last-avail-idx"] != said["used-idx"] or answer.time_ns is None
        if uneven and _outstanding(view, q):
            undecided += 1
            continue
        checked += 1
        row, wrong = _disagreement(view, q, said, answer.time_ns)
        if wrong:
            found.append(Violation((row,), f"{rings.name(q)}: {wrong}"))
    return Result(checked, tuple(found), undecided, NO_ANSWER, BUSY)


def _outstanding(view: View, q: int) -> bool:
    """Whether the trace of a queue ends with chains that were not returned."""
    taken = np.count_nonzero((view.used.q == q) & view.used.fresh & (view.used.accepted == 1))
    return bool(np.count_nonzero(view.adds.q == q) != taken)


def _disagreement(
    view: View, q: int, said: dict[str, Any], when: int | None
) -> tuple[int, str | None]:
    """The row that shows what the trace says, and how QMP says otherwise, or None."""
    rings = view.rings
    setups = rings.of("queue").of_queue(q)
    setup = next(setups.take(setups["op"] == SET_UP).dicts("row", *_RING.values()))
    for theirs, ours in _RING.items():
        if theirs in said and said[theirs] != setup[ours]:
            return setup["row"], f"QMP: {theirs} {said[theirs]}, traced: {setup[ours]}"
    mine = rings.of("add", "used").of_queue(q)
    fresh = np.isin(ints(mine, "row"), view.used.row[view.used.fresh & (view.used.accepted == 1)])
    added = np.cumsum(are(mine, "add")) + int(rings.avail[q])
    taken = np.cumsum(are(mine, "used") & fresh) + int(rings.used[q])
    avail, used = int(said["last-avail-idx"]), int(said["used-idx"])
    popped, filled = _by_then(view, q, when)
    if popped is None:
        # Idle: everything made available was used, and not much can have come after.
        fits = (added >= (int(added[-1]) if len(added) else 0) - TAIL) & (added == taken)
    else:
        # What the driver never came to take, it cannot show.
        filled += int(rings.used[q])
        taken = np.where(_outstanding(view, q) & (taken <= filled), filled, taken)
        fits = (added == popped + rings.avail[q]) & (taken == filled)
    match = fits & (added % WRAP == avail) & (taken % WRAP == used)
    unused = (avail, used) == (rings.avail[q], rings.used[q]) and not popped
    if match.any() or (unused and (popped == 0 or not len(added))):
        return setup["row"], None
    end = int(mine["row"][-1]) if len(mine) else setup["row"]
    last = f"{added[-1] if len(added) else 0} made available, {taken[-1] if len(taken) else 0} used"
    return end, f"QMP: avail idx {avail}, used idx {used}; traced: {last}"


def _by_then(view: View, q: int, when: int | None) -> tuple[int | None, int]:
    """How many chains of a queue QEMU's log has popped and filled at a time, None if unknown."""
    dev, life, vq = view.rings.queue[q]
    if when is None or "qemu" not in view.sources:
        return None, 0
    mine = (pl.col("dev") == dev) & (pl.col("life") == life) & (pl.col("vq") == vq)
    kinds = view.of("dev_pop", "dev_fill").filter(mine & (pl.col("ts") <= when))["kind"]
    kinds = kinds.cast(pl.String)
    return int((kinds == "dev_pop").sum()), int((kinds == "dev_fill").sum())


@rule(
    "XC-03",
    needs=("driver:add", "qemu:dev_pop"),
    title="What the driver made available and took is what the device popped and filled.",
)
def traffic_agrees(view: View) -> Result:
    rings, used = view.rings, view.used
    checked, undecided = 0, 0
    found: list[Violation] = []
    device = view.columns("dev_pop", "dev_fill")
    nothing, queues = device.take(slice(0)), device.by_queue()
    for q, name in enumerate(rings.queue):
        if not rings.alone[q] or not rings.whole[q] or rings.layout[q] != SPLIT:
            continue
        life = view.life(name[0], name[1])
        if not life.written or name[0] in view.elsewhere:
            # The device's side of this life was not seen.
            undecided += 1
            continue
        rows = queues.get(name, nothing)
        popped = int(are(rows, "dev_pop").sum())
        fills = rows.take(are(rows, "dev_fill"))
        added = view.adds.row[view.adds.q == q]
        taken = np.flatnonzero((used.q == q) & used.fresh & (used.accepted == 1))
        if not len(added) and not len(rows):
            continue
        checked += 1
        closed = life.stage(bits.REMOVED, bits.FREEZE) is not None
        told = [len(added), popped, len(fills), len(taken)]
        if not _plausible(told, closed=closed, whole=view.events.capture.outcome.kind == "clean"):
            text = f"{told[0]} chains added, {told[1]} popped; {told[2]} filled, {told[3]} taken"
            end = int(added[-1]) if len(added) else int(rows["row"][-1])
            found.append(Violation((end,), f"{rings.name(q)}: {text}"))
        both = min(len(fills), len(taken))
        differs = ints(fills, "len")[:both] != used.len[taken][:both]
        found += [
            Violation(
                (int(used.row[taken[i]]), int(fills["row"][i])),
                f"{rings.name(q)}: entry {used.index[taken[i]]}: filled with len"
                f" {fills['len'][i]}, read as {used.len[taken[i]]}",
            )
            for i in np.flatnonzero(differs).tolist()
        ]
    return Result(checked, tuple(found), undecided, "no queue was used", ONE_SIDE)


def _plausible(told: list[int], *, closed: bool, whole: bool) -> bool:
    """Whether counts of added, popped, filled and taken chains can belong together."""
    added, popped, filled, taken = told
    if closed and added == taken:
        return popped == filled == added
    if closed:
        return taken <= filled <= popped <= added
    # The guest's trace may have been stopped before QEMU's log, and QEMU's cut off by its end.
    return not whole or taken <= filled <= popped
