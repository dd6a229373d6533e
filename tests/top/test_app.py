# SPDX-License-Identifier: GPL-2.0-only
"""The terminal of `pykit top`, without one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from pykit.errors import InfraError
from pykit.top import QueueLine, TopLook

pytest.importorskip("textual", reason="the extra top is not installed")

from textual.widgets import DataTable, Static

from pykit.top.app import TopApp

SENTENCE = "queue 1 of device 0 (vd0) stands still at index 7 for 6.0 s: 1 chain waits"
BUSY = QueueLine("vd0", 0, depth=3, size=128, rate=1234.4, ns=2.5e6, notify="on", found="moves")
STUCK = QueueLine("vd0", 1, depth=1, size=128, rate=0, found="stuck", turn="device",
                  sentence=SENTENCE)  # fmt: skip


def shown(look: Callable[[], TopLook], keys: tuple[str, ...] = ()) -> tuple[TopApp, list[str], str]:
    """The app, its table's rows as text, and what it says below, once it has shown two looks."""

    async def run() -> tuple[TopApp, list[str], str]:
        app = TopApp(look, every=0.05)
        async with app.run_test(size=(120, 30)) as pilot:
            await pilot.pause(0.3)
            await pilot.press(*keys)
            await pilot.pause(0.2)
            if not app.is_running:
                return app, [], ""
            table = app.query_one(DataTable)
            rows = [
                " ".join(str(cell) for cell in table.get_row_at(number))
                for number in range(table.row_count)
            ]
            styles = {str(table.get_row_at(n)[2].style) for n in range(table.row_count)}
            assert ("bold white on red" in styles) == any("stuck" in row for row in rows)
            return app, rows, str(app.query_one("#said", Static).content)

    return asyncio.run(run())


def test_a_stuck_queue_is_red_and_explained() -> None:
    _, rows, said = shown(lambda: TopLook((BUSY, STUCK), ("the guest is paused",)))
    assert rows == [
        "vd0 0 moves  3 128 1,234 2.5 ms on -",
        "vd0 1 stuck device 1 128 0 - - -",
    ]
    assert said == f"the guest is paused\n{SENTENCE}"


def test_it_follows_and_holds() -> None:
    count = 0

    def look() -> TopLook:
        nonlocal count
        count += 1
        return TopLook(tuple([BUSY] * min(count, 4)))

    _, rows, said = shown(look)
    assert (len(rows), said) == (4, "")
    count = -1_000_000
    _, rows, said = shown(lambda: TopLook(()), ("space",))
    assert (rows, said) == ([], "no queue is in use")


def test_names_from_a_guest_draw_nothing() -> None:
    _, rows, _ = shown(lambda: TopLook((QueueLine("[red]\x1b[2J", 0),)))
    assert rows[0].startswith("[red]")
    assert "\x1b" not in rows[0]


def test_the_last_look_stays() -> None:
    looks = iter([TopLook((BUSY,)), TopLook((BUSY,), over="the run has ended")])
    _, rows, said = shown(lambda: next(looks))
    assert (len(rows), said) == (1, "the run has ended")


def test_an_error_ends_it() -> None:
    def look() -> TopLook:
        raise InfraError("QEMU does not answer")

    app, _, _ = shown(look)
    assert str(app.error) == "QEMU does not answer"
