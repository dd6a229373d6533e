# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/pci_capabilities.py."""

from __future__ import annotations

from tests.spec.cases.base import case
from tests.spec.log import Log
from tests.spec.survey import REGISTERS, cap, register, surveyed

NOTIFICATION_DATA = 38


def announcing() -> Log:
    """Return a log with the survey of a disk that offers NOTIFICATION_DATA."""
    value = REGISTERS[4, 4] | 1 << NOTIFICATION_DATA - 32
    log = surveyed(registers={**REGISTERS, (4, 4): value})
    for event in log.of("features"):
        event["offered"] |= 1 << NOTIFICATION_DATA
    return log


def furnished() -> Log:
    """Return a log with the survey of a disk with vendor data and shared memory."""
    log = surveyed()
    cap(log, 9, 0xB0, bar=None, start=None, length=None, vendor_id=0x1B36)
    cap(log, 8, 0xC0, cap_len=24, length=0x1000)
    cap(log, 8, 0xD8, cap_len=24, start=0x1000, sub_id=1)
    return log


@case("PC-DE-01", clean=surveyed)
def multiplier_is_left_out(log: Log) -> None:
    """cap_len of the notification capability ends before notify_off_multiplier."""
    log.one("survey_cap", cfg_type=2).update(cap_len=16, multiplier=None)


@case("PC-DE-01", clean=surveyed)
def covers_the_next(log: Log) -> None:
    """cap_len of a capability reaches over the next one."""
    log.one("survey_cap", cfg_type=3)["cap_len"] = 40


@case("PC-DE-01", clean=surveyed)
def leaves_the_space(log: Log) -> None:
    """cap_len of a capability reaches over the end of the configuration space."""
    log.one("survey_cap", cfg_type=5).update(pos=0xF0, cap_len=20)


@case("PM-DE-01", clean=surveyed)
def common_at_odd_place(log: Log) -> None:
    """The common configuration begins at offset 2."""
    log.one("survey_cap", cfg_type=1)["start"] = 2


@case("PM-DE-02", clean=surveyed)
def no_common(log: Log) -> None:
    """There is no common configuration capability."""
    log.drop(log.of("survey_cap", cfg_type=1))


@case("PM-DE-02", clean=surveyed)
def common_in_no_bar(log: Log) -> None:
    """The common configuration is in a BAR that the function does not have."""
    log.one("survey_cap", cfg_type=1)["bar"] = 2


@case("PM-DE-02", clean=surveyed)
def common_beyond_its_bar(log: Log) -> None:
    """The common configuration reaches over the end of its BAR."""
    log.one("survey_cap", cfg_type=1)["start"] = 0x3FF0


@case("PM-DE-02", clean=surveyed)
def no_capability_at_all(log: Log) -> None:
    """A device with VERSION_1 has no capability of virtio's, and an I/O BAR 0."""
    log.drop(log.of("survey_cap", cap_id=9))
    log.drop(log.of("survey_register"))
    log.one("survey_pci").update(device_id=0x1001, revision_id=0)
    log.add("survey_bar", dev=1, reading=0, bar=0, start=0xC000, length=128, io=1, wide=0)


@case("PO-DE-01", clean=surveyed)
def no_notify(log: Log) -> None:
    """There is no notification capability."""
    log.drop(log.of("survey_cap", cfg_type=2))


@case("PR-DE-01", clean=surveyed)
def no_isr(log: Log) -> None:
    """There is no ISR status capability."""
    log.drop(log.of("survey_cap", cfg_type=3))


@case("OX-PD-01", clean=surveyed)
def no_device_configuration(log: Log) -> None:
    """A disk has no capability for its configuration."""
    log.drop(log.of("survey_cap", cfg_type=4))


@case("PE-DE-01", clean=surveyed)
def device_configuration_at_odd_place(log: Log) -> None:
    """The device's configuration begins at offset 0x2002."""
    log.one("survey_cap", cfg_type=4)["start"] = 0x2002


@case("PX-DE-01", clean=surveyed)
def no_configuration_access(log: Log) -> None:
    """There is no PCI configuration access capability."""
    log.drop(log.of("survey_cap", cfg_type=5))


@case("PX-DE-01", clean=surveyed)
def configuration_access_without_data(log: Log) -> None:
    """The PCI configuration access capability ends before pci_cfg_data."""
    log.one("survey_cap", cfg_type=5)["cap_len"] = 16


