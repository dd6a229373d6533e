# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/init.py."""

from __future__ import annotations

from pykit.spec import bits
from pykit.trace.kinds import SET_UP
from tests.spec.cases.base import case
from tests.spec.cases.status import GAVE_UP, READY, REFUSED, with_failure
from tests.spec.log import Log
from tests.spec.machine import run


@case("IN-DR-06", clean=with_failure)
def failed_is_not_written(log: Log) -> None:
    """probe() fails and the driver does not set FAILED."""
    log.drop([*log.of("status", status=GAVE_UP), *log.of("dev_status", status=GAVE_UP)])


@case("IN-DR-07", clean=with_failure)
def goes_on_after_failure(log: Log) -> None:
    """probe() fails and the driver sets DRIVER_OK all the same."""
    failed = log.one("driver", stage=bits.PROBE_FAILED)
    log.insert(failed, "status", status=READY, op=bits.STATUS_WRITE)


@case("IN-DR-01")
def two_steps_in_one(log: Log) -> None:
    """The driver sets ACKNOWLEDGE and DRIVER in one write."""
    log.drop(log.of("dev_status", status=bits.ACKNOWLEDGE)[:1])


@case("IN-DR-01")
def begins_again_without_reset(log: Log) -> None:
    """After DRIVER_OK the driver writes ACKNOWLEDGE alone, without a reset."""
    log.insert(log.one("dev_status", status=READY), "dev_status", status=bits.ACKNOWLEDGE)


@case("IN-DR-01")
def queues_before_features(log: Log) -> None:
    """The driver sets a queue up before FEATURES_OK."""
    queue = log.one("queue", op=SET_UP)
    log.events.remove(queue)
    log.events.insert(log.events.index(log.one("status", op=bits.STATUS_WRITE)), queue)


@case("IN-DR-03")
def config_is_written_too_early(log: Log) -> None:
    """The driver writes to the configuration before FEATURES_OK."""
    agreed = log.one("status", op=bits.STATUS_WRITE)
    log.insert(agreed, "config", after=False, offset=32, len=1, value=1, write=1)


@case("IN-DR-04")
def features_grow(log: Log) -> None:
    """The driver acknowledges another feature after FEATURES_OK."""
    log.one("features", stage=2)["acked"] |= 1 << bits.BLK_GEOMETRY


@case("IN-DR-05")
def status_is_not_read_back(log: Log) -> None:
    """The driver sets DRIVER_OK without reading the status after FEATURES_OK."""
    log.drop(log.of("status", op=bits.STATUS_READ, life=0))


@case("IN-DR-05")
def status_is_read_too_late(log: Log) -> None:
    """The driver reads the status only after it has set up its queues."""
    agreed = log.one("status", op=bits.STATUS_WRITE)
    log.drop([log.after(agreed, lambda e: e["kind"] == "status" and e["op"] == bits.STATUS_READ)])


@case("IN-DR-04")
def features_shrink(log: Log) -> None:
    """The driver withdraws a feature after FEATURES_OK, with which it had finished its choice."""
    log.one("features", stage=0)["stage"] = 1
    log.one("features", stage=2)["acked"] &= ~(1 << bits.BLK_FLUSH)


@case("IN-DR-04")
def features_shrink_later(log: Log) -> None:
    """The driver withdraws a feature that it had after FEATURES_OK still."""
    frozen = log.one("features", stage=2)
    fewer = {"acked": frozen["acked"] & ~(1 << bits.BLK_FLUSH), "stage": 1}
    ready = log.one("status", op=bits.STATUS_WRITE, status=READY)
    log.insert(ready, "features", offered=frozen["offered"], driver=frozen["driver"], **fewer)


@case("IN-DR-01")
def queues_after_driver_ok(log: Log) -> None:
    """The driver sets a queue up after DRIVER_OK."""
    queue = log.one("queue", op=SET_UP)
    log.events.remove(queue)
    ready = log.one("status", op=bits.STATUS_WRITE, status=READY)
    log.events.insert(log.events.index(ready) + 1, queue)


@case("IN-DR-05", "FB-DE-02")
def refusal_is_overlooked(log: Log) -> None:
    """The device refuses a valid set of features, and the driver sets DRIVER_OK all the same."""
    agreed = log.one("status", op=bits.STATUS_WRITE)
    log.after(agreed, lambda event: event["kind"] == "status")["status"] = REFUSED


@case("IN-DR-08")
def notifies_before_driver_ok(log: Log) -> None:
    """The driver notifies a queue before DRIVER_OK."""
    log.insert(log.one("status", status=READY, op=bits.STATUS_WRITE), "notify", after=False, vq=0)


@case("IN-DR-08")
def notifies_after_a_reset(log: Log) -> None:
    """The driver resets the device, makes a chain available and notifies of it."""
    last = log.of("notify")[-1]
    place = log.events.index(last)
    mine = {"kind": "kick", "needed": 1, "vq": last["vq"], "pid": last["pid"]}
    kick = next(e for e in log.events[place::-1] if mine.items() <= e.items())
    log.insert(kick, "status", after=False, status=0, op=bits.STATUS_RESET)


@case("IN-DR-08")
def notifies_a_device_that_it_has_reset(log: Log) -> None:
    """The driver resets the device, and notifies it without having decided to."""
    log.insert(log.of("status", op=bits.STATUS_RESET)[-1], "notify", vq=0)


@case("IN-DR-08")
def driver_ok_is_never_written(log: Log) -> None:
    """The driver notifies its queues and never sets DRIVER_OK."""
    log.drop([*log.of("status", status=READY), *log.of("dev_status", status=READY)])


def on_mmio() -> Log:
    """Return a log of a device on MMIO."""
    log = run()
    log.device_type = "virtio-blk-device"
    return log


@case("MI-DR-06", clean=on_mmio)
def queues_after_the_start_on_mmio(log: Log) -> None:
    """The driver writes DRIVER_OK without FEATURES_OK, on MMIO."""
    log.drop([e for e in log.of("status", op=0) if e["status"] == 0x0B])
