# SPDX-License-Identifier: GPL-2.0-only
"""What counts as a leak, by numbers that were made up, and what a process holds by this one's."""

from __future__ import annotations

import os

import pytest

from pykit.drive.growth import Footprint, footprint, growing

PAGE = 4096
LIVES = range(24)


@pytest.mark.parametrize(
    ("held", "what"),
    [
        ([Footprint(100 * PAGE, 12) for _ in LIVES], ""),
        ([Footprint(100 * PAGE, 12 + life) for life in LIVES], "18 more descriptors are open"),
        ([Footprint(32 * PAGE * life, 12) for life in LIVES], "2359296 more bytes of memory"),
        # Warm-up, one step later, and what is given back late.
        ([Footprint(200 * PAGE * min(life, 5), min(life, 5)) for life in LIVES], ""),
        ([Footprint(9000 * PAGE * (life > 11), 50 * (life > 11)) for life in LIVES], ""),
        ([Footprint(900 * PAGE * (life % 4), 12 * (life % 3)) for life in LIVES], ""),
        # A heap that falls apart.
        ([Footprint((9000 + 2 * life) * PAGE, 12) for life in LIVES], ""),
    ],
)
def test_growing(held: list[Footprint], what: str) -> None:
    assert growing(held).startswith(what)
    assert bool(growing(held)) == bool(what)


def test_footprint() -> None:
    before = footprint(os.getpid())
    first, second = os.pipe()
    after = footprint(os.getpid())
    os.close(first)
    os.close(second)
    assert before is not None
    assert after is not None
    assert after.descriptors == before.descriptors + 2
    assert after.memory > 1 << 20


def test_footprint_of_none() -> None:
    assert footprint(1 << 30) is None
