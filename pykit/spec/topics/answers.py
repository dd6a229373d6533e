# SPDX-License-Identifier: GPL-2.0-only
"""How block requests end (sections 2.7.8 and 5.2.6): status and used len.

A device is not accused where the driver had broken the ring before, or has not given it a whole
request (``_not_the_devices``).
"""

from __future__ import annotations

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import Bools, Ints
from pykit.spec.blkconfig import CAPACITY, LIMITS
from pykit.spec.model import Result, rule
from pykit.spec.rows import Rows
from pykit.spec.topics import vhost
from pykit.spec.topics.block import (
    NO_LIMIT,
    data_bytes,
    kind_of,
    laid_out,
    limits,
    ranges_of,
    requests_of,
)
from pykit.spec.view import View


def not_the_devices(view: View, rows: Rows, request: Ints) -> Bools:
    """By row: the driver broke the ring, or its request (-1: unknown), so that DX-19 fails.

    It may break the ring while a request is under way, so that the whole queue counts.
    """
    laid = laid_out(view)
    wrong = np.zeros(len(view.requests.q) + 1, dtype=np.bool_)
    wrong[laid.requests["number"][~(laid.header & laid.room & laid.last)]] = True
    wrong[-1] = False
    found: Bools = wrong[request] | view.contested_queues[rows["q"]]
    return found


@rule("DX-23", needs="driver:blk_done|vhost:vhost_blk", local=True)
def status_is_defined(view: View) -> Result:
    """Section 5.2.6: a request's status is one of the codes that the specification has.

    Checked: each end of a request that the driver saw or a vhost back-end traced. That the status
    was written at all shows here with the kit's own driver, and with the probe in guests that pykit
    boots: they fill the byte with a value that is none of the codes before. DX-25 has what the
    device itself says about that.

    - Zoned devices have codes up to 6. They are also accepted where it is not known whether ZONED
      was negotiated.
    - Contested: the request has no byte for the status in its place, or the driver had broken the
      ring before.
    - Left out are requests of whose chain the probe saw a part alone, as it then reads the status
      from elsewhere, and all unknown ones where events were lost.
    """
    requests = view.requests
    ends = Rows.of(view.rings, requests.ends)
    known = requests.request >= 0
    sound = ~known & (view.events.lost == 0)
    sound[known] = requests.sound[requests.request[known]]
    ends = ends.plus(request=requests.request).where(sound)
    zoned = view.rings.feature(bits.BLK_ZONED)[ends["q"]]
    own = ends.check(
        ends["status"] <= np.where(zoned == 0, bits.S_UNSUPP, bits.S_ZONED_LAST),
        "{queue}: status {status} is not defined",
        none="no request ended",
        unless=not_the_devices(view, ends, ends["request"]),
    )
    return own + vhost.statuses(view)


_SERVED = (
    "driver:blk_start|vhost:vhost_blk",
    "driver:blk_done|vhost:vhost_used",
    "driver:used|vhost:vhost_used",
    "driver:add|vhost:vhost_get",
)


@rule("DX-25", needs=_SERVED)
def length_covers_the_status(view: View) -> Result:
    """Sections 2.7.8.2 and 5.2.6: the used len of a request that succeeded has all that the device
    wrote: the data that it returns, and the status behind them.

    Checked: each request of any type that ended with OK, as the driver saw it or a vhost back-end
    traced it: its used len is the number of its chain's writable bytes, the last of which is the
    status. Where the chain was not traced, it is the data of a read plus one byte.

    - A larger len is DX-06's.
    - Contested: the driver had broken the ring before, or the request is not laid out as DX-19
      has it.
    """
    requests = requests_of(view)
    requests = requests.where((requests["status"] == bits.S_OK) & (requests["len"] >= 0))
    chain = requests["chain"]
    known = chain >= 0
    reads = requests["type"] == bits.T_IN
    room = np.where(reads, requests["bytes"] + 1, 1)
    room[known] = view.writable[chain[known]]
    requests = requests.plus(room=room).where(known | reads)
    own = requests.check(
        requests["len"] >= requests["room"],
        "{queue}: {kind} request that succeeded: used len {len}, written are {room} bytes",
        none="no request succeeded",
        shown=("row", "done"),
        unless=not_the_devices(view, requests, requests["number"]),
    )
    return own + vhost.lengths(view, served=True)


def end_with(view: View, requests: Rows, status: int, what: str) -> Result:
    """Check that requests, as far as their ends were seen, end with a status."""
    ended = requests.where(requests["status"] >= 0)
    return ended.check(
        ended["status"] == status,
        "{queue}: {kind} request " + what + " ended with status {status}",
        none=f"no request {what} ended",
        shown=("row", "done"),
        unless=not_the_devices(view, ended, ended["number"]),
    )


