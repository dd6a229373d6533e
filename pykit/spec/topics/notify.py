# SPDX-License-Identifier: GPL-2.0-only
"""Available buffer notifications, and the driver's side of used ones (sections 2.7.7, 2.7.10).

A decision to notify is worked out again from the indices, over the whole range of entries
that are new since the last decision, and compared with what was done: whether the same task
rang the doorbell before it went on. What the core said it would do does not count.

Doorbells that an add rang which failed are no decision's; see ``refused.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import (
    AT_ONCE,
    WRAP,
    Bools,
    Columns,
    Ints,
    are,
    contradicts,
    first_of,
    ints,
    need_event,
)
from pykit.spec.model import Result, breaches, rule
from pykit.spec.rings import SPLIT
from pykit.spec.topics.refused import answered, refusals, tasks_of, unasked
from pykit.spec.view import View
from pykit.trace.kinds import LEFT

#: So long after its last sign of life a task is not in the middle of ringing, ns.
SURELY = 10_000_000_000
#: More than there are rows.
ROWS = 1 << 33
NO_KICK = "no such decision was made"
UNSTABLE = "what the device asked for changed meanwhile, or the trace ends there"


@dataclass(frozen=True)
class Kicks:
    """Decisions on split rings about new entries.

    By decision: ``row at q``, ``event_idx`` (mode), ``stable`` (the device's wish was the
    same before and after), ``asked`` (it wished for one of the new entries), ``rang`` (the
    doorbell followed), ``open`` (not decidable whether it would have), ``answered`` (an add
    that failed had rung for these very entries before), ``at_once``,
    ``said`` (what the core said), ``flagged`` (the used flag was set before and after).
    """

    row: Ints
    q: Ints
    event_idx: Bools
    stable: Bools
    asked: Bools
    rang: Bools
    open: Bools
    answered: Bools
    at_once: Bools
    said: Bools
    flagged: Bools


def kicks(view: View) -> Kicks:
    """All decisions on split rings in which there was something new."""
    return view.keep("kicks", _read_kicks)


def _read_kicks(view: View) -> Kicks:
    rings = view.rings
    frame = rings.of("add", "kick", "notify")
    # Neither the doorbells of adds that failed nor what was rung right after one.
    if len(bells := refusals(view).bells):
        frame = frame.take(~np.isin(frame["row"], bells))
    task = tasks_of(view, frame)
    # What stands in the order of ``at`` is in that of q already.
    order = np.lexsort((task, ints(frame, "q")))
    frame, task = frame.take(order), task[order]
    is_kick, is_notify = are(frame, "kick"), are(frame, "notify")
    q, row, ts = ints(frame, "q"), ints(frame, "row"), rings.base_of(frame, "ts")
    follows = np.zeros(len(q), dtype=np.bool_)
    follows[:-1] = (q[1:] == q[:-1]) & (task[1:] == task[:-1])
    rang = np.zeros(len(q), dtype=np.bool_)
    rang[:-1] = follows[:-1] & is_notify[1:]
    soon = np.zeros(len(q), dtype=np.bool_)
    soon[:-1] = ts[1:] - ts[:-1] <= AT_ONCE

    old, new = ints(frame, "old"), ints(frame, "new")
    event, after = ints(frame, "event"), ints(frame, "event_after")
    mode = rings.event_idx(q, ints(frame, "event_idx"))
    asked = np.where(mode, need_event(event, new, old), event & 1 == 0)
    wanted = is_kick & (rings.layout[q] == SPLIT) & ((new - old) % WRAP != 0)
    # Who joined a queue does not know what was new at the first decision that he saw.
    known = rings.whole[q]
    known |= ints(frame, "at") > _first(q, ints(frame, "at"), is_kick, len(rings.queue))[q]
    wanted &= known
    silent = wanted & ~rang
    rang |= _nested(q, task, is_kick, is_notify, silent & (ints(frame, "needed") == 1))
    open_ = _undecided(view, frame, task, np.flatnonzero(silent & asked & ~rang))
    # Who left between the decision and its doorbell did not hear that.
    queues = rings.of("queue")
    open_ |= ~follows & np.isin(q, queues["q"][queues["op"] == LEFT])
    pick = np.flatnonzero(wanted)
    return Kicks(
        row=row[pick],
        q=q[pick],
        event_idx=mode[pick],
        stable=(event == after)[pick],
        asked=asked[pick],
        rang=rang[pick],
        open=open_[pick],
        answered=answered(view, q[pick], ints(frame, "at")[pick], old[pick], new[pick]),
        at_once=soon[pick],
        said=(ints(frame, "needed") == 1)[pick],
        flagged=_used_flag(view, frame)[pick],
    )


def _used_flag(view: View, frame: Columns) -> Bools:
    """Whether the used flag was set, both times; not all tracepoints read it."""
    if not {"flags", "flags_after"} <= {*view.events.fields["kick"]}:
        return np.zeros(len(frame), dtype=np.bool_)
    set_: Bools = ints(frame, "flags") & ints(frame, "flags_after") & 1 == 1
    return set_


def _nested(q: Ints, task: Ints, is_kick: Bools, is_notify: Bools, silent: Bools) -> Bools:
    """Decisions that an interrupt came between: their doorbell follows the interrupt's own.

    The interrupt's events carry the number of the task it interrupted. One doorbell more
    than decisions, right behind a complete inner sequence, is the outer decision's.
    """
    found = np.zeros(len(q), dtype=np.bool_)
    if not silent.any():
        return found
    extra = np.zeros(len(q), dtype=np.bool_)
    extra[1:] = is_notify[1:] & is_notify[:-1] & (q[1:] == q[:-1]) & (task[1:] == task[:-1])
    for i in np.flatnonzero(extra).tolist():
        depth, at = 2, i - 2
        while at >= 0 and q[at] == q[i] and task[at] == task[i] and i - at < 64:
            depth += int(is_notify[at]) - int(is_kick[at] and (silent[at] or is_notify[at + 1]))
            if depth == 0:
                found[at] = bool(silent[at])
                break
            at -= 1
    return found


def _undecided(view: View, frame: Columns, task: Ints, silent: Ints) -> Bools:
    """Which missing doorbells prove nothing: the trace ends, or the queue is broken."""
    found = np.zeros(len(frame), dtype=np.bool_)
    if not len(silent):
        return found
    rings = view.rings
    queue = rings.of("notify", "used")
    q, at, row = (ints(queue, name) for name in ("q", "at", "row"))
    accepted = ints(queue, "accepted") == 1
    rejected = _first(q, at, are(queue, "used") & ~accepted, len(rings.queue))
    # Neither is done with a broken queue. By queue and row.
    alive = are(queue, "notify") | accepted
    signs = np.sort(q[alive] * ROWS + row[alive])
    # Everything that tasks did, on any queue. By task and row.
    failed = rings.of("refused")
    doings = np.concatenate([task, tasks_of(view, failed)]) * ROWS
    doings = np.sort(doings + np.concatenate([ints(frame, "row"), ints(failed, "row")]))
    times = view.events.base["ts"]
    places = (frame[name][silent].tolist() for name in ("q", "at", "row"))
    for i, own, place, mine in zip(silent.tolist(), *places, strict=True):
        dev, life, _ = rings.queue[own]
        when = times[mine]
        end = _next_end(view, dev, life, mine)
        moved = _next(doings, int(task[i]), mine)
        if rejected[own] < place:
            found[i] = True
        elif moved is None:
            found[i] = bool(end) or when is None or view.end[0] - when < SURELY
        elif end is not None:
            # A device that was pulled out is broken before its driver hears of it; a sign of
            # life after the task went on shows that the queue was not when it did.
            sign = _next(signs, own, moved)
            found[i] = sign is None or sign > end
    return found


def _next(marks: Ints, group: int, row: int) -> int | None:
    """The first row behind ``row`` among those of a group."""
    place = int(np.searchsorted(marks, group * ROWS + row, side="right"))
    if place < len(marks) and marks[place] // ROWS == group:
        return int(marks[place] % ROWS)
    return None


def _first(q: Ints, at: Ints, chosen: Bools, count: int) -> Ints:
    """By queue: the first place at which ``chosen`` holds."""
    first = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(first, q[chosen], at[chosen])
    return first


def _next_end(view: View, dev: int, number: int, row: int) -> int | None:
    """The next row after which a life's queues may be dead: removal, freeze or reset."""
    life = view.life(dev, number)
    ends = [s.row for s in life.stages if s.stage in (bits.REMOVE, bits.FREEZE)]
    ends += [s.row for s in life.status if s.op == bits.STATUS_RESET]
    return min((end for end in ends if end > row), default=None)


