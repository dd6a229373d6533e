# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/survival.py."""

from __future__ import annotations

from tests.spec.cases.base import case
from tests.spec.log import Log
from tests.spec.machine import run


def notified_of_nothing() -> Log:
    """Return a log in which a notification brings no new entry, and the device goes on."""
    log = run()
    for kick in log.of("dev_kick", vq=0)[2:4]:
        log.insert(kick, "dev_kick", vq=0)
    return log


@case("NA-DE-05", clean=notified_of_nothing)
def stops_after_a_notification_of_nothing(log: Log) -> None:
    """After a notification of nothing the device takes no chain any more, and the guest hangs."""
    kicks = log.of("dev_kick", vq=0)
    place = log.events.index(kicks[2])
    gone = ("dev_pop", "dev_fill", "dev_flush", "dev_signal")
    log.drop(e for e in log.events[place:] if e["kind"] in gone and e.get("vq") == 0)
    log.outcome = "hang"
