# SPDX-License-Identifier: GPL-2.0-only
"""Available buffer notifications, and the driver's side of used ones (sections 2.7.7, 2.7.10).

A decision to notify is repeated from the indices in memory, and its outcome compared with what
the task did next. What the core reported that it would do does not count. The events of one task
on one queue::

        add   add   add          kick                        notify
     ----+-----+-----+------------+----------------------------+-----> time
         '--- new entries ---'    |                            |
             old .. new           |                            notified
                                  '- event | event_after  <--->
                                     requested? stable?   at once (1 ms)?

- ``requested``: at the first reading the device requested a notification of one of the new
  entries (event index), or of any (flag 0). In packed rings the device's event suppression
  structure says which of the two it is.
- ``stable``: both readings are the same. Where they differ, the core may have met either one:
  the decision is undecided.
- ``notified``: the task's next event on the queue is a notification.
- ``open``: a missing notification proves nothing, as the task may have been stopped by the end
  of the trace, a removal of the device, or a queue that broke.

Notifications that came of adds which failed belong to no decision; see ``failed_adds.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import (
    NEVER,
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
from pykit.spec.model import Result, rule
from pykit.spec.packed import device_wishes, is_packed, slot_of
from pykit.spec.rows import Row, Rows
from pykit.spec.soil import given_up
from pykit.spec.standing import behind_index, index_at_decisions, standstills
from pykit.spec.timing import AT_ONCE, PREEMPTED_TASK
from pykit.spec.topics.availflags import avail_flags
from pykit.spec.topics.doorbells import superfluous_doorbells
from pykit.spec.topics.failed_adds import (
    by_task,
    failed_adds,
    notified_before,
    superfluous,
    tasks_of,
)
from pykit.spec.topics.unnotified import never_notified
from pykit.spec.view import View
from pykit.trace.kinds import LEFT

#: More than there are rows.
ROWS = 1 << 33
#: How far back the decision is looked for that an interrupt came between: interrupt handlers do
#: a handful of queue operations.
NESTED_EVENTS = 64
NO_DECISION = "no such decision was made"
UNSTABLE = "the device's suppression changed meanwhile, or the trace ends there"


@dataclass(frozen=True)
class Decisions:
    """Decisions about new entries; the module's docstring has the words.

    Attributes:
        row, q: of the kick.
        first, last: the first and the last new entry; packed rings: slots.
        packed: the ring is a packed one.
        event_idx: whether EVENT_IDX holds; packed rings: the device requested a notification of
            one descriptor.
        stable, requested, notified, open: see there.
        answered: a failed add had notified of these very entries before.
        at_once: the task's next event came at once.
        core_notifies: the core's own decision.
        flagged: the used ring's flag was set at both readings.
        event: what the device asked for, at the first reading: the entry or slot where
            ``event_idx`` holds, else flags.
    """

    row: Ints
    q: Ints
    first: Ints
    last: Ints
    packed: Bools
    event_idx: Bools
    stable: Bools
    requested: Bools
    notified: Bools
    open: Bools
    answered: Bools
    at_once: Bools
    core_notifies: Bools
    flagged: Bools
    event: Ints


def decisions(view: View) -> Decisions:
    """Return all decisions that had new entries."""
    return view.keep("decisions", _read_decisions)


def _read_decisions(view: View) -> Decisions:
    rings = view.rings
    frame = rings.of("add", "kick", "notify")
    if len(others := failed_adds(view).notifications):
        frame = frame.take(~np.isin(frame["row"], others))
    frame, task = by_task(view, frame)
    q, at = ints(frame, "q"), ints(frame, "at")
    old, new = ints(frame, "old"), ints(frame, "new")
    event, event_after = ints(frame, "event"), ints(frame, "event_after")
    is_kick, is_notify = are(frame, "kick"), are(frame, "notify")
    event_idx = rings.event_idx(q, ints(frame, "event_idx"))
    requested = np.where(event_idx, need_event(event, new, old), event & 1 == 0)
    stable, fresh = event == event_after, (new - old) % WRAP != 0
    packed = is_packed(view, q)
    first, last, asked = old, (new - 1) % WRAP, event
    if packed.any():
        wish = device_wishes(view, frame)
        requested = np.where(packed, wish.requested, requested)
        stable = np.where(packed, wish.stable, stable)
        fresh = np.where(packed, wish.new, fresh)
        event_idx = np.where(packed, wish.of_one, event_idx)
        size = np.maximum(rings.size[q], 1)
        first = np.where(packed, slot_of(old), first)
        last = np.where(packed, (slot_of(new) - 1) % size, last)
        asked = np.where(packed, np.where(wish.of_one, slot_of(event), ints(frame, "flags")), event)
    core_notifies = ints(frame, "needed") == 1

    # After a late join it is unknown which entries are new, at the queue's first decision.
    first_kick = _first(q, at, is_kick, len(rings.queue))
    known = rings.whole[q] | (at > first_kick[q])
    decided = is_kick & (rings.split(q) | packed) & fresh & known

    followed, at_once = _next_event(view, frame, task)
    notified = np.zeros(len(q), dtype=np.bool_)
    notified[:-1] = followed[:-1] & is_notify[1:]
    silent = decided & ~notified
    notified |= _notified_after_interrupt(q, task, is_kick, is_notify, silent & core_notifies)
    open_ = _proves_nothing(view, frame, task, np.flatnonzero(silent & requested & ~notified))
    # An observer that left between a decision and its notification did not trace that.
    queues = rings.of("queue")
    open_ |= ~followed & np.isin(q, queues["q"][queues["op"] == LEFT])
    pick = np.flatnonzero(decided)
    return Decisions(
        row=ints(frame, "row")[pick],
        q=q[pick],
        first=first[pick],
        last=last[pick],
        packed=packed[pick],
        event_idx=event_idx[pick],
        stable=stable[pick],
        requested=requested[pick],
        notified=notified[pick],
        open=open_[pick],
        answered=notified_before(view, q[pick], at[pick], old[pick], new[pick]),
        at_once=at_once[pick],
        core_notifies=core_notifies[pick],
        flagged=_used_flag(view, frame)[pick],
        event=asked[pick],
    )


def _next_event(view: View, frame: Columns, task: Ints) -> tuple[Bools, Bools]:
    """By row: does an event of the same task and queue follow; does the next row come at once."""
    q, ts = ints(frame, "q"), view.rings.base_of(frame, "ts")
    followed, at_once = (np.zeros(len(q), dtype=np.bool_) for _ in range(2))
    followed[:-1] = (q[1:] == q[:-1]) & (task[1:] == task[:-1])
    at_once[:-1] = ts[1:] - ts[:-1] <= AT_ONCE
    return followed, at_once


def _used_flag(view: View, frame: Columns) -> Bools:
    """By row: was the used ring's flag set at both readings; not all tracepoints read it."""
    if not {"flags", "flags_after"} <= {*view.events.fields["kick"]}:
        return np.zeros(len(frame), dtype=np.bool_)
    set_: Bools = ints(frame, "flags") & ints(frame, "flags_after") & 1 == 1
    return set_


