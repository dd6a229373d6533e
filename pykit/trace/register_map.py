# SPDX-License-Identifier: GPL-2.0-only
"""Registers of the transports by name: offset, width, direction (sections 4.1.4 and 4.2).

One name stands for one notion in all transports, the name of the PCI transport where it has the
register: ``queue_enable`` is MMIO's QueueReady, ``isr`` its InterruptStatus. The halves of 64 bit
registers have names of their own, as drivers access them one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

Ints = npt.NDArray[np.int64]


class Register(NamedTuple):
    """A register: bytes from the start of its structure, bytes wide, and its direction.

    ``access`` is of the driver: "r", "w" or "rw". ``queue``: it belongs to the selected queue.
    """

    name: str
    offset: int
    size: int
    access: str
    queue: bool = False


def _halves(name: str, offset: int, access: str, *, queue: bool) -> tuple[Register, Register]:
    """Return the two registers of a 64 bit value."""
    return (
        Register(f"{name}_low", offset, 4, access, queue),
        Register(f"{name}_high", offset + 4, 4, access, queue),
    )


#: struct virtio_pci_common_cfg (4.1.4.3).
_COMMON = (
    Register("device_feature_select", 0x00, 4, "rw"),
    Register("device_feature", 0x04, 4, "r"),
    Register("driver_feature_select", 0x08, 4, "rw"),
    Register("driver_feature", 0x0C, 4, "rw"),
    Register("config_vector", 0x10, 2, "rw"),
    Register("num_queues", 0x12, 2, "r"),
    Register("status", 0x14, 1, "rw"),
    Register("generation", 0x15, 1, "r"),
    Register("queue_select", 0x16, 2, "rw"),
    Register("queue_size", 0x18, 2, "rw", True),
    Register("queue_vector", 0x1A, 2, "rw", True),
    Register("queue_enable", 0x1C, 2, "rw", True),
    Register("queue_notify_off", 0x1E, 2, "r", True),
    *_halves("queue_desc", 0x20, "rw", queue=True),
    *_halves("queue_driver", 0x28, "rw", queue=True),
    *_halves("queue_device", 0x30, "rw", queue=True),
    Register("notif_config_data", 0x38, 2, "r", True),
    Register("queue_reset", 0x3A, 2, "rw", True),
    Register("admin_queue_index", 0x3C, 2, "r"),
    Register("admin_queue_num", 0x3E, 2, "r"),
)
#: The header of the legacy interface, in an I/O BAR (4.1.4.10). The vectors are there with MSI-X.
_LEGACY = (
    Register("device_feature", 0x00, 4, "r"),
    Register("driver_feature", 0x04, 4, "rw"),
    Register("queue_pfn", 0x08, 4, "rw", True),
    Register("queue_size", 0x0C, 2, "r", True),
    Register("queue_select", 0x0E, 2, "rw"),
    Register("queue_notify", 0x10, 2, "rw"),
    Register("status", 0x12, 1, "rw"),
    Register("isr", 0x13, 1, "r"),
    Register("config_vector", 0x14, 2, "rw"),
    Register("queue_vector", 0x16, 2, "rw", True),
)
_BOTH_MMIO = (
    Register("magic", 0x00, 4, "r"),
    Register("version", 0x04, 4, "r"),
    Register("device_id", 0x08, 4, "r"),
    Register("vendor_id", 0x0C, 4, "r"),
    Register("device_feature", 0x10, 4, "r"),
    Register("device_feature_select", 0x14, 4, "w"),
    Register("driver_feature", 0x20, 4, "w"),
    Register("driver_feature_select", 0x24, 4, "w"),
    Register("queue_select", 0x30, 4, "w"),
    Register("queue_size_max", 0x34, 4, "r", True),
    Register("queue_size", 0x38, 4, "w", True),
    Register("queue_notify", 0x50, 4, "w"),
    Register("isr", 0x60, 4, "r"),
    Register("interrupt_ack", 0x64, 4, "w"),
    Register("status", 0x70, 4, "rw"),
)
#: MMIO of version 2 (4.2.2) and of version 1 (4.2.4).
_MMIO = (
    *_BOTH_MMIO,
    Register("queue_enable", 0x44, 4, "rw", True),
    *_halves("queue_desc", 0x80, "w", queue=True),
    *_halves("queue_driver", 0x90, "w", queue=True),
    *_halves("queue_device", 0xA0, "w", queue=True),
    Register("shm_select", 0xAC, 4, "w"),
    *_halves("shm_len", 0xB0, "r", queue=False),
    *_halves("shm_base", 0xB8, "r", queue=False),
    Register("queue_reset", 0xC0, 4, "rw", True),
    Register("generation", 0xFC, 4, "r"),
)
_MMIO_LEGACY = (
    *_BOTH_MMIO,
    Register("page_size", 0x28, 4, "w"),
    Register("queue_align", 0x3C, 4, "w", True),
    Register("queue_pfn", 0x40, 4, "rw", True),
)
#: What belongs to no register of the structure, and the device's own configuration.
RESERVED, CONFIG = "reserved", "config"
#: All structures. A byte of "notify" belongs to the queue at its offset (4.1.4.4).
STRUCTURES: Mapping[str, tuple[Register, ...]] = {
    "common": _COMMON,
    "isr": (Register("isr", 0, 1, "r"),),
    "notify": (Register("queue_notify", 0, 1 << 31, "w"),),
    "config": (Register(CONFIG, 0, 1 << 31, "rw"),),
    "legacy": _LEGACY,
    "mmio": _MMIO,
    "mmio-legacy": _MMIO_LEGACY,
}
REGISTERS: Mapping[str, Mapping[str, Register]] = {
    structure: {register.name: register for register in registers}
    for structure, registers in STRUCTURES.items()
}
#: Names of all registers.
NAMES = tuple(dict.fromkeys([name for known in REGISTERS.values() for name in known] + [RESERVED]))
#: Where the configuration begins; behind the header of the legacy interface with MSI-X or not.
MMIO_CONFIG, LEGACY_CONFIG, LEGACY_VECTORS = 0x100, 20, 4
#: Bytes from one queue's notification address to the next, as QEMU has them.
NOTIFY_STEP = 4
_UNKNOWN = -1
#: Registers that only one of MMIO's two versions has.
_ONLY_LEGACY = frozenset((0x28, 0x3C, 0x40))
_ONLY_MODERN = frozenset((0x44, *range(0x80, 0xC1, 4), 0xFC))


def names_of(structure: str, offsets: Ints) -> list[str]:
    """Return the name of the register that holds each byte of a structure."""
    registers = sorted(STRUCTURES[structure], key=lambda register: register.offset)
    starts = np.array([register.offset for register in registers])
    ends = starts + [register.size for register in registers]
    at = np.searchsorted(starts, offsets, side="right") - 1
    inside = (at >= 0) & (offsets < ends[at])
    names = np.array([*(register.name for register in registers), RESERVED])
    found: list[str] = names[np.where(inside, at, len(registers))].tolist()
    return found


def is_legacy_mmio(versions: set[int], offsets: set[int]) -> bool:
    """Return whether an MMIO device has version 1.

    ``versions`` are values that its register Version had; without one, ``offsets`` of the accessed
    registers show it.
    """
    if versions:
        return versions == {1}
    return bool(offsets & _ONLY_LEGACY) and not offsets & _ONLY_MODERN


def named(frame: pl.DataFrame, device: str) -> pl.DataFrame:
    """Add ``register`` and ``vq`` to accesses in order.

    ``frame`` has ``structure``, ``offset`` (in it), ``value`` (null if not known), ``write`` and
    the column ``device`` that numbers devices. ``vq`` is the queue that a register belongs to,
    by the last selection since the device's last reset, or the queue that was notified; else null.
    """
    offsets = frame["offset"].cast(pl.Int64).to_numpy()
    structures = frame["structure"].to_numpy()
    names = np.full(frame.height, RESERVED, dtype=object)
    owned = np.zeros(frame.height, dtype=np.bool_)
    for structure, registers in STRUCTURES.items():
        at = np.flatnonzero(structures == structure)
        names[at] = names_of(structure, offsets[at])
        of_queues = [register.name for register in registers if register.queue]
        owned[at] = np.isin(names[at], of_queues)
    value, write = pl.col("value").cast(pl.Int64, strict=False), pl.col("write") > 0
    name = pl.col("register")
    reset = (name == "status") & write & (value == 0)
    marks = (
        pl.when(reset)
        .then(_UNKNOWN)
        .when((name == "queue_select") & write)
        .then(value.fill_null(_UNKNOWN))
    )
    notified = (
        pl.when(pl.col("structure") == "notify")
        .then(pl.col("offset").cast(pl.Int64) // NOTIFY_STEP)
        .otherwise(value & 0xFFFF)
    )
    return (
        frame.with_columns(
            pl.Series("register", names.tolist(), dtype=pl.String), pl.Series("owned", owned)
        )
        .with_columns(marks.cast(pl.Int64).forward_fill().over(device).alias("selected"))
        .with_columns(
            pl.when(name == "queue_notify")
            .then(notified)
            .when(pl.col("owned") & (pl.col("selected") >= 0))
            .then(pl.col("selected") & 0xFFFF)
            .cast(pl.UInt16)
            .alias("vq")
        )
        .drop("owned", "selected")
    )
