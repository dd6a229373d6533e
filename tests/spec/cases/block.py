# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/block.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import Make, case, chains, clear_bits, like
from tests.spec.log import Event, Log
from tests.spec.machine import OFFERED, run


def request(log: Log, *kinds: int) -> Event:
    """The first request of one of these types."""
    return next(e for e in log.of("blk_start") if e["type"] in kinds)


def end_of(log: Log, start: Event) -> Event:
    """The end of a request."""
    return log.after(
        start,
        lambda e: e["kind"] == "blk_done" and e["head"] == start["head"] and e["vq"] == start["vq"],
    )


@case("BO-DR-02")
def beyond_the_end(log: Log) -> None:
    request(log, bits.T_IN)["sector"] = (1 << 20) - 1 + 8


@case("BO-DR-04")
def flush_with_sector(log: Log) -> None:
    request(log, bits.T_FLUSH)["sector"] = 8


@case("BO-DR-05")
def flush_with_data(log: Log) -> None:
    request(log, bits.T_FLUSH)["bytes"] = 512


@case("BO-DR-06")
def half_a_sector(log: Log) -> None:
    request(log, bits.T_OUT)["bytes"] -= 256


@case("BO-DR-07")
def half_a_segment(log: Log) -> None:
    request(log, bits.T_DISCARD)["bytes"] -= 8


@case("BO-DR-08")
def short_id(log: Log) -> None:
    request(log, bits.T_GET_ID)["bytes"] = 16


@case("BO-DR-09")
def too_many_discards(log: Log) -> None:
    request(log, bits.T_DISCARD)["segments"] = 5


erasing = like(offered=OFFERED | 1 << bits.BLK_SECURE_ERASE, kinds=(1, bits.T_SECURE_ERASE))


@case("BO-DR-10", clean=erasing)
def too_many_erases(log: Log) -> None:
    request(log, bits.T_SECURE_ERASE)["bytes"] = 16 * 5


@case("BO-DR-11")
def too_many_zeroes(log: Log) -> None:
    request(log, bits.T_WRITE_ZEROES)["segments"] = 5


@case("BO-DR-14")
def discard_unmaps(log: Log) -> None:
    start = request(log, bits.T_DISCARD)
    log.after(start, lambda e: e["kind"] == "blk_range")["flags"] = 1


@case("DX-19")
def status_not_last(log: Log) -> None:
    chain = next(c for c in chains(log, 0) if c[-1]["type"] == bits.T_GET_ID and len(c) < 6)
    data, status = chain[-3:-1]
    for name in ("addr", "len"):
        data[name], status[name] = status[name], data[name]


@case("DX-19")
def no_header(log: Log) -> None:
    chain = next(c for c in chains(log, 0) if c[-1]["type"] == bits.T_FLUSH)
    next(e for e in chain if e["kind"] == "desc" and e["len"] == 16)["len"] = 12


@case("DX-20")
def too_many_segments(log: Log) -> None:
    for event in log.of("config", offset=12):
        event["value"] = 2


@case("DX-20")
def too_long_a_segment(log: Log) -> None:
    for event in log.of("config", offset=8):
        event["value"] = 512


@case("DX-21")
def range_too_long(log: Log) -> None:
    log.one("blk_range")["sectors"] = 4097


@case("DX-21")
def range_beyond_the_end(log: Log) -> None:
    log.one("blk_range")["sector"] = (1 << 20) - 7


@case("DX-22")
def flush_not_negotiated(log: Log) -> None:
    clear_bits(log, acked=1 << bits.BLK_FLUSH)


@case("DX-22")
def unknown_type(log: Log) -> None:
    request(log, bits.T_FLUSH)["type"] = 99


@case("DX-23")
def undefined_status(log: Log) -> None:
    log.one("blk_done")["status"] = 3


@case("DX-25")
def short_read(log: Log) -> None:
    next(e for e in log.of("blk_done", status=0) if e["type"] == bits.T_IN)["len"] = 1


@case("SU-DE-02", clean=like(errors=0.3))
def failed_read_claims_data(log: Log) -> None:
    log.qemu = "9.2.0"
    for start in log.of("blk_start", type=bits.T_IN):
        end = end_of(log, start)
        if end["status"]:
            end["len"] = start["bytes"] + 1
            return


@case("BO-DE-03", clean=like(read_only=True))
def read_only_is_written(log: Log) -> None:
    log.one("blk_done", type=bits.T_OUT)["status"] = 0


def odd_ranges(flags: int) -> Make:
    def make() -> Log:
        log = run(requests=80)
        for start in log.of("blk_start", type=bits.T_DISCARD):
            log.after(start, lambda e: e["kind"] == "blk_range")["flags"] = flags
            end_of(log, start)["status"] = bits.S_UNSUPP
        return log

    return make


@case("BO-DE-05", clean=odd_ranges(8))
def unknown_flag_is_accepted(log: Log) -> None:
    log.one("blk_done", type=bits.T_DISCARD)["status"] = 0


@case("BO-DE-06", clean=odd_ranges(1))
def unmap_is_accepted(log: Log) -> None:
    log.one("blk_done", type=bits.T_DISCARD)["status"] = 0
