# SPDX-License-Identifier: GPL-2.0-only
"""Widths of register accesses, for the rules of PCI and MMIO."""

from __future__ import annotations

import numpy as np

from pykit.spec.arrays import Bools, Ints
from pykit.spec.blkconfig import FIELDS, GEOMETRY, TOPOLOGY
from pykit.spec.model import Result
from pykit.spec.registers import Registers, registers, traced_registers
from pykit.spec.view import View
from pykit.trace.register_map import CONFIG, STRUCTURES

Layout = dict[int, int]


def _fields(*runs: tuple[int, int, int]) -> Layout:
    """Return the width of the field at each offset; a run is first offset, width, how many."""
    return {
        start + width * number: width for start, width, count in runs for number in range(count)
    }


#: Fields of configuration spaces: width by offset. 64 bit fields are two of 32 (sections 5.1.4,
#: 5.2.4, 5.3.4, 5.5.4, 5.6.4, 5.10.4).
_BLOCK = {
    **{
        field.offset: field.width
        for field in FIELDS
        if field.width <= 4 and field not in (GEOMETRY, TOPOLOGY) and field.width != 3
    },
    **_fields((0, 4, 2), (16, 2, 1), (18, 1, 2), (24, 1, 2), (26, 2, 1), (28, 4, 1)),
    **_fields((57, 1, 3), (72, 4, 5), (92, 1, 4)),
}
LAYOUTS: dict[str, Layout] = {
    "virtio-blk": _BLOCK,
    "virtio-net": _fields((0, 1, 6), (6, 2, 3), (12, 4, 1), (16, 1, 2), (18, 2, 1), (20, 4, 2)),
    "virtio-serial": _fields((0, 2, 2), (4, 4, 2)),
    "virtio-balloon": _fields((0, 4, 4)),
    "virtio-scsi": _fields((0, 4, 7), (28, 2, 2), (32, 4, 1)),
    "vhost-vsock": _fields((0, 4, 2)),
}


def _layout(view: View, dev: int) -> Layout | None:
    types = {view.events.devices.get(d.id): d.type for d in view.events.capture.devices}
    kind = types.get(dev, "")
    return next((layout for name, layout in LAYOUTS.items() if kind.startswith(name)), None)


def _of_config(view: View, regs: Registers, devices: Bools, width: int) -> tuple[Bools, Ints]:
    """Return configuration accesses to fields of a width, and where each access's field starts."""
    mask = np.zeros(len(regs), dtype=np.bool_)
    start = np.full(len(regs), -1)
    config = regs.on(CONFIG) & devices
    for dev in np.unique(regs.dev[config]).tolist():
        layout = _layout(view, dev)
        if layout is None:
            continue
        fields = {at + byte: (at, of) for at, of in layout.items() for byte in range(of)}
        here = np.flatnonzero(config & (regs.dev == dev))
        for at, offset in zip(here.tolist(), regs.offset[here].tolist(), strict=True):
            if offset in fields and fields[offset][1] == width:
                mask[at], start[at] = True, fields[offset][0]
    return mask, start


def wide_config_reads(view: View, regs: Registers) -> Bools:
    """Return reads of configuration fields of more than one byte.

    Of a device whose layout is not known these are the reads of more than one byte.
    """
    every = np.ones(len(regs), dtype=np.bool_)
    mask = regs.on(CONFIG) & (regs.size > 1)
    for width in (2, 4):
        mask |= _of_config(view, regs, every, width)[0]
    reads: Bools = mask & ~regs.write
    return reads


def check_widths(
    view: View, transport: tuple[str, ...], structures: tuple[str, ...], width: int
) -> Result:
    """Check that accesses to registers and fields of ``width`` bytes are as wide and aligned.

    By the register log, and by the access tracer where that saw the same device.
    """
    found = _widths(view, registers(view), transport, structures, width)
    if {"registers", "access"} <= view.sources and len(traced := traced_registers(view)):
        found += _widths(view, traced, transport, structures, width)
    return found


def _widths(
    view: View,
    regs: Registers,
    transport: tuple[str, ...],
    structures: tuple[str, ...],
    width: int,
) -> Result:
    mask, start = _of_config(view, regs, regs.devices(transport), width)
    for structure in structures:
        for register in STRUCTURES[structure]:
            if register.size == width:
                mine = regs.of((structure,)) & regs.on(register.name)
                mask |= mine
                start[mine] = register.offset
    rows = regs.where(mask, start=start, width=np.full(len(regs), width))
    return regs.check(
        rows,
        (rows["size"] == width) & (rows["offset"] == rows["start"]),
        "{place}: access of {size:byte} at {offset:#x} to {access}, which has {width}",
    )
