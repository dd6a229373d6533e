# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/notify.py."""

from __future__ import annotations

from itertools import pairwise

from pykit.spec import bits
from tests.spec.cases.base import Make, case, like
from tests.spec.log import Event, Log
from tests.spec.machine import run


def withholds_notification(log: Log) -> None:
    """A required notification is late, and by another task."""
    for kick in log.of("kick", needed=1):
        if kick["pid"] == 100 and kick["event"] == kick["event_after"]:
            notification = log.after(kick, lambda e: e["kind"] == "notify" and e["pid"] == 100)
            notification |= {"pid": 55, "cpu": 1}
            return
    raise AssertionError("no required notification")


@case("DX-103")
def index_is_behind(log: Log) -> None:
    """The driver decides on a chain, and the available index does not cover it yet."""
    kick = log.of("kick")[-1]
    place = log.events.index(kick)
    add = next(e for e in reversed(log.events[:place]) if e["kind"] == "add")
    assert add["vq"] == kick["vq"]
    add["avail_idx"] = (kick["new"] - 1) % 65536


case("NA-DR-06", "DX-16")(withholds_notification)

case("NA-DR-04", clean=like(declined=1 << bits.EVENT_IDX))(withholds_notification)


@case("NA-DR-06", "DX-16")
def only_the_last_entry_decides(log: Log) -> None:
    """A notification requested by the first of several entries is missing."""
    kick = next(
        k
        for k in log.of("kick", needed=1)
        if k["event"] == k["event_after"] != (k["new"] - 1) % 65536 and k["pid"] in (100, 101, 102)
    )
    kick["needed"] = 0
    log.drop([log.after(kick, lambda e: e["kind"] == "notify" and e["pid"] == kick["pid"])])


def with_used_flag() -> Log:
    """Return a log in which the used ring's flag is set at each decision with EVENT_IDX."""
    log = run()
    for kick in log.of("kick"):
        kick |= {"flags": 1, "flags_after": 1}
    return log


case("NA-DR-05", clean=with_used_flag)(withholds_notification)


def notifies_though_suppressed(log: Log) -> None:
    """A notification is sent that the device suppressed."""
    kick = next(k for k in log.of("kick", needed=0) if k["event"] == k["event_after"])
    log.insert(kick, "notify")


case("NA-DR-07")(notifies_though_suppressed)

case("NA-DR-03", clean=like(declined=1 << bits.EVENT_IDX))(notifies_though_suppressed)


@case("NA-DR-03", clean=like(declined=1 << bits.EVENT_IDX))
def flag_is_ignored(log: Log) -> None:
    """Notifications are sent though the used ring's flag is set."""
    for kick in log.of("kick", needed=0):
        kick["needed"] = 1
        log.insert(kick, "notify")


def crowded(*, event_idx: bool = True) -> Make:
    """Return a maker of logs whose rings are full now and then."""
    return like(size=8, declined=0 if event_idx else 1 << bits.EVENT_IDX)


def suppressed_failed_adds(log: Log) -> list[Event]:
    """Return failed adds whose notification was suppressed and not sent."""
    found = []
    for event in log.of("add_failed", notified=0):
        if event["event"] != event["event_after"]:
            continue
        in_range = (event["new"] - event["event"] - 1) % 65536 < (
            event["new"] - event["old"]
        ) % 65536
        if not (in_range if event["event_idx"] else not event["event"] & 1):
            found.append(event)
    return found


def failed_adds_notify(log: Log) -> None:
    """Adds that fail notify though the device suppressed it, on another kernel than Linux."""
    log.kernel = "another"
    for event in suppressed_failed_adds(log):
        event["notified"] = 1
        log.insert(event, "notify")


def driver_notifies_behind_failed_adds(log: Log) -> None:
    """The driver notifies behind a failed add without a decision."""
    for n, event in enumerate(suppressed_failed_adds(log)):
        event["notified"] = n % 2
        log.insert(event, "notify")
        if n % 2:
            log.insert(event, "notify")


for broken in (failed_adds_notify, driver_notifies_behind_failed_adds):
    case("NA-DR-07", clean=crowded())(broken)
    case("NA-DR-03", clean=crowded(event_idx=False))(broken)


