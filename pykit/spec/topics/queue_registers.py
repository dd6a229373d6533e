# SPDX-License-Identifier: GPL-2.0-only
"""Setting queues up and stopping them, by the registers of PCI and MMIO (4.1.4.3, 4.2.2)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import Bools, Ints
from pykit.spec.given import Place, enablings, given_rings, never_enabled, rings_given
from pykit.spec.model import Result, Violation, rule
from pykit.spec.registers import (
    ADDRESSES,
    HALVES,
    MMIO,
    NONE,
    PCI,
    Registers,
    earlier,
    later,
    registers,
    sooner,
)
from pykit.spec.rows import Tally
from pykit.spec.topics.pci_registers import SEEN
from pykit.spec.view import View

NO_SETUP = "no queue was enabled"


def _since(regs: Registers) -> Ints:
    """Return a key of the queue since its last reset: what was written before has gone."""
    again = regs.writes("queue_reset") & (regs.value == 1)
    last = earlier(again, regs.queue)
    pairs = np.stack([regs.queue, last])
    return np.unique(pairs, axis=1, return_inverse=True)[1].reshape(-1).astype(np.int64)


def unset(regs: Registers, enabling: Bools) -> Bools:
    """Return which enablings lack an address of the queue since its last reset."""
    key = _since(regs)
    missing = np.zeros(len(regs), dtype=np.bool_)
    for name in ADDRESSES:
        missing |= earlier(regs.on(name) & regs.write, key) < 0
    return missing & enabling


@rule("PM-DR-04", needs=SEEN)
def configured_before_enabled(view: View) -> Result:
    """Section 4.1.4.3.2: the driver configures a queue before it enables it.

    Checked: each write of 1 to queue_enable in a span whose reset was seen: the three addresses
    of the queue were written since the last reset of device and queue; and no write to size,
    addresses or vector of this queue comes after it, until it is reset. Upper halves of addresses
    and the size may keep their defaults.
    """
    regs = registers(view)
    enabling = enablings(regs, PCI)
    rows = regs.where(enabling, whole=~unset(regs, enabling))
    result = regs.check(
        rows, rows["whole"], "{place}: enabled before all its addresses are set", none=NO_SETUP
    )
    after = regs.of(PCI) & regs.enabled & regs.write
    after &= regs.on("queue_size", "queue_vector", *ADDRESSES, *HALVES)
    late = regs.where(after)
    return result.reporting(
        late.violations(np.zeros(len(late), dtype=np.bool_), "{place}: {access} set when enabled")
    )


@rule("DX-104", needs=(SEEN, "driver:driver"))
def one_queue_without_mq(view: View) -> Result:
    """Sections 5.2.2 and 5.2.3: a block device has one queue where MQ was not negotiated.

    Checked: each queue of a block device that its driver enables, by the features that it wrote:
    without MQ it is the first one.
    """
    regs = registers(view)
    rows = regs.where(enablings(regs, PCI + MMIO) & (regs.accepted(bits.BLK_MQ) == 0))
    disk = [
        view.life(*name).id == bits.BLK_ID
        for name in zip(rows["dev"].tolist(), rows["life"].tolist(), strict=True)
    ]
    rows = rows.where(np.array(disk, dtype=np.bool_))
    text = "{place}: enabled, and MQ is not negotiated"
    return regs.check(rows, rows["vq"] == 0, text, none="no disk without MQ was set up")


@rule("DX-72", needs=(SEEN, "driver:queue"))
def device_is_given_the_ring(view: View) -> Result:
    """Sections 4.1.5.1.3 and 4.2.3.2: the device gets the addresses and the size of the ring that
    the driver uses.

    Checked: each write that enables a queue of which the driver's set-up was traced: the three
    addresses and the size, as they were written last, are those of a set-up of that queue in the
    same life. A size that was not written is the one that was read.

    Undecided: a queue whose set-up, addresses or size were not recorded; and a ring that is of no
    set-up, where the queue is reset alone later: its driver may have had another one until then.
    """
    regs = registers(view)
    enabling = enablings(regs, PCI + MMIO)
    given, known, right = rings_given(view, enabling)
    rows = regs.where(
        enabling & known,
        right=right,
        **dict(zip(("desc", "avail", "used", "queue_size"), given.T, strict=True)),
    )
    return regs.check(
        rows,
        rows["right"],
        "{place}: the device is given {queue_size} descriptors at {desc:#x}, its other parts at"
        " {avail:#x} and {used:#x}, which is not the ring that the driver uses",
        undecided=int(np.count_nonzero(enabling & ~known)),
        doubt="the queue's set-up, addresses or size were not recorded",
        none=NO_SETUP,
    )


#: Of a ring with a part that is not aligned; behind it the three alignments.
UNALIGNED = "the parts of the ring at {desc:#x}, {avail:#x} and {used:#x} are not aligned"


def aligned(view: View, alignments: tuple[int, int, int], *, packed: bool) -> Result:
    """Check the addresses that were written of each queue with a ring of one layout, when it is
    enabled: each is a multiple of its alignment.
    """
    regs = registers(view)
    enabling = enablings(regs, PCI + MMIO) & (regs.accepted(bits.RING_PACKED) == packed)
    given = given_rings(regs)[:, :3]
    rows = regs.where(
        enabling & (given >= 0).all(axis=1),
        right=(given % alignments == 0).all(axis=1),
        **dict(zip(("desc", "avail", "used"), given.T, strict=True)),
    )
    return rows.check(rows["right"], f"{{place}}: {UNALIGNED} {alignments}")


@rule("MR-DR-17", needs=SEEN)
def ready_queues_are_left_alone(view: View) -> Result:
    """Section 4.2.2.2: the driver does not access a queue's size and addresses while it is ready.

    Checked: each access to QueueSize and the registers of addresses: QueueReady of the selected
    queue has not been set since the last reset, or was cleared again.
    """
    regs = registers(view)
    rows = regs.where(
        regs.of(MMIO) & regs.on("queue_size", *ADDRESSES, *HALVES) & (regs.vq >= 0),
        free=~regs.enabled,
    )
    return regs.check(rows, rows["free"], "{place}: access to {access} while the queue is ready")


@rule("MR-DR-16", needs=SEEN)
def size_is_within_the_maximum(view: View) -> Result:
    """Section 4.2.2.2: the driver writes no larger QueueSize than QueueSizeMax.

    Checked: each write to QueueSize, by the last QueueSizeMax that was read for the queue. A size
    without one is undecided.
    """
    regs = registers(view)
    key = regs.queue_of_device
    most = regs.value_at(earlier(regs.reads("queue_size_max"), key))
    mask = regs.of(("mmio", "mmio-legacy")) & regs.writes("queue_size") & (regs.vq >= 0)
    return _at_most(regs, mask, most, doubt="QueueSizeMax was not read")


def _at_most(regs: Registers, mask: Bools, most: Ints, *, doubt: str, none: str = NONE) -> Result:
    """Check the sizes written by the largest ones, ``most``; -1: it is not known."""
    rows = regs.where(mask & (most >= 0), most=most)
    return regs.check(
        rows,
        rows["value"] <= rows["most"],
        "{place}: size {value}, the device takes {most}",
        undecided=int(np.count_nonzero(mask & (most < 0))),
        doubt=doubt,
        none=none,
    )


@rule("DX-75", needs=SEEN)
def size_is_not_raised(view: View) -> Result:
    """Section 4.1.4.3: queue_size shows the most that a queue can have, and may be lowered.

    Checked: each write to queue_size, by the value that was read of the queue in the same span
    before anything was written to it.

    Undecided: a size without such a read: the driver may know the device.
    """
    regs = registers(view)
    mask = regs.of(PCI) & regs.writes("queue_size") & (regs.vq >= 0)
    return _at_most(
        regs,
        mask,
        _most(regs),
        doubt="the size was not read before",
        none="no size of a queue was written",
    )


@rule("DX-35", needs=SEEN)
def oversized_rings_are_kept_to(view: View) -> Result:
    """Section 4.1.4.3: a queue_size above what the device showed leads it to no slot that its
    driver has not given it.

    Checked: each look behind the last slot of the used ring of a queue to which more was written
    than had been read of it since the reset: the device has written nothing there. That it keeps
    its own size, takes the larger one, or asks for a reset are all right. Slots that it reads, and
    what it has in its own memory, are not visible.

    Undecided: a ring with fewer slots than the register showed behind the write, where the device
    may write on.
    """
    regs = registers(view)
    written = regs.of(PCI) & regs.writes("queue_size") & (regs.vq >= 0)
    most = _most(regs)
    over = np.flatnonzero(written & (regs.value > most) & (most >= 0))
    shown = regs.value_at(later(regs.reads("queue_size"), regs.queue))
    raised: dict[Place, int] = {}
    for i in over.tolist():
        place = int(regs.dev[i]), int(regs.life[i]), int(regs.vq[i])
        raised[place] = int(shown[i])
    tally = Tally(none="no ring was used whose queue was given too large a size")
    for row, dev, life, vq, size, looked, stored, slot in _looks(view):
        if (dev, life, vq) not in raised:
            continue
        if raised[dev, life, vq] > size:
            tally.undecided(doubt="the register shows more slots than the driver gave")
            continue
        text = f"device {dev}, life {life}, queue {vq}: the device has written {stored} of the"
        text += f" {looked} slots behind the {size} of the used ring, the first one at {slot}"
        tally.check(not stored, (row,), text)
    return tally.result()


def _most(regs: Registers) -> Ints:
    """The size of each access's queue that was read before anything was written to it, or -1."""
    written = earlier(regs.on("queue_size") & regs.write, regs.queue) >= 0
    return regs.value_at(earlier(regs.reads("queue_size") & ~written, regs.queue))


