# SPDX-License-Identifier: GPL-2.0-only
"""Registers of MMIO devices (4.2.2, 4.2.3.1).

The rules judge accesses that QEMU logged or the access tracer saw. mmio.py has those on interrupts.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import Bools, Ints
from pykit.spec.model import Result, rule
from pykit.spec.registers import (
    MMIO,
    Registers,
    all_registers,
    earlier,
    later,
    notifications,
    registers,
)
from pykit.spec.rows import Rows, Tally
from pykit.spec.topics.pci_registers import NOT_RESET, SEEN, notified
from pykit.spec.topics.register_widths import check_widths
from pykit.spec.view import View
from pykit.trace.register_map import REGISTERS

ALL = ("mmio", "mmio-legacy")
MAGIC = 0x74726976
SHM = ("shm_select", "shm_len_low", "shm_len_high", "shm_base_low", "shm_base_high")
#: Device types with shared memory regions.
SHARING = ("-fs", "-gpu", "-pmem", "-media")
#: The length of a region that is not there, by halves.
NO_LENGTH = 0xFFFFFFFF
UNREAD = "the register was not read"
DEFINED = 3
#: The one for a changed configuration.
_CHANGED = 2
#: More bytes than any configuration has.
_ROOM = 1 << 16


@rule("MR-DE-01", needs=SEEN)
def magic_is_magic(view: View) -> Result:
    """Section 4.2.2.1: MagicValue reads 0x74726976.

    Checked: each read of MagicValue.
    """
    # A device that its driver ignores for it is read from and not written to.
    regs = all_registers(view)
    rows = regs.where(regs.of(ALL) & regs.reads("magic"))
    return regs.check(
        rows, rows["value"] == MAGIC, "{place}: MagicValue is {value:#x}", none=UNREAD
    )


@rule("MR-DE-02", needs=SEEN)
def version_is_two(view: View) -> Result:
    """Section 4.2.2.1: Version reads 2.

    Checked: each read of Version. A device that reads 1 throughout is one of the legacy
    interface, to which the clause does not apply.
    """
    regs = all_registers(view)
    rows = regs.where(regs.of(MMIO) & regs.reads("version"))
    return regs.check(rows, rows["value"] == 2, "{place}: Version is {value}", none=UNREAD)


@rule("MR-DE-03", needs=SEEN)
def interrupts_stay_until_acknowledged(view: View) -> Result:
    """Section 4.2.2.1: a bit of InterruptStatus stays set until the driver acknowledges it.

    Checked: each read of InterruptStatus after another one in the same span: bits that were set
    are set, but for those that were written to InterruptACK between the two. That a bit is set
    when its event takes place is not judged.
    """
    regs = registers(view)
    reads = regs.of(ALL) & regs.reads("isr")
    before = earlier(reads, regs.span)
    acks = regs.on("interrupt_ack") & regs.write
    ack = earlier(acks, regs.span)
    acked = np.where(ack > before, regs.value_at(ack, 0), 0)
    # Several acknowledgements between two reads: any bit may have been among them.
    several = (ack > before) & (earlier(acks, regs.span)[ack] > before) if len(regs) else reads
    rows = regs.where(
        reads & (before >= 0) & ~several, before=regs.value_at(before, 0), acked=acked
    )
    gone = rows["before"] & ~rows["acked"] & ~rows["value"]
    return regs.check(
        rows,
        gone == 0,
        "{place}: InterruptStatus was {before:#x}, {acked:#x} was acknowledged, it is {value:#x}",
        none="InterruptStatus was not read twice",
    )


@rule("MR-DE-04", needs=SEEN)
def interrupts_are_events(view: View) -> Result:
    """Section 4.2.2.1: bits of InterruptStatus that stand for no event are 0.

    Checked: each read of InterruptStatus: it has no bit but those for used buffers and for a
    changed configuration. Of those with the latter also each second one in a row with the bit
    acknowledged in between, where ConfigGeneration was read before both and after both: it changed,
    as the device has had two events. A device that has changed may announce that a little later, so
    that one alone is none too many. Left out are lives in which any field of the configuration
    changed, or in which the device showed that it needs a reset, or the status was not read
    afterwards. Whether the bit for used buffers had an event is not judged.
    """
    regs = registers(view)
    rows = regs.where(regs.of(ALL) & regs.reads("isr"))
    return regs.check(
        rows, rows["value"] & ~DEFINED == 0, "{place}: InterruptStatus is {value:#x}", none=UNREAD
    ) + _changes_of_nothing(regs)


def _changes_of_nothing(regs: Registers) -> Result:
    """Check that the generation changed where a changed configuration is shown."""
    shown = regs.of(MMIO) & regs.reads("isr") & (regs.value & _CHANGED != 0)
    without = regs.of(MMIO) & regs.reads("isr") & (regs.value & _CHANGED == 0)
    without |= regs.of(MMIO) & regs.writes("interrupt_ack") & (regs.value & _CHANGED != 0)
    since, generations = earlier(without, regs.span), regs.reads("generation")
    one = earlier(shown, regs.span)
    before = earlier(generations, regs.span)
    before = np.where((one >= 0) & (since > one), before[one], -1) if len(regs) else before
    after = later(generations, regs.span)
    broken = regs.reads("status") & (regs.value & bits.NEEDS_RESET != 0)
    out = np.isin(regs.span, regs.span[broken]) | np.isin(regs.span, _changed_spans(regs))
    known = (before >= 0) & (after >= 0) & (later(regs.reads("status"), regs.span) >= 0)
    rows = regs.where(
        shown & known & ~out,
        before=regs.value_at(before),
        after=regs.value_at(after),
        first=regs.row_at(before),
        last=regs.row_at(after),
    )
    return rows.check(
        rows["before"] != rows["after"],
        "{place}: InterruptStatus shows a changed configuration, and ConfigGeneration is {after},"
        " as it was before",
        shown=("first", "row", "last"),
    )


def _changed_spans(regs: Registers) -> Ints:
    """Spans in which reads of the same bytes of the configuration differ."""
    reads = regs.reads("config")
    key = (regs.span * _ROOM + regs.offset % _ROOM) * 16 + np.minimum(regs.size, 15)
    before = earlier(reads, key)
    found: Ints = regs.span[reads & (before >= 0) & (regs.value_at(before) != regs.value)]
    return found


def _cleared(view: View, name: str, text: str) -> Result:
    """Check that a register reads 0 after a reset, before the driver is ready or writes it."""
    regs = registers(view)
    used = earlier(regs.on(name) & regs.write, regs.queue) >= 0
    if name == "isr":
        used = earlier(regs.writes("status") & (regs.value & 4 != 0), regs.span) >= 0
        used |= notified(view, regs)
    mask = regs.of(MMIO) & regs.reads(name) & regs.begun & ~used
    rows = regs.where(mask & regs.settled)
    return regs.check(
        rows,
        rows["value"] == 0,
        text,
        undecided=int(np.count_nonzero(mask & ~regs.settled)),
        doubt=NOT_RESET,
        none=UNREAD,
    )


@rule("MR-DE-05", needs=SEEN)
def reset_clears_interrupts(view: View) -> Result:
    """Section 4.2.2.1: a reset clears InterruptStatus.

    Checked: each read of InterruptStatus after the status has read 0, before DRIVER_OK and before
    the driver notifies the device: one that serves too early interrupts too early.
    """
    return _cleared(view, "isr", "{place}: InterruptStatus is {value:#x} after a reset")


@rule("MR-DE-06", needs=SEEN)
def reset_clears_ready(view: View) -> Result:
    """Section 4.2.2.1: a reset clears QueueReady of all queues.

    Checked: each read of QueueReady after the status has read 0, before the driver writes it for
    the queue.
    """
    return _cleared(view, "queue_enable", "{place}: QueueReady is {value} after a reset")


@rule("MR-DE-08", needs=("registers:register", "qemu:dev_pop"))
def only_ready_queues_are_used(view: View) -> Result:
    """Section 4.2.2.1: the device does not access a queue whose QueueReady is 0.

    Checked: each chain that QEMU takes from a queue of an MMIO device of version 2 whose reset
    and register writes are in the log: QueueReady was 1 for that queue.
    """
    regs = registers(view)
    pops = view.columns("dev_pop")
    enables = regs.of(MMIO) & regs.writes("queue_enable") & (regs.vq >= 0)
    resets = regs.of(MMIO) & regs.writes("status") & (regs.value == 0)
    mine = np.isin(pops["dev"], np.unique(regs.dev[resets]))
    ready = np.zeros(len(pops), dtype=np.bool_)
    judged = np.zeros(len(pops), dtype=np.bool_)
    for dev, vq in np.unique(np.stack([pops["dev"], pops["vq"]])[:, mine], axis=1).T.tolist():
        here = np.flatnonzero((pops["dev"] == dev) & (pops["vq"] == vq))
        changes = np.flatnonzero((regs.dev == dev) & (resets | (enables & (regs.vq == vq))))
        at = np.searchsorted(regs.row[changes], pops["row"][here]) - 1
        judged[here] = at >= 0
        last = changes[np.maximum(at, 0)]
        ready[here] = enables[last] & (regs.value[last] == 1)
    chosen = pops.take(judged)
    rows = Rows(chosen.__getitem__, len(chosen), {}).plus(ready=ready[judged])
    return rows.check(
        rows["ready"],
        "device {dev}, queue {vq}: a chain is taken from a queue that is not ready",
        none="no chain was taken from a queue of an MMIO device",
    )


@rule("MR-DR-01", needs=SEEN)
def only_registers_are_accessed(view: View) -> Result:
    """Section 4.2.2.2: the driver accesses no offset that holds no register.

    Checked: each access below the configuration space: a register of the device's version is
    there. How far the configuration reaches depends on the device's type and is not judged.
    """
    regs = registers(view)
    rows = regs.where(regs.of(ALL), named=~regs.on("reserved"))
    return regs.check(rows, rows["named"], "{place}: access to {access}, where no register is")


def _directions(regs: Registers, access: str) -> Bools:
    """Return accesses to registers of one direction."""
    mask = np.zeros(len(regs), dtype=np.bool_)
    for structure in ALL:
        names = [r.name for r in REGISTERS[structure].values() if r.access == access]
        mask |= regs.of((structure,)) & regs.on(*names)
    return mask


def _of_all(
    view: View,
    chosen: Callable[[Registers], Rows],
    holds: Callable[[Rows], Bools],
    text: str,
) -> Result:
    """Check accesses to registers, and to the one that notifies, of which there are many."""
    results = []
    for regs in (registers(view), notifications(view)):
        rows = chosen(regs)
        results.append(regs.check(rows, holds(rows), text))
    return results[0] + results[1]


@rule("MR-DR-02", needs=SEEN)
def read_only_registers_are_read(view: View) -> Result:
    """Section 4.2.2.2: the driver does not write to read-only registers.

    Checked: each access to a read-only register.
    """
    regs = registers(view)
    rows = regs.where(_directions(regs, "r"))
    return regs.check(rows, ~rows["write"], "{place}: write to {access}, which is read-only")


@rule("MR-DR-03", needs=SEEN)
def write_only_registers_are_written(view: View) -> Result:
    """Section 4.2.2.2: the driver does not read write-only registers.

    Checked: each access to a write-only register, QueueNotify among them.
    """
    return _of_all(
        view,
        lambda regs: regs.where(_directions(regs, "w")),
        lambda rows: rows["write"],
        "{place}: read of {access}, which is write-only",
    )


@rule("MR-DR-04", needs=SEEN)
def control_registers_by_words(view: View) -> Result:
    """Section 4.2.2.2: the driver accesses control registers by aligned accesses of 32 bits.

    Checked: each access below the configuration space.
    """
    return _of_all(
        view,
        lambda regs: regs.where(regs.of(ALL)),
        lambda rows: (rows["size"] == 4) & (rows["offset"] % 4 == 0),
        "{place}: access of {size:byte} at {offset:#x}",
    )


@rule("MR-DR-05", needs=SEEN)
def config_bytes_by_bytes(view: View) -> Result:
    """Section 4.2.2.2: the driver accesses 8 bit fields of the configuration by bytes.

    Checked: each access to such a field of a configuration space whose layout is known.
    """
    return check_widths(view, MMIO, (), 1)


@rule("MR-DR-06", needs=SEEN)
def config_halfwords_by_halfwords(view: View) -> Result:
    """Section 4.2.2.2: the driver accesses 16 bit fields by aligned accesses of 16 bits.

    Checked: each access to such a field of a configuration space whose layout is known.
    """
    return check_widths(view, MMIO, (), 2)


@rule("MR-DR-07", needs=SEEN)
def config_words_by_words(view: View) -> Result:
    """Section 4.2.2.2: the driver accesses 32 and 64 bit fields by aligned accesses of 32 bits.

    Checked: each access to such a field of a configuration space whose layout is known.
    """
    return check_widths(view, MMIO, (), 4)


def _selected(view: View, register: str, select: str, *, write: bool) -> Result:
    """Check that a selection comes before each access, in spans whose reset was seen."""
    regs = registers(view)
    mask = regs.of(ALL) & regs.on(register) & (regs.write == write) & regs.begun
    chosen = earlier(regs.on(select) & regs.write, regs.span) >= 0
    rows = regs.where(mask, chosen=chosen)
    return regs.check(rows, rows["chosen"], "{place}: access to {access} without a selection")


@rule("MR-DR-14", needs=SEEN)
def offer_is_selected(view: View) -> Result:
    """Section 4.2.2.2: the driver writes DeviceFeaturesSel before it reads DeviceFeatures.

    Checked: each read of DeviceFeatures after a reset that was seen: a selection was written
    between the two.
    """
    return _selected(view, "device_feature", "device_feature_select", write=False)


@rule("MR-DR-15", needs=SEEN)
def acceptance_is_selected(view: View) -> Result:
    """Section 4.2.2.2: the driver writes DriverFeaturesSel before it writes DriverFeatures.

    Checked: each write to DriverFeatures after a reset that was seen: a selection was written
    between the two.
    """
    return _selected(view, "driver_feature", "driver_feature_select", write=True)


@rule("MR-DR-22", needs=SEEN)
def acknowledged_bits_are_defined(view: View) -> Result:
    """Section 4.2.2.2: the driver writes no undefined bits to InterruptACK.

    Checked: each write to InterruptACK whose value is known.
    """
    regs = registers(view)
    rows = regs.where(regs.of(ALL) & regs.writes("interrupt_ack"))
    return regs.check(
        rows,
        rows["value"] & ~DEFINED == 0,
        "{place}: {value:#x} written to InterruptACK",
        none="no interrupt was acknowledged",
    )


@rule("MR-DR-20", needs=SEEN)
def undefined_bits_are_disregarded(view: View) -> Result:
    """Section 4.2.2.2: the driver disregards undefined bits of InterruptStatus.

    Checked: each read of InterruptStatus that has such a bit, where the driver wrote InterruptACK
    before it read InterruptStatus again: what it wrote has the defined bits that were read, and no
    undefined one. Whether it acts on such a bit in another way is not visible.
    """
    regs = registers(view)
    reads = regs.of(ALL) & regs.reads("isr")
    again = later(reads, regs.span)
    ack = later(regs.of(ALL) & regs.writes("interrupt_ack") & regs.known, regs.span)
    strange = reads & regs.known & (regs.value & ~DEFINED != 0)
    answered = strange & (ack >= 0) & ((again < 0) | (ack < again))
    rows = regs.where(answered, acked=regs.value_at(ack, 0))
    return regs.check(
        rows,
        rows["acked"] == rows["value"] & DEFINED,
        "{place}: InterruptStatus is {value:#x}, {acked:#x} is acknowledged",
        none="InterruptStatus never had an undefined bit",
    )


def _discoveries(regs: Registers) -> Bools:
    """Return reads of MagicValue that begin a device's initialization: the first of each run."""
    reads = regs.of(ALL) & regs.on("magic") & ~regs.write
    found: Bools = reads & (earlier(reads, regs.span) < 0)
    return found