def _notified_after_interrupt(
    q: Ints, task: Ints, is_kick: Bools, is_notify: Bools, silent: Bools
) -> Bools:
    """By row: did an interrupt come between this decision and its notification.

    The interrupt's events carry the number of the task that it interrupted::

        kick  [kick notify]  notify        the last one is the first decision's

    So two notifications in a row are looked for, and from there back the decision that leaves
    one more notification than decisions behind it.
    """
    found = np.zeros(len(q), dtype=np.bool_)
    if not silent.any():
        return found
    second = np.zeros(len(q), dtype=np.bool_)
    second[1:] = is_notify[1:] & is_notify[:-1] & (q[1:] == q[:-1]) & (task[1:] == task[:-1])
    for i in np.flatnonzero(second).tolist():
        unmatched, k = 2, i - 2
        while k >= 0 and q[k] == q[i] and task[k] == task[i] and i - k < NESTED_EVENTS:
            decides = is_kick[k] and (silent[k] or is_notify[k + 1])
            unmatched += int(is_notify[k]) - int(decides)
            if unmatched == 0:
                found[k] = bool(silent[k])
                break
            k -= 1
    return found


def _proves_nothing(view: View, frame: Columns, task: Ints, silent: Ints) -> Bools:
    """By row: which of the ``silent`` decisions prove nothing by their missing notification.

    - The queue was broken before the task went on: the core refused a used entry. An interrupt
      can come between a decision and its notification, which the core then leaves out.
    - The task did nothing after the decision, on any queue, and the trace ends soon after, or
      the device is removed, frozen or reset afterwards.
    - The task went on, but the queue shows no sign of life between that and the device's removal:
      a device that is pulled out is broken before its driver learns of it.
    """
    found = np.zeros(len(frame), dtype=np.bool_)
    if not len(silent):
        return found
    rings = view.rings
    queue = rings.of("notify", "used")
    q, row = ints(queue, "q"), ints(queue, "row")
    accepted = ints(queue, "accepted") == 1
    broken_at = _first(q, row, are(queue, "used") & ~accepted, len(rings.queue))
    # The core neither notifies nor accepts on a broken queue. By queue and row.
    alive = are(queue, "notify") | accepted
    signs_of_life = np.sort(q[alive] * ROWS + row[alive])
    # All that tasks did, on any queue. By task and row.
    failed = rings.of("add_failed")
    acts = np.concatenate([task, tasks_of(view, failed)]) * ROWS
    acts = np.sort(acts + np.concatenate([ints(frame, "row"), ints(failed, "row")]))
    times = view.events.base["ts"]
    places = (frame[name][silent].tolist() for name in ("q", "row"))
    for i, own, mine in zip(silent.tolist(), *places, strict=True):
        dev, life, _ = rings.queue[own]
        when = times[mine]
        end = _next_end(view, dev, life, mine)
        went_on = _next(acts, int(task[i]), mine)
        if broken_at[own] < (NEVER if went_on is None else went_on):
            found[i] = True
        elif went_on is None:
            found[i] = bool(end) or when is None or view.end[0] - when < PREEMPTED_TASK
        elif end is not None:
            sign = _next(signs_of_life, own, went_on)
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
    first = np.full(count, NEVER)
    np.minimum.at(first, q[chosen], at[chosen])
    return first


