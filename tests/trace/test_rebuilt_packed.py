# SPDX-License-Identifier: GPL-2.0-only
"""A packed ring's events from the access tracer's records, which its own C code writes here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trace.test_rebuilt import events, of
from tests.trace.tracer import AVAIL, DATA, DESC, SIZE, TABLE, USED, TracedGuest

_NEXT, _WRITE, _INDIRECT = 1, 2, 4
_AVAIL_BIT, _USED_BIT = 1 << 7, 1 << 15
_WRAP = 1 << 15
_HEADER, _STATUS = (DATA, 16, 0), (DATA + 0x700, 1, _WRITE)
_ADD = ("head", "avail_idx", "slots", "chain", "num_free", "indirect")


@pytest.fixture
def guest(tmp_path: Path) -> TracedGuest:
    made = TracedGuest(tmp_path / "capture", packed=True)
    made.answer()
    return made


def test_a_request_from_its_add_to_its_end(guest: TracedGuest) -> None:
    guest.write(DATA, "IIQ", 0, 0, 9)
    guest.add_packed(0, 2, _HEADER, (DATA + 0x200, 512, _WRITE), _STATUS)
    guest.load(USED, "I")
    guest.notify()
    guest.use_packed(0, 2, 513)
    guest.take_packed(0)
    made = events(guest)
    assert made.rows["kind"].to_list() == [
        "queue", "slot", "slot", "slot", "add", "desc", "desc", "desc", "blk_start", "kick",
        "notify", "used", "blk_done",
    ]  # fmt: skip
    assert of(made, "queue", "desc", "avail", "used", "size", "layout") == [
        (DESC, AVAIL, USED, SIZE, 1)
    ]
    assert of(made, "add", *_ADD) == [(2, _WRAP | 3, 3, 3, 1, 0)]
    assert of(made, "slot", "addr", "len", "slot", "id", "flags", "pos") == [
        (DATA, 16, 0, 2, _AVAIL_BIT | _NEXT, 0),
        (DATA + 0x200, 512, 1, 2, _AVAIL_BIT | _NEXT | _WRITE, 1),
        (DATA + 0x700, 1, 2, 2, _AVAIL_BIT | _WRITE, 2),
    ]
    assert of(made, "kick", "old", "new", "event", "flags", "needed") == [
        (_WRAP, _WRAP | 3, 0, 0, 1)
    ]
    used = ("id", "len", "index", "used_idx", "flags", "accepted")
    assert of(made, "used", *used) == [(2, 513, _WRAP, _WRAP, _AVAIL_BIT | _USED_BIT, 1)]
    assert of(made, "blk_done", "sector", "len", "status") == [(9, 513, 0)]
    assert {"callback", "kick", "slot"} <= made.kinds


def test_a_table_is_read_in_the_order_of_its_entries(guest: TracedGuest) -> None:
    guest.write(DATA, "IIQ", 0, 0, 9)
    for n, (address, length, flags) in enumerate((_HEADER, _STATUS)):
        guest.write(TABLE + 16 * n, "QIHH", address, length, 7, flags)
    guest.add_packed(0, 1, (TABLE, 32, _INDIRECT))
    made = events(guest)
    assert of(made, "add", *_ADD) == [(1, _WRAP | 1, 1, 2, 3, 1)]
    assert of(made, "desc", "addr", "slot", "flags", "pos", "table") == [
        (TABLE, 0, _INDIRECT | _AVAIL_BIT, 0, 0),
        (DATA, 0, 0, 1, 1),
        (DATA + 0x700, 1, _WRITE, 2, 1),
    ]


def test_both_sides_go_round(guest: TracedGuest) -> None:
    for n in range(5):
        guest.add_packed(2 * n, n % 2, (DATA, 8, 0), (DATA + 64, 8, _WRITE))
        guest.use_packed(2 * n, n % 2, 8)
        guest.take_packed(2 * n)
    made = events(guest)
    ends = [_WRAP | 2, 0, 2, _WRAP, _WRAP | 2]
    assert of(made, "add", "head", "avail_idx") == [(n % 2, end) for n, end in enumerate(ends)]
    starts = [_WRAP, *ends[:-1]]
    assert of(made, "used", "id", "index") == [(n % 2, at) for n, at in enumerate(starts)]


def test_what_the_device_overwrites_was_read_before(guest: TracedGuest) -> None:
    """The driver stores two lists; of the second only the head is still missing."""
    guest.add_packed(0, 0, (DATA, 8, _WRITE))
    guest.add_packed(1, 1, (DATA + 64, 9, _WRITE), (DATA + 128, 10, _WRITE))
    guest.use_packed(0, 0, 8)
    guest.use_packed(1, 1, 4)
    guest.take_packed(0)
    guest.take_packed(1)
    made = events(guest)
    assert of(made, "slot", "len", "slot", "id") == [(8, 0, 0), (9, 1, 1), (10, 2, 1)]
    assert of(made, "used", "id", "len", "index") == [(0, 8, _WRAP), (1, 4, _WRAP | 1)]


def test_lists_whose_head_comes_first_are_seen_in_turn(guest: TracedGuest) -> None:
    """The second list stands in memory before the first one's head does."""
    guest.write(DESC + 16, "QIHH", DATA + 64, 9, 1, _WRITE | _AVAIL_BIT)
    guest.store(DESC + 16 + 14, "H", _WRITE | _AVAIL_BIT)
    assert events(guest).rows.filter(kind="add").is_empty()
    guest.store(DESC + 16, "Q", DATA + 64)
    guest.store(DESC + 16 + 8, "I", 9)
    guest.store(DESC + 16 + 12, "H", 1)
    guest.add_packed(0, 0, (DATA, 8, _WRITE))
    assert of(events(guest), "add", "head", "avail_idx") == [(0, _WRAP | 1), (1, _WRAP | 2)]


