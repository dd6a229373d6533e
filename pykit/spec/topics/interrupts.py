# SPDX-License-Identifier: GPL-2.0-only
"""Used buffer notifications: what the device has to do (section 2.7.7).

QEMU's log has the device's side of a split queue: each pop of a chain, each flush of used
entries to the ring, each interrupt. The driver's events have its suppression: the used_event or
the flag that it wrote, and when. The two clocks are not aligned, so that the value which the
device read at a flush is bounded by counting alone. For one span, the entries between two
interrupts::

    device    pops        flush: entries low .. high         interrupt n
    ------------+------------------+--------------------------------+----------> its order
                |                  |                                |
    chain exposed         entries not there yet     a later entry   interrupt n
                |                  |                is taken        is handled
    driver -----+------------------+--------------------+-----------+----------> its order
               (1)                (2)                  (3)         (4)
                    max of both --'                     '-- min of both
                                  |<---- the window --->|

The device read the driver's suppression

1. not before the driver exposed the last chain that the device had popped before the flush,
2. not before the driver enabled interrupts and saw that the entries were not there yet,
3. not after the driver took an entry that the device filled later,
4. not after the driver's n-th interrupt, if fewer than n had been sent by then; but interrupts
   are not ordered by the queue's lock: what the operation traced next requests may be in the ring.

Any value that the driver wrote in this window may be the one that the device read. ``requested``:
some value requests an interrupt of the span's entries; ``suppressed``: some value does not. A span
with both is undecided. A device may send one interrupt for several entries, and send it late:
so a span ends with an interrupt, or with the log.

Contested is what a device does with a queue whose ring the driver has broken, or never gave it; and
that it does not interrupt for a queue to which the driver gave no vector.

The log of a device that another process serves has none of this. There, and elsewhere too, a queue
that stands still with used entries in the ring's memory, after the driver asked for an interrupt of
one of them, shows an interrupt that was not sent (see ``standing.py``).

A vhost back-end traces the value that it read; its decisions need no window (see ``vhost.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import NEVER, WRAP, Bools, Columns, Ints, are, ints, steps16
from pykit.spec.circumstances import needs_reset
from pykit.spec.counted import unasked
from pykit.spec.given import without_vector
from pykit.spec.model import Result, rule
from pykit.spec.packed import PLACES, completed, entries, lists, one_by_one
from pykit.spec.packed_suppression import PackedSuppression, packed_suppression, readable
from pykit.spec.rings import PACKED, SPLIT
from pykit.spec.rows import Row, Rows, Tally
from pykit.spec.standing import standstills
from pykit.spec.timing import OTHER_SIDE, PREEMPTED_TASK
from pykit.spec.topics import vhost
from pykit.spec.topics.ignored import waited_in_vain
from pykit.spec.view import View
from pykit.trace.kinds import SET_UP

#: Windows with more values than this count as having both kinds: with so many the answer is
#: hardly ever one, and looking at all of them would cost the square of the trace's length.
WIDEST = 512
DOUBT = "the driver's suppression changed in between"
NONE = "no interrupt decision of the device can be matched with the driver's events"


@dataclass(frozen=True)
class Spans:
    """Used entries of queues from one interrupt to the next; a queue's last span may have none.

    Attributes:
        row: of the interrupt, or of the span's last flush.
        q: number of the queue.
        first, last: its used entries, counted from the queue's set-up on.
        packed: the ring is a packed one; there each used descriptor is a flush.
        sent: the span ends with an interrupt.
        requested: some value in the window requests an interrupt of its entries.
        suppressed: some value in the window does not.
        over: an interrupt that was not sent will not be sent any more.
        event_idx: whether EVENT_IDX holds.
        quiet: not a whole span, but one of its flushes that no interrupt followed at once.
        wraps: the descriptors of its last flush lie across the end of a packed ring.
    """

    row: Ints
    q: Ints
    first: Ints
    last: Ints
    packed: Bools
    sent: Bools
    requested: Bools
    suppressed: Bools
    over: Bools
    event_idx: Bools
    quiet: Bools
    wraps: Bools

    @property
    def required(self) -> Bools:
        """Every value in the window requests an interrupt."""
        return self.requested & ~self.suppressed


def spans(view: View) -> Spans:
    """Return all spans that both observers saw."""
    return view.keep("spans", _read)


def _read(view: View) -> Spans:
    rings = view.rings
    places = {name: q for q, name in enumerate(rings.queue) if rings.alone[q] and rings.whole[q]}
    device = view.columns("dev_pop", "dev_flush", "dev_signal")
    driver = rings.of("callback", "used")
    parts: list[Spans] = []
    for name, rows in device.by_queue().items():
        q = places.get(name, -1)
        if q >= 0 and rings.layout[q] == SPLIT:
            parts.append(_spans_of_split(view, q, rows, driver.of_queue(q)))
    parts += _packed(view, places)
    parts = parts or [_nothing()]
    names = [field.name for field in fields(Spans)]
    return Spans(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _nothing() -> Spans:
    none, no = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.bool_)
    return Spans(none, none, none, none, no, no, no, no, no, no, no, no)


def _packed(view: View, places: dict[tuple[int, int, int], int]) -> Iterator[Spans]:
    """Spans of packed queues: QEMU logs no flush there, each used descriptor is one."""
    if not readable(view):
        return
    rings, found = view.rings, lists(view)
    driver = rings.of("callback", "used")
    for name, rows in view.columns("dev_pop", "dev_fill", "dev_signal").by_queue().items():
        q = places.get(name, -1)
        if q < 0 or rings.layout[q] != PACKED or not one_by_one(view, np.array([q]))[0]:
            continue
        done = completed(view)
        mine = slice(*np.searchsorted(done.key, [q * PLACES, (q + 1) * PLACES]).tolist())
        number = done.list[mine] + np.searchsorted(found.q, q)
        if (done.list[mine] < 0).any() or (number >= np.searchsorted(found.q, q + 1)).any():
            continue
        ends = np.concatenate([[0], np.cumsum(found.slots[number])])
        fills = are(rows, "dev_fill")
        rows.made["count"] = fills.astype(np.int64)
        rows = replace(rows, kinds=tuple("dev_flush" if k == "dev_fill" else k for k in rows.kinds))
        suppression = packed_suppression(view, q, driver.of_queue(q), ends)
        taken = entries(view)
        at = taken.at[taken.fresh & (taken.q == q)]
        begins = np.maximum.accumulate(
            np.where(rows["index"][fills] == 0, np.arange(len(number)), 0)
        )
        size = rings.size[q]
        wraps = ends[begins] // size != ends[1:] // size
        yield _spans_of_queue(view, q, rows, suppression, (at, np.arange(len(at))), wraps)


@dataclass(frozen=True)
class _Device:
    """Spans of one queue as the device's side has them, before the driver's is looked at.

    Attributes:
        end: where the span ends in the device's events.
        sent, quiet: see Spans.
        low, high: the span's entries, counted from the queue's set-up: low up to high.
        popped, flushed: chains and entries before the flush that may have decided.
        sends: interrupts before the span's own one.
    """

    end: Ints
    sent: Bools
    quiet: Bools
    low: Ints
    high: Ints
    popped: Ints
    flushed: Ints
    sends: Ints


def _spans_of_split(view: View, q: int, rows: Columns, driver: Columns) -> Spans:
    negotiated = view.rings.feature(bits.EVENT_IDX)[q]
    if negotiated < 0 and not are(driver, "callback").any():
        # Nothing says whether the driver writes an event index or flags.
        return _nothing()
    used = view.used
    taken = np.flatnonzero((used.q == q) & used.fresh)
    position = used.position[taken] - view.rings.used[q]
    return _spans_of_queue(view, q, rows, _suppression(view, q, driver), (used.at[taken], position))


def _spans_of_queue(
    view: View,
    q: int,
    rows: Columns,
    suppression: _Suppression | PackedSuppression,
    taken: tuple[Ints, Ints],
    wraps: Bools | None = None,
) -> Spans:
    """Return a queue's spans.

    Args:
        taken: where the driver took entries, and their numbers.
        wraps: by flush of a packed queue: it lies across the end of the ring.
    """
    if not are(rows, "dev_flush").any():
        return _nothing()
    device = _device_side(rows)
    begin = np.maximum(
        _chains_exposed(view, q, suppression, device), _entries_not_there_yet(suppression, device)
    )
    later = np.searchsorted(suppression.at, _later_entry_taken(taken, device))
    seen = np.searchsorted(suppression.at, _interrupt_seen(view, q, rows, device))
    requested, suppressed = _values_in_window(suppression, device, begin, np.minimum(later, seen))
    # The interrupt may have come in the midst of the operation that is traced next.
    midst = (begin < seen) & (seen < later)
    requested[midst] |= suppression.requests(seen[midst], device.low[midst], device.high[midst])

    row = ints(rows, "row")
    over = ~device.sent & _no_more_interrupts(view, q, int(row[-1]))
    keep = ((device.high > device.low) | device.quiet) & (requested | suppressed)
    count = int(keep.sum())
    return Spans(
        row=row[device.end][keep],
        q=np.full(count, q),
        first=device.low[keep],
        last=device.high[keep] - 1,
        packed=np.full(count, bool(view.rings.layout[q] == PACKED)),
        sent=device.sent[keep],
        requested=requested[keep],
        suppressed=suppressed[keep],
        over=over[keep],
        event_idx=np.full(count, suppression.event_idx),
        quiet=device.quiet[keep],
        wraps=np.zeros(count, dtype=np.bool_) if wraps is None else wraps[device.high[keep] - 1],
    )


def _device_side(rows: Columns) -> _Device:
    """Cut a queue's flushes into spans that end with an interrupt, and add its quiet flushes."""
    count = ints(rows, "count")
    flushed = np.cumsum(count)
    popped = np.cumsum(are(rows, "dev_pop"))
    flushes = np.flatnonzero(are(rows, "dev_flush"))
    signals = np.flatnonzero(are(rows, "dev_signal"))

    # Each interrupt ends a span, and so does the log where entries are left over.
    ends = signals
    sent = np.ones(len(signals), dtype=np.bool_)
    if not len(signals) or flushes[-1] > signals[-1]:
        ends, sent = np.append(ends, flushes[-1]), np.append(sent, False)
    low = np.zeros(len(ends), dtype=np.int64)
    low[1:] = flushed[ends[:-1]]
    high = flushed[ends]
    # An interrupt may have been decided at its span's first flush; that there is none, at its
    # last.
    begins = np.zeros(len(ends), dtype=np.int64)
    begins[1:] = ends[:-1] + 1
    first = flushes[np.minimum(np.searchsorted(flushes, begins), len(flushes) - 1)]
    decided = np.where(sent, first, ends)

    # Flushes that no interrupt followed before the next one: decisions against an interrupt.
    following = np.append(flushes[1:], len(rows))
    quiet = flushes[np.searchsorted(signals, flushes) == np.searchsorted(signals, following)]
    whole = len(ends)
    end = np.append(ends, quiet)
    decided = np.append(decided, quiet)
    return _Device(
        end=end,
        sent=np.append(sent, np.zeros(len(quiet), dtype=np.bool_)),
        quiet=np.arange(len(end)) >= whole,
        low=np.append(low, flushed[quiet] - count[quiet]),
        high=np.append(high, flushed[quiet]),
        popped=popped[decided],
        flushed=flushed[decided],
        sends=np.searchsorted(signals, end),
    )


