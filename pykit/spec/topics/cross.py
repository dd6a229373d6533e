# SPDX-License-Identifier: GPL-2.0-only
"""Cross-checks of two observers: where they disagree, one of them is wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple, get_args

import numpy as np
import polars as pl

from pykit.scenario import Trouble
from pykit.spec import bits
from pykit.spec.arrays import WRAP, are, ints
from pykit.spec.lives import Life
from pykit.spec.model import Result, Violation, rule
from pykit.spec.rings import SPLIT, UNKNOWN
from pykit.spec.rows import Tally
from pykit.spec.view import View
from pykit.trace import QmpAnswer
from pykit.trace.asked import feature_bits
from pykit.trace.capture import QUEUE_QUERY, STATUS_QUERY
from pykit.trace.kinds import SET_UP

#: How many chains may follow an answer without a time: QMP is queried while the device is idle,
#: so that only the few requests before an unbind can follow.
TAIL = 64
NO_ANSWER = "QMP was not queried while a driver was bound"
BUSY = "the queue was in use, set up more than once, or the answer's life is not certain"
ONE_OBSERVER = "seen from one side only"
#: Names of QMP's answer for fields of the event ``queue``.
_RING = {"vring-num": "size", "vring-desc": "desc", "vring-avail": "avail", "vring-used": "used"}


def _answers(view: View, query: str) -> Iterator[tuple[QmpAnswer, Life | None]]:
    """Return QMP's answers, each with the device's life at that time, None if not certain."""
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
    """Return each device's life at a time, by QEMU's log, which has the clock of QMP's answers."""
    before = view.of("dev_status").filter(pl.col("dev").is_not_null() & (pl.col("ts") <= when))
    last = before.unique("dev", keep="last").drop_nulls("life")
    return dict(last.select("dev", "life").iter_rows())


@rule("XC-01", needs="driver:features", title="Features in the driver's trace are those of QMP.")
def features_agree(view: View) -> Result:
    """No clause: both observers report the same negotiated features.

    Checked: each answer of QMP about a device's features, against the last traced state of the
    negotiation. Of what the driver acknowledged, only what was offered counts: QEMU drops the
    rest.

    Undecided: an answer whose life is not certain, one without features, and one whose life has
    its features from QMP, so that nothing else was seen.
    """
    tally = Tally(none=NO_ANSWER, doubt=BUSY)
    from_qmp = set(view.of("features").filter(source="qmp")["row"].to_list())
    for answer, life in _answers(view, STATUS_QUERY):
        last = life.negotiated if life else None
        reported = feature_bits(answer.answer.get("guest-features", {}))
        if last is None or life is None or reported is None or last.row in from_qmp:
            tally.undecided()
            continue
        differing = (last.acked & last.offered) ^ reported
        text = f"{life.name}: QMP and the trace disagree on bits {bits.names_of(differing)}"
        tally.check(not differing, last.row, text)
    return tally.result()


@rule(
    "XC-02",
    needs=("driver:queue", "driver:add", "driver:used"),
    title="Rings and their indices in the driver's trace are those of QMP.",
)
def indices_agree(view: View) -> Result:
    """No clause: both observers report the same ring addresses, sizes and indices.

    Checked: each answer of QMP about a split queue that was seen from its set-up on:

    - With a time, and QEMU's log: the indices are those of the log at a moment between QMP's
      answer before and this one, since a guest that is only watched goes on meanwhile. The driver
      came to make as many available, and to take as many; entries that it never took, up to the
      trace's end, count as taken.
    - Otherwise: at some point of the trace without outstanding chains, not further than 64 chains
      from the end, both have these values, as QMP is queried while the device is idle.
    - A queue that QMP shows unused, with its indices as they were at set-up, fits a trace in
      which it was not used, or in which QEMU had popped nothing by then.

    Undecided: a queue in use by QEMU at that moment, one that was set up more than once or is
    not known for certain, and an answer that finds chains under way (indices that differ, or no
    time) on a queue whose trace ends with outstanding chains.
    """
    rings = view.rings
    tally = Tally(none=NO_ANSWER, doubt=BUSY)
    for answer, life in _answers(view, QUEUE_QUERY):
        span = _asked(view, answer)
        name = (life.dev, life.number, answer.queue) if life else None
        reported = answer.answer
        q = next((n for n, queue in enumerate(rings.queue) if queue == name and rings.alone[n]), -1)
        if q < 0 or rings.layout[q] != SPLIT or not rings.whole[q] or reported.get("inuse"):
            tally.undecided()
            continue
        if "last-avail-idx" not in reported:
            # A vhost back-end may not report it.
            tally.undecided()
            continue
        uneven = reported["last-avail-idx"] != reported["used-idx"] or answer.time_ns is None
        if uneven and _outstanding(view, q):
            tally.undecided()
            continue
        row, wrong = _disagreement(view, q, reported, span)
        tally.check(wrong is None, row, f"{rings.name(q)}: {wrong}")
    return tally.result()