def _missing(view: View, chosen: Bools) -> Result:
    """Decisions that had to end in a doorbell."""
    k = kicks(view)
    judged = chosen & k.asked & k.stable & ~k.open
    wrong = judged & ~k.rang & ~k.answered
    flags = ~k.event_idx
    wrong &= k.event_idx | contradicts(judged & flags, wrong & flags, k.said)
    found = breaches(
        wrong,
        lambda i: f"{view.rings.name(k.q[i])}: new entries the device waits for, no doorbell",
        k.row,
    )
    undecided = chosen & k.asked & (~k.stable | k.open)
    return Result(int(judged.sum()), found, int(undecided.sum()), NO_KICK, UNSTABLE)


def _superfluous(view: View, *, event_idx: bool) -> Result:
    """Decisions that should not have ended in a doorbell, and adds that failed."""
    k = kicks(view)
    chosen = k.event_idx == event_idx
    judged = chosen & ~k.asked & k.stable & ~(k.rang & ~k.at_once)
    wrong = judged & k.rang
    flags = ~k.event_idx
    wrong &= k.event_idx | contradicts(judged & flags, wrong & flags, ~k.said)
    found = breaches(
        wrong,
        lambda i: f"{view.rings.name(k.q[i])}: doorbell for entries the device did not ask for",
        k.row,
    )
    undecided = chosen & ~k.asked & ~(k.stable & ~(k.rang & ~k.at_once))
    decisions = Result(int(judged.sum()), found, int(undecided.sum()), NO_KICK, UNSTABLE)
    return decisions + unasked(view, event_idx=event_idx)


