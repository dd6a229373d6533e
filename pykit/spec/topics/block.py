# SPDX-License-Identifier: GPL-2.0-only
"""Block device requests (section 5.2.6)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import Bools, Ints, grouped_cumsum, ints, key_of, last_before
from pykit.spec.blkconfig import CAPACITY, LIMITS, SEG_MAX, SIZE_MAX, WRITEBACK, Field
from pykit.spec.lives import block_lives
from pykit.spec.malformed import bytes_of, without_request
from pykit.spec.model import Result, rule
from pykit.spec.rings import ID_SPAN
from pykit.spec.rows import Row, Rows, Tally
from pykit.spec.view import View
from pykit.text import counted

#: Requests whose data the device writes.
RETURNS = (bits.T_IN, bits.T_GET_ID, bits.T_GET_LIFETIME)
#: Stands for a limit that is not known.
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
    bits.T_ZONE_APPEND: "zone-append",
    bits.T_ZONE_REPORT: "zone-report",
    bits.T_ZONE_OPEN: "zone-open",
    bits.T_ZONE_CLOSE: "zone-close",
    bits.T_ZONE_FINISH: "zone-finish",
    bits.T_ZONE_RESET: "zone-reset",
    bits.T_ZONE_RESET_ALL: "zone-reset-all",
}
#: Request types, and the feature that each of them takes.
NEEDS = {
    bits.T_FLUSH: bits.BLK_FLUSH,
    bits.T_DISCARD: bits.BLK_DISCARD,
    bits.T_WRITE_ZEROES: bits.BLK_WRITE_ZEROES,
    bits.T_GET_LIFETIME: bits.BLK_LIFETIME,
    bits.T_SECURE_ERASE: bits.BLK_SECURE_ERASE,
    **dict.fromkeys(bits.ZONE_TYPES, bits.BLK_ZONED),
}


def kind_of(row: Row) -> str:
    """Return the name of a request's type, for messages."""
    return NAMES.get(row["type"], f"type {row['type']}")


def requests_of(view: View, *types: int) -> Rows:
    """Requests that the driver made, of these types or of all; ``{kind}`` names the type.

    Left out are those of which the probe may have read a part alone, since their chain is longer
    than the queue or loops: SI-DR-03 and SD-DR-01 report that. So are those to whose header the
    device wrote, as it may have done before the driver traced it: SD-DE-01 and PD-DE-01 report
    that.
    """
    requests = Rows.of(view.rings, view.requests).labelled(kind=kind_of)
    requests = requests.plus(number=np.arange(len(requests)))
    requests = requests.where(requests["sound"] & ~view.keep("overwritten", _overwritten))
    return requests.where(np.isin(requests["type"], types)) if types else requests


def data_bytes(view: View) -> Ints:
    """By request: how many bytes of data it has, in its chain and not by the driver's report.

    The report counts where events were lost, and where header and status are not in place, which
    DX-19 reports.
    """
    return view.keep("data bytes", _read_data_bytes)


def _read_data_bytes(view: View) -> Ints:
    size = view.requests.bytes.copy()
    if view.events.lost:
        return size
    laid = laid_out(view)
    chains = laid.requests
    returned = np.isin(chains["type"], RETURNS)
    length = np.where(returned, chains["writable"] - 1, chains["readable"] - bits.HEADER_BYTES)
    whole = laid.fixed & laid.last & (chains["writable"] >= 1)
    whole &= chains["readable"] >= bits.HEADER_BYTES
    size[chains["number"][whole]] = length[whole]
    return size


def _sized(view: View, *types: int) -> Rows:
    """The same as requests_of, with ``bytes`` as the chain has them."""
    requests = requests_of(view, *types)
    return requests.plus(bytes=data_bytes(view)[requests["number"]])


def marked_requests(view: View) -> Ints:
    """By event ``blk_wrote``: the index of its request into ``view.requests``, -1 if unknown."""
    events, requests = view.rings.of("blk_wrote"), view.requests
    return last_before(
        key_of(requests.q, ints(view.rings.of("blk_start"), "head"), ID_SPAN),
        requests.at,
        key_of(ints(events, "q"), ints(events, "head"), ID_SPAN),
        ints(events, "at"),
    )


