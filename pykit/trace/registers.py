# SPDX-License-Identifier: GPL-2.0-only
"""Accesses to registers, and a driver's side of a negotiation, by QEMU's ``memory_region_ops_*``.

Its lines name the region and the address of every access that QEMU emulates: status, features,
queues and configuration of PCI (modern and legacy) and MMIO. A status write is followed by a line
of QEMU's virtio core that names the device. Each access is one event ``register``; those that
a driver's tracepoints report too are events of their kinds as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import polars as pl

from pykit.trace.register_map import (
    LEGACY_CONFIG,
    LEGACY_VECTORS,
    MMIO_CONFIG,
    is_legacy_mmio,
    named,
)
from pykit.trace.survey import OWN, Survey

_LINE = re.compile(
    r"(?:(?P<pid>[0-9]{1,9})?@(?P<sec>[0-8]?[0-9]{1,9})\.(?P<usec>[0-9]{6}):)?memory_region_ops_"
    r"(?P<what>read|write) cpu -?[0-9]+ mr (?P<mr>0x[0-9a-f]{1,16})"
    r" addr (?P<addr>0x[0-9a-f]{1,16}) value (?P<value>0x[0-9a-f]{1,16}) size (?P<size>[1248]) name"
    r" '(?P<name>[^']+)'"
)
_NAME = re.compile(
    r"virtio-pci-(?P<part>common|device|isr|notify)-(?!pio-)(?P<type>[a-z0-9-]+)"
    r"|(?P<whole>virtio-pci|virtio-mmio)"
)
#: Each register of features, and that of the generation, has so many bits at most, and an offset.
_WORD = _MOST_OFFSET = (1 << 32) - 1
#: Registers by their offset; of the legacy one the configuration follows at 20 or 24.
_COMMON = {
    0x00: "offer_select", 0x04: "offer", 0x08: "accept_select", 0x0C: "accept",
    0x14: "status", 0x15: "generation",
}  # fmt: skip
_LEGACY = {0x00: "offer", 0x04: "accept", 0x12: "status"}
_MMIO = {
    0x10: "offer", 0x14: "offer_select", 0x20: "accept", 0x24: "accept_select",
    0x70: "status", 0xFC: "generation",
}  # fmt: skip
_LEGACY_STATUS, _MMIO_VERSION, _MMIO_DEVICE_ID = 0x12, 0x04, 0x08
_PCI_BAR, _PCI_PART, _MMIO_BYTES = 1 << 14, 1 << 12, 1 << 9
#: Bytes from a region of registers to its device: a transport has 1024 queues of 32 bytes at most.
_STRUCTURE = 1 << 16
_WRITE, _READ, _RESET = range(3)
_DRIVER_OK, _FEATURES_OK = 4, 8


class RegisterAccess(NamedTuple):
    """One line: a register access. ``part`` is that of a modern PCI device, None in other regions.

    ``value`` has as many bytes as the access: QEMU logs a read's value before it is cut to them.
    """

    line: int
    pid: int | None
    ts: int | None
    write: bool
    mr: int
    addr: int
    value: int
    size: int
    part: str | None
    type: str | None
    whole: str | None


class LoggedPlace(NamedTuple):
    """An access to a region of a virtio device on PCI, at an address of the guest's."""

    pid: int | None
    ts: int | None
    write: bool
    addr: int
    value: int
    size: int


class LoggedAccess(NamedTuple):
    """An access to a region of any device; ``address`` is the guest's, ``size`` in bytes."""

    write: bool
    address: int
    size: int
    region: str


class Named(NamedTuple):
    """A device as its registers show it.

    ``type`` and ``transport`` are the two parts of QEMU's name for it (``virtio-blk``, ``-pci``),
    as far as they show; ``id`` is the device's in QEMU, where the place of one of its registers
    is known.
    """

    vdev: int
    type: str | None
    transport: str
    legacy: bool
    id: str | None = None


#: Where registers are, in the guest's addresses, and the id of the device in QEMU.
Places = Sequence[tuple[range, str]]


class RegisterRegion(NamedTuple):
    """One of QEMU's regions of registers: of which device, and whether that is PCI."""

    device: str
    pci: bool


