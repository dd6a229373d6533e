# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of PCI registers, vectors, the ISR status and notifications."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import case
from tests.spec.log import Event, Log
from tests.spec.registers import ALL, DEV, SIZE, Device, legacy, mmio, pci, repeat

DATA, CONFIG_DATA = 1 << bits.NOTIFICATION_DATA, 1 << bits.NOTIF_CONFIG_DATA


def on_pci() -> Log:
    """Return a log of a modern PCI device."""
    return pci().log


def with_admin() -> Log:
    """Return a log of a device with an administration queue."""
    return pci(ALL | 1 << bits.ADMIN_VQ).log


def packed() -> Log:
    """Return a log of a device with packed rings."""
    return pci(ALL | 1 << bits.RING_PACKED).log


def _kicked(features: int, size: int, values: tuple[int, int]) -> Log:
    device = pci(ALL | features)
    for vq in range(2):
        device.write("queue_select", vq)
        device.read("notif_config_data", 7 + vq, vq=vq)
    for vq, value in enumerate(values):
        device.kick(vq, value, size)
    return device.log


def plain_kicks() -> Log:
    """Return a log with notifications by the queue's index."""
    return _kicked(0, 2, (0, 1))


def data_kicks() -> Log:
    """Return a log with notifications that have data."""
    return _kicked(DATA, 4, (0x50000, 0x60001))


def config_kicks() -> Log:
    """Return a log with notifications by a value of the device."""
    return _kicked(CONFIG_DATA, 2, (7, 8))


def both_kicks() -> Log:
    """Return a log with notifications by a value of the device, with data."""
    return _kicked(DATA | CONFIG_DATA, 4, (0x50007, 0x60008))


def twice() -> Log:
    """Return a log of a device that is reset and driven again, and whose vectors are unmapped."""
    device = pci()
    device.reset()
    for name, fields in (("config_vector", {}), ("queue_vector", {"vq": 0})):
        if fields:
            device.write("queue_select", 0)
        device.vector(name, 0xFFFF, **fields)
    device.negotiate()
    device.set_up(0)
    device.ready()
    return device.log


def without_msix() -> Log:
    """Return a log of a device whose ISR status is read for an interrupt, and again."""
    device = Device("common")
    device.reset()
    device.negotiate()
    device.ready()
    device.log.add("dev_signal", dev=DEV, life=0, pid=1, vq=0)
    for value in (1, 0):
        device.read("isr", value, structure="isr", offset=0, size=1)
    return device.log


def _first(log: Log, name: str, write: int, nth: int = 0, **fields: object) -> Event:
    return log.one("register", nth, register=name, write=write, **fields)


@case("PL-DR-01", clean=on_pci)
def status_by_words(log: Log) -> None:
    """The driver reads the status by 32 bits."""
    _first(log, "status", 0)["size"] = 4


@case("PL-DR-01", clean=on_pci)
def config_byte_by_halfword(log: Log) -> None:
    """The driver reads a field of 8 bits by 16."""
    _first(log, "config", 0, offset=32)["size"] = 2


@case("PL-DR-02", clean=on_pci)
def number_of_queues_by_bytes(log: Log) -> None:
    """The driver reads num_queues of the configuration by a byte."""
    _first(log, "config", 0, offset=34)["size"] = 1


@case("PL-DR-03", clean=on_pci)
def address_by_64_bits(log: Log) -> None:
    """The driver writes an address by one access of 64 bits."""
    _first(log, "queue_desc_low", 1)["size"] = 8


@case("DX-34", clean=on_pci)
def access_behind_the_structure(log: Log) -> None:
    """The driver reads behind the last field of the common configuration."""
    _first(log, "num_queues", 0).update(register="reserved", offset=0x40)


@case("PM-DE-03", clean=on_pci)
def offer_does_not_follow(log: Log) -> None:
    """The device shows another offer when the same window is selected again."""
    _first(log, "device_feature", 0, 2)["value"] ^= 4


@case("PM-DE-04", clean=on_pci)
def acceptance_is_lost(log: Log) -> None:
    """The device shows no bit in driver_feature, though the driver wrote valid ones."""
    _first(log, "driver_feature", 0, 1)["value"] = 0


def agreed() -> Log:
    """Return a log of a driver that reads what it accepted once the device has agreed to it."""
    log = on_pci()
    status = _first(log, "status", 0)
    read = _first(log, "driver_feature", 0, 1)
    repeat(log, read, status, value=0x0B)
    repeat(log, log.after(read, lambda event: event["kind"] == "register"), read)
    return log


@case("FB-DE-03", clean=agreed)
def agreed_and_not_taken(log: Log) -> None:
    """The device shows FEATURES_OK, and has none of the features that were accepted."""
    log.of("register", register="driver_feature", write=0)[-1]["value"] = 0


