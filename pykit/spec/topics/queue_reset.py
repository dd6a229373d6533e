# SPDX-License-Identifier: GPL-2.0-only
"""Reset of single queues (2.6.1, and the registers of 4.1.4.3 and 4.2.2).

A queue's reset goes from the write of 1 to queue_reset to the read of 0 from it. The register
exists in lives with RING_RESET alone.
"""

from __future__ import annotations

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import Bools, Ints
from pykit.spec.given import enablings
from pykit.spec.model import Result, rule
from pykit.spec.registers import MMIO, PCI, Registers, earlier, later, registers
from pykit.spec.rows import Tally
from pykit.spec.topics.pci_registers import NOT_RESET, SEEN
from pykit.spec.topics.queue_registers import unset
from pykit.spec.view import View

BOTH = PCI + MMIO
NO_RESET = "no queue was reset"
UNREAD = "queue_reset was not read there"


def _resets(regs: Registers) -> Bools:
    """Return writes that reset a queue, after RING_RESET was agreed on."""
    found: Bools = regs.of(BOTH) & regs.writes("queue_reset") & (regs.value == 1)
    found &= (regs.vq >= 0) & (regs.accepted(bits.RING_RESET) == 1)
    return found


def _in_reset(regs: Registers) -> Ints:
    """Return by row the write that began the reset of its queue which may still go on; else -1."""
    changes = _resets(regs) | (regs.writes("queue_enable") & (regs.value == 1))
    last = earlier(changes, regs.queue)
    return np.where((last >= 0) & regs.on("queue_reset")[last], last, -1) if len(regs) else last


def _done(regs: Registers, began: Ints) -> Bools:
    """Return by row whether queue_reset was read as 0 since the reset began."""
    zero = earlier(regs.reads("queue_reset") & (regs.value == 0), regs.queue)
    found: Bools = (began >= 0) & (zero > began)
    return found


@rule("PM-DE-10", needs=SEEN, also=("MR-DE-09",))
def reset_bit_is_clear_after_reset(view: View) -> Result:
    """Sections 4.1.4.3.1, 4.2.2.1: queue_reset reads 0 after a reset of the device.

    Checked: each read of queue_reset with RING_RESET in a span whose reset is over, before it is
    written for the queue.
    """
    regs = registers(view)
    written = earlier(regs.on("queue_reset") & regs.write, regs.queue) >= 0
    mask = regs.of(BOTH) & regs.reads("queue_reset") & regs.begun & ~written
    mask &= regs.accepted(bits.RING_RESET) == 1
    rows = regs.where(mask & regs.settled)
    return regs.check(
        rows,
        rows["value"] == 0,
        "{place}: queue_reset is {value} after a reset of the device",
        undecided=int(np.count_nonzero(mask & ~regs.settled)),
        doubt=NOT_RESET,
        none=UNREAD,
    )


@rule("PM-DE-11", needs=SEEN, also=("MR-DE-10",))
def reset_bit_is_clear_when_enabled(view: View) -> Result:
    """Sections 4.1.4.3.1, 4.2.2.1: queue_reset reads 0 when the queue is enabled.

    Checked: each read of queue_reset with RING_RESET while the queue is enabled.
    """
    regs = registers(view)
    mask = regs.of(BOTH) & regs.reads("queue_reset") & regs.enabled
    rows = regs.where(mask & (regs.accepted(bits.RING_RESET) == 1))
    return regs.check(
        rows, rows["value"] == 0, "{place}: queue_reset is {value} when enabled", none=UNREAD
    )


@rule("PM-DE-12", needs=SEEN, also=("MR-DE-11", "PM-DE-14", "MR-DE-13"))
def reset_disables_the_queue(view: View) -> Result:
    """Sections 4.1.4.3.1, 4.2.2.1: a write of 1 to queue_reset resets the queue.

    Checked: each read of queue_reset and queue_enable after the reset of a queue read as complete
    (0 in queue_reset), until the queue is enabled again: both are 0. What a reset does to the ring
    shows in other rules (VR-DE-01, VR-DE-02).
    """
    regs = registers(view)
    done = _done(regs, _in_reset(regs))
    rows = regs.where(regs.of(BOTH) & regs.reads("queue_reset", "queue_enable") & done)
    return regs.check(
        rows,
        rows["value"] == 0,
        "{place}: {access} is {value} after the queue's reset is complete",
        none=NO_RESET,
    )


@rule("PM-DE-13", needs=SEEN, also=("MR-DE-12",))
def reset_goes_on_or_is_over(view: View) -> Result:
    """Sections 4.1.4.3.1, 4.2.2.1: queue_reset reads 1 as long as the queue's reset goes on.

    Checked: each read of queue_reset in a queue's reset: it is 1, or 0 with no 1 after it. That
    the reset is really over at the first 0 shows in other rules.
    """
    regs = registers(view)
    began = _in_reset(regs)
    done = _done(regs, began)
    rows = regs.where(regs.of(BOTH) & regs.reads("queue_reset") & (began >= 0), done=done)
    holds = (rows["value"] == 0) | ((rows["value"] == 1) & ~rows["done"])
    return regs.check(
        rows, holds, "{place}: queue_reset is {value} again, or no bit", none=NO_RESET
    )


