# SPDX-License-Identifier: GPL-2.0-only
"""Fields of a PCI device's configuration: which there are, how they are read (4.1.3, 4.1.4.6)."""

from __future__ import annotations

from itertools import pairwise

from pykit import pci
from pykit.spec import bits
from pykit.spec.blkconfig import FIELDS
from pykit.spec.lives import Access, Life
from pykit.spec.model import Result, rule
from pykit.spec.rows import Tally
from pykit.spec.survey import CONFIGURED, functions
from pykit.spec.view import View

_WORD = 4
#: Fields of 64 bits that are one number: offset, by device id.
_WIDE = {bits.BLK_ID: (0,)}


@rule("DX-30", needs="survey:survey_cap")
def structure_covers_its_fields(view: View) -> Result:
    """Section 4.1.4.6: the device configuration structure is there and has all fields of the offer.

    Checked: each surveyed capability of that type of a device that has such a structure: its length
    is not 0, and of a block device it covers the capacity and each field whose feature is offered.
    """
    tally = Tally(none="no PCI device with a configuration of its own was surveyed")
    for function in functions(view):
        if function.legacy or function.type not in CONFIGURED:
            continue
        for cap in function.structures(pci.DEVICE_CFG)[:1]:
            needed, name = 1, "any field"
            for field in FIELDS if function.type == bits.BLK_ID else ():
                offered = not field.offset or (field.feature and function.offered(field.feature))
                if offered and field.offset + field.width > needed:
                    needed, name = field.offset + field.width, field.name
            text = f"{function.name}: {cap.name} has {cap.length} bytes, too few for {name}"
            tally.check((cap.length or 0) >= needed, cap.row, text)
    return tally.result()


def _alone(halves: list[Access]) -> dict[int, bool]:
    """Return which halves (by offset) were read without, and which with, the other right before."""
    found: dict[int, set[bool]] = {}
    for before, now in pairwise(halves):
        found.setdefault(now.offset, set()).add(before.offset != now.offset)
    return {offset: len(kinds) == 2 for offset, kinds in found.items()}


def _halves(life: Life, offset: int) -> list[Access]:
    places = (offset, offset + _WORD)
    return [a for a in life.config if a.len == _WORD and not a.write and a.offset in places]


@rule("PL-DE-01", needs="driver:config")
def halves_are_independent(view: View) -> Result:
    """Section 4.1.3.1: each half of a 64-bit field can be read by itself.

    Checked: each read of one half of a block device's capacity from the second one on, in a life
    that read the half both right behind the other one and not: all reads have one value.

    Left out are lives in which the configuration changed, by a notification or by QEMU's log.
    """
    tally = Tally(none="no half of a 64-bit field was read with and without the other before")
    changed = set(view.of("dev_config_signal")["dev"].drop_nulls().to_list())
    for life in view.lives.values():
        if life.transport != "pci" or life.changes or life.dev in changed:
            continue
        for offset in _WIDE.get(life.id or 0, ()):
            halves = _halves(life, offset)
            for half, both in _alone(halves).items():
                mine = [a for a in halves if a.offset == half]
                for now in mine[1:] if both else ():
                    text = (
                        f"{life.name}: the half at {half} reads {mine[0].value:#x}, then"
                        f" {now.value:#x}"
                    )
                    tally.check(now.value == mine[0].value, (mine[0].row, now.row), text)
    return tally.result()
