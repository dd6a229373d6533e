# SPDX-License-Identifier: GPL-2.0-only
"""What a block device answers: contents of replies and of data (section 5.2.6.2).

The first bytes of small replies are traced by our driver and by the probe (``blk_answer``). Of
the data of reads our driver traces whether all of it is zero, from a device that is read-only a
checksum, and how many of its sectors are what was written there last (``blk_wrote``). The probe
does, too, in guests that pykit boots.
"""

from __future__ import annotations

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import Bools, ints
from pykit.spec.blkconfig import MAY_UNMAP
from pykit.spec.model import Result, rule
from pykit.spec.rows import Rows, Tally
from pykit.spec.topics.answers import not_the_devices, offers_read_only
from pykit.spec.topics.block import ranges_of
from pykit.spec.topics.canary import marks
from pykit.spec.topics.config import changes_are_announced
from pykit.spec.view import View
from pykit.spec.zones import requests_of

_ENDED = ("driver:blk_start", "driver:blk_done", "driver:add", "driver:used")
#: Of the event ``compared``: a header or a table is not what it was.
_ALTERED = 2
#: The last value of pre_eol_info and of device_lifetime_est_typ_a and _b that is not reserved.
_LAST_EOL, _LAST_WEAR = 3, 11
#: So many ranges of zeroes are followed; the others are undecided.
_MOST_RANGES = 200


def _lifetimes(view: View) -> Rows:
    """Replies to GET_LIFETIME: ``eol``, ``a`` and ``b``; ``request``, -1 where it is not known."""
    return view.keep("lifetimes", _read_lifetimes)


def _read_lifetimes(view: View) -> Rows:
    events = view.rings.of("blk_answer")
    answers = Rows.of(view.rings, events).plus(request=requests_of(view, events))
    # Six bytes are the whole reply.
    answers = answers.where((answers["type"] == bits.T_GET_LIFETIME) & (answers["got"] >= 6))
    value = answers["first"]
    return answers.plus(eol=value & 0xFFFF, a=value >> 16 & 0xFFFF, b=value >> 32 & 0xFFFF)


@rule("BO-DE-17", needs="driver:blk_answer", local=True)
def lifetimes_have_no_reserved_values(view: View) -> Result:
    """Section 5.2.6.2: a reply to GET_LIFETIME has no reserved value.

    Checked: each such reply: pre_eol_info is at most 3, the two estimates are at most 11.
    """
    replies = _lifetimes(view)
    return replies.check(
        (replies["eol"] <= _LAST_EOL) & (replies["a"] <= _LAST_WEAR) & (replies["b"] <= _LAST_WEAR),
        "{queue}: a lifetime of {eol}, {a}, {b} has a reserved value",
        none="no lifetime was asked for",
    )


@rule("BO-DE-16", needs="driver:blk_answer", local=True)
def lifetimes_are_available(view: View) -> Result:
    """Section 5.2.6.2: a device offers LIFETIME only where there are such metrics.

    Checked: each reply to GET_LIFETIME: not all three of its values are the one that stands for
    "not available". Whether metrics that are there have a meaning is not visible.
    """
    replies = _lifetimes(view)
    return replies.check(
        (replies["eol"] | replies["a"] | replies["b"]) != 0,
        "{queue}: LIFETIME is offered, and no value is available",
        none="no lifetime was asked for",
    )


@rule("BO-DE-15", needs=("driver:blk_answer", "driver:blk_done", "driver:features"), local=True)
def lifetimes_are_offered(view: View) -> Result:
    """Section 5.2.6.2: storage that has such metrics offers LIFETIME.

    Checked: each reply to GET_LIFETIME of a device that does not offer the feature: the request
    failed, or its values are none that metrics have. Whether there are metrics behind a device that
    refuses the request is not visible.
    """
    requests, replies = view.requests, _lifetimes(view)
    known = requests.request >= 0
    # Behind the last: the status of a request that is not known.
    status = np.full(len(requests.q) + 1, -1)
    status[requests.request[known]] = ints(requests.ends, "status")[known]
    lives = [view.life(dev, life).negotiated for dev, life, _ in view.rings.queue]
    without = np.array(
        [seen is not None and not seen.offered >> bits.BLK_LIFETIME & 1 for seen in lives],
        dtype=np.bool_,
    )
    replies = replies.plus(status=status[replies["request"]]).where(without[replies["q"]])
    values = (replies["eol"], replies["a"], replies["b"])
    metrics = (np.maximum.reduce(values) > 0) & (values[0] <= _LAST_EOL)
    metrics &= (values[1] <= _LAST_WEAR) & (values[2] <= _LAST_WEAR)
    return replies.check(
        (replies["status"] != bits.S_OK) | ~metrics,
        "{queue}: LIFETIME is not offered, and there is a lifetime of {eol}, {a}, {b}",
        none="no lifetime was asked for where LIFETIME is not offered",
    )


