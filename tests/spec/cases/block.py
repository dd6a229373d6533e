# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/block.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import Make, case, chains, clear_bits, like
from tests.spec.log import Event, Log
from tests.spec.machine import OFFERED, run


def request(log: Log, *kinds: int) -> Event:
    """Return the first request of one of these types."""
    return next(e for e in log.of("blk_start") if e["type"] in kinds)


def stretch(log: Log, kind: int, by: int) -> None:
    """Alter the length of a request's data, or of its header if it has none, in the chain."""
    start = request(log, kind)
    chain = next(c for c in chains(log, start["vq"]) if c[-1] is start)
    chain[-3]["len"] += by
    start["bytes"] += by


def end_of(log: Log, start: Event) -> Event:
    """Return the end of a request."""
    return log.after(
        start,
        lambda e: e["kind"] == "blk_done" and e["head"] == start["head"] and e["vq"] == start["vq"],
    )


@case("BO-DR-02")
def beyond_the_end(log: Log) -> None:
    """A read ends seven sectors beyond the capacity."""
    request(log, bits.T_IN)["sector"] = (1 << 20) - 1 + 8


@case("BO-DR-04")
def flush_with_sector(log: Log) -> None:
    """A flush request has a sector."""
    request(log, bits.T_FLUSH)["sector"] = 8


@case("BO-DR-05")
def flush_with_data(log: Log) -> None:
    """A flush request has data."""
    stretch(log, bits.T_FLUSH, 512)


@case("BO-DR-06")
def half_a_sector(log: Log) -> None:
    """A write's data ends in the middle of a sector."""
    stretch(log, bits.T_OUT, -256)


@case("BO-DR-07")
def half_a_segment(log: Log) -> None:
    """A discard request's data ends in the middle of a segment."""
    stretch(log, bits.T_DISCARD, -8)


@case("BO-DR-08")
def short_id(log: Log) -> None:
    """A GET_ID request has 16 bytes of data."""
    stretch(log, bits.T_GET_ID, -4)


@case("BO-DR-08")
def id_has_no_room(log: Log) -> None:
    """The driver reports 20 bytes of data for GET_ID, and the chain has none."""
    stretch(log, bits.T_GET_ID, -bits.ID_BYTES)
    request(log, bits.T_GET_ID)["bytes"] = bits.ID_BYTES


@case("BO-DR-09")
def too_many_discards(log: Log) -> None:
    """A discard request has more segments than max_discard_seg."""
    request(log, bits.T_DISCARD)["segments"] = 5


erasing = like(offered=OFFERED | 1 << bits.BLK_SECURE_ERASE, kinds=(1, bits.T_SECURE_ERASE))


@case("BO-DR-10", clean=erasing)
def too_many_erases(log: Log) -> None:
    """A secure-erase request has data for more segments than max_secure_erase_seg."""
    request(log, bits.T_SECURE_ERASE)["bytes"] = 16 * 5


@case("BO-DR-11")
def too_many_zeroes(log: Log) -> None:
    """A write-zeroes request has more segments than max_write_zeroes_seg."""
    request(log, bits.T_WRITE_ZEROES)["segments"] = 5


@case("BO-DR-14")
def discard_unmaps(log: Log) -> None:
    """A discard segment has the unmap flag."""
    start = request(log, bits.T_DISCARD)
    log.after(start, lambda e: e["kind"] == "blk_range")["flags"] = 1


@case("DX-74")
def reserved_flag_is_set(log: Log) -> None:
    """A segment to discard has a flag that is not defined."""
    start = request(log, bits.T_DISCARD)
    log.after(start, lambda e: e["kind"] == "blk_range")["flags"] = 2


@case("DX-19")
def status_not_last(log: Log) -> None:
    """The status is written before the data."""
    chain = next(c for c in chains(log, 0) if c[-1]["type"] == bits.T_GET_ID and len(c) < 6)
    data, status = chain[-3:-1]
    for name in ("addr", "len"):
        data[name], status[name] = status[name], data[name]


@case("DX-19")
def no_header(log: Log) -> None:
    """The readable part of a request is shorter than a header."""
    chain = next(c for c in chains(log, 0) if c[-1]["type"] == bits.T_FLUSH)
    next(e for e in chain if e["kind"] == "desc" and e["len"] == 16)["len"] = 12


@case("DX-19")
def empty_header(log: Log) -> None:
    """A write's header has a length of 0, its data more than 16 bytes."""
    chain = next(c for c in chains(log, 0) if c[-1]["type"] == bits.T_OUT)
    next(e for e in chain if e["kind"] == "desc" and e["len"] == 16)["len"] = 0


