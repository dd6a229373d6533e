# SPDX-License-Identifier: GPL-2.0-only
"""What a driver gave the device of each queue, by the registers of PCI and MMIO.

A device that was given another ring than the driver uses, or no queue at all, cannot serve it: what
it does with that queue proves nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pykit.spec import bits
from pykit.spec.accepted import accepted_words
from pykit.spec.arrays import Bools, Ints
from pykit.spec.registers import (
    ADDRESSES,
    HALVES,
    MMIO,
    PCI,
    Registers,
    earlier,
    later,
    notifications,
    registers,
)
from pykit.trace.kinds import SET_UP

if TYPE_CHECKING:
    from pykit.spec.view import View

Place = tuple[int, int, int]


def enablings(regs: Registers, structures: tuple[str, ...]) -> Bools:
    """Return writes that enable a queue of devices whose reset was seen."""
    found: Bools = (
        regs.of(structures) & regs.writes("queue_enable") & (regs.value == 1) & regs.begun
    )
    return found & (regs.vq >= 0)


def in_parts(regs: Registers, *names: str) -> Bools:
    """Return by row whether one of these registers of the queue was written in part since it was
    written as a whole: what the device has there is for no rule to know.
    """
    found = np.zeros(len(regs), dtype=np.bool_)
    for name in names:
        written = regs.on(name) & regs.write
        part = earlier(written & regs.part, regs.queue)
        found |= part > earlier(written & ~regs.part, regs.queue)
    return found


def given_rings(regs: Registers) -> Ints:
    """Return by row the queue's three addresses and size as written so far; -1: not known."""
    found = []
    for low, high in zip(ADDRESSES, HALVES, strict=True):
        last = regs.value_at(earlier(regs.writes(low), regs.queue))
        upper = regs.value_at(earlier(regs.writes(high), regs.queue), 0)
        known = (last >= 0) & ~in_parts(regs, low, high)
        found.append(np.where(known, upper << 32 | last, -1))
    written = regs.value_at(earlier(regs.writes("queue_size"), regs.queue))
    read = regs.value_at(earlier(regs.reads("queue_size"), regs.queue))
    size = np.where(written >= 0, written, read)
    found.append(np.where(in_parts(regs, "queue_size"), -1, size))
    return np.stack(found, axis=1)


def rings_given(view: View, enabling: Bools) -> tuple[Ints, Bools, Bools]:
    """Return by row what was given so far; and of rows that enable a queue: whether that and the
    driver's set-up of the queue are known, and whether it is the ring of a set-up.

    A driver that resets the queue alone afterwards may have had another ring until then, of which
    no set-up was traced.
    """
    regs = registers(view)
    given = given_rings(regs)
    setups = view.keep("traced set-ups", _traced_setups)
    reset = later(regs.writes("queue_reset"), regs.queue) >= 0
    known, right = (np.zeros(len(regs), dtype=np.bool_) for _ in range(2))
    for i in np.flatnonzero(enabling).tolist():
        used = setups.get(_place(regs, i), [])
        right[i] = tuple(given[i].tolist()) in used
        known[i] = bool(used) and -1 not in given[i] and (right[i] or not reset[i])
    return given, known, right


def _place(regs: Registers, i: int) -> Place:
    return int(regs.dev[i]), int(regs.life[i]), int(regs.vq[i])


def _traced_setups(view: View) -> dict[tuple[int, int, int], list[tuple[int, ...]]]:
    """Return the addresses and sizes of the set-ups of each queue of a driver's life."""
    found: dict[tuple[int, int, int], list[tuple[int, ...]]] = {}
    columns = ("dev", "life", "vq", "desc", "avail", "used", "size")
    setups = view.of("queue").filter(op=SET_UP).drop_nulls(["dev", "life", "vq"])
    for dev, life, vq, *ring in setups.select(columns).iter_rows():
        found.setdefault((dev, life, vq), []).append(tuple(ring))
    return found


def never_enabled(view: View) -> Bools:
    """Return by row: the last address of a queue that the driver had not enabled at DRIVER_OK."""
    regs = registers(view)
    ready = regs.writes("status") & (regs.value & bits.DRIVER_OK != 0)
    follows = later(ready, regs.span)
    enabling = regs.on("queue_enable") & regs.write
    enabled = (earlier(enabling, regs.queue) >= 0) | (later(enabling, regs.queue) >= 0)
    last = regs.of(PCI + MMIO) & regs.on(ADDRESSES[-1]) & regs.write & regs.begun & (regs.vq >= 0)
    last &= later(last, regs.queue) < 0
    found: Bools = last & (follows >= 0) & ~enabled
    return found


