# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import io

from rich.console import Console

from pykit import bench
from pykit.bench.observers import ACCESS, LIMIT, NONE

MEASURED = bench.Observers("6.99", {NONE: (9e4, 1e5, 4e5), ACCESS: (1.3e5, 1.4e5, 2e5)}, 11.25)


def test_medians_are_compared() -> None:
    assert MEASURED.ratio(ACCESS) == 1.4
    reported = MEASURED.as_json()
    assert reported["observers"][ACCESS] == {"ns": (1.3e5, 1.4e5, 2e5), "ratio": 1.4}  # type: ignore[index]
    assert reported["limit"] == {ACCESS: LIMIT}


def test_a_row_each() -> None:
    out = io.StringIO()
    Console(file=out, width=100).print(MEASURED.table())
    rows = [line.split() for line in out.getvalue().splitlines()]
    assert ["none", "100.0", "90.0", "400.0", "1.00"] in rows
    assert ["access", "tracer", "140.0", "130.0", "200.0", "1.40", "1.5"] in rows
