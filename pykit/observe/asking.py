# SPDX-License-Identifier: GPL-2.0-only
"""Ask QMP what every virtio device of a machine, its rings and its interrupts stand at.

QEMU's answers show what QEMU's devices did. What the driver wrote, and all that a device of another
process did, is read from the guest's memory: the indices and the suppression of both sides.
Nothing is written, and nothing read that a read changes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from pykit import pci
from pykit.guests.monitor import RING_MEMORY, Monitor, QemuRefusedError, answered
from pykit.observe.survey import Surveyor, memory

#: Our names of answers that QEMU has no query of: the machine, the process behind a device, and
#: where a PCI function's interrupts are held back.
MACHINE, BACK_END, INTERRUPTS = "query-status", "back-end", "interrupts"
#: The moment of a guest that hangs.
HANG = "hang"
#: Of a queue that another process, or the host's kernel, serves.
_VHOST_QUEUE = "x-query-virtio-vhost-queue-status"
_OWN_QUEUE = "x-query-virtio-queue-status"
#: Split rings: bytes before the entries, of an entry of either ring.
_HEAD, _AVAIL, _USED = 4, 2, 8
_DESC = 16
#: Packed rings: the part of an event offset that is a place.
_PLACE = (1 << 15) - 1
#: MSI-X (PCI 6.8.2): the message control word, an entry of the table, its vector control.
_ENABLED, _MASKED, _ENTRIES = 1 << 15, 1 << 14, 0x7FF
_ENTRY, _CONTROL = 16, 12
#: INTx: the command register's disable bit, the status register's pending bit.
_NO_INTX, _INTX_PENDING = 1 << 10, 1 << 3
#: More vectors than that are not looked at.
_MOST_VECTORS = 256


def ask_all(monitor: Monitor, at: str) -> list[dict[str, Any]]:
    """Return what QEMU believes of every virtio device and each of its queues that is set up."""
    answers = []
    for name, path, status, found in _devices(monitor, at):
        answers += found
        queues = range(status.get("num-vqs", 0)) if status is not None else itertools.count()
        for queue in queues:
            try:
                answers += _queue(monitor, at, name, path, status, queue)
            except QemuRefusedError:
                # A device has more queues than vhost serves (of a network card the one for
                # control). How many it has is not known without its status.
                if status is None:
                    break
    return answers


def ask_devices(monitor: Monitor, at: str) -> list[dict[str, Any]]:
    """Return what QEMU believes of the machine and of every virtio device, and its rings' memory.

    QEMU's own indices are left out: rules take those for the state of a queue at rest.
    """
    found = ask_all(monitor, at)
    return [answer for answer in found if answer["queue"] is None or answer["query"] == RING_MEMORY]


#: Name and path of a device, its status where QEMU has an answer, and all answers.
_Known = tuple[str, str, dict[str, Any] | None, list[dict[str, Any]]]


def _devices(monitor: Monitor, at: str) -> Iterator[_Known]:
    """Yield name, path, status and answers of the machine, which has no name, and each device."""
    yield "", "", {}, [answered(at, "", MACHINE, None, monitor.ask("query-status"))]
    gone = _gone(monitor)
    for known in monitor.ask("x-query-virtio"):
        path = known["path"]
        name = device_id(path)
        status = monitor.status(path)
        answers = [answered(at, name, "x-query-virtio-status", None, status)] * bool(status)
        if (back := _back_end(monitor, path, gone)) is not None:
            answers.append(answered(at, name, BACK_END, None, back))
        yield name, path, status, answers


def ask_interrupts(monitor: Monitor, surveyor: Surveyor, at: str) -> list[dict[str, Any]]:
    """Return which interrupts are masked and pending of each PCI function surveyed ``at`` then."""
    answers = []
    for reading in surveyor.readings:
        if reading["at"] == at and reading["transport"] == "pci":
            found = _interrupts(monitor, bytes.fromhex(reading["config"]))
            answers.append(answered(at, reading["device"], INTERRUPTS, None, found))
    return answers


def device_id(path: str) -> str:
    """The name of a device in QEMU's object tree: its id, or its place among those without."""
    return path.removesuffix("/virtio-backend").rpartition("/")[2]


def _gone(monitor: Monitor) -> frozenset[str]:
    """Return the character devices whose peer has hung up."""
    known = monitor.ask("query-chardev")
    return frozenset(c["label"] for c in known if c["filename"].startswith("disconnected:"))


def _back_end(monitor: Monitor, path: str, gone: frozenset[str]) -> dict[str, Any] | None:
    """Return whether the process behind a vhost-user device is there; None for another device."""
    for place in (path, path.removesuffix("/virtio-backend")):
        try:
            label = monitor.ask("qom-get", path=place, property="chardev")
        except QemuRefusedError:
            continue
        return {"chardev": label, "connected": label not in gone}
    return None


