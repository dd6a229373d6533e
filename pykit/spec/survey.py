# SPDX-License-Identifier: GPL-2.0-only
"""What the transport survey saw of each device, put together from its events.

One ``Function`` is one look at one PCI device, one ``Slot`` at one MMIO device. A device that was
looked at twice counts twice: its registers may differ, and its capabilities must not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pykit import pci
from pykit.spec import bits
from pykit.trace.asked import NAMES, feature_bits
from pykit.trace.capture import STATUS_QUERY

if TYPE_CHECKING:
    from pykit.spec.view import View

#: Features that QMP lists and the modern interface does not show: those of the legacy interface,
#: and those between QEMU and a vhost back-end (VHOST_F_LOG_ALL, VHOST_USER_F_PROTOCOL_FEATURES).
NOT_SHOWN = bits.mask(frozenset({bits.NOTIFY_ON_EMPTY, bits.ANY_LAYOUT, 26, 30}))
#: Features of all device types that QEMU has names for, as a mask.
_COMMON = bits.mask(bits.COMMON_BITS & set(NAMES.values())) & ~NOT_SHOWN

KINDS = (
    "survey_pci",
    "survey_bar",
    "survey_cap",
    "survey_ext",
    "survey_map",
    "survey_mmio",
    "survey_register",
)
#: The vendor of all virtio devices, and where their device ids begin (4.1.2).
VENDOR, MODERN, TRANSITIONAL, END = 0x1AF4, 0x1040, 0x1000, 0x1080
#: Device ids of the transitional range by virtio device id (4.1.2.1).
TRANSITIONAL_IDS = {1: 0x1000, 2: 0x1001, 5: 0x1002, 3: 0x1003, 8: 0x1004, 4: 0x1005, 9: 0x1009}
#: Virtio device ids by parts of QEMU's names of device types.
TYPES = {
    "-net": 1, "-blk": 2, "-serial": 3, "-rng": 4, "-balloon": 5, "-scsi": 8, "-9p": 9,
    "-gpu": 16, "virtio-vga": 16, "-keyboard": 18, "-mouse": 18, "-tablet": 18, "-input": 18,
    "-vsock": 19, "-crypto": 20, "-iommu": 23, "-mem-": 24, "-sound": 25, "-snd": 25, "-fs": 26,
    "-pmem": 27, "-i2c": 34, "-gpio": 41,
}  # fmt: skip
#: Device types that have a configuration of their own (section 5).
CONFIGURED = frozenset({1, 2, 3, 5, 8, 9, 16, 18, 19, 20, 23, 24, 25, 26, 27, 41})
#: Bytes that a structure has at least: up to queue_device, one vector's worth of ISR.
LEAST = {pci.COMMON_CFG: 56, pci.NOTIFY_CFG: 2, pci.ISR_CFG: 1, pci.DEVICE_CFG: 1}
#: Registers of the common configuration: offset and bytes (4.1.4.3).
FEATURE_SELECT, FEATURE, NUM_QUEUES, STATUS = (0, 4), (4, 4), (0x12, 2), (0x14, 1)
QUEUE_SELECT, QUEUE_NOTIFY_OFF = (0x16, 2), (0x1E, 2)


@dataclass(frozen=True)
class AssignedBar:
    """A BAR: its address (0: none), its bytes."""

    row: int
    start: int
    length: int
    io: bool
    wide: bool


@dataclass(frozen=True)
class Cap:
    """An entry of the capability list; fields as in the event ``survey_cap``."""

    row: int
    pos: int
    cap_id: int
    cap_len: int | None
    cfg_type: int | None
    bar: int | None
    sub_id: int | None
    start: int | None
    length: int | None
    multiplier: int | None
    vendor_id: int | None
    vectors: int | None

    @property
    def name(self) -> str:
        """Return the name that messages use."""
        kind = pci.CFG_TYPES.get(-1 if self.cfg_type is None else self.cfg_type)
        return f"the {kind or self.cfg_type} capability at {self.pos:#x}"


@dataclass(frozen=True)
class Mapping:
    """Whole pages of a BAR that the guest's kernel has mapped: where in it, bytes, the caller."""

    row: int
    bar: int
    start: int
    length: int
    page: int
    symbol: str

    @property
    def end(self) -> int:
        """Return the place in the BAR behind it."""
        return self.start + self.length

    def begins_in(self, cap: Cap) -> bool:
        """Return whether its first page has a part of the memory that a capability names."""
        if cap.bar != self.bar or cap.start is None or not cap.length:
            return False
        return cap.start < self.start + self.page and self.start < cap.start + cap.length