def _overwritten(view: View) -> Bools:
    """By request: whether the device is known to have written to its header."""
    found = np.zeros(len(view.requests.q), dtype=np.bool_)
    number, events = marked_requests(view), view.rings.of("blk_wrote")
    found[number[(number >= 0) & (ints(events, "header") == 0)]] = True
    return found


# Single requests.


@rule("BO-DR-04", needs="driver:blk_start", local=True, contents=True)
def flush_has_sector_zero(view: View) -> Result:
    """Section 5.2.6.1: the sector of a flush request is 0.

    Checked: each flush request.
    """
    flushes = requests_of(view, bits.T_FLUSH)
    return flushes.check(
        flushes["sector"] == 0,
        "{queue}: {kind} request with a sector",
        none="no flush request was made",
    )


@rule("BO-DR-05", needs="driver:blk_start", local=True, contents=True)
def flush_has_no_data(view: View) -> Result:
    """Section 5.2.6.1: a flush request has no data.

    Checked: each flush request.
    """
    flushes = _sized(view, bits.T_FLUSH)
    return flushes.check(
        flushes["bytes"] == 0, "{queue}: {kind} request with data", none="no flush request was made"
    )


@rule("BO-DR-06", needs="driver:blk_start", local=True, contents=True)
def data_is_whole_sectors(view: View) -> Result:
    """Section 5.2.6.1: the data of reads and writes is a multiple of 512 bytes.

    Checked: each read and each write request.
    """
    transfers = _sized(view, bits.T_IN, bits.T_OUT)
    return transfers.check(
        transfers["bytes"] % bits.SECTOR == 0,
        "{queue}: {kind} request whose data is not a multiple of 512 bytes",
        none="no read or write request was made",
    )


@rule("BO-DR-07", needs="driver:blk_start", local=True, contents=True)
def data_is_whole_segments(view: View) -> Result:
    """Section 5.2.6.1: discard, secure-erase and write-zeroes requests have whole segments.

    Checked: each such request: its data is one or more segments of 16 bytes.
    """
    requests = _sized(view, *bits.RANGE_TYPES)
    size = requests["bytes"]
    return requests.check(
        (size > 0) & (size % bits.RANGE_BYTES == 0),
        "{queue}: {kind} request whose data is not whole segments of 16 bytes",
        none="no discard or write-zeroes or secure-erase request was made",
    )


@rule("BO-DR-08", needs="driver:blk_start", local=True, contents=True)
def id_has_twenty_bytes(view: View) -> Result:
    """Section 5.2.6.1: the data of a GET_ID request is 20 bytes.

    Checked: each GET_ID request.
    """
    requests = _sized(view, bits.T_GET_ID)
    return requests.check(
        requests["bytes"] == bits.ID_BYTES,
        "{queue}: {kind} request whose data is not 20 bytes",
        none="no id request was made",
    )


# Limits of the configuration space.


def limits(view: View, q: Ints, field: Field = CAPACITY) -> Ints:
    """By row: a limit from the configuration of the queue's life, NO_LIMIT where not known.

    Of several values that were read the largest counts: a driver may not have heard yet that the
    device lowered it. Devices without a limit say 0.
    """

    def make(view: View) -> Ints:
        rings = view.rings
        known = np.full(len(rings.queue), NO_LIMIT)
        for n, (dev, number, _) in enumerate(rings.queue):
            reads = view.life(dev, number).reads(field.offset, field.width)
            known[n] = max((value for _, value in reads), default=0) or NO_LIMIT
        return known

    return view.keep(f"limits at {field.offset}", make)[q]


@rule("BO-DR-02", needs=("driver:blk_start", "driver:config"), contents=True)
def inside_capacity(view: View) -> Result:
    """Section 5.2.6.1: no request reaches beyond the device's capacity.

    Checked: each read and write request of a device whose capacity the driver read, against the
    largest capacity that it read: a driver may not have heard yet that the device shrank.
    """
    transfers = requests_of(view, bits.T_IN, bits.T_OUT)
    transfers = transfers.plus(capacity=limits(view, transfers["q"], CAPACITY))
    transfers = transfers.where(transfers["capacity"] != NO_LIMIT)
    sector, end = transfers["sector"], transfers["sector"] + transfers["bytes"] // bits.SECTOR
    # Sectors of 2^63 and above come out negative: they are beyond any capacity.
    return transfers.check(
        (sector >= 0) & (end <= transfers["capacity"]),
        "{queue}: {kind} request at {sector} ends beyond {capacity} sectors",
        none="no capacity and request were seen together",
    )


