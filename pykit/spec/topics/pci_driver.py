# SPDX-License-Identifier: GPL-2.0-only
"""What a driver does with a PCI function's identity (4.1.2.2) and capabilities (4.1.4.1, 4.1.4.9).

QEMU logs accesses to configuration spaces without their width; the survey says where the
capabilities are. A driver is all of the guest here: firmware and the PCI core, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from pykit import pci
from pykit.spec import bits
from pykit.spec.model import Result, rule
from pykit.spec.rows import Tally
from pykit.spec.survey import MODERN, STATUS, TRANSITIONAL_IDS, Cap, Function, functions
from pykit.spec.view import View

_UNBOUND = "no driver began with it, and the capture does not say that one should"


def _matched(view: View, ids: Collection[int], none: str) -> Result:
    """Check that a driver began with each surveyed function of these device ids."""
    tally = Tally(none=none, doubt=_UNBOUND)
    begun = _begun(view)
    wanted = {
        view.events.devices.get(device.id)
        for device in view.events.capture.devices
        if device.driver
    }
    clean = view.events.capture.outcome.kind == "clean"
    for dev in dict.fromkeys(f.dev for f in functions(view)):
        looks = [f for f in functions(view) if f.dev == dev]
        function = looks[-1]
        if function.head["device_id"] not in ids:
            continue
        used = dev in begun or any(map(_driven, looks))
        if not used and (dev not in wanted or not clean or "qemu" not in view.sources):
            tally.undecided()
            continue
        found = function.head["device_id"]
        text = f"{function.name}: no driver took the device with the id {found:#06x}"
        tally.check(used, function.row, text)
    return tally.result()


def _begun(view: View) -> set[int]:
    """Return devices of which a driver wrote the DRIVER bit, or traced that it began."""
    statuses = view.of("dev_status", "status")
    written = {
        dev
        for dev, status in statuses.select("dev", "status").iter_rows()
        if dev is not None and status & bits.DRIVER
    }
    return written | {dev for dev in view.of("driver")["dev"].unique().to_list() if dev is not None}


def _driven(function: Function) -> bool:
    status = function.value("common", STATUS) or function.value("legacy", (0x12, 1))
    return bool(status and status & bits.DRIVER)


@rule("PY-DR-01", needs="survey:survey_pci")
def modern_ids_are_matched(view: View) -> Result:
    """Section 4.1.2.2: the driver takes functions of 0x1AF4 with 0x1040 plus the device's type.

    Checked: each surveyed device with such an id: a driver began with it (the DRIVER bit of its
    status). That none did is a violation where the capture names a driver for the device, the run
    was clean and QEMU's log has the device's statuses; otherwise the guest may have none.
    """
    return _matched(view, range(MODERN + 1, 0x1080), "no surveyed PCI device has a modern id")


@rule("PY-DR-02", needs="survey:survey_pci")
def transitional_ids_are_matched(view: View) -> Result:
    """Section 4.1.2.2: a driver for one of the listed types takes its transitional id, too.

    Checked: as for PY-DR-01, each surveyed device with a transitional id.
    """
    none = "no surveyed PCI device has a transitional id"
    return _matched(view, set(TRANSITIONAL_IDS.values()), none)


#: Fields of the PCI configuration access capability that a driver writes, as offsets in it.
_BAR, _OFFSET, _LENGTH, _DATA = 4, 8, 12, 16
NO_ACCESS = "no access to the configuration space of a surveyed PCI device was logged"
NO_WINDOW = "no driver used the PCI configuration access capability"


@dataclass(frozen=True)
class _Access:
    """An access of the guest to a function's configuration space."""

    row: int
    function: Function
    offset: int
    value: int
    write: bool


def _accesses(view: View) -> Iterator[_Access]:
    """Return accesses to the spaces of surveyed functions, in log order."""
    known = {function.dev: function for function in functions(view)}
    columns = ("row", "dev", "offset", "value", "write")
    for row, dev, offset, value, write in view.of("dev_pci_config").select(columns).iter_rows():
        if dev in known:
            yield _Access(row, known[dev], offset, value, bool(write))


def _around(function: Function, offset: int) -> Cap | None:
    """Return virtio's capability in which an offset of the space lies."""
    inside = (c for c in function.virtio if c.pos <= offset < c.pos + (c.cap_len or 0))
    return next(inside, None)


