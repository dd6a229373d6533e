# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/config.py."""

from __future__ import annotations

from typing import Any

from pykit.spec import bits
from pykit.spec.blkconfig import BLK_SIZE
from tests.spec.cases.base import bare, case, clear_bits, later, set_bits
from tests.spec.cases.status import READY
from tests.spec.disk import Disk
from tests.spec.log import Log
from tests.spec.machine import OFFERED, run
from tests.spec.registers import ALL, mmio, pci


def config_change(log: Log, *, announced: bool = True, generation: int = 8) -> None:
    """Insert a change of capacity while the disk is in use, long before the trace ends."""
    at = log.one("driver", stage=bits.PROBED)
    parts: list[tuple[str, dict[str, Any]]] = [
        ("generation", {"generation": generation}),
        ("config", {"offset": 0, "len": 8, "value": 1 << 21, "write": 0}),
        ("generation", {"generation": generation}),
    ]
    if announced:
        parts.insert(0, ("config_change", {"status": READY}))
    for kind, fields in parts:
        at = log.insert(at, kind, **fields)


def grown() -> Log:
    """Return a log of a disk that grows, announces that, and is read again."""
    log = run()
    config_change(log)
    for event in log.of("driver", stage=bits.REMOVE):
        event["ts"] += 20_000_000_000
    later(log)
    return log


@case("BO-DR-01", clean=grown)
def change_is_ignored(log: Log) -> None:
    """The driver does not read capacity after a configuration change notification."""
    change = log.one("config_change")
    read = log.after(change, lambda event: event["kind"] == "config")
    log.drop([read])


@case("BO-DE-02", "DX-31", clean=grown)
def change_is_not_announced(log: Log) -> None:
    """The device changes its capacity without a configuration change notification."""
    log.drop(log.of("config_change"))


def with_other_blocks() -> Log:
    """Return a log of pykit drive: the size of blocks is read twice, and a change is announced."""
    disk = Disk(offered=OFFERED, values={BLK_SIZE: 512})
    disk.log.add("config_vector", **disk.place, vector=0)
    disk.log.add("generation", **disk.place, generation=7)
    disk.log.add("config_change", **disk.place, status=READY)
    disk.read(BLK_SIZE, 1024)
    later(disk.log)
    return disk.log


@case("DX-31", clean=with_other_blocks)
def change_of_a_narrow_field_is_not_announced(log: Log) -> None:
    """The size of blocks changes between two reads of pykit drive, and no notification comes."""
    log.drop(log.of("config_change"))


@case("PM-DE-06", clean=grown)
def generation_stands_still(log: Log) -> None:
    """The device changes its capacity and leaves the generation as it is."""
    for event in log.of("generation"):
        event["generation"] = 7


@case("CF-DR-03")
def no_generation_after(log: Log) -> None:
    """The driver reads 64 bits and does not read the generation after them."""
    wide = log.one("config", len=8)
    log.drop([log.after(wide, lambda event: event["kind"] == "generation")])
    log.insert(wide, "config", offset=8, len=4, value=1 << 16, write=0)


@case("CF-DR-03")
def no_generation_at_all(log: Log) -> None:
    """The driver reads 64 bits and never reads the generation."""
    log.insert(log.one("config", len=8), "config", offset=8, len=4, value=1 << 16, write=0)
    log.drop(log.of("generation"))


@case("CF-DR-03")
def torn_read_is_kept(log: Log) -> None:
    """The generation changes over a read of 64 bits, and the driver does not repeat the read."""
    wide = log.one("config", len=8)
    after = log.after(wide, lambda event: event["kind"] == "generation")
    after["generation"] += 1
    log.insert(after, "config", offset=8, len=4, value=1 << 16, write=0)


def two_fields() -> Log:
    """Return a log of a driver that reads two fields until the generation is the same."""
    log = run()
    at = log.after(log.one("config", len=8), lambda event: event["kind"] == "generation")
    # Fields by their offsets, and generations.
    for read in (-8, 8, 20, -9, 8, 20, -9):
        if read < 0:
            at = log.insert(at, "generation", generation=-read)
        else:
            at = log.insert(at, "config", offset=read, len=4, value=0, write=0)
    return log


@case("CF-DR-02", clean=two_fields)
def torn_fields_are_kept(log: Log) -> None:
    """The driver reads one of two fields again, where the generation has changed over both."""
    log.drop([log.of("config", offset=8, len=4)[-1]])


