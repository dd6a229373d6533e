# SPDX-License-Identifier: GPL-2.0-only
"""Queues as QMP shows them at two moments: which of them have not moved in between.

QEMU's own indices show what the device has taken and returned. What the driver wrote, and what a
device of another process wrote, is read from the guest's memory: the indices, and the entry that
either side asked to be notified of.

Where the device asked for a notification of an entry that is there, none has reached it: it looks
once more after it asked. Whether the driver sent none or it was lost on its way does not show from
outside. The same holds for interrupts, but for those that wait in a vector that is masked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pykit.spec.arrays import WRAP
from pykit.spec.owed import carries_requests
from pykit.spec.standstill import State, Turn
from pykit.trace.capture import QUEUE_QUERY, RING_MEMORY, STATUS_QUERY, VHOST_QUEUE_QUERY, QmpAnswer

if TYPE_CHECKING:
    from pykit.spec.view import View

#: State, turn, number of chains that wait, index of the first, fact.
_Standing = tuple[State, Turn, int, int, str]
#: Numbers that have to be the same at both looks.
_INDICES = (
    "last-avail-idx", "used-idx", "inuse", "shadow-avail-idx", "signalled-used", "avail-flags",
    "avail-idx", "used-event", "used-flags", "used-index", "avail-event", "next-flags",
    "driver-event", "driver-flags", "device-event", "device-flags",
)  # fmt: skip
#: Bits of a packed ring's descriptor, and its event suppression that names a descriptor.
_AVAIL, _USED, _BY_DESCRIPTOR, _OFFSET = 1 << 7, 1 << 15, 2, (1 << 15) - 1


@dataclass(frozen=True)
class AskedQueue:
    """A queue as it was at the first and the last look.

    Attributes:
        indices: by QMP's names, and those read from memory where it was read.
        size: of the queue.
        event_idx: EVENT_IDX was negotiated, so that ``used-event`` means something.
        ns: between the two looks.
        requests: each of its chains is a request.
        moved: its indices were not alike, or the log has something between.
    """

    dev: int
    vq: int
    indices: dict[str, int]
    size: int
    event_idx: bool
    ns: int
    requests: bool
    moved: bool = False

    @property
    def full(self) -> bool:
        """Return whether as many chains wait as the queue has entries."""
        standing = self.standing()
        return standing is not None and standing[2] >= self.size

    def standing(self) -> _Standing | None:
        """Return where its first chain waits; None where none does, or it is not known."""
        if self.moved:
            return None
        at = self.indices
        if "used-idx" not in at:
            return self._by_memory()
        taken, inuse = at.get("last-avail-idx"), at.get("inuse")
        if taken is None or inuse is None:
            return None
        if inuse:
            words = "it took the chain and did not return it"
            return "held", "device", inuse, (taken - inuse) % WRAP, words
        if "next-flags" in at:
            return self._packed(taken)
        shadow = at.get("shadow-avail-idx", taken)
        known = self._ahead(shadow, taken)
        if known:
            return "untaken", "device", known, taken, "it has seen the entry and did not take it"
        if waits := self._ahead(at.get("avail-idx", taken), taken):
            return self._untaken(waits, taken)
        # A device that met what it cannot understand counts the chain as taken, and in use no more.
        if lost := self._ahead(at.get("avail-idx", taken), at["used-idx"]):
            words = "it took the chain, counts it in use no more and did not return it"
            return "held", "device", lost, at["used-idx"], words
        return self._returned(at["used-idx"])

    @property
    def unknown(self) -> str:
        """Say why nothing is known of chains that may wait, of a queue that did not move."""
        if self.moved or self.standing() is not None:
            return ""
        at = self.indices
        if "used-event" not in at and "driver-event" not in at:
            return "its memory was not read, so that waiting entries do not show"
        used = at.get("used-idx", at.get("used-index", 0))
        if "next-flags" in at:
            if at["driver-flags"] != _BY_DESCRIPTOR or self._round() is None:
                return "which entries wait does not show in its event suppression"
            return ""
        if not used and not at.get("avail-idx", 0):
            return ""
        if not self.event_idx:
            return "without EVENT_IDX it does not show whether the driver has taken what is back"
        if at["used-event"] != used:
            return "the driver waits for no interrupt: whether it has taken what is back is unknown"
        return ""

    def _ahead(self, index: int, other: int) -> int:
        """Return by how many entries an index is ahead; 0 where it cannot be."""
        ahead = (index - other) % WRAP
        return ahead if ahead <= self.size else 0

    def _untaken(self, waits: int, first: int) -> _Standing:
        at = self.indices
        if self.event_idx and "avail-event" in at:
            if at["avail-event"] == first:
                return (
                    "published",
                    "driver",
                    waits,
                    first,
                    (f"the device asked for a notification of entry {first}, and none reached it"),
                )
            words = f"it asked for a notification of entry {at['avail-event']}, and did not look"
            if (at["avail-event"] - first) % WRAP < waits:
                words = f"the device asked for a notification of entry {at['avail-event']}"
                return "untaken", "unknown", waits, first, words
            return "asleep", "device", waits, first, words
        if at.get("used-flags", 0) & 1:
            return "asleep", "device", waits, first, "it asked for no notification, did not look"
        words = "the device was not notified, or did not look"
        return "untaken", "unknown", waits, first, words

    def _returned(self, used: int) -> _Standing | None:
        """Judge a queue of which each chain is back."""
        at = self.indices
        event = at.get("used-event", used)
        back = self._ahead(used, event)
        if not self.event_idx or not back:
            return None
        decided = at.get("signalled-used")
        if decided is not None and decided != used and self._ahead(used, decided):
            words = f"it returned up to {used}, and decided on no interrupt since {decided}"
            return "unsignalled", "device", back, event, words
        if not event:
            # What a driver writes that polls, and what stands there before it waits for any.
            return None
        words = f"used index {used}, and the driver still waits for an interrupt of entry {event}"
        if decided is None:
            return "uncollected", "unknown", back, event, words
        return "uncollected", "driver", back, event, words

    def _by_memory(self) -> _Standing | None:
        """Judge a split ring of a device that another process serves."""
        at = self.indices
        if "avail-idx" not in at:
            return None
        used = at["used-index"]
        waits = self._ahead(at["avail-idx"], used)
        if not waits:
            return self._returned(used)
        if not self.event_idx:
            if at["used-flags"] & 1:
                return "held", "device", waits, used, "it asked for no notification of the entry"
            words = "the device was not notified of the entry, or did not return it"
            return "untaken", "unknown", waits, used, words
        event = at["avail-event"]
        behind = (event - used) % WRAP
        if not behind:
            words = f"the device asked for a notification of entry {event}, and none reached it"
            return "published", "driver", waits, used, words
        if behind <= waits:
            words = (
                f"it asked for a notification of entry {event}, so it has taken the chain, and did "
                "not return it"
            )
            return "held", "device", waits, used, words
        words = f"it asked for a notification of entry {event} only, and returned nothing"
        return "asleep", "device", waits, used, words

    def _round(self) -> int | None:
        """Return the wrap counter at the device's place in a packed ring, where it wrote that."""
        at = self.indices
        event = at["device-event"]
        by_place = at["device-flags"] == _BY_DESCRIPTOR
        return event >> 15 if by_place and event & _OFFSET == at["last-avail-idx"] else None

    def _packed(self, taken: int) -> _Standing | None:
        at = self.indices
        wrap = self._round()
        flags = bool(at["next-flags"] & _AVAIL), bool(at["next-flags"] & _USED)
        if wrap is not None and flags == (bool(wrap), not wrap):
            words = "the device asked for a notification of the descriptor, and none reached it"
            return "published", "driver", 1, taken, words
        place = at["driver-event"] & _OFFSET
        if at["driver-flags"] == _BY_DESCRIPTOR and place != at["used-idx"]:
            words = f"used position {at['used-idx']}, and it waits for an interrupt of {place}"
            return "uncollected", "driver", (at["used-idx"] - place) % self.size, place, words
        return None


