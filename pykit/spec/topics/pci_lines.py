# SPDX-License-Identifier: GPL-2.0-only
"""The ISR status and the interrupt line of PCI devices (sections 4.1.4.5 and 4.1.5.1).

QEMU's log has each interrupt that the device raises, in one order with the reads of the ISR status:
between two reads all interrupts show in the second one. A device with an iothread raises some
elsewhere, and is left out. `pykit drive` reads the line's state in PCI's status register, right
before the ISR status (event ``line``).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from pykit import pci
from pykit.spec import bits
from pykit.spec.lives import ends_within
from pykit.spec.model import Result, Violation, rule
from pykit.spec.registers import PCI, earlier, registers
from pykit.spec.rows import Rows, Tally
from pykit.spec.standing import standstills
from pykit.spec.timing import ONE_SIDE
from pykit.spec.topics.interrupt_status import (
    CONFIG,
    QUEUE,
    changes,
    changes_shown,
    used_buffers_shown,
)
from pykit.spec.topics.pci_interrupts import VECTORS
from pykit.spec.view import View
from pykit.text import counted

#: Interrupts of which a driver has to have asked for the reason.
_OFTEN = 8
#: Structures with the ISR status of PCI.
_STATUSES = ("isr", "legacy")
_ON_ITS_WAY = "the trace ends where the driver may not have handled the interrupt yet"
_NO_LINE = "no driver used the interrupt line of a modern device: `pykit drive` does"


def _lines(view: View) -> Rows:
    return Rows.of_frame(view.of("line"), lambda row: f"device {row['dev']}, life {row['life']}")


def _shown(view: View, kind: str, bit: int) -> Result:
    """Check that an interrupt in QEMU's log shows in the first read of the ISR status behind it."""
    regs = registers(view)
    threads = {
        view.events.devices.get(device.id)
        for device in view.events.capture.devices
        if "iothread" in device.options
    }
    reads = regs.of(("isr", "legacy")) & regs.reads("isr")
    # A reset clears the ISR status, and begins a span.
    before = earlier(reads | (regs.writes("status") & (regs.value == 0)), regs.dev)
    signals = view.columns(kind)
    tally = Tally(none=f"no read of the ISR status followed an interrupt ({kind})")
    for dev in np.unique(regs.dev[reads]).tolist():
        if dev in threads:
            continue
        mine = np.sort(signals["row"][signals["dev"] == dev])
        for at in np.flatnonzero((regs.dev == dev) & reads & (before >= 0)).tolist():
            row = int(regs.row[at])
            low, high = np.searchsorted(mine, (int(regs.row[before[at]]), row))
            if low < high and regs.begun[at]:
                text = f"device {dev}: the ISR status reads {regs.value[at]:#x} behind an interrupt"
                tally.check(bool(regs.value[at] & bit), (int(mine[high - 1]), row), text)
    return tally.result()


def _within(frame: pl.DataFrame, changed: pl.DataFrame) -> pl.DataFrame:
    """Return events of a change's life between its two reads, with its columns."""
    kept = changed.rename({"row": "start"})
    found = frame.join(kept, on=["dev", "life"], how="inner")
    return found.filter(pl.col("row").is_between(pl.col("start"), pl.col("behind")))


@rule("PR-DE-02", needs="registers:register|driver:driver")
def isr_shows_configuration_changes(view: View) -> Result:
    """Section 4.1.4.5.1: bit 1 of the ISR status is set before a configuration change interrupt.

    Checked: each read of the ISR status with an interrupt for a configuration change in QEMU's log
    since the read before it, or since the reset. And each time that `pykit drive`, which had no
    buffers with the device, found the line raised while the configuration changed, or the ISR
    status not 0: nothing else can have raised it.
    """
    raised = _within(view.of("line").filter(raised=1), changes(view))
    rows = Rows.of_frame(raised, lambda row: f"device {row['dev']}, life {row['life']}")
    return (
        _shown(view, "dev_config_signal", CONFIG)
        + rows.check(
            rows["isr"] & CONFIG != 0,
            "{queue}: the configuration changes, the line is raised, and the ISR status is {isr}",
            shown=("start", "row", "behind"),
            none=_NO_LINE,
        )
        + changes_shown(view, _STATUSES)
    )


