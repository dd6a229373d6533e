# SPDX-License-Identifier: GPL-2.0-only
"""What a device keeps of what its driver wrote to its registers (2.1, 4.1.4.3, 4.2.2, 4.2.4).

The value that was written is the driver's, the one that is read the device's: both as QEMU logged
them, or as the access tracer saw them.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from pykit import pci
from pykit.spec import bits
from pykit.spec.arrays import Bools, Ints, ints
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

_SIZE, _ENABLE, _PAGE = "queue_size", "queue_enable", "queue_pfn"
_SELECT, _WINDOWS = "queue_select", ("device_feature_select", "driver_feature_select")
#: Registers that are read back: on PCI all of them, on MMIO QueueReady alone, and the page of a
#: legacy queue.
_KEPT = (_SIZE, _ENABLE, *ADDRESSES, *HALVES, _SELECT, *_WINDOWS, _PAGE)
#: Windows of features that each device has.
_LEAST_WINDOWS = 2
#: Numbers of a queue that say how the device is made.
_OF_QUEUE = ("queue_notify_off", "notif_config_data")
#: Bits that a driver sets and no device takes back.
_STEPS = bits.ACKNOWLEDGE | bits.DRIVER
_SUSPENDED = 16
_BITS = 8


def _exists(regs: Registers) -> Bools:
    """By row: its queue is one of the device's, by num_queues or the largest size as last read."""
    count = regs.value_at(earlier(regs.reads("num_queues"), regs.dev))
    sizes = regs.reads("queue_size_max") | (regs.of(LEGACY) & regs.reads(_SIZE))
    most = regs.value_at(earlier(sizes, regs.queue))
    found: Bools = (regs.vq >= 0) & ((regs.vq < count) | (most > 0))
    return found


def _possible(regs: Registers, values: Ints) -> Bools:
    """By row: a size that the device can take, by what it showed before the driver wrote one.

    A driver may have kept that from another life.
    """
    own = regs.reads(_SIZE) & (earlier(regs.on(_SIZE) & regs.write, regs.queue) < 0)
    most = regs.value_at(earlier(own, regs.queue_of_device))
    power = (values > 0) & (values & (values - 1) == 0)
    found: Bools = power & (values <= most)
    return found


def _legal(regs: Registers, value: Ints) -> Bools:
    """By row: a value that the device has to take into the register.

    Sizes are powers of two, no larger than what the device showed, as it may refuse others; queues
    are enabled: PCI has no way back; a queue that is selected is there, and so is a window. A page
    of 0 resets a legacy device.
    """
    count = regs.value_at(earlier(regs.reads("num_queues"), regs.dev))
    selects, windows = regs.on(_SELECT), regs.on(*_WINDOWS)
    gone = earlier(regs.writes(_PAGE) & (regs.value == 0), regs.span) >= 0
    found = selects | windows | _exists(regs)
    found &= ~regs.on(_SIZE) | _possible(regs, value)
    found &= ~regs.on(_ENABLE) | (value == 1)
    found &= ~selects | (value < count)
    found &= ~windows | (value < _LEAST_WINDOWS)
    return found & ~(regs.on(_PAGE) & gone)


@rule("DX-81", needs=SEEN)
def registers_read_as_written(view: View) -> Result:
    """Sections 4.1.4.3, 4.2.2 and 4.2.4: what the driver writes to registers it reads back.

    Checked: each read after a write of the whole register since the last reset of device and queue:
    the value that was written. On PCI that are queue_select, the windows of features, and
    queue_size, queue_enable and addresses of a queue that the device has; on MMIO QueueReady; by
    the legacy interface the page of a queue. Values are those that a device may not refuse: queues
    and windows that are there, sizes that are powers of two up to what it showed.
    """
    regs = registers(view)
    which = sum(
        (regs.on(name) * number for number, name in enumerate(_KEPT)),
        np.zeros(len(regs), dtype=np.int64),
    )
    key = regs.queue * len(_KEPT) + which
    names = regs.on(*_KEPT)
    written = earlier(regs.writes(*_KEPT), key)
    part = earlier(names & regs.write & ~regs.known, key)
    again = earlier(regs.on("queue_reset") & regs.write, regs.queue)
    value = regs.value_at(written)
    judged = regs.of(PCI) | (regs.of(MMIO) & regs.on(_ENABLE)) | (regs.of(LEGACY) & regs.on(_PAGE))
    judged &= regs.reads(*_KEPT) & (written >= 0) & (written > part)
    judged &= (written > again) & _legal(regs, value)
    rows = regs.where(judged, written=value, first=regs.row_at(written))
    return regs.check(
        rows,
        rows["value"] == rows["written"],
        "{place}: {written:#x} was written to {access}, {value:#x} is read",
        shown=("first", "row"),
        none="no such register was read behind a write",
    )


