# SPDX-License-Identifier: GPL-2.0-only
"""Lives of devices: negotiation, status, configuration; everything that concerns no queue.

A life is one driver binding of a device, from one reset to the next.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from pykit.spec import bits

if TYPE_CHECKING:
    from pykit.spec.rows import Tally
    from pykit.spec.view import View


#: Device ids and transports by parts of QEMU's device type names.
_TYPES = {
    "-net": bits.NET_ID, "-blk": bits.BLK_ID, "-serial": bits.CONSOLE_ID, "-rng": bits.ENTROPY_ID,
    "-balloon": bits.BALLOON_ID, "-scsi": bits.SCSI_ID, "-9p": bits.NINEP_ID, "-fs": bits.FS_ID,
    "-vsock": bits.VSOCK_ID,
    **dict.fromkeys(("-keyboard", "-mouse", "-tablet", "-input"), bits.INPUT_ID),
}  # fmt: skip
_TRANSPORTS = {"-pci": "pci", "-device": "mmio", "-ccw": "ccw"}


class Status(NamedTuple):
    """A status access; ``op`` is one of bits.STATUS_*."""

    row: int
    ts: int | None
    value: int
    op: int

    def sets(self, bit: int) -> bool:
        """Return whether this is a write with a bit set."""
        return self.op == bits.STATUS_WRITE and bool(self.value & bit)


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
    """A configuration access, or (``len`` 0) a read of the generation, which is ``value``."""

    row: int
    ts: int | None
    pid: int | None
    offset: int
    len: int
    value: int
    write: bool


class Change(NamedTuple):
    """A configuration change notification that the driver received, with the status read then."""

    row: int
    ts: int | None
    status: int


@dataclass
class Life:
    """What one driver did with one device between two resets, in time order.

    Attributes:
        id: virtio device id, None if unknown.
        status: accesses traced in the guest: only from the driver's validate() on.
        written: status writes that QEMU logged: all of them.
        transport: "pci", "mmio", … or None.
        legacy: the capture says that the device has no other interface than the legacy one.
    """

    dev: int
    number: int
    id: int | None = None
    transport: str | None = None
    legacy: bool = False
    #: Whether the driver wrote other features to the registers than it uses, or changed them there
    #: after FEATURES_OK: device and driver may not agree on what was negotiated.
    at_odds: bool = False
    #: Whether queues may share an interrupt vector: QEMU's command line limits the vectors.
    shares_vectors: bool = False
    features: list[Features] = field(default_factory=list)
    status: list[Status] = field(default_factory=list)
    written: list[Status] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    config: list[Access] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Return the name that messages use."""
        return f"device {self.dev}, life {self.number}"

    @property
    def negotiated(self) -> Features | None:
        """Return the last traced state of the negotiation."""
        return self.features[-1] if self.features else None

    def has(self, bit: int) -> bool | None:
        """Return whether a feature was offered and acknowledged, None if unknown."""
        last = self.negotiated
        return None if last is None else bool(last.acked & last.offered & (1 << bit))

    @property
    def modern(self) -> bool | None:
        """Return whether the driver uses the modern interface, None if unknown."""
        known = self.has(bits.VERSION_1)
        if known is not None:
            return known
        # A legacy driver does not know FEATURES_OK.
        return True if any(s.value & bits.FEATURES_OK for s in self.written) else None

    @property
    def needs_reset(self) -> bool:
        """Return whether the device had declared itself broken."""
        reads = (s.value for s in self.status if s.op == bits.STATUS_READ)
        return any(map(needs_reset, (*reads, *(change.status for change in self.changes))))

    def first_write(self, bit: int) -> Status | None:
        """Return the first status write with a bit set that was traced in the guest."""
        return next((s for s in self.status if s.sets(bit)), None)

    def stage(self, *stages: int) -> Stage | None:
        """Return the first of these stages."""
        return next((s for s in self.stages if s.stage in stages), None)

    def reads(self, offset: int, width: int) -> Iterator[tuple[Access, int]]:
        """Return reads that cover a whole field of the configuration space, with its value."""
        for access in self.config:
            start = offset - access.offset
            # Only the first 8 bytes of an access are recorded.
            inside = start >= 0 and start + width <= min(access.len, 8)
            if inside and not access.write:
                yield access, access.value >> 8 * start & (1 << 8 * width) - 1


