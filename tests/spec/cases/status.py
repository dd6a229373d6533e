# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/status.py."""

from __future__ import annotations

from pykit.spec import bits
from pykit.trace import QmpAnswer
from pykit.trace.capture import STATUS_QUERY
from tests.spec.cases.base import bare, case, later
from tests.spec.disk import Disk
from tests.spec.log import Log
from tests.spec.machine import run

#: Status after the negotiation, of a refused one, of a live device, of one that was given up.
AGREED = bits.ACKNOWLEDGE | bits.DRIVER | bits.FEATURES_OK
REFUSED = AGREED & ~bits.FEATURES_OK
READY = AGREED | bits.DRIVER_OK
GAVE_UP = AGREED | bits.FAILED


@case("ST-DR-01", "IN-DR-01")
def features_ok_is_skipped(log: Log) -> None:
    """The driver never sets FEATURES_OK."""
    log.drop([*log.of("status", status=AGREED), *log.of("dev_status", status=AGREED)])
    for event in [*log.of("status", status=READY), *log.of("dev_status", status=READY)]:
        event["status"] = READY & ~bits.FEATURES_OK


@case("ST-DR-01")
def driver_ok_is_never_set(log: Log) -> None:
    """The driver uses its queues and never sets DRIVER_OK."""
    log.drop([*log.of("status", status=READY), *log.of("dev_status", status=READY)])


@case("ST-DE-04", clean=lambda: broken_device())
def trouble_is_announced_too_early(log: Log) -> None:
    """The only configuration change notification comes before the status is last read sound."""
    change = log.one("config_change")
    log.drop([change])
    first = log.one("status", op=bits.STATUS_READ)
    log.insert(first, "config_change", after=False, status=3)


@case("ST-DR-02")
def driver_bit_vanishes(log: Log) -> None:
    """The driver's write of DRIVER_OK clears DRIVER."""
    log.one("dev_status", status=READY)["status"] = READY & ~bits.DRIVER
    log.one("status", status=READY, op=bits.STATUS_WRITE)["status"] = READY & ~bits.DRIVER


def with_failure() -> Log:
    """Return a log in which probe() fails and the driver sets FAILED."""
    log = bare()
    place = {"dev": 1, "life": 0, "cpu": 0, "pid": 7}
    log.add("driver", **place, id=2, err=-22, stage=bits.PROBE_FAILED)
    log.add("status", **place, status=GAVE_UP, op=bits.STATUS_WRITE)
    log.add("dev_status", dev=1, life=0, pid=1, status=GAVE_UP)
    later(log)
    return log


@case("ST-DR-03", clean=with_failure)
def begins_again_after_failed(log: Log) -> None:
    """After FAILED the driver sets DRIVER_OK without a reset."""
    log.insert(log.one("dev_status", status=GAVE_UP), "dev_status", status=READY | bits.FAILED)


def to_front(log: Log, kind: str) -> None:
    """Move the first such event before DRIVER_OK in QEMU's log."""
    event = log.one(kind)
    log.events.remove(event)
    ready = log.one("dev_status", status=READY)
    log.events.insert(log.events.index(ready), event)


@case("ST-DE-01")
def pops_too_early(log: Log) -> None:
    """The device takes a buffer before DRIVER_OK."""
    to_front(log, "dev_pop")


@case("ST-DE-02")
def interrupts_too_early(log: Log) -> None:
    """The device sends an interrupt before DRIVER_OK."""
    to_front(log, "dev_signal")


def broken_device() -> Log:
    """Return a log of a device that sets DEVICE_NEEDS_RESET and announces that."""
    log = run()
    place = {"dev": 1, "cpu": 0, "pid": 7}
    at = log.one("driver", stage=bits.PROBED)
    at = log.insert(at, "status", **place, status=READY | bits.NEEDS_RESET, op=bits.STATUS_READ)
    log.insert(at, "config_change", **place, status=READY | bits.NEEDS_RESET)
    later(log)
    log.drop(log.of("dev_config_signal"))
    return log


@case("ST-DE-04", clean=broken_device)
def trouble_is_not_announced(log: Log) -> None:
    """The device sets DEVICE_NEEDS_RESET and sends no configuration change notification."""
    log.drop(log.of("config_change"))


#: What QMP answers of a broken device.
_BROKEN = {
    "broken": True,
    "status": {"statuses": ["VIRTIO_CONFIG_S_DRIVER_OK", "VIRTIO_CONFIG_S_NEEDS_RESET: …"]},
    "guest-features": {"transports": ["VIRTIO_F_VERSION_1: compliant with v1"]},
}


def broken_by_qmp() -> Log:
    """Return a log of a device that QMP shows broken, as its status has it."""
    log = run()
    log.qmp.append(QmpAnswer("hang", "vd0", STATUS_QUERY, None, {**_BROKEN}, None))
    return log


def seen_broken() -> Log:
    """Return a log of `pykit drive` that reads the status of a device that QMP shows broken."""
    log = Disk().log
    log.clock = "wall"
    log.qmp.append(QmpAnswer("driven", "vd0", STATUS_QUERY, None, {**_BROKEN}, log.now))
    log.add("status", dev=1, life=0, cpu=0, pid=7, status=0x4F, op=1)
    return log


@case("ST-DE-03", clean=seen_broken)
def hidden_from_the_driver(log: Log) -> None:
    """A device is broken, and the status that its driver reads does not show it."""
    log.of("status")[-1]["status"] = 0x0F


@case("ST-DE-03", clean=broken_by_qmp)
def broken_without_a_word(log: Log) -> None:
    """A device is broken until it is reset, and does not set DEVICE_NEEDS_RESET."""
    log.qmp[-1].answer["status"] = {"statuses": ["VIRTIO_CONFIG_S_DRIVER_OK"]}
