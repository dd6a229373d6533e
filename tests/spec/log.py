# SPDX-License-Identifier: GPL-2.0-only
"""Events written down one by one, and made into the table that rules read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from pykit.trace import (
    CapturedDevice,
    CapturedOutcome,
    CapturedStep,
    CaptureInfo,
    Events,
    QmpAnswer,
)
from pykit.trace.events import join
from pykit.trace.kinds import BASE, JOINED, KINDS, SET_UP, columns_of, source_of

Event = dict[str, Any]

#: Fields that the tracepoints have beside those of every capture.
EXTRA = {"kick": {"flags": pl.UInt16, "flags_after": pl.UInt16}}
#: What QEMU's log has, in one order.
LOGGED = ("qemu", "registers")
#: The host's clock is another one.
HOST_TIME = 1_700_000_000_000_000_000


@dataclass
class Log:
    """Events in the order in which they happen, on both sides at once."""

    events: list[Event] = field(default_factory=list)
    devices: dict[str, int] = field(default_factory=lambda: {"vd0": 1})
    device_type: str = "virtio-blk-pci"
    driver: str = "pykit"
    legacy: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    qemu: str = "7.2.22"
    kernel: str = "6.12.0"
    outcome: str = "clean"
    qmp: list[QmpAnswer] = field(default_factory=list)
    steps: list[CapturedStep] = field(default_factory=list)
    lost: int = 0
    clock: str = "mono"
    now: int = 1_000_000
    seqs: dict[tuple[int, int, int], int] = field(default_factory=dict)

    def add(self, kind: str, **fields: Any) -> Event:
        """Write an event down; the clock moves on by a microsecond."""
        self.now += 1000
        event: Event = {"kind": kind, "source": source_of(kind), "ts": self.now, **fields}
        if event["source"] in (*LOGGED, "survey"):
            event["ts"] += HOST_TIME
        elif "vq" in fields and "seq" not in fields:
            place = (fields["dev"], fields["life"], fields["vq"])
            if kind == "queue" and fields["op"] in (SET_UP, JOINED):
                self.seqs[place] = 0
            self.seqs[place] = self.seqs.get(place, 0) + 1
            event["seq"] = self.seqs[place]
        self.events.append(event)
        return event

    def of(self, *kinds: str, **fields: Any) -> list[Event]:
        """Events of these kinds with these fields, in order: to be altered, usually."""
        return [
            event
            for event in self.events
            if event["kind"] in kinds and all(event.get(k) == v for k, v in fields.items())
        ]

    def one(self, kind: str, nth: int = 0, **fields: Any) -> Event:
        """The n-th such event."""
        return self.of(kind, **fields)[nth]

    def drop(self, gone: Iterable[Event]) -> None:
        """Take events away, as if they had never happened."""
        ids = {id(event) for event in gone}
        self.events = [event for event in self.events if id(event) not in ids]
        self.renumber()

    def insert(self, at: Event, kind: str, *, after: bool = True, **fields: Any) -> Event:
        """Write an event down right behind (or before) another one, of the same place."""
        place = next(i for i, event in enumerate(self.events) if event is at)
        base = {name: at[name] for name in ("ts", "cpu", "pid", "dev", "life") if name in at}
        event = {"kind": kind, "source": source_of(kind), **base, **fields}
        if event["source"] not in LOGGED and "vq" in at and "vq" not in fields:
            event["vq"] = at["vq"]
        self.events.insert(place + after, event)
        self.renumber()
        return event

    def renumber(self) -> None:
        """Number the events of each queue again, in the order in which they stand."""
        numbers: dict[tuple[int, int, int], int] = {}
        for event in self.events:
            if event["source"] == "driver" and "vq" in event:
                place = (event["dev"], event["life"], event["vq"])
                if event["kind"] == "queue" and event["op"] in (SET_UP, JOINED):
                    numbers[place] = 0
                numbers[place] = event["seq"] = numbers.get(place, 0) + 1

    def after(self, event: Event, wanted: Callable[[Event], bool]) -> Event:
        """The next event behind one that is wanted."""
        place = next(i for i, other in enumerate(self.events) if other is event)
        return next(other for other in self.events[place + 1 :] if wanted(other))

    def build(self) -> Events:
        """The event table: the guest's events first, then QEMU's."""
        union = columns_of(KINDS, EXTRA)
        schema = {"ts": pl.Int64, "source": pl.String, "kind": pl.String, **BASE, **union}
        del schema["row"]
        rows = sorted(self.events, key=lambda event: event["source"] in LOGGED)
        frames, fields = join(None, pl.DataFrame(rows, schema=schema), EXTRA)
        capture = CaptureInfo(
            complete=True,
            clock=self.clock,
            cpus=2,
            kernel=self.kernel,
            qemu=self.qemu,
            outcome=CapturedOutcome(self.outcome, ""),
            devices=tuple(
                CapturedDevice(name, self.device_type, self.options, self.driver, self.legacy)
                for name in self.devices
            ),
            steps=tuple(self.steps),
            qmp=tuple(self.qmp),
        )
        return Events(frames, self.lost, (), capture, dict(self.devices), fields)
