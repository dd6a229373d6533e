# SPDX-License-Identifier: GPL-2.0-only
"""The walk through all pages at once: one record of every page a numpy step.

Records chain inside a page but pages are independent, so the Python loop runs
as often as the fullest page has records, not as often as there are events.
Every step moves every page on by at least one word: the walk always ends, and
the result is never larger than twice the input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pykit.trace.errors import (
    BadLengthError,
    BadTimeError,
    DamageError,
    EarlyPaddingError,
    RecordBeyondPageError,
    UnknownTypeError,
)
from pykit.trace.pages import Pages

Array = npt.NDArray[Any]

#: Clocks on one CPU do not go back; this much is left to a clock that is adjusted.
BACKWARDS_NS = 1_000_000

_PADDING, _EXTEND, _STAMP = 29, 30, 31
#: Words a record takes, by type; 0 and padding say it themselves in the next word.
_SIZE = np.array([0, *range(2, 30), 0, 2, 2], dtype=np.int64)
_SPECIAL = np.array([True, *[False] * 28, True, True, True])
_TIME_TOP = np.uint64(0xF8 << 56)
_TIME_WRAP = np.uint64(1 << 59)
_SHIFT = np.uint64(27)


@dataclass(frozen=True)
class Records:
    """Data records in the order of CPU, page and offset; arrays of one element each.

    ``payload`` i64 byte offset in the pages' buffer, ``size`` i64 bytes of
    payload, ``ts`` i64 in the trace clock's unit, ``owner`` the index into
    the pages' files, ``id`` u16 the event id.
    """

    payload: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]
    ts: npt.NDArray[np.int64]
    owner: npt.NDArray[np.int64]
    id: npt.NDArray[np.uint16]
    damage: tuple[DamageError, ...]


def walk(pages: Pages) -> Records:
    """Find every data record of every page.

    A damaged record ends its page and is recorded; other pages go on. The
    time delta of a discarded event counts, as in libtraceevent.
    """
    words = pages.words()
    damage: list[DamageError] = []
    found = np.zeros(len(words), dtype=np.bool_)
    stamps = np.empty(len(words), dtype=np.uint64)

    live = np.flatnonzero(pages.length > 0)
    pos = (live * pages.layout.page_size + pages.layout.data_offset) // 4
    end = pos + pages.length[live] // 4
    ts = pages.base[live]
    while live.size:
        word = _heads(pages, words, pos)
        kind = word & 31
        ts = ts + (word >> 5)
        following = pos + _SIZE[kind]
        data = kind < _PADDING
        special = np.flatnonzero(_SPECIAL[kind])
        if special.size:
            _special(pages, words, special, pos, end, kind, ts, following, data, damage)
        over = following > end
        if over.any():
            for at in np.flatnonzero(over):
                left = 4 * int(end[at] - pos[at])
                takes = 4 * int(following[at] - pos[at])
                place = pages.place(4 * int(pos[at]))
                damage.append(RecordBeyondPageError(*place, f"{takes} bytes, {left} are left"))
            data &= ~over
        if data.all():
            found[pos] = True
            stamps[pos] = ts
        else:
            found[pos[data]] = True
            stamps[pos[data]] = ts[data]
        pos = following
        going = pos < end
        if not going.all():
            live, pos, end, ts = live[going], pos[going], end[going], ts[going]
    return _collect(pages, words, np.flatnonzero(found), stamps, damage)


def _heads(pages: Pages, words: Array, at: Array) -> Array:
    """First words of records as native u32: type in the low 5 bits, time delta above.

    Bit fields are laid out from the other end on big-endian machines.
    """
    word: Array = words[at]
    if pages.endian == "<":
        return word
    word = word.astype(np.uint32)
    return word << 5 | word >> 27


def _special(
    pages: Pages,
    words: Array,
    special: Array,
    pos: Array,
    end: Array,
    kind: Array,
    ts: Array,
    following: Array,
    data: Array,
    damage: list[DamageError],
) -> None:
    """Types 0 and 29-31: set ``ts``, ``following`` and ``data`` where they differ.

    A page ends by setting ``following`` to its end.
    """
    here = pos[special]
    types = kind[special]
    word = _heads(pages, words, here)
    # The guard words behind the last page make this safe; what is behind a
    # page's end is caught below, because such a record is longer than the page.
    operand = words[here + 1].astype(np.uint64)

    extend = types == _EXTEND
    ts[special[extend]] += operand[extend] << _SHIFT

    stamp = types == _STAMP
    if stamp.any():
        at = special[stamp]
        delta = (word[stamp] >> 5).astype(np.uint64)
        before = ts[at] - delta
        value = (operand[stamp] << _SHIFT) + delta
        # The record has 59 bits; the top ones come from the running time.
        topped = value | (before & _TIME_TOP)
        topped += np.where(topped < before, _TIME_WRAP, np.uint64(0))
        ts[at] = np.where(before & _TIME_TOP != 0, topped, value)
        if not pages.layout.stamps:
            for index in at:
                place = pages.place(4 * int(pos[index]))
                damage.append(UnknownTypeError(*place, "31, header_event does not have it"))
            following[at] = end[at]

    final = (types == _PADDING) & (word >> 5 == 0)
    for index in special[final & (end[special] - here > 2)]:
        left = 4 * int(end[index] - pos[index])
        damage.append(
            EarlyPaddingError(*pages.place(4 * int(pos[index])), f"{left} bytes are left")
        )
    following[special[final]] = end[special[final]]

    long = ((types == 0) | (types == _PADDING)) & ~final
    at = special[long]
    # The length counts itself; rounded up to words, as all records are.
    following[at] = pos[at] + 1 + (operand[long].astype(np.int64) + 3) // 4
    for index in special[long & (operand < 4) & (here + 1 < end[special])]:
        place = pages.place(4 * int(pos[index]))
        damage.append(BadLengthError(*place, f"{int(words[pos[index] + 1])}, less than its own 4"))
        following[index] = end[index]
        data[index] = False
    # A length word that is itself behind the page's data: the record is beyond it.
    cut = at[pos[at] + 1 >= end[at]]
    following[cut] = np.maximum(following[cut], end[cut] + 1)


def _collect(
    pages: Pages, words: Array, records: Array, stamps: Array, damage: list[DamageError]
) -> Records:
    """Turn record positions (in words) into the result's arrays, and check time."""
    header = _heads(pages, words, records)
    long = (header & 31) == 0
    size = (header & 31).astype(np.int64) * 4
    size[long] = words[records[long] + 1].astype(np.int64) - 4
    payload = 4 * (records + 1 + long)
    owner = pages.owner[records // (pages.layout.page_size // 4)].astype(np.int64)
    ts = stamps[records]

    # An empty payload has no event id: nothing that ftrace writes.
    sound = size >= 2
    for at in np.flatnonzero(~sound):
        damage.append(BadLengthError(*pages.place(4 * int(records[at])), "no room for an event id"))
    beyond = ts >= np.uint64(1 << 63)
    sound &= ~beyond
    first = np.flatnonzero(beyond)
    if first.size:
        place = pages.place(4 * int(records[first[0]]))
        damage.append(BadTimeError(*place, f"beyond 2^63, {first.size} records left out"))
    payload, size, owner = payload[sound], size[sound], owner[sound]
    time = ts[sound].astype(np.int64)

    keep = np.ones(len(time), dtype=np.bool_)
    for cpu in range(len(pages.files)):
        low, high = np.searchsorted(owner, [cpu, cpu + 1])
        mine = time[low:high]
        back = np.maximum.accumulate(mine) - mine if mine.size else mine
        wrong = np.flatnonzero(back > BACKWARDS_NS)
        if wrong.size:
            at = low + wrong[0]
            keep[low + wrong] = False
            detail = f"by {int(back[wrong[0]])} ns, {wrong.size} records left out"
            damage.append(BadTimeError(*pages.place(int(payload[at])), detail))
    if not keep.all():
        payload, size, owner, time = payload[keep], size[keep], owner[keep], time[keep]
    damage.sort(key=lambda error: (error.cpu, error.page, error.offset))
    ids = pages.buffer.view(f"{pages.endian}u2")[payload // 2].astype(np.uint16)
    return Records(payload, size, time, owner, ids, tuple(damage))
