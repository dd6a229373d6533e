# SPDX-License-Identifier: GPL-2.0-only
"""Block device requests (section 5.2.6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import Bools, Ints, grouped_cumsum, ints, key_of, last_before
from pykit.spec.blkconfig import CAPACITY, LIMITS, SEG_MAX, SIZE_MAX, Field
from pykit.spec.lives import Life
from pykit.spec.model import Check, Result, breaches, rule
from pykit.spec.rings import ID_SPAN
from pykit.spec.topics import vhost
from pykit.spec.view import View

#: Stands for a limit that nothing is known of.
NO_LIMIT = np.iinfo(np.int64).max
NAMES = {
    bits.T_IN: "read",
    bits.T_OUT: "write",
    bits.T_FLUSH: "flush",
    bits.T_GET_ID: "id",
    bits.T_GET_LIFETIME: "lifetime",
    bits.T_DISCARD: "discard",
    bits.T_WRITE_ZEROES: "write-zeroes",
    bits.T_SECURE_ERASE: "secure-erase",
}
NEEDS = {
    bits.T_FLUSH: bits.BLK_FLUSH,
    bits.T_DISCARD: bits.BLK_DISCARD,
    bits.T_WRITE_ZEROES: bits.BLK_WRITE_ZEROES,
    bits.T_GET_LIFETIME: bits.BLK_LIFETIME,
    bits.T_SECURE_ERASE: bits.BLK_SECURE_ERASE,
    **dict.fromkeys(bits.ZONE_TYPES, bits.BLK_ZONED),
}


def _name(view: View, i: int) -> str:
    requests = view.requests
    kind = NAMES.get(int(requests.type[i]), f"type {requests.type[i]}")
    return f"{view.rings.name(requests.q[i])}: {kind} request"


def _simple(kinds: tuple[int, ...], wrong: Callable[[View], Bools], text: str) -> Check:
    """A rule on requests of some types that looks at each alone."""

    def check(view: View) -> Result:
        requests = view.requests
        judged = np.isin(requests.type, kinds)
        found = breaches(judged & wrong(view), lambda i: f"{_name(view, i)} {text}", requests.row)
        names = " or ".join(NAMES[kind] for kind in kinds)
        return Result(int(judged.sum()), found, why=f"no {names} request was made")

    return check


rule("BO-DR-04", needs="driver:blk_start", local=True)(
    _simple((bits.T_FLUSH,), lambda view: view.requests.sector != 0, "with a sector")
)
rule("BO-DR-05", needs="driver:blk_start", local=True)(
    _simple((bits.T_FLUSH,), lambda view: view.requests.bytes != 0, "with data")
)
rule("BO-DR-06", needs="driver:blk_start", local=True)(
    _simple(
        (bits.T_IN, bits.T_OUT),
        lambda view: view.requests.bytes % bits.SECTOR != 0,
        "whose data is not a multiple of 512 bytes",
    )
)
rule("BO-DR-07", needs="driver:blk_start", local=True)(
    _simple(
        bits.RANGE_TYPES,
        lambda view: (view.requests.bytes == 0) | (view.requests.bytes % bits.RANGE_BYTES != 0),
        "whose data is not whole segments of 16 bytes",
    )
)
rule("BO-DR-08", needs="driver:blk_start", local=True)(
    _simple(
        (bits.T_GET_ID,),
        lambda view: view.requests.bytes != bits.ID_BYTES,
        "whose data is not 20 bytes",
    )
)


def _limits(view: View, q: Ints, of: Callable[[Life], int | None]) -> Ints:
    """By row: a limit that the life's configuration states, NO_LIMIT where it does not."""
    rings = view.rings
    known = np.full(len(rings.queue), NO_LIMIT)
    for n, (dev, number, _) in enumerate(rings.queue):
        limit = of(view.life(dev, number))
        if limit is not None:
            known[n] = limit
    return known[q]


def _most(field: Field) -> Callable[[Life], int | None]:
    """The largest value ever read: the driver may not know yet that it shrank."""

    def of(life: Life) -> int | None:
        values = [value for _, value in life.reads(field.offset, field.width)]
        # Zero is what devices that know no limit say.
        return max(values, default=0) or None

    return of