@rule("BK-DE-01", needs="driver:blk_answer", local=True)
def id_strings_are_text(view: View) -> Result:
    """Section 5.2.6: the id string is ASCII, up to its NUL or to its 20 bytes.

    Checked: each reply to GET_ID whose 20 bytes were traced: no byte before the first NUL is
    above 126 or a control character. What follows the NUL is not judged: a device that does not
    write it leaves what the driver's buffer held (SU-DE-02 has that).
    """
    answers = Rows.of(view.rings, view.rings.of("blk_answer"))
    whole = (answers["type"] == bits.T_GET_ID) & (answers["got"] >= bits.ID_BYTES)
    answers = answers.where(whole)
    # Without copies by Python: there may be one reply a life, not more.
    words = np.stack([answers[name] for name in ("first", "second", "third")], axis=1)
    text = words.astype("<i8").view(np.uint8).reshape(-1, 24)[:, : bits.ID_BYTES]
    ended = np.cumsum(text == 0, axis=1) > 0
    good: Bools = np.all(ended | ((text >= 0x20) & (text < 0x7F)), axis=1)
    return answers.check(
        good, "{queue}: the id string has bytes that are no text", none="no id string was asked for"
    )


@rule("BO-DE-12", needs=("driver:config", "driver:config_change"))
def may_unmap_change_is_announced(view: View) -> Result:
    """Section 5.2.6.2: a device that changes write_zeroes_may_unmap announces that.

    Checked: each pair of successive reads of the field with different values: a configuration
    change notification comes after the first of them. It may come after the second: the driver
    can read the new value before the interrupt arrives.

    Undecided: none came and the trace ends less than 5 s after the second read.
    """
    return changes_are_announced(
        view, MAY_UNMAP, Tally(none="write_zeroes_may_unmap did not change")
    )


# Data of several requests. A request lies in time between the rows that show its begin and end.


