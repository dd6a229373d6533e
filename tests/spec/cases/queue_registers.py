# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of queues' registers and of the reset of queues."""

from __future__ import annotations

from tests.spec.cases.base import case
from tests.spec.cases.pci_registers import on_pci, packed
from tests.spec.log import Event, Log
from tests.spec.registers import DEV, PLACE, QUEUES, SIZE, mmio, one_queue, pci, repeat


def on_mmio() -> Log:
    """Return a log of an MMIO device that is driven, and whose queue is stopped."""
    device = mmio()
    device.write("queue_select", 1)
    device.write("queue_enable", 0, vq=1)
    device.read("queue_enable", 0, vq=1)
    device.reset()
    return device.log


def renewed() -> Log:
    """Return a log of a queue that is reset and enabled again."""
    device = pci()
    device.reset()
    device.negotiate()
    for vq in range(2):
        device.set_up(vq)
    device.write("queue_select", 0)
    device.read("queue_reset", 0, vq=0)
    device.ready()
    device.log.add(
        "dev_pop", dev=DEV, life=1, pid=1, vq=0, elem=1, in_num=1, out_num=1, avail_idx=1
    )
    device.write("queue_select", 1)
    device.write("queue_reset", 1, vq=1)
    device.read("queue_reset", 1, vq=1)
    device.read("queue_reset", 0, vq=1)
    device.read("queue_enable", 0, vq=1)
    device.set_up(1, fresh=False)
    device.read("queue_size", 256, vq=1)
    device.read("queue_enable", 1, vq=1)
    device.read("queue_reset", 0, vq=1)
    device.log.add(
        "dev_pop", dev=DEV, life=1, pid=1, vq=1, elem=1, in_num=1, out_num=1, avail_idx=1
    )
    device.log.add("dev_signal", dev=DEV, life=1, pid=1, vq=1)
    return device.log


def fresh_reset_bit() -> Log:
    """Return a log of a device whose queue_reset is read before anything is written to it."""
    device = pci()
    device.write("queue_select", 0)
    device.read("queue_reset", 0, vq=0)
    return device.log


def with_rings() -> Log:
    """Return a log of a PCI device whose driver's set-ups of the queues are traced."""
    device = pci()
    for vq in range(QUEUES):
        at = PLACE * (vq + 1)
        ring = {"desc": at, "avail": at + 0x10000, "used": at + 0x20000, "size": SIZE}
        rest = ("avail_flags", "avail_idx", "used_flags", "used_idx", "layout", "op")
        place = {"dev": DEV, "life": 0, "vq": vq, "cpu": 0, "pid": 7, "num_queues": QUEUES}
        device.log.add("queue", **place, **ring, **dict.fromkeys(rest, 0))
    return device.log


def oversized() -> Log:
    """Return a log of a queue that is given twice its size, and used by what the device shows."""
    device = pci()
    device.reset()
    device.negotiate()
    device.read("num_queues", QUEUES)
    device.write("queue_select", 0)
    device.read("queue_size", SIZE, vq=0)
    device.write("queue_size", 2 * SIZE, vq=0)
    device.read("queue_size", SIZE, vq=0)
    device.log.add("beyond", dev=DEV, life=1, vq=0, size=SIZE, looked=SIZE, stored=0)
    return device.log


def _first(log: Log, name: str, write: int, nth: int = 0, **fields: object) -> Event:
    return log.one("register", nth, register=name, write=write, **fields)


@case("PM-DR-04", clean=on_pci)
def enabled_without_address(log: Log) -> None:
    """The driver enables a queue before it writes the address of the used ring."""
    late = _first(log, "queue_device_low", 1, vq=0)
    repeat(log, _first(log, "queue_enable", 1, vq=0), late)
    log.drop([late])


@case("PM-DR-04", clean=on_pci)
def vector_after_enabling(log: Log) -> None:
    """The driver writes a queue's vector when the queue is enabled."""
    late = _first(log, "queue_vector", 1, vq=1)
    repeat(log, _first(log, "queue_enable", 1, vq=1), late)


@case("DX-72", clean=with_rings)
def areas_are_swapped(log: Log) -> None:
    """The driver gives the device the address of each of a queue's two rings for the other."""
    one = _first(log, "queue_driver_low", 1, vq=1)
    other = _first(log, "queue_device_low", 1, vq=1)
    one["value"], other["value"] = other["value"], one["value"]


@case("DX-72", clean=with_rings)
def half_the_size(log: Log) -> None:
    """The driver gives the device half the size of the ring."""
    _first(log, "queue_size", 1, vq=0)["value"] //= 2


@case("DX-75", clean=with_rings)
def twice_the_size(log: Log) -> None:
    """The driver makes a queue twice as large as the device showed."""
    _first(log, "queue_size", 1, vq=0)["value"] *= 2


