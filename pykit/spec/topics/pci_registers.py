# SPDX-License-Identifier: GPL-2.0-only
"""Registers of PCI devices (4.1.3, 4.1.4.3).

The rules judge accesses that QEMU logged or the access tracer saw, and the values that were read
and written in them. What a device shows after a reset is judged once its status has read 0.
A device of which only reads or only writes were recorded is not judged.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from pykit import pci
from pykit.spec import bits
from pykit.spec.arrays import Bools, Ints
from pykit.spec.model import Result, rule
from pykit.spec.registers import (
    ADDRESSES,
    HALVES,
    LEGACY,
    MMIO,
    NONE,
    ONE_WAY,
    PCI,
    Registers,
    earlier,
    notifications,
    registers,
)
from pykit.spec.topics.register_widths import check_widths
from pykit.spec.view import View

SEEN = "registers:register|access:acc_register"
READ_ONLY = (
    "device_feature", "num_queues", "generation", "queue_notify_off", "notif_config_data",
)  # fmt: skip
#: Of a structure whose length is not known.
_ANY = 1 << 62
#: Windows of 32 features: those of block devices, and those of any device.
_DISK_WINDOWS, _WINDOWS = 2, 4
NOT_RESET = "the status was not read as 0 after the reset"


def _power_of_two(values: Ints) -> Bools:
    holds: Bools = (values > 0) & (values & (values - 1) == 0)
    return holds


@rule("PL-DR-01", needs=SEEN)
def bytes_by_bytes(view: View) -> Result:
    """Section 4.1.3.1: the driver accesses 8 bit fields of the device by bytes.

    Checked: each access to an 8 bit register of the common configuration or of the ISR, and to an
    8 bit field of a configuration space whose layout is known. Logged accesses are as QEMU hands
    them to the device: it may have cut one of 8 bytes in two, which the access tracer sees whole.
    """
    return check_widths(view, PCI, ("common", "isr"), 1)


@rule("PL-DR-02", needs=SEEN)
def halfwords_by_halfwords(view: View) -> Result:
    """Section 4.1.3.1: the driver accesses 16 bit fields by aligned accesses of 16 bits.

    Checked: each access to a 16 bit register of the common configuration, and to a 16 bit field
    of a configuration space whose layout is known.
    """
    return check_widths(view, PCI, ("common",), 2)


@rule("PL-DR-03", needs=SEEN)
def words_by_words(view: View) -> Result:
    """Section 4.1.3.1: the driver accesses 32 and 64 bit fields by aligned accesses of 32 bits.

    Checked: each access to a register of 32 or 64 bits of the common configuration, and to such a
    field of a configuration space whose layout is known.
    """
    return check_widths(view, PCI, ("common",), 4)


@rule("DX-34", needs=SEEN)
def inside_the_structures(view: View) -> Result:
    """Section 4.1.4: a driver's accesses stay inside the structures that the device has.

    Checked: each access to the page of the common configuration: it is to one of the structure's
    fields, and inside the length that its capability has, where the transports were surveyed. The
    other structures may be larger than what is known to be in them.
    """
    regs = registers(view)
    caps = view.of("survey_cap").filter(cfg_type=pci.COMMON_CFG).drop_nulls("length")
    lengths = dict(caps.group_by("dev").agg(pl.col("length").max()).iter_rows())
    devices, number = np.unique(regs.dev, return_inverse=True)
    shown = np.array([lengths.get(dev, _ANY) for dev in devices.tolist()], dtype=np.int64)
    length = shown[number]
    rows = regs.where(
        regs.of(PCI),
        named=~regs.on("reserved"),
        inside=regs.offset + regs.size <= length,
        length=length,
    )
    known = rows.where(rows["named"] & (rows["length"] != _ANY))
    return regs.check(
        rows, rows["named"], "{place}: access to {access}, which is no field"
    ) + regs.check(
        known,
        known["inside"],
        "{place}: access to {access}, of a structure of {length} bytes",
        none="no structure's length is known",
    )


@rule("PM-DE-03", needs=SEEN)
def offer_by_window(view: View) -> Result:
    """Section 4.1.4.3.1: device_feature shows the window that device_feature_select chose.

    Checked: each read of device_feature with a selection: as any earlier read of this window in
    the same span between two resets. Windows of features that no device type has, or a block device
    has not, read 0.
    """
    regs = registers(view)
    reads = regs.of(PCI) & regs.reads("device_feature")
    selected = earlier(regs.writes("device_feature_select"), regs.span)
    window = regs.value_at(selected)
    key = regs.span * (1 << 33) + window + 1
    before = earlier(reads, key)
    rows = regs.where(
        reads & (selected >= 0) & (before >= 0),
        window=window,
        before=regs.value_at(before),
        first=regs.row_at(before),
    )
    return regs.check(
        rows,
        rows["value"] == rows["before"],
        "{place}: window {window} of the offer was {before:#x}, and is {value:#x}",
        shown=("first", "row"),
        none="no window of the offer was read twice",
    ) + _windows_beyond(view, regs, window)


def _windows_beyond(view: View, regs: Registers, window: Ints) -> Result:
    """Check that windows of features that are not defined have none."""
    disks = {life.dev for life in view.lives.values() if life.id == bits.BLK_ID}
    least = np.where(np.isin(regs.dev, [*disks]), _DISK_WINDOWS, _WINDOWS)
    mask = regs.of(PCI) & regs.reads("device_feature") & (window >= least)
    rows = regs.where(mask, window=window)
    return rows.check(rows["value"] == 0, "{place}: window {window} of the offer is {value:#x}")


@rule("PM-DE-04", needs=SEEN)
def acceptance_reads_back(view: View) -> Result:
    """Section 4.1.4.3.1: driver_feature shows valid bits that the driver wrote to the window.

    Checked: each read of driver_feature after a write in the same span, by the bits that the
    driver has seen offered in this window.
    """
    regs = registers(view)
    return _read_back(
        regs,
        regs.reads("driver_feature"),
        "{place}: {written:#x} was written to driver_feature, {value:#x} is read",
    )


@rule("FB-DE-03", needs=SEEN)
def features_are_taken_or_refused(view: View) -> Result:
    """Section 2.2.2: a device that cannot go along with what was accepted leaves FEATURES_OK clear.

    Checked: each read of driver_feature (PCI) behind one of the status that shows FEATURES_OK: what
    the driver accepted of the offer is all there. What else a device may be unable to do with an
    accepted set does not show, nor does it on other transports.
    """
    regs = registers(view)
    status = earlier(regs.reads("status"), regs.span)
    agreed = (status >= 0) & (regs.value_at(status, 0) & bits.FEATURES_OK != 0)
    return _read_back(
        regs,
        regs.reads("driver_feature") & agreed,
        "{place}: FEATURES_OK is set, of {written:#x} that was accepted {value:#x} is there",
    )


def _read_back(regs: Registers, reads: Bools, text: str) -> Result:
    """Check that these reads of driver_feature have the valid bits written to its window."""
    chosen = regs.value_at(earlier(regs.writes("driver_feature_select"), regs.span))
    shown = regs.value_at(earlier(regs.writes("device_feature_select"), regs.span))
    window = np.where(
        regs.on("driver_feature"), chosen, np.where(regs.on("device_feature"), shown, -1)
    )
    key = regs.span * (1 << 33) + window + 1
    written = earlier(regs.writes("driver_feature"), key)
    offer = earlier(regs.reads("device_feature"), key)
    rows = regs.where(
        regs.of(PCI) & reads & (window >= 0) & (written >= 0) & (offer >= 0),
        written=regs.value_at(written),
        valid=regs.value_at(offer),
    )
    lost = rows["written"] & rows["valid"] & ~rows["value"]
    return regs.check(rows, lost == 0, text, none="driver_feature was not read")


@rule("PM-DE-08", needs=SEEN, also=("PM-DE-07",))
def status_reads_zero(view: View) -> Result:
    """Section 4.1.4.3.1: a write of 0 resets the device; device_status reads 0 when it is done.

    Checked: each reset after which the driver read the status: a 0 is read before the driver
    writes to the status again, and all reads after that are 0. A driver that goes on before the
    status has read 0 leaves it undecided.
    """
    regs = registers(view)
    resets = np.unique(regs.span[regs.of(PCI) & regs.begun])
    reads = regs.reads("status") & np.isin(regs.span, resets)
    # Whatever its width: what a driver writes beside the rules of widths may reach the status.
    written = earlier(regs.on("status") & regs.write, regs.span) >= 0
    zero = earlier(reads & (regs.value == 0), regs.span) >= 0
    mask = reads & ~written
    done = regs.where(mask & (zero | (regs.value == 0)))
    waiting = np.unique(regs.span[mask & ~zero & (regs.value != 0)])
    never = len(np.setdiff1d(waiting, done["span"]))
    return regs.check(
        done,
        done["value"] == 0,
        "{place}: the status reads {value:#x} after a reset that was complete",
        undecided=never,
        doubt=NOT_RESET,
    )


def after_reset(
    view: View,
    names: tuple[str, ...],
    default: int,
    text: str,
    structures: tuple[str, ...] = PCI,
) -> Result:
    """Check that registers read their default after a reset, until they are written."""
    regs = registers(view)
    key = regs.queue * len(names) + _which(regs, names)
    written = earlier(regs.on(*names) & regs.write, key) >= 0
    mask = regs.of(structures) & regs.reads(*names) & regs.begun & ~written
    rows = regs.where(mask & regs.settled)
    return regs.check(
        rows,
        rows["value"] == default,
        text,
        undecided=int(np.count_nonzero(mask & ~regs.settled)),
        doubt=NOT_RESET,
        none="none was read between a reset and its first write",
    )


def notified(view: View, regs: Registers) -> Bools:
    """Return by row whether the driver has notified the device in the same span before."""
    rung = notifications(view)
    found = np.zeros(len(regs), dtype=np.bool_)
    if not len(regs):
        return found
    first = np.append(True, regs.span[1:] != regs.span[:-1])
    begins = regs.row[np.maximum.accumulate(np.where(first, np.arange(len(regs)), 0))]
    for dev in np.unique(rung.dev).tolist():
        rows = np.sort(rung.row[rung.dev == dev])
        mine = regs.dev == dev
        before = np.searchsorted(rows, begins[mine]) < np.searchsorted(rows, regs.row[mine])
        found[mine] = before
    return found


def _which(regs: Registers, names: tuple[str, ...]) -> Ints:
    return sum(
        (regs.on(name) * number for number, name in enumerate(names)),
        np.zeros(len(regs), dtype=np.int64),
    )


@rule("PM-DE-09", needs=SEEN)
def queues_are_disabled(view: View) -> Result:
    """Section 4.1.4.3.1: queue_enable reads 0 after a reset.

    Checked: each read of queue_enable after the status has read 0, before the driver enables the
    queue.
    """
    return after_reset(view, ("queue_enable",), 0, "{place}: enabled ({value}) after a reset")


@rule("DX-26", needs=SEEN)
def defaults_after_reset(view: View) -> Result:
    """Sections 4.1.4.3, 4.1.4.5, 4.1.4.10 and 4.2.2: after a reset addresses of queues and feature
    selections are 0, no features are accepted, the ISR status is 0, and the size of a queue is the
    largest that the device allows.

    Checked: each read of a queue's address, of its page by the legacy interface, of
    driver_feature, device_feature_select and driver_feature_select after the status has read 0,
    before the register is written. PQ-DE-07 judges the vectors. Each first read of the ISR status
    of PCI since then, before DRIVER_OK and before the driver notifies the device (MR-DE-05 has that
    of MMIO). Each such read of queue_size, and each of QueueSizeMax, where the same register was
    read before: as it was, unless RING_PACKED is known to have been accepted one time alone.
    """
    text = "{place}: {access} is {value:#x} after a reset"
    names = (*ADDRESSES, *HALVES, "device_feature_select", "driver_feature_select")
    found = after_reset(view, names, 0, text)
    found += after_reset(view, ("queue_pfn",), 0, text, LEGACY)
    found += _acceptance_after_reset(view)
    return found + _isr_after_reset(view) + _sizes_after_reset(view)


def _acceptance_after_reset(view: View) -> Result:
    """Check that a reset takes the features back that the driver had accepted."""
    regs = registers(view)
    written = earlier(regs.on("driver_feature") & regs.write, regs.span) >= 0
    window = regs.value_at(earlier(regs.writes("driver_feature_select"), regs.span))
    key = regs.dev * (1 << 33) + window + 1
    before = regs.value_at(earlier(regs.writes("driver_feature"), key))
    mask = regs.of(PCI) & regs.reads("driver_feature") & regs.settled & ~written
    rows = regs.where(mask & (window >= 0), same=before == regs.value)

    def message(i: int) -> str:
        as_before = ", as was accepted before it" if rows["same"][i] else ""
        return f"{{place}}: {{access}} is {{value:#x}} after a reset{as_before}"

    return rows.check(rows["value"] == 0, message)


def _isr_after_reset(view: View) -> Result:
    """Check that a reset clears the ISR status."""
    regs = registers(view)
    live = earlier(regs.writes("status") & (regs.value & bits.DRIVER_OK != 0), regs.span) >= 0
    first = earlier(regs.on("isr") & ~regs.write, regs.span) < 0
    mask = regs.of(("isr", "legacy")) & regs.reads("isr") & regs.settled & first
    rows = regs.where(mask & ~live & ~notified(view, regs))
    return rows.check(rows["value"] == 0, "{place}: the ISR status is {value:#x} after a reset")


def _sizes_after_reset(view: View) -> Result:
    """Check that queues have the size that they had at first."""
    regs = registers(view)
    own = regs.of(PCI) & regs.reads("queue_size")
    own &= earlier(regs.on("queue_size") & regs.write, regs.queue) < 0
    own |= regs.of((*MMIO, "mmio-legacy")) & regs.reads("queue_size_max")
    before = earlier(own, regs.queue_of_device)
    packed = regs.accepted(bits.RING_PACKED)
    then = packed[before] if len(regs) else packed
    alike = (packed < 0) | (then < 0) | (packed == then)
    rows = regs.where(
        own & regs.settled & (before >= 0) & alike & (regs.vq >= 0),
        before=regs.value_at(before),
        first=regs.row_at(before),
    )
    return rows.check(
        rows["value"] == rows["before"],
        "{place}: {access} was {before} before, and is {value}",
        shown=("first", "row"),
    )


@rule("PM-DE-15", needs=SEEN)
def absent_queues_have_no_size(view: View) -> Result:
    """Section 4.1.4.3.1: queue_size reads 0 for a queue that the device does not have.

    Checked: each read of queue_size with a queue selected that num_queues, as last read, excludes.
    Devices with administration queues, which num_queues does not count, are left out.
    """
    regs = registers(view)
    count = earlier(regs.reads("num_queues"), regs.dev)
    beyond = (count >= 0) & (regs.vq >= regs.value_at(count))
    plain = regs.accepted(bits.ADMIN_VQ) == 0
    rows = regs.where(regs.of(PCI) & regs.reads("queue_size") & beyond & plain)
    return regs.check(
        rows,
        rows["value"] == 0,
        "{place}: a queue that does not exist has the size {value}",
        none="no size of a queue that does not exist was read",
    )


@rule("PM-DE-16", needs=SEEN)
def sizes_are_powers_of_two(view: View) -> Result:
    """Section 4.1.4.3.1: without RING_PACKED queue_size reads 0 or a power of 2.

    Checked: each read of queue_size after features were agreed on without RING_PACKED.
    """
    regs = registers(view)
    rows = regs.where(
        regs.of(PCI) & regs.reads("queue_size") & (regs.accepted(bits.RING_PACKED) == 0)
    )
    holds = (rows["value"] == 0) | _power_of_two(rows["value"])
    return regs.check(rows, holds, "{place}: the size is {value}, no power of 2")


@rule("PM-DR-01", needs=SEEN)
def read_only_registers(view: View) -> Result:
    """Section 4.1.4.3.2: the driver does not write to read-only registers.

    Checked: each access to device_feature, num_queues, config_generation, queue_notify_off and
    queue_notif_config_data: it is a read.
    """
    regs = registers(view)
    rows = regs.where(regs.of(PCI) & regs.on(*READ_ONLY))
    return regs.check(rows, ~rows["write"], "{place}: write to {access}, which is read-only")


@rule("PM-DR-02", needs=SEEN)
def packed_size_is_not_zero(view: View) -> Result:
    """Section 4.1.4.3.2: with RING_PACKED the driver does not write 0 to queue_size.

    Checked: each write to queue_size after RING_PACKED was agreed on.
    """
    regs = registers(view)
    rows = regs.where(
        regs.of(PCI) & regs.writes("queue_size") & (regs.accepted(bits.RING_PACKED) == 1)
    )
    return regs.check(
        rows, rows["value"] != 0, "{place}: size 0", none="no size of a packed ring was written"
    )


@rule("PM-DR-03", needs=SEEN)
def split_size_is_power_of_two(view: View) -> Result:
    """Section 4.1.4.3.2: without RING_PACKED the driver writes only powers of 2 to queue_size.

    Checked: each write to queue_size after features were agreed on without RING_PACKED.

    Contested: the device itself had shown that size, which PM-DE-16 has.
    """
    regs = registers(view)
    shown = regs.value_at(earlier(regs.reads("queue_size"), regs.queue))
    written = regs.of(PCI) & regs.writes("queue_size") & (regs.accepted(bits.RING_PACKED) == 0)
    rows = regs.where(written, shown=shown)
    return rows.check(
        _power_of_two(rows["value"]),
        "{place}: size {value} is no power of 2",
        none="no size of a split ring was written",
        undecided=regs.partial,
        doubt=ONE_WAY,
        unless=rows["value"] == rows["shown"],
    )


@rule("PM-DR-06", needs=SEEN)
def queues_are_not_disabled(view: View) -> Result:
    """Section 4.1.4.3.2: the driver does not write 0 to queue_enable.

    Checked: each write to queue_enable.
    """
    regs = registers(view)
    rows = regs.where(regs.of(PCI) & regs.writes("queue_enable"))
    return regs.check(rows, rows["value"] != 0, "{place}: 0 written to queue_enable")


@rule("PM-DE-17", needs=SEEN)
def admin_queues_behind_the_others(view: View) -> Result:
    """Section 4.1.4.3.1: with ADMIN_VQ, admin_queue_index is at least num_queues.

    Checked: each read of admin_queue_index after ADMIN_VQ was agreed on, by num_queues as last
    read.
    """
    regs = registers(view)
    count = earlier(regs.reads("num_queues"), regs.dev)
    has = regs.accepted(bits.ADMIN_VQ) == 1
    rows = regs.where(
        regs.of(PCI) & regs.reads("admin_queue_index") & has & (count >= 0),
        count=regs.value_at(count),
    )
    return regs.check(
        rows,
        rows["value"] >= rows["count"],
        "{place}: administration queues begin at {value}, inside the {count} others",
        none=NONE,
    )


@rule("PM-DE-18", needs=SEEN)
def admin_queues_fit(view: View) -> Result:
    """Section 4.1.4.3.1: with ADMIN_VQ, the indices of administration queues have 16 bits.

    Checked: each read of admin_queue_num after ADMIN_VQ was agreed on, by admin_queue_index as
    last read.
    """
    regs = registers(view)
    index = earlier(regs.reads("admin_queue_index"), regs.dev)
    has = regs.accepted(bits.ADMIN_VQ) == 1
    rows = regs.where(
        regs.of(PCI) & regs.reads("admin_queue_num") & has & (index >= 0),
        index=regs.value_at(index),
    )
    return regs.check(
        rows,
        rows["value"] + rows["index"] <= 0x10000,
        "{place}: {value} administration queues from {index} on",
        none=NONE,
    )


@rule("PM-DR-10", needs=SEEN)
def admin_queues_in_their_window(view: View) -> Result:
    """Section 4.1.4.3.2: administration queues are configured inside the device's window.

    Checked: each enabling of a queue behind num_queues after ADMIN_VQ was agreed on: its index is
    among those that admin_queue_index and admin_queue_num, as last read, give.
    """
    regs = registers(view)
    count, index, number = (
        earlier(regs.reads(name), regs.dev)
        for name in ("num_queues", "admin_queue_index", "admin_queue_num")
    )
    known = (count >= 0) & (index >= 0) & (number >= 0)
    has = regs.accepted(bits.ADMIN_VQ) == 1
    at = regs.of(PCI) & regs.writes("queue_enable") & (regs.value == 1) & has & known
    first = regs.value_at(index)
    rows = regs.where(
        at & (regs.vq >= regs.value_at(count)),
        inside=(regs.vq >= first) & (regs.vq < first + regs.value_at(number)),
    )
    return regs.check(
        rows, rows["inside"], "{place}: no administration queue of the device", none=NONE
    )
