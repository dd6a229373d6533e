# SPDX-License-Identifier: GPL-2.0-only
"""The zones of zoned block devices, as requests and reports show them (section 5.2.6).

For each life that negotiated ZONED, the requests are followed in order. What is known of a zone
comes from the last report of it, and from the requests that succeeded since. While two requests
of one zone overlap and one of them changes it, nothing is known of the order in which the device
saw them: such requests are not judged by the zone's state, and the state is unknown until the
next report or reset of it.

A state is a set of states that are possible: a device may close a zone that is open implicitly
at any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import numpy as np

from pykit.spec import bits
from pykit.spec import blkconfig as cfg
from pykit.spec.arrays import Columns, Ints, ints, key_of, last_before
from pykit.spec.lives import Life
from pykit.spec.rings import ID_SPAN
from pykit.spec.view import View
from pykit.spec.zone_limits import illegal

States = frozenset[int]
T = TypeVar("T")

#: Requests of two queues overlap if the later begins less than this after the earlier's end, ns:
#: a request is traced after it was made available, by as much as a preempted CPU is away.
SLACK = 20_000_000
#: A zone in one of these states has a write pointer.
WRITABLE: States = frozenset({bits.ZS_EMPTY, bits.ZS_IOPEN, bits.ZS_EOPEN, bits.ZS_CLOSED})
OPEN: States = frozenset({bits.ZS_IOPEN, bits.ZS_EOPEN})
ACTIVE: States = OPEN | {bits.ZS_CLOSED}
#: What a zone may become at any time, when hardware fails.
LOST: States = frozenset({bits.ZS_READ_ONLY, bits.ZS_OFFLINE})


class Characteristics(NamedTuple):
    """What the driver read of a zoned device's characteristics; None where it did not."""

    zone_sectors: int | None
    max_open: int | None
    max_active: int | None
    max_append: int | None
    granularity: int | None
    model: int | None

    @classmethod
    def of(cls, life: Life) -> Characteristics:
        """Return the values that were read first: they do not change in a life."""
        first = (next((v for _, v in life.reads(f.offset, f.width)), None) for f in cfg.ZONE_FIELDS)
        return cls(*first)


class Descriptor(NamedTuple):
    """A zone as a report has it."""

    row: int
    pos: int
    start: int
    capacity: int
    wp: int
    kind: int
    state: int


@dataclass
class Zone:
    """What is known of a zone; None where it is not.

    Attributes:
        kind: its type.
        states: the states that are possible.
        cause: the type of the request that determined them last.
    """

    start: int
    kind: int | None = None
    capacity: int | None = None
    states: States | None = None
    wp: int | None = None
    cause: int = bits.T_ZONE_REPORT

    def forget(self) -> None:
        """Take note that the state and the write pointer are not known."""
        self.states = self.wp = None

    def surely(self, states: States) -> bool:
        """Return whether the state is known to be one of these."""
        return self.states is not None and self.states <= states

    def maybe(self, states: States) -> bool:
        """Return whether the state may be one of these."""
        return self.states is None or bool(self.states & states)


@dataclass
class Request:
    """A request to a zoned device, and what is known when it ends.

    Attributes:
        number: index into ``view.requests``.
        sectors: length of its data.
        answer: append_sector or nr_zones, None where it is not known.
        reasons: clauses that demand a status, with the statuses that each of them takes.
        lone: no other request of the same zone that changes it overlapped.
        zone: a copy of the zone that its sector is in, as it was before.
        open, active: how many zones were certainly and possibly open, or active; None where
            requests that change zones overlapped.
    """

    number: int
    row: int
    done: int
    type: int
    sector: int
    bytes: int
    status: int
    answer: int | None = None
    reasons: dict[str, States] = field(default_factory=dict)
    lone: bool = True
    zone: Zone | None = None
    open: tuple[int, int] | None = None
    active: tuple[int, int] | None = None
    report: list[Descriptor] = field(default_factory=list)
    ranges: list[tuple[int, int]] = field(default_factory=list)
    mixed: set[int] = field(default_factory=set)
    crowded: bool = False

    @property
    def sectors(self) -> int:
        """Return the length of its data."""
        return self.bytes // bits.SECTOR

    @property
    def changes(self) -> bool:
        """Return whether it may change a zone."""
        return self.type not in (bits.T_IN, bits.T_ZONE_REPORT)

    @property
    def shown(self) -> tuple[int, ...]:
        """Return the rows that show it."""
        return (self.row, self.done)