@dataclass(frozen=True)
class _Suppression:
    """What the driver wrote to suppress interrupts of one queue, in order.

    Attributes:
        base: the used index at set-up.
        event_idx: whether EVENT_IDX holds: then ``value`` is an event index, else flags.
        at: where each value was written; the first is that of the set-up, -1.
        value: the values.
        raced: interrupts were enabled, and entries were pending already, by the ring's memory.
        enabled: indices of the values with which interrupts were enabled.
        seen: by these: how far the driver had seen the used index then, from ``base``.
    """

    base: int
    event_idx: bool
    at: Ints
    value: Ints
    raced: Bools
    enabled: Ints
    seen: Ints

    def requests(self, index: Ints, low: Ints, high: Ints) -> Bools:
        """By row: does the value with this index request one of the entries low up to high."""
        value = self.value[index]
        wanted: Bools = value & 1 == 0
        if self.event_idx:
            wanted = (value - self.base - low) % WRAP < high - low
        return wanted


def _suppression(view: View, q: int, driver: Columns) -> _Suppression:
    rings = view.rings
    base = int(rings.used[q])
    callback = are(driver, "callback")
    negotiated = rings.feature(bits.EVENT_IDX)[q]
    traced = ints(driver, "event_idx")[callback]
    event_idx = bool(negotiated) if negotiated >= 0 else bool(len(traced) and traced[0])
    if event_idx:
        # The core may move the event index along with each entry that it takes. Whether it did is
        # in memory; tracepoints that do not read it there leave the move as likely as not.
        after = (ints(driver, "index") + 1) % WRAP
        after = ints(driver, "event") if readable(view) else after
        value = np.where(callback, ints(driver, "used_event"), after)
    else:
        driver = driver.take(callback)
        callback = callback[callback]
        value = ints(driver, "avail_flags")
    setup = rings.of("queue").of_queue(q)
    initial = base if event_idx else int(setup["avail_flags"][setup["op"] == SET_UP][0])
    steps = steps16(
        ints(driver, "used_idx"),
        np.zeros(len(driver), dtype=np.int64),
        np.full(len(driver), base % WRAP),
    )
    enables = callback & (ints(driver, "enable") == 1)
    return _Suppression(
        base=base,
        event_idx=event_idx,
        at=np.concatenate([[-1], ints(driver, "at")]),
        value=np.concatenate([[initial], value]),
        raced=np.concatenate(
            [[False], enables & (ints(driver, "used_idx") != ints(driver, "last_used"))]
        ),
        enabled=np.flatnonzero(enables) + 1,
        seen=np.maximum.accumulate(np.cumsum(steps))[enables],
    )


