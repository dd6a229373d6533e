# SPDX-License-Identifier: GPL-2.0-only
"""Used buffer notifications: what the device does about them (section 2.7.7).

QEMU's log says when entries were flushed and when an interrupt was sent; the driver's events
say what it asked for. The two clocks are not aligned, so what the device may have read is
bounded by counting alone:

- not before the driver exposed the last chain that the device had popped before the entries,
- not before the driver, having asked for interrupts, saw that the entries were not there yet,
- not after the driver took an entry that the device filled later,
- not after the driver's n-th interrupt, if fewer than n had been sent by then.

Only what holds for every value in that window is decided. A device may send one interrupt for
several entries, and send it late. A vhost device's events tell what it read, and need none of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import NEVER, WRAP, Bools, Columns, Ints, are, ints, steps16
from pykit.spec.model import Result, Violation, rule
from pykit.spec.rings import SPLIT
from pykit.spec.topics import vhost
from pykit.spec.view import View
from pykit.trace.kinds import SET_UP

#: An interrupt that was not sent so long after its entry will not come, ns.
LONG = 5_000_000_000
#: Windows with more of the driver's events than this are left undecided.
WIDEST = 512
DOUBT = "what the driver asked for changed in between"
NONE = "no interrupt decision of the device can be matched with the driver's events"


@dataclass(frozen=True)
class Spans:
    """Entries of one queue from one interrupt to the next; the last may have none.

    By span: ``row`` (of the interrupt, else of the last flush), ``q``, ``sent``, ``wants``
    and ``refuses`` (whether some value in the window asks for an interrupt, or for none),
    ``over`` (an interrupt that was not sent will not come), ``event_idx``. ``quiet`` marks
    further rows: one flush each that no interrupt followed at once.
    """

    row: Ints
    q: Ints
    sent: Bools
    wants: Bools
    refuses: Bools
    over: Bools
    event_idx: Bools
    quiet: Bools

    @property
    def must(self) -> Bools:
        """Every value in the window asks for an interrupt."""
        return self.wants & ~self.refuses


def spans(view: View) -> Spans:
    """All spans that both observers saw."""
    return view.keep("spans", _read)


def _read(view: View) -> Spans:
    rings = view.rings
    places = {name: q for q, name in enumerate(rings.queue) if rings.alone[q] and rings.whole[q]}
    device = view.columns("dev_pop", "dev_flush", "dev_signal")
    wishes = rings.of("callback", "used")
    parts: list[Spans] = []
    for name, rows in device.by_queue().items():
        q = places.get(name, -1)
        if q >= 0 and rings.layout[q] == SPLIT:
            parts.append(_queue(view, q, rows, wishes.of_queue(q)))
    names = ("row", "q", "sent", "wants", "refuses", "over", "event_idx", "quiet")
    parts = parts or [_nothing()]
    return Spans(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _nothing() -> Spans:
    none, no = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.bool_)
    return Spans(none, none, no, no, no, no, no, no)


def _queue(view: View, q: int, rows: Columns, wishes: Columns) -> Spans:
    row = ints(rows, "row")
    flushed = np.cumsum(ints(rows, "count"))
    popped = np.cumsum(are(rows, "dev_pop"))
    flushes = np.flatnonzero(are(rows, "dev_flush"))
    signals = np.flatnonzero(are(rows, "dev_signal"))
    if not len(flushes):
        return _nothing()

    # Where spans end: each interrupt, and the end of the log where entries are left over.
    ends = signals
    open_end = not len(signals) or flushes[-1] > signals[-1]
    if open_end:
        ends = np.append(signals, flushes[-1])
    sent = np.ones(len(ends), dtype=np.bool_)
    if open_end:
        sent[-1] = False
    high = flushed[ends]
    low = np.zeros(len(ends), dtype=np.int64)
    low[1:] = flushed[ends[:-1]]
    some = high > low
    # An interrupt may be the doing of its span's first flush; that there is none, of the last.
    first = flushes[np.minimum(np.searchsorted(flushes, _after(ends)), len(flushes) - 1)]
    decided = np.where(sent, first, ends)

    # Flushes that no interrupt followed before the next one.
    following = np.append(flushes[1:], len(rows))
    quiet = flushes[np.searchsorted(signals, flushes) == np.searchsorted(signals, following)]
    whole = len(ends)
    ends, sent = np.append(ends, quiet), np.append(sent, np.zeros(len(quiet), dtype=np.bool_))
    low = np.append(low, flushed[quiet] - ints(rows, "count")[quiet])
    high = np.append(high, flushed[quiet])
    decided = np.append(decided, quiet)
    sends = np.searchsorted(signals, ends)
    some = np.append(some, np.ones(len(quiet), dtype=np.bool_))

    latest = _latest(view, q, sends, len(signals))
    earliest = (popped[decided], flushed[decided])
    wants, refuses, mode = _window(view, q, wishes, earliest, latest, low, high)
    over = ~sent & _gone(view, q, int(row[-1]))
    keep = some & (wants | refuses)
    return Spans(
        row=row[ends][keep],
        q=np.full(int(keep.sum()), q),
        sent=sent[keep],
        wants=wants[keep],
        refuses=refuses[keep],
        over=over[keep],
        event_idx=np.full(int(keep.sum()), mode),
        quiet=(np.arange(len(ends)) >= whole)[keep],
    )


def _after(ends: Ints) -> Ints:
    """Where each span begins: behind the end of the one before it."""
    begins = np.zeros(len(ends), dtype=np.int64)
    begins[1:] = ends[:-1] + 1
    return begins


def _gone(view: View, q: int, row: int) -> bool:
    """Whether QEMU's log goes on long enough, or the device was reset, after a queue's last row."""
    dev = view.rings.queue[q][0]
    told = view.columns("dev_status")
    reset = (told["dev"] == dev) & (told["row"] > row) & (told["status"] == 0)
    capture = view.events.capture
    hung = capture.outcome.kind == "hang" and capture.ended is None
    return bool(reset.any()) or hung or view.end[1] - int(view.base("ts")[row]) >= LONG


def _latest(view: View, q: int, sends: Ints, total: int) -> Ints:
    """Where the first interrupt is that can only come of a later decision to send one.

    The n-th interrupt takes n that were sent, unless queues share them.
    """
    dev, number, _ = view.rings.queue[q]
    life = view.life(dev, number)
    came = view.rings.of("interrupt").of_queue(q)["at"]
    if life.transport not in (None, "pci") or life.shares_vectors or len(came) > total:
        came = came[:0]
    return np.append(came, NEVER)[np.minimum(sends, len(came))]


def _moves(wishes: Columns, base: int) -> Ints:
    """Steps of the used index as the driver saw it."""
    seen, queue = ints(wishes, "used_idx"), np.zeros(len(wishes), dtype=np.int64)
    return steps16(seen, queue, np.full(len(wishes), base % WRAP))


def _window(
    view: View,
    q: int,
    wishes: Columns,
    earliest: tuple[Ints, Ints],
    latest: Ints,
    low: Ints,
    high: Ints,
) -> tuple[Bools, Bools, bool]:
    """For each span: does any value in its window ask for an interrupt, does any not.

    ``earliest`` is how many chains were popped and flushed when it may have been decided.
    """
    rings, adds = view.rings, view.adds
    before, flushed = earliest
    base = int(rings.used[q])
    at = ints(wishes, "at")
    callback = are(wishes, "callback")
    known = rings.feature(bits.EVENT_IDX)[q]
    said = ints(wishes, "event_idx")[callback]
    mode = bool(known) if known >= 0 else bool(len(said) and said[0])
    if mode:
        # The core may move the event index along with each entry that it takes.
        value = np.where(callback, ints(wishes, "used_event"), (ints(wishes, "index") + 1) % WRAP)
    else:
        wishes = wishes.take(callback)
        at, callback = at[callback], callback[callback]
        value = ints(wishes, "avail_flags")
    # Before the first event: as the ring was set up.
    setup = rings.of("queue").of_queue(q)
    initial = base if mode else int(setup["avail_flags"][setup["op"] == SET_UP][0])
    value = np.concatenate([[initial], value])
    at = np.concatenate([[-1], at])
    # Entries that were not there yet when the driver looked, after it had asked for interrupts.
    enable = callback & (ints(wishes, "enable") == 1)
    looked = np.maximum.accumulate(np.cumsum(_moves(wishes, base)))
    asked = np.flatnonzero(enable) + 1
    not_yet = np.searchsorted(looked[enable], flushed)
    unsure = np.concatenate([[False], enable & (ints(wishes, "pending") == 1)])

    mine = np.flatnonzero(adds.q == q)
    exposed = adds.at[mine]
    start = (
        np.where(before > 0, exposed[np.minimum(before, len(mine)) - 1], -1)
        if len(mine)
        else (np.full(len(before), -1))
    )
    left = np.searchsorted(at, start, side="right") - 1
    left = np.maximum(left, np.append(0, asked)[not_yet])
    taken = np.flatnonzero((view.used.q == q) & view.used.fresh)
    position = view.used.position[taken] - rings.used[q]
    later = np.searchsorted(position, high)
    stop = np.minimum(np.append(view.used.at[taken], NEVER)[later], latest)
    right = np.searchsorted(at, stop)
    count = np.maximum(right - left, 1)
    wants = np.zeros(len(low), dtype=np.bool_)
    refuses = np.zeros(len(low), dtype=np.bool_)
    pick = np.flatnonzero(count <= WIDEST)
    wants[count > WIDEST] = refuses[count > WIDEST] = True
    owner = np.repeat(pick, count[pick])
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(count[pick]) - count[pick], count[pick])
    index = left[owner] + offset
    seen = value[index]
    asks = (seen - base - low[owner]) % WRAP < high[owner] - low[owner] if mode else seen & 1 == 0
    wants[owner[asks]] = True
    # A driver that was told of more work and waits all the same is not the device's fault.
    refuses[owner[~asks | unsure[index]]] = True
    return wants, refuses, mode


def _must(view: View, chosen: Bools) -> Result:
    s = spans(view)
    chosen = chosen & ~s.quiet
    judged = chosen & ((s.sent & s.wants) | (~s.sent & s.must & s.over))
    wrong = judged & ~s.sent
    found = tuple(
        Violation((int(s.row[i]),), f"{view.rings.name(s.q[i])}: used entries, and no interrupt")
        for i in np.flatnonzero(wrong).tolist()
    )
    undecided = chosen & s.wants & ~judged
    return Result(int(judged.sum()), found, int(undecided.sum()), NONE, DOUBT)


def _should_not(view: View, chosen: Bools) -> Result:
    s = spans(view)
    judged = chosen & s.sent & ~s.wants
    found = tuple(
        Violation((int(s.row[i]),), f"{view.rings.name(s.q[i])}: an interrupt nobody asked for")
        for i in np.flatnonzero(judged).tolist()
    )
    # Either it was asked for all the time, or it was not and did not come.
    fine = chosen & ((s.sent & s.must) | (s.quiet & ~s.wants))
    undecided = chosen & s.sent & s.wants & s.refuses
    checked = int((judged | fine).sum())
    return Result(checked, found, int(undecided.sum()), NONE, DOUBT)


_NEEDS = tuple(f"{kind}|vhost:vhost_signal" for kind in ("qemu:dev_flush", "driver:callback"))


@rule("NU-DE-05", needs=_NEEDS)
def event_idx_interrupt(view: View) -> Result:
    own = _must(view, spans(view).event_idx)
    return own + vhost.signals(view, asked=True, event_idx=True)


@rule("NU-DE-06", needs=_NEEDS)
def event_idx_silence(view: View) -> Result:
    own = _should_not(view, spans(view).event_idx)
    return own + vhost.signals(view, asked=False, event_idx=True)


@rule("NU-DE-03", needs=_NEEDS)
def flag_interrupt(view: View) -> Result:
    own = _must(view, ~spans(view).event_idx)
    return own + vhost.signals(view, asked=True, event_idx=False)


@rule("NU-DE-02", needs=_NEEDS)
def flag_silence(view: View) -> Result:
    own = _should_not(view, ~spans(view).event_idx)
    return own + vhost.signals(view, asked=False, event_idx=False)


@rule("DX-15", needs=_NEEDS)
def whole_batch_decides(view: View) -> Result:
    own = _must(view, np.ones(len(spans(view).q), dtype=np.bool_))
    return own + vhost.signals(view, asked=True)
