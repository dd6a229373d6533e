# SPDX-License-Identifier: GPL-2.0-only
"""Flushes that users of a disk ask for, and those that reach the device (section 5.2.5).

What users asked is the account of the program that did it: it prints how many of its flushes ended
well, behind its other figures, in the output of its step.
"""

from __future__ import annotations

import re

import polars as pl

from pykit.spec import bits
from pykit.spec.blkconfig import WRITEBACK
from pykit.spec.lives import Life, block_lives
from pykit.spec.model import Result, rule
from pykit.spec.rows import Tally
from pykit.spec.view import View

#: The line of blkio (guest/programs/blkio.c).
_FLUSHED = re.compile(r"^blkio: .*; (\d+) flushes$", re.MULTILINE)


@rule("BI-DR-01", needs=("driver:blk_start", "driver:features"), also=("BI-DR-03",))
def users_flushes_reach_the_device(view: View) -> Result:
    """Section 5.2.5.1: a driver with FLUSH can flush, and without CONFIG_WCE takes it for needed.

    Checked: each block device with FLUSH of whose users the guest's program completed flushes: the
    driver sent one at least. How many is left open, as a kernel may do several in one.

    - Lives in which the driver read or wrote that the cache is writethrough are left out: there is
      nothing to flush.
    - Undecided: the devices without flushes where there are several, as the program's account does
      not have which of them it flushed.
    """
    tally = Tally(none="no user of a disk is known to have flushed it")
    flushed = sum(
        int(count) for step in view.events.capture.steps for count in _FLUSHED.findall(step.output)
    )
    if not flushed:
        return tally.result()
    caching: dict[int, Life] = {}
    for life in block_lives(view, tally):
        if life.has(bits.BLK_FLUSH) and not _writethrough(life):
            caching.setdefault(life.dev, life)
    sent = set(view.of("blk_start").filter(pl.col("type") == bits.T_FLUSH)["dev"].unique())
    for dev, life in caching.items():
        if dev not in sent and len(caching) > 1:
            tally.undecided(doubt="which of the disks was flushed is not recorded")
            continue
        negotiated = life.negotiated
        assert negotiated is not None
        message = f"device {dev}: FLUSH is acknowledged, and none of {flushed} flushes was sent"
        tally.check(dev in sent, negotiated.row, message)
    return tally.result()


def _writethrough(life: Life) -> bool:
    """Return whether the driver knows that the cache is writethrough."""
    read = (value for _, value in life.reads(WRITEBACK.offset, WRITEBACK.width))
    written = (a.value for a in life.config if a.write and a.offset == WRITEBACK.offset)
    return 0 in (*read, *written)
