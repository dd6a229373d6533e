# SPDX-License-Identifier: GPL-2.0-only
"""Where QEMU has the rings and registers of its virtio devices, by QMP."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pykit.guests.channel import GuestEndedError
from pykit.guests.monitor import Monitor, QemuRefusedError

#: Bytes of a descriptor or packed ring entry; of avail and used beside their entries.
_DESC, _AVAIL, _USED, _ENDS, _EVENTS = 16, 2, 8, 6, 4
_BITS = {"ACKNOWLEDGE": 1, "DRIVER": 2, "DRIVER_OK": 4, "FEATURES_OK": 8, "FAILED": 128}
#: A transport in QEMU's tree of devices, and the device on its bus.
_MMIO = re.compile(
    r"^ *mmio ([0-9a-f]{16})/([0-9a-f]{16})\r?\n *bus: virtio-mmio-bus\.[0-9]+\r?\n"
    r"(?: *type virtio-mmio-bus\r?\n)? *dev: [a-z0-9-]+, id \"([^\"]+)\"",
    re.MULTILINE,
)
#: A transport in QEMU's tree of devices with no device on its bus.
_EMPTY = re.compile(
    r"^ *mmio ([0-9a-f]{16})/[0-9a-f]{16}\r?\n( *)bus: virtio-mmio-bus\.[0-9]+\r?\n"
    r"(?!(?: *type virtio-mmio-bus\r?\n)?\2 +dev: )",
    re.MULTILINE,
)
#: Where QEMU has devices that were given an id, and those that were given none.
_PLUGGED, NAMELESS = "/machine/peripheral/", "/machine/peripheral-anon/"
_VENDOR = 0x1AF4


def look_patiently(monitor: Monitor) -> dict[str, Any]:
    """As ``look``, again where a device has gone between two questions."""
    while True:
        try:
            return look(monitor)
        except QemuRefusedError:
            continue


def look(monitor: Monitor) -> dict[str, Any]:
    """All plugged virtio devices' status, and the rings that they were given.

    A device without an id has the name of its place in QEMU's tree of objects, ``device[0]``.

    ``{"devices": [{"device": id, "status": bits}], "rings": [{"device", "queue", "area" (desc,
    avail or used), "address", "bytes", "size" (entries), "packed", "event_idx"}], "registers":
    [{"device", "address", "bytes"}]}``; addresses are the guest's physical ones.
    """
    devices, rings = [], []
    nameless = {}
    for known in monitor.ask("x-query-virtio"):
        path = known["path"]
        if not path.startswith((_PLUGGED, NAMELESS)):
            continue
        name = path.removeprefix(_PLUGGED).removeprefix(NAMELESS).partition("/")[0]
        if path.startswith(NAMELESS):
            nameless[name] = NAMELESS + name
        answer = monitor.status(path)
        if answer is None:
            raise GuestEndedError("qemu-died", "this QEMU would abort at a look for its rings")
        status = _status(answer["status"])
        devices.append({"device": name, "status": status})
        if status:
            features = str(answer["guest-features"])
            common = {
                "device": name,
                "packed": "VIRTIO_F_RING_PACKED" in features,
                "event_idx": "VIRTIO_RING_F_EVENT_IDX" in features,
            }
            for queue in range(answer["num-vqs"]):
                ring = _ring(monitor, path, queue, served=answer["vhost-started"])
                rings += [
                    {**common, "queue": queue, **area}
                    for area in _areas(ring, packed="RING_PACKED" in features)
                ]
    return {"devices": devices, "rings": rings, "registers": list(_registers(monitor, nameless))}


def _status(answer: dict[str, Any]) -> int:
    """The status byte of QEMU's words for it, ``VIRTIO_CONFIG_S_NAME: what it means``."""
    names = [word.partition(":")[0].removeprefix("VIRTIO_CONFIG_S_") for word in answer["statuses"]]
    return sum(bit for name, bit in _BITS.items() if name in names) | int(
        answer.get("unknown-statuses", 0)
    )


def _ring(monitor: Monitor, path: str, queue: int, *, served: bool) -> dict[str, Any]:
    """What QEMU says of a queue, which another process, or the host's kernel, may serve.

    Of that it knows the places alone: for the indices it would have to stop it.
    """
    ring: dict[str, Any]
    if not served:
        ring = monitor.ask("x-query-virtio-queue-status", path=path, queue=queue)
        return ring
    try:
        ring = monitor.ask("x-query-virtio-vhost-queue-status", path=path, queue=queue)
    except QemuRefusedError:
        # A device has queues that vhost does not serve: of a network card the one for control.
        return {"vring-num": 0}
    places = {f"vring-{area}": ring[f"{area}-phys"] for area in ("desc", "avail", "used")}
    return {"vring-num": ring["num"], **places}


def _areas(ring: dict[str, Any], *, packed: bool) -> Iterator[dict[str, Any]]:
    size = ring["vring-num"]
    if not size or not ring["vring-desc"]:
        return
    lengths = {
        "desc": size * _DESC,
        "avail": _EVENTS if packed else size * _AVAIL + _ENDS,
        "used": _EVENTS if packed else size * _USED + _ENDS,
    }
    for area, length in lengths.items():
        yield {"area": area, "address": ring[f"vring-{area}"], "bytes": length, "size": size}


def functions(monitor: Monitor) -> Iterator[dict[str, Any]]:
    """All PCI functions of the machine, as ``query-pci`` describes each."""
    pending = list(monitor.ask("query-pci"))
    while pending:
        for function in pending.pop().get("devices", []):
            yield function
            if "pci_bridge" in function:
                pending.append(function["pci_bridge"])


def mmio_slots(monitor: Monitor) -> Iterator[tuple[str, int, int]]:
    """Id, address and bytes of each virtio device on a bus of an MMIO transport."""
    for address, size, name in _MMIO.findall(monitor.human("info qtree")):
        yield name, int(address, 16), int(size, 16)


def empty_slots(monitor: Monitor) -> Iterator[int]:
    """Address of each MMIO transport that has no device on its bus."""
    for address, _ in _EMPTY.findall(monitor.human("info qtree")):
        yield int(address, 16)


def nameless_function(monitor: Monitor, path: str) -> dict[str, Any] | None:
    """Return the PCI function of a device without an id, by its path in QEMU's tree of objects.

    None where there is none, or where functions of several buses have its slot.
    """
    try:
        place = monitor.ask("qom-get", path=path, property="addr")
    except QemuRefusedError:
        return None
    found = [
        function
        for function in functions(monitor)
        if not function["qdev_id"]
        and function["slot"] << 3 | function["function"] == place
        and function["id"]["vendor"] == _VENDOR
    ]
    return found[0] if len(found) == 1 else None


def _registers(monitor: Monitor, nameless: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Memory in which the plugged devices answer: ``{"device", "address", "bytes"}``.

    ``nameless`` are the paths of devices without an id, by name.
    """
    for name, address, size in mmio_slots(monitor):
        yield {"device": name, "address": address, "bytes": size}
    named = [(function["qdev_id"], function) for function in functions(monitor)]
    for name, path in nameless.items():
        if (function := nameless_function(monitor, path)) is not None:
            named.append((name, function))
    for name, function in named:
        for bar in function["regions"]:
            # A BAR that is not mapped has no address.
            if name and bar["type"] == "memory" and bar["address"] >= 0:
                yield {"device": name, "address": bar["address"], "bytes": bar["size"]}
