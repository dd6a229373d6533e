# SPDX-License-Identifier: GPL-2.0-only
"""What a driver does with a PCI function's identity (4.1.2.2) and capabilities (4.1.4.1).

QEMU logs accesses to configuration spaces without their width; the survey says where the
capabilities are. A driver is all of the guest here: firmware and the PCI core, too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import polars as pl

from pykit import pci
from pykit.spec import bits
from pykit.spec.model import Result, rule
from pykit.spec.rows import Tally
from pykit.spec.survey import (
    MODERN,
    STATUS,
    TRANSITIONAL_IDS,
    Cap,
    Function,
    accesses,
    functions,
)
from pykit.spec.timing import PREEMPTED_TASK
from pykit.spec.view import View

_UNBOUND = "no driver began with it, and the capture does not say that one should"


def taken(view: View, chosen: Callable[[Function], str], none: str) -> Result:
    """Check that a driver began with each surveyed device that ``chosen`` has a description of.

    A device that lacks what both interfaces need is none that a driver could take.
    """
    tally = Tally(none=none, doubt=_UNBOUND)
    begun_with = begun(view)
    wanted = {
        view.events.devices.get(device.id)
        for device in view.events.capture.devices
        if device.driver
    }
    for dev in dict.fromkeys(f.dev for f in functions(view)):
        looks = [f for f in functions(view) if f.dev == dev]
        function = looks[-1]
        what = chosen(function)
        if not what or not function.drivable:
            continue
        used = dev in begun_with or any(map(_driven, looks))
        if not used and (dev is None or dev not in wanted or not _left_alone(view, dev)):
            tally.undecided()
            continue
        tally.check(used, function.row, f"{function.name}: no driver took the device with {what}")
    return tally.result()


def _left_alone(view: View, dev: int) -> bool:
    """Return whether a driver that is there would have begun with a device by the run's end.

    The guest's modules were loaded then: else the run has another end. It may have failed, or its
    workload may have waited, for want of the device, if a step has ended well and the guest has
    left the device alone for 10 s by QEMU's log.
    """
    capture = view.events.capture
    kind = capture.outcome.kind
    waits = kind == "workload-failed" or (kind == "hang" and any(not s.rc for s in capture.steps))
    if "qemu" not in view.sources or not (kind == "clean" or waits):
        return False
    seen = view.of("dev_status", "dev_pci_config").filter(pl.col("dev") == dev)["row"]
    last = max((int(view.base("ts")[row]) for row in seen), default=0)
    return kind == "clean" or (last > 0 and view.end[1] - last >= PREEMPTED_TASK)


def _matched(view: View, ids: Collection[int], none: str) -> Result:
    """Check that a driver began with each surveyed device with one of these device ids."""

    def chosen(function: Function) -> str:
        found = function.head["device_id"]
        return f"the id {found:#06x}" if found in ids else ""

    return taken(view, chosen, none)


def begun(view: View) -> set[int]:
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
    status). That none did is a violation where the capture names a driver for the device, QEMU's
    log has the device's statuses, and the run was clean, or its workload failed or hung after the
    guest had left the device alone for 10 s; otherwise the guest may have none.
    """
    return _matched(view, range(MODERN + 1, 0x1080), "no surveyed PCI device has a modern id")


@rule("PY-DR-02", needs="survey:survey_pci")
def transitional_ids_are_matched(view: View) -> Result:
    """Section 4.1.2.2: a driver for one of the listed types takes its transitional id, too.

    Checked: as for PY-DR-01, each surveyed device with a transitional id.
    """
    none = "no surveyed PCI device has a transitional id"
    return _matched(view, set(TRANSITIONAL_IDS.values()), none)


#: Bytes that version 1.4 has in structures of a fixed size.
_KNOWN = {pci.COMMON_CFG: 64, pci.ISR_CFG: 4}


def _oversized(function: Function) -> str:
    """Return the description of a structure that is longer than version 1.4 has it."""
    for cap in function.virtio:
        most = _KNOWN.get(cap.cfg_type or 0)
        if most and cap.length and cap.length > most and function.usable(cap):
            return f"{cap.length} bytes for {cap.name}"
    return ""


@rule("PC-DR-06", needs="survey:survey_pci")
def long_structures_are_handled(view: View) -> Result:
    """Section 4.1.4.1: the driver copes with a structure that is longer than it expects.

    Checked: as for PY-DR-01, each surveyed device with more than 64 bytes of common configuration
    or 4 of ISR status, which is all that version 1.4 has. That a driver maps too much of them is
    PC-DR-05's.
    """
    return taken(view, _oversized, "no surveyed PCI device has a structure of unexpected length")