@dataclass
class _Look:
    time_ns: int
    found: dict[str, int]
    size: int


def asked_queues(view: View) -> Iterator[AskedQueue]:
    """Yield the queues that QMP showed, at two moments, or after the last that the log has."""
    capture = view.events.capture
    event_idx = {
        answer.device
        for answer in capture.qmp
        if answer.query == STATUS_QUERY
        and "EVENT_IDX" in str(answer.answer.get("guest-features", {}))
    }
    for (device, vq), answers in _looks(capture.qmp).items():
        dev = view.events.devices.get(device)
        if dev is None:
            continue
        first, last = answers[0], answers[-1]
        begin = first.time_ns if len(answers) > 1 else _last_logged(view, dev)
        if begin is None:
            continue
        moved = first.found != last.found or _moved(view, dev, begin, last.time_ns)
        number = next((life.id for life in view.lives.values() if life.dev == dev), None)
        yield AskedQueue(
            dev, vq, last.found, last.size, device in event_idx,
            max(last.time_ns - begin, 0), carries_requests(number, vq), moved,
        )  # fmt: skip


def _looks(answers: tuple[QmpAnswer, ...]) -> dict[tuple[str, int], list[_Look]]:
    looks: dict[tuple[str, int], list[_Look]] = {}
    for answer in answers:
        if answer.queue is None or answer.time_ns is None:
            continue
        key = (answer.device, answer.queue)
        found = {name: int(answer.answer[name]) for name in _INDICES if name in answer.answer}
        if not answer.answer.get("signalled-used-valid", True):
            found.pop("signalled-used", None)
        if answer.query in (QUEUE_QUERY, VHOST_QUEUE_QUERY):
            size = int(answer.answer.get("vring-num", answer.answer.get("num", 0)))
            looks.setdefault(key, []).append(_Look(answer.time_ns, found, size))
        elif answer.query == RING_MEMORY and key in looks:
            looks[key][-1].found.update(found)
    return looks


_ACTS = ("dev_status", "dev_pop", "dev_fill")


def _last_logged(view: View, dev: int) -> int | None:
    """Return when the log has a device's last act, where one look alone was taken."""
    times = view.of(*_ACTS).filter(pl.col("dev") == dev)["ts"].drop_nulls()
    return int(times[-1]) if len(times) else None


def _moved(view: View, dev: int, first: int, last: int) -> bool:
    """Return whether the device's log has anything of the time between two looks."""
    times = view.of(*_ACTS).filter(pl.col("dev") == dev)["ts"]
    return bool(((times > first) & (times <= last)).any())