def _chains_exposed(
    view: View, q: int, suppression: _Suppression | PackedSuppression, device: _Device
) -> Ints:
    """Bound 1, by span: index of the value in force when the last popped chain was exposed."""
    exposed = view.adds.at[view.adds.q == q]
    start = np.full(len(device.popped), -1, dtype=np.int64)
    if len(exposed):
        last = exposed[np.minimum(device.popped, len(exposed)) - 1]
        start = np.where(device.popped > 0, last, start)
    begin: Ints = np.searchsorted(suppression.at, start, side="right") - 1
    return begin


def _entries_not_there_yet(suppression: _Suppression | PackedSuppression, device: _Device) -> Ints:
    """Bound 2, by span: index of the last value with which interrupts were enabled too early.

    The driver had enabled interrupts and then saw fewer entries than were flushed: the device
    flushed them afterwards, and can have read this value or a later one.
    """
    before = np.searchsorted(suppression.seen, device.flushed)
    begin: Ints = np.append(0, suppression.enabled)[before]
    return begin


def _later_entry_taken(taken: tuple[Ints, Ints], device: _Device) -> Ints:
    """Bound 3, by span: where the driver took the first entry that was filled after the span."""
    at, position = taken
    return np.append(at, NEVER)[np.searchsorted(position, device.high)]