def _outstanding(view: View, q: int) -> bool:
    """Return whether the trace of a queue ends with chains that were not returned."""
    taken = np.count_nonzero((view.used.q == q) & view.used.fresh & (view.used.accepted == 1))
    return bool(np.count_nonzero(view.adds.q == q) != taken)


def _disagreement(
    view: View, q: int, reported: dict[str, Any], span: tuple[int, int] | None
) -> tuple[int, str | None]:
    """Return the row that shows the trace's account, and how QMP's differs, None if it does not."""
    rings = view.rings
    setups = rings.of("queue").of_queue(q)
    setup = next(setups.take(setups["op"] == SET_UP).dicts("row", *_RING.values()))
    for theirs, ours in _RING.items():
        if theirs in reported and reported[theirs] != setup[ours]:
            return setup["row"], f"QMP: {theirs} {reported[theirs]}, traced: {setup[ours]}"
    own = rings.of("add", "used").of_queue(q)
    fresh = np.isin(ints(own, "row"), view.used.row[view.used.fresh & (view.used.accepted == 1)])
    added = np.cumsum(are(own, "add")) + int(rings.avail[q])
    taken = np.cumsum(are(own, "used") & fresh) + int(rings.used[q])
    avail, used = int(reported["last-avail-idx"]), int(reported["used-idx"])
    moments = _moments(view, q, span)
    begin = int(rings.avail[q]), int(rings.used[q])
    if moments is None:
        # Idle: everything made available was used, and not much can have come after.
        fits = (added >= (int(added[-1]) if len(added) else 0) - TAIL) & (added == taken)
        match = bool((fits & (added % WRAP == avail) & (taken % WRAP == used)).any())
        unused = not len(added)
    else:
        # Entries that the driver never came to take are in no trace of it.
        late = _outstanding(view, q)
        match = any(
            (popped % WRAP, filled % WRAP) == (avail, used)
            and popped in added
            and (filled in taken or late)
            for popped, filled in moments
        )
        unused = begin in moments
    if match or (unused and (avail, used) == begin):
        return setup["row"], None
    end = int(own["row"][-1]) if len(own) else setup["row"]
    last = f"{added[-1] if len(added) else 0} made available, {taken[-1] if len(taken) else 0} used"
    return end, f"QMP: avail idx {avail}, used idx {used}; traced: {last}"


def _asked(view: View, answer: QmpAnswer) -> tuple[int, int] | None:
    """Return when QMP made an answer: from its answer before to this one, None if unknown."""
    if answer.time_ns is None:
        return None
    same_look = [other for other in view.events.capture.qmp if other.at == answer.at]
    before = [other.time_ns for other in same_look if other.time_ns is not None]
    return max((ns for ns in before if ns < answer.time_ns), default=answer.time_ns), answer.time_ns