@rule("MI-DR-01", needs=SEEN)
def magic_and_version_first(view: View) -> Result:
    """Section 4.2.3.1.1: initialization begins with reads of MagicValue and Version.

    Checked: each first read of MagicValue in a span: the next other register that is accessed is
    Version, by a read, and no other register of this device was accessed before in the trace or
    since its last reset. Each device of which the first access in the trace is a read of Version or
    DeviceID: those find a device, and MagicValue comes before them.

    Undecided: devices that a driver found before the trace began, which have no such read.
    """
    regs = registers(view)
    found = _discoveries(regs)
    other = regs.of(ALL) & ~regs.on("magic")
    after = later(other, regs.dev)
    next_ = (after < 0) | (regs.on("version") & ~regs.write)[after] if len(regs) else found
    # A reset may come from whoever had the device before.
    before = earlier(other, regs.span) >= 0
    blind = regs.of(ALL) & regs.on("version", "device_id") & ~regs.write
    blind &= earlier(regs.of(ALL), regs.dev) < 0
    rows = regs.where(found | blind, first=found & next_ & ~before)
    unseen = len(np.setdiff1d(regs.dev[regs.of(ALL)], regs.dev[found | blind]))
    return regs.check(
        rows,
        rows["first"],
        "{place}: MagicValue and Version are not the first registers that are read",
        undecided=unseen,
        doubt="the device was found before the trace began",
        none=UNREAD,
    )