def _spans(view: View, *types: int) -> Rows:
    """What requests of these types cover: ``number``, ``first`` and ``last`` (sector), ``device``.

    A request with ranges has one row for each of them. Requests whose end was not seen end never.
    """
    # Ranges number all requests, also those of which the probe read a part alone.
    requests = Rows.of(view.rings, view.requests)
    number = np.arange(len(requests))
    ranges = ranges_of(view)
    mine = np.isin(requests["type"], types) & ~np.isin(requests["type"], bits.RANGE_TYPES)
    mine &= requests["sound"]
    ranged = np.isin(ranges["type"], [t for t in types if t in bits.RANGE_TYPES])
    of = np.concatenate([number[mine], ranges["request"][ranged]]).astype(np.int64)
    first = np.concatenate([requests["sector"][mine], ranges["sector"][ranged]])
    count = np.concatenate([requests["bytes"][mine] // bits.SECTOR, ranges["sectors"][ranged]])
    done = requests["done"][of]
    device = np.array([dev for dev, _, _ in view.rings.queue] or [0], dtype=np.int64)
    made = {
        "number": of,
        "first": first.astype(np.int64),
        "last": (first + count - 1).astype(np.int64),
        "row": requests["row"][of],
        "end": np.where(done >= 0, done, np.iinfo(np.int64).max),
        "status": requests["status"][of],
        "q": requests["q"][of],
        "device": device[requests["q"][of]],
    }
    return Rows(made.__getitem__, len(of), {"queue": lambda row: view.rings.name(row["q"])})


def _reads(view: View) -> Rows:
    """Reads that ended with OK, with what our driver traced of their data."""
    rows = marks(view)
    rows = rows.where((rows["type"] == bits.T_IN) & (rows["status"] == bits.S_OK))
    device = np.array([dev for dev, _, _ in view.rings.queue] or [0], dtype=np.int64)
    start = view.requests.row[rows["request"]]
    return rows.plus(
        first=rows["sector"],
        last=rows["sector"] + rows["bytes"] // bits.SECTOR - 1,
        device=device[rows["q"]],
        start=start,
    ).where(rows["bytes"] > 0)


@rule("DX-80", needs=(*_ENDED, "driver:blk_wrote"))
def reads_bring_what_was_written(view: View) -> Result:
    """Section 5.2.6: a read brings what was written to its sectors last.

    Checked: each read that ended with OK and of which the observer knew a sector: a write of it had
    ended with OK before the read was made available, its data was the same at its begin and its
    end, and no other write, discard or write of zeroes began there until the read ended.

    - Left out are lives whose configuration changes: another size may bring other contents.
    - Contested is a life in which either side altered a chain or a header, or in which the driver
      has broken a ring or a request.
    """
    rows = _reads(view)
    rows = rows.where(rows["known"] > 0)
    changes = view.of("config_change").select("dev", "life").unique()
    moved = {(dev, life) for dev, life in changes.iter_rows()}
    rows = rows.where(~_of_lives(view, moved)[rows["q"]])
    altered = {view.rings.queue[q][:2] for q in np.flatnonzero(altered_queues(view)).tolist()}
    return rows.check(
        rows["other"] == 0,
        "{queue}: {other} of {known} known sectors of a read at sector {first} are not what was"
        " written there",
        none="nothing is known of what was read",
        shown=("row", "start"),
        unless=not_the_devices(view, rows, rows["request"]) | _of_lives(view, altered)[rows["q"]],
    )


def _of_lives(view: View, lives: set[tuple[int, int]]) -> Bools:
    """By queue: whether it is one of these lives (dev, life)."""
    return np.array([name[:2] in lives for name in view.rings.queue], dtype=np.bool_)


def altered_queues(view: View) -> Bools:
    """By queue: the driver broke it, or a chain or header of it was altered by either side."""
    looks = view.rings.of("compared")
    found: Bools = view.contested_queues.copy()
    altered = (looks["header"] == _ALTERED) | (looks["table"] == _ALTERED)
    found[looks["q"][altered | (looks["changed"] != 0)]] = True
    return found


def _meets(rows: Rows, device: int, first: int, last: int) -> Bools:
    """By row: whether it covers a sector of this span."""
    met: Bools = (rows["device"] == device) & (rows["first"] <= last) & (rows["last"] >= first)
    return met


@rule("BO-DE-09", needs=(*_ENDED, "driver:blk_range", "driver:blk_wrote"))
def zeroes_read_back_as_zeroes(view: View) -> Result:
    """Section 5.2.6.2: what write-zeroes has zeroed reads as zeroes, whether unmap was set or not.

    Checked: each read by our driver that ended with OK and lies inside a range that a
    write-zeroes request zeroed: it began after the end of that request, and nothing that may
    write to the range lies in time between the begin of one and the end of the other. Only the
    first 200 ranges are followed.
    """
    zeroed = _spans(view, bits.T_WRITE_ZEROES)
    zeroed = zeroed.where(zeroed["status"] == bits.S_OK)
    writes = _spans(view, bits.T_OUT, bits.T_DISCARD, bits.T_SECURE_ERASE, bits.T_ZONE_APPEND)
    reads = _reads(view)
    none = "nothing was read that write-zeroes had zeroed"
    tally = Tally(none=none, doubt="the ranges are too many")
    for n in range(min(len(zeroed), _MOST_RANGES)):
        device, first, last, row, end = (
            int(zeroed[name][n]) for name in ("device", "first", "last", "row", "end")
        )
        inside = (reads["device"] == device) & (reads["start"] > end)
        inside &= (reads["first"] >= first) & (reads["last"] <= last)
        others = writes.where(_meets(writes, device, first, last) & (writes["end"] > row))
        for i in np.flatnonzero(inside).tolist():
            span = (int(reads["first"][i]), int(reads["last"][i]))
            between = _meets(others, device, *span) & (others["row"] < reads["done"][i])
            if between.any():
                continue
            text = f"{reads.shown('queue', i)}: sectors {span[0]} to {span[1]} were zeroed and"
            text += " read as something else"
            tally.check(bool(reads["zero"][i]), (row, int(reads["row"][i])), text)
    tally.undecided(max(0, len(zeroed) - _MOST_RANGES))
    return tally.result()


@rule("BO-DE-04", needs=(*_ENDED, "driver:blk_wrote", "driver:features"))
def read_only_data_stays(view: View) -> Result:
    """Section 5.2.6.2: a write to a device that offers RO changes no data.

    Checked: each write request to such a device with a read of the same sectors before it and
    after it, both by our driver, whole and ended with OK: their checksums are the same. In a guest
    our driver makes checksums where RO is accepted.
    """
    tally = Tally(none="no write to a read-only device lies between two reads")
    reads = _reads(view)
    summed = (view.rings.feature(bits.BLK_RO) == 1)[reads["q"]] | (reads["sum"] != 0)
    writes = _spans(view, bits.T_OUT)
    for n in np.flatnonzero(offers_read_only(view)[writes["q"]]).tolist():
        device, first, last, row, end = (
            int(writes[name][n]) for name in ("device", "first", "last", "row", "end")
        )
        same = (
            summed
            & (reads["device"] == device)
            & (reads["first"] == first)
            & (reads["last"] == last)
        )
        before = np.flatnonzero(same & (reads["done"] < row))
        after = np.flatnonzero(same & (reads["start"] > end))
        if not len(before) or not len(after):
            continue
        old, new = int(before[-1]), int(after[0])
        text = f"{writes.shown('queue', n)}: a write to a read-only device changed its data"
        rows = (int(reads["row"][old]), row, int(reads["row"][new]))
        tally.check(bool(reads["sum"][old] == reads["sum"][new]), rows, text)
    return tally.result()
