# SPDX-License-Identifier: GPL-2.0-only
"""The walk: data records of all CPUs, one after the other in the order of time.

Compiled by numba. Nothing here trusts what it reads: every position is compared with the end
of the page's data before it is used, and every step goes on by at least one word. A damaged
record ends its page and is noted; other pages go on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from pykit.trace.pages import LENGTH, MISSED, STORED

Array = npt.NDArray[Any]

#: Clocks on one CPU do not go back; this much is left to a clock that is adjusted.
BACKWARDS_NS = 1_000_000

_LONG, _LAST, _PADDING, _EXTEND = 0, 28, 29, 30
_LOW59 = (1 << 59) - 1

#: What the walk notes, with the meanings of ``a`` and ``b``.
LOST = 0  # events before the page: how many, -1 where the kernel does not say
COMMIT = 1  # impossible commit: itself
BEYOND = 2  # a record longer than what is left: bytes it takes, bytes left
LENGTH_WORD = 3  # a length word too small: itself
NO_ID = 4  # no room for an event id: bytes of payload
EARLY = 5  # end-of-page padding where records had room: bytes left
STAMP = 6  # an absolute time where header_event knows none
UNKNOWN = 7  # event id without a format: the id
SHORT = 8  # shorter than its event: the id, bytes
BACK = 9  # time goes back: ns
AFTER = 10  # time beyond 2^63
NOTE = np.dtype([(name, np.int64) for name in ("code", "cpu", "page", "offset", "a", "b")])
#: Most notes that opening one page and finding one record in it can make.
_MOST = 4

#: A kind that is known and not wanted.
SKIPPED = -1


@njit(cache=True)
def _swapped(word: int) -> int:
    return (word & 0xFF) << 24 | (word & 0xFF00) << 8 | (word >> 8) & 0xFF00 | (word >> 24) & 0xFF


@njit(cache=True)
def _word(words: Array, at: int, swap: bool) -> int:
    """The 32 bits at byte offset ``at`` of the buffer."""
    word: int = np.int64(words[np.uint64(at) >> np.uint64(2)])  # type: ignore[assignment]
    return _swapped(word) if swap else word


@njit(cache=True)
def _number(words: Array, at: int, size: int, swap: bool, big: bool) -> int:
    """An integer of 4 or 8 bytes, modulo 2^64 and as signed."""
    first = _word(words, at, swap)
    if size == 4:
        return first
    second = _word(words, at + 4, swap)
    return first << 32 | second if big else second << 32 | first


@njit(cache=True)
def _note(
    notes: Array, count: int, code: int, cpu: int, page: int, offset: int, a: int, b: int
) -> int:
    note = notes[count]
    note["code"], note["cpu"], note["page"], note["offset"] = code, cpu, page, offset
    note["a"], note["b"] = a, b
    return count + 1


@njit(cache=True)
def _open(
    words: Array, cursor: Any, cpu: int, page: int, header: Any, notes: Array, noted: int
) -> tuple[int, int, int, int]:
    """Time, start and end of a page's data, and how many notes there are now."""
    size, data, long_size, _, swap, big = header
    at = cursor["start"] + page * size
    number = cursor["number"] + page
    ts = _number(words, at, 8, swap, big)
    commit = _number(words, at + 8, long_size, swap, big)
    length = commit & LENGTH
    room = size - data
    if length > room or length % 4 != 0 or commit & ~(LENGTH | MISSED | STORED) != 0:
        noted = _note(notes, noted, COMMIT, cpu, number, 8, commit, room)
        return ts, at + data, at + data, noted
    if commit & MISSED:
        missed = -1
        # The count stands behind the data; the kernel stores it only where there is room.
        if commit & STORED and length + long_size <= room:
            count = _number(words, at + data + length, long_size, swap, big)
            # A count beyond 2^62 is no count; the loss itself stays known.
            if 0 < count < 1 << 62:
                missed = count
        noted = _note(notes, noted, LOST, cpu, number, 0, missed, 0)
    return ts, at + data, at + data + length, noted


