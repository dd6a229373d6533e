# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/features.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import Make, bare, case, clear_bits, like, set_bits
from tests.spec.cases.status import AGREED, REFUSED
from tests.spec.log import Log
from tests.spec.machine import OFFERED, run
from tests.spec.registers import Device


@case("FB-DR-01")
def accepts_what_is_not_offered(log: Log) -> None:
    """The driver acknowledges LIFETIME, which the device does not offer."""
    log.one("features")["acked"] |= 1 << bits.BLK_LIFETIME


def with_registers() -> Log:
    """Return a log in which the registers show what the driver's own trace has."""
    log = run()
    traced = log.of("features")[-1]
    known = {name: traced[name] for name in ("dev", "life", "offered", "driver", "acked")}
    for _ in range(2):
        log.add("features", source="registers", **known, stage=0)
    return log


@case("FB-DR-01", "FB-DR-08", clean=with_registers)
def writes_other_features_than_it_keeps(log: Log) -> None:
    """The driver writes a feature that was not offered, and that it does not note itself."""
    for event in log.of("features", source="registers"):
        event["acked"] |= 1 << 50


def four_words() -> Log:
    """Return a log of a driver that reads four words of the offer, and accepts none of two."""
    device = Device("common")
    device.reset()
    device.negotiate()
    for word in (2, 3):
        device.write("device_feature_select", word)
        device.read("device_feature", 0)
    for word in (2, 3):
        device.write("driver_feature_select", word)
        device.write("driver_feature", 0)
    return device.log


@case("FB-DR-01", clean=four_words)
def accepts_feature_64(log: Log) -> None:
    """The driver acknowledges bit 64, which is not offered."""
    log.of("register", register="driver_feature", write=1)[-2]["value"] = 1


@case("RF-DR-01", clean=with_registers)
def leaves_version_1_out(log: Log) -> None:
    """The driver does not write VERSION_1, which it takes for acknowledged."""
    for event in log.of("features", source="registers"):
        event["acked"] &= ~(1 << bits.VERSION_1)


@case("IN-DR-04", clean=with_registers)
def writes_features_again(log: Log) -> None:
    """The driver writes the features again after FEATURES_OK, with one less."""
    log.of("features", source="registers")[-1]["acked"] &= ~(1 << bits.BLK_FLUSH)


def net() -> Log:
    """Return a log of a network device whose features have all their prerequisites."""
    value = sum(1 << bit for bit in (0, 1, 7, 11, 17, 22, 32))
    return bare(id=1, offered=value, acked=value)


@case("FB-DR-02", clean=net)
def accepts_without_prerequisite(log: Log) -> None:
    """The driver acknowledges a feature that needs CTRL_VQ, without CTRL_VQ."""
    clear_bits(log, acked=1 << 17)


@case("FB-DE-01", clean=net)
def offers_without_prerequisite(log: Log) -> None:
    """The device offers features that need CSUM, without CSUM."""
    clear_bits(log, offered=1 << 0)


@case("FB-DR-05")
def accepts_the_undescribed(log: Log) -> None:
    """Device and driver negotiate bit 31, which is not defined."""
    set_bits(log, offered=1 << 31, acked=1 << 31)


@case("FB-DR-06", "FB-DE-04")
def accepts_the_reserved(log: Log) -> None:
    """Device and driver negotiate bit 45, which is reserved."""
    set_bits(log, offered=1 << 45, acked=1 << 45)


@case("FB-DR-07", clean=lambda: mmio())
def accepts_of_other_transport(log: Log) -> None:
    """Device and driver negotiate ADMIN_VQ, a feature of PCI, on MMIO."""
    set_bits(log, offered=1 << bits.ADMIN_VQ, acked=1 << bits.ADMIN_VQ)


@case("FB-DR-08", "FB-DE-04")
def accepts_of_other_type(log: Log) -> None:
    """Device and driver negotiate bit 20, which block devices do not define."""
    set_bits(log, offered=1 << 20, acked=1 << 20)


@case("FB-DE-04")
def offered_and_not_supported(log: Log) -> None:
    """The device offers FLUSH, and ends a flush request with UNSUPP."""
    log.one("blk_done", type=bits.T_FLUSH)["status"] = bits.S_UNSUPP


@case("FB-DE-05", clean=like(lives=2))
def refuses_what_it_had_accepted(log: Log) -> None:
    """The device clears FEATURES_OK for features that it accepted before a reset."""
    agreed = log.one("status", op=bits.STATUS_WRITE, status=AGREED, life=1)
    log.after(agreed, lambda event: event["kind"] == "status")["status"] = REFUSED


def mmio() -> Log:
    """Return a log of an MMIO device."""
    log = run()
    log.device_type = "virtio-blk-device"
    return log


@case("RF-DE-10", "RF-DR-10", clean=mmio)
def sr_iov_without_pci(log: Log) -> None:
    """Device and driver negotiate SR_IOV on MMIO."""
    set_bits(log, offered=1 << bits.SR_IOV, acked=1 << bits.SR_IOV)


@case("RF-DE-01")
def version_1_is_not_offered(log: Log) -> None:
    """The device does not offer VERSION_1."""
    clear_bits(log, offered=1 << bits.VERSION_1, acked=1 << bits.VERSION_1)


@case("RF-DR-01")
def version_1_is_declined(log: Log) -> None:
    """The driver does not acknowledge VERSION_1, which is offered."""
    clear_bits(log, acked=1 << bits.VERSION_1)


def _declines(rule: str, bit: int, feature: str) -> None:
    """Register a case of a driver that does not acknowledge a feature that is offered."""

    def declines(log: Log) -> None:
        clear_bits(log, acked=1 << bit)

    declines.__doc__ = f"The driver does not acknowledge {feature}, which is offered."
    case(rule, clean=like(offered=OFFERED | 1 << bit))(declines)


_declines("RF-DR-03", bits.ACCESS_PLATFORM, "ACCESS_PLATFORM")
_declines("RF-DR-06", bits.RING_PACKED, "RING_PACKED")
_declines("RF-DR-07", bits.ORDER_PLATFORM, "ORDER_PLATFORM")
_declines("RF-DR-13", bits.NOTIF_CONFIG_DATA, "NOTIF_CONFIG_DATA")
_declines("BO-DR-03", bits.BLK_RO, "RO")


def strange(bit: int) -> Make:
    """Return a maker of logs of two lives, the second with a bit that no driver can know."""

    def make() -> Log:
        log = run(lives=2)
        for event in log.of("features", life=1):
            event["offered"] |= 1 << bit
        return log

    return make


@case("FB-DR-11", clean=strange(45))
@case("FB-DR-11", clean=strange(3))
def gives_up_for_a_strange_bit(log: Log) -> None:
    """The driver sets FAILED instead of DRIVER_OK where the bit is offered."""
    for event in log.of("status", life=1, op=0):
        if event["status"] & bits.DRIVER_OK:
            event["status"] = 0x8B


@case("FB-DR-11", clean=strange(45))
def accepts_a_strange_bit(log: Log) -> None:
    """The driver accepts a reserved bit."""
    for event in log.of("features", life=1):
        event["acked"] |= 1 << 45