@rule("PC-DR-08", needs="qemu:dev_pci_config", local=True)
def capabilities_are_not_written(view: View) -> Result:
    """Section 4.1.4.1: the driver writes no field of virtio's capabilities, except those of the PCI
    configuration access capability that are for it to write.

    Checked: each logged write of the guest to the configuration space of a surveyed function, but
    to vendor data: what a driver of that vendor may write there, virtio does not say. The fields
    of a PCI configuration access capability behind cfg_type may be written: the log does not have
    the width, by which bar and the bytes beside it differ.
    """
    tally = Tally(none=NO_ACCESS)
    for access in _accesses(view):
        cap = _around(access.function, access.offset)
        if not access.write or (cap is not None and cap.cfg_type == pci.VENDOR_CFG):
            continue
        window = cap is not None and cap.cfg_type == pci.PCI_CFG
        good = cap is None or (window and access.offset >= cap.pos + _BAR)
        name = "" if cap is None else cap.name
        text = f"{access.function.name}: {access.value:#x} written at {access.offset:#x}, {name}"
        tally.check(good, access.row, text)
    return tally.result()


@dataclass
class _Window:
    """Where a PCI configuration access capability points: what the driver wrote last, by field."""

    cap: Cap
    fields: dict[int, tuple[int, int]] = field(default_factory=dict)

    def value(self, name: int) -> int | None:
        """Return a field's value, None before the driver has written it."""
        return self.fields[name][1] if name in self.fields else None


def _uses(view: View) -> Iterator[tuple[_Access, _Window]]:
    """Return accesses to pci_cfg_data, with the window at that time."""
    windows: dict[tuple[int | None, int], _Window] = {}
    for access in _accesses(view):
        cap = _around(access.function, access.offset)
        if cap is None or cap.cfg_type != pci.PCI_CFG:
            continue
        window = windows.setdefault((access.function.dev, cap.pos), _Window(cap))
        place = access.offset - cap.pos
        if place >= _DATA:
            yield access, window
        elif access.write and place in (_BAR, _OFFSET, _LENGTH):
            value = access.value & 0xFF if place == _BAR else access.value
            window.fields[place] = (access.row, value)


@rule("PX-DR-01", needs="qemu:dev_pci_config", local=True)
def window_is_aligned(view: View) -> Result:
    """Section 4.1.4.9.2: the offset of the configuration access window is a multiple of its length.

    Checked: each logged access to pci_cfg_data after offset and length were written. Between the
    writes of the two fields they need not fit, as one of them is written first.
    """
    tally = Tally(none=NO_WINDOW, doubt="offset or length were written before the log began")
    for access, window in _uses(view):
        offset, length = window.value(_OFFSET), window.value(_LENGTH)
        if offset is None or length is None:
            tally.undecided()
            continue
        rows = sorted({access.row, *(row for row, _ in window.fields.values())})
        text = f"{access.function.name}: {length} bytes at {offset:#x} of BAR {window.value(_BAR)}"
        tally.check(length > 0 and offset % length == 0, rows, text)
    return tally.result()


@rule("PX-DR-02", needs="qemu:dev_pci_config", local=True)
def window_is_in_a_structure(view: View) -> Result:
    """Section 4.1.4.9.2: the driver accesses pci_cfg_data only while the window lies within the
    range of another capability of virtio's, which is not for configuration access.

    Checked: each logged access to pci_cfg_data after bar, offset and length were written.
    """
    tally = Tally(none=NO_WINDOW, doubt="the window was set before the log began")
    for access, window in _uses(view):
        bar, offset, length = (window.value(name) for name in (_BAR, _OFFSET, _LENGTH))
        if bar is None or offset is None or length is None:
            tally.undecided()
            continue
        good = any(
            cap.bar == bar
            and cap.start is not None
            and cap.length is not None
            and cap.start <= offset
            and offset + length <= cap.start + cap.length
            for cap in access.function.virtio
            if cap.cfg_type not in (pci.PCI_CFG, pci.VENDOR_CFG)
        )
        rows = sorted({access.row, *(row for row, _ in window.fields.values())})
        text = f"{access.function.name}: {length} bytes at {offset:#x} of BAR {bar}, no structure"
        tally.check(good, rows, text)
    return tally.result()