def _next_end(view: View, dev: int, number: int, row: int) -> int | None:
    """The next row after which a life's queues may be dead: removal, freeze or reset."""
    life = view.life(dev, number)
    ends = [s.row for s in life.stages if s.stage in (bits.REMOVE, bits.FREEZE)]
    ends += [s.row for s in life.status if s.op == bits.STATUS_RESET]
    return min((end for end in ends if end > row), default=None)


def _rows(view: View, d: Decisions) -> Rows:
    """Decisions whose messages can name the new entries, and what the device asked for."""
    return Rows.of(view.rings, d).labelled(new=_new_entries, asked=_asked)


def _new_entries(row: Row) -> str:
    """Name the new entries of a decision, in the index of the ring or as slots."""
    one, many = ("slot", "slots") if row["packed"] else ("entry", "entries")
    first, last = row["first"], row["last"]
    return f"{one} {first}" if first == last else f"{many} {first} to {last}"


def _asked(row: Row) -> str:
    """Name the device's suppression of notifications that a decision met."""
    if row["packed"]:
        return f"its event {'slot' if row['event_idx'] else 'flags'} {row['event']}"
    return f"avail_event {row['event']}" if row["event_idx"] else f"used flags {row['event']}"


def must_notify(view: View, chosen: Bools) -> Result:
    """Check that these decisions, as far as the device requested it, ended in a notification."""
    d = decisions(view)
    judged = chosen & d.requested & d.stable & ~d.open
    missing = judged & ~d.notified & ~d.answered
    flags = ~d.event_idx
    certain = contradicts(judged & flags, missing & flags, d.core_notifies)
    missing &= d.event_idx | certain | np.isin(d.row, _waited_for(view))
    table = _rows(view, d).plus(missing=missing).where(judged)
    undecided = chosen & d.requested & (~d.stable | d.open)
    return table.check(
        ~table["missing"],
        "{queue}: no notification of {new}, which the device requested by {asked}",
        none=NO_DECISION,
        undecided=int(undecided.sum()),
        doubt=UNSTABLE,
    )


def _waited_for(view: View) -> list[int]:
    """Return rows of decisions behind which a queue stands still, as its driver did not notify."""
    still = (entry for entry in standstills(view) if entry.state == "published")
    return [row for entry in still if entry.ns >= PREEMPTED_TASK for row in entry.rows]


