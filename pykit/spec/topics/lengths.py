# SPDX-License-Identifier: GPL-2.0-only
"""What drivers make of used lengths that leave out bytes which the device may write (2.7.8.2).

The last of these bytes of a block request is its status, so that a used len of less does not cover
it. What the driver made of such a request is seen where the block layer gets it (event
``blk_passed``). That the device should have written more is its own error, and DX-25 has that where
it wrote OK: both sides may be wrong about one request.

Where the legacy interface is used a driver had better ignore used lens (section 2.7.8.3), and with
IN_ORDER one used entry may stand for requests whose lens the driver does not get.
"""

from __future__ import annotations

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import Bools, Ints, ints, key_of, last_before
from pykit.spec.model import Result, rule
from pykit.spec.rings import ID_SPAN, SPLIT
from pykit.spec.rows import Rows
from pykit.spec.topics.answers import not_the_devices
from pykit.spec.topics.block import kind_of
from pykit.spec.view import View

_NEEDS = (
    *("driver:add", "driver:desc", "driver:used", "driver:compared", "driver:features"),
    *("driver:blk_start", "driver:blk_done", "driver:blk_passed"),
)
#: What the block layer gets of these is data that the device wrote, the status behind it.
_RETURNS = (bits.T_IN, bits.T_GET_ID, bits.T_GET_LIFETIME, bits.T_ZONE_REPORT)
_INDEX_SPAN = 1 << 16
_DOUBT = "the request, its used entry or what was negotiated is not known for certain"


def _passed(view: View) -> Rows:
    """What was passed on of requests on split rings whose used len leaves their status out.

    Columns: those of ``blk_passed``; ``request``, the index into ``view.requests``, -1 where it or
    its chain is not known; ``add``, the row that shows that chain; ``room``, its writable bytes;
    ``steady``: the used entry was read again, and had the same len.
    """
    return view.keep("passed on", _read_passed)


def _read_passed(view: View) -> Rows:
    rings, requests, adds = view.rings, view.requests, view.adds
    rows = Rows.of(rings, rings.of("blk_passed")).labelled(kind=kind_of)
    rows = rows.where(rings.layout[rows["q"]] == SPLIT)
    ends = requests.ends
    end = last_before(
        key_of(ints(ends, "q"), ints(ends, "head"), ID_SPAN),
        ints(ends, "at"),
        key_of(rows["q"], rows["head"], ID_SPAN),
        rows["at"],
    )
    known = end >= 0
    request = np.full(len(rows), -1, dtype=np.int64)
    request[known] = requests.request[end[known]]
    known = request >= 0
    known[known] = (requests.chain[request[known]] >= 0) & requests.sound[request[known]]
    known[known] = requests.len[request[known]] == rows["len"][known]
    request[~known] = -1
    chain = np.where(known, requests.chain[request] if len(requests.chain) else -1, -1)
    room = np.full(len(rows), np.iinfo(np.int64).max)
    add = np.full(len(rows), -1, dtype=np.int64)
    room[known], add[known] = view.writable[chain[known]], adds.row[chain[known]]
    steady = np.isin(chain, _steady_chains(view)) & known
    rows = rows.plus(request=request, add=add, room=room, steady=steady)
    return rows.where(rows["len"] < rows["room"])


def _steady_chains(view: View) -> Ints:
    """Chains whose used entry was read twice, with the same id and len."""
    used, looks = view.used, view.rings.of("compared")
    entry = last_before(
        key_of(used.q, used.index, _INDEX_SPAN),
        used.at,
        key_of(ints(looks, "q"), ints(looks, "index"), _INDEX_SPAN),
        ints(looks, "at"),
    )
    known = entry >= 0
    looks, entry = looks.take(known), entry[known]
    same = (used.len[entry] == ints(looks, "len")) & (used.id[entry] == ints(looks, "id"))
    found: Ints = view.pairs.add_of[entry[same]]
    return found


def _check(view: View, rows: Rows, holds: Bools, text: str, none: str) -> Result:
    """Check what is known for certain: a modern device, and one used entry for each request."""
    rings = view.rings
    modern, in_order = rings.feature(bits.VERSION_1), rings.feature(bits.IN_ORDER)
    q = rows["q"]
    applies = (modern[q] != 0) & (in_order[q] != 1)
    certain = (modern[q] == 1) & (in_order[q] == 0) & (rows["request"] >= 0) & rows["steady"]
    decided = rows.where(applies & certain)
    return decided.check(
        holds[applies & certain],
        "{queue}: {kind} request, used len {len} of {room} bytes: " + text,
        none=none,
        shown=("add", "row"),
        undecided=int(np.count_nonzero(applies & ~certain)),
        doubt=_DOUBT,
        unless=not_the_devices(view, decided, decided["request"]),
    )


@rule("SU-DR-01", needs=_NEEDS, contents=True)
def status_behind_the_length_is_no_success(view: View) -> Result:
    """Section 2.7.8.2: the driver assumes nothing of bytes that the device may write, behind the
    used len.

    Checked: each block request on a split ring whose used len leaves its status out, and whose end
    the block layer got: an error, or a part of the data of a read that the used len covers. To end
    it well is to assume that the status is one that the device wrote, and that it is OK. Of other
    bytes, and of other devices, what a driver assumes is not visible.

    - Left out are legacy devices, where lens are not to be relied on, and queues with IN_ORDER.
    - Undecided: the request, what was negotiated, or the used entry is not known for certain: a
      device that alters its len afterwards may have shown the driver another one.
    - Contested: the request is not laid out as DX-19 has it, the driver had broken the ring, or the
      device may have altered the chain before it was read.
    """
    rows = _passed(view)
    part = np.isin(rows["type"], _RETURNS) & (rows["passed"] <= rows["len"])
    part &= rows["passed"] < rows["room"] - 1
    return _check(
        view,
        rows,
        (rows["error"] != 0) | part,
        "it ended well, and its status is behind that",
        "no request was used with a len that leaves its status out",
    )


@rule("SU-DR-02", needs=_NEEDS, contents=True)
def data_behind_the_length_is_ignored(view: View) -> Result:
    """Section 2.7.8.2: the driver ignores bytes that the device may write, behind the used len.

    Checked: each block request on a split ring that returns data (read, GET_ID, GET_LIFETIME, zone
    report), whose used len leaves some of that data out, and whose end the block layer got: an
    error, or no more of the data than the used len covers. SU-DR-01 has the status behind the
    data. What a driver does with other bytes, and that of other devices, is not visible.

    Left out, undecided and contested: as for SU-DR-01.
    """
    rows = _passed(view)
    rows = rows.where(np.isin(rows["type"], _RETURNS) & (rows["len"] < rows["room"] - 1))
    return _check(
        view,
        rows,
        (rows["error"] != 0) | (rows["passed"] <= rows["len"]),
        "{passed} bytes were passed on as its data",
        "no request was used with a len that leaves some of its data out",
    )