@case("PM-DE-08", clean=twice)
def status_returns(log: Log) -> None:
    """The status reads 15 once more after it was 0."""
    read = _first(log, "status", 0, 1)
    repeat(log, read, read, value=15)


@case("PM-DE-09", clean=on_pci)
def enabled_after_reset(log: Log) -> None:
    """A queue is enabled after a reset."""
    _first(log, "queue_enable", 0)["value"] = 1


@case("DX-26", clean=on_pci)
def address_after_reset(log: Log) -> None:
    """A queue has an address after a reset."""
    _first(log, "queue_desc_low", 0)["value"] = 0x1000


@case("PQ-DE-07", clean=on_pci)
def vector_after_reset(log: Log) -> None:
    """A queue has a vector after a reset."""
    _first(log, "queue_vector", 0)["value"] = 0


@case("PM-DE-15", clean=on_pci)
def queue_too_many(log: Log) -> None:
    """A queue behind num_queues has a size."""
    _first(log, "queue_size", 0, vq=2)["value"] = 256


@case("PM-DE-16", clean=on_pci)
def odd_size(log: Log) -> None:
    """The device has a split queue of 200 entries."""
    _first(log, "queue_size", 0, vq=0)["value"] = 200


@case("PM-DR-01", clean=on_pci)
def write_to_read_only(log: Log) -> None:
    """The driver writes to num_queues."""
    _first(log, "num_queues", 0)["write"] = 1


@case("PM-DR-02", clean=packed)
def packed_size_zero(log: Log) -> None:
    """The driver writes 0 as the size of a packed ring."""
    _first(log, "queue_size", 1)["value"] = 0


@case("PM-DR-03", clean=on_pci)
def split_size_odd(log: Log) -> None:
    """The driver writes 100 as the size of a split ring."""
    _first(log, "queue_size", 1)["value"] = 100


@case("PM-DR-06", clean=on_pci)
def queue_disabled(log: Log) -> None:
    """The driver writes 0 to queue_enable."""
    _first(log, "queue_enable", 1)["value"] = 0


@case("PQ-DE-06", clean=on_pci)
def other_vector(log: Log) -> None:
    """The device shows another vector than the one that was written."""
    _first(log, "queue_vector", 0, 1)["value"] = 5


@case("PQ-DE-05", clean=twice)
def vector_stays(log: Log) -> None:
    """The device keeps a vector when NO_VECTOR is written."""
    written = _first(log, "config_vector", 1, value=0xFFFF)
    log.after(written, lambda event: event.get("register") == "config_vector")["value"] = 0


@case("PQ-DR-04", clean=on_pci)
def vector_too_large(log: Log) -> None:
    """The driver writes a vector that no table has."""
    _first(log, "queue_vector", 1)["value"] = 0x800


def surveyed() -> Log:
    """Return a log of a device whose MSI-X table was surveyed."""
    log = on_pci()
    log.add("survey_cap", dev=DEV, reading=0, pos=0x98, cap_id=0x11, vectors=3, enabled=1)
    return log


@case("PQ-DR-04", clean=surveyed)
def vector_outside_the_table(log: Log) -> None:
    """The driver writes a vector behind the end of the device's table."""
    _first(log, "queue_vector", 1)["value"] = 3


@case("PQ-DE-04", clean=surveyed)
def vector_is_refused(log: Log) -> None:
    """The device refuses a vector of its table."""
    _first(log, "queue_vector", 0, 1)["value"] = 0xFFFF


@case("PQ-DR-05", clean=on_pci)
def vector_not_read_back(log: Log) -> None:
    """The driver does not read the vector of the configuration back."""
    log.drop([_first(log, "config_vector", 0)])


@case("PR-DR-01", clean=on_pci)
def isr_read_with_msix(log: Log) -> None:
    """The driver reads the ISR status although its queues have vectors."""
    place = {"dev": DEV, "life": 0, "structure": "isr", "register": "isr"}
    log.add("register", **place, offset=0, size=1, value=0, write=0)


@case("PR-DE-05", clean=without_msix)
def isr_stays(log: Log) -> None:
    """The ISR status keeps its value when it is read."""
    _first(log, "isr", 0, 1)["value"] = 1


@case("PK-DR-01", clean=plain_kicks)
def kick_by_word(log: Log) -> None:
    """The driver notifies by 32 bits without NOTIFICATION_DATA."""
    _first(log, "queue_notify", 1)["size"] = 4


@case("PK-DR-02", clean=data_kicks)
def kick_by_halfword(log: Log) -> None:
    """The driver notifies by 16 bits with NOTIFICATION_DATA."""
    _first(log, "queue_notify", 1)["size"] = 2