@rule("NA-DR-06", needs="driver:kick")
def event_idx_doorbell(view: View) -> Result:
    return _missing(view, kicks(view).event_idx)


@rule("NA-DR-07", needs="driver:kick")
def event_idx_silence(view: View) -> Result:
    return _superfluous(view, event_idx=True)


@rule("NA-DR-04", needs="driver:kick")
def flag_doorbell(view: View) -> Result:
    return _missing(view, ~kicks(view).event_idx)


@rule("NA-DR-03", needs="driver:kick")
def flag_silence(view: View) -> Result:
    return _superfluous(view, event_idx=False)


@rule("NA-DR-05", needs="driver:kick")
def event_idx_overrides_flag(view: View) -> Result:
    k = kicks(view)
    judged = k.event_idx & k.flagged & k.asked & k.stable & ~k.open
    found = breaches(
        judged & ~k.rang & ~k.answered,
        lambda i: f"{view.rings.name(k.q[i])}: the used flag kept the driver from the doorbell",
        k.row,
    )
    return Result(int(judged.sum()), found, why="no device set the used flag with EVENT_IDX")


@rule("DX-16", needs="driver:kick")
def whole_batch_decides(view: View) -> Result:
    return _missing(view, np.ones(len(kicks(view).q), dtype=np.bool_))


def _used_flags(view: View, *, event_idx: bool) -> Result:
    """Used flags as the driver's decisions found them (two readings each)."""
    rings = view.rings
    frame = rings.of("kick")
    q = ints(frame, "q")
    mode = rings.event_idx(q, ints(frame, "event_idx"))
    judged = (rings.layout[q] == SPLIT) & (mode == event_idx)
    names = ("event", "event_after")
    if event_idx:
        names = ("flags", "flags_after")
        if not {*names} <= {*view.events.fields["kick"]}:
            return Result(0, why="the driver's tracepoints do not read the used flags")
    worst = np.maximum(ints(frame, names[0]), ints(frame, names[1]))
    found = breaches(
        judged & (worst > (0 if event_idx else 1)),
        lambda i: f"{rings.name(q[i])}: used flags are {worst[i]}",
        ints(frame, "row"),
    )
    return Result(int(judged.sum()), found, why=NO_KICK)