@njit(cache=True)
def _run(
    words: Array,
    halves: Array,
    cursor: Any,
    cpu: int,
    header: Any,
    slots: Array,
    needs: Array,
    wrong: Array,
    notes: Array,
    noted: int,
    limit: int,
    out: Any,
    count: int,
) -> tuple[int, int]:
    """Put out a cursor's records up to the time ``limit`` and find the one behind them.

    Stops short (not ``ready``) at the window's end and where there is no room for notes.
    Returns how many records and how many notes there are now. The time delta of a discarded
    event counts, as in libtraceevent.
    """
    size, _, _, stamps, swap, big = header
    ats, sizes, times, cpus, kinds = out
    at, bytes_, slot = cursor["at"], cursor["size"], cursor["slot"]
    pos, end, ts = cursor["pos"], cursor["end"], cursor["ts"]
    page, top = cursor["page"], cursor["top"]
    ready = bool(cursor["ready"])
    while True:
        if ready:
            if top > limit or count == len(ats):
                break
            ats[count], sizes[count], times[count] = at, bytes_, ts
            cpus[count], kinds[count] = cpu, slot
            count += 1
            ready = False
        if noted + _MOST > len(notes):
            break
        if pos >= end:
            if page >= cursor["pages"]:
                break
            ts, pos, end, noted = _open(words, cursor, cpu, page, header, notes, noted)
            page += 1
            continue
        word = _word(words, pos, swap)
        # Bit fields are laid out from the other end on big-endian machines.
        kind = word >> 27 if big else word & 31
        delta = word & LENGTH if big else word >> 5
        here, left = pos, end - pos
        offset = pos - cursor["start"] - (page - 1) * size
        number = cursor["number"] + page - 1
        if kind == _PADDING and delta == 0:
            if left > 8:
                noted = _note(notes, noted, EARLY, cpu, number, offset, left, 0)
            pos = end
            continue
        if _LONG < kind <= _LAST:
            pos += 4 + 4 * kind
            payload, length = here + 4, 4 * kind
        elif left < 8:
            noted = _note(notes, noted, BEYOND, cpu, number, offset, 8, left)
            pos = end
            continue
        else:
            operand = _word(words, pos + 4, swap)
            if kind <= _PADDING:
                # The length counts itself; rounded up to words, as all records are.
                if operand < 4:
                    noted = _note(notes, noted, LENGTH_WORD, cpu, number, offset, operand, 0)
                    pos = end
                    continue
                pos += 4 + (operand + 3) // 4 * 4
                payload, length = here + 8, operand - 4
            else:
                pos += 8
                payload, length = here, 0
        if pos > end:
            noted = _note(notes, noted, BEYOND, cpu, number, offset, pos - here, left)
            pos = end
            continue
        if kind > _PADDING:
            if kind == _EXTEND:
                ts += delta + (operand << 27)
            elif not stamps:
                noted = _note(notes, noted, STAMP, cpu, number, offset, 0, 0)
                pos = end
            else:
                # The record has 59 bits; the top ones come from the running time.
                high, value = ts & ~_LOW59, (operand << 27) + delta
                if high:
                    value |= high
                    value += 1 << 59 if value < ts else 0
                ts = value
            continue
        ts += delta
        if kind == _PADDING:
            continue
        cursor["seen"] += 1
        if length < 2:
            # No room for an event id: nothing that ftrace writes.
            noted = _note(notes, noted, NO_ID, cpu, number, offset, length, 0)
            continue
        if ts < 0:
            cursor["beyond"] += 1
            if cursor["beyond"] == 1:
                noted = _note(notes, noted, AFTER, cpu, number, offset, 0, 0)
            continue
        if ts < top - BACKWARDS_NS:
            cursor["late"] += 1
            if cursor["late"] == 1:
                noted = _note(notes, noted, BACK, cpu, number, offset, top - ts, 0)
            continue
        top = max(top, ts)
        half: int = np.int64(halves[np.uint64(payload) >> np.uint64(1)])  # type: ignore[assignment]
        event = (half & 0xFF) << 8 | half >> 8 if swap else half
        if length < needs[event] or needs[event] < 0:
            wrong[event] += 1
            if wrong[event] == 1:
                code = UNKNOWN if needs[event] < 0 else SHORT
                noted = _note(notes, noted, code, cpu, number, offset, event, length)
            continue
        slot = slots[event]
        if slot != SKIPPED:
            at, bytes_ = payload, length
            ready = True
    cursor["at"], cursor["size"], cursor["slot"] = at, bytes_, slot
    cursor["pos"], cursor["end"], cursor["ts"] = pos, end, ts
    cursor["page"], cursor["top"], cursor["ready"] = page, top, ready
    return count, noted


@njit(cache=True)
def merge(
    words: Array,
    halves: Array,
    cursors: Array,
    header: Any,
    slots: Array,
    needs: Array,
    wrong: Array,
    notes: Array,
    out: Any,
) -> tuple[int, int]:
    """Walk all CPUs at once, in the order of (time, CPU); a CPU keeps its own order.

    Ends where the output is full, or a window ends behind which there is more. Returns how
    many records and how many notes there are.

    Args:
        words, halves: the windows' buffer, as u32 and as u16.
        header: page size, offset of data, size of a long, whether there are absolute times,
            whether bytes are to be swapped, whether the trace is of a big-endian machine.
        slots: by event id: its slot or SKIPPED.
        needs: by event id: least bytes of payload, -1 where it is unknown.
        wrong: by event id: records that are unknown or short; counted up.
        out: payload offset (u32), its size (u32), time (i64), index of the CPU (u16), slot (u16).
    """
    count = noted = 0
    for cpu in range(len(cursors)):
        cursor = cursors[cpu]
        if not cursor["ready"]:
            count, noted = _run(
                words, halves, cursor, cpu, header, slots, needs, wrong, notes, noted, -1, out, 0
            )
            if not cursor["ready"] and _more(cursor):
                return count, noted
    while True:
        first = second = -1
        for cpu in range(len(cursors)):
            if cursors[cpu]["ready"]:
                if first < 0 or cursors[cpu]["top"] < cursors[first]["top"]:
                    first, second = cpu, first
                elif second < 0 or cursors[cpu]["top"] < cursors[second]["top"]:
                    second = cpu
        if first < 0:
            return count, noted
        cursor = cursors[first]
        # While this CPU is earlier than all others, no other needs a look.
        limit = cursors[second]["top"] - (first > second) if second >= 0 else (1 << 63) - 1
        count, noted = _run(
            words, halves, cursor, first, header, slots, needs, wrong, notes, noted, limit, out,
            count,
        )  # fmt: skip
        if count == len(out[0]) or (not cursor["ready"] and _more(cursor)):
            return count, noted


@njit(cache=True)
def _more(cursor: Any) -> bool:
    """Whether a cursor without a record may yet have one."""
    return bool(
        not cursor["last"] or cursor["page"] < cursor["pages"] or cursor["pos"] < cursor["end"]
    )