class Contradiction(NamedTuple):
    """A reported zone that is not what the requests before have made of it."""

    request: Request
    row: int
    cause: int
    message: str


@dataclass
class History:
    """One life of a zoned device.

    Attributes:
        requests: those that ended, in that order.
        compared: how many reported zones were compared with what was known, by the cause of that.
    """

    life: Life
    limits: Characteristics
    requests: list[Request] = field(default_factory=list)
    compared: list[int] = field(default_factory=list)
    contradictions: list[Contradiction] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Return the name that messages use."""
        return self.life.name


def histories(view: View) -> list[History]:
    """Return the lives of zoned devices, each followed through its requests."""
    return view.keep("zones", _read)


def _read(view: View) -> list[History]:
    rings, found = view.rings, []
    negotiated = rings.feature(bits.BLK_ZONED) == 1
    lives = sorted({rings.queue[q][:2] for q in np.flatnonzero(negotiated).tolist()})
    for name in lives:
        life = view.life(*name)
        history = History(life, Characteristics.of(life))
        queues = [q for q, queue in enumerate(rings.queue) if queue[:2] == name]
        _Follower(view, history, queues).run()
        found.append(history)
    return found


def _places(view: View, queues: list[int], events: Columns, slack: int) -> Ints:
    """Return where events stand in the life: exactly for one queue, by time for several."""
    used = {q for q in queues if (view.requests.q == q).any()}
    if len(used) <= 1:
        return ints(events, "at")
    return view.rings.base_of(events, "ts") - slack


class _Follower:
    """Follows the zones of one life."""

    def __init__(self, view: View, history: History, queues: list[int]) -> None:
        self.history = history
        self.limits = history.limits
        self.size = history.limits.zone_sectors or 0
        self.zones: dict[int, Zone] = {}
        self.flying: list[Request] = []
        self.steps: list[tuple[int, int, Request]] = []
        self._gather(view, queues)

    def _gather(self, view: View, queues: list[int]) -> None:
        rings, requests = view.rings, view.requests
        starts, ends = rings.of("blk_start"), rings.of("blk_done")
        begin = _places(view, queues, starts, SLACK)
        end_of = dict(zip(ends["row"].tolist(), _places(view, queues, ends, 0), strict=True))
        answers, reports = _answers(view), _reports(view)
        ranges = _ranges(view)
        mine = np.isin(requests.q, queues)
        for n in np.flatnonzero(mine).tolist():
            done = int(requests.done[n])
            request = Request(
                number=n,
                row=int(requests.row[n]),
                done=done,
                type=int(requests.type[n]),
                sector=int(requests.sector[n]),
                bytes=int(requests.bytes[n]),
                status=int(requests.status[n]),
                answer=answers.get(n),
                report=reports.get(n, []),
                ranges=ranges.get(n, []),
            )
            self.steps.append((int(begin[n]), 0, request))
            if done >= 0:
                self.steps.append((int(end_of[done]), 1, request))

    def run(self) -> None:
        """Follow the requests in order; without the size of zones only list them."""
        order = sorted(self.steps, key=lambda step: step[:2])
        if not self.size:
            self.history.requests += [request for _, ends, request in order if ends]
            return
        for _, ends, request in order:
            if ends:
                self.flying.remove(request)
                self.end(request)
            else:
                self.begin(request)
                self.flying.append(request)

    def touched(self, request: Request) -> set[int] | None:
        """Return the numbers of the zones that a request is about, None for all."""
        match request.type:
            case bits.T_ZONE_RESET_ALL:
                return None
            case bits.T_ZONE_REPORT:
                return None
            case bits.T_SECURE_ERASE | bits.T_DISCARD | bits.T_WRITE_ZEROES:
                spans = request.ranges
            case bits.T_IN | bits.T_OUT:
                spans = [(request.sector, request.sectors)]
            case _:
                spans = [(request.sector, 1)]
        return {
            number
            for sector, sectors in spans
            for number in range(
                sector // self.size, (sector + max(sectors, 1) - 1) // self.size + 1
            )
        }

    def begin(self, request: Request) -> None:
        """Note which requests overlap."""
        mine = self.touched(request)
        for other in self.flying:
            if not (request.changes or other.changes):
                continue
            theirs = self.touched(other)
            if mine is None or theirs is None:
                both = mine if theirs is None else theirs
                both = set(self.zones) if both is None else both
            else:
                both = mine & theirs
            if other.changes:
                request.mixed |= both
                request.crowded = True
            if request.changes:
                other.mixed |= both
                other.crowded = True

    def zone(self, number: int) -> Zone:
        """Return a zone by its number."""
        return self.zones.setdefault(number, Zone(number * self.size))

    def end(self, request: Request) -> None:
        """Judge a request by what is known, and take note of what it has done."""
        number = request.sector // self.size
        request.lone = number not in request.mixed
        zone = self.zone(number)
        request.zone = Zone(**vars(zone))
        if not request.lone:
            request.zone.forget()
        if not request.crowded:
            request.open = self.count(OPEN, number)
            request.active = self.count(ACTIVE, number)
        request.reasons = illegal(request, self.limits)
        self.history.requests.append(request)
        if request.type == bits.T_ZONE_REPORT:
            self.read_report(request)
        elif request.changes:
            self.apply(request)

    def count(self, states: States, but: int) -> tuple[int, int]:
        """Return how many other zones are certainly, and possibly, in one of these states.

        A zone that may have been closed by the device is not certainly open.
        """
        others = [z for n, z in self.zones.items() if n != but]
        others = [z for z in others if z.kind != bits.ZT_CONVENTIONAL]
        return sum(z.surely(states) for z in others), sum(z.maybe(states) for z in others)

    def apply(self, request: Request) -> None:
        """Take note of what a request has done to its zones."""
        touched = self.touched(request)
        for number in list(self.zones) if touched is None else sorted(touched):
            zone = self.zone(number)
            if zone.kind == bits.ZT_CONVENTIONAL:
                continue
            if number in request.mixed:
                zone.forget()
            elif request.status == bits.S_OK:
                self.succeed(request, zone)
                zone.cause = request.type
            elif request.status in (bits.S_IOERR, bits.S_UNWRITTEN):
                # Nobody knows how far it got.
                zone.forget()

    def succeed(self, request: Request, zone: Zone) -> None:
        """Take note of what a request that succeeded has made of one zone."""
        match request.type:
            case bits.T_ZONE_OPEN:
                zone.states = frozenset({bits.ZS_EOPEN})
            case bits.T_ZONE_CLOSE:
                zone.states = _closed(zone)
            case bits.T_ZONE_FINISH:
                zone.states, zone.wp = frozenset({bits.ZS_FULL}), None
            case bits.T_ZONE_RESET:
                zone.states, zone.wp = frozenset({bits.ZS_EMPTY}), zone.start
            case bits.T_ZONE_RESET_ALL if zone.maybe(LOST):
                # What cannot be reset stays as it is.
                if not zone.surely(LOST):
                    zone.forget()
            case bits.T_ZONE_RESET_ALL:
                zone.states, zone.wp = frozenset({bits.ZS_EMPTY}), zone.start
            case bits.T_SECURE_ERASE if _covers(request, zone, self.size):
                zone.states, zone.wp = frozenset({bits.ZS_EMPTY}), zone.start
            case bits.T_OUT if request.sector == zone.wp and zone.states:
                _written(zone, request.sectors)
            case bits.T_ZONE_APPEND if zone.wp is not None and zone.states:
                _written(zone, request.sectors)
            case _:
                zone.forget()

    def read_report(self, request: Request) -> None:
        """Compare a report with what is known, and believe it."""
        if request.status != bits.S_OK:
            return
        for seen in request.report:
            number = seen.start // self.size
            if number in request.mixed:
                continue
            zone = self.zone(number)
            self.compare(request, zone, seen)
            zone.kind, zone.capacity = seen.kind, seen.capacity
            zone.states = _possible(frozenset({seen.state}))
            zone.wp = seen.wp if seen.state in WRITABLE else None
            zone.cause = request.type

    def compare(self, request: Request, zone: Zone, seen: Descriptor) -> None:
        """Report what contradicts the requests since the last report."""
        known = zone.states
        if known is None or zone.kind == bits.ZT_CONVENTIONAL or seen.state in LOST:
            return
        self.history.compared.append(zone.cause)
        message = ""
        if seen.state not in known:
            names = " or ".join(str(state) for state in sorted(known))
            message = f"zone at {zone.start}: state {seen.state} is reported, it should be {names}"
        elif zone.wp is not None and seen.state in WRITABLE and seen.wp != zone.wp:
            message = (
                f"zone at {zone.start}: a write pointer of {seen.wp} is reported, not {zone.wp}"
            )
        if message:
            self.history.contradictions.append(
                Contradiction(request, seen.row, zone.cause, f"{self.history.name}: {message}")
            )


def _possible(states: States) -> States:
    """Add what a device may make of them by itself."""
    return states | {bits.ZS_CLOSED} if bits.ZS_IOPEN in states else states


def _closed(zone: Zone) -> States | None:
    """Return the states that a zone may have after it was closed."""
    if zone.surely(frozenset({bits.ZS_EOPEN})) and zone.wp is not None:
        return frozenset({bits.ZS_EMPTY if zone.wp == zone.start else bits.ZS_CLOSED})
    return frozenset({bits.ZS_EMPTY, bits.ZS_CLOSED})


def _written(zone: Zone, sectors: int) -> None:
    """Take note of data that was written at the write pointer."""
    if not zone.surely(WRITABLE) or zone.wp is None or zone.capacity is None:
        zone.forget()
        return
    stays = zone.surely(frozenset({bits.ZS_EOPEN}))
    zone.wp += sectors
    zone.states = _possible(frozenset({bits.ZS_EOPEN if stays else bits.ZS_IOPEN}))
    if zone.wp >= zone.start + zone.capacity:
        zone.states, zone.wp = frozenset({bits.ZS_FULL}), None


def _covers(request: Request, zone: Zone, size: int) -> bool:
    """Return whether a range of the request holds all of a zone."""
    end = zone.start + size
    return any(first <= zone.start and end <= first + n for first, n in request.ranges)


def requests_of(view: View, events: Columns) -> Ints:
    """By event that belongs to a request: the index of the request, -1 if it was not seen."""
    starts = view.rings.of("blk_start")
    return last_before(
        key_of(view.requests.q, ints(starts, "head"), ID_SPAN),
        view.requests.at,
        key_of(ints(events, "q"), ints(events, "head"), ID_SPAN),
        ints(events, "at"),
    )


def _answers(view: View) -> Mapping[int, int]:
    """By request: its answer's first eight bytes."""
    events = view.rings.of("blk_answer")
    number = requests_of(view, events)
    return dict(zip(number.tolist(), ints(events, "first").tolist(), strict=True))


def _reports(view: View) -> dict[int, list[Descriptor]]:
    """By request: the zones of its report."""
    events = view.rings.of("blk_zone")
    names = ("row", "pos", "start", "capacity", "wp", "z_type", "z_state")
    rows = (Descriptor(*values.values()) for values in events.dicts(*names))
    return _by_request(view, events, rows)


def _ranges(view: View) -> dict[int, list[tuple[int, int]]]:
    """By request: its ranges."""
    events = view.rings.of("blk_range")
    pairs = zip(ints(events, "sector").tolist(), ints(events, "sectors").tolist(), strict=True)
    return _by_request(view, events, pairs)


def _by_request(view: View, events: Columns, values: Iterable[T]) -> dict[int, list[T]]:
    found: dict[int, list[T]] = {}
    for number, value in zip(requests_of(view, events).tolist(), values, strict=True):
        found.setdefault(number, []).append(value)
    return found
