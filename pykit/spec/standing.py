# SPDX-License-Identifier: GPL-2.0-only
"""Queues that stand still where a trace ends: which entry waits, whose turn it is, since when.

Each chain goes one way, and at each point one side has to act::

    driver               device                driver
    add --> notify? --> take --> return --> interrupt? --> take
       |           |         |          |               |
    PUBLISHED   ASLEEP    HELD      UNSIGNALLED     UNCOLLECTED
              UNTAKEN

PUBLISHED is the driver's turn: the device asked for a notification of the entry and none came, or
the available index that it wrote does not reach the entry.
UNTAKEN is the device's: it was notified. ASLEEP is the device's as well: it had asked for no
notification, so that it has to look by itself. HELD and UNSIGNALLED are the device's turn,
UNCOLLECTED the driver's.

Whose turn it is follows from ring memory (indices, the suppression that each side wrote) and from
the other side's account. Where the driver is not traced, the device's own log shows at least
what it took and did not return, and two looks by QMP at the same indices show the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from pykit.spec import bits
from pykit.spec.arrays import WRAP, Bools, Columns, Ints, are, ints, last_before, need_event
from pykit.spec.asked import asked_queues
from pykit.spec.circumstances import needs_reset
from pykit.spec.given import misnotified, without_vector
from pykit.spec.left import left_in_ring
from pykit.spec.logged import logged_standstills
from pykit.spec.malformed import malformed_requests
from pykit.spec.owed import carries_requests
from pykit.spec.packed import device_wishes
from pykit.spec.packed_asked import asked_for, asked_of_next, asked_too_late, suppressed
from pykit.spec.rings import ACCEPTED, SPLIT
from pykit.spec.soil import disowned
from pykit.spec.standstill import Progress, Standstill, State, Turn, name_of
from pykit.spec.used_ring import used_ring_spoilt
from pykit.spec.view import View
from pykit.trace.kinds import DELETED, LEFT

#: Events of a device that show it at work on a queue.
_DEVICE_ACTS = (
    "vhost_get", "vhost_used", "vhost_signal", "vhost_notify", "dev_pop", "dev_fill", "dev_flush",
    "dev_signal",
)  # fmt: skip

_HOLDS = "it holds the chain that the driver asked for an interrupt of"


def standstills(view: View) -> tuple[Standstill, ...]:
    """Return all queues that are in use at the end of a trace and have chains that wait.

    A queue is listed however short it waits: by ``ns`` a caller divides those that stand still
    from those at work.
    """
    return view.keep("standstills", lambda view: tuple(_find(view)))


def _find(view: View) -> Iterator[Standstill]:
    traced = {name[0] for name in view.rings.queue}
    for q in range(len(view.rings.queue)):
        if found := _of_driver(view, q):
            yield found
    logged = list(logged_standstills(view, traced))
    yield from logged
    known = {(found.dev, found.vq) for found in logged}
    for asked in asked_queues(view):
        place = (asked.dev, asked.vq)
        if asked.dev in traced or place in known or not asked.requests:
            continue
        if (stands := asked.standing()) is not None:
            state, turn, count, index, fact = stands
            yield Standstill(
                dev=asked.dev,
                life=None,
                vq=asked.vq,
                device=name_of(view, asked.dev),
                state=state,
                turn=turn,
                count=count,
                index=index,
                fact=f"{fact} (QMP, two looks at the same indices)",
                ns=asked.ns,
            )


# Queues whose driver is traced.


@dataclass(frozen=True)
class _Waiting:
    """The chains of a queue that are not back, and what both sides did of late."""

    view: View
    q: int
    #: Chains in order, as indices into view.adds.
    chains: list[int]
    #: Of the first waiting chain, and of the last event of the trace inside.
    added: int
    #: Chains that the device is known to have taken from the queue; None if nobody saw.
    taken: int | None
    #: Last act of the device on the queue: its row (-1: none) and time.
    act: tuple[int, int]

    @property
    def first(self) -> int:
        return self.chains[0]


def _of_driver(view: View, q: int) -> Standstill | None:
    if not view.recorded("add", "used"):
        # Every chain would seem to wait, or none.
        return None
    waiting = _waiting(view, q)
    if waiting is None:
        return None
    rings, adds = view.rings, view.adds
    dev, life, vq = rings.queue[q]
    state, turn, fact, since, rows = _turn(waiting)
    first = waiting.first
    split = rings.layout[q] == SPLIT
    index = (int(adds.avail_idx[first]) - 1) % WRAP if split else int(adds.number[first])
    return Standstill(
        dev=dev,
        life=life,
        vq=vq,
        device=name_of(view, dev),
        state=state,
        turn=turn,
        count=len(waiting.chains),
        index=index,
        fact=fact,
        ns=max(view.end[0] - since, 0),
        rows=(int(adds.row[first]), *rows),
        requests=carries_requests(view.life(dev, life).id, vq),
        sound=_sound(view, q, first),
    )


def _waiting(view: View, q: int) -> _Waiting | None:
    """Return the waiting chains of a queue that is in use where the trace ends; None if none."""
    rings, adds, pairs = view.rings, view.adds, view.pairs
    mine = rings.of("queue", "detach").of_queue(q)
    gone = are(mine, "queue") & np.isin(ints(mine, "op"), (DELETED, LEFT))
    if gone.any():
        return None
    reclaimed = ints(mine, "at")[are(mine, "detach")]
    after = int(reclaimed[-1]) if len(reclaimed) else -1
    # Chains are in the order of their queues.
    low, high = np.searchsorted(adds.q, [q, q + 1])
    part = slice(int(low), int(high))
    waits = (pairs.used_of[part] < 0) & ~pairs.doubtful[part] & (adds.at[part] > after)
    chains = np.flatnonzero(waits) + low
    if not len(chains):
        return None
    dev, life, _ = rings.queue[q]
    last_reset = max(
        (s.row for s in view.life(dev, life).status if s.op == bits.STATUS_RESET), default=-1
    )
    if last_reset > adds.row[chains[-1]]:
        return None
    times = view.events.base["time"]
    act = _last_act(view, q)
    return _Waiting(
        view,
        q,
        chains.tolist(),
        int(times[int(adds.row[chains[0]])] or 0),
        _taken(view, q),
        (act, int(times[act] or 0) if act >= 0 else 0),
    )


def _device_rows(view: View, q: int, *kinds: str) -> pl.DataFrame:
    """Return the device's events on a queue, in order; none if they may be another queue's."""
    frame = view.of(*kinds)
    places = view.keep("queues of " + " ".join(kinds), lambda view: _by_queue(view.of(*kinds)))
    mine = places.get(view.rings.queue[q]) if view.rings.alone[q] else None
    return frame[:0] if mine is None else frame[mine].sort(pl.coalesce("seq", "row"))


def _by_queue(frame: pl.DataFrame) -> dict[tuple[int, int, int], pl.Series]:
    """Return by (dev, life, vq) where its events stand: thousands of queues ask one frame."""
    name = ("dev", "life", "vq")
    places = frame.select(*name, place=pl.int_range(pl.len(), dtype=pl.UInt32)).drop_nulls()
    found = places.group_by(*name).agg("place")
    return {(dev, life, vq): pl.Series(place) for dev, life, vq, place in found.iter_rows()}


def _last_act(view: View, q: int) -> int:
    rows = _device_rows(view, q, *_DEVICE_ACTS)["row"]
    return int(rows[-1]) if len(rows) else -1


def _taken(view: View, q: int) -> int | None:
    """Return how many chains of a queue the device took; None if no observer saw its side."""
    life = view.rings.queue[q][:2]
    if not view.rings.alone[q] or not view.rings.whole[q]:
        return None
    popped = life in _lives_of(view, "dev_pop") and life[0] not in view.elsewhere
    if not popped and life not in _lives_of(view, "vhost_queue", "vhost_get"):
        return None
    return _device_rows(view, q, "vhost_get", "dev_pop").height


def _lives_of(view: View, *kinds: str) -> frozenset[tuple[int, int]]:
    """Return the lives, by (dev, life), that have any event of these kinds."""
    return view.keep(
        "lives of " + " ".join(kinds),
        lambda view: frozenset(view.of(*kinds).select("dev", "life").unique().iter_rows()),
    )


_Judged = tuple[State, Turn, str, int, tuple[int, ...]]


def _turn(waiting: _Waiting) -> _Judged:
    """Return state, turn, fact, since when (ns, the guest's clock) and rows."""
    view = waiting.view
    if judged := _refused(waiting) or _returned(waiting):
        return judged
    number = int(view.adds.number[waiting.first])
    since = max(waiting.added, waiting.act[1])
    shown = (waiting.act[0],) if waiting.act[0] >= 0 else ()
    if waiting.taken is not None and waiting.taken > number:
        return "held", "device", "it took the chain and did not return it", since, shown
    return _untaken(waiting, since, shown)


def _refused(waiting: _Waiting) -> _Judged | None:
    """Judge a queue that the driver gave up: it refused an entry of the used ring.

    It takes nothing from it any more. Whether that is its own doing depends on the entry alone.
    """
    view, used = waiting.view, waiting.view.used
    refused = np.flatnonzero((used.q == waiting.q) & (used.accepted != ACCEPTED))
    if not len(refused):
        return None
    first = refused[0]
    row = int(used.row[first])
    since = max(waiting.act[1], int(view.events.base["time"][row] or 0))
    words = f"refused a used entry with id {used.id[first]}"
    if disowned(view.rings, used, view.pairs)[refused].any():
        return "uncollected", "driver", f"it {words}, which was outstanding", since, (row,)
    if view.pairs.add_of[first] == -1 and not view.pairs.excused[first]:
        fact = f"it returned id {used.id[first]} instead, and the driver takes no more"
        return "uncollected", "device", fact, since, (row,)
    return "uncollected", "unknown", f"the driver {words}, and takes no more", since, (row,)


def _untaken(waiting: _Waiting, since: int, shown: tuple[int, ...]) -> _Judged:
    view, q = waiting.view, waiting.q
    rings, adds = view.rings, view.adds
    index = int(adds.avail_idx[waiting.chains[-1]])
    position = int(rings.avail[q] + adds.number[waiting.first])
    if rings.layout[q] == SPLIT and rings.whole[q] and (position - index) % WRAP < WRAP // 2:
        words = f"its available index is {index}, which does not expose the entry"
        return "published", "driver", words, since, shown
    frame = rings.of("kick", "notify").of_queue(q)
    frame = frame.take(ints(frame, "at") > _exposed(view, q, waiting.first, position))
    times = view.events.base["time"]
    kicks = rings.of("kick")
    early = (kicks["q"] == q) & (kicks["at"] > adds.at[waiting.first]) & behind_index(view)
    if early.any():
        row = int(kicks["row"][np.flatnonzero(early)[0]])
        words = "it decided on the notification before its available index covered the entry"
        return "published", "driver", words, since, (row, *shown)
    if (reported := np.flatnonzero(are(frame, "notify"))).size:
        row = int(ints(frame, "row")[reported[0]])
        since = max(since, int(times[row] or 0))
        if wrong := misnotified(view, q):
            return "published", "driver", f"it notified, and {wrong[0]}", since, (row, *wrong[1])
        took = "nothing came back to the driver" if waiting.taken is None else "did not take it"
        return "untaken", "device", f"it was notified and {took}", since, (row, *shown)
    kicks = frame.take(are(frame, "kick"))
    if not len(kicks):
        return "published", "driver", "it made no decision to notify", since, shown
    row = int(ints(kicks, "row")[0])
    since = max(since, int(times[row] or 0))
    wish = _wish(view, q, kicks)
    if wish is None:
        words = "what the device asked for changed at the decision"
        return "untaken", "unknown", words, since, (row, *shown)
    if wish:
        words = "the device asked for a notification and none came"
        return "published", "driver", words, since, (row, *shown)
    return "asleep", "device", _sleeping(waiting, kicks), since, (row, *shown)


def index_at_decisions(view: View) -> Ints:
    """By event ``kick``: the available index in memory when the last chain before it had been made
    available; -1 where no chain was, or the queue was not seen from its set-up on, or is packed.
    """
    return view.keep("index at decisions", _index_at_decisions)


def _index_at_decisions(view: View) -> Ints:
    rings, adds, kicks = view.rings, view.adds, view.rings.of("kick")
    last = last_before(adds.q, adds.at, kicks["q"], kicks["at"])
    known = (last >= 0) & rings.split(kicks["q"]) & rings.whole[kicks["q"]]
    return np.where(known, np.append(adds.avail_idx, 0)[last], -1)


def behind_index(view: View) -> Bools:
    """By event ``kick``: whether it is about chains that the available index does not cover."""
    return view.keep("decisions behind the index", _behind_index)


def _behind_index(view: View) -> Bools:
    index = index_at_decisions(view)
    found: Bools = (index >= 0) & ((index - view.rings.of("kick")["new"]) % WRAP >= WRAP // 2)
    return found


def _exposed(view: View, q: int, chain: int, position: int) -> int:
    """Return the place from which on the available index in memory covers a chain.

    A notification before that is of other chains.
    """
    rings, adds = view.rings, view.adds
    if rings.layout[q] != SPLIT or not rings.whole[q]:
        return int(adds.at[chain])
    later = np.flatnonzero((adds.q == q) & (np.arange(len(adds.q)) >= chain))
    covers = (adds.avail_idx[later] - position - 1) % WRAP < WRAP // 2
    return int(adds.at[later[covers][0]]) if covers.any() else int(adds.at[chain])


def _wish(view: View, q: int, kicks: Columns) -> bool | None:
    """Return whether ring memory asked for a notification at any of these decisions.

    None where the two readings around a decision differ.
    """
    event, after = ints(kicks, "event"), ints(kicks, "event_after")
    if view.rings.layout[q] != SPLIT:
        wishes = device_wishes(view, kicks)
        if (wishes.requested & wishes.stable).any():
            return True
        return False if wishes.stable.all() else None
    event_idx = view.rings.event_idx(np.full(len(kicks), q), ints(kicks, "event_idx"))
    new, old = ints(kicks, "new"), ints(kicks, "old")
    asked = np.where(event_idx, need_event(event, new, old), event & 1 == 0)
    if (asked & (event == after)).any():
        return True
    return None if (event != after).any() else False


def _sleeping(waiting: _Waiting, kicks: Columns) -> str:
    arms = _device_rows(waiting.view, waiting.q, "vhost_notify").filter(pl.col("enable") == 1)
    first = (int(waiting.view.adds.avail_idx[waiting.first]) - 1) % WRAP
    if arms.height and arms["row"][-1] == waiting.act[0]:
        return (
            f"it enabled notifications at index {arms['avail_idx'][-1]} while entry {first} was "
            "there already, and went to sleep"
        )
    return "it had asked for no notification of the entry, and did not look"


def _progress(waiting: _Waiting) -> Progress:
    view, q = waiting.view, waiting.q
    rings, used = view.rings, view.used
    start = int(rings.used[q]) if rings.layout[q] == SPLIT else 0
    mine = used.fresh & (used.q == q)
    collected = (start + int(np.count_nonzero(mine))) % WRAP
    found = [(collected, -1), ((collected + (left_in_ring(view, q) or 0)) % WRAP, -1)]
    if rings.layout[q] == SPLIT:
        inside = rings.of("interrupt", "callback", "used").of_queue(q)
        backend = _device_rows(view, q, "vhost_used")
        if len(inside):
            found.append((int(ints(inside, "used_idx")[-1]), int(ints(inside, "row")[-1])))
        if backend.height:
            found.append((int(backend["used_idx"][-1]), int(backend["row"][-1])))
    # QEMU logs no flush of a packed ring: each element that it fills is one.
    split = rings.layout[q] == SPLIT
    flushed = _device_rows(view, q, "dev_flush" if split else "dev_fill")
    if flushed.height:
        total = (start + int(flushed["count"].sum() if split else flushed.height)) % WRAP
        found.append((total, int(flushed["row"][-1])))
    best = Progress(collected, collected, -1)
    for returned, row in found:
        other = Progress(returned, collected, row)
        best = other if other.ahead >= best.ahead else best
    return best


def _returned(waiting: _Waiting) -> _Judged | None:
    """Judge a queue in which the device has returned more than the driver has taken."""
    view, q = waiting.view, waiting.q
    rings = view.rings
    if not rings.whole[q]:
        return None
    progress = _progress(waiting)
    if not progress.ahead:
        return None
    since = max(waiting.act[1], waiting.added)
    if progress.row >= 0:
        since = max(waiting.act[1], int(view.events.base["time"][progress.row] or 0))
    calls = rings.of("callback").of_queue(q)
    armed = int(ints(calls, "row")[-1]) if len(calls) else -1
    turn, words = _call(waiting, progress, calls)
    state: State = "unsignalled" if turn == "device" else "uncollected"
    if words == _HOLDS:
        state = "held"
    rows = tuple(row for row in (progress.row, armed) if row >= 0)
    return state, turn, f"{words} ({progress.words})", since, rows


def _call(waiting: _Waiting, progress: Progress, calls: Columns) -> tuple[Turn, str]:
    """Return whose turn it is with entries in the ring, by the driver's last wish, and why."""
    rings, q = waiting.view.rings, waiting.q
    split = rings.layout[q] == SPLIT
    # What a set-up leaves counts until the first call.
    last = calls if len(calls) else rings.of("queue").of_queue(q).take(slice(0, 1))
    wish = {name: int(ints(last, name)[-1]) for name in ("avail_flags", "used_idx")}
    off = not ints(calls, "enable")[-1] if len(calls) else wish["avail_flags"] & 1
    if off:
        return "driver", "it disabled interrupts"
    flagged = len(calls) and split and wish["avail_flags"] & 1
    if flagged and not rings.event_idx(np.array([q]), ints(calls, "event_idx")[-1:])[0]:
        return "driver", "it enabled interrupts, and left the flag that suppresses them"
    if not split and suppressed(waiting.view, q):
        return "driver", "it enabled interrupts, and left the flags that suppress them"
    if without_vector(waiting.view)[q]:
        return "driver", "it gave the queue no vector"
    by_event = bool(
        split and len(calls) and rings.event_idx(np.array([q]), ints(calls, "event_idx")[-1:])[0]
    )
    event = int(ints(calls, "used_event")[-1]) if by_event else 0
    ahead = (event - progress.collected) % WRAP
    # The device interrupts for that one entry: what was returned since then needs none.
    past = by_event and ahead < (wish["used_idx"] - progress.collected) % WRAP <= progress.ahead
    if split and len(calls) and (past or wish["used_idx"] == progress.returned):
        return "driver", "it enabled interrupts while the entry was there, and did not look"
    if _interrupted(waiting, int(ints(last, "row")[-1])):
        return "driver", "it was interrupted"
    if not split and asked_too_late(waiting.view, q):
        return "driver", "it enabled interrupts while the entry was there, and did not look"
    there = bool(left_in_ring(waiting.view, q))
    if not split and wish["avail_flags"] > 1:
        asked = (asked_of_next if there else asked_for)(waiting.view, q)
        if asked is None:
            return "unknown", "the driver asked for an interrupt of one entry of the ring"
        if asked == "none":
            return "driver", "it asked for an interrupt of a place that no descriptor reaches"
        if asked == "available":
            return "device", _HOLDS
    if by_event:
        newest = int(np.searchsorted(waiting.view.adds.q, q, side="right")) - 1
        index = int(waiting.view.adds.avail_idx[newest])
        available = (index - progress.collected) % WRAP
        if ahead >= available:
            return "driver", f"it asked for an interrupt of entry {event} only"
        if ahead >= progress.ahead:
            return "device", _HOLDS
    return "device", "it sent no interrupt that was asked for"


def _interrupted(waiting: _Waiting, armed: int) -> bool:
    """Return whether an interrupt came, or was sent, after the driver had enabled them.

    One that was sent counts if the first entry that waits was there: with it the driver looks.
    """
    view, q = waiting.view, waiting.q
    came = ints(view.rings.of("interrupt").of_queue(q), "row")
    if len(came) and came[-1] > armed:
        return True
    sent = _device_rows(view, q, "vhost_signal").filter(pl.col("sent") == 1)
    if sent.height:
        used = _device_rows(view, q, "vhost_used")
        return bool(sent["row"][-1] > used["row"][-1]) if used.height else True
    flush = "dev_flush" if view.rings.layout[q] == SPLIT else "dev_fill"
    log = _device_rows(view, q, flush, "dev_signal")
    if not log.height:
        return False
    signal = log["kind"].cast(pl.String) == "dev_signal"
    # QEMU logs no flush of a packed ring: each element that it fills is one.
    count = log["count"].fill_null(0) if flush == "dev_flush" else (~signal).cast(pl.Int64)
    taken = int(np.count_nonzero(view.used.fresh & (view.used.q == q)))
    there = count.cum_sum() > taken
    return bool((there & signal).any())


def _sound(view: View, q: int, first: int) -> bool:
    """Return whether the device can serve a waiting chain, as far as the driver is concerned."""
    dev, life, _ = view.rings.queue[q]
    whole = bool(view.chains.whole[first]) and not view.contested_queues[q]
    whole = whole and not used_ring_spoilt(view, *view.rings.queue[q])
    whole = whole and not malformed_requests(view)[first]
    return whole and not view.life(dev, life).needs_reset and not needs_reset(view, dev)