@dataclass
class _Registers:
    """One device's registers: what was selected and written in them so far."""

    transport: str
    type: str | None = None
    legacy: bool = False
    base: int | None = None
    vdev: int | None = None
    select: dict[str, int] = field(default_factory=dict)
    offered: dict[int, int] = field(default_factory=dict)
    accepted: dict[int, int] = field(default_factory=dict)
    status: int = 0
    vectors: bool = False
    rows: list[dict[str, Any]] = field(default_factory=list)
    #: The last write to the accepted features.
    last: RegisterAccess | None = None
    #: Values of MMIO's register Version, and the offsets that were accessed.
    versions: set[int] = field(default_factory=set)
    offsets: set[int] = field(default_factory=set)
    #: QEMU's regions that the registers are in.
    regions: set[int] = field(default_factory=set)
    #: All accesses: structure, offset in it, and the access.
    accesses: list[tuple[str, int, RegisterAccess]] = field(default_factory=list)

    def take(self, access: RegisterAccess, offset: int, known: dict[int, str], config: int) -> None:
        """Note an access at ``offset`` of the registers, of which ``known`` have a name."""
        name = known.get(offset)
        if name is None:
            if offset >= config:
                self.configure(access, offset - config)
        elif name == "status":
            self.set_status(access)
        elif name == "generation":
            if not access.write:
                self.row(access, "generation", generation=access.value & _WORD)
        elif name.endswith("select"):
            self.select[name] = access.value
        elif name == "offer" and not access.write:
            self.offered[self.select.get("offer_select", 0)] = access.value & _WORD
        elif name == "accept" and access.write:
            self.accepted[self.select.get("accept_select", 0)] = access.value & _WORD
            self.last = access
            if self.status & _FEATURES_OK:
                self.features(access)

    def note(self, structure: str, offset: int, access: RegisterAccess) -> None:
        """Keep an access at ``offset`` of a structure."""
        self.accesses.append((structure, offset, access))

    def configure(self, access: RegisterAccess, offset: int) -> None:
        """An access to the device's own configuration."""
        self.row(
            access, "config", offset=offset, len=access.size, value=access.value, write=access.write
        )

    def set_status(self, access: RegisterAccess) -> None:
        """A status access; what was accepted is settled with FEATURES_OK, or without it at last."""
        status = access.value & 0xFF
        if not access.write:
            self.row(access, "status", status=status, op=_READ)
            return
        new = status & ~self.status
        if new & _FEATURES_OK or (new & _DRIVER_OK and not status & _FEATURES_OK):
            self.features(self.last or access)
        self.row(access, "status", status=status, op=_WRITE if status else _RESET)
        self.status = status
        if not status:
            self.accepted, self.last, self.vectors = {}, None, False

    def features(self, access: RegisterAccess) -> None:
        """The negotiation's result, where the driver looked at all of the offer."""
        words = (0,) if self.legacy else (0, 1)
        if all(word in self.offered for word in words):
            offered = sum(self.offered[word] << 32 * word for word in words)
            accepted = sum(self.accepted.get(word, 0) << 32 * word for word in words)
            self.row(access, "features", offered=offered, driver=accepted, acked=accepted, stage=0)

    def row(self, access: RegisterAccess, kind: str, **fields: int) -> None:
        """One event at the place of an access."""
        self.rows.append(
            {"line": access.line, "pid": access.pid, "ts": access.ts, "kind": kind, **fields}
        )


def read_registers(
    lines: Sequence[str], statuses: pl.DataFrame, regions: dict[int, RegisterRegion], places: Places
) -> tuple[pl.DataFrame, list[Named], list[int]]:
    """The register accesses of a log's ``lines`` to rows (as ``line``, ``vdev``), the devices, and
    the numbers of lines that cannot be read.

    ``statuses`` are QEMU's own status events (``line``, ``pid``, ``vdev``, ``status``), by line;
    ``regions`` are those whose device is known, by QEMU's pointer to them: those that lie in one
    of ``places`` are added.
    ``of_queue`` is the queue of an access, see ``register_map.named``. Accesses whose device no
    status write shows are left out.
    """
    following: dict[int | None, list[tuple[int, int, int]]] = {}
    for line, pid, vdev, status in statuses.select("line", "pid", "vdev", "status").iter_rows():
        following.setdefault(pid, []).append((line, vdev, status))
    cursors = dict.fromkeys(following, 0)
    devices: list[_Registers] = []
    by_place: dict[tuple[str, int], _Registers] = {}
    torn: list[int] = []
    for access in _accesses(lines, torn):
        named = None
        if access.write:
            named = _next(following, cursors, access)
        place, offset = _place(access)
        known = by_place.get(place)
        if known is None:
            known = by_place[place] = _Registers(
                "-device" if access.whole == "virtio-mmio" else "-pci", access.type
            )
            known.legacy = access.whole == "virtio-pci"
            devices.append(known)
        known.regions.add(access.mr)
        if places and access.mr not in regions:
            _know(access, regions, places)
        _take(known, access, offset, named)
    found = [device for device in devices if device.vdev is not None]
    rows = [{**row, "vdev": device.vdev} for device in found for row in device.rows]
    schema = {
        "line": pl.UInt32, "pid": pl.Int32, "ts": pl.Int64, "kind": pl.String, "vdev": pl.UInt64,
        "status": pl.UInt8, "op": pl.UInt8, "offered": pl.UInt64, "driver": pl.UInt64,
        "acked": pl.UInt64, "stage": pl.UInt8, "value": pl.UInt64, "offset": pl.UInt32,
        "len": pl.UInt32, "write": pl.UInt8, "generation": pl.UInt32,
    }  # fmt: skip
    driver = pl.DataFrame(rows, schema=schema, strict=False)
    frame = pl.concat([_every(found), driver], how="diagonal_relaxed")
    return frame.sort("line", maintain_order=True), list(_named(found, regions)), torn


