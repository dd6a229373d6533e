# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/served.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import case
from tests.spec.log import Log
from tests.spec.machine import run


def served() -> Log:
    """Return a log of a machine whose device is a vhost back-end that traces everything."""
    log = run(outside=False)
    place = {"dev": 1, "life": 0, "cpu": 0, "pid": 9}
    log.add("vhost_attach", **place, serves=0, ended=0)
    acked = log.of("features")[-1]["acked"]
    for event in list(log.events):
        at = place | {"vq": event.get("vq")}
        match event["kind"]:
            case "queue" if event["op"] == 0:
                log.add("vhost_queue", **at, features=acked, size=event["size"])
            case "add":
                chain = {"out": event["chain"] - 1, "in": 1}
                same = {name: event[name] for name in ("head", "readable", "writable")}
                log.add("vhost_get", **at, **chain, **same, avail_idx=event["avail_idx"] - 1)
            case "used":
                log.add("vhost_used", **at, id=event["id"], len=event["len"])
    return log


@case("XC-04", clean=served)
def the_back_end_got_another_chain(log: Log) -> None:
    """The back-end gets another head than the driver made available."""
    log.one("vhost_get", 5, vq=0)["head"] += 1


@case("XC-04", clean=served)
def the_back_end_got_more_bytes(log: Log) -> None:
    """The back-end sees one writable byte more in a chain."""
    log.one("vhost_get", 5, vq=1)["writable"] += 1


@case("XC-04", clean=served)
def the_back_end_got_what_nobody_made_available(log: Log) -> None:
    """The back-end gets one chain more than there are."""
    last = log.of("vhost_get", vq=0)[-1]
    log.add(
        "vhost_get", **{k: v for k, v in last.items() if k not in ("kind", "ts", "seq", "source")}
    )


@case("XC-04", clean=served)
def the_driver_read_another_length(log: Log) -> None:
    """The back-end returns a chain with one byte more."""
    log.one("vhost_used", 5, vq=0)["len"] += 1


@case("XC-04", clean=served)
def the_driver_took_what_nobody_returned(log: Log) -> None:
    """The driver takes one entry more than were returned."""
    log.drop(log.of("vhost_used", vq=1)[-1:])


@case("XC-04", clean=served)
def the_back_end_reads_another_ring(log: Log) -> None:
    """The back-end serves a ring of twice the size."""
    log.one("vhost_queue", vq=0)["size"] *= 2


@case("XC-04", clean=served)
def the_back_end_has_other_features(log: Log) -> None:
    """The back-end has EVENT_IDX and the driver has not."""
    log.one("vhost_queue", vq=1)["features"] ^= 1 << bits.EVENT_IDX
