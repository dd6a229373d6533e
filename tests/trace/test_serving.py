# SPDX-License-Identifier: GPL-2.0-only
"""Back-ends of the same guest take the name of the device that they serve."""

from __future__ import annotations

import polars as pl

from pykit.trace.frames import Frames
from pykit.trace.serving import join_vhost

Row = tuple[str, str, int, int | None, int | None]


def table(*entries: Row) -> Frames:
    """(source, kind, dev, life, the device that is served or -1 for the end of it)."""
    said = [e[4] for e in entries]
    wide = pl.DataFrame(
        {
            "row": pl.Series(range(len(entries)), dtype=pl.UInt32),
            "source": [e[0] for e in entries],
            "kind": [e[1] for e in entries],
            "dev": pl.Series([e[2] for e in entries], dtype=pl.UInt32),
            "life": pl.Series([e[3] for e in entries], dtype=pl.UInt32),
            "serves": pl.Series([s if s != -1 else 2 for s in said], dtype=pl.UInt32),
            "ended": pl.Series([None if s is None else int(s == -1) for s in said], dtype=pl.UInt8),
        }
    )
    fields = {e[1]: ["serves", "ended"] if e[1] == "vhost_attach" else [] for e in entries}
    return Frames.split(wide, fields, {"serves": pl.UInt32, "ended": pl.UInt8})


def names(rows: Frames, numbers: pl.Series | None = None) -> list[tuple[int, int | None]]:
    joined = join_vhost(rows, rows.base["dev"] if numbers is None else numbers)
    return list(joined.base.select("dev", "life").iter_rows())


def test_an_instance_has_the_name_of_its_device() -> None:
    rows = table(
        ("driver", "driver", 2, 0, None),
        ("vhost", "vhost_attach", 0, None, 2),
        ("vhost", "vhost_get", 0, 0, None),
        ("driver", "driver", 2, 1, None),
        ("vhost", "vhost_attach", 0, None, 2),
        ("vhost", "vhost_get", 0, 1, None),
        ("vhost", "vhost_attach", 0, None, -1),
    )
    assert names(rows) == [(2, 0)] * 3 + [(2, 1)] * 4


def test_the_drivers_may_have_been_numbered_anew() -> None:
    rows = table(("driver", "add", 0, 3, None), ("vhost", "vhost_attach", 7, None, 5))
    assert names(rows, pl.Series([5, 7], dtype=pl.UInt32)) == [(0, 3)] * 2


def test_others_are_numbered_behind() -> None:
    rows = table(
        ("driver", "add", 2, 0, None),
        ("vhost", "vhost_get", 1, 4, None),
        ("vhost", "vhost_attach", 0, None, 2),
        ("vhost", "vhost_get", 2, 0, None),
    )
    assert names(rows) == [(2, 0), (4, 4), (2, 0), (5, 0)]


def test_a_device_that_nobody_saw_driven_joins_nothing() -> None:
    rows = table(("driver", "add", 2, 0, None), ("vhost", "vhost_attach", 0, None, 9))
    assert names(rows) == [(2, 0), (3, None)]


def test_without_service_nothing_changes() -> None:
    rows = table(("driver", "add", 0, 0, None), ("vhost", "vhost_get", 0, 0, None))
    assert join_vhost(rows, rows.base["dev"]) is rows