@dataclass
class Look:
    """What one look at a device has in common: its row, its device, its registers.

    ``values`` are (row, value) of the registers by region, offset and bytes. One that was read
    twice with two values, as another was selected meanwhile, is left out.
    """

    row: int
    dev: int | None
    state: str
    values: dict[tuple[str, int, int], tuple[int, int]] = field(default_factory=dict)
    unsteady: set[tuple[str, int, int]] = field(default_factory=set)

    @property
    def name(self) -> str:
        """Return the name that messages use."""
        return "a device" if self.dev is None else f"device {self.dev}"

    def value(self, region: str, register: tuple[int, int]) -> int | None:
        """Return a register's value, None if it was not read, or changed."""
        key = (region, *register)
        return None if key in self.unsteady or key not in self.values else self.values[key][1]

    def row_of(self, region: str, register: tuple[int, int]) -> int:
        """Return the row of a register that was read."""
        return self.values[region, *register][0]

    def _note(self, event: dict[str, Any]) -> None:
        key = (event["region"], event["offset"], event["len"])
        known = self.values.setdefault(key, (event["row"], event["value"]))
        if known[1] != event["value"]:
            self.unsteady.add(key)


@dataclass
class Slot(Look):
    """One look at an MMIO device."""


@dataclass
class Function(Look):
    """One look at a PCI device.

    Attributes:
        type: virtio device id by QEMU's name of the device; None if unknown.
        offers: features that it offers, as far as ``windows`` (a mask) are known.
        legacy: it has the legacy interface alone: no capability of virtio's, an I/O BAR 0, a
            transitional id, and no life of it was offered VERSION_1.
    """

    head: dict[str, Any] = field(default_factory=dict)
    type: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    bars: dict[int, AssignedBar] = field(default_factory=dict)
    caps: list[Cap] = field(default_factory=list)
    extended: list[tuple[int, int]] = field(default_factory=list)
    mapped: list[Mapping] = field(default_factory=list)
    offers: int = 0
    windows: int = 0
    legacy: bool = False

    def structures(self, cfg_type: int) -> list[Cap]:
        """Return virtio's capabilities of a type, in their order."""
        return [cap for cap in self.virtio if cap.cfg_type == cfg_type]

    @property
    def virtio(self) -> list[Cap]:
        """Return all vendor-specific capabilities, in their order."""
        return [cap for cap in self.caps if cap.cap_id == pci.VENDOR_SPECIFIC]

    @property
    def legacy_interface(self) -> bool:
        """Return whether BAR 0 is an I/O BAR, where the legacy interface is."""
        return 0 in self.bars and self.bars[0].io

    def offered(self, bit: int) -> bool | None:
        """Return whether a feature is offered, None if unknown."""
        return bool(self.offers >> bit & 1) if self.windows >> bit & 1 else None

    def usable(self, cap: Cap) -> bool:
        """Return whether a structure is where its capability says: in a BAR of the function."""
        bar = self.bars.get(-1 if cap.bar is None else cap.bar)
        if bar is None or cap.start is None or cap.length is None:
            return False
        return LEAST.get(cap.cfg_type or 0, 1) <= cap.length <= bar.length - cap.start

    @property
    def drivable(self) -> bool:
        """Return whether it has all that one of the two interfaces needs."""
        needed = (pci.COMMON_CFG, pci.NOTIFY_CFG, pci.ISR_CFG)
        modern = all(any(map(self.usable, self.structures(kind))) for kind in needed)
        return modern or self.legacy_interface


def functions(view: View) -> list[Function]:
    """Return the looks at PCI devices, in their order."""
    return view.keep("survey of PCI", _functions)


def slots(view: View) -> list[Slot]:
    """Return the looks at MMIO devices, in their order."""
    return view.keep("survey of MMIO", _slots)


