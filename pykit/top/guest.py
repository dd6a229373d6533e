# SPDX-License-Identifier: GPL-2.0-only
"""The queues of a running QEMU, asked by QMP at each look; its trace events and log stay alone.

Rates are differences of the used index. How long a chain is under way follows from them: the mean
number under way is the rate times the mean time (Little's law).
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from pykit.analysis.why import Found, QueueState, Why, explain
from pykit.guests.channel import GuestEndedError
from pykit.guests.monitor import Monitor
from pykit.observe import ask_all, ask_interrupts, device_id
from pykit.observe.survey import Surveyor
from pykit.run import monitored, outside
from pykit.top.look import STUCK_S, QueueLine, TopLook
from pykit.trace import load
from pykit.trace.capture import QUEUE_QUERY, RING_MEMORY, STATUS_QUERY, VHOST_QUEUE_QUERY

_WRAP = 1 << 16
#: A queue counts as stuck that stands still for this share of the time between two looks.
_SHARE = 0.8
#: Event suppression of a packed ring (VIRTIO 1.3, 2.8.10): on, off, at one descriptor.
_PACKED = {0: "on", 1: "off", 2: "at one"}

Place = tuple[str, int]
Answers = list[dict[str, Any]]


@dataclass(frozen=True)
class _Asked:
    """What QMP showed of all queues at one time, in s of the monotonic clock."""

    at: float
    answers: Answers
    rings: dict[Place, dict[str, int]]
    packed: frozenset[str]
    event_idx: frozenset[str]


class WatchedGuest:
    """A QEMU behind a monitor."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._asked: deque[_Asked] = deque()
        self._version = monitor.ask("query-version")["qemu"]
        self._devices = outside.devices(monitor)

    def look(self) -> TopLook:
        """Ask for all queues; those that stand still since long enough are explained."""
        try:
            self._take()
            why = self._explained()
        except GuestEndedError as ended:
            return TopLook((), over=ended.message)
        states = {} if why is None else self._by_name(why)
        lines = []
        for place in sorted(self._asked[-1].rings):
            lines.append(self._line(place, states.get(place)))
        return TopLook(tuple(lines), () if why is None else why.broken)

    def _take(self) -> None:
        at = time.monotonic()
        answers = ask_all(self._monitor, "begin")
        self._asked.append(_asked(at, answers))
        # The oldest that is kept is the last one that is old enough.
        while len(self._asked) > 1 and at - self._asked[1].at >= STUCK_S:
            self._asked.popleft()

    def _explained(self) -> Why | None:
        first, last = self._asked[0], self._asked[-1]
        if last.at - first.at < STUCK_S:
            return None
        surveyor = Surveyor()
        for device in self._monitor.ask("x-query-virtio"):
            path = device["path"].removesuffix("/virtio-backend")
            surveyor.take(self._monitor, device_id(path), "end", again=True, path=path)
        answers = [*first.answers, *({**answer, "at": "end"} for answer in last.answers)]
        answers += ask_interrupts(self._monitor, surveyor, "end")
        with tempfile.TemporaryDirectory(prefix="pykit-top-") as folder:
            capture = Path(folder)
            (capture / "qemu.log").touch()
            version = ".".join(str(self._version[part]) for part in ("major", "minor", "micro"))
            outside.write_capture(
                capture,
                guest="",
                devices=self._devices,
                ended=("clean", "watched"),
                steps=[],
                answers=answers,
                surveyor=surveyor,
                version=version,
            )
            events = load(capture)
            self._numbers = {number: name for name, number in events.devices.items()}
            return explain(events, limit_ns=int((last.at - first.at) * _SHARE * 1e9))

    def _by_name(self, why: Why) -> dict[Place, QueueState]:
        return {(self._numbers[s.dev], s.vq): s for s in why.queues if s.dev in self._numbers}

    def _line(self, place: Place, state: QueueState | None) -> QueueLine:
        device, vq = place
        last = self._asked[-1]
        ring = last.rings[place]
        packed, event_idx = device in last.packed, device in last.event_idx
        rate = None if packed else self._rate(place)
        depths = [
            depth
            for asked in self._asked
            if (depth := _depth(asked.rings.get(place, {}), packed)) is not None
        ]
        ns = statistics.mean(depths) / rate * 1e9 if rate and depths else None
        found: Found = "moves" if rate else "idle"
        if state is not None:
            found = state.found
        spoken = state is not None and found in ("stuck", "unknown")
        return QueueLine(
            device,
            vq,
            depth=_depth(ring, packed),
            size=ring.get("size"),
            rate=rate,
            ns=ns,
            notify=_wish(ring, "device", packed=packed, event_idx=event_idx),
            interrupt=_wish(ring, "driver", packed=packed, event_idx=event_idx),
            found=found,
            turn=(state.turn or "") if state is not None else "",
            sentence=state.sentence if state is not None and spoken else "",
        )

    def _rate(self, place: Place) -> float | None:
        """Chains that came back in a second, over the looks that are kept."""
        known = [(a.at, _used(a.rings[place])) for a in self._asked if place in a.rings]
        if len(known) < 2:
            return None
        counts = [used for _, used in known if used is not None]
        if len(counts) < len(known):
            return None
        moved = sum((b - a) % _WRAP for a, b in pairwise(counts))
        return moved / (known[-1][0] - known[0][0])


