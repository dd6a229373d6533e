# SPDX-License-Identifier: GPL-2.0-only
"""A driver's events from the access tracer's records, which its own C code writes here."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from pykit.trace.access import read_accesses
from pykit.trace.rebuilt import Rebuilt, driver_events
from tests.trace.tracer import AVAIL, DATA, DESC, SIZE, TABLE, USED, TracedGuest

_NEXT, _WRITE, _INDIRECT = 1, 2, 4
_HEADER, _STATUS = (DATA, 16, 0), (DATA + 0x700, 1, _WRITE)


@pytest.fixture
def guest(tmp_path: Path) -> TracedGuest:
    made = TracedGuest(tmp_path / "capture")
    made.answer()
    return made


def events(guest: TracedGuest) -> Rebuilt:
    read = read_accesses(guest.capture(), {"vd0": 0}, ())
    assert read.losses == ()
    return driver_events(read, frozenset({0}))


def of(made: Rebuilt, kind: str, *columns: str) -> list[tuple[object, ...]]:
    rows = made.rows.filter(kind=kind)
    return rows.select(columns).rows() if len(rows) else []


def request(guest: TracedGuest, index: int, *, sector: int = 9) -> None:
    """A read of one sector by three descriptors."""
    guest.write(DATA, "IIQ", 0, 0, sector)
    guest.chain(0, _HEADER, (DATA + 0x200, 512, _WRITE), _STATUS)
    guest.add(0, index)


def test_a_request_from_its_add_to_its_end(guest: TracedGuest) -> None:
    request(guest, 0)
    guest.load(USED, "H")
    guest.notify()
    guest.use(0, 513, 0)
    guest.take(0)
    made = events(guest)
    assert made.rows["kind"].to_list() == [
        "queue", "add", "desc", "desc", "desc", "blk_start", "kick", "notify", "used", "blk_done",
    ]  # fmt: skip
    assert made.rows["seq"].to_list() == list(range(1, 11))
    assert of(made, "queue", "desc", "avail", "used", "size", "layout", "op", "avail_idx") == [
        (DESC, AVAIL, USED, SIZE, 0, 0, 0)
    ]
    add = ("readable", "writable", "chain", "num_free", "head", "avail_idx", "slots", "indirect")
    assert of(made, "add", *add) == [(16, 513, 3, 1, 0, 1, 3, 0)]
    # Not available yet when the entry was stored, right before the index.
    ((before, ts),) = of(made, "add", "before", "ts")
    assert before == ts - 10
    assert of(made, "desc", "addr", "len", "slot", "flags", "next", "pos", "table") == [
        (DATA, 16, 0, _NEXT, 1, 0, 0),
        (DATA + 0x200, 512, 1, _NEXT | _WRITE, 2, 1, 0),
        (DATA + 0x700, 1, 2, _WRITE, 0, 2, 0),
    ]
    start = ("sector", "status_addr", "bytes", "type", "segments")
    assert of(made, "blk_start", *start) == [(9, DATA + 0x700, 512, 0, 0)]
    assert of(made, "kick", "old", "new", "event", "needed") == [(0, 1, 0, 1)]
    assert of(made, "used", "id", "len", "index", "used_idx") == [(0, 513, 0, 1)]
    assert of(made, "blk_done", "sector", "type", "len", "status") == [(9, 0, 513, 0)]
    assert {"callback", "kick", "blk_start", "blk_range"} <= made.kinds


def test_an_indirect_table_is_read_at_the_store(guest: TracedGuest) -> None:
    guest.write(DATA, "IIQ", 0, 0, 9)
    guest.chain(0, _HEADER, (DATA + 0x200, 512, _WRITE), _STATUS, at=TABLE)
    guest.chain(2, (TABLE, 48, _INDIRECT))
    guest.add(2, 0)
    # The driver may write over its table once the device has used it.
    guest.write(TABLE, "48s", bytes(48))
    made = events(guest)
    assert of(made, "add", "chain", "slots", "indirect", "num_free") == [(3, 1, 1, 3)]
    assert of(made, "desc", "slot", "pos", "table", "len") == [
        (2, 0, 0, 48), (0, 1, 1, 16), (1, 2, 1, 512), (2, 3, 1, 1),
    ]  # fmt: skip
    assert of(made, "blk_start", "sector") == [(9,)]


def test_chains_that_one_store_makes_available(guest: TracedGuest) -> None:
    guest.chain(0, (DATA, 16, 0))
    guest.chain(1, (DATA, 32, 0))
    guest.write(AVAIL + 4, "HH", 1, 0)
    guest.store(AVAIL + 2, "H", 2)
    assert of(events(guest), "add", "head", "readable", "avail_idx") == [(1, 32, 1), (0, 16, 2)]


def test_more_descriptors_than_the_ring_has(guest: TracedGuest) -> None:
    """The second chain uses two of the first one's again, and none is left."""
    request(guest, 0)
    guest.chain(1, (DATA, 16, 0), (DATA + 0x200, 512, _WRITE), _STATUS)
    guest.add(1, 1)
    assert of(events(guest), "add", "num_free", "slots") == [(1, 3), (0, 3)]


def test_what_was_available_before_the_rings_were_known(tmp_path: Path) -> None:
    guest = TracedGuest(tmp_path / "capture")
    guest.chain(1, (DATA, 8, _WRITE))
    guest.write(AVAIL + 2, "HH", 1, 1)
    guest.answer()
    assert of(events(guest), "add", "head", "avail_idx") == [(1, 1)]


