# SPDX-License-Identifier: GPL-2.0-only
"""Addresses that an IOMMU translates (section 6.1), by what QEMU's log has of the IOMMU."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl

from pykit.spec import bits
from pykit.spec.model import Result, rule
from pykit.spec.rings import PACKED
from pykit.spec.rows import Tally
from pykit.spec.topics.framing import area_lengths
from pykit.spec.view import View
from pykit.trace.kinds import SET_UP

#: What an IOMMU maps at least: of a page it grants all or nothing.
_PAGE = 12
#: The areas of a ring, and whether a device reads and writes them: split, packed.
_AREAS = (
    ("desc", (True, False), (True, True)),
    ("avail", (True, False), (True, False)),
    ("used", (False, True), (False, True)),
)
_NEVER = 1 << 62


class _Given(NamedTuple):
    """Memory that a driver gave a device: its pages, for what, and the event that shows it."""

    pages: range
    read: bool
    write: bool
    row: int
    what: str


class _Fault(NamedTuple):
    """An access that the IOMMU refused."""

    row: int
    addr: int
    write: bool


@rule(
    "RF-DR-04",
    needs=("driver:features", "driver:queue", "qemu:dev_status", "qemu:dev_translation"),
    contents=True,
)
def addresses_are_translated(view: View) -> Result:
    """Section 6.1: with ACCESS_PLATFORM the driver turns the IOMMU off, or sets up what it needs.

    Checked: each life with ACCESS_PLATFORM negotiated of a device for which QEMU's log has the
    state of Intel's IOMMU. While it passes addresses on as they are, the clause is kept. While it
    translates them, it refused no access to memory that the driver had given: areas of rings, and
    buffers and tables of chains that did not come back. A read counts where the device is to read,
    a write where it is to write. Pages are compared, of which an IOMMU grants all or nothing.

    Undecided: it refused others, which the device may have made up, or kept from before: what came
    back or was an earlier life's is not the device's any more. Or it refused none, and nothing came
    back.
    """
    tally = Tally(none="no device with ACCESS_PLATFORM negotiated is behind an IOMMU")
    for (dev, number), life in view.lives.items():
        if not life.has(bits.ACCESS_PLATFORM):
            continue
        span = _span(view, dev, number)
        if span is None:
            continue
        states = _states(view, dev, span)
        if not states:
            continue
        if len({enabled for _, enabled in states}) > 1:
            tally.undecided(doubt="the IOMMU was switched meanwhile")
            continue
        state, translates = states[0]
        if not translates:
            tally.check(True, state, "")
            continue
        faults = _faults(view, dev, span)
        named = _named(view, (dev, number), faults) if faults else ()
        for fault, mine in named:
            text = (
                f"{life.name}: the IOMMU refused a {'write' if fault.write else 'read'} at"
                f" {fault.addr:#x}, where the driver had given {mine.what}"
            )
            tally.check(False, (fault.row, mine.row), text)
        if faults and not named:
            tally.undecided(doubt="the IOMMU refused accesses to what the driver had not given")
        elif not faults and _returned(view, dev, number):
            tally.check(True, state, "")
        elif not faults:
            tally.undecided(doubt="nothing came back")
    return tally.result()


def _span(view: View, dev: int, number: int) -> tuple[int, int] | None:
    """Return when a life begins in QEMU's log, and when the reset comes that ends it."""
    seen = view.of("dev_status").filter(pl.col("dev") == dev).drop_nulls("ts")
    mine = seen.filter((pl.col("life") == number) & (pl.col("status") != 0))["ts"].to_list()
    if not mine:
        return None
    resets = seen.filter((pl.col("status") == 0) & (pl.col("ts") > mine[0]))["ts"].to_list()
    return mine[0], min(resets, default=_NEVER)


