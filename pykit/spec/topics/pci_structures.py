# SPDX-License-Identifier: GPL-2.0-only
"""What a driver makes of capabilities that it has no use for (sections 4.1.4.1 and 4.1.4.11).

A device may have capabilities of types, in BARs and of lengths that a later version of the
specification may give a meaning: a driver passes over them, and uses the others.
"""

from __future__ import annotations

from collections.abc import Callable

from pykit import pci
from pykit.spec.model import Result, rule
from pykit.spec.rows import Tally
from pykit.spec.survey import END, MODERN, Cap, Function, functions
from pykit.spec.topics.pci_driver import begun, taken
from pykit.spec.view import View

#: Types whose BAR is the driver's to write, or has no meaning.
_WITHOUT_BAR = (pci.PCI_CFG, pci.VENDOR_CFG)


def _reserved_type(cap: Cap) -> str:
    known = cap.cfg_type is None or cap.cfg_type in pci.CFG_TYPES
    return "" if known else f"a capability of type {cap.cfg_type:#x}, which is reserved"


def _reserved_bar(cap: Cap) -> str:
    fixed = cap.cfg_type in pci.CFG_TYPES and cap.cfg_type not in _WITHOUT_BAR
    if not fixed or cap.bar is None or cap.bar < pci.BAR_COUNT:
        return ""
    return f"{cap.name}, whose BAR is {cap.bar}, which is reserved"


def _longer(cap: Cap) -> str:
    kind = cap.cfg_type
    if kind not in pci.CFG_TYPES or kind == pci.VENDOR_CFG or cap.cap_len is None:
        return ""
    least = pci.VIRTIO_CAP + pci.EXTRA.get(kind or 0, 0)
    return f"{cap.cap_len} bytes of {cap.name} for {least}" if cap.cap_len > least else ""


def _first(view: View, describe: Callable[[Cap], str], none: str) -> Result:
    """Check that each device is taken that has a capability of which there is a description."""

    def chosen(function: Function) -> str:
        return next(filter(None, map(describe, function.virtio)), "")

    return taken(view, chosen, none)


@rule("PC-DR-01", needs="survey:survey_cap")
def reserved_types_are_passed_over(view: View) -> Result:
    """Section 4.1.4.1: the driver passes over capabilities with a reserved cfg_type.

    Checked: as for PY-DR-01, each surveyed device with such a capability: a driver takes it.
    """
    none = "no surveyed PCI device has a capability of a reserved type"
    return _first(view, _reserved_type, none)


@rule("PC-DR-03", needs="survey:survey_cap")
def longer_capabilities_are_taken(view: View) -> Result:
    """Section 4.1.4.1: the driver accepts a cap_len that is larger than the specification has it.

    Checked: as for PY-DR-01, each surveyed device with such a capability, but for vendor data,
    which have no length of their own: a driver takes it.
    """
    none = "no surveyed PCI device has a capability that is longer than specified"
    return _first(view, _longer, none)


@rule("PC-DR-04", needs="survey:survey_cap")
def reserved_bars_are_passed_over(view: View) -> Result:
    """Section 4.1.4.1: the driver passes over capabilities with a reserved bar.

    Checked: as for PY-DR-01, each surveyed device with a structure in a BAR above 5: a driver
    takes it by those in others. The BAR of a PCI configuration access capability is the driver's
    to write.
    """
    none = "no surveyed PCI device has a structure in a reserved BAR"
    return _first(view, _reserved_bar, none)


@rule("OX-PL-02", needs=("survey:survey_pci", "qemu:dev_status"))
def nothing_without_capabilities(view: View) -> Result:
    """Section 4.1.4.11: a driver without the legacy interface gives up on a device that has none
    of virtio's capabilities, and does no harm.

    Checked: each surveyed device with a modern id and none of virtio's capabilities: no driver
    begins with it, by the statuses in QEMU's log and by the drivers' traces.

    Undecided: a device that the capture does not name, as no status is known to be its own.
    """
    tally = Tally(none="each surveyed PCI device with a modern id has virtio's capabilities")
    drivers = begun(view)
    for function in {f.dev: f for f in functions(view)}.values():
        modern = MODERN < function.head["device_id"] < END
        if not modern or function.virtio or function.legacy_interface:
            continue
        if function.dev is None:
            tally.undecided(doubt="the capture does not name the device")
        else:
            text = f"{function.name} has none of virtio's capabilities, and a driver used it"
            tally.check(function.dev not in drivers, function.row, text)
    return tally.result()
