# SPDX-License-Identifier: GPL-2.0-only
"""Lives of devices: negotiation, status, configuration; everything that concerns no queue."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from pykit.spec import bits

if TYPE_CHECKING:
    from pykit.spec.view import View


#: Device ids and transports by what QEMU's names of devices hold.
_TYPES = {"-net": bits.NET_ID, "-blk": bits.BLK_ID}
_TRANSPORTS = {"-pci": "pci", "-device": "mmio", "-ccw": "ccw"}


class Status(NamedTuple):
    """A status access; ``op`` is one of bits.STATUS_*."""

    row: int
    ts: int | None
    value: int
    op: int


class Features(NamedTuple):
    """Features as they were at one stage (see pykit_features)."""

    row: int
    offered: int
    driver: int
    acked: int
    stage: int


class Stage(NamedTuple):
    """A stage of the driver, one of bits.BEGIN … RESTORE."""

    row: int
    ts: int | None
    stage: int
    err: int


class Access(NamedTuple):
    """A configuration access, or (``len`` 0) a look at the generation in ``value``."""

    row: int
    ts: int | None
    pid: int | None
    offset: int
    len: int
    value: int
    write: bool


class Change(NamedTuple):
    """A configuration change that the driver was told of."""

    row: int
    ts: int | None


@dataclass
class Life:
    """What one driver did with one device between two resets, in time order.

    Attributes:
        id: virtio device id, None where nothing says it.
        status: as the driver's tracepoints saw it: from validate() on.
        written: status writes that QEMU saw: all of them.
        transport: "pci", "mmio", … or None.
        legacy: the device has the legacy interface alone, as the capture says.
    """

    dev: int
    number: int
    id: int | None = None
    transport: str | None = None
    legacy: bool = False
    #: Whether queues may share an interrupt vector: some device was given a number of them.
    shares_vectors: bool = False
    features: list[Features] = field(default_factory=list)
    status: list[Status] = field(default_factory=list)
    written: list[Status] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    config: list[Access] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    @property
    def name(self) -> str:
        """For messages."""
        return f"device {self.dev}, life {self.number}"

    @property
    def negotiated(self) -> Features | None:
        """Features as they were last seen."""
        return self.features[-1] if self.features else None

    def has(self, bit: int) -> bool | None:
        """Whether a feature was offered and accepted; None where nothing says it."""
        last = self.negotiated
        return None if last is None else bool(last.acked & last.offered & (1 << bit))

    @property
    def modern(self) -> bool | None:
        """Whether the device is not used through the legacy interface."""
        known = self.has(bits.VERSION_1)
        if known is not None:
            return known
        # A legacy driver does not know FEATURES_OK.
        return True if any(s.value & bits.FEATURES_OK for s in self.written) else None

    def first_write(self, bit: int) -> Status | None:
        """The driver's first status write with this bit, as its tracepoints saw it."""
        writes = (s for s in self.status if s.op == bits.STATUS_WRITE and s.value & bit)
        return next(writes, None)

    def stage(self, *stages: int) -> Stage | None:
        """The first of these stages."""
        return next((s for s in self.stages if s.stage in stages), None)

    def reads(self, offset: int, width: int) -> Iterator[tuple[Access, int]]:
        """Reads that cover a whole field of the configuration space, with its value."""
        for access in self.config:
            start = offset - access.offset
            # Only the first 8 bytes of an access are recorded.
            inside = start >= 0 and start + width <= min(access.len, 8)
            if inside and not access.write:
                yield access, access.value >> 8 * start & (1 << 8 * width) - 1


def _new(view: View, dev: int, number: int) -> Life:
    """An empty life, with what the capture says of its device."""
    life = Life(dev, number)
    names = {name for name, of in view.events.devices.items() if of == dev}
    for device in view.events.capture.devices:
        if device.id in names:
            life.legacy = device.legacy
            types = (kind for name, kind in _TYPES.items() if name in device.type)
            life.id = next(types, None)
            ends = (name for end, name in _TRANSPORTS.items() if end in device.type)
            life.transport = next(ends, None)
    life.shares_vectors = any("vectors" in d.options for d in view.events.capture.devices)
    return life


def read_lives(view: View) -> dict[tuple[int, int], Life]:
    """All lives that any event names."""
    lives: dict[tuple[int, int], Life] = {}
    for event in _few(view):
        if event["life"] is None or event["dev"] is None:
            continue
        key = (event["dev"], event["life"])
        if key not in lives:
            lives[key] = _new(view, *key)
        _enter(lives[key], event)
    known = {life.dev: life.id for life in lives.values() if life.id is not None}
    for life in lives.values():
        life.id = life.id if life.id is not None else known.get(life.dev)
    for dev, number in view.of("queue").select("dev", "life").unique().iter_rows():
        if dev is not None and number is not None and (dev, number) not in lives:
            lives[dev, number] = _new(view, dev, number)
    return dict(sorted(lives.items()))


def _few(view: View) -> Iterator[dict[str, Any]]:
    """The events that concern no queue: there are few."""
    return view.of(
        "driver", "features", "status", "config", "generation", "config_change", "dev_status"
    ).iter_rows(named=True)


def _enter(life: Life, event: dict[str, Any]) -> None:
    row, ts = event["row"], event["ts"]
    match event["kind"]:
        case "driver":
            life.id = event["id"]
            life.stages.append(Stage(row, ts, event["stage"], event["err"]))
        case "features":
            seen = (event["offered"], event["driver"], event["acked"], event["stage"])
            life.features.append(Features(row, *seen))
        case "status":
            life.status.append(Status(row, ts, event["status"], event["op"]))
        case "dev_status":
            op = bits.STATUS_WRITE if event["status"] else bits.STATUS_RESET
            life.written.append(Status(row, ts, event["status"], op))
        case "config":
            access = (event["offset"], event["len"], event["value"], bool(event["write"]))
            life.config.append(Access(row, ts, event["pid"], *access))
        case "generation":
            life.config.append(Access(row, ts, event["pid"], 0, 0, event["generation"], False))
        case "config_change":
            life.changes.append(Change(row, ts))
