# SPDX-License-Identifier: GPL-2.0-only
"""What a device keeps of what its driver wrote to its registers (sections 2.1, 4.1.4.3).

The value that was written is the driver's, the one that is read the device's: both as QEMU logged
them, or as the access tracer saw them.
"""

from __future__ import annotations

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import Bools, Ints
from pykit.spec.model import Result, rule
from pykit.spec.registers import (
    ADDRESSES,
    HALVES,
    LEGACY,
    MMIO,
    PCI,
    Registers,
    earlier,
    registers,
)
from pykit.spec.topics.pci_registers import SEEN
from pykit.spec.view import View

_SIZE, _ENABLE = "queue_size", "queue_enable"
#: Registers of a queue that are read back: on PCI all of them, on MMIO QueueReady alone.
_QUEUES = (_SIZE, _ENABLE, *ADDRESSES, *HALVES)
#: Bits that a driver sets and no device takes back.
_STEPS = bits.ACKNOWLEDGE | bits.DRIVER
_SUSPENDED = 16
_BITS = 8


def _exists(regs: Registers) -> Bools:
    """By row: its queue is one of the device's, by num_queues or QueueSizeMax as last read."""
    count = regs.value_at(earlier(regs.reads("num_queues"), regs.dev))
    most = regs.value_at(earlier(regs.reads("queue_size_max"), regs.queue))
    found: Bools = (regs.vq >= 0) & ((regs.vq < count) | (most > 0))
    return found


def _possible(regs: Registers, values: Ints) -> Bools:
    """By row: a size that the device can take, by what it showed before the driver wrote one."""
    own = regs.reads(_SIZE) & (earlier(regs.on(_SIZE) & regs.write, regs.queue) < 0)
    most = regs.value_at(earlier(own, regs.queue))
    power = (values > 0) & (values & (values - 1) == 0)
    found: Bools = power & (values <= most)
    return found


@rule("DX-81", needs=SEEN)
def queues_read_as_written(view: View) -> Result:
    """Sections 4.1.4.3 and 4.2.2: what the driver writes to a queue's registers it reads back.

    Checked: each read of queue_size, queue_enable and the addresses on PCI, and of QueueReady on
    MMIO, of a queue that the device has, after a write of the whole register since the last reset
    of device and queue: the value that was written. Sizes are powers of two, no larger than what
    the device showed, as it may refuse others; and queues are enabled: PCI has no way back.
    """
    regs = registers(view)
    which = sum(
        (regs.on(name) * number for number, name in enumerate(_QUEUES)),
        np.zeros(len(regs), dtype=np.int64),
    )
    key = regs.queue * len(_QUEUES) + which
    names = regs.on(*_QUEUES)
    written = earlier(regs.writes(*_QUEUES), key)
    part = earlier(names & regs.write & ~regs.known, key)
    again = earlier(regs.on("queue_reset") & regs.write, regs.queue)
    value = regs.value_at(written)
    judged = regs.of(PCI) | (regs.of(MMIO) & regs.on(_ENABLE))
    judged &= regs.reads(*_QUEUES) & (written >= 0) & (written > part)
    judged &= (written > again) & _exists(regs)
    judged &= ~regs.on(_SIZE) | _possible(regs, value)
    judged &= ~regs.on(_ENABLE) | (value == 1)
    rows = regs.where(judged, written=value, first=regs.row_at(written))
    return regs.check(
        rows,
        rows["value"] == rows["written"],
        "{place}: {written:#x} was written to {access}, {value:#x} is read",
        shown=("first", "row"),
        none="no register of a queue was read behind a write",
    )


@rule("DX-87", needs=SEEN)
def numbers_stay(view: View) -> Result:
    """Section 4.1.4.3: num_queues and queue_notify_off say how the device is made.

    Checked: each read of them but the first between two resets, of a queue's that the device has:
    as before.
    """
    regs = registers(view)
    total, place = regs.reads("num_queues"), regs.reads("queue_notify_off") & _exists(regs)
    before = np.where(
        total, earlier(total, regs.span), np.where(place, earlier(place, regs.queue), -1)
    )
    rows = regs.where(
        regs.of(PCI) & (before >= 0),
        before=regs.value_at(before),
        first=regs.row_at(before),
    )
    return regs.check(
        rows,
        rows["value"] == rows["before"],
        "{place}: {access} was {before}, and is {value}",
        shown=("first", "row"),
        none="neither was read twice between two resets",
    )


@rule("DX-82", needs=SEEN)
def status_is_the_drivers(view: View) -> Result:
    """Section 2.1: the driver sets the bits of the status, but for DEVICE_NEEDS_RESET; a reset
    clears them.

    Checked: each read of the status behind a write of another value than 0 since the last reset. It
    has no bit that was not written since then, but DEVICE_NEEDS_RESET, and with SUSPEND that one;
    it has ACKNOWLEDGE and DRIVER where the last write had. A device may refuse FEATURES_OK, and
    QEMU clears DRIVER_OK where the function's bus mastering is switched off.

    A status of 0xff is that of a device that is gone.
    """
    regs = registers(view)
    written = regs.writes("status") & (regs.value != 0)
    last = regs.value_at(earlier(written, regs.span), 0)
    ever = np.zeros(len(regs), dtype=np.int64)
    for bit in range(_BITS):
        ever |= (earlier(written & (regs.value >> bit & 1 == 1), regs.span) >= 0) * (1 << bit)
    may = ever | bits.NEEDS_RESET
    may |= np.where(regs.accepted(bits.SUSPEND) == 1, _SUSPENDED, 0)
    judged = regs.of((*PCI, *MMIO, *LEGACY)) & regs.reads("status") & (ever != 0) & regs.begun
    rows = regs.where(
        judged & (regs.value != bits.NO_DEVICE),
        extra=regs.value & ~may,
        lost=last & ~regs.value & _STEPS,
    )

    def message(i: int) -> str:
        if rows["extra"][i]:
            return "{place}: the status reads {value:#x}, with {extra:#x} that was not written"
        return "{place}: the status reads {value:#x}, without {lost:#x} that was written"

    return regs.check(
        rows,
        (rows["extra"] == 0) & (rows["lost"] == 0),
        message,
        none="no status was read behind a write",
    )
