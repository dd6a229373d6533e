# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/kept.py."""

from __future__ import annotations

from pykit.spec import bits
from pykit.spec.blkconfig import WRITEBACK
from tests.spec.cases.base import case
from tests.spec.disk import Disk
from tests.spec.log import Log
from tests.spec.machine import OFFERED
from tests.spec.registers import ALL, DEV, PLACE, SIZE, legacy, mmio, pci, repeat


def read_back() -> Log:
    """Return a log of a driver that reads registers of a queue and the status back."""
    device = pci()
    device.read("num_queues", 2)
    device.write("queue_select", 0)
    device.read("queue_notify_off", 0, vq=0)
    device.read("queue_size", SIZE, vq=0)
    device.read("queue_desc_low", PLACE, vq=0)
    device.read("queue_enable", 1, vq=0)
    device.read("queue_select", 0)
    device.read("status", 15)
    device.read("status", 15)
    return device.log


@case("DX-81", clean=read_back)
def size_is_not_taken(log: Log) -> None:
    """The device keeps the size that it had when the driver writes another one."""
    written = log.one("register", register="queue_size", write=1)
    written["value"] = SIZE // 4


@case("DX-81", clean=read_back)
def address_is_forgotten(log: Log) -> None:
    """The device shows 0 as the address of a queue's descriptors."""
    log.of("register", register="queue_desc_low", write=0)[-1]["value"] = 0


@case("DX-81", clean=read_back)
def queue_is_disabled(log: Log) -> None:
    """The device shows a queue that the driver enabled as disabled."""
    log.of("register", register="queue_enable", vq=0, write=0)[-1]["value"] = 0


@case("DX-81", clean=read_back)
def other_queue_is_selected(log: Log) -> None:
    """The device shows another queue as selected than the driver wrote."""
    log.of("register", register="queue_select", write=0)[-1]["value"] = 1


def page_read_back() -> Log:
    """Return a log of a driver that reads the page of a legacy queue back."""
    device = legacy()
    device.write("queue_select", 0)
    device.read("queue_pfn", PLACE // 4096, vq=0)
    return device.log


@case("DX-81", clean=page_read_back)
def page_is_forgotten(log: Log) -> None:
    """The device shows 0 as the page of a legacy queue."""
    log.of("register", register="queue_pfn", write=0)[-1]["value"] = 0


def read_twice() -> Log:
    """Return a log of a driver that reads twice what its notifications have to have."""
    device = pci(ALL | 1 << bits.NOTIF_CONFIG_DATA)
    device.write("queue_select", 0)
    for _ in range(2):
        device.read("notif_config_data", 7, vq=0)
    return device.log


@case("DX-87", clean=read_twice)
def data_of_notifications_change(log: Log) -> None:
    """The device wants other data in a queue's notifications at a second look."""
    log.of("register", register="notif_config_data", vq=0)[-1]["value"] += 1


@case("DX-87", clean=lambda: mmio().log)
def offer_of_mmio_changes(log: Log) -> None:
    """The device shows another offer by MMIO when the same window is selected again."""
    log.one("register", 2, register="device_feature")["value"] ^= 4


@case("DX-87", clean=read_back)
def number_of_queues_changes(log: Log) -> None:
    """The device has one queue more at a second look."""
    log.of("register", register="num_queues")[-1]["value"] += 1


@case("DX-87", clean=read_back)
def place_of_notifications_changes(log: Log) -> None:
    """The device has another place for a queue's notifications at a second look."""
    log.of("register", register="queue_notify_off", vq=0)[-1]["value"] += 1


@case("DX-82", clean=read_back)
def status_has_a_strange_bit(log: Log) -> None:
    """The device sets a bit of the status that nothing defines."""
    log.of("register", register="status", write=0)[-1]["value"] |= 32


@case("DX-82", clean=read_back)
def status_lacks_a_bit(log: Log) -> None:
    """The device takes ACKNOWLEDGE back."""
    log.of("register", register="status", write=0)[-1]["value"] &= ~bits.ACKNOWLEDGE


def shown() -> Log:
    """Return a log of a driver that looks at FEATURES_OK, and at FAILED in the end."""
    device = pci()
    agreed = device.log.one("register", register="status", write=1, value=11)
    repeat(device.log, agreed, agreed, write=0)
    device.log.add("dev_pci_config", dev=DEV, pid=1, offset=0, value=0, write=0, place="00:01.0")
    device.read("status", 15)
    device.status(0x8F)
    device.read("status", 0x8F)
    return device.log


@case("DX-82", clean=shown)
def status_loses_features_ok(log: Log) -> None:
    """The device takes FEATURES_OK back once the driver has seen it."""
    log.of("register", register="status", write=0)[-2]["value"] &= ~bits.FEATURES_OK


@case("DX-82", clean=shown)
def status_loses_driver_ok(log: Log) -> None:
    """The device does not show DRIVER_OK."""
    log.of("register", register="status", write=0)[-2]["value"] &= ~bits.DRIVER_OK


@case("DX-82", clean=shown)
def status_loses_failed(log: Log) -> None:
    """The device does not show FAILED."""
    log.of("register", register="status", write=0)[-1]["value"] &= ~bits.FAILED


def written_through() -> Log:
    """Return a log of a driver that has its disk write through, and reads that back."""
    disk = Disk(offered=OFFERED | 1 << bits.BLK_CONFIG_WCE)
    place = {"offset": WRITEBACK.offset, "len": WRITEBACK.width}
    disk.log.add("config", **disk.place, **place, value=0, write=1)
    disk.log.add("config", **disk.place, **place, value=0, write=0)
    return disk.log


@case("DX-85", clean=written_through)
def mode_of_no_cache(log: Log) -> None:
    """The driver writes 2 to writeback."""
    log.one("config", offset=WRITEBACK.offset, write=1)["value"] = 2


@case("DX-85", clean=written_through)
def capacity_is_written(log: Log) -> None:
    """The driver writes to capacity."""
    log.one("config", offset=WRITEBACK.offset, write=1).update(offset=0, len=8, value=1 << 20)