@case("PK-DR-03", clean=plain_kicks)
def kick_of_another_queue(log: Log) -> None:
    """The driver writes another queue's index to a queue's notification address."""
    _first(log, "queue_notify", 1)["value"] = 1


@case("PK-DR-04", clean=data_kicks)
def kick_with_data_of_another_queue(log: Log) -> None:
    """The driver notifies with data and another queue's index."""
    _first(log, "queue_notify", 1)["value"] = 0x50001


@case("PK-DR-05", clean=config_kicks)
def kick_by_index_instead(log: Log) -> None:
    """The driver notifies by the queue's index although the device gave another value."""
    _first(log, "queue_notify", 1)["value"] = 0


@case("PK-DR-06", clean=both_kicks)
def kick_by_index_and_data(log: Log) -> None:
    """The driver notifies by index and data although the device gave another value."""
    _first(log, "queue_notify", 1)["value"] = 0x50000


@case("PM-DE-17", clean=with_admin)
def admin_queue_among_the_others(log: Log) -> None:
    """The administration queues begin at an index that other queues have."""
    _first(log, "admin_queue_index", 0)["value"] = 1


@case("PM-DE-18", clean=with_admin)
def too_many_admin_queues(log: Log) -> None:
    """The device has so many administration queues that their indices exceed 16 bits."""
    _first(log, "admin_queue_num", 0)["value"] = 0xFFFF


@case("PM-DR-10", clean=with_admin)
def admin_queue_outside(log: Log) -> None:
    """The driver enables a queue behind the administration queues."""
    for event in log.of("register", vq=2):
        event["vq"] = 3


def vectors_of_a_table() -> Log:
    """Return a log of a surveyed device whose driver maps its events to vectors."""
    log = on_pci()
    log.add("survey_cap", dev=DEV, reading=0, cap_id=0x11, pos=0x40, cap_next=0, vectors=1)
    return log


@case("PQ-DR-01", clean=vectors_of_a_table)
def gives_up_for_vectors(log: Log) -> None:
    """The driver sets FAILED when it was refused a vector."""
    ready = [e for e in log.of("register", register="status", write=1) if e["value"] & 4][-1]
    ready["value"] = 0x8B
    place = {"structure": "common", "offset": 0x1A, "size": 2, "life": ready["life"], "vq": 0}
    log.insert(
        ready, "register", after=False, **place, register="queue_vector", value=0xFFFF, write=0
    )


def far_window() -> Log:
    """Return a log of a driver that looks at features that nothing defines."""
    device = pci()
    device.write("device_feature_select", 16)
    device.read("device_feature", 0)
    return device.log


@case("PM-DE-03", clean=far_window)
def window_is_masked(log: Log) -> None:
    """The device shows the first window's features where window 16 was selected."""
    log.of("register", register="device_feature")[-1]["value"] = 1 << bits.BLK_FLUSH


@case("DX-26", clean=twice)
def size_after_reset(log: Log) -> None:
    """A queue has another size after a reset than at first."""
    log.of("register", register="queue_size", vq=0, write=0)[-1]["value"] = 64


def acceptance_read() -> Log:
    """Return a log of a driver that reads after a reset what it had accepted, and the status."""
    device = pci()
    device.reset()
    device.read("isr", 0, structure="isr")
    for word in range(2):
        device.write("driver_feature_select", word)
        device.read("driver_feature", 0)
    return device.log


@case("DX-26", clean=acceptance_read)
def acceptance_after_reset(log: Log) -> None:
    """The device shows what the driver had accepted before a reset."""
    log.of("register", register="driver_feature", write=0)[-1]["value"] = 1


@case("DX-26", clean=acceptance_read)
def isr_after_reset(log: Log) -> None:
    """The ISR status has a bit after a reset."""
    log.of("register", register="isr")[-1]["value"] = 1


def page_after_reset() -> Log:
    """Return a log of a driver that reads the page of a legacy queue after a reset."""
    device = legacy()
    device.reset()
    device.write("queue_select", 0)
    device.read("queue_pfn", 0, vq=0)
    return device.log


@case("DX-26", clean=page_after_reset)
def page_is_kept(log: Log) -> None:
    """A legacy queue has its page after a reset."""
    log.of("register", register="queue_pfn", write=0)[-1]["value"] = 0x100


def sizes_after_reset() -> Log:
    """Return a log of a driver that looks at an MMIO queue's size again after a reset."""
    device = mmio()
    device.reset()
    device.write("queue_select", 0)
    device.read("queue_size_max", SIZE, vq=0)
    return device.log


@case("DX-26", clean=sizes_after_reset)
def largest_size_after_reset(log: Log) -> None:
    """A queue may be half as large after a reset."""
    log.of("register", register="queue_size_max", vq=0)[-1]["value"] = SIZE // 2