@rule("BO-DR-09", needs=("driver:blk_start", "driver:config"), contents=True)
def discard_segments(view: View) -> Result:
    """Section 5.2.6.1: a discard request has at most max_discard_seg segments.

    Checked: each discard request of a device whose limit the driver read; the others are
    undecided. Of several limits that it read the largest counts.
    """
    return _segments(view, bits.T_DISCARD)


@rule("BO-DR-10", needs=("driver:blk_start", "driver:config"), contents=True)
def secure_erase_segments(view: View) -> Result:
    """Section 5.2.6.1: a secure-erase request has at most max_secure_erase_seg segments.

    Checked: each secure-erase request of a device whose limit the driver read; the others are
    undecided. Of several limits that it read the largest counts.
    """
    return _segments(view, bits.T_SECURE_ERASE)


@rule("BO-DR-11", needs=("driver:blk_start", "driver:config"), contents=True)
def write_zeroes_segments(view: View) -> Result:
    """Section 5.2.6.1: a write-zeroes request has at most max_write_zeroes_seg segments.

    Checked: each write-zeroes request of a device whose limit the driver read; the others are
    undecided. Of several limits that it read the largest counts.
    """
    return _segments(view, bits.T_WRITE_ZEROES)


def _segments(view: View, kind: int) -> Result:
    """Check the number of segments: as the block layer counts it, and as the data's size has it."""
    requests = requests_of(view, kind)
    requests = requests.plus(
        limit=limits(view, requests["q"], LIMITS[kind][1]),
        count=np.maximum(requests["segments"], requests["bytes"] // bits.RANGE_BYTES),
    )
    limited = requests.where(requests["limit"] != NO_LIMIT)
    return limited.check(
        limited["count"] <= limited["limit"],
        "{queue}: {kind} request with {count} segments, the device takes {limit}",
        none=f"no {NAMES[kind]} request was made",
        undecided=len(requests) - len(limited),
        doubt="the driver did not read the limit",
    )


# Segments of discard, write-zeroes and secure-erase requests.


def ranges_of(view: View) -> Rows:
    """All segments whose request was seen, with its ``type`` and number (``request``)."""
    return view.keep("ranges", _read_ranges)


def _read_ranges(view: View) -> Rows:
    frame, starts, requests = view.rings.of("blk_range"), view.rings.of("blk_start"), view.requests
    request = last_before(
        key_of(requests.q, ints(starts, "head"), ID_SPAN),
        requests.at,
        key_of(ints(frame, "q"), ints(frame, "head"), ID_SPAN),
        ints(frame, "at"),
    )
    known = request >= 0
    request = request[known]
    ranges = Rows.of(view.rings, frame.take(known)).labelled(kind=kind_of)
    return ranges.plus(request=request, type=requests.type[request])


@rule("BO-DR-14", needs=("driver:blk_start", "driver:blk_range"), contents=True)
def discard_does_not_unmap(view: View) -> Result:
    """Section 5.2.6.1: segments of discard requests do not have the unmap flag.

    Checked: each segment of a discard request.
    """
    ranges = ranges_of(view)
    ranges = ranges.where(ranges["type"] == bits.T_DISCARD)
    return ranges.check(
        ranges["flags"] & bits.UNMAP == 0,
        "{queue}: {kind} request with the unmap flag",
        none="no discard request was made",
    )


@rule("DX-74", needs=("driver:blk_start", "driver:blk_range"), contents=True)
def reserved_flags_are_clear(view: View) -> Result:
    """Section 5.2.6: of the flags of a segment unmap alone is defined, all other bits are 0.

    Checked: each segment of a discard, write-zeroes or secure-erase request. Whether it may have
    the unmap flag is BO-DR-14's.
    """
    ranges = ranges_of(view)
    ranges = ranges.where(np.isin(ranges["type"], bits.RANGE_TYPES))
    return ranges.check(
        ranges["flags"] & ~bits.UNMAP == 0,
        "{queue}: {kind} request: a segment has the flags {flags:#x}",
        none="no request with segments was made",
    )


@rule("DX-21", needs=("driver:blk_start", "driver:blk_range", "driver:config"), contents=True)
def ranges_within_limits(view: View) -> Result:
    """Section 5.2.6: a segment has at most max_*_sectors sectors and ends within the capacity.

    Checked: each segment of a discard, write-zeroes or secure-erase request of a device whose
    capacity or limit the driver read. Of several values that it read the largest counts.
    """
    ranges = ranges_of(view)
    ranges = ranges.where(np.isin(ranges["type"], bits.RANGE_TYPES))
    q = ranges["q"]
    limit = np.full(len(ranges), NO_LIMIT)
    for kind, (sectors, _) in LIMITS.items():
        limit = np.where(ranges["type"] == kind, limits(view, q, sectors), limit)
    ranges = ranges.plus(limit=limit, capacity=limits(view, q, CAPACITY))
    ranges = ranges.where((ranges["limit"] != NO_LIMIT) | (ranges["capacity"] != NO_LIMIT))
    # Sectors of 2^63 and above come out negative: they are beyond any capacity.
    inside = ranges["sector"] >= 0
    inside &= (ranges["capacity"] == NO_LIMIT) | (
        ranges["sector"] + ranges["sectors"] <= ranges["capacity"]
    )
    return ranges.check(
        inside & (ranges["sectors"] <= ranges["limit"]),
        "{queue}: {kind} request: {sectors} sectors at {sector}, beyond the device's capacity or"
        " its limit for one segment",
        none="no request with segments was made",
    )


@rule("DX-22", needs=("driver:blk_start", "driver:features"), contents=True)
def types_were_negotiated(view: View) -> Result:
    """Section 5.2.3: a request type that takes a feature is used only where it was negotiated.

    Checked: each request but reads, writes and GET_ID, which all devices take, where it is known
    what was negotiated. Types that the specification does not have are never negotiated.
    """
    requests = requests_of(view)
    types = requests["type"]
    takes_feature = np.isin(types, tuple(NEEDS))
    known, allowed = ~takes_feature, np.zeros(len(requests), dtype=np.bool_)
    for kind, feature in NEEDS.items():
        negotiated = view.rings.feature(feature)[requests["q"]]
        known |= (types == kind) & (negotiated >= 0)
        allowed |= (types == kind) & (negotiated == 1)
    optional = ~np.isin(types, (bits.T_IN, bits.T_OUT, bits.T_GET_ID))
    requests = requests.plus(allowed=allowed).where(optional & known)
    return requests.check(
        requests["allowed"],
        "{queue}: {kind} request without its feature",
        none="only requests that every device takes",
    )


# Requests as their chains lie in memory.


def _in_memory(view: View) -> Rows:
    """Requests whose whole chain was seen, with what its descriptors hold.

    Further columns: ``readable`` and ``writable`` (bytes), ``last`` (address of the last writable
    byte, -1 if none), ``data`` (elements with more than header and status), ``longest`` (most
    bytes of data in one of those).
    """
    return view.keep("requests in memory", _read_memory)


def _read_memory(view: View) -> Rows:
    adds, chains = view.adds, view.chains
    count = len(adds.q)
    # Most captures have no indirect table: a slice copies nothing.
    pick = slice(None) if chains.element.all() else chains.element
    chain, size = chains.chain[pick], chains.len[pick]
    writes = chains.flags[pick] & bits.WRITE != 0
    readable, writable = (np.zeros(count, dtype=np.int64) for _ in range(2))
    np.add.at(readable, chain[~writes], size[~writes])
    np.add.at(writable, chain[writes], size[writes])
    # Elements are in walking order: the last one stored is the last one in the chain.
    last = np.full(count, -1, dtype=np.int64)
    last[chain[writes]] = (chains.addr[pick] + size - 1)[writes]
    # An element's data is what is left without the first 16 readable bytes and the last writable
    # one, however header and status are cut into descriptors.
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

    requests = requests_of(view)
    requests = requests.where(requests["chain"] >= 0)
    requests = requests.where(chains.whole[requests["chain"]])
    of = requests["chain"]
    return requests.plus(
        readable=readable[of],
        writable=writable[of],
        last=last[of],
        data=data[of],
        longest=longest[of],
    )


@rule("DX-19", needs=("driver:blk_start", "driver:add", "driver:desc"), contents=True)
def header_first_status_last(view: View) -> Result:
    """Section 5.2.6: a request begins with a readable header of 16 bytes and ends with its status.

    Checked: each request whose whole chain was seen: 16 readable bytes or more, one writable byte
    or more, and the status in the last of them. Reads, writes, flushes, GET_ID and requests with
    segments have header, data and status in the chain and nothing else: the bytes that the device
    can read are the header and the data that it is to have, those that it can write the
    data that it is to return and the status.

    Of each other chain of a block device: it has as many bytes as a header to read, and one to
    write.

    Where the driver's events do not have the status's address (0), its place is not checked. How
    the other types are laid out depends on the device.
    """
    laid = laid_out(view)
    requests, fixed, header, room = laid.requests, laid.fixed, laid.header, laid.room

    def message(i: int) -> str:
        if fixed[i] and not header[i]:
            return "{queue}: {kind} request: the device can read {readable} bytes, not {sent}"
        if fixed[i] and not room[i]:
            return "{queue}: {kind} request: the device can write {writable} bytes, not {got}"
        if not header[i]:
            return "{queue}: {kind} request: the device can read {readable} bytes, not a header"
        if not room[i]:
            return "{queue}: {kind} request: no byte for the status"
        return "{queue}: {kind} request: the status is not in the last byte that the device writes"

    found = requests.check(
        header & room & laid.last, message, none="no request's descriptors were seen"
    )
    return found + _chains_without_request(view)


def _chains_without_request(view: View) -> Result:
    """Check chains of block devices that are too short for the observer to find a request there."""
    rings, adds = view.rings, view.adds
    if not len(rings.queue):
        return Result(0)
    judged = rings.device()[adds.q] == bits.BLK_ID
    judged[view.requests.chain[view.requests.chain >= 0]] = False
    read, written = bytes_of(view)
    chains = Rows.of(rings, adds).plus(read=read, written=written, short=without_request(view))
    chains = chains.where(judged)
    return chains.check(
        ~chains["short"],
        "{queue}: a chain of {read:byte} to read and {written:byte} to write, which is no request",
    )


class _Layout(NamedTuple):
    """Requests as their chains lie in memory, and whether their parts are in place.

    Attributes:
        fixed: the layout of the request's type is known to the byte.
        header, room, last: the header is whole; there is room for data and status; the status is
            the last byte.
    """

    requests: Rows
    fixed: Bools
    header: Bools
    room: Bools
    last: Bools


def laid_out(view: View) -> _Layout:
    """Return where the parts of each request lie in its chain; computed once a view."""
    return view.keep("layout of requests", _lay_out)


def _lay_out(view: View) -> _Layout:
    requests = _in_memory(view)
    kind, size = requests["type"], requests["bytes"]
    returns = np.isin(kind, RETURNS)
    fixed = returns | np.isin(kind, (bits.T_OUT, bits.T_FLUSH, *bits.RANGE_TYPES))
    sent = bits.HEADER_BYTES + np.where(returns, 0, size)
    got = 1 + np.where(returns, size, 0)
    requests = requests.plus(sent=sent, got=got)
    header = requests["readable"] >= bits.HEADER_BYTES
    header &= ~fixed | (requests["readable"] == sent)
    room = (requests["writable"] >= 1) & (~fixed | (requests["writable"] == got))
    address = requests["status_addr"]
    last = (address == 0) | (address == requests["last"])
    return _Layout(requests, fixed, header, room, last)


def _shown(limit: int) -> str:
    """A limit as messages show it."""
    return "none" if limit == NO_LIMIT else str(limit)


@rule(
    "DX-20", needs=("driver:blk_start", "driver:add", "driver:desc", "driver:config"), contents=True
)
def segments_within_limits(view: View) -> Result:
    """Section 5.2.3: data has at most seg_max elements, none longer than size_max bytes.

    Checked: each read and write request whose whole chain was seen, against those of the two
    limits whose feature was negotiated and which the driver read (the largest value it read).
    """
    requests = _in_memory(view)
    requests = requests.where(np.isin(requests["type"], (bits.T_IN, bits.T_OUT)))

    def limit(field: Field, feature: int) -> Ints:
        negotiated = view.rings.feature(feature)[requests["q"]] == 1
        return np.where(negotiated, limits(view, requests["q"], field), NO_LIMIT)

    most = limit(SEG_MAX, bits.BLK_SEG_MAX)
    longest = limit(SIZE_MAX, bits.BLK_SIZE_MAX)
    requests = requests.plus(most_segments=most, most_bytes=longest)
    requests = requests.where((most != NO_LIMIT) | (longest != NO_LIMIT))
    requests = requests.labelled(
        seg_max=lambda row: _shown(row["most_segments"]),
        size_max=lambda row: _shown(row["most_bytes"]),
    )
    return requests.check(
        (requests["data"] <= requests["most_segments"])
        & (requests["longest"] <= requests["most_bytes"]),
        "{queue}: {kind} request: {data} segments (seg_max {seg_max}), the longest {longest} bytes"
        " (size_max {size_max})",
        none="no limit was negotiated and read",
    )


@rule(
    "DX-83", needs=("driver:blk_start", "driver:add", "driver:desc", "driver:used"), contents=True
)
def status_has_a_byte_of_its_own(view: View) -> Result:
    """Section 5.2.6: a request ends with its status, of which the driver reads how it ended.

    Checked: each request whose whole chain was seen: its last writable byte lies in no other
    element that the device writes, and is not the last one of a request that was made available on
    the queue before and returned later.
    """
    requests = _in_memory(view)
    requests = requests.where(requests["last"] >= 0)
    requests = requests.plus(
        inside=_beside_data(view)[requests["chain"]],
        shared=_same_status(view, requests),
    )

    def message(i: int) -> str:
        if requests["inside"][i]:
            return "{queue}: {kind} request: its status lies in another buffer of it"
        return "{queue}: {kind} request: its status is that of another that is outstanding"

    return requests.check(
        ~requests["inside"] & ~requests["shared"],
        message,
        none="no request's chain was seen",
    )


def _beside_data(view: View) -> Bools:
    """By chain: its last writable byte lies in another writable element, too."""
    chains = view.chains
    found = np.zeros(len(view.adds.q), dtype=np.bool_)
    mine = np.flatnonzero(chains.element & (chains.flags & bits.WRITE != 0))
    chain, first = chains.chain[mine], chains.addr[mine]
    end = first + chains.len[mine]
    final = np.ones(len(mine), dtype=np.bool_)
    final[:-1] = chain[1:] != chain[:-1]
    last = np.full(len(found), -1, dtype=np.int64)
    last[chain[final]] = end[final] - 1
    covers = ~final & (first <= last[chain]) & (last[chain] < end)
    found[chain[covers]] = True
    return found


def _same_status(view: View, requests: Rows) -> Bools:
    """By request: its last writable byte is that of another that came before and was not back."""
    adds, used, pairs = view.adds, view.used, view.pairs
    entry = pairs.used_of[requests["chain"]]
    end = np.where(entry >= 0, np.append(used.at, -1)[entry], -1)
    order = np.lexsort((adds.at[requests["chain"]], requests["last"], requests["q"]))
    begin, until = adds.at[requests["chain"]][order], end[order]
    same = np.zeros(len(order), dtype=np.bool_)
    same[1:] = (requests["last"][order][1:] == requests["last"][order][:-1]) & (
        requests["q"][order][1:] == requests["q"][order][:-1]
    )
    found = np.zeros(len(order), dtype=np.bool_)
    found[order[1:]] = same[1:] & (until[:-1] > begin[1:])
    return found


@rule("DX-85", needs=("driver:config", "driver:features"))
def writeback_alone_is_written(view: View) -> Result:
    """Section 5.2.4: of a block device's configuration the driver writes writeback, as 0 or 1.

    Checked: each access to the configuration of a block device: no write but of one byte, to
    writeback, with one of these values.
    """
    tally = Tally(none="no driver accessed a block device's configuration")
    for life in block_lives(view, tally):
        for access in life.config:
            if not access.len:
                continue
            own = access.offset == WRITEBACK.offset and access.len == WRITEBACK.width
            text = f"{life.name}: {counted(access.len, 'byte')} written at {access.offset}"
            text += f": {access.value:#x}" if own else ""
            good = not access.write or (own and access.value in (0, 1))
            tally.check(good, access.row, text)
    return tally.result()
