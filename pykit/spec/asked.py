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
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from pykit.spec.arrays import WRAP
from pykit.spec.asked_packed import packed_standing
from pykit.spec.owed import carries_requests
from pykit.spec.standstill import Standing, Undecided
from pykit.trace.capture import QUEUE_QUERY, RING_MEMORY, STATUS_QUERY, VHOST_QUEUE_QUERY, QmpAnswer

if TYPE_CHECKING:
    from pykit.spec.view import View

#: Numbers that have to be the same at both looks.
_INDICES = (
    "last-avail-idx", "used-idx", "inuse", "shadow-avail-idx", "signalled-used", "avail-flags",
    "avail-idx", "used-event", "used-flags", "used-index", "avail-event", "driver-event",
    "driver-flags", "driver-place-flags", "device-event", "device-flags", "device-place-flags",
)  # fmt: skip
#: When a guest was asked that ran already.
_FIRST = "begin"


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

    def standing(self) -> Standing | None:
        """Return where its first chain waits; None where none does, or it is not known."""
        found = self._found
        return None if isinstance(found, Undecided) else found

    @property
    def undecided(self) -> Undecided | None:
        """Return why nothing is known of chains that may wait, of a queue that did not move."""
        found = self._found
        return found if isinstance(found, Undecided) else None

    @cached_property
    def _found(self) -> Standing | Undecided | None:
        if self.moved:
            return None
        at = self.indices
        taken, inuse = at.get("last-avail-idx"), at.get("inuse")
        if taken is not None and inuse:
            words = "it took the chain and did not return it"
            return "held", "device", inuse, (taken - inuse) % WRAP, words
        if "driver-flags" in at:
            return packed_standing(at, self.size)
        found = self._by_memory() if taken is None else self._by_indices(taken)
        return found or self._unknown()

    def _by_indices(self, taken: int) -> Standing | None:
        """Judge a split ring of QEMU's own device, which holds no chain that it counts."""
        at = self.indices
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

    def _unknown(self) -> Undecided | None:
        at = self.indices
        if "used-event" not in at:
            return Undecided("its memory was not read, so that waiting entries do not show")
        used = at.get("used-idx", at.get("used-index", 0))
        if not used and not at.get("avail-idx", 0):
            return None
        if not self.event_idx:
            words = "without EVENT_IDX it does not show whether the driver has taken what is back"
            return Undecided(words)
        event = at["used-event"]
        if event == used:
            return None
        if self._ahead(event, used):
            words = (
                f"the driver waits for an interrupt of entry {event} only, which it has not made "
                f"available, and used index {used}: whether it has taken what is back does not show"
            )
            return Undecided(words, "driver")
        words = "the driver waits for no interrupt: whether it has taken what is back is unknown"
        return Undecided(words)

    def _ahead(self, index: int, other: int) -> int:
        """Return by how many entries an index is ahead; 0 where it cannot be."""
        ahead = (index - other) % WRAP
        return ahead if ahead <= self.size else 0

    def _untaken(self, waits: int, first: int) -> Standing:
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

    def _returned(self, used: int) -> Standing | None:
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
            words = f"{words}: none of it reached the driver, or it did not look"
            return "uncollected", "unknown", back, event, words
        return "uncollected", "driver", back, event, words

    def _by_memory(self) -> Standing | None:
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
                f"it asked for a notification of entry {event} only: it holds the chain, or names "
                "a wrong entry"
            )
            return "held", "device", waits, used, words
        words = f"it asked for a notification of entry {event} only, and returned nothing"
        return "asleep", "device", waits, used, words


@dataclass
class _Look:
    time_ns: int
    found: dict[str, int]
    size: int
    at: str


def asked_queues(view: View) -> Iterator[AskedQueue]:
    """Yield the queues that QMP showed, at two moments, or after the last that the log has."""
    capture = view.events.capture
    event_idx = {
        answer.device
        for answer in capture.qmp
        if answer.query == STATUS_QUERY
        and "EVENT_IDX" in str(answer.answer.get("guest-features", {}))
    }
    ended = any(answer.at != _FIRST for answer in capture.qmp)
    for (device, vq), answers in _looks(capture.qmp).items():
        dev = view.events.devices.get(device)
        if dev is None:
            continue
        first, last = answers[0], answers[-1]
        if last.at == _FIRST and ended:
            # It was not there any more at the last look.
            continue
        begin = first.time_ns if len(answers) > 1 else _last_logged(view, dev)
        if begin is None:
            continue
        moved = first.found != last.found or _moved(view, dev, begin, last.time_ns)
        number = next((life.id for life in view.lives.values() if life.dev == dev), None)
        yield AskedQueue(
            dev, vq, last.found, last.size, device in event_idx,
            max(last.time_ns - begin, 0), carries_requests(number, vq), moved,
        )  # fmt: skip


def outstanding_at_first(view: View) -> dict[tuple[int, int], int]:
    """Return how many chains the device of each queue had at a running guest's first look."""
    found = {}
    for (device, vq), looks in _looks(view.events.capture.qmp).items():
        dev, at = view.events.devices.get(device), looks[0].found
        if dev is not None and looks[0].at == _FIRST:
            waits = at.get("avail-idx", 0) - at.get("used-index", at.get("used-idx", 0))
            found[dev, vq] = at.get("inuse", 0) or (waits % WRAP if "avail-idx" in at else 0)
    return found


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
            looks.setdefault(key, []).append(_Look(answer.time_ns, found, size, answer.at))
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
