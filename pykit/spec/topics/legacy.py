# SPDX-License-Identifier: GPL-2.0-only
"""The legacy interface of PCI and MMIO (2.5.4, 2.7.2, 3.1.2, 4.1.4.10, 4.2.4, 6.4).

What a driver does is judged by the registers of the legacy structure in the I/O BAR, or of an MMIO
device of version 1. Guests of x86 have little-endian numbers, so that the byte order of the guest
is the modern one.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from pykit.spec import bits
from pykit.spec.arrays import Bools, Ints
from pykit.spec.model import Result, rule
from pykit.spec.registers import LEGACY, PCI, Registers, earlier, later, registers
from pykit.spec.topics.pci_registers import SEEN
from pykit.spec.view import View

NO_LEGACY = "no driver used the legacy interface"
PAGE, QUEUE_ALIGN = 4096, 4096
#: Fields that a device may change while they are read: offset and bytes, by type.
CHANGING = {"virtio-blk": (0, 8), "virtio-net": (0, 6)}
UNUSED_BIT = 30
#: cfg_type of the common configuration (4.1.4).
COMMON_CFG = 1


def _word(regs: Registers) -> Ints:
    """Return by row the window of the features that is selected: MMIO has a selection."""
    selects = regs.writes("device_feature_select")
    chosen = regs.value_at(earlier(selects, regs.span), 0)
    return np.where(regs.of(("legacy",)), 0, chosen)


def _accept_word(regs: Registers) -> Ints:
    chosen = regs.value_at(earlier(regs.writes("driver_feature_select"), regs.span), 0)
    return np.where(regs.of(("legacy",)), 0, chosen)


@rule("LG-ID-01", needs=SEEN)
def no_features_ok(view: View) -> Result:
    """Section 3.1.2: initialization by the legacy interface leaves out FEATURES_OK.

    Checked: each write to the status of the legacy interface: without FEATURES_OK. IN-DR-01 judges
    the other steps.
    """
    regs = registers(view)
    rows = regs.where(regs.of(LEGACY) & regs.writes("status"))
    return regs.check(
        rows,
        rows["value"] & bits.FEATURES_OK == 0,
        "{place}: FEATURES_OK in {value:#x}, which the legacy interface does not have",
        none=NO_LEGACY,
    )


@rule("LG-CD-01", needs=SEEN)
def changing_fields_are_read_again(view: View) -> Result:
    """Section 2.5.4: by the legacy interface, fields that may change are read until they agree.

    Checked: each run of reads that covers a block device's capacity or a network device's address:
    the same bytes are read a second time before anything else of the device is accessed. A run
    with which the trace ends counts if it was read twice.
    """
    regs = registers(view)
    types = {view.events.devices.get(d.id): d.type for d in view.events.capture.devices}
    begins = np.zeros(len(regs), dtype=np.bool_)
    again = np.zeros(len(regs), dtype=np.bool_)
    for dev in np.unique(regs.dev[regs.of(LEGACY)]).tolist():
        kind = types.get(dev, "")
        field = next((at for name, at in CHANGING.items() if kind.startswith(name)), None)
        if field is None:
            continue
        start, width = field
        for at, reads in _runs(regs, np.flatnonzero(regs.dev == dev), start, width):
            begins[at], again[at] = True, reads >= 2
    rows = regs.where(begins, again=again)
    return regs.check(
        rows,
        rows["again"],
        "{place}: a field that may change meanwhile is read only once",
        none="no such field was read by the legacy interface",
    )


def _runs(regs: Registers, rows: Ints, start: int, width: int) -> list[tuple[int, int]]:
    """Return where each run of reads of a field begins, and how often it reads all of it."""
    runs: list[tuple[int, int]] = []
    first, seen = -1, 0
    config = regs.on("config") & ~regs.write
    for at in rows.tolist():
        offset, size = int(regs.offset[at]), int(regs.size[at])
        inside = config[at] and start <= offset and offset + size <= start + width
        if inside:
            first, seen = (at if first < 0 else first), seen + size
        elif first >= 0:
            if seen >= width:
                runs.append((first, seen // width))
            first, seen = -1, 0
    # A last run that is read once may have been read again after the trace ended.
    if first >= 0 and seen >= 2 * width:
        runs.append((first, seen // width))
    return runs


@rule("LG-RE-03", needs=SEEN)
def any_layout_is_offered(view: View) -> Result:
    """Section 6.4: a transitional device offers ANY_LAYOUT on its legacy interface.

    Checked: each read of the lower 32 bits of the offer by the legacy interface of a PCI device
    that has virtio's capabilities, by the survey of the transports, or whose modern interface is
    used at another time. Undecided: other devices, which may have the legacy interface alone.
    """
    regs = registers(view)
    capable = view.of("survey_cap").filter(pl.col("cfg_type") == COMMON_CFG)["dev"].to_list()
    both = np.isin(regs.dev, capable) | regs.devices(PCI)
    mask = regs.of(LEGACY) & regs.reads("device_feature") & (_word(regs) == 0)
    rows = regs.where(mask & both)
    return regs.check(
        rows,
        rows["value"] >> bits.ANY_LAYOUT & 1 == 1,
        "{place}: ANY_LAYOUT is not offered ({value:#x})",
        undecided=int(np.count_nonzero(mask & ~both)),
        doubt="the device may have the legacy interface alone",
        none=NO_LEGACY,
    )


def _accepted(regs: Registers) -> Bools:
    """Return the last write of the lower 32 bits before each status write of DRIVER_OK."""
    ready = regs.of(LEGACY) & regs.writes("status") & (regs.value & bits.DRIVER_OK != 0)
    before = earlier(ready, regs.span) < 0
    found: Bools = ready & before
    return found


@rule("LG-RD-01", needs=SEEN)
def any_layout_is_accepted(view: View) -> Result:
    """Section 6.4: a transitional driver accepts ANY_LAYOUT where it is offered.

    Checked: each first DRIVER_OK by the legacy interface after a read of the offer with
    ANY_LAYOUT: the features that were written last have it. A driver without that write has
    accepted nothing.
    """
    regs = registers(view)
    offer = earlier(regs.reads("device_feature") & (_word(regs) == 0), regs.span)
    written = earlier(regs.writes("driver_feature") & (_accept_word(regs) == 0), regs.span)
    offered = (offer >= 0) & (regs.value_at(offer, 0) >> bits.ANY_LAYOUT & 1 == 1)
    rows = regs.where(_accepted(regs) & offered, accepted=regs.value_at(written, 0))
    return regs.check(
        rows,
        rows["accepted"] >> bits.ANY_LAYOUT & 1 == 1,
        "{place}: ANY_LAYOUT is offered and not accepted ({accepted:#x})",
        none="ANY_LAYOUT was not offered by a legacy interface",
    )


@rule("LG-RD-02", needs=SEEN)
def bit_30_is_not_negotiated(view: View) -> Result:
    """Section 6.4: a transitional driver does not negotiate feature bit 30.

    Checked: each write of the lower 32 bits of the features by the legacy interface.
    """
    regs = registers(view)
    rows = regs.where(regs.of(LEGACY) & regs.writes("driver_feature") & (_accept_word(regs) == 0))
    return regs.check(
        rows, rows["value"] >> UNUSED_BIT & 1 == 0, "{place}: bit 30 in {value:#x}", none=NO_LEGACY
    )


@rule("LG-SD-01", needs=SEEN)
def size_comes_from_the_device(view: View) -> Result:
    """Section 2.7.2: by the legacy interface the driver takes a queue's size from the device.

    Checked: each write of an address other than 0 to a queue's page number: the queue's size (in
    MMIO its maximum) was read before, since the last reset, and is not 0.
    """
    regs = registers(view)
    size = earlier(
        (regs.of(("legacy",)) & regs.reads("queue_size")) | regs.reads("queue_size_max"), regs.queue
    )
    pages = regs.of(LEGACY) & regs.writes("queue_pfn") & (regs.value != 0) & (regs.vq >= 0)
    rows = regs.where(pages & regs.begun, size=regs.value_at(size, 0))
    return regs.check(
        rows,
        rows["size"] > 0,
        "{place}: set up without its size being read from the device, or with size 0",
        none="no queue was set up by the legacy interface",
    )


def _setups(view: View) -> Ints:
    """Return by row of the registers the traced set-up of the queue: its index, or -1."""
    regs = registers(view)
    setups = view.of("queue").filter(op=0)
    place = {
        (dev, life, vq): number
        for number, (dev, life, vq) in enumerate(setups.select("dev", "life", "vq").iter_rows())
    }
    found = zip(regs.dev.tolist(), regs.life.tolist(), regs.vq.tolist(), strict=True)
    return np.array([place.get(where, -1) for where in found], dtype=np.int64)


@rule("LG-SD-03", needs=(SEEN, "driver:queue"), also=("LG-SD-02",))
def rings_are_contiguous(view: View) -> Result:
    """Section 2.7.2: by the legacy interface the parts of a queue follow each other in memory.

    Checked: each write of a page number to a queue whose set-up was traced: the descriptors begin
    at that page, the available ring right behind them, the used ring at the next multiple of the
    alignment (4096, or in MMIO QueueAlign). That places every byte of the formula's total.
    """
    regs = registers(view)
    setup = _setups(view)
    pages = regs.of(LEGACY) & regs.writes("queue_pfn") & (regs.value != 0) & (setup >= 0)
    # The driver's own set-up uses one size of pages in MMIO, which it has written.
    page = regs.value_at(earlier(regs.writes("page_size"), regs.dev), PAGE)
    align = regs.value_at(earlier(regs.writes("queue_align"), regs.queue), QUEUE_ALIGN)
    table = view.of("queue").filter(op=0)
    of = {
        name: table[name].cast(int).to_numpy()[setup] if table.height else setup
        for name in ("desc", "avail", "used", "size")
    }
    base = regs.value * np.where(regs.of(("legacy",)), PAGE, page)
    size = of["size"]
    align = np.maximum(np.where(regs.of(("legacy",)), QUEUE_ALIGN, align), 1)
    end = base + 16 * size + 2 * (3 + size)
    used = (end + align - 1) // align * align
    rows = regs.where(
        pages,
        right=(of["desc"] == base) & (of["avail"] == base + 16 * size) & (of["used"] == used),
        base=base,
    )
    return regs.check(
        rows,
        rows["right"],
        "{place}: the parts of the queue at {base:#x} are not where the legacy interface has them",
        none="no set-up of a queue by the legacy interface was traced",
    )


@rule("LG-PD-01", needs=SEEN)
def legacy_structure_is_used(view: View) -> Result:
    """Section 4.1.4.10: by the legacy interface a driver uses the structure in the first I/O BAR.

    Checked: each life that is driven by the legacy structure: until its next reset no access goes
    to the common configuration of the modern interface, as would be where both are mixed.
    """
    regs = registers(view)
    ready = _accepted(regs) & regs.of(("legacy",))
    mixed = later(regs.of(("common",)), regs.span) >= 0
    mixed |= earlier(regs.of(("common",)), regs.span) >= 0
    rows = regs.where(ready, alone=~mixed)
    return regs.check(
        rows, rows["alone"], "{place}: both interfaces are used at a time", none=NO_LEGACY
    )