def _interrupt_seen(view: View, q: int, rows: Columns, device: _Device) -> Ints:
    """Bound 4, by span: where the first interrupt came that only a later decision can have sent.

    The n-th interrupt takes n that were sent. This holds only if the queue has its interrupts for
    itself, so it is not used on other transports than PCI, where queues share vectors, or where
    more interrupts came than were sent.
    """
    dev, number, _ = view.rings.queue[q]
    life = view.life(dev, number)
    came = view.rings.of("interrupt").of_queue(q)["at"]
    total = int(np.count_nonzero(are(rows, "dev_signal")))
    if life.transport not in (None, "pci") or life.shares_vectors or len(came) > total:
        came = came[:0]
    return np.append(came, NEVER)[np.minimum(device.sends, len(came))]


def _values_in_window(
    suppression: _Suppression | PackedSuppression, device: _Device, begin: Ints, stop: Ints
) -> tuple[Bools, Bools]:
    """By span: does any value in its window request an interrupt, does any not."""
    width = np.maximum(stop - begin, 1)
    requested, suppressed = (np.zeros(len(width), dtype=np.bool_) for _ in range(2))
    requested[width > WIDEST] = suppressed[width > WIDEST] = True
    # All values of all windows in one column, with the span that each belongs to.
    pick = np.flatnonzero(width <= WIDEST)
    span = np.repeat(pick, width[pick])
    offset = np.arange(len(span)) - np.repeat(np.cumsum(width[pick]) - width[pick], width[pick])
    index = begin[span] + offset
    requests = suppression.requests(index, device.low[span], device.high[span])
    requested[span[requests]] = True
    # Where entries were pending when interrupts were enabled the driver has to take them itself:
    # the device owes no interrupt of them.
    suppressed[span[~requests | suppression.raced[index]]] = True
    return requested, suppressed


