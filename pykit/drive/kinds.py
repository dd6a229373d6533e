# SPDX-License-Identifier: GPL-2.0-only
"""Device types, each with a good request of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pykit.drive import good
from pykit.drive.memory import SharedMemory
from pykit.drive.requests import DriverRequest
from pykit.errors import UsageError
from pykit.spec import bits

Make = Callable[[SharedMemory, int], DriverRequest]


@dataclass(frozen=True)
class Kind:
    """A device type.

    Attributes:
        name: as on the command line.
        id: device id (section 5).
        type: QEMU's name of such a device on PCI; rules ask for it.
        features: those of its own that the driver accepts if they are offered.
        queue: where its requests go.
        queues: how many queues a life sets up, at least.
        alike: the queues that take such requests.
        request: makes a good request; ``number`` varies it.
        prime: makes requests that have to be served before any other.
    """

    name: str
    id: int
    type: str
    features: int
    queue: int
    queues: int
    alike: tuple[int, ...]
    request: Make
    prime: tuple[Make, ...] = ()


def kind_of(name: str) -> Kind:
    """Return the device type of this name.

    Raises:
        UsageError: there is none.
    """
    if name not in KINDS:
        raise UsageError(f"unknown device type {name!r} (choose from {', '.join(KINDS)})")
    return KINDS[name]


_BLK = bits.mask(
    frozenset({bits.BLK_SEG_MAX, bits.BLK_BLK_SIZE, bits.BLK_FLUSH, bits.BLK_MQ, bits.BLK_ZONED})
)
#: VIRTIO_NET_F_MRG_RXBUF: the header of a frame has 12 bytes in the legacy interface too.
_MERGE = 1 << 15
#: VIRTIO_MEM_F_UNPLUGGED_INACCESSIBLE: a device may insist on it (section 5.15.3).
_INACCESSIBLE = 1 << 1
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("blk", 2, "virtio-blk-pci", _BLK, 0, 1, (0, 1), good.read),
        Kind("net", 1, "virtio-net-pci", _MERGE, 1, 2, (1,), good.frame),
        Kind("rng", 4, "virtio-rng-pci", 0, 0, 1, (0,), good.random),
        Kind("vsock", 19, "vhost-user-vsock-pci", 0, 1, 3, (1,), good.vsock_reset),
        Kind("fs", 26, "vhost-user-fs-pci", 0, 1, 2, (1,), good.fuse_statfs, (good.fuse_init,)),
        Kind("scsi", 8, "virtio-scsi-pci", 0, 2, 3, (2,), good.report_luns),
        Kind("console", 3, "virtio-serial-pci", 0, 1, 2, (1,), good.line),
        Kind("balloon", 5, "virtio-balloon-pci", 0, 0, 2, (0,), good.inflate),
        Kind("input", 18, "virtio-keyboard-pci", 0, 1, 2, (1,), good.input_status),
        Kind("crypto", 20, "virtio-crypto-pci", 0, 0, 2, (0,), good.unknown_session),
        Kind("9p", 9, "virtio-9p-pci", 0, 0, 1, (0,), good.version),
        Kind("gpu", 16, "virtio-gpu-pci", 0, 0, 2, (0,), good.display_info),
        Kind("iommu", 23, "virtio-iommu-pci", 0, 0, 2, (0,), good.unknown_endpoint),
        Kind("mem", 24, "virtio-mem-pci", _INACCESSIBLE, 0, 1, (0,), good.unplug_all),
        Kind("pmem", 27, "virtio-pmem-pci", 0, 0, 1, (0,), good.flush),
    )
}