def _states(view: View, dev: int, span: tuple[int, int]) -> list[tuple[int, int]]:
    """Return (row, whether it translates) of the IOMMU when a life begins, and changes in it."""
    seen = view.of("dev_translation").filter(pl.col("dev") == dev).drop_nulls("ts").sort("ts")
    states = list(seen.select("ts", "row", "enabled").iter_rows())
    before = [state for state in states if state[0] <= span[0]]
    within = [state for state in states if span[0] < state[0] < span[1]]
    return [(row, enabled) for _, row, enabled in (*before[-1:], *within)]


def _faults(view: View, dev: int, span: tuple[int, int]) -> list[_Fault]:
    """Return a device's accesses in a life that the IOMMU refused."""
    seen = view.of("dev_dma_fault").filter(
        pl.col("dev") == dev, pl.col("ts") >= span[0], pl.col("ts") < span[1]
    )
    found = seen.select("row", "addr", "write").iter_rows()
    return [_Fault(row, addr, bool(write)) for row, addr, write in found]


def _named(view: View, life: tuple[int, int], faults: list[_Fault]) -> list[tuple[_Fault, _Given]]:
    """Return refused accesses to what a life's driver had given, each page once, with that."""
    found = {(fault.addr >> _PAGE, fault.write): fault for fault in reversed(faults)}
    pages = sorted({page for page, _ in found})
    former: set[int] = set()
    given: dict[tuple[int, bool], _Given] = {}
    for (dev, number), back, mine in (*_areas(view), *_buffers(view)):
        # A descriptor may name gigabytes.
        some = pages[bisect_left(pages, mine.pages.start) : bisect_left(pages, mine.pages.stop)]
        if dev == life[0] and (number < life[1] or (number == life[1] and back)):
            former.update(some)
        elif (dev, number) == life:
            for write in (False, True):
                if mine.write if write else mine.read:
                    given |= {(page, write): mine for page in some}
    return [
        (found[place], mine)
        for place, mine in given.items()
        if place in found and place[0] not in former
    ]


def _areas(view: View) -> Iterator[tuple[tuple[int, int], bool, _Given]]:
    """Yield the areas of all rings, with their lives.

    Of a queue that was reset and set up again in one life (section 2.6.1) they count as back.
    """
    setups = view.of("queue").filter(pl.col("op") == SET_UP)
    setups = setups.with_columns(again=pl.len().over("dev", "life", "vq") > 1)
    names = [name for name, _, _ in _AREAS]
    columns = ("dev", "life", "again", "vq", "row", "size", "layout", *names)
    for dev, life, again, vq, row, size, layout, *starts in setups.select(columns).iter_rows():
        packed = layout == PACKED
        lengths = area_lengths(size, packed=packed)
        for (name, *uses), start, length in zip(_AREAS, starts, lengths, strict=True):
            read, write = uses[packed]
            what = f"the {name} area of queue {vq}"
            yield (dev, life), again, _Given(_pages(start, length), read, write, row, what)


def _buffers(view: View) -> Iterator[tuple[tuple[int, int], bool, _Given]]:
    """Yield the buffers and tables of all chains, with their lives, and whether they came back."""
    rings, chains = view.rings, view.chains
    back = view.pairs.used_of[chains.chain] >= 0
    addresses = chains.addr.astype(np.uint64)
    for at in np.flatnonzero(chains.good & (chains.len > 0)).tolist():
        dev, life, vq = rings.queue[int(chains.q[at])]
        pages = _pages(int(addresses[at]), int(chains.len[at]))
        write = bool(chains.flags[at] & bits.WRITE)
        mine = _Given(pages, not write, write, int(chains.row[at]), f"a buffer of queue {vq}")
        yield (dev, life), bool(back[at]), mine


def _pages(start: int, length: int) -> range:
    return range(start >> _PAGE, (start + length - 1 >> _PAGE) + 1)


def _returned(view: View, dev: int, number: int) -> bool:
    """Return whether a buffer came back in a life."""
    mine = (pl.col("dev") == dev) & (pl.col("life") == number)
    return not view.of("used").filter(mine).is_empty()