def only_a_failed_add_notifies(log: Log) -> None:
    """A required notification is missing; the same task's next, failed add notifies."""
    for kick in log.of("kick", needed=1):
        if kick["pid"] == 100 and kick["event"] == kick["event_after"]:
            notification = log.after(kick, lambda e: e["kind"] == "notify" and e["pid"] == 100)
            refused = {n: kick[n] for n in ("event", "event_after", "event_idx")}
            refused |= {"flags": 0, "flags_after": 0, "err": -28, "chain": 9, "slots": 9}
            refused |= {"num_free": 0, "old": kick["new"], "new": kick["new"], "notified": 1}
            log.insert(notification, "add_failed", after=False, **refused)
            return
    raise AssertionError("no required notification")


case("NA-DR-06", "DX-16")(only_a_failed_add_notifies)


def never_notifies(log: Log) -> None:
    """The driver makes chains available, never looks at what the device requests, and hangs."""
    gone = log.of("kick", "notify", "add_failed", "used", "callback", "interrupt", "blk_done", vq=1)
    log.drop(gone)
    log.drop(e for e in log.of("queue", vq=1) if e["op"])
    log.outcome = "hang"


case("NA-DR-06")(never_notifies)

case("NA-DR-04", clean=like(declined=1 << bits.EVENT_IDX))(never_notifies)

case("NA-DR-04", clean=like(declined=1 << bits.EVENT_IDX))(only_a_failed_add_notifies)


@case("NA-DE-01", clean=like(declined=1 << bits.EVENT_IDX))
def odd_used_flags(log: Log) -> None:
    """The device sets the used ring's flags to 2."""
    log.one("kick")["event"] = 2


@case("NA-DE-03")
def used_flags_with_event_idx(log: Log) -> None:
    """With EVENT_IDX the device sets the used ring's flag."""
    log.one("kick")["flags_after"] = 1


@case("NU-DR-01", clean=like(declined=1 << bits.EVENT_IDX))
def odd_avail_flags(log: Log) -> None:
    """The driver sets the available ring's flags to 3 whenever it disables interrupts."""
    for event in log.of("callback", vq=0, enable=0):
        event["avail_flags"] = 3


@case("NU-DR-03")
def avail_flags_with_event_idx(log: Log) -> None:
    """With EVENT_IDX the driver sets the available ring's flag to disable interrupts."""
    for event in log.of("callback", vq=0, enable=0):
        event["avail_flags"] = 1


@case("NU-DR-03")
def avail_flags_from_the_start(log: Log) -> None:
    """With EVENT_IDX a queue is set up with the available ring's flag set."""
    log.one("queue", op=0)["avail_flags"] = 1


@case("DX-17")
def sleeps_on_pending_work(log: Log) -> None:
    """Entries are pending when interrupts are enabled, and an interrupt comes next."""
    seen = log.of("callback", "interrupt", "used", vq=0)
    enabled = next(a for a, b in pairwise(seen) if b["kind"] == "interrupt")
    enabled |= {"pending": 1, "used_idx": (enabled["last_used"] + 1) % 65536}


@case("DX-17")
def does_not_look_again(log: Log) -> None:
    """The driver met an entry before it enabled interrupts, took it for none, and waits."""
    seen = log.of("callback", "interrupt", "used", vq=0)
    for before, enabled, following in zip(seen, seen[1:], seen[2:], strict=False):
        if following["kind"] == "interrupt" and before["kind"] == "used":
            index = (enabled["last_used"] + 1) % 65536
            before["used_idx"] = enabled["used_idx"] = index
            enabled["pending"] = 0
            return
    raise AssertionError("no entry was taken just before interrupts were enabled")


@case("DX-17")
def never_wakes_up(log: Log) -> None:
    """An entry comes while the driver enables interrupts; it is not taken, and the guest hangs."""
    enabled = [e for e in log.of("callback", vq=0, enable=1) if not e["pending"]][-1]
    enabled["used_idx"] = (enabled["last_used"] + 1) % 65536
    place = log.events.index(enabled)
    log.drop(e for e in log.events[place + 1 :] if e.get("vq") == 0 and e["source"] == "driver")
    log.outcome = "hang"


@case("DX-17")
def requests_a_past_entry(log: Log) -> None:
    """The driver sets used_event to an entry that is long past."""
    for event in log.of("callback", enable=1):
        event["used_event"] = 0
