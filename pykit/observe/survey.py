# SPDX-License-Identifier: GPL-2.0-only
"""Read what a device's transport shows, from outside of the guest and without side effects.

QEMU's monitor reads the guest's physical addresses as a CPU would: the PCI configuration space
through the machine's memory-mapped window, the common and the device's own configuration, the
header of a legacy I/O BAR, an MMIO device's registers. Each register is read in its own width; the
device's own configuration in 32-bit pieces, of which QEMU answers one over its end with all ones.

Never read: the ISR status, which a read clears, and the notification area. Never written: the
selectors, hence only the selected queue and window of features are seen. The driver may use the
device meanwhile; what it selects is read before and after. The configuration of a device that
another process or the kernel serves is left out: QEMU may have to ask for it, and wait.

A monitor's accesses have no CPU, by which QEMU's log can tell them from the guest's.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from pykit import pci
from pykit.guests import locate
from pykit.guests.monitor import Monitor, QemuRefusedError
from pykit.observe.storage import look_at_storage

SCHEMA = 1
FILE = "survey.json"

_WINDOW = re.compile(
    r"^ *([0-9a-f]{16})-[0-9a-f]{16} \(prio [^)]*\): "
    r"(?:alias [a-z-]+ @pcie-mmcfg-mmio 0{16}-|pcie-mmcfg-mmio)",
    re.MULTILINE,
)
#: Registers as (offset, size, count). QEMU's monitor reads a run in 32-bit pieces where it is
#: aligned to them, hence narrower registers are read one by one: a device answers for the one at
#: the access's offset alone. Queue addresses are left out: QMP's answers have them.
_QUEUE_SELECT = (0x16, 2, 1)
_COMMON = (
    (0x00, 4, 4), (0x10, 2, 1), (0x12, 2, 1), (0x14, 1, 1), (0x15, 1, 1), _QUEUE_SELECT,
    (0x1A, 2, 1), (0x1E, 2, 1), _QUEUE_SELECT,
)  # fmt: skip
_LEGACY = ((0x00, 4), (0x04, 4), (0x08, 4), (0x0C, 2), (0x0E, 2), (0x12, 1))
_LEGACY_VECTORS = ((0x14, 2), (0x16, 2))
_MMIO_SELECTED = (
    (0x10, 4, 1), (0x34, 4, 1), (0x44, 4, 1), (0x70, 4, 1), (0xB0, 4, 4), (0xFC, 4, 1),
)  # fmt: skip
_MMIO_LEGACY = ((0x10, 4, 1), (0x34, 4, 1), (0x40, 4, 1), (0x70, 4, 1))
_MMIO_DEVICE_ID, _MMIO_CONFIG = 0x08, 0x100
#: Bytes of the device's own configuration that are read: all that a disk or a network card has.
_CONFIG = 64
#: Extended capabilities that are followed at most.
_EXTENDED = 16
#: What QEMU's names of devices begin with that it does not serve itself.
_SERVED = "vhost-"
_windows: WeakKeyDictionary[Monitor, int] = WeakKeyDictionary()
_HUMAN = re.compile(r"0x([0-9a-f]+)")
_LETTERS = {1: "b", 2: "h", 4: "w"}


class Surveyor:
    """Takes the survey of devices and keeps what it read, for the capture.

    Attributes:
        readings: one entry a device and look, as ``survey.json`` has them.
        missed: devices of which there is none, with the reason.
        storage: what the files behind disks are, one entry a look.
    """

    def __init__(self) -> None:
        self.readings: list[dict[str, Any]] = []
        self.missed: list[dict[str, str]] = []
        self.storage: list[dict[str, Any]] = []
        self._seen: set[str] = set()

    def take(
        self,
        monitor: Monitor,
        device: str,
        at: str,
        *,
        again: bool = False,
        path: str = "",
        mapped: Callable[[], dict[str, Any] | None] = lambda: None,
    ) -> None:
        """Read a device by its id in QEMU; ``at`` is the state of the run.

        A device that was read already is left alone unless ``again``. ``path`` is its place in
        QEMU's tree of objects, by which one without an id is found. What cannot be read is noted
        in ``missed``, as a run does not depend on it. ``mapped`` asks the guest which memory of
        devices it has mapped (``read_mapped``), for a PCI device.
        """
        if device in self._seen and not again:
            return
        begin = time.time_ns()
        try:
            read = _reading(monitor, device, path)
        except (QemuRefusedError, _UnreadError) as error:
            self.missed.append({"device": device, "at": at, "why": str(error)})
            return
        self._seen.add(device)
        times = {"begin_ns": begin, "end_ns": time.time_ns()}
        reading = {"device": device, "at": at, **times, **read}
        self.readings.append(reading)
        if read["transport"] == "pci" and (found := mapped()) is not None:
            reading["mapped"] = found

    def take_empty(self, monitor: Monitor, at: str, reported: Mapping[int, int]) -> None:
        """Read DeviceID of each MMIO slot without a device that the guest's kernel knows.

        ``reported`` are the errors that it reported, by the addresses of the slots that it knows.
        """
        for address in locate.empty_slots(monitor):
            if address not in reported:
                continue
            begin = time.time_ns()
            for value in memory(monitor, address + _MMIO_DEVICE_ID, 4, 1):
                times = {"begin_ns": begin, "end_ns": time.time_ns()}
                found = {"transport": "mmio-empty", "address": address, "device_id": value}
                found |= {"errors": reported[address], "reads": []}
                self.readings.append({"device": "", "at": at, **times, **found})

    def take_storage(self, device: str, at: str, path: Path) -> None:
        """Look at the file behind a disk; one that is no regular file is left out."""
        begin = time.time_ns()
        if (found := look_at_storage(path)) is not None:
            place = {"device": device, "at": at, "begin_ns": begin}
            self.storage.append(place | found._asdict())

    def write(self, capture: Path) -> None:
        """Write ``survey.json`` into a capture."""
        whole = {"schema": SCHEMA, "readings": self.readings, "missed": self.missed}
        whole["storage"] = self.storage
        (capture / FILE).write_text(json.dumps(whole) + "\n")


class _UnreadError(Exception):
    """The device cannot be read from outside, for this reason."""


def _reading(monitor: Monitor, device: str, path: str) -> dict[str, Any]:
    kind = monitor.ask("qom-get", path=path or f"/machine/peripheral/{device}", property="type")
    own = not str(kind).startswith(_SERVED)
    for function in locate.functions(monitor):
        if function["qdev_id"] == device:
            return _function(monitor, function, own=own)
    for name, address, _ in locate.mmio_slots(monitor):
        if name == device:
            reads = list(_mmio(monitor, address, own=own))
            return {"transport": "mmio", "address": address, "reads": reads}
    if path.startswith(locate.NAMELESS):
        if (found := locate.nameless_function(monitor, path)) is None:
            raise _UnreadError("it has no id, by which its PCI function could be found")
        return _function(monitor, found, own=own)
    raise _UnreadError("no PCI function and no MMIO slot of the machine has this id")


def _function(monitor: Monitor, function: dict[str, Any], *, own: bool) -> dict[str, Any]:
    bus, slot, number = function["bus"], function["slot"], function["function"]
    window = _window(monitor)
    if not window:
        raise _UnreadError("the machine has no configuration space in memory")
    config = _config(monitor, window + (bus << 20 | slot << 15 | number << 12))
    known = (function["id"]["vendor"], function["id"]["device"])
    if (pci.field(config, pci.VENDOR, 2), pci.field(config, pci.DEVICE, 2)) != known:
        _windows.pop(monitor, None)
        # Its bus has no number before the guest gives it one.
        raise _UnreadError("the guest has not reached its bus yet")
    regions = [
        {
            "bar": region["bar"],
            "size": region["size"],
            "io": region["type"] == "io",
            "wide": bool(region.get("mem_type_64")),
            "prefetchable": bool(region.get("prefetch")),
        }
        for region in function["regions"]
    ]
    return {
        "transport": "pci",
        "place": f"{bus:02x}:{slot:02x}.{number:x}",
        "config": config.hex(),
        "regions": regions,
        "reads": list(_registers(monitor, config, own=own)),
    }


def _window(monitor: Monitor) -> int:
    """Return where the machine has the configuration spaces in memory, 0 where it has not.

    The answer is long, and kept until a function is not found there.
    """
    if not _windows.get(monitor):
        found = _WINDOW.findall(monitor.human("info mtree"))
        _windows[monitor] = next((at for text in found if (at := int(text, 16))), 0)
    return _windows[monitor]


def _config(monitor: Monitor, address: int) -> bytes:
    """Return a configuration space, with all that its extended capabilities reach to."""
    config = _bytes(memory(monitor, address, 4, pci.CONVENTIONAL // 4), 4)
    found, _ = pci.capabilities(config)
    if not any(capability.id == pci.EXPRESS for capability in found):
        return config
    heads: dict[int, bytes] = {}
    pos = pci.CONVENTIONAL
    while pci.CONVENTIONAL <= pos < pci.EXTENDED and pos not in heads and len(heads) < _EXTENDED:
        head = memory(monitor, address + pos, 4, 1)
        if head in ([], [0], [0xFFFFFFFF]):
            break
        heads[pos] = _bytes(head, 4)
        pos = head[0] >> 20 & ~3
    # What lies between two heads is not looked at.
    space = bytearray(config.ljust(max(heads, default=-4) + 4, b"\0"))
    for place, read in heads.items():
        space[place : place + 4] = read
    return bytes(space)


def _registers(monitor: Monitor, config: bytes, *, own: bool) -> Iterator[list[Any]]:
    """Yield ``[region, offset, size, value]`` of each register that can be reached."""
    command = pci.field(config, pci.COMMAND, 2)
    found, _ = pci.capabilities(config)
    by_number = {bar.number: bar for bar in pci.bars(config)}
    first = by_number.get(0)
    structures = [pci.virtio(c) for c in found if c.id == pci.VENDOR_SPECIFIC]
    if not structures and first and first.io and first.address and command & pci.IO_SPACE:
        # A transitional device shows the same by its other interface.
        yield from _legacy(monitor, first.address, found)
    for wanted in (pci.COMMON_CFG, pci.DEVICE_CFG) if own else (pci.COMMON_CFG,):
        mine = (s for s in structures if s.cfg_type == wanted)
        structure = next(mine, None)
        if structure is None or structure.offset is None or structure.length is None:
            continue
        bar = by_number.get(-1 if structure.bar is None else structure.bar)
        if bar is None or bar.io or not bar.address or not command & pci.MEMORY_SPACE:
            continue
        base = bar.address + structure.offset
        runs = _COMMON if wanted == pci.COMMON_CFG else _config_runs(structure.length)
        for offset, size, count in runs:
            if offset + size * count > structure.length:
                continue
            for n, value in enumerate(memory(monitor, base + offset, size, count)):
                yield [pci.CFG_TYPES[wanted], offset + n * size, size, value]


def _config_runs(length: int) -> tuple[tuple[int, int, int], ...]:
    whole = min(length, _CONFIG) // 4
    return ((0, 4, whole),) if whole else ()


def _legacy(
    monitor: Monitor, address: int, found: tuple[pci.Capability, ...]
) -> Iterator[list[Any]]:
    vectors = any(c.id == pci.MSI_X and (c.number(2, 2) or 0) & 1 << 15 for c in found)
    for offset, size in (*_LEGACY, *(_LEGACY_VECTORS if vectors else ())):
        said = monitor.human(f"i /{_LETTERS[size]} {address + offset:#x}")
        # "portw[0x…] = 0x…"
        value = _HUMAN.findall(said.partition("=")[2])
        if value:
            yield ["legacy", offset, size, int(value[0], 16)]


def _mmio(monitor: Monitor, address: int, *, own: bool) -> Iterator[list[Any]]:
    head = memory(monitor, address, 4, 4)
    yield from (["mmio", 4 * n, 4, value] for n, value in enumerate(head))
    legacy = len(head) == 4 and head[1] == 1
    runs = [*(_MMIO_LEGACY if legacy else _MMIO_SELECTED)]
    if own:
        runs.append((_MMIO_CONFIG, 4, _CONFIG // 4))
    for offset, size, count in runs:
        for n, value in enumerate(memory(monitor, address + offset, size, count)):
            yield ["mmio", offset + n * size, size, value]


def memory(monitor: Monitor, address: int, size: int, count: int) -> list[int]:
    """Return ``count`` values of ``size`` bytes; fewer where QEMU cannot read."""
    said = monitor.human(f"xp /{count}x{_LETTERS[size]} {address:#x}")
    values: list[int] = []
    for line in said.splitlines():
        _, colon, rest = line.partition(":")
        if not colon or "annot" in rest:
            break
        with contextlib.suppress(ValueError):
            values += [int(word, 16) for word in rest.split()]
    return values


def _bytes(values: list[int], size: int) -> bytes:
    return b"".join(value.to_bytes(size, "little") for value in values)