def _no_more_interrupts(view: View, q: int, row: int) -> bool:
    """Whether no interrupt will come after a queue's last row in QEMU's log.

    The log goes on long enough, the device was reset, or the guest hung, waiting. A device that
    has declared itself broken owes none: it waits for its reset, and serves no queue until then.
    """
    dev, life, _ = view.rings.queue[q]
    if view.life(dev, life).needs_reset or needs_reset(view, dev):
        return False
    writes = view.columns("dev_status")
    reset = (writes["dev"] == dev) & (writes["row"] > row) & (writes["status"] == 0)
    capture = view.events.capture
    hung = capture.outcome.kind == "hang" and capture.ended is None
    return bool(reset.any()) or hung or view.end[1] - int(view.base("ts")[row]) >= OTHER_SIDE


def _rows(view: View, s: Spans) -> Rows:
    """Spans whose messages can name the used entries, and what suppresses interrupts."""
    return Rows.of(view.rings, s).labelled(entries=_used_entries, by=_by)


def _used_entries(row: Row) -> str:
    """Name the used entries of a span."""
    first, last = row["first"], row["last"]
    many = f"used entry {first}" if first == last else f"used entries {first} to {last}"
    return f"{many} since its set-up"


def _by(row: Row) -> str:
    """Name the driver's suppression of interrupts."""
    if row["packed"]:
        return "its event suppression structure"
    return "used_event" if row["event_idx"] else "the available ring's flags"


def must_interrupt(view: View, chosen: Bools) -> Result:
    """Check that spans of which every possible value requests an interrupt end with one."""
    s = spans(view)
    chosen = chosen & ~s.quiet
    judged = chosen & ((s.sent & s.requested) | (~s.sent & s.required & s.over))
    table = _rows(view, s).where(judged)
    return table.check(
        table["sent"],
        "{queue}: no interrupt of {entries}, which the driver requested by {by}",
        none=NONE,
        undecided=int((chosen & s.requested & ~judged).sum()),
        doubt=DOUBT,
        unless=(view.contested_queues | without_vector(view))[table["q"]],
    )


def should_not_interrupt(view: View, chosen: Bools) -> Result:
    """Check that no span ends with an interrupt that no possible value requests."""
    s = spans(view)
    unrequested = chosen & s.sent & ~s.requested
    # Either it was requested all the time, or it was not and was not sent.
    right = chosen & ((s.sent & s.required) | (s.quiet & ~s.requested))
    table = _rows(view, s).where(unrequested | right)

    def message(i: int) -> str:
        where = ", across the end of the ring" if table["wraps"][i] else ""
        return "{queue}: interrupt of {entries}, which the driver suppressed by {by}" + where

    return table.check(
        ~table["sent"] | table["requested"],
        message,
        none=NONE,
        undecided=int((chosen & s.sent & s.requested & s.suppressed).sum()),
        doubt=DOUBT,
        unless=view.contested_queues[table["q"]],
    )


def owed_interrupts(view: View, chosen: Bools) -> Result:
    """Check queues, ``chosen`` by number, that stand still for the lack of an interrupt."""
    tally = Tally()
    numbers = {name: q for q, name in enumerate(view.rings.queue)}
    for entry in standstills(view):
        q = None if entry.life is None else numbers.get((entry.dev, entry.life, entry.vq))
        if q is None or not chosen[q] or entry.state != "unsignalled" or not entry.requests:
            continue
        if entry.ns < PREEMPTED_TASK or not entry.sound:
            tally.undecided(doubt="a queue stood still when the trace ended")
        else:
            tally.check(False, entry.rows, entry.sentence)
    return tally.result()


def _by_event_index(view: View, layout: int) -> tuple[Bools, Bools]:
    """By queue: it has this layout, and EVENT_IDX was negotiated; and was not."""
    mine = view.rings.layout == layout
    event_idx = view.rings.feature(bits.EVENT_IDX)
    return mine & (event_idx == 1), mine & (event_idx == 0)