def logged_access(text: str) -> LoggedAccess | None:
    """Return the access that a line of QEMU's log shows; None for another line, or a torn one."""
    of = _LINE.fullmatch(text)
    if of is None:
        return None
    return LoggedAccess(of["what"] == "write", int(of["addr"], 0), int(of["size"]), of["name"])


def logged_place(text: str) -> LoggedPlace | None:
    """Return the access to a virtio device on PCI that a line shows; None for another line."""
    of = _LINE.fullmatch(text.removesuffix("\r")) if "'virtio-pci-" in text else None
    if of is None:
        return None
    stamped = of["sec"] is not None
    return LoggedPlace(
        pid=int(of["pid"]) if of["pid"] else None,
        ts=int(of["sec"]) * 1_000_000_000 + int(of["usec"]) * 1000 if stamped else None,
        write=of["what"] == "write",
        addr=int(of["addr"], 0),
        value=int(of["value"], 0) & ((1 << 8 * int(of["size"])) - 1),
        size=int(of["size"]),
    )


def _accesses(lines: Sequence[str], torn: list[int]) -> Iterator[RegisterAccess]:
    """Yield the accesses to registers of virtio devices; add lines that are ``torn``."""
    for number, text in enumerate(lines):
        if "memory_region_ops_" not in text or "virtio-" not in text:
            continue
        of = _LINE.fullmatch(text.removesuffix("\r"))
        if of is None:
            torn.append(number)
            continue
        name = _NAME.fullmatch(of["name"])
        if name is None:
            continue
        stamped = of["sec"] is not None
        yield RegisterAccess(
            line=number,
            pid=int(of["pid"]) if of["pid"] else None,
            ts=int(of["sec"]) * 1_000_000_000 + int(of["usec"]) * 1000 if stamped else None,
            write=of["what"] == "write",
            mr=int(of["mr"], 0),
            addr=int(of["addr"], 0),
            # The device's answer may be wider than what the guest gets of it.
            value=int(of["value"], 0) & ((1 << 8 * int(of["size"])) - 1),
            size=int(of["size"]),
            part=name["part"],
            type=name["type"],
            whole=name["whole"],
        )


def _next(
    following: dict[int | None, list[tuple[int, int, int]]],
    cursors: dict[int | None, int],
    access: RegisterAccess,
) -> int | None:
    """Return the device in the thread's next status line, if it has the value written here."""
    mine = following.get(access.pid, [])
    at = cursors.get(access.pid, 0)
    while at < len(mine) and mine[at][0] < access.line:
        at += 1
    cursors[access.pid] = at
    if at < len(mine) and mine[at][2] == access.value & 0xFF:
        return mine[at][1]
    return None


def _place(access: RegisterAccess) -> tuple[tuple[str, int], int]:
    """Return the registers that an access is to, and its offset in them or in a legacy region.

    QEMU lays a modern device's structures out in one BAR, a page each; guests may move BARs.
    """
    if access.part:
        return ("modern", access.addr & -_PCI_BAR), access.addr % _PCI_PART
    if access.whole == "virtio-mmio":
        return ("mmio", access.addr & -_MMIO_BYTES), access.addr % _MMIO_BYTES
    return ("legacy", access.mr), access.addr