def _queue(
    monitor: Monitor, at: str, name: str, path: str, status: dict[str, Any] | None, queue: int
) -> Iterator[dict[str, Any]]:
    query, ring = _asked(monitor, path, status, queue)
    if query == _VHOST_QUEUE:
        desc, avail, used = (ring[f"{area}-phys"] for area in ("desc", "avail", "used"))
        size = ring["num"]
    else:
        desc, avail, used = (ring[f"vring-{area}"] for area in ("desc", "avail", "used"))
        size = ring["vring-num"]
    if not desc or not size:
        return
    yield answered(at, name, query, queue, ring)
    features = str(status.get("guest-features", {})) if status is not None else "IOMMU_PLATFORM"
    if "IOMMU_PLATFORM" in features:
        # Its addresses are not the guest's physical ones, or may be none.
        return
    if "RING_PACKED" in features:
        found = _packed(monitor, desc, avail, used, size)
        if found is not None and at == HANG:
            found |= _descriptors(monitor, desc, size)
    else:
        found = _split(monitor, avail, used, size)
    if found is not None:
        yield answered(at, name, RING_MEMORY, queue, found)


def _asked(
    monitor: Monitor, path: str, status: dict[str, Any] | None, queue: int
) -> tuple[str, dict[str, Any]]:
    """Return the query for a queue, and its answer; raises QemuRefusedError for a queue of none.

    For the indices of a queue that another process serves, QEMU would have to stop it.
    """
    if status is None or status.get("vhost-started"):
        try:
            return _VHOST_QUEUE, monitor.ask(_VHOST_QUEUE, path=path, queue=queue)
        except QemuRefusedError:
            if status is not None:
                raise
    return _OWN_QUEUE, monitor.ask(_OWN_QUEUE, path=path, queue=queue)


def _split(monitor: Monitor, avail: int, used: int, size: int) -> dict[str, Any] | None:
    """Read what both sides wrote to a split ring; None where QEMU does not read the memory."""
    words = [
        *memory(monitor, avail, 2, 2),
        *memory(monitor, avail + _HEAD + _AVAIL * size, 2, 1),
        *memory(monitor, used, 2, 2),
        *memory(monitor, used + _HEAD + _USED * size, 2, 1),
    ]
    names = ("avail-flags", "avail-idx", "used-event", "used-flags", "used-index", "avail-event")
    return dict(zip(names, words, strict=True)) if len(words) == len(names) else None


def _packed(
    monitor: Monitor, desc: int, driver: int, device: int, size: int
) -> dict[str, Any] | None:
    """Read both event suppressions of a packed ring, and the flags of the descriptors they name."""
    found: dict[str, Any] = {}
    for side, area in (("driver", driver), ("device", device)):
        words = memory(monitor, area, 2, 2)
        if len(words) != 2:
            return None
        found[f"{side}-event"], found[f"{side}-flags"] = words
        place = words[0] & _PLACE
        if place < size:
            flags = memory(monitor, desc + _DESC * place + _DESC - 2, 2, 1)
            found.update({f"{side}-place-flags": word for word in flags})
    return found


def _descriptors(monitor: Monitor, desc: int, size: int) -> dict[str, list[int]]:
    """Read buffer ids and flags of all descriptors: where another process goes on is not known."""
    words = memory(monitor, desc, 2, _DESC // 2 * size)
    whole = len(words) == _DESC // 2 * size
    return {"ids": words[6::8], "flags": words[7::8]} if whole else {}


def _interrupts(monitor: Monitor, config: bytes) -> dict[str, Any]:
    """Return ``kind`` (msi-x or intx), whether it is masked as a whole, and by vector."""
    found, _ = pci.capabilities(config)
    msix = next((c for c in found if c.id == pci.MSI_X), None)
    control = (msix.number(2, 2) or 0) if msix else 0
    if msix is None or not control & _ENABLED:
        return {
            "kind": "intx",
            "masked": bool(pci.field(config, pci.COMMAND, 2) & _NO_INTX),
            "pending": bool(pci.field(config, pci.STATUS, 2) & _INTX_PENDING),
        }
    count = min((control & _ENTRIES) + 1, _MOST_VECTORS)
    table, waiting = (_place(config, msix.number(offset, 4)) for offset in (4, 8))
    masked = pending = []
    if table and waiting:
        controls = [memory(monitor, table + _ENTRY * n + _CONTROL, 4, 1) for n in range(count)]
        masked = [n for n, word in enumerate(controls) if word and word[0] & 1]
        words = memory(monitor, waiting, 4, (count + 31) // 32)
        pending = [n for n in range(count) if words and words[n // 32] >> n % 32 & 1]
    return {
        "kind": "msi-x",
        "masked": bool(control & _MASKED),
        "masked-vectors": masked,
        "pending-vectors": pending,
    }


def _place(config: bytes, field: int | None) -> int:
    """Return the address that an offset with its BAR's number means, 0 where it is not mapped."""
    bars = {bar.number: bar for bar in pci.bars(config)}
    bar = bars.get(field & 7) if field is not None else None
    return bar.address + (field & ~7) if bar and bar.address and field is not None else 0