def needs_reset(status: int) -> bool:
    """Return whether a status has DEVICE_NEEDS_RESET; 0xFF is a device that is gone."""
    return bool(status & bits.NEEDS_RESET) and status != bits.NO_DEVICE


def negotiated_lives(view: View) -> Iterator[tuple[Life, Status]]:
    """Return lives whose write of FEATURES_OK was traced in the guest, with that write."""
    for life in view.lives.values():
        agreed = life.first_write(bits.FEATURES_OK)
        if agreed:
            yield life, agreed


def block_lives(view: View, tally: Tally) -> Iterator[Life]:
    """Yield the lives of block devices; count those whose type is not known as undecided."""
    return lives_of(view, (bits.BLK_ID,), tally)


def lives_of(view: View, types: Collection[int], tally: Tally) -> Iterator[Life]:
    """Yield the lives of devices with these ids; count those of an unknown type as undecided."""
    for life in view.lives.values():
        if life.id in types:
            yield life
        elif life.id is None and life.features and view.untyped:
            tally.undecided(doubt="what the device is was not recorded")


def logged_features(view: View, life: Life) -> list[Features]:
    """Return what the registers' log has of the negotiation in a life whose driver is traced.

    A driver may write others than it keeps. The first state is that of the write of FEATURES_OK,
    each later one a write to the features after that. Empty where the life has no other trace.
    """
    if not life.features:
        return []

    def make(view: View) -> dict[tuple[int, int], list[Features]]:
        found: dict[tuple[int, int], list[Features]] = {}
        own = set(view.of("features")["row"].to_list())
        frame = view.captured.of("features").filter(source="registers")
        columns = ("dev", "life", "row", "offered", "driver", "acked", "stage")
        for dev, number, row, *state in frame.select(columns).iter_rows():
            if row not in own:
                found.setdefault((dev, number), []).append(Features(row, *state))
        return found

    return view.keep("logged features", make).get((life.dev, life.number), [])


def ends_within(ts: int | None, limit: int, end: int) -> bool:
    """Return whether ``end`` comes less than ``limit`` ns after ``ts``, or the time is unknown."""
    return ts is None or end - ts < limit


def _new(view: View, dev: int, number: int) -> Life:
    """Return an empty life, with what the capture says about its device."""
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
    """Return all lives that any event names."""
    lives: dict[tuple[int, int], Life] = {}
    for event in _few(view):
        if event["life"] is None or event["dev"] is None:
            continue
        key = (event["dev"], event["life"])
        if key not in lives:
            lives[key] = _new(view, *key)
        _enter(lives[key], event)
    for life in lives.values():
        written = {state.acked for state in logged_features(view, life)}
        life.at_odds = bool(written) and written != {life.features[-1].acked}
    known = {life.dev: life.id for life in lives.values() if life.id is not None}
    for life in lives.values():
        life.id = life.id if life.id is not None else known.get(life.dev)
    for dev, number in view.of("queue").select("dev", "life").unique().iter_rows():
        if dev is not None and number is not None and (dev, number) not in lives:
            lives[dev, number] = _new(view, dev, number)
    return dict(sorted(lives.items()))


def _few(view: View) -> Iterator[dict[str, Any]]:
    """Return the events that concern no queue; a capture has few of them."""
    return view.of(
        "driver", "features", "status", "config", "generation", "config_change", "dev_status"
    ).iter_rows(named=True)


def _enter(life: Life, event: dict[str, Any]) -> None:
    """Add an event to its life."""
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
            life.changes.append(Change(row, ts, event["status"] or 0))