@rule("BO-DE-03", needs=("driver:blk_start", "driver:blk_done", "driver:used", "driver:features"))
def writes_to_read_only_fail(view: View) -> Result:
    """Section 5.2.6.2: writes to a device that offers RO end with IOERR.

    Checked: each write request whose end was seen, to a device that offered RO, be it accepted or
    not.
    """
    writes = requests_of(view, bits.T_OUT)
    writes = writes.where(offers_read_only(view)[writes["q"]])
    return end_with(view, writes, bits.S_IOERR, "to a read-only device")


def offers_read_only(view: View) -> Bools:
    """Return by q whether the device offers RO."""
    found = np.zeros(len(view.rings.queue), dtype=np.bool_)
    for n, (dev, number, _) in enumerate(view.rings.queue):
        last = view.life(dev, number).negotiated
        found[n] = last is not None and bool(last.offered >> bits.BLK_RO & 1)
    return found


@rule("DX-77", needs=("driver:blk_start", "driver:blk_done", "driver:used"))
def reads_and_writes_are_supported(view: View) -> Result:
    """Section 5.2.6: reads and writes take no feature, so that each block device supports them.

    Checked: each read and write whose end was seen does not end with UNSUPP. A device may refuse
    one with IOERR, such as each write where it is read-only. Of zoned devices, whose zones may
    refuse a write by its place, too.
    """
    requests = requests_of(view, bits.T_IN, bits.T_OUT)
    ended = requests.where(requests["status"] >= 0)
    return ended.check(
        ended["status"] != bits.S_UNSUPP,
        "{queue}: {kind} request ended with UNSUPP",
        none="no read or write ended",
        shown=("row", "done"),
        unless=not_the_devices(view, ended, ended["number"]),
    )


def flagged(view: View, flags: int) -> Bools:
    """By request: whether one of these flags is set in a segment of it."""
    ranges = ranges_of(view)
    found = np.zeros(len(view.requests.q), dtype=np.bool_)
    found[ranges["request"][ranges["flags"] & flags != 0]] = True
    return found


def excessive(view: View) -> Bools:
    """By request: the device need not support it, for the driver asks for more than is allowed.

    Flushes with data; and requests with segments whose data is not whole segments, or that has
    more or longer segments than the device takes (BO-DR-05, -07, -09 to -11, DX-21). Where the
    driver did not read how many it takes, more than one may be too many.
    """
    requests = Rows.of(view.rings, view.requests)
    kind, size, q = requests["type"], data_bytes(view), requests["q"]
    count = np.maximum(requests["segments"], size // bits.RANGE_BYTES)
    found: Bools = (kind == bits.T_FLUSH) & (size > 0)
    found |= np.isin(kind, bits.RANGE_TYPES) & ((size == 0) | (size % bits.RANGE_BYTES != 0))
    ranges = ranges_of(view)
    long = np.zeros(len(ranges), dtype=np.bool_)
    for name, (sectors, segments) in LIMITS.items():
        most = limits(view, q, segments)
        found |= (kind == name) & (count > np.where(most == NO_LIMIT, 1, most))
        long |= (ranges["type"] == name) & (ranges["sectors"] > limits(view, ranges["q"], sectors))
    end = ranges["sector"] + ranges["sectors"]
    long |= (ranges["sector"] < 0) | (end > limits(view, ranges["q"], CAPACITY))
    found[ranges["request"][long]] = True
    return found


def _with_flags(view: View, types: tuple[int, ...], flags: int) -> Rows:
    """Requests of these types with one of these flags in a segment."""
    requests = Rows.of(view.rings, view.requests).labelled(kind=kind_of)
    requests = requests.plus(number=np.arange(len(requests)))
    chosen = flagged(view, flags) & requests["sound"] & np.isin(requests["type"], types)
    return requests.where(chosen)


@rule("BO-DE-05", needs=("driver:blk_start", "driver:blk_range", "driver:blk_done", "driver:used"))
def unknown_flags_are_unsupported(view: View) -> Result:
    """Section 5.2.6.2: a request with an unknown flag in a segment ends with UNSUPP.

    Checked: each discard, write-zeroes and secure-erase request whose end was seen and which has
    another flag than unmap in a segment.
    """
    requests = _with_flags(view, bits.RANGE_TYPES, ~bits.UNMAP)
    return end_with(view, requests, bits.S_UNSUPP, "with an unknown flag")


@rule("BO-DE-06", needs=("driver:blk_start", "driver:blk_range", "driver:blk_done", "driver:used"))
def discard_with_unmap_is_unsupported(view: View) -> Result:
    """Section 5.2.6.2: a discard request with the unmap flag ends with UNSUPP.

    Checked: each discard request whose end was seen and which has the flag in a segment.
    """
    requests = _with_flags(view, (bits.T_DISCARD,), bits.UNMAP)
    return end_with(view, requests, bits.S_UNSUPP, "with the unmap flag")