@rule("MI-DR-02", needs=SEEN)
def device_id_next(view: View) -> Result:
    """Section 4.2.3.1.1: after valid MagicValue and Version the driver reads DeviceID.

    Checked: each first read of MagicValue in a span with the right value, followed by a read of
    Version: the register that is accessed after Version is DeviceID.
    """
    regs = registers(view)
    found = _discoveries(regs) & regs.known & (regs.value == MAGIC)
    version = later(regs.of(ALL) & regs.on("version"), regs.dev)
    rest = regs.of(ALL) & ~regs.on("magic", "version")
    after = later(rest, regs.dev)
    right = (regs.on("device_id") & ~regs.write)[after] if len(regs) else found
    rows = regs.where(found & (version >= 0) & (after >= 0), right=right)
    return regs.check(
        rows, rows["right"], "{place}: the register after Version is not DeviceID", none=UNREAD
    )


@rule("MR-DR-08", needs=SEEN, also=("MR-DR-10", "MR-DR-12", "MI-DR-03", "MI-DR-04"))
def invalid_devices_are_ignored(view: View) -> Result:
    """Section 4.2.2.2: the driver ignores devices with a wrong MagicValue, Version or DeviceID 0.

    Checked: each read of MagicValue, of Version and of DeviceID: after a wrong value (Version may
    be 1 for a driver of the legacy interface) the driver writes to no register of the device.
    Devices without any driver do not show in the trace, so that their placeholders are not judged.
    """
    regs = registers(view)
    reads = regs.of(ALL) & regs.reads("magic", "version", "device_id")
    wrong = regs.on("magic") & (regs.value != MAGIC)
    wrong |= regs.on("version") & ~np.isin(regs.value, (1, 2))
    wrong |= regs.on("device_id") & (regs.value == 0)
    after = later(regs.write, regs.dev)
    rows = regs.where(reads, ignored=~wrong | (after < 0))
    return regs.check(
        rows,
        rows["ignored"],
        "{place}: {access} is {value:#x}, and the driver uses the device",
        none=UNREAD,
    )


