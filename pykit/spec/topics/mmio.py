# SPDX-License-Identifier: GPL-2.0-only
"""Interrupts of the MMIO transport (4.2.3.4): read the reason, handle it, acknowledge it.

The access tracer sees a CPU's accesses in program order, to registers and to rings alike. QEMU's
log has the registers alone.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from pykit.spec.arrays import NEVER, WRAP, Ints, first_of, grouped_cumsum, ints
from pykit.spec.model import Result, rule
from pykit.spec.registers import MMIO, earlier, later, registers
from pykit.spec.rows import Rows
from pykit.spec.topics.packed_order import OWN
from pykit.spec.topics.pci_registers import SEEN
from pykit.spec.view import View

#: Registers of the transport (4.2.2).
INTERRUPT_STATUS, INTERRUPT_ACK = 0x60, 0x64
USED_BUFFER = 1
_EVENTS = (USED_BUFFER, 2)
UNASKED = "interrupt acknowledged without reading InterruptStatus"
NOTHING = "no interrupt of an MMIO device was acknowledged"
_CUT = "the trace may cut the handling short, or has no values of indices"
MIXED = "the interrupt may have been about the configuration, or nothing was handled"


def _acknowledgements(view: View) -> Rows:
    """Return the writes to InterruptACK of MMIO devices: ``row dev life``, and

    - ``reason_read``: InterruptStatus was read before,
    - ``handled``: a used index was read between that read and this write,
    - ``later``: a used index was read between this write and the next read of InterruptStatus,
    - ``other``: the interrupt may have been about something else than used buffers,
    - ``cpu``, ``begin``, ``end``: the turn, from a read of InterruptStatus up to the next one on
      this CPU, by rows; -1: there is none.

    Each CPU is looked at by itself, as an interrupt is handled on the CPU where it arrives.
    """
    return view.keep("mmio acknowledgements", _read)


def _read(view: View) -> Rows:
    types = {view.events.devices.get(d.id): d.type for d in view.events.capture.devices}
    mmio = [dev for dev, kind in types.items() if dev is not None and kind.endswith("-device")]
    register = pl.col("offset").is_in((INTERRUPT_STATUS, INTERRUPT_ACK))
    register &= (pl.col("kind") == "acc_register") & (
        (pl.col("write") == 1) == (pl.col("offset") == INTERRUPT_ACK)
    )
    index = (pl.col("area") == "used") & (pl.col("field") == "idx") & (pl.col("write") == 0)
    seen = (
        view.of("acc_register", "acc_ring")
        .filter(pl.col("dev").is_in(mmio) & pl.col("life").is_not_null() & (register | index))
        .sort("dev", "life", "cpu", "row")
    )
    of_register = (seen["kind"] == "acc_register").to_numpy()
    asks = of_register & (ints(seen, "offset") == INTERRUPT_STATUS)
    cpu = seen.select(pl.struct("dev", "life", "cpu").rle_id()).to_series().to_numpy()
    # A turn goes from one read of InterruptStatus to the next, on one CPU.
    turn = np.cumsum(asks | first_of(cpu))
    looks = grouped_cumsum((~of_register).astype(np.int64), turn)
    at = np.flatnonzero(of_register & ~asks)
    first = np.searchsorted(turn, turn[at])
    last = np.searchsorted(turn, turn[at], side="right") - 1
    value = seen["value"].to_numpy() if seen.height else np.zeros(0)
    unknown = seen["value"].is_null().to_numpy()
    dev, life = ints(seen, "dev")[at], ints(seen, "life")[at]
    announced = view.of("config_change", "dev_config_signal").select("dev", "life").unique()
    changed = set(announced.iter_rows())
    lives = zip(dev.tolist(), life.tolist(), strict=True)
    in_doubt = np.array([name in changed for name in lives], dtype=np.bool_)
    buffers = np.where(unknown, 0, value).astype(np.int64)[at] & USED_BUFFER == USED_BUFFER
    row, cpus = ints(seen, "row"), ints(seen, "cpu")
    follows = np.minimum(last + 1, max(len(row) - 1, 0))
    columns = {
        "row": row[at],
        "cpu": cpus[at],
        "begin": np.where(asks[first], row[first], -1),
        "end": np.where((follows > last) & (cpu[follows] == cpu[at]), row[follows], -1),
        "dev": dev,
        "life": life,
        "reason_read": asks[first],
        "handled": looks[at] > 0,
        "later": looks[last] > looks[at],
        # Without the written value, only a life without configuration changes is certain.
        "other": np.where(unknown[at], in_doubt, ~buffers),
    }
    return Rows(columns.__getitem__, len(at), {})


@rule("MN-DR-01", needs=SEEN)
def reason_is_read_first(view: View) -> Result:
    """Section 4.2.3.4.1: the driver reads InterruptStatus before it handles an interrupt.

    Checked: each write to InterruptACK of an MMIO device: the same CPU has read InterruptStatus
    before, in the same life of the device. Several writes may follow one read: a driver may
    acknowledge bit by bit. By QEMU's log any CPU has.
    """
    if "acc_register" not in view.kinds:
        regs = registers(view)
        read = earlier(regs.of(MMIO) & regs.reads("isr"), regs.span) >= 0
        rows = regs.where(regs.of(MMIO) & regs.writes("interrupt_ack") & regs.begun, read=read)
        return regs.check(rows, rows["read"], f"{{place}}: {UNASKED}", none=NOTHING)
    acks = _acknowledgements(view)
    return acks.check(
        acks["reason_read"],
        f"device {{dev}}, life {{life}}: {UNASKED}",
        none=NOTHING,
    )


@rule("MN-DR-03", needs=SEEN, also=("MR-DR-21",))
def acknowledged_last(view: View) -> Result:
    """Section 4.2.3.4.1: the driver acknowledges an interrupt after it has handled it.

    Checked: each write to InterruptACK with the used buffer bit, around which the same CPU read
    a used index: it did so between the read of InterruptStatus and the write, not only after. And
    each read of InterruptStatus that shows an event: until the next reset some write to
    InterruptACK with its bit follows. The last such read before a reset is left out, as what it
    began may have been cut short.

    Undecided: an acknowledgement without the used buffer bit; one whose value the tracer did not
    record, in a life with a configuration change notification; and one without any read of a
    used index, as another driver than the traced one may share the line.
    """
    acks = _acknowledgements(view)
    left = _unacknowledged(view) + _not_shown(view)
    if "acc_register" not in view.kinds:
        return left
    about_buffers = acks.where(~acks["other"] & (acks["handled"] | acks["later"]))
    return left + about_buffers.check(
        about_buffers["handled"],
        "device {dev}, life {life}: acknowledged before its used buffers were looked at",
        none=NOTHING,
        undecided=len(acks) - len(about_buffers),
        doubt=MIXED,
    )


def _unacknowledged(view: View) -> Result:
    """Check that a driver which reads of an event acknowledges it at any time."""
    regs = registers(view)
    result = Result(0, why=NOTHING)
    acks = regs.of(MMIO) & regs.on("interrupt_ack") & regs.write
    for event in _EVENTS:
        asked = regs.of(MMIO) & regs.reads("isr") & (regs.value & event != 0) & regs.begun
        # One whose value was not recorded may be about either.
        acked = later(acks & (~regs.known | (regs.value & event != 0)), regs.span) >= 0
        rows = regs.where(asked & (later(asked, regs.span) >= 0), acked=acked)
        text = f"{{place}}: event {event:#x} of interrupt status {{value:#x}} is never acknowledged"
        result += regs.check(rows, rows["acked"], text, none=NOTHING)
    return result


def _not_shown(view: View) -> Result:
    """Check that a driver acknowledges the events that it was shown, and no others."""
    regs = registers(view)
    order = np.argsort(regs.span, kind="stable")
    value, span = np.where(regs.known, regs.value, 0)[order], regs.span[order]
    reads, acks = (
        (regs.of(MMIO) & mask)[order] for mask in (regs.reads("isr"), regs.writes("interrupt_ack"))
    )
    more = np.zeros(len(regs), dtype=np.int64)
    for event in _EVENTS:
        has = value & event == event
        excess = grouped_cumsum((acks & has).astype(np.int64) - (reads & has), span)
        more[order] |= np.where(acks & has & (excess > 0), event, 0)
    rows = regs.where(
        regs.of(MMIO) & regs.writes("interrupt_ack") & regs.known & regs.begun, more=more
    )
    return regs.check(
        rows,
        rows["more"] == 0,
        "{place}: event {more:#x} is acknowledged, and no read of InterruptStatus showed it",
        none=NOTHING,
    )


@rule("MN-DR-02", needs=("access:acc_register", "access:acc_ring"))
def every_queue_is_looked_at(view: View) -> Result:
    """Section 4.2.3.4.1: an interrupt for used buffers may be about any of the active queues.

    Checked: each acknowledgement of the used buffer bit, for each split queue that had chains
    outstanding when InterruptStatus was read, by the driver's own accesses: the same CPU reads the
    queue's used index before it reads InterruptStatus again. When it acknowledges is MN-DR-03's.

    Undecided: acknowledgements as for MN-DR-03; the last one on a CPU, whose handling the trace may
    cut short; and queues whose indices the tracer has no values of.
    """
    acks = _acknowledgements(view)
    acks = acks.where((acks["begin"] >= 0) & ~acks["other"])
    own = pl.col("symbol").cast(pl.String).str.starts_with(OWN).fill_null(False)
    stores = (pl.col("area") == "avail") & (pl.col("write") == 1)
    looks = (pl.col("area") == "used") & (pl.col("write") == 0) & ~own
    seen = view.of("acc_ring").filter((pl.col("field") == "idx") & (stores | looks))
    seen = seen.filter(pl.col("life").is_not_null() & pl.col("vq").is_not_null())
    result = Result(0, why=NOTHING, doubt=_CUT)
    for (dev, life, vq), rows in seen.group_by("dev", "life", "vq", maintain_order=True):
        mine = acks.where((acks["dev"] == dev) & (acks["life"] == life))
        outstanding = _outstanding(rows.filter(stores), rows.filter(looks), mine["begin"])
        unknown = int(np.count_nonzero(outstanding < 0))
        mine = mine.where(outstanding > 0)
        read = rows.filter(looks)
        looked = np.zeros(len(mine), dtype=np.bool_)
        for cpu in np.unique(mine["cpu"]):
            here = ints(read.filter(cpu=cpu), "row")
            end = np.where(mine["end"] < 0, NEVER, mine["end"])
            found = np.searchsorted(here, end) > np.searchsorted(here, mine["begin"])
            looked |= found & (mine["cpu"] == cpu)
        decided = looked | (mine["end"] >= 0)
        mine = mine.plus(looked=looked).where(decided)
        result += mine.check(
            mine["looked"],
            f"device {{dev}}, life {{life}}: queue {vq} is not looked at in an interrupt",
            none=NOTHING,
            undecided=unknown + int(np.count_nonzero(~decided)),
            doubt=_CUT,
        )
    return result


def _outstanding(stores: pl.DataFrame, looks: pl.DataFrame, at: Ints) -> Ints:
    """By row of ``at``: chains exposed and not seen used, -1 where that is not known."""
    counts = np.zeros((2, len(at)), dtype=np.int64)
    unknown = np.zeros(len(at), dtype=np.bool_)
    for count, frame in zip(counts, (stores, looks), strict=True):
        before = np.searchsorted(ints(frame, "row"), at)
        has = before > 0
        if frame.height:
            place = np.maximum(before - 1, 0)
            count[has] = ints(frame, "value")[place][has]
            unknown |= has & frame["value"].is_null().to_numpy()[place]
    return np.where(unknown, -1, (counts[0] - counts[1]) % WRAP)