def test_suppression_of_both_sides(tmp_path: Path) -> None:
    guest = TracedGuest(tmp_path / "capture", packed=True, event_idx=True)
    guest.answer()
    guest.store(AVAIL + 2, "H", 1)
    guest.store(AVAIL, "H", _WRAP | 3)
    guest.store(AVAIL + 2, "H", 2)
    guest.add_packed(0, 0, (DATA, 8, _WRITE))
    guest.write(USED, "HH", _WRAP | 2, 2)
    guest.load(USED + 2, "H")
    guest.load(USED, "H")
    made = events(guest)
    assert of(made, "callback", "avail_flags", "used_event", "enable", "last_used") == [
        (1, 0, 0, _WRAP),
        (1, _WRAP | 3, 0, _WRAP),
        (2, _WRAP | 3, 1, _WRAP),
    ]
    guest.add_packed(1, 1, (DATA, 8, _WRITE))
    assert of(events(guest), "kick", "event", "flags", "event_idx", "needed") == [
        (_WRAP | 2, 2, 1, 0)
    ]


@pytest.mark.parametrize("flags_follow", [False, True])
def test_a_position_that_moves_with_the_entry_taken(tmp_path: Path, flags_follow: bool) -> None:
    guest = TracedGuest(tmp_path / "capture", packed=True, event_idx=True)
    guest.answer()
    guest.store(AVAIL, "I", 2 << 16 | _WRAP)
    guest.add_packed(0, 0, (DATA, 8, _WRITE))
    guest.use_packed(0, 0, 8)
    guest.take_packed(0)
    guest.store(AVAIL, "H", _WRAP | 1)
    if flags_follow:
        guest.store(AVAIL + 2, "H", 2)
    made = events(guest)
    assert of(made, "used", "event", "event_flags") == [(_WRAP | (not flags_follow), 2)]
    assert len(of(made, "callback", "enable")) == 1 + flags_follow


def test_an_id_that_is_not_out_is_not_accepted(guest: TracedGuest) -> None:
    guest.add_packed(0, 0, (DATA, 8, _WRITE))
    guest.use_packed(0, 3, 8)
    guest.take_packed(0)
    assert of(events(guest), "used", "id", "index", "accepted") == [(3, _WRAP, 0)]