@rule("PM-DR-07", needs=SEEN, also=("MR-DR-23", "VR-DR-01"))
def queue_reset_is_polled(view: View) -> Result:
    """Sections 2.6.1.1.2, 4.1.4.3.2: a queue's reset is over when queue_reset reads 0.

    Checked: each write of 1 to queue_reset after which the driver writes to a register of this
    queue: it has read 0 from queue_reset between the two.

    Undecided: nothing was written to the queue's registers after it.
    """
    regs = registers(view)
    resets = _resets(regs)
    owned = regs.of(BOTH) & regs.write & (regs.vq >= 0)
    after = later(owned, regs.queue)
    zero = later(regs.reads("queue_reset") & (regs.value == 0), regs.queue)
    rows = regs.where(
        resets & (after >= 0),
        waited=(zero >= 0) & (zero < after),
        after=regs.row[after] if len(regs) else after,
    )
    return regs.check(
        rows,
        rows["waited"],
        "{place}: the driver goes on before queue_reset reads 0",
        shown=("row", "after"),
        undecided=int(np.count_nonzero(resets & (after < 0))),
        doubt="the queue was not used again",
        none=NO_RESET,
    )


@rule("VE-DR-01", needs=SEEN)
def renewed_queues_are_set_up(view: View) -> Result:
    """Section 2.6.1.2.2: the driver sets a queue up anew when it enables it again.

    Checked: each enabling of a queue after its reset: the three addresses were written between.
    """
    regs = registers(view)
    enabling = enablings(regs, BOTH)
    renewed = earlier(_resets(regs), regs.queue) >= 0
    rows = regs.where(enabling & renewed, whole=~unset(regs, enabling))
    return regs.check(
        rows,
        rows["whole"],
        "{place}: enabled again without all its addresses",
        none="no queue was enabled again",
    )


@rule("VE-DE-01", needs=SEEN)
def new_settings_are_kept(view: View) -> Result:
    """Section 2.6.1.2.1: the device observes what the driver changed in a queue that was reset.

    Checked: each read of queue_size or queue_enable after a reset of the queue and a write to the
    same register: it has what was written. What the device does with it shows in the ring.
    """
    regs = registers(view)
    names = ("queue_size", "queue_enable")
    key = regs.queue * 2 + regs.on("queue_enable")
    written = earlier(regs.writes(*names), key)
    reset = earlier(_resets(regs), regs.queue)
    rows = regs.where(
        regs.of(PCI) & regs.reads(*names) & (reset >= 0) & (written > reset),
        written=regs.value_at(written),
    )
    return regs.check(
        rows,
        rows["value"] == rows["written"],
        "{place}: {written} was written to {access}, {value} is read",
        none="no register of a queue was read back after its reset",
    )


def _silent(view: View, kind: str, text: str) -> Result:
    """Check that there is no such event of QEMU's log between a queue's reset and its enabling."""
    regs = registers(view)
    tally = Tally(none=NO_RESET)
    began = _resets(regs)
    zero = later(regs.reads("queue_reset") & (regs.value == 0), regs.queue)
    ends = later(regs.writes("queue_enable") & (regs.value == 1), regs.queue)
    over = later(regs.writes("status") & (regs.value == 0), regs.dev)
    events = view.columns(kind)
    logged = set(view.of("register")["row"].to_list())
    for at in np.flatnonzero(began & (zero >= 0)).tolist():
        if int(regs.row[at]) not in logged:
            # Only QEMU's own log has the two in one order.
            tally.undecided()
            continue
        stops = [int(regs.row[row]) for row in (ends[at], over[at]) if row >= 0]
        first, last = int(regs.row[zero[at]]), min(stops, default=np.iinfo(np.int64).max)
        mine = (events["dev"] == regs.dev[at]) & (events["vq"] == regs.vq[at])
        wrong = events["row"][mine & (events["row"] > first) & (events["row"] < last)]
        place = f"device {regs.dev[at]}, life {regs.life[at]}, queue {regs.vq[at]}"
        tally.check(not len(wrong), [first, *wrong[:3].tolist()], f"{place}: {text}")
    return tally.result()


@rule("VR-DE-01", needs=("registers:register", "qemu:dev_pop"))
def reset_queues_are_not_used(view: View) -> Result:
    """Section 2.6.1.1.1: the device executes no request of a queue that was reset.

    Checked: each reset of a queue that read as complete: QEMU takes no chain from it until it is
    enabled again or the device is reset.
    """
    return _silent(view, "dev_pop", "a chain is taken after the queue's reset")


@rule("VR-DE-02", needs=("registers:register", "qemu:dev_signal"))
def reset_queues_are_silent(view: View) -> Result:
    """Section 2.6.1.1.1: the device does not notify the driver for a queue that was reset.

    Checked: each reset of a queue that read as complete: QEMU raises no interrupt for it until it
    is enabled again or the device is reset.
    """
    return _silent(view, "dev_signal", "an interrupt is raised after the queue's reset")
