# SPDX-License-Identifier: GPL-2.0-only
"""PCI discovery (4.1.2) and PCI itself (4.1): identity and form of each function, as surveyed.

A *transitional* device has virtio's capabilities and the legacy interface, an I/O BAR 0; a
*non-transitional* one has the capabilities alone, a *legacy* one the interface alone. Which of
them a device is shows in what it presents, not in its ids, which the clauses are about.
"""

from __future__ import annotations

from collections.abc import Iterator

from pykit import pci
from pykit.spec import bits
from pykit.spec.model import Result, rule
from pykit.spec.rows import Tally
from pykit.spec.survey import (
    END,
    MODERN,
    TRANSITIONAL,
    TRANSITIONAL_IDS,
    VENDOR,
    Function,
    functions,
)
from pykit.spec.view import View

NO_PCI = "no PCI device was surveyed"
NONE_MODERN = "no non-transitional PCI device was surveyed"
NONE_TRANSITIONAL = "no transitional PCI device was surveyed"
#: Capabilities that a function has once at most (PCI 6.7, PCI Express 7.5.3).
_SINGLE = {0x01: "power management", pci.MSI: "MSI", pci.EXPRESS: "Express", pci.MSI_X: "MSI-X"}
_MOST_PINS = 4
#: Bytes of the legacy structure without vectors and the device's configuration (4.1.4.10).
_LEGACY_HEADER = 20


def _modern(view: View) -> Iterator[Function]:
    """Return looks at non-transitional devices."""
    return (f for f in functions(view) if f.virtio and not f.legacy_interface)


def _transitional(view: View) -> Iterator[Function]:
    """Return looks at transitional devices."""
    return (f for f in functions(view) if f.virtio and f.legacy_interface)


def _faults(function: Function) -> Iterator[tuple[int, str]]:
    """Yield what a function's space has against PCI's own rules, with the row that shows it."""
    head = function.head
    if head["problem"]:
        yield function.row, head["problem"]
    if head["header_type"] & 0x7F:
        yield function.row, f"header type {head['header_type'] & 0x7F:#x} is not a device's"
    if head["interrupt_pin"] > _MOST_PINS:
        yield function.row, f"interrupt pin {head['interrupt_pin']} does not exist"
    for number, bar in function.bars.items():
        least = 4 if bar.io else 16
        if bar.length < least or bar.length & bar.length - 1:
            yield bar.row, f"BAR {number} has {bar.length} bytes, no power of two from {least} on"
        elif bar.start % bar.length:
            yield bar.row, f"BAR {number} at {bar.start:#x} is not aligned to its size"
    for name, title in _SINGLE.items():
        same = [cap for cap in function.caps if cap.cap_id == name]
        if len(same) > 1:
            yield same[1].row, f"there are {len(same)} {title} capabilities"


@rule("PB-DE-01", needs="survey:survey_pci", local=True)
def functions_follow_pci(view: View) -> Result:
    """Section 4.1.1: a function behaves as a compliant PCI or PCI Express device.

    Checked: each surveyed function, in the part of it that its configuration space shows: the
    capability lists end and stay inside of the space behind the header, the header is an ordinary
    device's, the interrupt pin exists, sizes of BARs are powers of two (4 or 16 bytes at least)
    and their addresses aligned to them, and capabilities that PCI allows once are there once.
    How the device behaves on the bus is not looked at.
    """
    tally = Tally(none=NO_PCI)
    for function in functions(view):
        faults = list(_faults(function))
        rows = [function.row, *(row for row, _ in faults)]
        text = "; ".join(text for _, text in faults)
        tally.check(not faults, dict.fromkeys(rows), f"{function.name}: {text}")
    return tally.result()


@rule("PY-DE-01", needs="survey:survey_pci", local=True)
def vendor_is_virtio(view: View) -> Result:
    """Section 4.1.2.1: the PCI vendor id is 0x1AF4.

    Checked: each surveyed function.
    """
    tally = Tally(none=NO_PCI)
    for function in functions(view):
        vendor = function.head["vendor_id"]
        tally.check(
            vendor == VENDOR, function.row, f"{function.name}: the vendor id is {vendor:#06x}"
        )
    return tally.result()


@rule("PY-DE-02", needs="survey:survey_pci", local=True)
def device_id_fits_the_type(view: View) -> Result:
    """Section 4.1.2.1: the PCI device id is 0x1040 plus the virtio device id, or the transitional
    one that is listed for it.

    Checked: each surveyed function. Where QEMU's name of the device does not say what it is, the
    id has to be one that any device could have.
    """
    tally = Tally(none=NO_PCI)
    for function in functions(view):
        found = function.head["device_id"]
        if function.type is None:
            good = MODERN < found < END or found in TRANSITIONAL_IDS.values()
            text = f"{function.name}: no virtio device has the device id {found:#06x}"
        else:
            right = {MODERN + function.type, TRANSITIONAL_IDS.get(function.type, 0)}
            good = found in right
            text = f"{function.name}: device id {found:#06x} for virtio device {function.type}"
        tally.check(good, function.row, text)
    return tally.result()


@rule("PY-DE-04", needs="survey:survey_pci", local=True)
def modern_device_id(view: View) -> Result:
    """Section 4.1.2.1: a non-transitional device has a device id from 0x1040 to 0x107f.

    Checked: each surveyed non-transitional function.
    """
    tally = Tally(none=NONE_MODERN)
    for function in _modern(view):
        found = function.head["device_id"]
        text = f"{function.name}: a non-transitional device with the device id {found:#06x}"
        tally.check(MODERN <= found < END, function.row, text)
    return tally.result()


