# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/init.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import case
from tests.spec.cases.status import with_failure
from tests.spec.log import Log


@case("IN-DR-06", clean=with_failure)
def failed_is_not_written(log: Log) -> None:
    log.drop([*log.of("status", status=0x8B), *log.of("dev_status", status=0x8B)])


@case("IN-DR-07", clean=with_failure)
def goes_on_after_failure(log: Log) -> None:
    log.insert(log.one("driver", stage=2), "status", status=0x0F, op=0)


@case("IN-DR-01")
def two_steps_in_one(log: Log) -> None:
    log.drop(log.of("dev_status", status=1)[:1])


@case("IN-DR-01")
def begins_again_without_reset(log: Log) -> None:
    log.insert(log.one("dev_status", status=0x0F), "dev_status", status=1)


@case("IN-DR-01")
def queues_before_features(log: Log) -> None:
    queue = log.one("queue", op=0)
    log.events.remove(queue)
    log.events.insert(log.events.index(log.one("status", op=0)), queue)


@case("IN-DR-03")
def config_is_written_too_early(log: Log) -> None:
    log.insert(log.one("status", op=0), "config", after=False, offset=32, len=1, value=1, write=1)


@case("IN-DR-04")
def features_grow(log: Log) -> None:
    log.one("features", stage=2)["acked"] |= 1 << bits.BLK_GEOMETRY


@case("IN-DR-05")
def status_is_not_read_back(log: Log) -> None:
    log.drop(log.of("status", op=1, life=0))


@case("IN-DR-05", "FB-DE-02")
def refusal_is_overlooked(log: Log) -> None:
    agreed = log.one("status", op=0)
    log.after(agreed, lambda event: event["kind"] == "status")["status"] = 3


@case("IN-DR-08")
def doorbell_before_driver_ok(log: Log) -> None:
    log.insert(log.one("status", status=0x0F, op=0), "notify", after=False, vq=0)


@case("IN-DR-08")
def driver_ok_is_never_written(log: Log) -> None:
    log.drop([*log.of("status", status=0x0F), *log.of("dev_status", status=0x0F)])
