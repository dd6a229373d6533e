# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/mmio_registers.py."""

from __future__ import annotations

from tests.spec.cases.base import case
from tests.spec.log import Event, Log
from tests.spec.registers import DEV, Device, found, mmio, repeat


def on_mmio() -> Log:
    """Return a log of an MMIO device with one interrupt."""
    device = mmio()
    device.log.add(
        "dev_pop", dev=DEV, life=0, pid=1, vq=0, elem=1, in_num=1, out_num=1, avail_idx=1
    )
    device.read("isr", 1)
    device.read("isr", 3)
    device.write("interrupt_ack", 1)
    device.read("isr", 2)
    device.write("interrupt_ack", 2)
    return device.log


def _first(log: Log, name: str, write: int, nth: int = 0, **fields: object) -> Event:
    return log.one("register", nth, register=name, write=write, **fields)


@case("MR-DE-01", clean=on_mmio)
def other_magic(log: Log) -> None:
    """MagicValue has another value."""
    _first(log, "magic", 0)["value"] = 0x76697274


@case("MR-DE-02", clean=on_mmio)
def version_three(log: Log) -> None:
    """Version is 3."""
    _first(log, "version", 0)["value"] = 3


def with_empty_slot() -> Log:
    """Return a log of a guest whose driver has looked at a slot without a device, among others."""
    log = on_mmio()
    for number, looks in enumerate((0, 1)):
        place = {"reading": number, "state": "end", "start": 0xFEB00C00 + 0x200 * number}
        log.add("survey_slot", dev=None, **place, id=0, errors=0, looks=looks)
    return log


@case("MR-DR-13", clean=with_empty_slot)
def empty_slot_is_reported(log: Log) -> None:
    """The driver reports a slot without a device as an error."""
    log.one("survey_slot", looks=1)["errors"] = 1


def looked_at() -> Log:
    """Return a log of a driver that looks at a device, and leaves it alone."""
    device = Device("mmio")
    found(device, 2)
    return device.log


@case("MR-DE-01", clean=looked_at)
def other_magic_is_ignored(log: Log) -> None:
    """MagicValue has another value, for which the driver ignores the device."""
    _first(log, "magic", 0)["value"] = 0x76697274


@case("MR-DE-02", clean=looked_at)
def version_three_is_ignored(log: Log) -> None:
    """Version is 3, for which the driver ignores the device."""
    _first(log, "version", 0)["value"] = 3


@case("MR-DE-03", clean=on_mmio)
def interrupt_vanishes(log: Log) -> None:
    """A bit of InterruptStatus vanishes without an acknowledgement."""
    _first(log, "isr", 0, 2)["value"] = 0


@case("MR-DE-04", clean=on_mmio)
def interrupt_of_no_event(log: Log) -> None:
    """InterruptStatus has a bit that no event has."""
    _first(log, "isr", 0, 1)["value"] = 7


def announced_twice() -> Log:
    """Return a log of an MMIO device that announces two changes."""
    device = mmio()
    for generation in range(3):
        device.read("generation", generation)
        if generation:
            device.read("status", 15)
        device.read("isr", 2)
        device.write("interrupt_ack", 2)
    device.read("generation", 3)
    device.read("status", 15)
    return device.log


@case("MR-DE-04", clean=announced_twice)
def change_of_nothing(log: Log) -> None:
    """InterruptStatus shows a change again and again, and the generation stays."""
    for event in log.of("register", register="generation"):
        event["value"] = 0


def strange_interrupt() -> Log:
    """Return a log of an interrupt status with an undefined bit, of which the driver takes none."""
    log = on_mmio()
    _first(log, "isr", 0, value=3)["value"] = 5
    return log


@case("MR-DR-20", clean=strange_interrupt)
def undefined_bit_is_acknowledged(log: Log) -> None:
    """The driver acknowledges InterruptStatus as it read it."""
    _first(log, "interrupt_ack", 1)["value"] = 5


@case("MR-DR-20", clean=strange_interrupt)
def defined_bit_is_not_acknowledged(log: Log) -> None:
    """For an undefined bit the driver acknowledges another event than the one that it was shown."""
    _first(log, "interrupt_ack", 1)["value"] = 2


@case("MR-DE-05", clean=on_mmio)
def interrupt_after_reset(log: Log) -> None:
    """InterruptStatus keeps a bit over a reset."""
    _first(log, "isr", 0)["value"] = 1


@case("MR-DE-06", clean=on_mmio)
def ready_after_reset(log: Log) -> None:
    """QueueReady keeps its value over a reset."""
    _first(log, "queue_enable", 0)["value"] = 1


@case("MR-DE-08", clean=on_mmio)
def chain_from_unready_queue(log: Log) -> None:
    """The device takes a chain from a queue whose QueueReady is 0."""
    log.insert(
        _first(log, "queue_enable", 0), "dev_pop", vq=0, elem=1, in_num=1, out_num=1, avail_idx=1
    )


@case("MR-DR-01", clean=on_mmio)
def legacy_register(log: Log) -> None:
    """The driver writes to an offset where only the legacy interface has a register."""
    _first(log, "driver_feature_select", 1).update(register="reserved", offset=0x28)


@case("MR-DR-02", clean=on_mmio)
def write_to_read_only(log: Log) -> None:
    """The driver writes to VendorID."""
    _first(log, "vendor_id", 0)["write"] = 1