def should_not_notify(view: View, chosen: Bools) -> Result:
    """Check that these decisions did not notify where the device suppressed it.

    A notification that did not come at once may be the doing of code that is not traced.
    """
    d = decisions(view)
    suppressed = chosen & ~d.requested
    clear = d.stable & (~d.notified | d.at_once)
    judged = suppressed & clear
    extra = judged & d.notified
    flags = ~d.event_idx
    extra &= d.event_idx | contradicts(judged & flags, extra & flags, ~d.core_notifies)
    recorded = view.events.recorded
    if recorded is not None and "add_failed" not in recorded:
        # Such a notification may be that of an add that failed, which was not recorded.
        clear &= ~extra
        judged &= ~extra
    table = _rows(view, d).plus(extra=extra).where(judged)
    return table.check(
        ~table["extra"],
        "{queue}: notification of {new}, which the device suppressed by {asked}",
        none=NO_DECISION,
        undecided=int((suppressed & ~clear).sum()),
        doubt=UNSTABLE,
    )


@rule("NA-DR-06", needs=("driver:kick", "driver:notify"))
def notifies_of_event_index(view: View) -> Result:
    """Section 2.7.10: with EVENT_IDX the driver notifies when it fills the entry at avail_event.

    Checked: each decision on a split queue with EVENT_IDX whose new entries include the one that
    the device requested a notification of.

    - Undecided (the topic's terms): avail_event changed between its two readings,
      or the missing notification proves nothing. A task without later events counts as stopped
      until it was silent for 10 s, since it may be preempted between decision and notification.
    - A failed add that notified of the very same entries before is enough.
    - After a late join the first decision is left out: it is unknown which entries are new.
    - A queue without any decision or notification is violated if its first chain did not come
      back for 10 s, or until the guest hung: a device requests that one until it looks.
    """
    d = decisions(view)
    own = must_notify(view, d.event_idx & ~d.packed)
    return own + never_notified(view, event_idx=True)


@rule("NA-DR-07", needs=("driver:kick", "driver:notify"))
def silent_off_event_index(view: View) -> Result:
    """Section 2.7.10: with EVENT_IDX the driver does not notify of entries but avail_event's.

    Checked: each decision on a split queue with EVENT_IDX whose new entries do not include the
    one that the device requested, each add that failed while the device requested none, and each
    decided notification where the registers' log has those that arrived: these are no more.

    Undecided: avail_event changed between its two readings, or the notification came later than
    1 ms: code that is not traced may have sent it.
    """
    d = decisions(view)
    own = should_not_notify(view, d.event_idx & ~d.packed)
    own += superfluous(view, event_idx=True)
    return own + superfluous_doorbells(view, packed=False)


@rule("NA-DR-04", needs=("driver:kick", "driver:notify"), also=("NA-DR-02",))
def notifies_without_flag(view: View) -> Result:
    """Section 2.7.10: without EVENT_IDX the driver notifies when the used ring's flag is 0.

    Checked: each decision on a split queue without EVENT_IDX at which the flag was 0.

    - A decision that goes by avail_event, which has no meaning without the feature, shows here or
      in NA-DR-03.
    - Undecided and left out: as for NA-DR-06.
    - The flag may change twice between its two readings. A missing notification counts where the
      core decided to notify, where more than a fifth of all decisions lack theirs, or where the
      queue then stands still for 10 s.
    - A queue without any decision: as for NA-DR-06.
    """
    d = decisions(view)
    own = must_notify(view, ~d.event_idx & ~d.packed)
    return own + never_notified(view, event_idx=False)


@rule("NA-DR-03", needs=("driver:kick", "driver:notify"))
def silent_with_flag(view: View) -> Result:
    """Section 2.7.10: without EVENT_IDX the driver does not notify when the used ring's flag is 1.

    Checked: each decision on a split queue without EVENT_IDX at which the flag was 1, and each
    add that failed while it was.

    - Undecided: as for NA-DR-07.
    - The flag may change twice between its two readings. A notification counts where the core
      decided against it, or where more than a fifth of all decisions have one.
    """
    d = decisions(view)
    own = should_not_notify(view, ~d.event_idx & ~d.packed)
    return own + superfluous(view, event_idx=False)


@rule("NA-DR-05", needs=("driver:kick", "driver:notify"))
def flag_is_ignored_with_event_idx(view: View) -> Result:
    """Section 2.7.10: with EVENT_IDX the used ring's flag does not keep the driver from notifying.

    Checked: each decision on a split queue with EVENT_IDX that had to end in a notification, and
    at which the device had set the flag at both readings. What NA-DR-06 leaves undecided is left
    out.
    """
    d = decisions(view)
    table = _rows(view, d)
    table = table.where(~d.packed & d.event_idx & d.flagged & d.requested & d.stable & ~d.open)
    return table.check(
        table["notified"] | table["answered"],
        "{queue}: no notification of {new}, requested by {asked}: the used ring's flag counts",
        none="no device set the used flag with EVENT_IDX",
    )