@case("DX-35", clean=oversized)
def beyond_the_ring(log: Log) -> None:
    """The device shows its own size, and uses slots behind it, as the driver wrote."""
    log.one("beyond").update(stored=4, slot=SIZE)


@case("VQ-DR-01", clean=on_mmio)
@case("PV-DR-01", clean=packed)
def misaligned(log: Log) -> None:
    """The driver gives the device an address of the used ring that is no multiple of 4."""
    _first(log, "queue_device_low", 1, vq=1)["value"] += 2


@case("IN-DR-01", clean=with_rings)
def never_reset(log: Log) -> None:
    """The driver does not reset the device before it uses it."""
    log.drop([_first(log, "status", 1)])


@case("IN-DR-01", clean=with_rings)
def never_enabled(log: Log) -> None:
    """The driver sets a queue up, and does not enable it."""
    log.drop(log.of("register", register="queue_enable", write=1, vq=1))


@case("MR-DR-17", clean=on_mmio)
def address_of_ready_queue(log: Log) -> None:
    """The driver writes an address of a queue that is ready."""
    late = _first(log, "queue_desc_low", 1, vq=0)
    repeat(log, _first(log, "queue_enable", 1, vq=0), late)


@case("MR-DR-16", clean=on_mmio)
def size_too_large(log: Log) -> None:
    """The driver writes a larger size than the device takes."""
    _first(log, "queue_size", 1)["value"] = 512


@case("MR-DR-19", clean=on_mmio)
def stopped_without_read(log: Log) -> None:
    """The driver clears QueueReady and does not read it."""
    log.drop(log.of("register", register="queue_enable", write=0, vq=1)[-1:])


@case("PM-DE-10", clean=fresh_reset_bit)
def reset_bit_after_reset(log: Log) -> None:
    """The device shows 1 in queue_reset of a queue that was not reset."""
    _first(log, "queue_reset", 0)["value"] = 1


@case("PM-DE-11", clean=renewed)
def reset_bit_when_enabled(log: Log) -> None:
    """The device shows 1 in queue_reset of a queue that was enabled again."""
    log.of("register", register="queue_reset", write=0)[-1]["value"] = 1


@case("PM-DE-12", clean=renewed)
def still_enabled(log: Log) -> None:
    """A queue is enabled after its reset is complete."""
    reset = _first(log, "queue_reset", 1)
    log.after(reset, lambda event: event.get("register") == "queue_enable")["value"] = 1


@case("PM-DE-13", clean=renewed)
def reset_begins_again(log: Log) -> None:
    """queue_reset is 0, and then 1 again."""
    done = _first(log, "queue_reset", 0, value=0, vq=1)
    repeat(log, done, done, value=1)


@case("PM-DR-07", clean=renewed)
def queue_reset_not_polled(log: Log) -> None:
    """The driver sets the queue up again while queue_reset is 1."""
    log.drop([_first(log, "queue_reset", 0, value=0, vq=1)])


@case("VE-DR-01", clean=renewed)
def renewed_without_address(log: Log) -> None:
    """The driver enables a queue again without its addresses."""
    log.drop(log.of("register", register="queue_desc_low", write=1, vq=1, life=1)[1:])


@case("VE-DE-01", clean=renewed)
def size_is_not_kept(log: Log) -> None:
    """The device does not keep the size that was written after a queue's reset."""
    log.of("register", register="queue_size", write=0, vq=1)[-1]["value"] = 128


@case("VR-DE-01", clean=renewed)
def chain_from_reset_queue(log: Log) -> None:
    """The device takes a chain from a queue that was reset."""
    done = _first(log, "queue_reset", 0, value=0, vq=1)
    log.insert(done, "dev_pop", vq=1, elem=1, in_num=1, out_num=1, avail_idx=1)


@case("VR-DE-02", clean=renewed)
def interrupt_of_reset_queue(log: Log) -> None:
    """The device raises an interrupt for a queue that was reset."""
    log.insert(_first(log, "queue_reset", 0, value=0, vq=1), "dev_signal", vq=1)


@case("IN-DR-01", clean=on_pci)
def enabled_after_driver_ok(log: Log) -> None:
    """The driver enables a queue after it has set DRIVER_OK."""
    late = _first(log, "queue_enable", 1, vq=1)
    ready = log.of("register", register="status", write=1)[-1]
    repeat(log, ready, late)
    log.drop([late])


@case("DX-104", clean=lambda: one_queue().log)
def second_queue_without_mq(log: Log) -> None:
    """The driver enables the second queue."""
    log.one("register", register="queue_enable", write=1)["vq"] = 1