def _moments(
    view: View, q: int, span: tuple[int, int] | None
) -> Collection[tuple[int, int]] | None:
    """Return the device's indices of a queue in a span of time, by QEMU's log: chains popped and
    filled, counted from those at set-up. None if they are unknown.
    """
    dev, life, vq = view.rings.queue[q]
    if span is None or "qemu" not in view.sources:
        return None
    own = (pl.col("dev") == dev) & (pl.col("life") == life) & (pl.col("vq") == vq)
    log = view.of("dev_pop", "dev_fill").filter(own & (pl.col("ts") <= span[1]))
    pop = (log["kind"].cast(pl.String) == "dev_pop").to_numpy()
    first = int((log["ts"] <= span[0]).sum())
    popped = np.append(0, np.cumsum(pop))[first:] + int(view.rings.avail[q])
    filled = np.append(0, np.cumsum(~pop))[first:] + int(view.rings.used[q])
    return set(zip(popped.tolist(), filled.tolist(), strict=True))


class _Counts(NamedTuple):
    """Chains of one queue: ``added`` and ``taken`` by the driver, the others by QEMU."""

    added: int
    popped: int
    filled: int
    taken: int

    def plausible(self, *, closed: bool, clean: bool) -> bool:
        """Return whether the counts can belong together.

        Args:
            closed: the driver was removed or suspended before the trace ended.
            clean: the run ended as planned.
        """
        added, popped, filled, taken = self
        if closed and added == taken:
            return popped == filled == added
        if closed:
            return taken <= filled <= popped <= added
        # The guest's trace may have been stopped before QEMU's log, and QEMU's cut off by its end.
        return not clean or taken <= filled <= popped


@rule(
    "XC-03",
    needs=("driver:add", "driver:used", "qemu:dev_pop"),
    title="What the driver made available and took is what the device popped and filled.",
)
def traffic_agrees(view: View) -> Result:
    """No clause: both observers report the same traffic on each virtqueue.

    Checked: each queue that was used, seen from its set-up on and set up once: counts of
    chains added and popped, filled and taken, and entry by entry the used len that QEMU filled in
    and the driver read.

    - A queue whose driver was removed or suspended: all counts are equal if every chain came
      back; else none of taken, filled, popped, added exceeds the next.
    - Otherwise the trace ends at some moment: none of taken, filled, popped exceeds the next.
      The guest's trace may end before QEMU's log, so that added may lag behind. If the run did
      not end as planned, either log may be cut off, and only lengths are compared.

    Undecided: queues of a life whose device side was not seen, or which another process or the
    kernel serves.
    """
    rings, used = view.rings, view.used
    tally = Tally(none="no queue was used", doubt=ONE_OBSERVER)
    device = view.columns("dev_pop", "dev_fill")
    nothing, queues = device.take(slice(0)), device.by_queue()
    clean = view.events.capture.outcome.kind in ("clean", *get_args(Trouble))
    for q, name in enumerate(rings.queue):
        if not rings.alone[q] or not rings.whole[q] or rings.layout[q] == UNKNOWN:
            continue
        life = view.life(name[0], name[1])
        if not life.written or name[0] in view.elsewhere:
            tally.undecided()
            continue
        rows = queues.get(name, nothing)
        fills = rows.take(are(rows, "dev_fill"))
        added = view.adds.row[view.adds.q == q]
        taken = np.flatnonzero((used.q == q) & used.fresh & (used.accepted == 1))
        if not len(added) and not len(rows):
            continue
        counts = _Counts(len(added), int(are(rows, "dev_pop").sum()), len(fills), len(taken))
        closed = life.stage(bits.REMOVED, bits.FREEZE) is not None
        end = int(added[-1]) if len(added) else int(rows["row"][-1])
        tally.check(
            counts.plausible(closed=closed, clean=clean),
            end,
            f"{rings.name(q)}: {counts.added} chains added, {counts.popped} popped;"
            f" {counts.filled} filled, {counts.taken} taken",
        )
        both = min(len(fills), len(taken))
        differing = ints(fills, "len")[:both] != used.len[taken][:both]
        tally.check_together(
            0,
            [
                Violation(
                    (int(used.row[taken[i]]), int(fills["row"][i])),
                    f"{rings.name(q)}: entry {used.index[taken[i]]}: filled with len"
                    f" {fills['len'][i]}, read as {used.len[taken[i]]}",
                )
                for i in np.flatnonzero(differing).tolist()
            ],
        )
    return tally.result()