@rule("DX-87", needs=SEEN)
def numbers_stay(view: View) -> Result:
    """Sections 4.1.4.3 and 4.2.2: num_queues, queue_notify_off, queue_notif_config_data and, on
    MMIO, DeviceFeatures say how the device is made.

    Checked: each read of them but the first between two resets, of a queue that the device has or
    of one window of features: as before. PM-DE-03 judges the offer of PCI.
    """
    regs = registers(view)
    before = np.where(regs.reads("num_queues"), earlier(regs.reads("num_queues"), regs.span), -1)
    for name in _OF_QUEUE:
        place = regs.reads(name) & _exists(regs)
        before = np.where(place, earlier(place, regs.queue), before)
    offer = regs.of((*MMIO, "mmio-legacy")) & regs.reads("device_feature")
    selected = earlier(regs.writes("device_feature_select"), regs.span)
    window = regs.span * (1 << 33) + regs.value_at(selected) + 1
    before = np.where(offer & (selected >= 0), earlier(offer, window), before)
    rows = regs.where(
        before >= 0,
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


def _taken(regs: Registers, last: Ints, accepted: Bools) -> Ints:
    """By row: bits of the last write that a device may not take back, or refuse.

    ``accepted``: features were agreed on, which is when a device takes DRIVER_OK and FAILED beside
    FEATURES_OK. DRIVER_OK goes when a device is suspended, and QEMU clears it where the function's
    bus mastering is switched off: on PCI it is not judged unless the function was left alone.
    """
    agreed = last & bits.FEATURES_OK != 0
    found = np.full(len(regs), _STEPS)
    found |= np.where(agreed & accepted, bits.FEATURES_OK, 0)
    found |= np.where(~agreed | accepted, bits.FAILED, 0)
    steady = regs.of(LEGACY) | (accepted & agreed & (regs.accepted(bits.SUSPEND) == 0))
    found |= np.where(steady, bits.DRIVER_OK, 0)
    must: Ints = last & found
    return must


def _commanded(view: View, regs: Registers, written: Ints) -> Bools:
    """By row: PCI's command register was written since an access, or may have been unseen."""
    commands = view.of("dev_pci_config").filter(
        (pl.col("write") == 1) & (pl.col("offset") == pci.COMMAND)
    )
    seen = np.sort(ints(commands, "row"))
    then = regs.row_at(written)
    between = np.searchsorted(seen, then) != np.searchsorted(seen, regs.row)
    unseen = not view.of("dev_pci_config").height
    found: Bools = regs.devices((*PCI, "legacy")) & (between | unseen)
    return found


@rule("DX-82", needs=SEEN)
def status_is_the_drivers(view: View) -> Result:
    """Section 2.1: the driver sets the bits of the status, but for DEVICE_NEEDS_RESET; a reset
    clears them.

    Checked: each read of the status behind a write of another value than 0 since the last reset. It
    has no bit that was not written since then, but DEVICE_NEEDS_RESET, and with SUSPEND that one;
    it has ACKNOWLEDGE, DRIVER and FAILED where the last write had, FEATURES_OK where it was shown
    since, and from then on DRIVER_OK. A device may refuse FEATURES_OK at first, it clears DRIVER_OK
    when it is suspended, and QEMU does where the function's bus mastering is switched off: on PCI
    that bit is judged where accesses to PCI's configuration are known, and the command register was
    left alone.

    A status of 0xff is that of a device that is gone.
    """
    regs = registers(view)
    written = regs.writes("status") & (regs.value != 0)
    at = earlier(written, regs.span)
    last = regs.value_at(at, 0)
    ever = np.zeros(len(regs), dtype=np.int64)
    for bit in range(_BITS):
        ever |= (earlier(written & (regs.value >> bit & 1 == 1), regs.span) >= 0) * (1 << bit)
    may = ever | bits.NEEDS_RESET
    may |= np.where(regs.accepted(bits.SUSPEND) == 1, _SUSPENDED, 0)
    shown = regs.reads("status") & (regs.value & bits.FEATURES_OK != 0)
    must = _taken(regs, last, earlier(shown, regs.span) >= 0)
    must &= ~np.where(_commanded(view, regs, at), bits.DRIVER_OK, 0)
    judged = regs.of((*PCI, *MMIO, *LEGACY)) & regs.reads("status") & (ever != 0) & regs.begun
    rows = regs.where(
        judged & (regs.value != bits.NO_DEVICE),
        extra=regs.value & ~may,
        lost=must & ~regs.value,
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