def misgiven(view: View) -> Bools:
    """By queue: the driver gave the device another ring than it uses, here or for another queue of
    the device; or it wrote a register of it in parts, or did not enable it, or does not agree with
    the device on the features, as it may where it accepts some of an offer that it has not read.
    """
    return view.keep("queues misgiven", _misgiven)


def _misgiven(view: View) -> Bools:
    queues = view.rings.queue
    found = np.array([view.life(dev, life).at_odds for dev, life, _ in queues], dtype=np.bool_)
    if not {"register", "acc_register"} & view.kinds:
        return found
    regs = registers(view)
    writes, held, _ = accepted_words(view)
    unread = {(int(regs.dev[i]), int(regs.life[i])) for i in np.flatnonzero(writes & ~held)}
    found |= np.array([(dev, life) in unread for dev, life, _ in queues], dtype=np.bool_)
    _, known, right = rings_given(view, enabling := enablings(regs, PCI + MMIO))
    elsewhere = enabling & known & ~right
    wrong = never_enabled(view) | enabling & in_parts(regs, *ADDRESSES, *HALVES, "queue_size")
    places = {_place(regs, i) for i in np.flatnonzero(wrong).tolist()}
    # Where the device writes used entries instead may be the ring of another queue.
    beside = {_place(regs, i)[:2] for i in np.flatnonzero(elsewhere).tolist()}
    found |= np.array([name[:2] in beside for name in queues], dtype=np.bool_)
    return found | np.array([name in places for name in queues], dtype=np.bool_)


def reset_alone(view: View, place: Place) -> bool | None:
    """Return whether a queue (dev, life, vq) was reset by itself; None where no log shows it."""
    if not {"register", "acc_register"} & view.kinds:
        return None
    regs = registers(view)
    mine = (regs.dev == place[0]) & (regs.life == place[1]) & (regs.vq == place[2])
    if not (mine & regs.on("queue_enable") & regs.write).any():
        return None
    return bool((mine & regs.on("queue_reset") & regs.write).any())


def without_vector(view: View) -> Bools:
    """By queue: the last that its vector register was written with, or read as, is no vector.

    A driver that writes none has its interrupts without MSI-X.
    """
    found = np.zeros(len(view.rings.queue), dtype=np.bool_)
    if not {"register", "acc_register"} & view.kinds:
        return found
    regs = registers(view)
    ready = regs.writes("status") & (regs.value & bits.DRIVER_OK != 0)
    mine = regs.of(PCI) & regs.on("queue_vector") & regs.known & (later(ready, regs.span) >= 0)
    written = earlier(mine & regs.write, regs.queue) >= 0
    mine &= regs.write | written
    last = mine & (later(mine, regs.queue) < 0) & (regs.value == bits.NO_VECTOR)
    places = {_place(regs, i) for i in np.flatnonzero(last).tolist()}
    return np.array([name in places for name in view.rings.queue], dtype=np.bool_)


def misnotified(view: View, q: int) -> tuple[str, tuple[int, ...]] | None:
    """Return why no notification of a queue reaches the device, and the row of the last one; None
    if one may.

    Each is a write to a part of the register, or names another queue; or there are fewer than the
    driver's core reports, which is its intention. By the registers, where they show any.
    """
    if not {"register", "acc_register"} & view.kinds:
        return None
    rings = view.rings
    dev, life, vq = rings.queue[q]
    seen = notifications(view)
    mine = np.flatnonzero((seen.dev == dev) & (seen.life == life) & seen.write)
    if not len(mine):
        return None
    ours, last = mine[seen.vq[mine] == vq], int(mine[-1])
    if len(ours) and seen.part[ours].all():
        return f"wrote {seen.size[ours[-1]]} bytes of the register", (int(seen.row[ours[-1]]),)
    known = {rings.queue[other][2] for other in rings.of_life[dev, life]}
    reported = rings.of("notify").of_queue(q)
    # Those that an eventfd takes are in no log: the other ones are so few then.
    if len(reported) // 2 < len(ours) < len(reported):
        words = f"{len(ours)} of {len(reported)} notifications reached the register"
        return words, (int(seen.row[ours[-1]]),)
    if len(ours) or int(seen.vq[last]) in known:
        return None
    return f"named queue {seen.vq[last]}", (int(seen.row[last]),)
