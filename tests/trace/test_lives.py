# SPDX-License-Identifier: GPL-2.0-only
"""Lives of a driver that was rebound while its observer, the probe, was away."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from pykit.trace.frames import Frames
from pykit.trace.kinds import (
    BASE,
    DELETED,
    JOINED,
    KINDS,
    LEFT,
    SET_UP,
    SOURCE_TYPE,
    columns_of,
    kind_type,
)
from pykit.trace.lives import guest_lives, returned

Event = tuple[str, str, int | None, dict[str, int]]
SCHEMA: dict[str, Any] = {**BASE, "source": SOURCE_TYPE, "kind": kind_type(())}
FIELDS = {kind: tuple(KINDS[kind]) for kind in KINDS}


def frames(*events: Event) -> Frames:
    """Events as (source, kind, time, fields), all of device 3."""
    types = columns_of(KINDS, {})
    rows: list[dict[str, Any]] = [
        {"row": row, "source": source, "kind": kind, "time": time, "dev": 3} | fields
        for row, (source, kind, time, fields) in enumerate(events)
    ]
    return Frames.split(pl.DataFrame(rows, schema=SCHEMA | dict(types)), FIELDS, types)


def probe(kind: str, time: int, **fields: int) -> Event:
    return ("probe", kind, time, fields)


def queue(time: int, op: int) -> Event:
    return probe("queue", time, vq=0, op=op)


def driver(time: int, stage: int) -> Event:
    return probe("driver", time, stage=stage)


def qemu(time: int | None, life: int) -> Event:
    return ("qemu", "dev_status", time, {"status": 3, "life": life})


#: Watched from the beginning, until it leaves.
FIRST = (driver(10, 0), queue(11, SET_UP), queue(50, LEFT), queue(51, LEFT))
#: There when it is back, gone before its eyes.
JOINS = (driver(300, 7), queue(301, JOINED), queue(390, DELETED), driver(391, 4))
#: Bound when it is back.
BINDS = (driver(300, 0), queue(301, SET_UP), queue(390, DELETED), driver(391, 4))


def lives(*events: Event) -> list[int | None]:
    """Of the probe's events, before the other side is known and after."""
    reported = frames(*events)
    naive = guest_lives(reported)
    life = pl.when(pl.col("source") == "probe").then(naive).otherwise("life").alias("life")
    settled = returned(Frames(reported.base.with_columns(life), reported.own, reported.types))
    return settled.filter(reported.base["source"] == "probe").to_list()


@pytest.mark.parametrize("back", [JOINS, BINDS])
@pytest.mark.parametrize(
    ("starts", "number"),
    [
        ((9,), 0),
        ((9, 200), 1),
        ((9, 100, 200, 298), 3),
        # What begins when the probe has gone again is none of its.
        ((9, 200, 500), 1),
    ],
)
def test_the_device_says_which_life_it_is(
    back: tuple[Event, ...], starts: tuple[int, ...], number: int
) -> None:
    other = [qemu(time, life) for life, time in enumerate(starts)]
    assert lives(*FIRST, *back, *other) == [0] * 4 + [number] * 4


@pytest.mark.parametrize("back", [JOINS, BINDS])
def test_without_one_clock_it_is_compared_with_no_life(back: tuple[Event, ...]) -> None:
    other = [qemu(None, 0), qemu(None, 1)]
    found = lives(*FIRST, *back, *other)
    assert found[:4] == [0] * 4
    assert len(set(found[4:])) == 1
    assert found[4] not in (0, 1)


@pytest.mark.parametrize("back", [JOINS, BINDS])
def test_with_one_side_only_it_is_a_new_life(back: tuple[Event, ...]) -> None:
    assert lives(*FIRST, *back) == [0] * 4 + [1] * 4


def test_who_never_left_is_not_renumbered() -> None:
    whole = (driver(10, 0), queue(11, SET_UP), queue(50, DELETED), driver(51, 4))
    other = [qemu(time, life) for life, time in enumerate((1, 2, 9))]
    assert lives(*whole, *other) == [0] * 4


def test_before_it_left_nothing_is_renumbered() -> None:
    """Two lives that it saw are two, whatever the clock says; only then it was away."""
    first = (driver(10, 0), queue(11, SET_UP), queue(20, DELETED), driver(21, 4))
    second = (driver(30, 0), queue(31, SET_UP), queue(50, LEFT))
    other = [qemu(time, life) for life, time in enumerate((9, 29, 200))]
    assert lives(*first, *second, *JOINS, *other) == [0] * 4 + [1] * 3 + [2] * 4


@pytest.mark.parametrize(("status", "number"), [(3, 1), (0x83, 0)])
def test_a_driver_that_begins_after_another_gave_up(status: int, number: int) -> None:
    """It is a new life if FAILED is gone: the device was reset while nobody traced it."""
    events = (
        *(
            ("driver", "driver", 10, {"stage": 0}),
            ("driver", "status", 11, {"status": 0x83, "op": 0}),
        ),
        *(
            ("driver", "driver", 20, {"stage": 0}),
            ("driver", "status", 21, {"status": status, "op": 1}),
        ),
    )
    assert guest_lives(frames(*events)).to_list() == [0, 0, number, number]
