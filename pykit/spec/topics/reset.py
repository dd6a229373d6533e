# SPDX-License-Identifier: GPL-2.0-only
"""Device reset (section 2.4)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import polars as pl

from pykit.spec import bits
from pykit.spec.arrays import NEVER
from pykit.spec.lives import Status
from pykit.spec.model import Result, Violation, rule
from pykit.spec.registers import registers
from pykit.spec.rows import Rows, Tally
from pykit.spec.timing import ONE_SIDE
from pykit.spec.view import View
from pykit.trace.capture import RECORDED

UNREAD = "the status was not read after a reset"
NOT_TRACED = "the transport may read the status itself, where the trace does not reach"


#: Registers that a driver may access at any time, from interrupt handlers, too.
_NO_ACT = ("status", "isr", "interrupt_ack", "queue_notify")


class _Reset(NamedTuple):
    """A reset by a driver.

    Attributes:
        device: its name in messages.
        dev: its number.
        reset: the access.
        reads: the reads of the status that follow, before ``after``.
        after: the next write of the status.
        direct: the first of the reads is the driver's next act; see ``_resets``.
        complete: the observer sees each access to the status, by whatever part of the guest.
    """

    device: str
    dev: int
    reset: Status
    reads: list[Status]
    after: Status | None
    direct: bool
    complete: bool


def _resets(view: View) -> tuple[_Reset, ...]:
    """Return each traced reset: by QEMU's log of the registers, where there is one, else inside.

    Lives do not matter: the core reads the status once more after the driver's life has ended.
    A read is direct if the driver did nothing else with the device between: not with its
    queues, features, or configuration.
    """
    return view.keep("resets", lambda view: tuple(_read_resets(view)))


def _read_resets(view: View) -> Iterator[_Reset]:
    registers = view.captured.of("status").filter(source="registers")
    logged = set(registers["dev"].unique().to_list())
    inside = view.of("status").filter(pl.col("source") != "registers")
    inside = inside.filter(~pl.col("dev").is_in(list(logged)))
    traced = view.of("queue", "features", "config", "generation")
    accesses = view.captured.of("register").filter(
        ~pl.col("structure").is_in(["notify", "isr"]) & ~pl.col("register").is_in(_NO_ACT)
    )
    # A driver that writes down its accesses to registers misses none.
    own = pl.col("dev").is_in(accesses["dev"].drop_nulls().unique().to_list())
    for frame, other, complete in (
        (registers, accesses, True),
        (inside.filter(own), accesses, True),
        (inside.filter(~own), traced, False),
    ):
        for (dev,), rows in frame.group_by("dev", maintain_order=True):
            acts = np.sort(other.filter(pl.col("dev") == dev)["row"].to_numpy())
            seen = [Status(*row) for row in rows.select("row", "ts", "status", "op").iter_rows()]
            steps = [i for i, step in enumerate(seen) if step.op != bits.STATUS_READ]
            for i, then in pairwise((*steps, len(seen))):
                reset = seen[i]
                if reset.op != bits.STATUS_RESET:
                    continue
                after = seen[then] if then < len(seen) else None
                reads = seen[i + 1 : then]
                place = int(np.searchsorted(acts, reset.row))
                act = int(acts[place]) if place < len(acts) else NEVER
                direct = bool(reads) and reads[0].row < act
                number = int(str(dev))
                yield _Reset(f"device {dev}", number, reset, reads, after, direct, complete)


@rule("RS-DE-01", needs="driver:status")
def reset_clears_status(view: View) -> Result:
    """Section 2.4.1: the device sets its status to 0 when it is reset.

    Checked: each reset in the guest's trace after which the driver read the status: before the
    next write it is read as 0, and as nothing else after that.

    - A status that was 0 and is not any more is wrong whenever it is read.
    - A status that has not been 0 yet is wrong if the driver still reads that 1 s after the
      reset: a device may take its time, but resets of virtual devices take milliseconds.
    - Undecided: the status had not been 0 yet, and the driver stopped reading before.
    """
    tally = Tally(none=UNREAD, doubt="the driver did not wait")
    for device, _, reset, reads, *_ in _resets(view):
        if not reads:
            continue
        zero = next((i for i, read in enumerate(reads) if not read.value), None)
        cleared = zero is not None
        back = next((read for read in reads[zero or 0 :] if read.value), None) if cleared else None
        last = back or reads[-1]
        waited = reset.ts is not None and last.ts is not None and last.ts - reset.ts > ONE_SIDE
        if last.value and not cleared and not waited:
            tally.undecided()
            continue
        text = f"{device}: status {last.value:#x} after a reset"
        tally.check(not last.value, (reset.row, last.row), text)
    return tally.result()


@rule("RS-DR-01", needs="driver:status")
def reset_is_waited_for(view: View) -> Result:
    """Section 2.4.2: the driver waits after a reset until the status reads 0.

    Checked: each reset after which the driver wrote to the status again: it read the status
    before that, and the last read was 0. The first read has to be the driver's next act with the
    device, as drivers read the status for other reasons, too. QEMU's log of the registers shows
    each read; of the guest's trace a read counts only if no other event comes before it.

    - Undecided: a reset in the guest's trace without such a read. The transport may have read the
      status itself, where the trace does not reach.
    - A reset that is followed by another one is left out, as the driver does not go on, and so
      is the legacy interface, which does not have the clause.
    """
    return _waited_for(view, pci=False)


@rule("PM-DR-05", needs="driver:status")
def reset_is_polled(view: View) -> Result:
    """Section 4.1.4.3.2: after it wrote 0 to device_status, the driver of a PCI device waits for a
    read that returns 0 before it initializes the device again.

    Checked: as for RS-DR-01, each reset of a PCI device. Any read before the next write counts:
    what the driver does in between, such as taking its queues down, is no initialization.
    """
    return _waited_for(view, pci=True)


def _waited_for(view: View, *, pci: bool) -> Result:
    """Check that resets (of PCI devices, or of all) were waited for."""
    tally = Tally(none="no reset was followed by another status write", doubt=NOT_TRACED)
    types = {view.captured.devices.get(d.id): d for d in view.captured.capture.devices}
    for device, dev, reset, reads, after, direct, complete in _resets(view):
        known = types.get(dev)
        if known is not None and (known.legacy or (pci and not known.type.endswith("-pci"))):
            continue
        if after is None or after.op == bits.STATUS_RESET:
            continue
        if known is None and pci:
            tally.undecided(doubt="the transport is not known")
        elif reads and reads[-1].value:
            text = f"{device}: the driver goes on although the status is {reads[-1].value:#x}"
            tally.check(False, (reset.row, reads[-1].row, after.row), text)
        elif complete and not reads:
            text = (
                f"{device}: {after.value:#x} is written after a reset, and the status was not read"
            )
            tally.check(False, (reset.row, after.row), text)
        elif complete and not direct and not pci:
            text = f"{device}: other registers are used before the status is read after a reset"
            tally.check(False, (reset.row, reads[0].row), text)
        elif complete or direct or (pci and reads):
            tally.check(True, after.row, "")
        else:
            tally.undecided()
    return tally.result()


def never_reset(view: View) -> Iterator[Violation]:
    """Report devices that a driver takes (DRIVER and later bits) before it has reset them once.

    The platform resets a device before the guest sees it: that is no reset by a driver. Who finds
    the device may write ACKNOWLEDGE before.
    """
    capture = view.events.capture
    if capture.outcome.kind == RECORDED or any(answer.at == "begin" for answer in capture.qmp):
        # The log may begin anywhere.
        return
    regs = registers(view)
    writes = np.flatnonzero(regs.writes("status"))
    writes = writes[regs.value[writes] != bits.ACKNOWLEDGE]
    for dev in np.unique(regs.dev[writes]).tolist():
        first = int(writes[regs.dev[writes] == dev][0])
        if regs.value[first]:
            text = f"device {dev}: {int(regs.value[first]):#x} is written, and it was never reset"
            yield Violation((int(regs.row[first]),), text)


def _silent_after_reset(view: View, kinds: tuple[str, ...], text: str) -> Result:
    """Check that QEMU's log has no such event between a reset's end and DRIVER_OK.

    QEMU logs a reset where it begins, and completes what is under way before it returns: only
    the next status write shows that the reset has ended.
    """
    tally = Tally(none="no status was written after a reset")
    events, statuses = view.columns(*kinds), view.columns("dev_status")
    for dev in dict.fromkeys(statuses["dev"].tolist()):
        if dev in view.elsewhere:
            continue
        own, written = events.take(events["dev"] == dev), statuses.take(statuses["dev"] == dev)
        rows, queues = own["row"], own["vq"]
        pairs = list(zip(written["row"].tolist(), written["status"].tolist(), strict=True))
        for start, stop in _windows(pairs):
            low, high = np.searchsorted(rows, [start, NEVER if stop is None else stop])
            tally.check_together(
                1,
                (
                    Violation((int(rows[i]),), f"device {dev}, queue {queues[i]}: {text}")
                    for i in range(int(low), int(high))
                ),
            )
    return tally.result()


def _windows(statuses: list[tuple[int, int]]) -> Iterator[tuple[int, int | None]]:
    """Return rows from the first write after a reset to the next reset or DRIVER_OK."""
    reset, start = False, None
    for row, status in statuses:
        if status == 0 or status & bits.DRIVER_OK:
            if start is not None:
                yield start, row
            reset, start = status == 0, None
        elif reset and start is None:
            start = row
    if start is not None:
        yield start, None


@rule("RS-DE-02", needs=("qemu:dev_status", "qemu:dev_signal"), also=("CR-DE-02",))
def no_notification_after_reset(view: View) -> Result:
    """Section 2.4.1: after a reset the device sends no notification until it is initialized again.

    Checked: each time in QEMU's log from the first status write after a reset to the write of
    DRIVER_OK, the next reset or the log's end. Each used buffer notification in it is wrong.

    Devices that another process or the kernel serves (vhost) are left out: QEMU logs their
    notifications when it learns about them.
    """
    return _silent_after_reset(view, ("dev_signal",), "an interrupt was sent after a reset")


@rule(
    "RS-DE-03",
    needs=("qemu:dev_status|driver:quiet", "qemu:dev_pop|driver:quiet"),
    also=("CR-DE-03",),
)
def no_queue_access_after_reset(view: View) -> Result:
    """Section 2.4.1: after a reset the device uses no queue until it is initialized again.

    Checked: each time in QEMU's log from the first status write after a reset to the write of
    DRIVER_OK, the next reset or the log's end. Each buffer that is popped, filled or flushed in it
    is wrong.

    With our driver also each queue that it watched for 50 ms behind the reset before it deleted
    it: nothing came back in it. What is written to buffers then does not show.

    In QEMU's log devices that another process or the kernel serves (vhost) are left out: QEMU does
    not read their rings.
    """
    still = Rows.of(view.rings, view.rings.of("quiet"))
    return still.check(
        still["used_idx"] == still["used_after"],
        "{queue}: used index {used_idx} became {used_after} after the reset",
        none="our driver reset no device",
    ) + _silent_after_reset(
        view, ("dev_pop", "dev_fill", "dev_flush"), "a queue was used after a reset"
    )