@pytest.mark.parametrize("loads", ["idx", "idx and len"])
def test_entries_of_which_no_id_is_loaded_are_taken_by_the_index(
    guest: TracedGuest, loads: str
) -> None:
    """OVMF knows its only chain, and waits for the index alone."""
    for index in range(2):
        request(guest, index)
        guest.notify()
        guest.load(USED + 2, "H")
        guest.use(0, 513, index)
        guest.load(USED + 2, "H")
        if loads != "idx":
            guest.load(USED + 8 + 8 * index, "I")
    made = events(guest)
    assert of(made, "used", "id", "len", "index", "used_idx") == [(0, 513, 0, 1), (0, 513, 1, 2)]
    assert of(made, "add", "num_free") == [(1,), (1,)]
    # It looked at no flag, so there was no decision.
    assert (of(made, "kick", "old"), len(of(made, "notify", "ts"))) == ([], 2)


def test_a_decision_without_a_notification(guest: TracedGuest) -> None:
    request(guest, 0)
    guest.write(USED, "H", 1)
    guest.load(USED, "H")
    guest.use(0, 513, 0)
    guest.take(0)
    request(guest, 1)
    guest.load(USED, "H")
    made = events(guest)
    # After the second the trace ends: it may have notified.
    assert of(made, "kick", "event", "needed") == [(1, 0)]
    guest.answer(0, given=False)
    assert of(events(guest), "kick", "event", "needed") == [(1, 0), (1, 0)]


def test_event_idx(tmp_path: Path) -> None:
    guest = TracedGuest(tmp_path / "capture", event_idx=True)
    guest.answer()
    guest.chain(0, (DATA, 16, 0))
    guest.add(0, 0)
    guest.write(USED + 4 + 8 * SIZE, "H", 7)
    guest.load(USED + 4 + 8 * SIZE, "H")
    guest.notify()
    guest.use(0, 0, 0)
    guest.take(0)
    guest.store(AVAIL + 4 + 2 * SIZE, "H", 1)
    made = events(guest)
    assert of(made, "kick", "event", "event_idx", "needed") == [(7, 1, 1)]
    assert of(made, "used", "event") == [(1,)]
    # A store to used_event alone does not show that interrupts are wanted.
    assert "callback" not in made.kinds


def test_wishes_for_interrupts(guest: TracedGuest) -> None:
    guest.store(AVAIL, "H", 1)
    guest.store(AVAIL, "H", 0)
    assert of(events(guest), "callback", "avail_flags", "enable") == [(1, 0), (0, 1)]


def test_an_entry_is_taken_once(guest: TracedGuest) -> None:
    request(guest, 0)
    guest.use(0, 513, 0)
    guest.take(0)
    guest.load(USED + 4, "I")
    assert len(of(events(guest), "used", "id")) == 1


@pytest.mark.parametrize("index", [9, 0xFFFF])
def test_an_index_that_jumps_shows_where_it_is(guest: TracedGuest, index: int) -> None:
    """Too far ahead, or back: what a driver does wrong is no loss of the observer's."""
    request(guest, 0)
    guest.store(AVAIL + 2, "H", index)
    assert of(events(guest), "add", "avail_idx") == [(1,), (index,)]


def test_a_used_index_that_jumps_is_seen(guest: TracedGuest) -> None:
    """What a device does wrong is no loss of the observer's either."""
    request(guest, 0)
    guest.write(USED + 2, "H", 9)
    guest.take(0)
    assert of(events(guest), "used", "index", "used_idx") == [(0, 9)]


def test_a_queue_of_the_next_life_begins_anew(guest: TracedGuest) -> None:
    request(guest, 0)
    guest.answer(0, given=False)
    guest.write(AVAIL, "HH", 0, 0)
    guest.answer(3, given=False)
    guest.answer()
    request(guest, 0)
    made = events(guest)
    lives = made.rows.filter(pl.col("kind").is_in(["queue", "add"])).select("kind", "life")
    assert lives.rows() == [("queue", 0), ("add", 0), ("queue", 1), ("add", 1)]
    assert of(made, "add", "avail_idx", "num_free") == [(1, 1), (1, 1)]


def test_a_device_that_no_driver_used(tmp_path: Path) -> None:
    assert events(TracedGuest(tmp_path / "capture")).rows.is_empty()


def test_notifications_that_the_log_alone_shows(guest: TracedGuest) -> None:
    """A region's name, which is recorded before the first ring, has no time."""
    request(guest, 0)
    guest.load(USED, "H")
    read = read_accesses(guest.capture(), {"vd0": 0}, ())
    decided = max(step.ts for step in read.steps)
    row = {
        "ts": decided, "dev": 0, "life": 0, "vq": 0, "write": 1, "source": "registers",
        "structure": "mmio", "register": "queue_notify",
    }  # fmt: skip
    # The log has microseconds.
    for _ in range(200):
        guest.load(USED + 2, "H")
    read = read_accesses(guest.capture(), {"vd0": 0}, ())
    made = driver_events(read, frozenset({0}), pl.DataFrame([row]))
    assert of(made, "kick", "needed") == [(1,)]
    assert len(of(made, "notify", "vq")) == 1


@pytest.mark.parametrize(("length", "second"), [(12, 0x33), (10, 0x33), (16, 0x4400000033), (8, 0)])
def test_what_other_devices_than_disks_are_given_to_read(
    guest: TracedGuest, length: int, second: int
) -> None:
    guest.write(DATA, "QII", 0x1122, 0x33, 0x44)
    guest.chain(0, (DATA, length, 0), (DATA + 0x200, 60, 0))
    guest.add(0, 0)
    made = driver_events(read_accesses(guest.capture(), {"vd0": 0}, ()), frozenset())
    assert of(made, "opening", "head", "first", "second", "got") == [(0, 0x1122, second, length)]