def _looks(view: View) -> Iterator[tuple[int, ...]]:
    names = ("row", "dev", "life", "vq", "size", "looked", "stored", "slot")
    yield from view.of("beyond").select(names).iter_rows()


@rule("MR-DR-19", needs=SEEN, also=("MR-DR-18",))
def stopped_queues_are_read_back(view: View) -> Result:
    """Section 4.2.2.2: a driver stops a queue by QueueReady 0, and reads the register back.

    Checked: each write of 0 to QueueReady: the register of this queue is read before it is
    written again and before the next reset. A driver that stops its queues by a reset of the
    device writes no 0, which is left out. Undecided: the trace ends before either.
    """
    regs = registers(view)
    stops = regs.of(MMIO) & regs.writes("queue_enable") & (regs.value == 0) & (regs.vq >= 0)
    read = later(regs.reads("queue_enable"), regs.queue)
    again = later(regs.writes("queue_enable"), regs.queue)
    ended = later(regs.on("status") & regs.write & (regs.value == 0), regs.dev)
    ends = sooner(again, ended)
    verified = (read >= 0) & ((ends < 0) | (read < ends))
    decided = verified | (ends >= 0)
    rows = regs.where(stops & decided, verified=verified)
    return regs.check(
        rows,
        rows["verified"],
        "{place}: 0 written to QueueReady, which was not read back",
        undecided=int(np.count_nonzero(stops & ~decided)),
        doubt="the trace ends there",
        none="no queue was stopped",
    )


def enabled_never(view: View) -> Iterator[Violation]:
    """Report queues whose addresses a driver wrote, and which it had not enabled at DRIVER_OK."""
    rows = registers(view).where(never_enabled(view))
    text = "{place}: not enabled when DRIVER_OK is written"
    yield from rows.violations(np.zeros(len(rows), dtype=np.bool_), text)


def enabled_late(view: View) -> Iterator[Violation]:
    """Report queues that are enabled for the first time since a reset after DRIVER_OK."""
    regs = registers(view)
    ready = earlier(regs.writes("status") & (regs.value & bits.DRIVER_OK != 0), regs.span)
    renewed = earlier(regs.writes("queue_reset"), regs.queue)
    before = earlier(regs.writes("queue_enable") & (regs.value == 1), regs.queue)
    late = enablings(regs, PCI + MMIO) & (ready >= 0) & (renewed < 0) & (before < 0)
    rows = regs.where(late)
    yield from rows.violations(
        np.zeros(len(rows), dtype=np.bool_), "{place}: enabled after DRIVER_OK"
    )