@rule("DX-103", needs=("driver:add", "driver:kick"))
def index_is_stored_first(view: View) -> Result:
    """Sections 2.7.13.3 and 2.7.13.4: the available index covers all chains when the driver decides
    whether to notify of them.

    Checked: each decision on a split queue that was seen from its set-up on: the available index,
    as it stood in memory when the last chain before it had been made available, is not behind what
    the decision is about.
    """
    rows = Rows.of(view.rings, view.rings.of("kick"))
    rows = rows.plus(index=index_at_decisions(view), early=behind_index(view))
    rows = rows.where(rows["index"] >= 0)
    return rows.check(
        ~rows["early"],
        "{queue}: notified up to index {new}, and the available index in memory is {index}",
        none="no decision on a split queue was seen",
    )


@rule("DX-16", needs=("driver:kick", "driver:notify"))
def whole_batch_decides(view: View) -> Result:
    """Sections 2.7.10, 2.8.10: all entries new since the last decision count, not the last alone.

    Checked: each decision of which the device requested a notification, as for NA-DR-04 and
    NA-DR-06, and DX-62 on packed queues: a driver that looks at its last entry alone misses some
    of them.
    """
    return must_notify(view, np.ones(len(decisions(view).q), dtype=np.bool_))


@rule("NA-DE-01", needs="driver:kick")
def used_flags_without_event_idx(view: View) -> Result:
    """Section 2.7.10: without EVENT_IDX the device sets the used ring's flags to 0 or 1.

    Checked: each decision to notify on such a split queue, by the larger of two readings.
    """
    return _used_flags(view, ("event", "event_after"), event_idx=False)


@rule("NA-DE-03", needs="driver:kick")
def used_flags_with_event_idx(view: View) -> Result:
    """Section 2.7.10: with EVENT_IDX the device sets the used ring's flags to 0.

    Checked: each decision to notify on such a split queue, by the larger of two readings. Not all
    tracepoints read the flags there.
    """
    names = ("flags", "flags_after")
    if not {*names} <= {*view.events.fields["kick"]}:
        return Result(0, why="the driver's tracepoints do not read the used flags")
    return _used_flags(view, names, event_idx=True)


def _used_flags(view: View, names: tuple[str, str], *, event_idx: bool) -> Result:
    """Check the larger of two readings of the used ring's flags at each decision."""
    kicks = view.events_of("kick")
    mode = view.rings.event_idx(kicks["q"], kicks["event_idx"])
    kicks = kicks.where(view.rings.split(kicks["q"]) & (mode == event_idx))
    kicks = kicks.plus(largest=np.maximum(kicks[names[0]], kicks[names[1]]))
    return kicks.check(
        kicks["largest"] <= (0 if event_idx else 1),
        "{queue}: used flags are {largest}",
        none=NO_DECISION,
        unless=view.contested(kicks),
    )


@rule("NU-DR-01", needs="driver:callback|driver:queue")
def avail_flags_without_event_idx(view: View) -> Result:
    """Section 2.7.7: without EVENT_IDX the driver sets the available ring's flags to 0 or 1.

    Checked: each set-up of such a split queue, and each time that its callbacks are switched.

    Contested: another value that stood there at some times and not at others, though the driver
    had done the same, or that the access tracer did not see the driver store. The device may have
    written it.
    """
    return avail_flags(view, event_idx=False)


@rule("NU-DR-03", needs="driver:callback|driver:queue")
def avail_flags_with_event_idx(view: View) -> Result:
    """Section 2.7.7: with EVENT_IDX the driver sets the available ring's flags to 0.

    Checked: each set-up of such a split queue, and each time that its callbacks are switched.
    Contested: as for NU-DR-01.
    """
    return avail_flags(view, event_idx=True)


@rule("NU-DR-05", needs=("driver:interrupt", "driver:used"))
def spurious_interrupts(view: View) -> Result:
    """Section 2.7.7: the driver copes with an interrupt that brings no new used entry.

    Checked: each interrupt of a split queue at which the used index was where the driver had read
    it before. It is violated if the driver's next reading takes the entry at that index.
    """
    rings = view.rings
    frame = rings.of("interrupt", "used")
    q, used_idx = ints(frame, "q"), ints(frame, "used_idx")
    interrupt = are(frame, "interrupt")
    idle = interrupt & (used_idx == ints(frame, "last_used")) & rings.split(q)
    after_idle = np.zeros(len(q), dtype=np.bool_)
    after_idle[1:] = idle[:-1] & ~interrupt[1:] & ~first_of(q)[1:]
    taken = after_idle & (ints(frame, "index") == used_idx) & (ints(frame, "accepted") == 1)
    found = Rows.of(rings, frame).violations(
        ~taken, "{queue}: entry {index} taken after an interrupt without one"
    )
    return Result(int(idle.sum()), found, why="no interrupt came without a new used entry")