@case("MR-DR-03", clean=on_mmio)
def read_of_write_only(log: Log) -> None:
    """The driver reads QueueSel."""
    _first(log, "queue_select", 1)["write"] = 0


@case("MR-DR-04", clean=on_mmio)
def status_by_byte(log: Log) -> None:
    """The driver reads Status by a byte."""
    _first(log, "status", 0)["size"] = 1


@case("MR-DR-05", clean=on_mmio)
def config_byte_by_word(log: Log) -> None:
    """The driver reads a field of 8 bits by 32."""
    _first(log, "config", 0, offset=32)["size"] = 4


@case("MR-DR-06", clean=on_mmio)
def config_halfword_by_byte(log: Log) -> None:
    """The driver reads a field of 16 bits by bytes."""
    _first(log, "config", 0, offset=34)["size"] = 1


@case("MR-DR-07", clean=on_mmio)
def config_word_by_bytes(log: Log) -> None:
    """The driver reads a field of 32 bits by bytes."""
    _first(log, "config", 0, offset=12)["size"] = 1


@case("MN-DR-01", clean=on_mmio)
def interrupt_status_is_not_read(log: Log) -> None:
    """The driver acknowledges interrupts, and never reads InterruptStatus."""
    log.drop(log.of("register", register="isr"))


@case("MN-DR-03", clean=on_mmio)
def never_acknowledges(log: Log) -> None:
    """The driver reads InterruptStatus twice and acknowledges nothing."""
    log.drop(log.of("register", register="interrupt_ack"))


@case("MN-DR-03", clean=on_mmio)
def acknowledges_used_buffers_alone(log: Log) -> None:
    """The driver never acknowledges the change of the configuration that it is shown twice."""
    log.drop(log.of("register", register="interrupt_ack")[1:])


@case("MN-DR-03", clean=on_mmio)
def acknowledges_what_was_not_shown(log: Log) -> None:
    """The driver acknowledges a configuration change, and InterruptStatus showed none."""
    _first(log, "isr", 0, 2)["value"] = 1
    _first(log, "interrupt_ack", 1)["value"] = 3


def notifies_on_mmio() -> Log:
    """Return a log of an MMIO device with one notification."""
    device = mmio()
    device.write("queue_notify", 0, vq=0)
    return device.log


@case("MR-DR-03", clean=notifies_on_mmio)
def reads_the_notification(log: Log) -> None:
    """QueueNotify is read."""
    _first(log, "queue_notify", 1)["write"] = 0


@case("MR-DR-04", clean=notifies_on_mmio)
def notifies_by_halfwords(log: Log) -> None:
    """QueueNotify is written by 16 bits."""
    _first(log, "queue_notify", 1)["size"] = 2


@case("MR-DR-14", clean=on_mmio)
def offer_not_selected(log: Log) -> None:
    """The driver reads DeviceFeatures before it selects a window."""
    log.drop([_first(log, "device_feature_select", 1)])


@case("MR-DR-15", clean=on_mmio)
def acceptance_not_selected(log: Log) -> None:
    """The driver writes DriverFeatures before it selects a window."""
    log.drop([_first(log, "driver_feature_select", 1)])


@case("MR-DR-22", clean=on_mmio)
def undefined_bit_acknowledged(log: Log) -> None:
    """The driver acknowledges all 32 bits."""
    _first(log, "interrupt_ack", 1)["value"] = 0xFFFFFFFF


@case("MI-DR-01", clean=on_mmio)
def device_id_first(log: Log) -> None:
    """The driver reads DeviceID before MagicValue."""
    ident = _first(log, "device_id", 0)
    repeat(log, _first(log, "magic", 0), ident, after=False)


@case("MI-DR-01", clean=lambda: mmio().log)
def magic_is_not_read(log: Log) -> None:
    """The driver finds the device by Version, and never looks at MagicValue."""
    log.drop(log.of("register", register="magic"))


@case("MI-DR-02", clean=on_mmio)
def device_id_not_read(log: Log) -> None:
    """The driver does not read DeviceID."""
    log.drop([_first(log, "device_id", 0)])


def placeholder() -> Log:
    """Return a log of a device that a driver finds and leaves alone, and of one that it uses."""
    device = Device("mmio")
    found(device, 2)
    device.reset()
    return device.log


@case("MR-DR-08", clean=placeholder)
def placeholder_is_used(log: Log) -> None:
    """The driver resets a device whose DeviceID is 0."""
    _first(log, "device_id", 0)["value"] = 0


@case("MR-DR-08", clean=placeholder)
def wrong_magic_is_used(log: Log) -> None:
    """The driver resets a device whose MagicValue is wrong."""
    _first(log, "magic", 0)["value"] = 1


@case("MI-DR-05", clean=on_mmio)
def shared_memory_is_asked_for(log: Log) -> None:
    """A driver of a disk selects a shared memory region."""
    _first(log, "queue_select", 1).update(register="shm_select", offset=0xAC)


def asks_for_memory() -> Log:
    """Return a log of a driver that asks a disk on MMIO for shared memory."""
    device = mmio()
    device.write("shm_select", 0)
    for half in ("shm_len_low", "shm_len_high"):
        device.read(half, 0xFFFFFFFF)
    return device.log


@case("DX-92", clean=asks_for_memory)
def absent_memory_has_a_length(log: Log) -> None:
    """The device has a length of 0 for shared memory that is not there."""
    for event in log.of("register", register="shm_len_low"):
        event["value"] = 0
