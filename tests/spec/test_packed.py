# SPDX-License-Identifier: GPL-2.0-only
"""Places of packed rings, against a ring that is counted slot by slot."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pykit.spec import packed


def position(place: int, size: int) -> int:
    """Slot and wrap counter of a place."""
    lap, slot = divmod(place, size)
    return slot | (0 if lap % 2 else packed.WRAP_BIT)


def column(*values: int) -> np.typing.NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


@given(size=st.integers(1, 300), start=st.integers(0, 2000), step=st.integers(0, 10))
def test_ahead_counts_slots(size: int, start: int, step: int) -> None:
    step %= 2 * size
    there, here = position(start + step, size), position(start, size)
    assert packed.ahead(column(there), column(here), column(size))[0] == step


@given(
    size=st.integers(1, 64),
    start=st.integers(0, 500),
    length=st.integers(0, 64),
    event=st.integers(-40, 40),
)
def test_an_event_is_requested_inside_the_batch(
    size: int, start: int, length: int, event: int
) -> None:
    length = min(length, size)
    # An event that is named further away than a round has no place.
    event = max(min(event, size - 1), length - 2 * size + 1)
    if start + event < 0:
        start += 2 * size * 50
    wanted, sound = packed.requests(
        column(packed.AT_DESC),
        column(position(start + event, size)),
        column(position(start, size)),
        column(position(start + length, size)),
        column(size),
    )
    assert sound[0]
    assert wanted[0] == (0 <= event < length)


def test_flags_name_all_or_none() -> None:
    flags = column(packed.ENABLE, packed.DISABLE, 3)
    old, new = column(0x8000, 0x8000, 0x8000), column(0x8001, 0x8001, 0x8001)
    wanted, sound = packed.requests(flags, old, old, new, column(8, 8, 8))
    assert wanted.tolist() == [True, False, False]
    assert sound.tolist() == [True, True, False]