@case("DX-19")
def no_request(log: Log) -> None:
    """A chain has fewer bytes than a header, so that no request is found in it."""
    chain = next(c for c in chains(log, 0) if c[-1]["type"] == bits.T_FLUSH)
    next(e for e in chain if e["kind"] == "desc" and e["len"] == 16)["len"] = 8
    log.drop(chain[-1:])


@case("DX-20")
def too_many_segments(log: Log) -> None:
    """The device says seg_max 2, and requests have more elements."""
    for event in log.of("config", offset=12):
        event["value"] = 2


@case("DX-20")
def too_long_a_segment(log: Log) -> None:
    """The device says size_max 512, and elements are longer."""
    for event in log.of("config", offset=8):
        event["value"] = 512


@case("DX-21")
def range_too_long(log: Log) -> None:
    """A segment has one sector more than its limit."""
    log.one("blk_range")["sectors"] = 4097


@case("DX-21")
def range_beyond_the_end(log: Log) -> None:
    """A segment begins inside the capacity and ends beyond it."""
    log.one("blk_range")["sector"] = (1 << 20) - 7


@case("DX-22")
def flush_not_negotiated(log: Log) -> None:
    """Flush requests are made without the feature."""
    clear_bits(log, acked=1 << bits.BLK_FLUSH)


@case("DX-22")
def unknown_type(log: Log) -> None:
    """A request has a type that the specification does not have."""
    request(log, bits.T_FLUSH)["type"] = 99


@case("DX-23")
def undefined_status(log: Log) -> None:
    """A device without zones ends a request with status 3."""
    log.one("blk_done")["status"] = 3


@case("DX-25")
def short_read(log: Log) -> None:
    """A read that succeeded has a used len of 1."""
    next(e for e in log.of("blk_done", status=0) if e["type"] == bits.T_IN)["len"] = 1


@case("DX-25")
def write_without_its_status(log: Log) -> None:
    """A write that succeeded has a used len of 0, which leaves out its status."""
    next(e for e in log.of("blk_done", status=0) if e["type"] == bits.T_OUT)["len"] = 0


@case("BO-DE-03", clean=like(read_only=True))
def read_only_is_written(log: Log) -> None:
    """A write to a read-only device ends with OK."""
    log.one("blk_done", type=bits.T_OUT)["status"] = 0


@case("DX-77")
def write_is_not_supported(log: Log) -> None:
    """A write ends with UNSUPP."""
    log.of("blk_done", type=bits.T_OUT)[0]["status"] = bits.S_UNSUPP


def odd_ranges(flags: int) -> Make:
    """Return a maker of logs whose discard segments have these flags and end with UNSUPP."""

    def make() -> Log:
        log = run(requests=80)
        for start in log.of("blk_start", type=bits.T_DISCARD):
            log.after(start, lambda e: e["kind"] == "blk_range")["flags"] = flags
            end_of(log, start)["status"] = bits.S_UNSUPP
        return log

    return make


@case("BO-DE-05", clean=odd_ranges(8))
def unknown_flag_is_accepted(log: Log) -> None:
    """A discard with an unknown flag ends with OK."""
    log.one("blk_done", type=bits.T_DISCARD)["status"] = 0


@case("BO-DE-06", clean=odd_ranges(1))
def unmap_is_accepted(log: Log) -> None:
    """A discard with the unmap flag ends with OK."""
    log.one("blk_done", type=bits.T_DISCARD)["status"] = 0


@case("DX-83")
def status_in_the_data(log: Log) -> None:
    """The status of a read lies in the buffer of its data."""
    chain = next(c for c in chains(log, 0) if c[-1].get("type") == bits.T_IN)
    writable = [e for e in chain if e["kind"] == "desc" and e["flags"] & bits.WRITE]
    data, status = [e for e in writable if not e["flags"] & bits.INDIRECT][-2:]
    status["addr"] = data["addr"] + 1


@case("DX-83")
def status_of_another_request(log: Log) -> None:
    """A request has the same byte for its status as one that is with the device."""
    status: dict[int, int] = {}
    for event in log.of("desc", "blk_start", "used", vq=0):
        if event["kind"] == "used":
            status.pop(event["id"], None)
        elif event["kind"] == "desc":
            last = event
        elif status:
            last["addr"] = next(iter(status.values()))
            return
        else:
            status[event["head"]] = last["addr"]
