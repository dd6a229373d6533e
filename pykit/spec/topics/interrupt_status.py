# SPDX-License-Identifier: GPL-2.0-only
"""What raised an interrupt, as the ISR status and InterruptStatus have it (4.1.4.5, 4.2.2).

Judged is `pykit drive`, which has everything in one order::

    notification    entry in the ring    read of the status       next chain
    -----+------------------+------------------+----------------------+------> the driver's order
         |<---------- bit 0 is set, as soon as the line is raised ---------->|

A line that is raised with no bit for its reason has another reason, or a device that swaps them. A
change of the configuration is a reason of its own: what a driver waited for in vain, half a second
long, while each read of the status had other bits alone, was not announced as it has to be.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from pykit.spec.arrays import Bools, Ints, ints
from pykit.spec.model import Result, rule
from pykit.spec.registers import MMIO, Registers, earlier, notifications, registers
from pykit.spec.rows import Rows
from pykit.spec.timing import WAITED_FOR
from pykit.spec.topics.ignored import asked
from pykit.spec.topics.pci_registers import SEEN
from pykit.spec.view import View

#: Bits of the status: used buffers, and a change of the configuration.
QUEUE, CONFIG = 1, 2
#: What a read of the configuration has of the next one of the same field.
_AFTER = {"value": "changed", "row": "behind"}
_NO_LINE = "no driver asked a device what had raised its line"
_OF_MMIO = (*MMIO, "mmio-legacy")


def changes(view: View) -> pl.DataFrame:
    """Changes of the configuration while a driver had no buffers with the device.

    Columns: dev, life; ``row`` and ``behind``: of the read before the change, and of the one after.
    """
    place = ["dev", "life", "offset", "len"]
    reads = view.of("config").filter((pl.col("write") == 0) & (pl.col("len") > 0)).sort("row")
    after = [pl.col(name).shift(-1).over(place).alias(new) for name, new in _AFTER.items()]
    found = reads.with_columns(after).filter(pl.col("value") != pl.col("changed"))
    if found.height:
        busy = view.of("add").select("dev", "life").unique()
        found = found.join(busy, on=["dev", "life"], how="anti")
    return found.select("dev", "life", "row", "behind")


def _statuses(view: View, structures: tuple[str, ...]) -> tuple[Registers, Bools]:
    """Return reads of the status that show a reason, by accesses of these structures."""
    regs = registers(view)
    return regs, regs.of(structures) & regs.reads("isr") & (regs.value != 0)


def _shown(
    view: View, structures: tuple[str, ...], spans: tuple[Ints, Ints, Ints], bit: int
) -> tuple[Bools, Bools]:
    """By span (device, first and last row): a read shows any reason; one shows this bit."""
    regs, reads = _statuses(view, structures)
    dev, first, last = spans
    found = []
    for mask in (reads, reads & (regs.value & bit != 0)):
        has = np.zeros(len(dev), dtype=np.bool_)
        for device in np.unique(dev).tolist():
            rows, mine = np.sort(regs.row[mask & (regs.dev == device)]), dev == device
            has[mine] = np.searchsorted(rows, last[mine]) > np.searchsorted(rows, first[mine])
        found.append(has)
    return found[0], found[1]


def used_buffers_shown(view: View, structures: tuple[str, ...]) -> Result:
    """Check that a status which a driver read while it waited for an interrupt has bit 0."""
    rows = asked(view)
    devices = np.array([queue[0] for queue in view.rings.queue], dtype=np.int64)
    dev = devices[rows["q"]] if len(rows) else np.zeros(0, dtype=np.int64)
    spans = dev, np.asarray(rows["row"]), np.asarray(rows["stop"])
    some, right = _shown(view, structures, spans, QUEUE)
    decided = right | (np.asarray(rows["waited"]) >= WAITED_FOR)
    rows = rows.plus(right=right).where(some & decided)
    return rows.check(
        rows["right"],
        "{queue}: the line was raised, entry {last_used} is used, and no read of the interrupt"
        " status has its bit 0",
        shown=("row", "entry"),
        none=_NO_LINE,
    )


def changes_shown(view: View, structures: tuple[str, ...]) -> Result:
    """Check that a status which a driver read while the configuration changed has bit 1."""
    if not view.in_one_order:
        return Result(0, why=_NO_LINE)
    found = changes(view)
    spans = ints(found, "dev"), ints(found, "row"), ints(found, "behind")
    some, right = _shown(view, structures, spans, CONFIG)
    frame = found.with_columns(pl.Series("right", right)).filter(pl.Series(some))
    rows = Rows.of_frame(frame, lambda row: f"device {row['dev']}, life {row['life']}")
    return rows.check(
        rows["right"] == 1,
        "{queue}: the configuration changes, the line is raised, and no read of the interrupt"
        " status has its bit 1",
        shown=("row", "behind"),
        none=_NO_LINE,
    )


@rule("DX-89", needs=(SEEN, "driver:driver"))
def status_has_the_reason(view: View) -> Result:
    """Section 4.2.2: InterruptStatus has bit 0 where a used buffer raised the interrupt, bit 1
    where a change of the configuration did.

    Checked, in `pykit drive`: each callback that asks for the interrupt of an entry, where
    InterruptStatus was read as not 0 before the next chain: one such read has bit 0. A driver that
    waited less than half a second for it leaves it open. And each change of the configuration while
    the driver had no buffers with the device, around which InterruptStatus was not 0: one such read
    has bit 1. MR-DE-04 judges other bits, PR-DE-02 and PR-DE-03 the ISR status of PCI.
    """
    return used_buffers_shown(view, _OF_MMIO) + changes_shown(view, _OF_MMIO)


@rule("DX-90", needs=(SEEN, "driver:returned"))
def acknowledged_is_gone(view: View) -> Result:
    """Section 4.2.2: what the driver acknowledged by InterruptACK is no more in InterruptStatus.

    Checked, in `pykit drive`: each read of InterruptStatus behind an acknowledgement of bit 0 that
    came when all chains were back, without a notification or a chain since: bit 0 is not set.
    """
    regs = registers(view)
    reads = regs.of(_OF_MMIO) & regs.reads("isr")
    acks = regs.of(_OF_MMIO) & regs.writes("interrupt_ack")
    before = earlier(reads | acks, regs.span)
    # Several reads may follow; the first one decides.
    first = reads & (before >= 0) & acks[before] if len(regs) else reads
    asked_for = regs.value_at(before, 0) & QUEUE != 0
    idle = _idle(view, regs, before)
    rows = regs.where(first & asked_for & idle, first=regs.row_at(before))
    return regs.check(
        rows,
        rows["value"] & QUEUE == 0,
        "{place}: InterruptStatus is {value:#x} behind an acknowledgement, and nothing happened",
        shown=("first", "row"),
        none="InterruptStatus was not read behind an acknowledgement with no chain outstanding",
    )


def _idle(view: View, regs: Registers, since: Ints) -> Bools:
    """By access: all chains were back at access ``since``, and nothing was asked for from there on.

    False for lives that are not of `pykit drive`, whose events have no one order.
    """
    driven = view.of("returned").select("dev", "life").unique()
    names = set(driven.iter_rows())
    rung = notifications(view)
    found = np.zeros(len(regs), dtype=np.bool_)
    before = regs.row_at(since)
    adds, used = (view.columns(kind).by_life() for kind in ("add", "used"))
    for dev, life in names:
        mine = regs.of_life(dev, life)
        mine = mine[since[mine] >= 0]
        then, now = before[mine], regs.row[mine]
        exposed, taken = (
            np.sort(ints(rows[dev, life], "row")) if (dev, life) in rows else np.zeros(0)
            for rows in (adds, used)
        )
        bells = np.sort(rung.row[rung.dev == dev])
        quiet = np.searchsorted(exposed, then) == np.searchsorted(taken, then)
        for causes in (exposed, bells):
            quiet &= np.searchsorted(causes, then) == np.searchsorted(causes, now)
        found[mine] = quiet
    return found
