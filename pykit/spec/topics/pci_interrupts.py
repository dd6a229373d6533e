# SPDX-License-Identifier: GPL-2.0-only
"""Interrupts of PCI devices: MSI-X vectors and the ISR status (4.1.4.5, 4.1.5.1.2).

pci_registers.py says what the rules of PCI registers judge.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from pykit.spec import bits
from pykit.spec.arrays import Ints, ints
from pykit.spec.model import Result, rule
from pykit.spec.registers import PCI, Registers, earlier, later, registers, sooner
from pykit.spec.rows import Rows
from pykit.spec.topics.pci_registers import SEEN, after_reset
from pykit.spec.view import View

MOST_VECTORS = 0x800
VECTORS = ("config_vector", "queue_vector")
#: Bit of the ISR status.
_CONFIG_CHANGE = 2


@rule("PQ-DE-07", needs=SEEN)
def vectors_are_unmapped(view: View) -> Result:
    """Section 4.1.5.1.2.1: after a reset no event is mapped to a vector.

    Checked: each read of a vector after the status has read 0, before the vector is written.
    """
    return after_reset(
        view, VECTORS, bits.NO_VECTOR, "{place}: {access} is {value:#x} after a reset"
    )


@rule("PQ-DE-06", needs=SEEN, also=("PQ-DE-09",))
def vectors_read_back(view: View) -> Result:
    """Section 4.1.5.1.2.1: a vector register shows the vector in force, NO_VECTOR if unmapped.

    Checked: each read of a vector register after a write in the same span: it has the vector that
    was written last, or bits.NO_VECTOR, which reports that the mapping failed.
    """
    regs = registers(view)
    key = regs.queue * 2 + regs.on("config_vector")
    last = earlier(regs.writes(*VECTORS), key)
    rows = regs.where(
        regs.of(PCI) & regs.reads(*VECTORS) & (last >= 0), written=regs.value_at(last)
    )
    holds = (rows["value"] == rows["written"]) | (rows["value"] == bits.NO_VECTOR)
    return regs.check(
        rows, holds, "{place}: {written:#x} was written to {access}, it is {value:#x}"
    )


@rule("PQ-DE-05", needs=SEEN)
def events_can_be_unmapped(view: View) -> Result:
    """Section 4.1.5.1.2.1: any event can be unmapped from its vector.

    Checked: each read of a vector register whose last write was NO_VECTOR.
    """
    regs = registers(view)
    key = regs.queue * 2 + regs.on("config_vector")
    last = earlier(regs.writes(*VECTORS), key)
    unmapped = (last >= 0) & (regs.value_at(last) == bits.NO_VECTOR)
    rows = regs.where(regs.of(PCI) & regs.reads(*VECTORS) & unmapped)
    return regs.check(
        rows,
        rows["value"] == bits.NO_VECTOR,
        "{place}: {access} is {value:#x} after NO_VECTOR was written",
        none="no event was unmapped",
    )


@rule("PQ-DR-04", needs=SEEN)
def vectors_are_vectors(view: View) -> Result:
    """Section 4.1.5.1.2.2: the driver maps no event to a vector outside the MSI-X table.

    Checked: each write to a vector register: bits.NO_VECTOR, or a vector of the table whose size
    the survey of the transports has; without a survey at most 0x7FF, the last that any table has.
    """
    regs = registers(view)
    size = _table_size(view, regs)
    rows = regs.where(
        regs.devices(PCI) & regs.writes(*VECTORS), size=np.where(size > 0, size, MOST_VECTORS)
    )
    holds = (rows["value"] == bits.NO_VECTOR) | (rows["value"] < rows["size"])
    return regs.check(rows, holds, "{place}: {value:#x} written to {access}, which is no vector")


@rule("PQ-DR-05", needs=SEEN)
def vectors_are_verified(view: View) -> Result:
    """Section 4.1.5.1.2.2: the driver reads a vector register back after it mapped an event.

    Checked: each write of a vector other than NO_VECTOR: a read of the same register, of the same
    queue, comes before the next write to it, before DRIVER_OK and before the next reset.

    Undecided: neither of them came before the trace ended.
    """
    regs = registers(view)
    mapped = regs.devices(PCI) & regs.writes(*VECTORS) & (regs.value != bits.NO_VECTOR)
    key = regs.queue * 2 + regs.on("config_vector")
    read = later(regs.reads(*VECTORS), key)
    again = later(regs.writes(*VECTORS), key)
    ready = later(
        regs.writes("status") & ((regs.value & bits.DRIVER_OK != 0) | (regs.value == 0)), regs.span
    )
    ends = sooner(again, ready)
    verified = (read >= 0) & ((ends < 0) | (read < ends))
    decided = verified | (ends >= 0)
    rows = regs.where(mapped & decided, verified=verified)
    return regs.check(
        rows,
        rows["verified"],
        "{place}: {value:#x} written to {access}, which was not read back",
        undecided=int(np.count_nonzero(mapped & ~decided)),
        doubt="the trace ends there",
        none="no event was mapped to a vector",
    )


@rule("PR-DR-01", needs=SEEN)
def isr_is_not_read_with_msix(view: View) -> Result:
    """Section 4.1.4.5.2: with MSI-X the driver does not read the ISR status for a queue interrupt.

    Checked: each queue that is enabled with a vector other than bits.NO_VECTOR, by the reads of the
    ISR status from there to the next reset: there is none. With MSI-X no such read has a use; a
    read for a configuration change, whose vector is separate, is left out where the configuration
    has no vector.
    """
    regs = registers(view)
    # What was read back counts: the device may not have taken the vector.
    vector = earlier(regs.reads("queue_vector") | regs.writes("queue_vector"), regs.queue)
    at = regs.of(PCI) & regs.writes("queue_enable") & (regs.value == 1)
    mapped = at & (vector >= 0) & (regs.value_at(vector, bits.NO_VECTOR) != bits.NO_VECTOR)
    isr = later(regs.on("isr") & ~regs.write, regs.span)
    rows = regs.where(mapped, isr=np.where(isr >= 0, regs.row[isr], -1) if len(regs) else isr)
    return regs.check(
        rows,
        rows["isr"] < 0,
        "{place}: ISR status read although the queue has a vector",
        shown=("row", "isr"),
        none="no queue had a vector",
    )


@rule("PR-DE-05", needs=f"{SEEN}|driver:driver")
def isr_clears_itself(view: View) -> Result:
    """Section 4.1.4.5.1: the ISR status becomes 0 when it is read.

    Checked: each read of the ISR status that follows another one in the same span without any
    interrupt of the device in QEMU's log from before the first to the second. And each two
    successive reads that `pykit drive` made where it used the interrupt line, which was not raised
    between them, and which nothing could raise: no notification, used buffer or change.

    Undecided: devices of which QEMU's log has no interrupt, and those with an iothread, whose
    interrupts may be logged before or after they show in the register; and a read that shows a
    configuration change, as QEMU does not log the interrupt for one that has no vector.
    """
    regs = registers(view)
    reads = regs.of(("isr", "legacy")) & regs.reads("isr")
    before = earlier(reads, regs.span)
    signals = view.columns("dev_signal", "dev_config_signal")
    quiet = np.zeros(len(regs), dtype=np.bool_)
    judged = np.zeros(len(regs), dtype=np.bool_)
    threads = {
        view.events.devices.get(device.id)
        for device in view.events.capture.devices
        if "iothread" in device.options
    }
    for dev in np.unique(regs.dev[reads]).tolist():
        mine = np.sort(signals["row"][signals["dev"] == dev])
        if dev in threads or not len(mine):
            continue
        here = np.flatnonzero((regs.dev == dev) & reads & (before >= 0))
        # An interrupt is logged before it shows: the last one has to be read by the first read.
        judged[here] = True
        quiet[here] = np.searchsorted(mine, regs.row[here]) == np.searchsorted(
            mine, regs.row[before[here]]
        )
    change = judged & quiet & (regs.value & _CONFIG_CHANGE != 0)
    judged &= ~change
    rows = regs.where(
        judged & quiet, first=np.where(before >= 0, regs.row[before], -1) if len(regs) else before
    )
    return regs.check(
        rows,
        rows["value"] == 0,
        "{place}: the ISR status reads {value:#x} again",
        shown=("first", "row"),
        undecided=int(np.count_nonzero(reads & (before >= 0) & ~judged)),
        doubt="the device's interrupts are not in the log",
        none="the ISR status was not read twice without an interrupt",
    ) + _read_again(view)


def _read_again(view: View) -> Result:
    """Check reads of the ISR status that `pykit drive` made one after the other."""
    place = ["dev", "life"]
    lines = view.of("line").sort("row").with_columns(first=pl.col("row").shift().over(place))
    lines = lines.filter(pl.col("first").is_not_null(), raised=0)
    causes = np.sort(view.columns("notify", "add", "used", "interrupt", "config")["row"])
    between = np.searchsorted(causes, ints(lines, "first")) != np.searchsorted(
        causes, ints(lines, "row")
    )
    rows = Rows.of_frame(
        lines.filter(pl.Series(~between)), lambda row: f"device {row['dev']}, life {row['life']}"
    )
    return rows.check(
        rows["isr"] == 0,
        "{queue}: the ISR status reads {isr} again",
        shown=("first", "row"),
        none="the ISR status was not read twice without an interrupt",
    )


def _table_size(view: View, regs: Registers) -> Ints:
    """Return by access the number of the device's vectors, by the survey; 0 where not known."""
    found = view.of("survey_cap").filter(pl.col("vectors").is_not_null())
    sizes = dict(found.select("dev", "vectors").iter_rows())
    return np.array([sizes.get(dev, 0) for dev in regs.dev.tolist()], dtype=np.int64)