@case("CF-DR-04")
def field_without_its_feature(log: Log) -> None:
    """The driver reads a field of SECURE_ERASE, which is not offered."""
    log.insert(log.one("config"), "config", offset=60, len=4, value=0, write=0)


def console() -> Log:
    """Return a log of a console's driver that reads how many ports there are."""
    log = bare(id=bits.CONSOLE_ID, offered=1 << bits.VERSION_1 | 1 << 1)
    log.device_type = "virtio-serial-pci"
    log.add("config", dev=1, life=0, cpu=0, pid=7, offset=4, len=4, value=31, write=0)
    return log


@case("CF-DR-04", clean=console)
def field_of_another_device_type(log: Log) -> None:
    """A console's driver reads its size, which is not offered."""
    log.one("config")["offset"] = 0


def read_early() -> Log:
    """Return a log of a driver that reads seg_max before and after FEATURES_OK."""
    log = run()
    agreed = log.one("status", op=bits.STATUS_WRITE)
    log.insert(agreed, "config", after=False, offset=12, len=4, value=6, write=0)
    return log


@case("CF-DE-01", clean=read_early)
def not_readable_early(log: Log) -> None:
    """Before FEATURES_OK the device shows 0 instead of seg_max."""
    log.one("config", offset=12)["value"] = 0


@case("BI-DR-04")
def writeback_is_read_early(log: Log) -> None:
    """The driver reads writeback before FEATURES_OK."""
    agreed = log.one("status", op=bits.STATUS_WRITE)
    log.insert(agreed, "config", after=False, offset=32, len=1, value=1, write=0)


@case("BI-DE-01")
def flush_is_not_offered(log: Log) -> None:
    """The device does not offer FLUSH."""
    flush = 1 << bits.BLK_FLUSH
    clear_bits(log, offered=flush, acked=flush)


@case("BI-DE-02")
def cache_control_without_flush(log: Log) -> None:
    """The device offers CONFIG_WCE without FLUSH."""
    flush_is_not_offered(log)


def write_through() -> Log:
    """Return a log of a device with CONFIG_WCE whose driver declines FLUSH."""
    log = run(declined=1 << bits.BLK_FLUSH, kinds=(0, 1))
    log.one("config", offset=32)["value"] = 0
    # That QEMU does not begin at 0 is known up to 11.
    log.qemu = "12.0.0"
    return log


@case("BI-DE-03", clean=write_through)
def writeback_starts_at_one(log: Log) -> None:
    """Without FLUSH, writeback is 1 when the driver first reads it."""
    log.one("config", offset=32)["value"] = 1


def padding() -> Log:
    """Return a log of a driver that reads a byte of padding."""
    log = run()
    log.insert(log.one("config"), "config", offset=33, len=1, value=0, write=0)
    return log


@case("BI-DE-04", clean=padding)
def padding_is_not_zero(log: Log) -> None:
    """A byte of padding reads 3."""
    log.one("config", offset=33)["value"] = 3


@case("DX-24")
def chains_do_not_fit(log: Log) -> None:
    """seg_max and the two descriptors of header and status are more than the queue has."""
    for event in log.of("config", offset=12):
        event["value"] = 15


@case("DX-24")
def no_queues(log: Log) -> None:
    """The device has MQ and num_queues of 0."""
    log.one("config", offset=34)["value"] = 0


def with_registers() -> Log:
    """Return a log of a disk with two queues, of which the registers are logged, too."""
    device = pci(ALL | 1 << bits.BLK_MQ)
    place = {"dev": 1, "life": 0, "cpu": 0, "pid": 7}
    device.log.add("config", **place, offset=34, len=2, value=2, write=0)
    return device.log


def on_mmio() -> Log:
    """Return a log of a disk on MMIO that offers no MQ, of which two queues were looked at."""
    device = mmio()
    device.write("queue_select", 7)
    device.read("queue_size_max", 0, vq=7)
    place = {"dev": 1, "life": 0, "cpu": 0, "pid": 7}
    device.log.add("driver", **place, id=bits.BLK_ID, err=0, stage=0)
    device.log.add("config", **place, offset=34, len=2, value=2, write=0)
    set_bits(device.log, offered=1 << bits.BLK_MQ)
    return device.log


@case("DX-24", clean=on_mmio)
def queue_that_is_not_named(log: Log) -> None:
    """A queue behind those that the configuration names has a size."""
    log.one("register", register="queue_size_max", vq=7)["value"] = 256


@case("DX-24", clean=with_registers)
def more_queues_than_there_are(log: Log) -> None:
    """The configuration names more queues than the transport has."""
    log.one("config", offset=34)["value"] = 8
