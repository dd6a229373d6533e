# SPDX-License-Identifier: GPL-2.0-only
"""What a device's configuration keeps of what its driver writes (sections 5.2.4, 5.5.4).

Judged by accesses to the configuration space, as QEMU logged them or the access tracer saw them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import Bools, Ints
from pykit.spec.blkconfig import WRITEBACK
from pykit.spec.model import Result, rule
from pykit.spec.registers import Registers, earlier, registers
from pykit.spec.topics.pci_registers import SEEN
from pykit.spec.view import View


class _Writable(NamedTuple):
    """A field that the driver writes: where, how wide, with which feature, up to which value."""

    offset: int
    width: int
    feature: int | None
    most: int


#: By device id. Of an input device what is selected shows in other fields, and an emergency
#: write of a console is written only.
_WRITABLE = {
    bits.BLK_ID: (_Writable(WRITEBACK.offset, WRITEBACK.width, bits.BLK_CONFIG_WCE, 1),),
    bits.BALLOON_ID: (_Writable(4, 4, None, 0xFFFFFFFF), _Writable(12, 4, 4, 0xFFFFFFFF)),
}
#: Bytes of a configuration that keys of places have room for.
_ROOM = 1 << 12


def _types(view: View, regs: Registers) -> Ints:
    """By access: the id of its device's type, 0 where that is not known."""
    known = {dev: life.id or 0 for (dev, _), life in view.lives.items()}
    return np.array([known.get(dev, 0) for dev in regs.dev.tolist()], dtype=np.int64)


def _writable(regs: Registers, types: Ints, *, legal: bool) -> Bools:
    """By access: it is to a field that a driver may write.

    ``legal``: of features that were agreed on, by a value that the device has to take.
    """
    found = np.zeros(len(regs), dtype=np.bool_)
    for type_, fields in _WRITABLE.items():
        for field in fields:
            mine = (types == type_) & (regs.offset == field.offset) & (regs.size == field.width)
            if legal and field.feature is not None:
                mine &= regs.accepted(field.feature) == 1
            found |= mine & ((regs.value <= field.most) | (not legal))
    return found


@rule("DX-88", needs=SEEN)
def configuration_keeps_what_it_may(view: View) -> Result:
    """Sections 2.5, 5.2.4 and 5.5.4: a field of the configuration that the driver may write reads
    what was written, and one that is read-only what it did before.

    Checked: each read behind a write of the same bytes since the last reset. Of writeback with
    CONFIG_WCE, and of a balloon's actual and poison_val: the value written, without SUSPEND. Of any
    other field of a block or balloon device that was read before the write: not the value written,
    where it was another one before. A device may change what it has at any time, but hardly to just
    that.
    """
    regs = registers(view)
    types = _types(view, regs)
    config = regs.on("config") & regs.known & (regs.offset < _ROOM)
    key = (regs.span * _ROOM + regs.offset) * 16 + np.minimum(regs.size, 15)
    # Any access that shares bytes would do: a key is of the same bytes alone.
    written = earlier(config & regs.write, key)
    value = regs.value_at(written)
    reads = config & ~regs.write & (written >= 0)
    # What a suspended device does with a write is DS-DE-02's.
    legal = _writable(regs, types, legal=True) & (regs.accepted(bits.SUSPEND) != 1)
    own = legal[written] if len(regs) else legal
    rows = regs.where(reads & own, written=value, first=regs.row_at(written))
    kept = regs.check(
        rows,
        rows["value"] == rows["written"],
        "{place}: {written:#x} was written to {access}, {value:#x} is read",
        shown=("first", "row"),
        none="no field of a configuration was read behind a write",
    )
    return kept + _read_only(regs, types, reads, written)


def _read_only(regs: Registers, types: Ints, reads: Bools, written: Ints) -> Result:
    """Check that fields that no driver may write stay as they were."""
    key = (regs.span * _ROOM + regs.offset) * 16 + np.minimum(regs.size, 15)
    seen = regs.on("config") & regs.known & ~regs.write & (regs.offset < _ROOM)
    before = earlier(seen, key)
    # What the last read before the write had: that before a later read is the write's.
    then = before[written] if len(regs) else before
    then = np.where(written >= 0, then, -1)
    fixed = np.isin(types, [*_WRITABLE])
    fixed &= ~_writable(regs, types, legal=False)
    value, old = regs.value_at(written), regs.value_at(then)
    rows = regs.where(
        reads & fixed & (then >= 0) & (value != old),
        written=value,
        old=old,
        first=regs.row_at(written),
    )
    return rows.check(
        rows["value"] != rows["written"],
        "{place}: {access}, which is read-only, was {old:#x}, and is {value:#x} as was written",
        shown=("first", "row"),
    )
