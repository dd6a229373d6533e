# SPDX-License-Identifier: GPL-2.0-only
"""What a device did to a block request's buffers (sections 2.7.5 and 2.7.8).

Our driver marks what the device is to write: the last eight bytes of each sector of the data,
and of all of it. A mark that is still there was not written over. So what the event ``blk_wrote``
shows ends with a sector, and data of less than eight bytes is not judged. The probe does the same
for other drivers, in guests that pykit boots. Header and indirect table of a chain, and the bytes
behind its last buffer, belong to these drivers: the probe reads them when a chain is made
available, and again when it is back (event ``compared``).
"""

from __future__ import annotations

import numpy as np

from pykit.spec import bits
from pykit.spec.model import Result, rule
from pykit.spec.rings import PACKED, SPLIT
from pykit.spec.rows import Rows
from pykit.spec.topics.answers import not_the_devices
from pykit.spec.topics.block import RETURNS, kind_of, marked_requests, requests_of
from pykit.spec.view import View

_ENDED = ("driver:blk_start", "driver:blk_done", "driver:add", "driver:used")
#: Header, indirect table and bytes behind the last buffer are what they were; 0: not compared.
_KEPT = 1
#: Of the event ``blk_wrote``: ``compared`` has the header.
_ELSEWHERE = 2
#: Fewest bytes of data that can hold a mark.
_MARK_BYTES = 8


def marks(view: View) -> Rows:
    """The marks of each request whose end was seen.

    Columns: those of the event ``blk_wrote``; ``request``, the index into ``view.requests``, and
    of that request ``sector``, ``len``, ``status``, ``done``.
    """
    return view.keep("marks", _read_marks)


def _read_marks(view: View) -> Rows:
    requests, number = view.requests, marked_requests(view)
    rows = Rows.of(view.rings, view.rings.of("blk_wrote")).labelled(kind=kind_of)
    rows = rows.plus(request=number).where(number >= 0)
    of = rows["request"]
    return rows.plus(
        sector=requests.sector[of],
        len=requests.len[of],
        status=requests.status[of],
        done=requests.done[of],
    ).where(requests.done[of] >= 0)


def _marked(view: View) -> Rows:
    """Requests whose data is long enough for a mark."""
    rows = marks(view)
    return rows.where(rows["bytes"] >= _MARK_BYTES)


def _claims(view: View) -> Result:
    """Check used lengths against the marks."""
    rows = _marked(view)
    # The first mark that is left ends a sector, or the data.
    begin = rows["written"]
    end = np.minimum((begin // bits.SECTOR + 1) * bits.SECTOR, rows["bytes"])
    rows = rows.plus(end=end)
    return rows.check(
        (begin >= rows["bytes"]) | (rows["len"] < end),
        "{queue}: {kind} request of {bytes} bytes with status {status}: used len {len}, the last"
        " of its first {end} bytes were not written",
        shown=("row", "done"),
        unless=not_the_devices(view, rows, rows["request"]),
    )


@rule("SU-DE-02", needs=_ENDED)
def claimed_data_was_written(view: View) -> Result:
    """Section 2.7.8: the first len bytes of the writable part were written when an entry is used.

    Checked: each request that returns data (read, GET_ID, GET_LIFETIME) and ended with an error,
    whose used len leaves out some of the data, or which the device does not support (UNSUPP): it
    has no data then, so that a len of more than the data's size (data and status) is a false
    claim. Also each request whose data was marked, however it ended: no mark within its used len is
    left.

    Undecided: an IOERR with a len of data and status, where the data was not marked. The device may
    have written all of it before it failed.
    """
    requests = requests_of(view, *RETURNS)
    failed = requests.where(requests["status"] > bits.S_OK)
    fits = (failed["bytes"] == 0) | (failed["len"] <= failed["bytes"])
    certain = fits | (failed["status"] == bits.S_UNSUPP)
    decided = failed.where(certain)
    marked = np.isin(failed["row"], view.requests.row[_marked(view)["request"]])
    return decided.check(
        (decided["bytes"] == 0) | (decided["len"] <= decided["bytes"]),
        "{queue}: {kind} request failed ({status}), used len {len} claims that all of its data was"
        " written",
        none="no request that returns data failed, and no data was marked",
        shown=("row", "done"),
        undecided=int(np.count_nonzero(~certain & ~marked)),
        doubt="the data may have been written before the request failed",
        unless=not_the_devices(view, decided, decided["number"]),
    ) + _claims(view)


def _headers(view: View, layout: int) -> Result:
    rows = marks(view)
    rows = rows.where(view.rings.layout[rows["q"]] == layout)
    rows = rows.where(rows["header"] != _ELSEWHERE)
    own = rows.check(
        rows["header"] == 1,
        "{queue}: the device has written to the header of a {kind} request",
        none="no header of a request on a ring of this layout was looked at again",
        shown=("row", "done"),
    )
    looks = Rows.of(view.rings, view.rings.of("compared"))
    looks = looks.where((view.rings.layout[looks["q"]] == layout) & (looks["header"] > 0))
    return own + looks.check(
        looks["header"] == _KEPT,
        "{queue}: the header of head {head} is not what it was when it was made available",
        unless=True,
    )


@rule("SD-DE-01", needs=(*_ENDED, "driver:blk_wrote|driver:compared"))
def readable_buffers_are_not_written(view: View) -> Result:
    """Section 2.7.5.1: a device does not write to a device-readable buffer (split rings).

    Checked: the header of each block request, when it is used. Data that is to be written belongs
    to the driver's users, who may change it, and is not judged.

    Contested: a header that differs under the probe, as the driver may have altered it. Our driver
    has a copy of what it sent.
    """
    return _headers(view, SPLIT)


@rule("PD-DE-01", needs=(*_ENDED, "driver:blk_wrote|driver:compared"))
def packed_readable_buffers_are_not_written(view: View) -> Result:
    """Section 2.8.5.1: a device does not write to a device-readable buffer (packed rings).

    Checked: as for SD-DE-01.
    """
    return _headers(view, PACKED)


@rule("DX-78", needs=(*_ENDED, "driver:blk_wrote|driver:compared"))
def nothing_else_is_written(view: View) -> Result:
    """Sections 2.7.5 and 2.8.5: what no descriptor lets the device write it leaves alone.

    Checked: the bytes behind the status of each block request, up to the end of the word, and the
    indirect table of each chain of a packed ring, when a chain is back. SD-DE-04 has the tables of
    split rings, SD-DE-01 and PD-DE-01 have headers.

    Contested: a difference under the probe, as the driver may have made it. Our driver has put the
    bytes behind the status there itself.
    """
    rings = view.rings
    wrote = Rows.of(rings, rings.of("blk_wrote"))
    wrote = wrote.where(wrote["behind"] > 0)
    text = "{queue}: the bytes behind the last buffer of head {head} were altered"
    found = wrote.check(
        wrote["behind"] == _KEPT,
        text,
        none="nothing behind a buffer was looked at, and no indirect table of a packed ring",
        unless=view.contested_queues[wrote["q"]],
    )
    looks = Rows.of(rings, rings.of("compared"))
    behind = looks.where(looks["behind"] > 0)
    found += behind.check(behind["behind"] == _KEPT, text, unless=True)
    tables = looks.where(looks["table"] > 0)
    return found + tables.check(
        tables["table"] == _KEPT,
        "{queue}: the indirect table of buffer id {head} is not what it was when it was added",
        unless=True,
    )