@rule("BO-DR-02", needs=("driver:blk_start", "driver:config"))
def inside_capacity(view: View) -> Result:
    requests = view.requests
    capacity = _limits(view, requests.q, _most(CAPACITY))
    judged = np.isin(requests.type, (bits.T_IN, bits.T_OUT)) & (capacity != NO_LIMIT)
    # Addresses of 2^63 and above come out negative: they are beyond any capacity.
    beyond = (requests.sector < 0) | (requests.sector + requests.bytes // bits.SECTOR > capacity)
    found = breaches(
        judged & beyond,
        lambda i: f"{_name(view, i)} at {requests.sector[i]} ends beyond {capacity[i]} sectors",
        requests.row,
    )
    return Result(int(judged.sum()), found, why="no capacity and request were seen together")


def _segments(kind: int) -> Check:
    def check(view: View) -> Result:
        requests = view.requests
        most = _limits(view, requests.q, _most(LIMITS[kind][1]))
        asked = requests.type == kind
        judged = asked & (most != NO_LIMIT)
        count = np.maximum(requests.segments, requests.bytes // bits.RANGE_BYTES)
        found = breaches(
            judged & (count > most),
            lambda i: f"{_name(view, i)} with {count[i]} segments, the device takes {most[i]}",
            requests.row,
        )
        return Result(
            int(judged.sum()),
            found,
            int((asked & ~judged).sum()),
            f"no {NAMES[kind]} request was made",
            "the driver did not read the limit",
        )

    return check


rule("BO-DR-09", needs=("driver:blk_start", "driver:config"))(_segments(bits.T_DISCARD))
rule("BO-DR-10", needs=("driver:blk_start", "driver:config"))(_segments(bits.T_SECURE_ERASE))
rule("BO-DR-11", needs=("driver:blk_start", "driver:config"))(_segments(bits.T_WRITE_ZEROES))


@dataclass(frozen=True)
class Ranges:
    """Segments of discard, write-zeroes and secure-erase requests; ``request`` is its index."""

    row: Ints
    request: Ints
    sector: Ints
    sectors: Ints
    flags: Ints


def ranges(view: View) -> Ranges:
    """All segments whose request was seen."""
    return view.keep("ranges", _read_ranges)


def _read_ranges(view: View) -> Ranges:
    frame, requests = view.rings.of("blk_range"), view.requests
    at, q = ints(frame, "at"), ints(frame, "q")
    starts = view.rings.of("blk_start")
    key = key_of(requests.q, ints(starts, "head"), ID_SPAN)
    request = last_before(key, requests.at, key_of(q, ints(frame, "head"), ID_SPAN), at)
    known = request >= 0
    frame, request = frame.take(known), request[known]
    return Ranges(
        row=ints(frame, "row"),
        request=request,
        sector=ints(frame, "sector"),
        sectors=ints(frame, "sectors"),
        flags=ints(frame, "flags"),
    )


@rule("BO-DR-14", needs=("driver:blk_start", "driver:blk_range"))
def discard_does_not_unmap(view: View) -> Result:
    seen, requests = ranges(view), view.requests
    judged = requests.type[seen.request] == bits.T_DISCARD
    found = breaches(
        judged & (seen.flags & bits.UNMAP != 0),
        lambda i: f"{_name(view, seen.request[i])} with the unmap flag",
        seen.row,
    )
    return Result(int(judged.sum()), found, why="no discard request was made")


@rule("DX-21", needs=("driver:blk_start", "driver:blk_range", "driver:config"))
def ranges_within_limits(view: View) -> Result:
    seen, requests = ranges(view), view.requests
    kind, q = requests.type[seen.request], requests.q[seen.request]
    capacity = _limits(view, q, _most(CAPACITY))
    most = np.full(len(q), NO_LIMIT)
    for of, (sectors, _) in LIMITS.items():
        most = np.where(kind == of, _limits(view, q, _most(sectors)), most)
    judged = np.isin(kind, bits.RANGE_TYPES) & ((capacity != NO_LIMIT) | (most != NO_LIMIT))
    beyond = (seen.sector < 0) | ((capacity != NO_LIMIT) & (seen.sector + seen.sectors > capacity))
    found = breaches(
        judged & (beyond | (seen.sectors > most)),
        lambda i: (
            f"{_name(view, seen.request[i])}: {seen.sectors[i]} sectors at {seen.sector[i]},"
            " beyond what the device has or takes at once"
        ),
        seen.row,
    )
    return Result(int(judged.sum()), found, why="no request with segments was made")


@rule("DX-22", needs=("driver:blk_start", "driver:features"))
def types_were_negotiated(view: View) -> Result:
    rings, requests = view.rings, view.requests
    judged = ~np.isin(requests.type, (bits.T_IN, bits.T_OUT, bits.T_GET_ID))
    wrong = np.zeros(len(requests.q), dtype=np.bool_)
    known = np.zeros(len(requests.q), dtype=np.bool_)
    for kind, feature in NEEDS.items():
        has = rings.feature(feature)[requests.q]
        known |= (requests.type == kind) & (has >= 0)
        wrong |= (requests.type == kind) & (has == 0)
    known |= ~np.isin(requests.type, tuple(NEEDS))
    wrong |= judged & ~np.isin(requests.type, tuple(NEEDS))
    judged &= known
    found = breaches(
        judged & wrong, lambda i: f"{_name(view, i)} without its feature", requests.row
    )
    return Result(int(judged.sum()), found, why="only requests that every device takes")


@dataclass(frozen=True)
class Layout:
    """Requests as their chains lie in memory.

    By request: ``known`` (the whole chain was seen), bytes the device reads and writes,
    ``last`` (address of the last writable byte, -1 if none), ``data`` (elements with more than
    header and status), ``longest`` (most bytes of data in one of those).
    """

    known: Bools
    readable: Ints
    writable: Ints
    last: Ints
    data: Ints
    longest: Ints


def layout(view: View) -> Layout:
    """How every request was put into descriptors."""
    return view.keep("layout", _read_layout)


def _read_layout(view: View) -> Layout:
    adds, chains, requests = view.adds, view.chains, view.requests
    count = len(adds.q)
    piece = np.flatnonzero(chains.element)
    chain, size = chains.chain[piece], chains.len[piece]
    writes = chains.flags[piece] & bits.WRITE != 0
    readable, writable = (np.zeros(count, dtype=np.int64) for _ in range(2))
    np.add.at(readable, chain[~writes], size[~writes])
    np.add.at(writable, chain[writes], size[writes])
    # Elements are in walking order: the last one stored is the last one there.
    tail = np.full(count, -1, dtype=np.int64)
    tail[chain[writes]] = piece[writes]
    # What of each element is data: not the first 16 bytes that the device reads, nor the
    # last one that it writes, however they are cut into descriptors.
    read_to = grouped_cumsum(np.where(writes, 0, size), chain)
    wrote_to = grouped_cumsum(np.where(writes, size, 0), chain)
    payload = np.where(
        writes,
        np.minimum(wrote_to, writable[chain] - 1) - (wrote_to - size),
        read_to - np.maximum(read_to - size, bits.HEADER_BYTES),
    )
    data = np.bincount(chain[payload > 0], minlength=count).astype(np.int64)
    longest = np.zeros(count, dtype=np.int64)
    np.maximum.at(longest, chain, payload)
    some = tail >= 0
    last = np.full(count, -1, dtype=np.int64)
    last[some] = chains.addr[tail[some]] + chains.len[tail[some]] - 1

    of, good = requests.chain, requests.chain >= 0
    if not count:
        empty = np.zeros(len(of), dtype=np.int64)
        return Layout(good, empty, empty, empty, empty, empty)
    return Layout(
        known=good & chains.whole[of],
        readable=readable[of],
        writable=writable[of],
        last=last[of],
        data=data[of],
        longest=longest[of],
    )


@rule("DX-19", needs=("driver:blk_start", "driver:desc"))
def header_first_status_last(view: View) -> Result:
    requests, seen = view.requests, layout(view)
    short = seen.readable < bits.HEADER_BYTES
    none = seen.writable < 1
    elsewhere = (requests.status_addr != 0) & (requests.status_addr != seen.last)

    def say(i: int) -> str:
        if short[i]:
            return f"{_name(view, i)}: the device can read {seen.readable[i]} bytes, not a header"
        if none[i]:
            return f"{_name(view, i)}: no byte for the status"
        return f"{_name(view, i)}: the status is not in the last byte that the device writes"

    found = breaches(seen.known & (short | none | elsewhere), say, requests.row)
    return Result(int(seen.known.sum()), found, why="no request's descriptors were seen")


@rule("DX-20", needs=("driver:blk_start", "driver:desc", "driver:config"))
def segments_within_limits(view: View) -> Result:
    requests, seen, rings = view.requests, layout(view), view.rings
    few = _limits(view, requests.q, _most(SEG_MAX))
    few = np.where(rings.feature(bits.BLK_SEG_MAX)[requests.q] == 1, few, NO_LIMIT)
    small = _limits(view, requests.q, _most(SIZE_MAX))
    small = np.where(rings.feature(bits.BLK_SIZE_MAX)[requests.q] == 1, small, NO_LIMIT)
    judged = seen.known & ((few != NO_LIMIT) | (small != NO_LIMIT))
    judged &= np.isin(requests.type, (bits.T_IN, bits.T_OUT))
    found = breaches(
        judged & ((seen.data > few) | (seen.longest > small)),
        lambda i: f"{_name(view, i)}: {seen.data[i]} segments, the longest {seen.longest[i]} bytes",
        requests.row,
    )
    return Result(int(judged.sum()), found, why="no limit was negotiated and read")


@rule("DX-23", needs="driver:blk_done|vhost:vhost_blk", local=True)
def status_is_defined(view: View) -> Result:
    ends = view.requests.ends
    q, status = ints(ends, "q"), ints(ends, "status")
    zoned = view.rings.feature(bits.BLK_ZONED)[q]
    # Zoned devices have four more; where that is not known they may be meant.
    most = np.where(zoned == 0, bits.S_UNSUPP, 6)
    found = breaches(
        status > most,
        lambda i: f"{view.rings.name(q[i])}: status {status[i]} is not defined",
        ints(ends, "row"),
    )
    return Result(len(q), found, why="no request ended") + vhost.statuses(view)


@rule("DX-25", needs=("driver:blk_start|vhost:vhost_blk", "driver:blk_done|vhost:vhost_used"))
def read_length_is_reported(view: View) -> Result:
    requests = view.requests
    judged = (requests.type == bits.T_IN) & (requests.status == bits.S_OK)
    found = breaches(
        judged & (requests.len != requests.bytes + 1),
        lambda i: f"{_name(view, i)} of {requests.bytes[i]} bytes: used len {requests.len[i]}",
        requests.row,
        requests.done,
    )
    own = Result(int(judged.sum()), found, why="no read request succeeded")
    return own + vhost.lengths(view, reads=True)


@rule("SU-DE-02", needs=("driver:blk_start", "driver:blk_done"))
def failed_request_claims_no_data(view: View) -> Result:
    requests = view.requests
    answers = (bits.T_IN, bits.T_GET_ID, bits.T_GET_LIFETIME)
    judged = np.isin(requests.type, answers) & (requests.status > bits.S_OK)
    full = (requests.bytes > 0) & (requests.len > requests.bytes)
    found = breaches(
        judged & full,
        lambda i: (
            f"{_name(view, i)} failed ({requests.status[i]}), used len {requests.len[i]} claims"
            " that all of its data was written"
        ),
        requests.row,
        requests.done,
    )
    return Result(int(judged.sum()), found, why="no request that returns data failed")


def _answered(judged: Bools, wanted: int, view: View, what: str) -> Result:
    requests = view.requests
    judged = judged & (requests.status >= 0)
    found = breaches(
        judged & (requests.status != wanted),
        lambda i: f"{_name(view, i)} {what} ended with status {requests.status[i]}",
        requests.row,
        requests.done,
    )
    return Result(int(judged.sum()), found, why=f"no request {what} ended")


@rule("BO-DE-03", needs=("driver:blk_start", "driver:blk_done", "driver:features"))
def writes_to_read_only_fail(view: View) -> Result:
    requests = view.requests
    offered = np.zeros(len(view.rings.queue), dtype=np.bool_)
    for n, (dev, number, _) in enumerate(view.rings.queue):
        last = view.life(dev, number).negotiated
        offered[n] = last is not None and bool(last.offered >> bits.BLK_RO & 1)
    judged = (requests.type == bits.T_OUT) & offered[requests.q]
    return _answered(judged, bits.S_IOERR, view, "to a read-only device")


def _with_flags(view: View, kinds: tuple[int, ...], flags: int) -> Bools:
    seen = ranges(view)
    found = np.zeros(len(view.requests.q), dtype=np.bool_)
    found[seen.request[seen.flags & flags != 0]] = True
    return found & np.isin(view.requests.type, kinds)


@rule("BO-DE-05", needs=("driver:blk_start", "driver:blk_range", "driver:blk_done"))
def unknown_flags_are_unsupported(view: View) -> Result:
    judged = _with_flags(view, bits.RANGE_TYPES, ~bits.UNMAP)
    return _answered(judged, bits.S_UNSUPP, view, "with an unknown flag")


@rule("BO-DE-06", needs=("driver:blk_start", "driver:blk_range", "driver:blk_done"))
def discard_with_unmap_is_unsupported(view: View) -> Result:
    judged = _with_flags(view, (bits.T_DISCARD,), bits.UNMAP)
    return _answered(judged, bits.S_UNSUPP, view, "with the unmap flag")