_NEEDS = tuple(f"{kind}|vhost:vhost_signal" for kind in ("qemu:dev_flush", "driver:callback"))


@rule("NU-DE-05", needs=_NEEDS)
def interrupts_of_event_index(view: View) -> Result:
    """Section 2.7.7: with EVENT_IDX the device interrupts when it fills the entry at used_event.

    Checked: each span of used entries, from one interrupt to the next, of a split queue with
    EVENT_IDX that both sides saw from its set-up on, and each decision that a vhost back-end
    traced. A span holds that ends with an interrupt which some value of used_event that the
    device may have read requests. A span is violated that has none though all values request it.
    Of `pykit drive` also each entry that it asked to be interrupted for, with no flag beside that:
    the interrupt came before the next chain, or was not waited for half a second.

    - Undecided: the values that the device may have read disagree (the topic's window), among them
      those of a driver that saw pending entries when it enabled interrupts.
    - The device may interrupt late and once for several entries: only a queue's last span can
      lack its interrupt, and only if the log goes on for 5 s, or the device is reset, or the
      guest hangs.
    - A queue that stands still for 10 s without an interrupt that was requested violates the rule,
      whatever process serves it.
    - A queue set up more than once in a life is left out: QEMU's log does not separate its uses.
    """
    s = spans(view)
    own = must_interrupt(view, s.event_idx & ~s.packed)
    own += owed_interrupts(view, _by_event_index(view, SPLIT)[0])
    own += waited_in_vain(view, event_idx=True)
    return own + vhost.signals(view, requested=True, event_idx=True)


@rule("NU-DE-06", needs=_NEEDS)
def silent_off_event_index(view: View) -> Result:
    """Section 2.7.7: with EVENT_IDX the device does not interrupt for entries but used_event's.

    Checked: each interrupt of a split queue with EVENT_IDX where the values of used_event that
    the device may have read agree, each flush without an interrupt where none requests one, and
    each decision that a vhost back-end traced. It is violated by an interrupt that none requests.

    Interrupts that the probe saw come, of devices that any process serves, are counted, too: see
    ``counted.py``.

    Undecided: the values that the device may have read disagree (the topic's window).
    """
    s = spans(view)
    own = should_not_interrupt(view, s.event_idx & ~s.packed)
    own += unasked(view, _by_event_index(view, SPLIT)[0])
    return own + vhost.signals(view, requested=False, event_idx=True)


@rule("NU-DE-03", needs=_NEEDS)
def interrupts_without_flag(view: View) -> Result:
    """Section 2.7.7: without EVENT_IDX the device interrupts when the available ring's flag is 0.

    Checked: each span of used entries, from one interrupt to the next, of a split queue without
    EVENT_IDX; tolerances are those of NU-DE-05, with the flag in place of used_event.
    """
    own = must_interrupt(view, ~spans(view).event_idx)
    own += owed_interrupts(view, _by_event_index(view, SPLIT)[1])
    own += waited_in_vain(view, event_idx=False)
    return own + vhost.signals(view, requested=True, event_idx=False)


@rule("NU-DE-02", needs=_NEEDS)
def silent_with_flag(view: View) -> Result:
    """Section 2.7.7: without EVENT_IDX the device does not interrupt when the flag is 1.

    Checked: each interrupt and each flush without one, of a split queue without EVENT_IDX;
    tolerances are those of NU-DE-06, with the available ring's flag in place of used_event.
    """
    own = should_not_interrupt(view, ~spans(view).event_idx)
    own += unasked(view, _by_event_index(view, SPLIT)[1])
    return own + vhost.signals(view, requested=False, event_idx=False)


@rule("DX-15", needs=_NEEDS)
def whole_batch_decides(view: View) -> Result:
    """Section 2.7.7: all entries since the last interrupt count, not the last one alone.

    Checked: each span of used entries, in either mode, as for NU-DE-05, NU-DE-03 and, on packed
    queues, DX-64: a device that looks at its last entry alone misses some requests.
    """
    own = must_interrupt(view, np.ones(len(spans(view).q), dtype=np.bool_))
    own += owed_interrupts(view, np.ones(len(view.rings.queue), dtype=np.bool_))
    return own + vhost.signals(view, requested=True)