@rule("PR-DE-03", needs=("registers:register|driver:driver",))
def isr_shows_used_buffers(view: View) -> Result:
    """Section 4.1.4.5.1: without MSI-X, bit 0 of the ISR status is set before a queue's interrupt.

    Checked: as for PR-DE-02, by interrupts of queues; where `pykit drive` used the line, each time
    that it was raised: the ISR status has a bit, and bit 0 at least once in a life with the line in
    which more than one used buffer came. Elsewhere each callback that asks for the interrupt of an
    entry, where the ISR status was read as not 0 before the next chain: one such read has bit 0,
    or the driver waited less than half a second. A driver with MSI-X does not read it.
    """
    rows = _lines(view)
    rows = rows.where(rows["raised"] == 1)
    return (
        _shown(view, "dev_signal", QUEUE)
        + rows.check(
            rows["isr"] & (QUEUE | CONFIG) != 0,
            "{queue}: the line was raised, and the ISR status is {isr}",
            none=_NO_LINE,
        )
        + _never_a_queue(view)
        + used_buffers_shown(view, _STATUSES)
    )


def _never_a_queue(view: View) -> Result:
    """Check lives with the line in which used buffers came, and raised it several times."""
    place = ["dev", "life"]
    lines, used = view.of("line"), view.of("used").select("row", *place)
    raised = lines.filter(pl.col("raised") == 1)
    if not raised.height or not used.height:
        return Result(0, why=_NO_LINE)
    # An entry is taken behind the two looks at the line that its interrupt brought.
    looks = raised.sort("row").select("row", *place)
    taken = used.sort("row").rename({"row": "entry"})
    taken = taken.join_asof(
        looks, left_on="entry", right_on="row", by=place, check_sortedness=False
    ).drop_nulls("row")
    counted = taken.group_by(place).agg(
        pl.col("row").n_unique().alias("turns"), pl.col("row").min()
    )
    shown = lines.group_by(place).agg(((pl.col("isr") & QUEUE) != 0).any().alias("right"))
    frame = counted.filter(pl.col("turns") > 1).join(shown, on=place, how="inner")
    rows = Rows.of_frame(frame, lambda row: f"device {row['dev']}, life {row['life']}")
    return rows.check(
        rows["right"] == 1,
        "{queue}: used buffers raised the line {turns} times, and the ISR status never has bit 0",
        none=_NO_LINE,
    )


@rule("PG-DR-01", needs=("registers:register|access:acc_register", "driver:config_change"))
def both_reasons_are_served(view: View) -> Result:
    """Section 4.1.5.1.4.2: the driver copes with one interrupt for a change of the configuration
    and for used buffers.

    Checked: each life of a driver in a guest in which an ISR status was read that has both bits.
    Its configuration change notifications are as many as the reads with bit 1. And where a queue
    stands still at the end of the trace, because the driver does not take what was returned, the
    last ISR status that was read did not have both bits.

    Undecided: one notification is missing, and the trace ends less than a second after the read.
    """
    regs = registers(view)
    reads = regs.of(_STATUSES) & regs.reads("isr") & (regs.value & (QUEUE | CONFIG) != 0)
    tally = Tally(none="no ISR status that was read had both bits", doubt=_ON_ITS_WAY)
    if view.in_one_order:
        return tally.result()
    missed = {
        (entry.dev, entry.life): entry
        for entry in standstills(view)
        if entry.state == "uncollected" and entry.turn == "driver"
    }
    times = view.base("ts")
    for life in view.lives.values():
        if not life.stages:
            continue
        mine = (regs.dev == life.dev) & (regs.life == life.number) & reads
        rows = regs.row[mine & (regs.row > life.stages[0].row)]
        values = regs.value[mine & (regs.row > life.stages[0].row)]
        both = rows[values & (QUEUE | CONFIG) == QUEUE | CONFIG]
        if not len(both):
            continue
        announced = rows[values & CONFIG != 0]
        lacking = len(announced) - len(life.changes)
        if lacking == 1 and ends_within(int(times[announced[-1]]), ONE_SIDE, view.end[1]):
            tally.undecided()
            continue
        text = (
            f"{life.name}: the ISR status had bit 1 {counted(len(announced), 'time')}, and the"
            f" driver handled {counted(len(life.changes), 'change')} of the configuration"
        )
        tally.check(lacking <= 0, both[:3].tolist(), text)
        entry = missed.get((life.dev, life.number))
        stuck = entry is not None and both[-1] == rows[-1]
        text = f"{life.name}: the ISR status had both bits, and {entry.fact if entry else ''}"
        tally.check(not stuck, (*(entry.rows if entry else ()), int(both[-1])), text)
    return tally.result()


