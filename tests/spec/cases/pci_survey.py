# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/pci_survey.py."""

from __future__ import annotations

from tests.spec.cases.base import case
from tests.spec.log import Log
from tests.spec.survey import surveyed, transitional


@case("PB-DE-01", clean=surveyed)
def list_comes_back(log: Log) -> None:
    """The capability list comes back to an entry that it had."""
    log.one("survey_pci")["problem"] = "the list comes back to 0x40"


@case("PB-DE-01", clean=surveyed)
def bridge_header(log: Log) -> None:
    """The header is that of a bridge."""
    log.one("survey_pci")["header_type"] = 0x81


@case("PB-DE-01", clean=surveyed)
def bar_of_an_odd_size(log: Log) -> None:
    """A BAR has 12 KiB."""
    log.one("survey_bar", bar=4)["length"] = 0x3000


@case("PB-DE-01", clean=surveyed)
def bar_off_its_size(log: Log) -> None:
    """A BAR of 16 KiB lies at an address that is aligned to 4 KiB."""
    log.one("survey_bar", bar=4)["start"] += 0x1000


@case("PB-DE-01", clean=surveyed)
def msi_x_twice(log: Log) -> None:
    """The function has MSI-X twice."""
    log.add("survey_cap", dev=1, reading=0, cap_id=0x11, pos=0xB0, cap_next=0, vectors=2)


@case("PB-DE-01", clean=surveyed)
def fifth_pin(log: Log) -> None:
    """The function uses a fifth interrupt pin."""
    log.one("survey_pci")["interrupt_pin"] = 5


@case("PY-DE-01", clean=surveyed)
def another_vendor(log: Log) -> None:
    """The vendor id is Red Hat's."""
    log.one("survey_pci")["vendor_id"] = 0x1B36


@case("PY-DE-02", clean=surveyed)
def id_of_another_type(log: Log) -> None:
    """A disk has the device id of a network card."""
    log.one("survey_pci")["device_id"] = 0x1041


@case("PY-DE-02", clean=surveyed)
def unlisted_transitional_id(log: Log) -> None:
    """A device of an unknown type has a transitional id that no type has."""
    log.device_type = "virtio-new-pci"
    log.one("survey_pci")["device_id"] = 0x1006


@case("PY-DE-04", clean=surveyed)
def transitional_id(log: Log) -> None:
    """A disk without the legacy interface has the transitional id."""
    log.one("survey_pci")["device_id"] = 0x1001


@case("PY-DE-05", clean=surveyed)
def revision_0(log: Log) -> None:
    """A disk without the legacy interface has the revision id 0."""
    log.one("survey_pci")["revision_id"] = 0


@case("PY-DE-06", clean=surveyed)
def small_subsystem(log: Log) -> None:
    """A disk without the legacy interface has the subsystem device id 2."""
    log.one("survey_pci")["subsystem_id"] = 2


@case("LG-PE-01", clean=transitional)
def transitional_revision_1(log: Log) -> None:
    """A transitional disk has the revision id 1."""
    log.one("survey_pci")["revision_id"] = 1


@case("LG-PE-02", clean=transitional)
def foreign_subsystem(log: Log) -> None:
    """A transitional disk has a subsystem device id that is not its type."""
    log.one("survey_pci")["subsystem_id"] = 0x1100


@case("LG-PE-03", clean=transitional)
def transitional_with_modern_id(log: Log) -> None:
    """A transitional disk has the modern device id."""
    log.one("survey_pci")["device_id"] = 0x1042


@case("OX-PN-01", clean=transitional)
def no_ports(log: Log) -> None:
    """A disk with the ids of a legacy one has no I/O BAR."""
    log.drop(log.of("survey_bar", bar=0))


def with_functions() -> Log:
    """Return a log with the survey of a disk that has virtual functions, and offers SR_IOV."""
    log = surveyed()
    log.add("survey_ext", dev=1, reading=0, pos=0x100, ext_id=0x10, version=1)
    log.one("survey_register", offset=4)["value"] |= 1 << 5
    for event in log.of("features"):
        event["offered"] |= 1 << 37
    return log


@case("RF-DE-09", clean=with_functions)
def sr_iov_not_offered(log: Log) -> None:
    """The device has virtual functions and does not offer SR_IOV."""
    log.one("survey_register", offset=4)["value"] &= ~(1 << 5)
    for event in log.of("features"):
        event["offered"] &= ~(1 << 37)


@case("RF-DE-10", clean=surveyed)
def sr_iov_without_capability(log: Log) -> None:
    """A PCI device without an SR-IOV capability offers SR_IOV."""
    for event in log.of("features"):
        event["offered"] |= 1 << 37


@case("RF-DR-10", clean=surveyed)
def sr_iov_accepted_without_capability(log: Log) -> None:
    """A driver accepts SR_IOV of a PCI device without an SR-IOV capability."""
    for event in log.of("features"):
        event["acked"] |= 1 << 37


@case("LG-PE-04", clean=transitional)
def first_bar_is_memory(log: Log) -> None:
    """A transitional device has no I/O BAR 0."""
    log.drop(log.of("survey_bar", bar=0))