@rule("PC-DR-05", needs="survey:survey_pci", local=True)
def only_structures_are_mapped(view: View) -> Result:
    """Section 4.1.4.1: the driver maps no more of a structure than it needs.

    Checked: each mapping of a surveyed function's BAR that begins in a page of a structure: it ends
    with the last page of the part that is needed, 64 bytes of common configuration, 4 of ISR
    status, or all of another structure. Mappings are whole pages, and what else is in a page
    cannot be left out. How much of another structure a driver needs depends on what it is for.

    Undecided: a mapping that begins in a page which MSI-X's table has a part of: it may be the
    table's.
    """
    tally = Tally(
        none="the guest was not asked what it has mapped, or has mapped no structure",
        doubt="MSI-X's table is in the page as well",
    )
    for function in functions(view):
        tables = [cap for cap in function.caps if cap.vectors is not None]
        for mapping in function.mapped:
            inside = [cap for cap in function.virtio if mapping.begins_in(cap)]
            if not inside:
                continue
            if any(map(mapping.begins_in, tables)):
                tally.undecided()
                continue
            last = max(inside, key=_needed_end)
            end = -(-_needed_end(last) // mapping.page) * mapping.page
            text = (
                f"{function.name}: {mapping.symbol} maps {mapping.length} bytes at"
                f" {mapping.start:#x} of BAR {mapping.bar}, and {last.name} needs them up to"
                f" {_needed_end(last):#x}"
            )
            tally.check(mapping.end <= end, (mapping.row, last.row), text)
    return tally.result()


@rule("PC-DR-02", needs=("survey:survey_cap", "qemu:dev_structure"), local=True)
def first_structure_is_used(view: View) -> Result:
    """Section 4.1.4.1: of several structures of a type, the driver uses the first that it can.

    Checked: each structure of a surveyed device with several of that type that the guest accessed
    by QEMU's log of register accesses: it is the first of them, in the capability list's order,
    that is present, in a BAR with an address whose kind, memory or ports, the guest has enabled in
    the command register. A driver that never uses ports is not known from others, if the guest
    enables them for the device.

    Undecided: a device of which no access to these structures was logged: QEMU may not have
    recorded registers, or an eventfd takes the notifications.
    """
    tally = Tally(
        none="no surveyed PCI device has several structures of one type",
        doubt="no access to these structures was logged",
    )
    logged = view.of("dev_structure").group_by("dev", "pos").agg(pl.col("row").min())
    used = {(dev, pos): row for dev, pos, row in logged.iter_rows()}
    for function in {f.dev: f for f in functions(view)}.values():
        for cfg_type in pci.CFG_TYPES:
            able = [cap for cap in function.structures(cfg_type) if _reachable(function, cap)]
            if len(able) < 2 or cfg_type in _MANIFOLD:
                continue
            mine = [cap for cap in able if (function.dev, cap.pos) in used]
            if not mine:
                tally.undecided()
            for cap in mine:
                text = f"{function.name}: {cap.name} is used, and {able[0].name} comes before it"
                row = used[function.dev, cap.pos]
                tally.check(cap is able[0], dict.fromkeys((able[0].row, cap.row, row)), text)
    return tally.result()


#: Types of which a device has as many structures as it has regions, or vendors.
_MANIFOLD = (pci.SHARED_MEMORY_CFG, pci.VENDOR_CFG)


def _reachable(function: Function, cap: Cap) -> bool:
    """Return whether the guest's CPUs reach a structure."""
    bar = function.bars.get(-1 if cap.bar is None else cap.bar)
    if bar is None or not bar.start or not function.usable(cap):
        return False
    return bool(function.head["command"] & (pci.IO_SPACE if bar.io else pci.MEMORY_SPACE))


def _needed_end(cap: Cap) -> int:
    """Return where in its BAR the part of a structure ends that drivers need."""
    length = cap.length or 0
    return (cap.start or 0) + min(length, _KNOWN.get(cap.cfg_type or 0, length))


NO_ACCESS = "no access to the configuration space of a surveyed PCI device was logged"
#: Where the fields of a PCI configuration access capability begin that a driver writes.
_WRITABLE = 4
#: Where a capability has the number of the BAR, and the offset in it.
_BAR, _OFFSET = 4, 8


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
    for access in accesses(view):
        cap = access.cap
        if not access.write or (cap is not None and cap.cfg_type == pci.VENDOR_CFG):
            continue
        window = cap is not None and cap.cfg_type == pci.PCI_CFG
        good = cap is None or (window and access.offset >= cap.pos + _WRITABLE)
        name = "" if cap is None else cap.name
        text = f"{access.function.name}: {access.value:#x} written at {access.offset:#x}, {name}"
        tally.check(good, access.row, text)
    return tally.result()


@rule("PY-DR-03", needs="survey:survey_pci")
def any_revision_is_taken(view: View) -> Result:
    """Section 4.1.2.2: the driver takes a device whatever its PCI revision is.

    Checked: as for PY-DR-01, each surveyed device, with the revision that it has.
    """

    def chosen(function: Function) -> str:
        return f"the revision {function.head['revision_id']}"

    return taken(view, chosen, "no PCI device was surveyed")


#: Bytes beyond which no device type of version 1.4 has a configuration of its own.
_LONGEST_CONFIG = 256


def _roomy(function: Function) -> str:
    for cap in function.structures(pci.DEVICE_CFG):
        if cap.length and cap.length > _LONGEST_CONFIG and function.usable(cap):
            return f"{cap.length} bytes of configuration"
    return ""


@rule("CF-DR-05", needs="survey:survey_cap", also=("CF-DR-06",))
def size_of_configuration_is_not_limited(view: View) -> Result:
    """Section 2.5.1: the driver does not limit the size of the configuration: it checks at most
    that it is long enough.

    Checked: as for PY-DR-01, each surveyed device whose configuration structure is longer than any
    that version 1.4 defines.
    """
    return taken(view, _roomy, "no surveyed PCI device has so long a configuration")


@rule("OX-PL-01", needs=("qemu:dev_pci_config", "survey:survey_cap", "registers:register"))
def capabilities_are_looked_for(view: View) -> Result:
    """Section 4.1.4.11: the driver looks for virtio's capabilities in the capability list.

    Checked: each surveyed device without a legacy interface whose common configuration was
    accessed: before that, the guest had read the BAR and the offset of that structure from its
    capability. Firmware that read them before counts for a driver that comes later: the log does
    not tell them apart.

    Undecided: the log has no access to the configuration space of that device.
    """
    tally = Tally(none="no register of a modern device was accessed")
    logged = view.of("register").filter(structure="common")
    first = dict(logged.group_by("dev").agg(pl.col("row").min()).iter_rows())
    seen, times = accesses(view), view.base("ts")
    for function in {f.dev: f for f in functions(view)}.values():
        caps = function.structures(pci.COMMON_CFG)
        if function.dev not in first or function.legacy_interface or not caps:
            continue
        row = first[function.dev]
        mine = [a for a in seen if a.function.dev == function.dev]
        if not mine:
            tally.undecided(doubt=NO_ACCESS)
            continue
        # The two kinds of lines are of one log, and stand in the table one kind behind the other.
        early = (a for a in mine if times[a.row] <= times[row])
        read = {(a.cap.pos, a.offset - a.cap.pos) for a in early if a.cap}
        found = any({(cap.pos, _BAR), (cap.pos, _OFFSET)} <= read for cap in caps)
        text = f"{function.name}: its registers are used, and {caps[0].name} was never read"
        tally.check(found, (caps[0].row, row), text)
    return tally.result()


#: Where SR-IOV's control register is in its capability, and its bit VF Enable (PCIe, 9.3.3).
_SR_IOV_CONTROL, _VF_ENABLE = 8, 1


@rule("RF-DR-11", needs=("qemu:dev_pci_config", "qemu:dev_status", "survey:survey_pci"), local=True)
def functions_need_the_feature(view: View) -> Result:
    """Section 6.1: the driver enables virtual functions once it has negotiated SR_IOV, and not
    before the device has accepted the features.

    Checked: each write to a surveyed function's SR-IOV control register that sets VF Enable, by the
    statuses before it in QEMU's log: FEATURES_OK is set in a life of the device with SR_IOV. What
    the driver read back then is not in this log: IN-DR-05 has that.

    Undecided: a life whose negotiated features are not known.
    """
    tally = Tally(
        none="no driver enabled virtual functions", doubt="the negotiated features are not known"
    )
    extended = view.of("survey_ext").filter(pl.col("ext_id") == pci.SR_IOV)
    controls = {
        (dev, pos + _SR_IOV_CONTROL) for dev, pos in extended.select("dev", "pos").iter_rows()
    }
    statuses = view.of("dev_status").drop_nulls("dev")
    for access in accesses(view):
        dev = access.function.dev
        sets = access.write and access.value & _VF_ENABLE
        if not sets or (dev, access.offset) not in controls:
            continue
        mine = statuses.filter((pl.col("dev") == dev) & (pl.col("row") < access.row)).tail(1)
        ready = bool(mine.filter(pl.col("status") & bits.FEATURES_OK != 0).height)
        lives = [view.life(*place) for place in mine.select("dev", "life").drop_nulls().iter_rows()]
        has = lives[0].has(bits.SR_IOV) if lives else None
        if ready and has is None:
            tally.undecided()
            continue
        why = "SR_IOV is not negotiated" if ready else "FEATURES_OK is not set"
        text = f"{access.function.name}: virtual functions are enabled, and {why}"
        tally.check(ready and bool(has), [*mine["row"].to_list(), access.row], text)
    return tally.result()