@rule("MR-DR-13", needs="survey:survey_slot", local=True)
def no_error_is_reported_for_empty_slots(view: View) -> Result:
    """Section 4.2.2.2: the driver does not report a DeviceID of 0 as an error.

    Checked: each slot of MMIO without a device that the guest's kernel knows, and whose DeviceID
    the guest has read by QEMU's log of register accesses: the kernel's log has no line of level
    error, or worse, that names the slot's device and was written in the run. A warning is none.

    Undecided: a slot where that log was not recorded: the driver may not have looked at it.
    """
    tally = Tally(
        none="the driver looked at no slot without a device, or the guest was not asked of it",
        doubt="without QEMU's log of register accesses a look at the slot is not seen",
    )
    slots = view.of("survey_slot").select("row", "start", "id", "errors", "looks")
    for row, start, device, errors, looks in slots.iter_rows():
        if device != 0:
            continue
        if looks is None:
            tally.undecided()
        elif looks:
            text = f"the slot at {start:#x} has DeviceID 0, and {errors} errors are reported of it"
            tally.check(errors == 0, row, text)
    return tally.result()


def _without_memory(view: View, regs: Registers) -> Bools:
    """Return accesses to devices whose type has no shared memory."""
    types = {view.events.devices.get(d.id): d.type for d in view.events.capture.devices}
    plain = [
        dev
        for dev in np.unique(regs.dev).tolist()
        if types.get(dev) and not any(name in types[dev] for name in SHARING)
    ]
    found: Bools = regs.of(MMIO) & np.isin(regs.dev, plain)
    return found


@rule("DX-92", needs=SEEN)
def absent_regions_have_no_length(view: View) -> Result:
    """Section 4.2.2: a region of shared memory that is not there has a length of all ones.

    Checked: each read of SHMLenLow and SHMLenHigh of an MMIO device whose type has no such region.
    """
    regs = registers(view)
    rows = regs.where(_without_memory(view, regs) & regs.reads("shm_len_low", "shm_len_high"))
    return regs.check(
        rows,
        rows["value"] == NO_LENGTH,
        "{place}: {access} is {value:#x}, and there is no shared memory",
        none="no length of shared memory that is not there was read",
    )


@rule("MI-DR-05", needs=SEEN)
def shared_memory_is_left_alone(view: View) -> Result:
    """Section 4.2.3.1.1: drivers that expect no shared memory do not use its registers.

    Checked: each access to a control register of an MMIO device whose type has no shared memory.
    """
    regs = registers(view)
    rows = regs.where(_without_memory(view, regs), free=~regs.on(*SHM))
    return regs.check(rows, rows["free"], "{place}: access to {access}")