def _functions(view: View) -> list[Function]:
    found: dict[int, Function] = {}
    for event in view.of(*KINDS).iter_rows(named=True):
        number = event["reading"]
        if event["kind"] == "survey_pci":
            found[number] = Function(event["row"], event["dev"], event["state"], head=event)
        elif number in found:
            _enter(found[number], event)
    for function in found.values():
        _describe(view, function)
    return list(found.values())


def _enter(function: Function, event: dict[str, Any]) -> None:
    row = event["row"]
    match event["kind"]:
        case "survey_bar":
            shape = event["start"], event["length"], bool(event["io"]), bool(event["wide"])
            function.bars[event["bar"]] = AssignedBar(row, *shape)
        case "survey_cap":
            function.caps.append(Cap(**{name: event[name] for name in Cap.__annotations__}))
        case "survey_ext":
            function.extended.append((row, event["ext_id"]))
        case "survey_map":
            function.mapped.append(
                Mapping(**{name: event[name] for name in Mapping.__annotations__})
            )
        case "survey_register":
            function._note(event)


def _describe(view: View, function: Function) -> None:
    for device in _named(view, function):
        types = (number for part, number in TYPES.items() if part in device.type)
        function.type = next(types, None)
        function.options = device.options
    selected = function.value("common", FEATURE_SELECT)
    shown = function.value("common", FEATURE)
    if selected in (0, 1) and shown is not None:
        function.offers |= shown << 32 * selected
        function.windows |= 0xFFFFFFFF << 32 * selected
    _ask(view, function)
    lives = [life for life in view.lives.values() if life.dev == function.dev]
    for life in lives:
        if life.negotiated is not None and life.negotiated.offered >> bits.VERSION_1 & 1:
            function.offers |= life.negotiated.offered
            function.windows = (1 << 64) - 1
    transitional = TRANSITIONAL <= function.head["device_id"] < MODERN
    function.legacy = (
        not function.virtio
        and function.legacy_interface
        and transitional
        and not function.offered(bits.VERSION_1)
    )


def _ask(view: View, function: Function) -> None:
    """Add what QEMU says that the device offers of the features that do not depend on its type."""
    names = {device.id for device in _named(view, function)}
    for answer in view.events.capture.qmp:
        offer = answer.answer.get("host-features")
        if (
            answer.query != STATUS_QUERY
            or answer.device not in names
            or not isinstance(offer, dict)
        ):
            continue
        known = feature_bits({"transports": offer.get("transports", [])})
        if known is not None:
            function.offers |= known & _COMMON
            function.windows |= _COMMON


def _named(view: View, look: Look) -> Iterator[Any]:
    names = {name for name, number in view.events.devices.items() if number == look.dev}
    if look.dev is not None:
        yield from (d for d in view.events.capture.devices if d.id in names)


def _slots(view: View) -> list[Slot]:
    found: dict[int, Slot] = {}
    for event in view.of("survey_mmio", "survey_register").iter_rows(named=True):
        number = event["reading"]
        if event["kind"] == "survey_mmio":
            found[number] = Slot(event["row"], event["dev"], event["state"])
        elif number in found:
            found[number]._note(event)
    return list(found.values())


@dataclass(frozen=True)
class ConfigAccess:
    """An access of the guest to a surveyed function's configuration space.

    Attributes:
        cap: virtio's capability in which ``offset`` lies, None where it lies in none.
    """

    row: int
    function: Function
    offset: int
    value: int
    write: bool
    cap: Cap | None


def accesses(view: View) -> list[ConfigAccess]:
    """Return the guest's accesses to the spaces of surveyed functions, in log order."""
    return view.keep("accesses to PCI configuration", _accesses)


def _accesses(view: View) -> list[ConfigAccess]:
    known = {function.dev: function for function in functions(view)}
    found = []
    columns = ("row", "dev", "offset", "value", "write")
    for row, dev, offset, value, write in view.of("dev_pci_config").select(columns).iter_rows():
        function = known.get(dev)
        if function is not None:
            inside = (c for c in function.virtio if c.pos <= offset < c.pos + (c.cap_len or 0))
            cap = next(inside, None)
            found.append(ConfigAccess(row, function, offset, value, bool(write), cap))
    return found