@rule("PQ-DE-04", needs=(SEEN, "survey:survey_cap"), also=("PQ-DE-08",))
def any_vector_will_do(view: View) -> Result:
    """Section 4.1.5.1.2.1: any event can be mapped to any vector of the MSI-X table.

    Checked: each first read of a vector register after the write of a vector inside the table, by
    the survey of the transports: it is not bits.NO_VECTOR, which reports a failure. A refusal
    that a device cannot avoid looks the same; a virtual device has no reason for one.
    """
    regs = registers(view)
    key = regs.queue * 2 + regs.on("config_vector")
    last = earlier(regs.writes(*VECTORS), key)
    size = _table_size(view, regs)
    valid = (last >= 0) & (regs.value_at(last) < size)
    rows = regs.where(regs.of(PCI) & regs.reads(*VECTORS) & valid, written=regs.value_at(last))
    return regs.check(
        rows,
        rows["value"] != bits.NO_VECTOR,
        "{place}: {access} does not take vector {written}",
        none="no vector of a surveyed table was written",
    )


@rule("PQ-DR-01", needs=(SEEN, "survey:survey_cap"))
def any_table_size_will_do(view: View) -> Result:
    """Section 4.1.5.1.2.2: the driver supports each size of the MSI-X table, down to none at all.

    Checked: each span in which a driver wrote DRIVER_OK to a surveyed device, with the table that
    it has; and each in which the driver set FAILED after it had dealt with vectors and set up
    nothing since: it gave up for the vectors, which is a violation.
    """
    regs = registers(view)
    surveyed = view.of("survey_cap")["dev"].drop_nulls().unique().to_list()
    size = _table_size(view, regs)
    mine = regs.of(PCI) & np.isin(regs.dev, surveyed)
    ready = mine & regs.writes("status") & (regs.value & bits.DRIVER_OK != 0)
    ready &= earlier(ready, regs.span) < 0
    failed = mine & regs.writes("status") & (regs.value & bits.FAILED != 0)
    step = earlier(regs.on(*VECTORS, "queue_enable", "queue_desc_low"), regs.span)
    gave_up = failed & (step >= 0)
    gave_up &= regs.on(*VECTORS)[step] if len(regs) else gave_up
    gave_up &= earlier(ready, regs.span) < 0
    rows = regs.where(ready | gave_up, size=size, ready=ready)
    return regs.check(
        rows,
        rows["ready"],
        "{place}: the driver gives up after it dealt with vectors, the table has {size}",
        none="no driver brought up a surveyed device by its PCI registers",
    )