def _take(known: _Registers, access: RegisterAccess, offset: int, named: int | None) -> None:
    if access.part:
        known.note("config" if access.part == "device" else access.part, offset, access)
        if access.part == "device":
            known.configure(access, offset)
        elif access.part == "common":
            if named is not None and offset == 0x14:
                known.vdev = named
            known.take(access, offset, _COMMON, _PCI_PART)
    elif access.whole == "virtio-mmio":
        if named is not None and offset == 0x70:
            known.vdev = named
        if offset == _MMIO_VERSION:
            known.legacy = access.value == 1
            known.versions.add(access.value)
        known.offsets.add(offset)
        known.note("mmio", offset, access)
        known.take(access, offset, _MMIO, MMIO_CONFIG)
    else:
        if named is not None and not (offset - _LEGACY_STATUS) % 32:
            known.vdev, known.base = named, offset - _LEGACY_STATUS
        if known.base is None:
            # Before the first status write: where the registers begin is not known yet.
            return
        offset -= known.base
        if not 0 <= offset <= _MOST_OFFSET:
            # The guest moved the registers since.
            return
        if access.write and access.size == 2 and LEGACY_CONFIG <= offset < 24:
            # Only with MSI-X there is something to write two bytes to.
            known.vectors = True
        known.note("legacy", offset, access)
        config = LEGACY_CONFIG + LEGACY_VECTORS * known.vectors
        if offset < LEGACY_CONFIG or offset >= config:
            known.take(access, offset, _LEGACY, config)


def _every(found: list[_Registers]) -> pl.DataFrame:
    """Return all accesses of the devices, with ``vdev``, in log order."""
    rows: list[tuple[int | str | None, ...]] = []
    for device in found:
        legacy = is_legacy_mmio(device.versions, device.offsets)
        for place, begin, access in device.accesses:
            structure, offset = place, begin
            if place == "mmio":
                structure = "mmio-legacy" if legacy else "mmio"
            config = {
                "mmio": MMIO_CONFIG,
                "legacy": LEGACY_CONFIG + LEGACY_VECTORS * device.vectors,
            }.get(place)
            if config is not None and begin >= config:
                structure, offset = "config", begin - config
            where = (access.line, access.pid, access.ts, device.vdev, structure, offset)
            rows.append((*where, access.value, access.size, int(access.write)))
    schema = {
        "line": pl.UInt32, "pid": pl.Int32, "ts": pl.Int64, "vdev": pl.UInt64,
        "structure": pl.String, "offset": pl.UInt32, "value": pl.UInt64, "size": pl.UInt32,
        "write": pl.UInt8,
    }  # fmt: skip
    frame = pl.DataFrame(rows, schema=schema, orient="row").sort("line", maintain_order=True)
    return named(frame, "vdev").rename({"vq": "of_queue"}).with_columns(kind=pl.lit("register"))


def looks_at_slots(lines: Sequence[str]) -> dict[int, int] | None:
    """Return the reads of DeviceID in a log by the MMIO slot's address.

    None for a log without any access to registers of MMIO.
    """
    found: dict[int, int] | None = None
    for access in _accesses([line for line in lines if "'virtio-mmio'" in line], []):
        (_, slot), offset = _place(access)
        found = {} if found is None else found
        if not access.write and offset == _MMIO_DEVICE_ID:
            found[slot] = found.get(slot, 0) + 1
    return found


def surveyed_regions(lines: Sequence[str], surveyed: Survey) -> dict[int, RegisterRegion]:
    """Return the regions that the transport survey read, by QEMU's pointer to them.

    Its accesses are known by their missing CPU, and by where it found a device.
    """
    places = list(surveyed.places())
    found: dict[int, RegisterRegion] = {}
    for access in _accesses([line for line in lines if OWN in line], []):
        _know(access, found, places)
    return found


def _know(access: RegisterAccess, regions: dict[int, RegisterRegion], places: Places) -> None:
    """Add the region of an access, if its place is one device's."""
    owners = {device for place, device in places if access.addr in place}
    if len(owners) == 1:
        regions[access.mr] = RegisterRegion(owners.pop(), pci=access.whole != "virtio-mmio")


def around(vdev: int, regions: Mapping[int, RegisterRegion]) -> str | None:
    """Return the id of the device at a pointer, by regions of PCI devices that lie before it.

    QEMU has a PCI transport, with its regions, and the device behind it in one structure (struct
    VirtIOBlkPCI in hw/virtio/virtio-blk-pci.c, and so for each type), the transport first.
    """
    below = [at for at, region in regions.items() if region.pci and 0 < vdev - at < _STRUCTURE]
    return regions[max(below)].device if below else None


def _named(found: list[_Registers], regions: Mapping[int, RegisterRegion]) -> Iterator[Named]:
    """Yield one entry for each device, legacy if it was used by the legacy interface only."""
    for vdev in dict.fromkeys(device.vdev for device in found):
        mine = [device for device in found if device.vdev == vdev]
        kind = next((device.type for device in mine if device.type), None)
        legacy = all(device.legacy for device in mine)
        if vdev is not None:
            ids = {
                regions[region].device
                for device in mine
                for region in device.regions
                if region in regions
            }
            known = ids.pop() if len(ids) == 1 else None
            yield Named(vdev, kind, mine[0].transport, legacy, known)
