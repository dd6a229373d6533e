# SPDX-License-Identifier: GPL-2.0-only
"""Queues as QMP shows them at two moments: which of them have not moved in between.

QEMU's own indices show what the device has taken and returned. What the driver wrote is read
from the guest's memory: the available index, and ``used_event``, the entry that it asked an
interrupt for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pykit.spec.arrays import WRAP
from pykit.spec.owed import carries_requests
from pykit.spec.standstill import State, Turn
from pykit.trace.capture import QUEUE_QUERY, RING_MEMORY, STATUS_QUERY

if TYPE_CHECKING:
    from pykit.spec.view import View

#: State, turn, number of chains that wait, index of the first, fact.
_Standing = tuple[State, Turn, int, int, str]
#: Indices that have to be the same at both looks.
_INDICES = ("last-avail-idx", "used-idx", "inuse", "shadow-avail-idx", "avail-idx", "used-event")


@dataclass(frozen=True)
class AskedQueue:
    """A queue whose indices were the same at the first and the last look.

    Attributes:
        indices: by QMP's names, and those read from memory where it was read.
        size: of the queue.
        event_idx: EVENT_IDX was negotiated, so that ``used-event`` means something.
        ns: between the two looks.
        requests: each of its chains is a request.
    """

    dev: int
    vq: int
    indices: dict[str, int]
    size: int
    event_idx: bool
    ns: int
    requests: bool

    def standing(self) -> _Standing | None:
        """Return where its first chain waits; None where none does, or it is not known."""
        taken, used = self.indices.get("last-avail-idx"), self.indices["used-idx"]
        inuse = self.indices.get("inuse")
        if taken is None or inuse is None:
            return None
        if inuse:
            words = "it took the chain and did not return it"
            return "held", "device", inuse, (taken - inuse) % WRAP, words
        shadow = self.indices.get("shadow-avail-idx", taken)
        known = (shadow - taken) % WRAP
        if 0 < known <= self.size:
            return "untaken", "device", known, taken, "it has seen the entry and did not take it"
        waits = (self.indices.get("avail-idx", taken) - taken) % WRAP
        if 0 < waits <= self.size:
            words = "the device was not notified, or did not look"
            return "untaken", "unknown", waits, taken, words
        event = self.indices.get("used-event", used)
        back = (used - event) % WRAP
        if self.event_idx and 0 < back <= self.size:
            words = f"used index {used}, and it still waits for an interrupt of entry {event}"
            return "uncollected", "driver", back, event, words
        return None


def asked_queues(view: View) -> Iterator[AskedQueue]:
    """Yield the queues whose indices QMP showed alike at two moments, nothing between."""
    capture = view.events.capture
    looks: dict[tuple[str, int], list[tuple[int, dict[str, int], int]]] = {}
    event_idx = {
        answer.device: "EVENT_IDX" in str(answer.answer.get("guest-features", {}))
        for answer in capture.qmp
        if answer.query == STATUS_QUERY
    }
    for answer in capture.qmp:
        if answer.queue is None or answer.time_ns is None:
            continue
        key = (answer.device, answer.queue)
        found = {name: int(answer.answer[name]) for name in _INDICES if name in answer.answer}
        if answer.query == QUEUE_QUERY:
            size = int(answer.answer.get("vring-num", 0))
            looks.setdefault(key, []).append((answer.time_ns, found, size))
        elif answer.query == RING_MEMORY and key in looks:
            looks[key][-1][1].update(found)
    for (device, vq), answers in looks.items():
        dev = view.events.devices.get(device)
        (first, before, _), (last, after, size) = answers[0], answers[-1]
        if dev is None or len(answers) < 2 or before != after or _moved(view, dev, first, last):
            continue
        number = next((life.id for life in view.lives.values() if life.dev == dev), None)
        yield AskedQueue(
            dev, vq, after, size, event_idx.get(device, False), last - first,
            carries_requests(number, vq),
        )  # fmt: skip


def _moved(view: View, dev: int, first: int, last: int) -> bool:
    """Return whether the device's log has anything of the time between two looks."""
    logged = view.of("dev_status", "dev_pop", "dev_fill").filter(pl.col("dev") == dev)
    return bool(logged["ts"].is_between(first, last).any())
