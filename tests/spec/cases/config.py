# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/config.py."""

from __future__ import annotations

from typing import Any

from pykit.spec import bits
from tests.spec.cases.base import case, clear_bits, later
from tests.spec.log import Log
from tests.spec.machine import run


def config_change(log: Log, *, announced: bool = True, generation: int = 8) -> None:
    """The disk grows while it is in use, long before the trace ends."""
    at = log.one("driver", stage=1)
    parts: list[tuple[str, dict[str, Any]]] = [
        ("generation", {"generation": generation}),
        ("config", {"offset": 0, "len": 8, "value": 1 << 21, "write": 0}),
        ("generation", {"generation": generation}),
    ]
    if announced:
        parts.insert(0, ("config_change", {"status": 0x0F}))
    for kind, fields in parts:
        at = log.insert(at, kind, **fields)


def grown() -> Log:
    log = run()
    config_change(log)
    for event in log.of("driver", stage=3):
        event["ts"] += 20_000_000_000
    later(log)
    return log


@case("BO-DR-01", clean=grown)
def change_is_ignored(log: Log) -> None:
    change = log.one("config_change")
    read = log.after(change, lambda event: event["kind"] == "config")
    log.drop([read])


@case("BO-DE-02", clean=grown)
def change_is_not_announced(log: Log) -> None:
    log.drop(log.of("config_change"))


@case("PM-DE-06", clean=grown)
def generation_stands_still(log: Log) -> None:
    for event in log.of("generation"):
        event["generation"] = 7


@case("CF-DR-03")
def no_generation_after(log: Log) -> None:
    wide = log.one("config", len=8)
    log.drop([log.after(wide, lambda event: event["kind"] == "generation")])
    log.insert(wide, "config", offset=8, len=4, value=1 << 16, write=0)


@case("CF-DR-03")
def no_generation_at_all(log: Log) -> None:
    log.insert(log.one("config", len=8), "config", offset=8, len=4, value=1 << 16, write=0)
    log.drop(log.of("generation"))


@case("CF-DR-03")
def torn_read_is_kept(log: Log) -> None:
    wide = log.one("config", len=8)
    after = log.after(wide, lambda event: event["kind"] == "generation")
    after["generation"] += 1
    log.insert(after, "config", offset=8, len=4, value=1 << 16, write=0)


@case("CF-DR-04")
def field_without_its_feature(log: Log) -> None:
    log.insert(log.one("config"), "config", offset=60, len=4, value=0, write=0)


def read_early() -> Log:
    log = run()
    agreed = log.one("status", op=0)
    log.insert(agreed, "config", after=False, offset=12, len=4, value=6, write=0)
    return log


@case("CF-DE-01", clean=read_early)
def not_readable_early(log: Log) -> None:
    log.one("config", offset=12)["value"] = 0


@case("BI-DR-04")
def writeback_is_read_early(log: Log) -> None:
    agreed = log.one("status", op=0)
    log.insert(agreed, "config", after=False, offset=32, len=1, value=1, write=0)


@case("BI-DE-01")
def flush_is_not_offered(log: Log) -> None:
    flush = 1 << bits.BLK_FLUSH
    clear_bits(log, offered=flush, acked=flush)


@case("BI-DE-02")
def cache_control_without_flush(log: Log) -> None:
    flush_is_not_offered(log)


def write_through() -> Log:
    log = run(declined=1 << bits.BLK_FLUSH, kinds=(0, 1))
    log.one("config", offset=32)["value"] = 0
    return log


@case("BI-DE-03", clean=write_through)
def writeback_starts_at_one(log: Log) -> None:
    log.one("config", offset=32)["value"] = 1


def padding() -> Log:
    log = run()
    log.insert(log.one("config"), "config", offset=33, len=1, value=0, write=0)
    return log


@case("BI-DE-04", clean=padding)
def padding_is_not_zero(log: Log) -> None:
    log.one("config", offset=33)["value"] = 3


@case("DX-24")
def no_queues(log: Log) -> None:
    log.one("config", offset=34)["value"] = 0
