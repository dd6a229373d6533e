# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from pykit.observe.ringwatch import MissedEntries, RingWatch

SIZE, AVAIL, USED = 4, 64, 128


class Guest:
    """Both sides of a split queue, in memory that a watch looks at."""

    def __init__(self) -> None:
        self.memory = np.zeros(256, np.uint8)
        self.words = self.memory.view("<u2")
        area: dict[str, Any] = {"size": SIZE}
        ring = {"avail": {**area, "address": AVAIL}, "used": {**area, "address": USED}}
        self.watch = RingWatch(0, ring, self.memory, time.time_ns(), 1_000_000_000)
        self.added = self.returned = 0

    def add(self, head: int) -> None:
        self.words[AVAIL // 2 + 2 + self.added % SIZE] = head
        self.added += 1
        self.words[AVAIL // 2 + 1] = self.added % 65536

    def give_back(self, head: int, length: int) -> None:
        entry = self.memory[USED + 4 + 8 * (self.returned % SIZE) :][:8].view("<u4")
        entry[:] = head, length
        self.returned += 1
        self.words[USED // 2 + 1] = self.returned % 65536

    def seen(self, used: int) -> list[tuple[int, int, int]]:
        """(index, head, length) of the entries of one ring."""
        entries = np.concatenate(self.watch.entries)
        mine = entries[entries["used"] == used]
        return [(int(e["index"]), int(e["id"]), int(e["len"])) for e in mine]


@pytest.fixture
def guest() -> Guest:
    return Guest()


def test_every_entry_in_its_order(guest: Guest) -> None:
    guest.add(3)
    guest.add(1)
    guest.watch.look()
    guest.give_back(1, 512)
    guest.watch.look()
    guest.watch.look()
    guest.give_back(3, 4096)
    guest.add(2)
    guest.watch.look()
    assert guest.seen(0) == [(0, 3, 0), (1, 1, 0), (2, 2, 0)]
    assert guest.seen(1) == [(0, 1, 512), (1, 3, 4096)]
    assert guest.watch.lost == []


def test_indices_wrap(guest: Guest) -> None:
    for k in range(65536 + 5):
        guest.add(k % SIZE)
        guest.give_back(k % SIZE, k)
        if k % 3 == 0:
            guest.watch.look()
    guest.watch.look()
    assert guest.watch.lost == []
    used = guest.seen(1)
    assert [index for index, _, _ in used] == [k % 65536 for k in range(65536 + 5)]
    assert [length for _, _, length in used] == list(range(65536 + 5))


def test_more_than_a_ring_between_two_looks_is_lost(guest: Guest) -> None:
    for k in range(SIZE + 3):
        guest.add(k % SIZE)
        guest.give_back(k % SIZE, k)
    guest.watch.look()
    # The newest entry of avail may stand where the next one is just being filled in.
    assert guest.watch.lost == [
        MissedEntries(0, 3, "used ring written over before a look"),
        MissedEntries(0, 4, "avail ring written over before a look"),
    ]
    assert [index for index, _, _ in guest.seen(1)] == [3, 4, 5, 6]
    assert [index for index, _, _ in guest.seen(0)] == [4, 5, 6]


def test_nobody_knows_after_a_long_pause(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    guest.add(0)
    later = time.time_ns() + 2_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: later)
    guest.watch.look()
    assert [(lost.count, "not looked at" in lost.why) for lost in guest.watch.lost] == [(1, True)]


def test_between_which_looks(guest: Guest) -> None:
    guest.watch.look()
    before = time.time_ns()
    guest.add(0)
    guest.watch.look()
    [entry] = np.concatenate(guest.watch.entries)
    assert entry["before"] <= before <= entry["ts"] <= time.time_ns()
