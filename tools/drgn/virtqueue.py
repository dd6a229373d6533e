# SPDX-License-Identifier: GPL-2.0-only
"""Print every virtqueue of a Linux guest, from a vmcore or from the running QEMU.

    python3 tools/drgn/virtqueue.py vmcore           QMP's dump-guest-memory, kdump
    python3 tools/drgn/virtqueue.py qmp.sock         -qmp unix:qmp.sock,server=on,wait=off
    drgn -c vmcore -s vmlinux tools/drgn/virtqueue.py    a kernel without BTF
    drgn -k tools/drgn/virtqueue.py                  the kernel that it runs on

Needs drgn 0.3 (pip install 'virtio-pykit[drgn]') and, of the guest, a kernel with BTF, as
distributions' are: they bring their own types. A guest that runs changes while it is read:
stop it first.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass

try:
    from drgn import FaultError, Object, PlatformFlags, Program, container_of
except ImportError:
    print("virtqueue: drgn is not installed: pip install 'virtio-pykit[drgn]'", file=sys.stderr)
    sys.exit(3)
from drgn.helpers.linux.list import list_for_each_entry
from rings import Chain, Ring, read_ring
from target import TargetError, open_target

#: Device ids of the specification's chapter 5.
_DEVICES = {
    1: "network", 2: "block", 3: "console", 4: "entropy", 5: "balloon", 8: "SCSI", 9: "9P",
    16: "GPU", 18: "input", 19: "socket", 20: "crypto", 24: "memory", 25: "sound",
    26: "file system", 27: "pmem",
}  # fmt: skip

_FEATURES = {
    28: "INDIRECT_DESC", 29: "EVENT_IDX", 32: "VERSION_1", 33: "ACCESS_PLATFORM",
    34: "RING_PACKED", 35: "IN_ORDER", 36: "ORDER_PLATFORM", 37: "SR_IOV",
    38: "NOTIFICATION_DATA", 39: "NOTIF_CONFIG_DATA", 40: "RING_RESET", 41: "ADMIN_VQ",
}  # fmt: skip


@dataclass(frozen=True)
class Queue:
    """A virtqueue. ``free`` counts descriptors; ``broken`` is what the driver says of it."""

    index: int
    name: str
    free: int
    broken: bool
    event_idx: bool
    ring: Ring


@dataclass(frozen=True)
class Device:
    """A device on the guest's virtio bus.

    What the device itself holds, its status register for one, is not in the guest's memory;
    ``failed`` is the driver core's note of it.
    """

    name: str
    type: str
    driver: str | None
    failed: bool
    features: int
    queues: tuple[Queue, ...]


def devices(prog: Program) -> Iterator[Device]:
    """The devices of the virtio bus. Raises TargetError where there is no such bus."""
    for private in list_for_each_entry(
        "struct device_private", _bus(prog).klist_devices.k_list.address_of_(), "knode_bus.n_node"
    ):
        device = container_of(private.device, "struct virtio_device", "dev")
        number = device.id.device.value_()
        driver = device.dev.driver
        yield Device(
            name=device.dev.kobj.name.string_().decode(),
            type=_DEVICES.get(number, f"device id {number}"),
            driver=driver.name.string_().decode() if driver else None,
            failed=bool(device.failed),
            features=_features(device),
            queues=tuple(map(_queue, list_for_each_entry(
                "struct virtqueue", device.vqs.address_of_(), "list"))),
        )  # fmt: skip


def _bus(prog: Program) -> Object:
    """The driver core's part of the virtio bus, which may be in a module without symbols."""
    buses = Object(prog, "struct kset *", address=prog.symbol("bus_kset").address)
    for private in list_for_each_entry(
        "struct subsys_private", buses.list.address_of_(), "subsys.kobj.entry"
    ):
        if private.subsys.kobj.name.string_() == b"virtio":
            return private
    raise TargetError("this guest's kernel has no virtio bus")


def _features(device: Object) -> int:
    """Negotiated features; 128 bits from Linux 6.17 on."""
    try:
        words = device.features_array
    except AttributeError:
        return int(device.features.value_())
    return sum(word.value_() << 64 * n for n, word in enumerate(words))


def _queue(queue: Object) -> Queue:
    own = container_of(queue, "struct vring_virtqueue", "vq")
    return Queue(
        index=queue.index.value_(),
        name=queue.name.string_().decode(),
        free=queue.num_free.value_(),
        broken=bool(own.broken),
        event_idx=bool(own.event),
        ring=read_ring(own),
    )


def show(device: Device) -> Iterator[str]:
    """A device and its queues, a line at a time."""
    names = [name for bit, name in _FEATURES.items() if device.features >> bit & 1]
    driver = f"driver {device.driver}" if device.driver else "no driver"
    yield f"{device.name}: {device.type}, {driver}{', FAILED' if device.failed else ''}"
    yield f"  features {device.features:#x}: {' '.join(names)}"
    for queue in device.queues:
        ring = queue.ring
        yield (
            f"  queue {queue.index} {queue.name}: {ring.layout}, {ring.size} descriptors, "
            f"{queue.free} free, {len(ring.chains)} chains in flight, at {ring.address:#x}"
            + (", event index" if queue.event_idx else "")
            + (", BROKEN" if queue.broken else "")
        )
        yield f"    driver: {_pairs(ring.driver)}"
        yield f"    memory: {_pairs(ring.memory)}"
        for note in ring.notes:
            yield f"    note: {note}"
        for chain in ring.chains:
            yield from _show_chain(chain)


def _show_chain(chain: Chain) -> Iterator[str]:
    yield f"    head {chain.head}" + "".join(
        [
            f" at {chain.at}" if chain.at not in (None, chain.head) else "",
            f", token {chain.token:#x}",
            f", table {chain.table:#x}" if chain.table is not None else "",
            f", used ({chain.used} bytes) and not yet taken" if chain.used is not None else "",
            f": {chain.note}" if chain.note else "",
        ]
    )
    for descriptor in chain.descriptors:
        flags = " ".join(descriptor.flags)
        yield f"      {descriptor.address:#018x} {descriptor.length:>8} {flags}".rstrip()


def _pairs(values: dict[str, int] | dict[str, int | str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def main() -> int:
    """Print what the command line names; returns the exit status, 2 for what cannot be read."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target", nargs="?", help="a vmcore, or QEMU's QMP socket")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    try:
        prog = open_target(given.target)
        if prog.platform is None or not prog.platform.flags & PlatformFlags.IS_LITTLE_ENDIAN:
            raise TargetError("big-endian guests are not understood")
        found = list(devices(prog))
    except (TargetError, LookupError) as error:
        print(f"virtqueue: {error}", file=sys.stderr)
        return 2
    except FaultError as error:
        print(f"virtqueue: damaged, or changed while it was read: {error}", file=sys.stderr)
        return 2
    if given.json:
        print(json.dumps([dataclasses.asdict(device) for device in found], indent=1))
    else:
        print("\n".join(line for device in found for line in show(device)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
