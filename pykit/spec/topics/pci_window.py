# SPDX-License-Identifier: GPL-2.0-only
"""The PCI configuration access capability (4.1.4.9): a window from the configuration space into
virtio's structures.

The driver writes bar, offset and length, and then reads or writes pci_cfg_data. QEMU's log has
these accesses without their width; a register's own width is the window's length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pykit import pci
from pykit.spec.model import Result, rule
from pykit.spec.rows import Tally
from pykit.spec.survey import (
    FEATURE,
    FEATURE_SELECT,
    NOT_SHOWN,
    NUM_QUEUES,
    Cap,
    ConfigAccess,
    Function,
    accesses,
)
from pykit.spec.view import View

#: Fields of the capability that a driver writes, as offsets in it.
_BAR, _OFFSET, _LENGTH, _DATA = 4, 8, 12, 16
NONE = "no driver used the PCI configuration access capability"
_HALF = (1 << 32) - 1


@dataclass
class _Window:
    """Where a capability's window is: what the driver wrote last, by field."""

    fields: dict[int, tuple[int, int]] = field(default_factory=dict)

    @property
    def place(self) -> tuple[int, int, int] | None:
        """Return bar, offset and length, None before the driver has written all of them."""
        if len(self.fields) < 3:
            return None
        return self.fields[_BAR][1], self.fields[_OFFSET][1], self.fields[_LENGTH][1]

    def rows(self, access: ConfigAccess) -> list[int]:
        """Return the rows of an access to the data and of the writes that placed the window."""
        return sorted({access.row, *(row for row, _ in self.fields.values())})


@dataclass(frozen=True)
class _Use:
    """An access to pci_cfg_data, with the window's place and the rows that show both."""

    access: ConfigAccess
    place: tuple[int, int, int] | None
    rows: list[int]

    @property
    def text(self) -> str:
        """Return the beginning of a message."""
        bar, offset, length = self.place or (0, 0, 0)
        return f"{self.access.function.name}: {length} bytes at {offset:#x} of BAR {bar}"


def _uses(view: View) -> Iterator[_Use]:
    """Return accesses to pci_cfg_data in log order."""
    windows: dict[tuple[int | None, int], _Window] = {}
    for access in accesses(view):
        cap = access.cap
        if cap is None or cap.cfg_type != pci.PCI_CFG:
            continue
        window = windows.setdefault((access.function.dev, cap.pos), _Window())
        at = access.offset - cap.pos
        if at >= _DATA:
            yield _Use(access, window.place, window.rows(access))
        elif access.write and at in (_BAR, _OFFSET, _LENGTH):
            value = access.value & 0xFF if at == _BAR else access.value
            window.fields[at] = (access.row, value)


@rule("PX-DR-01", needs="qemu:dev_pci_config", local=True)
def window_is_aligned(view: View) -> Result:
    """Section 4.1.4.9.2: the offset of the window is a multiple of its length.

    Checked: each logged access to pci_cfg_data after the window was placed. Between the writes of
    offset and length they need not fit, as one of them is written first.
    """
    tally = Tally(none=NONE, doubt="the window was placed before the log began")
    for use in _uses(view):
        if use.place is None:
            tally.undecided()
            continue
        _, offset, length = use.place
        tally.check(length > 0 and offset % length == 0, use.rows, use.text)
    return tally.result()


@rule("PX-DR-02", needs="qemu:dev_pci_config", local=True)
def window_is_in_a_structure(view: View) -> Result:
    """Section 4.1.4.9.2: the driver accesses pci_cfg_data only while the window lies within the
    range of another capability of virtio's, which is not for configuration access.

    Checked: each logged access to pci_cfg_data after the window was placed.
    """
    tally = Tally(none=NONE, doubt="the window was placed before the log began")
    for use in _uses(view):
        if use.place is None:
            tally.undecided()
            continue
        structures = use.access.function.virtio
        good = any(_inside(cap, use.place) for cap in structures)
        tally.check(good, use.rows, f"{use.text}, where no structure is")
    return tally.result()


def _inside(cap: Cap, place: tuple[int, int, int]) -> bool:
    """Return whether a window lies in the structure of a capability."""
    bar, offset, length = place
    if cap.cfg_type in (pci.PCI_CFG, pci.VENDOR_CFG) or cap.start is None or cap.length is None:
        return False
    return cap.bar == bar and cap.start <= offset and offset + length <= cap.start + cap.length


def _at(function: Function, register: tuple[int, int], place: tuple[int, int, int] | None) -> bool:
    """Return whether a window shows exactly a register of the common configuration."""
    offset, width = register
    return any(
        place == (cap.bar, cap.start + offset, width)
        for cap in function.structures(pci.COMMON_CFG)
        if cap.start is not None
    )


@rule("PX-DE-03", needs=("qemu:dev_pci_config", "survey:survey_register"), local=True)
def window_reads_the_register(view: View) -> Result:
    """Section 4.1.4.9.1: a read of pci_cfg_data reads as many bytes as the window has from there.

    Checked: each logged read while the window shows num_queues, which never changes: its bytes are
    those that the survey read at the register itself.
    """
    tally = Tally(none="no driver read num_queues by the PCI configuration access capability")
    for use in _uses(view):
        function = use.access.function
        wanted = function.value("common", NUM_QUEUES)
        if use.access.write or wanted is None or not _at(function, NUM_QUEUES, use.place):
            continue
        found = use.access.value & 0xFFFF
        rows = [*use.rows, function.row_of("common", NUM_QUEUES)]
        tally.check(found == wanted, rows, f"{use.text} read {found:#x}, the register {wanted:#x}")
    return tally.result()


@rule("PX-DE-02", needs=("qemu:dev_pci_config", "survey:survey_register"), local=True)
def window_writes_the_register(view: View) -> Result:
    """Section 4.1.4.9.1: a write of pci_cfg_data writes as many bytes as the window has to there.

    Checked: each logged read while the window shows device_feature, after a write while it showed
    device_feature_select: the half of the offer that was selected. What the device offers is known
    from the survey, QMP or a negotiation. A device that kept the written bytes for itself would
    show the half that was selected before. Features that are not known are not compared, nor are
    those that QMP lists and the modern interface does not show.

    Undecided: a half of which no feature is known.
    """
    tally = Tally(
        none="no driver selected features by the PCI configuration access capability",
        doubt="the offer is not known",
    )
    selected: dict[int | None, _Use] = {}
    for use in _uses(view):
        function = use.access.function
        if use.access.write and _at(function, FEATURE_SELECT, use.place):
            selected[function.dev] = use
        if use.access.write or not _at(function, FEATURE, use.place):
            continue
        before = selected.get(function.dev)
        if before is None or before.access.value > 1:
            continue
        shift = 32 * before.access.value
        known = (function.windows & ~NOT_SHOWN) >> shift & _HALF
        if not known:
            tally.undecided()
            continue
        wanted = function.offers >> shift & known
        text = (
            f"{use.text} read {use.access.value:#x}, and half {before.access.value} is {wanted:#x}"
        )
        tally.check(use.access.value & known == wanted, [*before.rows, *use.rows], text)
    return tally.result()
