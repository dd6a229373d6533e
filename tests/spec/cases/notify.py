# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/notify.py."""

from __future__ import annotations

from itertools import pairwise

from pykit.spec import bits
from tests.spec.cases.base import Make, case, like
from tests.spec.log import Event, Log
from tests.spec.machine import run


def withhold(log: Log) -> None:
    """A needed doorbell is rung late, by somebody else."""
    for kick in log.of("kick", needed=1):
        if kick["pid"] == 100 and kick["event"] == kick["event_after"]:
            bell = log.after(kick, lambda e: e["kind"] == "notify" and e["pid"] == 100)
            bell |= {"pid": 55, "cpu": 1}
            return
    raise AssertionError("no doorbell")


case("NA-DR-06", "DX-16")(withhold)

case("NA-DR-04", clean=like(declined=1 << bits.EVENT_IDX))(withhold)


@case("NA-DR-06", "DX-16")
def only_the_last_entry_decides(log: Log) -> None:
    kick = next(
        k
        for k in log.of("kick", needed=1)
        if k["event"] == k["event_after"] != (k["new"] - 1) % 65536 and k["pid"] in (100, 101, 102)
    )
    kick["needed"] = 0
    log.drop([log.after(kick, lambda e: e["kind"] == "notify" and e["pid"] == kick["pid"])])


def flagged() -> Log:
    log = run()
    for kick in log.of("kick"):
        kick |= {"flags": 1, "flags_after": 1}
    return log


case("NA-DR-05", clean=flagged)(withhold)


def ring_unasked(log: Log) -> None:
    """A doorbell that nobody asked for."""
    kick = next(k for k in log.of("kick", needed=0) if k["event"] == k["event_after"])
    log.insert(kick, "notify")


case("NA-DR-07")(ring_unasked)

case("NA-DR-03", clean=like(declined=1 << bits.EVENT_IDX))(ring_unasked)


@case("NA-DR-03", clean=like(declined=1 << bits.EVENT_IDX))
def flag_is_ignored(log: Log) -> None:
    for kick in log.of("kick", needed=0):
        kick["needed"] = 1
        log.insert(kick, "notify")


def crowded(*, event_idx: bool = True) -> Make:
    """Rings that are full now and then."""
    return like(size=8, declined=0 if event_idx else 1 << bits.EVENT_IDX)


def unasked_refusals(log: Log) -> list[Event]:
    """Adds that failed while the device did not ask for what was new, and rang no doorbell."""
    found = []
    for event in log.of("refused", rang=0):
        if event["event"] != event["event_after"]:
            continue
        in_range = (event["new"] - event["event"] - 1) % 65536 < (
            event["new"] - event["old"]
        ) % 65536
        if not (in_range if event["event_idx"] else not event["event"] & 1):
            found.append(event)
    return found


def failed_adds_ring(log: Log) -> None:
    """As Linux does, but that this is not Linux."""
    log.kernel = "another"
    for event in unasked_refusals(log):
        event["rang"] = 1
        log.insert(event, "notify")


def driver_rings_behind_failed_adds(log: Log) -> None:
    """The driver itself does, without a decision; the add has rung or has not."""
    for n, event in enumerate(unasked_refusals(log)):
        event["rang"] = n % 2
        log.insert(event, "notify")
        if n % 2:
            log.insert(event, "notify")


for broken in (failed_adds_ring, driver_rings_behind_failed_adds):
    case("NA-DR-07", clean=crowded())(broken)
    case("NA-DR-03", clean=crowded(event_idx=False))(broken)


def only_a_failed_add_rings(log: Log) -> None:
    """A doorbell that was owed is left out; one comes of the same task's next add."""
    for kick in log.of("kick", needed=1):
        if kick["pid"] == 100 and kick["event"] == kick["event_after"]:
            bell = log.after(kick, lambda e: e["kind"] == "notify" and e["pid"] == 100)
            refused = {n: kick[n] for n in ("event", "event_after", "event_idx")}
            refused |= {"flags": 0, "flags_after": 0, "err": -28, "chain": 9, "slots": 9}
            refused |= {"num_free": 0, "old": kick["new"], "new": kick["new"], "rang": 1}
            log.insert(bell, "refused", after=False, **refused)
            return
    raise AssertionError("no doorbell")


case("NA-DR-06", "DX-16")(only_a_failed_add_rings)

case("NA-DR-04", clean=like(declined=1 << bits.EVENT_IDX))(only_a_failed_add_rings)


@case("NA-DE-01", clean=like(declined=1 << bits.EVENT_IDX))
def odd_used_flags(log: Log) -> None:
    log.one("kick")["event"] = 2


@case("NA-DE-03")
def used_flags_with_event_idx(log: Log) -> None:
    log.one("kick")["flags_after"] = 1


@case("NU-DR-01", clean=like(declined=1 << bits.EVENT_IDX))
def odd_avail_flags(log: Log) -> None:
    log.one("callback")["avail_flags"] = 3


@case("NU-DR-03")
def avail_flags_with_event_idx(log: Log) -> None:
    log.one("callback")["avail_flags"] = 1


@case("DX-17")
def sleeps_on_pending_work(log: Log) -> None:
    seen = log.of("callback", "interrupt", "used", vq=0)
    next(a for a, b in pairwise(seen) if b["kind"] == "interrupt")["pending"] = 1


@case("DX-17")
def asks_for_the_past(log: Log) -> None:
    for event in log.of("callback", enable=1):
        event["used_event"] = 0
