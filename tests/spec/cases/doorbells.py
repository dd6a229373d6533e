# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break what pykit/spec/topics/doorbells.py checks for NA-DR-07 and DX-63."""

from __future__ import annotations

from tests.spec.cases.base import Make, case
from tests.spec.log import Event, Log
from tests.spec.machine import run


def _arrives(log: Log, notification: Event) -> None:
    place = {"structure": "notify", "register": "queue_notify", "write": 1, "size": 2}
    log.insert(notification, "register", **place, value=notification["vq"], vq=notification["vq"])


def with_doorbells(*, packed: bool) -> Make:
    """Return a maker of logs in which each notification arrives at the device's register."""

    def make() -> Log:
        log = run(packed=packed)
        for notification in log.of("notify"):
            _arrives(log, notification)
        return log

    return make


@case("NA-DR-07", clean=with_doorbells(packed=False))
@case("DX-63", clean=with_doorbells(packed=True))
def arrives_twice(log: Log) -> None:
    """Each notification arrives twice."""
    for notification in log.of("notify"):
        _arrives(log, notification)