def _ahead(index: Ints, taken: Ints) -> Bools:
    """By row: whether a used index is ahead of the entries that were taken."""
    ahead = (index - taken) % WRAP
    found: Bools = (ahead > 0) & (ahead <= WRAP // 2)
    return found


def _index_met(frame: Columns, q: Ints) -> Ints:
    """By row: the used index as the queue's last operation before it found it.

    Interrupts do not count: they are traced outside of the queue's lock, and may have come later.
    """
    known = are(frame, "callback", "used")
    place = np.where(known, np.arange(len(q)), -1)
    before = np.full(len(q), -1, dtype=np.int64)
    before[1:] = np.maximum.accumulate(place)[:-1]
    valid = before >= 0
    valid[valid] &= q[before[valid]] == q[valid]
    found: Ints = np.where(valid, ints(frame, "used_idx")[before], ints(frame, "last_used"))
    return found


@rule("DX-17", needs=("driver:callback", "driver:used", "driver:interrupt"))
def no_lost_wakeup(view: View) -> Result:
    """Section 2.7.14: after it has enabled interrupts the driver reads the used index once more.

    Checked: each time that interrupts are enabled on a split queue. If entries were already
    pending then, the driver goes on taking them and does not wait for an interrupt; if none were,
    the event index lies ahead of the entries taken, by the queue size at most.

    Entries are pending if the used index in memory is ahead of what the driver has taken. What the
    driver says about that does not count.

    - With pending entries only block drivers are decided: they take entries within the interrupt
      handler. Others poll from a task, where the next interrupt may come first.
    - The used index is read right behind the driver's own look at it. An entry that neither it nor
      the core had met before may have come in between, and an interrupt with it: a driver that
      took nothing until an interrupt is undecided then. It waited in vain if nothing more
      happened on the queue.
    - A block driver that did nothing on the queue any more waits for an interrupt for sure if the
      trace goes on for 10 s, or the guest hung; before that it may be preempted.
    - A driver that refused a used entry takes nothing from the queue any more: undecided.
    """
    rings = view.rings
    frame = rings.of("callback", "used", "interrupt", "queue")
    q, ts = ints(frame, "q"), rings.base_of(frame, "ts")
    enabled = are(frame, "callback") & (ints(frame, "enable") == 1) & rings.split(q)
    there = _ahead(ints(frame, "used_idx"), ints(frame, "last_used"))
    met = _ahead(_index_met(frame, q), ints(frame, "last_used"))
    pending = enabled & (there | met)
    certain = met | (ints(frame, "pending") == 1)
    event_idx = rings.event_idx(q, ints(frame, "event_idx"))
    ahead = (ints(frame, "used_event") - ints(frame, "last_used")) % WRAP
    size = np.where(rings.size[q] > 0, rings.size[q], WRAP // 2)
    past = enabled & ~pending & event_idx & (ahead > size)

    inline = pending & (rings.device()[q] == bits.BLK_ID)
    last = np.ones(len(q), dtype=np.bool_)
    last[:-1] = q[1:] != q[:-1]
    waited = inline & certain & ~last & np.roll(are(frame, "interrupt"), -1)
    stayed = inline & ~last & np.roll(are(frame, "used", "callback"), -1)
    hung = view.events.capture.outcome.kind == "hang"
    waited |= inline & last & (hung | (view.end[0] - ts >= PREEMPTED_TASK))
    decided = ((enabled & ~pending) | waited | stayed) & ~given_up(frame, q)
    table = Rows.of(rings, frame).plus(past=past, waited=waited).where(decided)

    def message(i: int) -> str:
        if table["past"][i]:
            return "{queue}: an interrupt is requested for an entry that is past"
        return "{queue}: entries were pending, and the driver waited for an interrupt"

    return table.check(
        ~table["past"] & ~table["waited"],
        message,
        none="interrupts were never enabled",
        undecided=int((enabled & ~decided).sum()),
    )