@contextlib.contextmanager
def watched_guest(qmp: Path) -> Iterator[WatchedGuest]:
    """Connect to a running QEMU by its QMP socket; raises UsageError where none answers."""
    with monitored(qmp) as monitor:
        yield WatchedGuest(monitor)


def _asked(at: float, answers: Answers) -> _Asked:
    rings: dict[Place, dict[str, int]] = {}
    packed, event_idx = set(), set()
    for answer in answers:
        found, device = answer["return"], answer["device"]
        if answer["query"] == STATUS_QUERY:
            features = str(found.get("guest-features", {}))
            if "RING_PACKED" in features:
                packed.add(device)
            if "EVENT_IDX" in features:
                event_idx.add(device)
        elif answer["query"] in (QUEUE_QUERY, VHOST_QUEUE_QUERY, RING_MEMORY):
            ring = rings.setdefault((device, answer["queue"]), {})
            ring |= {name: value for name, value in found.items() if isinstance(value, int)}
            if size := found.get("vring-num", found.get("num")):
                ring["size"] = size
    return _Asked(at, answers, rings, frozenset(packed), frozenset(event_idx))


def _used(ring: Mapping[str, int]) -> int | None:
    return ring.get("used-index", ring.get("used-idx"))


def _depth(ring: Mapping[str, int], packed: bool) -> int | None:
    """Chains under way; of a packed ring, those that the device has taken."""
    if packed:
        return ring.get("inuse")
    used = _used(ring)
    available = ring.get("avail-idx", ring.get("shadow-avail-idx", ring.get("last-avail-idx")))
    return None if used is None or available is None else (available - used) % _WRAP


def _wish(ring: Mapping[str, int], side: str, *, packed: bool, event_idx: bool) -> str:
    """When a side asks to be notified, by what it wrote (VIRTIO 1.3, 2.7.7, 2.7.10, 2.8.10)."""
    if packed:
        flags = ring.get(f"{side}-flags")
        return "" if flags is None else _PACKED.get(flags & 3, "")
    event, index, flags_name = {
        "device": ("avail-event", "avail-idx", "used-flags"),
        "driver": ("used-event", "used-index", "avail-flags"),
    }[side]
    if not event_idx:
        flags = ring.get(flags_name)
        return "" if flags is None else "off" if flags & 1 else "on"
    at, now = ring.get(event), ring.get(index)
    if at is None or now is None:
        return ""
    ahead = (at - now) % _WRAP
    if ahead == 0:
        return "on"
    return f"+{ahead}" if ahead <= ring.get("size", 0) else "off"