@rule("NA-DE-01", needs="driver:kick")
def used_flags_without_event_idx(view: View) -> Result:
    return _used_flags(view, event_idx=False)


@rule("NA-DE-03", needs="driver:kick")
def used_flags_with_event_idx(view: View) -> Result:
    return _used_flags(view, event_idx=True)


def _avail_flags(view: View, *, event_idx: bool) -> Result:
    rings = view.rings
    frame = rings.of("callback", "queue")
    q, flags = ints(frame, "q"), ints(frame, "avail_flags")
    setup = are(frame, "queue")
    # A queue's set-up does not say the mode itself; the negotiation does.
    said = np.where(setup, -1, ints(frame, "event_idx"))
    known = (rings.feature(bits.EVENT_IDX)[q] >= 0) | ~setup
    mode = rings.event_idx(q, said)
    judged = (rings.layout[q] == SPLIT) & known & (mode == event_idx)
    judged &= ~setup | (ints(frame, "op") == 0)
    found = breaches(
        judged & (flags > (0 if event_idx else 1)),
        lambda i: f"{rings.name(q[i])}: avail flags are {flags[i]}",
        ints(frame, "row"),
    )
    return Result(int(judged.sum()), found, why="no ring in that mode was seen")


@rule("NU-DR-01", needs="driver:callback|driver:queue")
def avail_flags_without_event_idx(view: View) -> Result:
    return _avail_flags(view, event_idx=False)


@rule("NU-DR-03", needs="driver:callback|driver:queue")
def avail_flags_with_event_idx(view: View) -> Result:
    return _avail_flags(view, event_idx=True)


@rule("NU-DR-05", needs="driver:interrupt")
def spurious_interrupts(view: View) -> Result:
    rings = view.rings
    frame = rings.of("interrupt", "used")
    q, index, seen = ints(frame, "q"), ints(frame, "index"), ints(frame, "used_idx")
    interrupt = are(frame, "interrupt")
    idle = interrupt & (seen == ints(frame, "last_used")) & (rings.layout[q] == SPLIT)
    after = np.zeros(len(q), dtype=np.bool_)
    after[1:] = idle[:-1] & ~interrupt[1:] & ~first_of(q)[1:]
    wrong = after & (index == seen) & (ints(frame, "accepted") == 1)
    found = breaches(
        wrong,
        lambda i: f"{rings.name(q[i])}: entry {index[i]} taken after an interrupt without one",
        ints(frame, "row"),
    )
    return Result(int(idle.sum()), found, why="no interrupt came without a new used entry")


@rule("DX-17", needs="driver:callback")
def no_lost_wakeup(view: View) -> Result:
    rings = view.rings
    frame = rings.of("callback", "used", "interrupt", "queue")
    q, row, ts = ints(frame, "q"), ints(frame, "row"), rings.base_of(frame, "ts")
    enable = are(frame, "callback") & (ints(frame, "enable") == 1) & (rings.layout[q] == SPLIT)
    pending = enable & (ints(frame, "pending") == 1)
    # With the event index, asking for an entry that is past is not asking at all.
    mode = rings.event_idx(q, ints(frame, "event_idx"))
    ahead = (ints(frame, "used_event") - ints(frame, "last_used")) % WRAP
    size = np.where(rings.size[q] > 0, rings.size[q], WRAP // 2)
    behind = enable & ~pending & mode & (ahead > size)

    # Other device types poll from a context of their own, where an interrupt may come first.
    inline = pending & (rings.device()[q] == bits.BLK_ID)
    last = np.ones(len(q), dtype=np.bool_)
    last[:-1] = q[1:] != q[:-1]
    slept = inline & ~last & np.roll(are(frame, "interrupt"), -1)
    stayed = inline & ~last & np.roll(are(frame, "used", "callback"), -1)
    slept |= inline & last & (view.end[0] - ts >= SURELY)
    judged = (enable & ~pending) | slept | stayed

    def say(i: int) -> str:
        where = rings.name(q[i])
        if behind[i]:
            return f"{where}: interrupts asked for at an entry that is past"
        return f"{where}: entries were pending, and the driver waited for an interrupt"

    found = breaches(behind | slept, say, row)
    return Result(
        int(judged.sum()), found, int((enable & ~judged).sum()), "interrupts were never enabled"
    )