@rule("DX-102", needs=("registers:register|access:acc_register", "driver:interrupt"))
def line_is_asked_for_its_reason(view: View) -> Result:
    """Section 4.1.5.3: without MSI-X a driver reads the ISR status when the line is raised.

    Checked: each life of a driver in a guest that gave a modern PCI device no vector, and in which
    eight interrupts came or more: each read of the ISR status brings one to each queue, so that no
    more than twice as many came.
    """
    tally = Tally(none="no driver used the interrupt line of a modern device often")
    if view.in_one_order:
        return tally.result()
    regs = registers(view)
    came = view.of("interrupt", "stray")
    calls = came.group_by("dev", "life").agg(pl.len(), pl.col("row").min())
    for dev, number, count, row in calls.sort("dev", "life").iter_rows():
        mine = (regs.dev == dev) & (regs.life == number) & regs.begun
        vectors = regs.writes(*VECTORS) & (regs.value != bits.NO_VECTOR)
        enabled = regs.of(PCI) & regs.writes("queue_enable")
        if count < _OFTEN or not (mine & enabled).any() or (mine & vectors).any():
            continue
        reads = int(np.count_nonzero(mine & regs.on("isr") & ~regs.write))
        queues = sum(name[:2] == (dev, number) for name in view.rings.queue)
        text = f"device {dev}, life {number}: {count} interrupts of the line came, and the ISR"
        text += f" status was read {counted(reads, 'time')}"
        tally.check(count < 2 * reads * queues + _OFTEN, row, text)
    return tally.result()


@rule("PR-DE-04", needs="driver:driver")
def interrupt_status_follows_isr(view: View) -> Result:
    """Section 4.1.4.5.1: without MSI-X, PCI's Interrupt Status is set while the ISR status is not
    0.

    Checked: each time that `pykit drive` read both, PCI's status first.
    """
    rows = _lines(view)
    return rows.check(
        (rows["pci_status"] & pci.INTERRUPT_STATUS != 0) == (rows["isr"] != 0),
        "{queue}: PCI's status is {pci_status}, and the ISR status {isr}",
        none=_NO_LINE,
    )


@rule("PU-DE-01", needs=("driver:driver", "driver:used"))
def unmapped_queues_are_silent(view: View) -> Result:
    """Section 4.1.5.1.3.1: with MSI-X, a queue without a vector sends no interrupt.

    Checked: each used entry that `pykit drive` took of a queue whose vector it had taken away: no
    interrupt of the queue came since.
    """
    tally = Tally(none="no queue was without a vector in `pykit drive`")
    mapped = view.rings.of("queue_vector")
    used, came = view.used, view.rings.of("interrupt")
    for q, at, vector in zip(mapped["q"], mapped["at"], mapped["vector"], strict=True):
        if vector != bits.NO_VECTOR:
            continue
        since = used.row[(used.q == q) & (used.at > at)]
        wrong = came["row"][(came["q"] == q) & (came["at"] > at)]
        text = f"{view.rings.name(int(q))}: an interrupt, and the queue has no vector"
        tally.check_together(len(since), ())
        if len(wrong):
            tally.check(False, wrong[:3].tolist(), text)
    return tally.result()


@rule("PG-DE-01", needs=("driver:driver", "driver:config"))
def unmapped_changes_are_silent(view: View) -> Result:
    """Section 4.1.5.1.4.1: with MSI-X, no interrupt comes of changes without a vector for them.

    Checked: each change of the configuration that `pykit drive` made where it had looked up that
    no vector is set for that, and had no buffers with the device: no interrupt came between the
    reads of the configuration before and after the change. It listens to the vectors of queues;
    a message to another place is not seen.
    """
    lives = view.of("config_vector").filter(vector=bits.NO_VECTOR).select("dev", "life").unique()
    found = changes(view).join(lives, on=["dev", "life"], how="semi")
    tally = Tally(none="no configuration changed without a vector in `pykit drive`")
    if not found.height:
        return tally.result()
    wrong = _within(view.of("interrupt"), found)
    tally.check_together(found.height, ())
    for event in wrong.iter_rows(named=True):
        text = (
            f"device {event['dev']}, life {event['life']}, queue {event['vq']}: an interrupt of a"
            " change of the configuration, which has no vector"
        )
        tally.check_together(0, (Violation((event["start"], event["row"]), text),))
    return tally.result()