@case("PZ-DE-01", clean=furnished)
def vendor_data_of_virtio(log: Log) -> None:
    """Vendor data has virtio's own vendor id."""
    log.one("survey_cap", cfg_type=9)["vendor_id"] = 0x1AF4


@case("PZ-DE-02", clean=furnished)
def odd_vendor_data(log: Log) -> None:
    """A vendor data capability has 10 bytes."""
    log.one("survey_cap", cfg_type=9)["cap_len"] = 10


@case("PH-DE-01", clean=furnished)
def shared_memory_outside(log: Log) -> None:
    """A shared memory region is larger than its BAR."""
    log.one("survey_cap", cfg_type=8)["length"] = 1 << 32


@case("PH-DE-02", clean=furnished)
def shared_memory_ids_repeat(log: Log) -> None:
    """Two shared memory regions have the same id."""
    log.one("survey_cap", cfg_type=8, nth=1)["sub_id"] = 0


@case("PQ-DE-01", clean=surveyed)
def one_vector(log: Log) -> None:
    """MSI-X has one vector."""
    log.one("survey_cap", cap_id=0x11)["vectors"] = 1


def of_two_vectors() -> Log:
    """Return a log with the survey of a disk whose vectors QEMU's command line sets."""
    log = surveyed()
    log.options = {"vectors": 2}
    return log


@case("PQ-DE-02", clean=of_two_vectors)
def more_vectors_reported(log: Log) -> None:
    """MSI-X reports more vectors than the device has."""
    log.one("survey_cap", cap_id=0x11)["vectors"] = 3


@case("PQ-DE-03", clean=surveyed)
def vectors_to_spare(log: Log) -> None:
    """MSI-X has three vectors for one queue and the configuration."""
    log.one("survey_cap", cap_id=0x11)["vectors"] = 3


@case("PO-DE-02", clean=surveyed)
def notify_at_odd_place(log: Log) -> None:
    """The notification area begins at an odd offset."""
    log.one("survey_cap", cfg_type=2)["start"] = 0x3001


@case("PO-DE-03", clean=surveyed)
def multiplier_is_6(log: Log) -> None:
    """notify_off_multiplier is 6."""
    log.one("survey_cap", cfg_type=2)["multiplier"] = 6


@case("PO-DE-03", clean=surveyed)
def multiplier_is_1(log: Log) -> None:
    """notify_off_multiplier is 1."""
    log.one("survey_cap", cfg_type=2)["multiplier"] = 1


@case("PO-DE-04", clean=surveyed)
def one_byte_of_notify(log: Log) -> None:
    """The notification area has one byte."""
    log.one("survey_cap", cfg_type=2)["length"] = 1


@case("PO-DE-07", clean=announcing)
def multiplier_is_2(log: Log) -> None:
    """notify_off_multiplier is 2 although notifications have four bytes."""
    log.one("survey_cap", cfg_type=2)["multiplier"] = 2


@case("PO-DE-08", clean=announcing)
def notify_at_half_word(log: Log) -> None:
    """The notification area begins at offset 0x3002 although notifications have four bytes."""
    log.one("survey_cap", cfg_type=2)["start"] = 0x3002


@case("PO-DE-09", clean=announcing)
def two_bytes_of_notify(log: Log) -> None:
    """The notification area has two bytes although notifications have four."""
    log.one("survey_cap", cfg_type=2)["length"] = 2


@case("PO-DE-05", "PO-DE-06", clean=surveyed)
def queue_is_notified_outside(log: Log) -> None:
    """The selected queue's notification address is behind the notification area."""
    register(log, 0x1E)["value"] = 0x400


def of_two_queues() -> Log:
    """Return a log with the survey of a disk of two queues, whose driver read both offsets."""
    log = surveyed(registers={**REGISTERS, (0x12, 2): 2})
    for vq in (0, 1):
        fields = {"structure": "common", "register": "queue_notify_off", "offset": 0x1E, "size": 2}
        log.add("register", dev=1, life=0, vq=vq, value=vq, write=0, **fields)
    return log


@case("PO-DE-05", "PO-DE-06", clean=of_two_queues)
def driver_reads_an_offset_outside(log: Log) -> None:
    """The second queue's notification address is behind the notification area."""
    log.one("register", vq=1)["value"] = 0x400


@case("PO-DE-10", "PO-DE-11", clean=announcing)
def queue_is_notified_outside_with_data(log: Log) -> None:
    """A notification of four bytes reaches over the end of the notification area."""
    log.one("survey_cap", cfg_type=2)["length"] = 0x1000 + 2
    register(log, 0x1E)["value"] = 0x400