@rule("PY-DE-05", needs="survey:survey_pci", local=True)
def modern_revision(view: View) -> Result:
    """Section 4.1.2.1: a non-transitional device has a revision id of 1 or higher.

    Checked: each surveyed non-transitional function.
    """
    tally = Tally(none=NONE_MODERN)
    for function in _modern(view):
        text = f"{function.name}: a non-transitional device of revision 0"
        tally.check(function.head["revision_id"] >= 1, function.row, text)
    return tally.result()


@rule("PY-DE-06", needs="survey:survey_pci", local=True)
def modern_subsystem(view: View) -> Result:
    """Section 4.1.2.1: a non-transitional device has a subsystem device id of 0x40 or higher.

    Checked: each surveyed non-transitional function.
    """
    tally = Tally(none=NONE_MODERN)
    for function in _modern(view):
        found = function.head["subsystem_id"]
        text = f"{function.name}: a non-transitional device with the subsystem id {found:#06x}"
        tally.check(found >= 0x40, function.row, text)
    return tally.result()


@rule("LG-PE-01", needs="survey:survey_pci", local=True)
def transitional_revision(view: View) -> Result:
    """Section 4.1.2.3: a transitional device has the revision id 0.

    Checked: each surveyed transitional function.
    """
    tally = Tally(none=NONE_TRANSITIONAL)
    for function in _transitional(view):
        found = function.head["revision_id"]
        text = f"{function.name}: a transitional device of revision {found}"
        tally.check(found == 0, function.row, text)
    return tally.result()


@rule("LG-PE-02", needs="survey:survey_pci", local=True)
def transitional_subsystem(view: View) -> Result:
    """Section 4.1.2.3: a transitional device has its virtio device id as subsystem device id.

    Checked: each surveyed transitional function whose type QEMU's name of the device shows.
    """
    tally = Tally(none=NONE_TRANSITIONAL)
    for function in _transitional(view):
        found = function.head["subsystem_id"]
        if function.type is None:
            tally.undecided()
            continue
        text = f"{function.name}: virtio device {function.type} with the subsystem id {found:#06x}"
        tally.check(found == function.type, function.row, text)
    return tally.result()


@rule("LG-PE-03", needs="survey:survey_pci", local=True)
def transitional_device_id(view: View) -> Result:
    """Section 4.1.2.3: a transitional device has a device id from 0x1000 to 0x103f.

    Checked: each surveyed transitional function.
    """
    tally = Tally(none=NONE_TRANSITIONAL)
    for function in _transitional(view):
        found = function.head["device_id"]
        text = f"{function.name}: a transitional device with the device id {found:#06x}"
        tally.check(TRANSITIONAL <= found < MODERN, function.row, text)
    return tally.result()


@rule("LG-PE-04", needs="survey:survey_bar", local=True)
def legacy_structure_is_in_the_first_bar(view: View) -> Result:
    """Section 4.1.4.10: the legacy configuration structure is at the start of an I/O BAR 0.

    Checked: each surveyed function with an id of the transitional range: BAR 0 is an I/O BAR that
    has room for the 20 bytes of the structure.
    """
    tally = Tally(none="no device with an id of the transitional range was surveyed")
    for function in functions(view):
        if TRANSITIONAL <= function.head["device_id"] < MODERN:
            bar = function.bars.get(0)
            good = bar is not None and bar.io and bar.length >= _LEGACY_HEADER
            text = f"{function.name}: BAR 0 is no I/O BAR with the legacy structure"
            tally.check(good, function.row, text)
    return tally.result()


@rule("OX-PN-01", needs="survey:survey_pci", also=("LG-PE-08",), local=True)
def legacy_drivers_find_ports(view: View) -> Result:
    """Section 4.1.4.12: where a legacy driver would bind, BAR 0 is an I/O BAR.

    Checked: each surveyed function that legacy drivers match: a device id from 0x1000 to 0x103f
    and revision 0. If it is transitional, it needs that BAR for its legacy interface (4.1.5.1.1);
    if it is not, it has to present one so that such a driver fails without harm.
    """
    tally = Tally(none="no surveyed PCI device has the ids of a legacy device")
    for function in functions(view):
        head = function.head
        if TRANSITIONAL <= head["device_id"] < MODERN and head["revision_id"] == 0:
            text = f"{function.name}: the ids of a legacy device, and no I/O BAR 0"
            tally.check(function.legacy_interface, function.row, text)
    return tally.result()


@rule("RF-DE-09", needs="survey:survey_pci")
def sr_iov_is_offered(view: View) -> Result:
    """Section 6.2: a PCI device with an SR-IOV capability offers SR_IOV.

    Checked: each surveyed function that has the capability and whose offer is known.
    """
    tally = Tally(
        none="no surveyed PCI device has an SR-IOV capability", doubt="its offer is not known"
    )
    for function in functions(view):
        rows = [row for row, name in function.extended if name == pci.SR_IOV]
        if not rows:
            continue
        offered = function.offered(bits.SR_IOV)
        if offered is None:
            tally.undecided()
            continue
        text = f"{function.name}: an SR-IOV capability, and SR_IOV is not offered"
        tally.check(offered, (function.row, *rows), text)
    return tally.result()
