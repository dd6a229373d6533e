# SPDX-License-Identifier: GPL-2.0-only
"""`pykit top` on a guest at work, whose disk then stops answering."""

from __future__ import annotations

import asyncio
import time

import pytest

from pykit.top import watched_guest
from tests.kernel.test_own import Theirs, theirs

pytestmark = pytest.mark.slow
pytest.importorskip("textual", reason="the extra top is not installed")

from textual.widgets import DataTable, Static  # noqa: E402

from pykit.top.app import TopApp  # noqa: E402

__all__ = ["theirs"]
_SECONDS = 90


def test_a_guest_at_work_and_stuck(theirs: Theirs) -> None:
    async def run(app: TopApp) -> str:
        async with app.run_test(size=(140, 30)) as pilot:

            async def until(state: str) -> list[str]:
                end = time.monotonic() + _SECONDS
                while time.monotonic() < end:
                    await pilot.pause(0.3)
                    table = app.query_one(DataTable)
                    for n in range(table.row_count):
                        row = [str(cell) for cell in table.get_row_at(n)]
                        if row[2] == state:
                            return row
                raise AssertionError(f"no queue is shown as {state}")

            row = await until("moves")
            assert row[:2] == ["mine", "0"]
            assert float(row[6].replace(",", "")) > 0
            # One byte a second: what the disk has taken it does not return.
            limits = dict.fromkeys(("bps", "bps_wr", "iops", "iops_rd", "iops_wr"), 0)
            limits |= {"bps_rd": 1}
            # A monitor has an event loop of its own, for which this thread's is in the way.
            await asyncio.to_thread(
                theirs.monitor.ask, "block_set_io_throttle", device="d", **limits
            )
            row = await until("stuck")
            assert (row[:2], row[3], row[6]) == (["mine", "0"], "device", "0")
            return str(app.query_one("#said", Static).content)

    with watched_guest(theirs.qmp) as source:
        said = asyncio.run(run(TopApp(source.look, every=0.5)))
    assert "queue 0 of device 0 (mine) stands still at index" in said
    assert "it took the chain and did not return it" in said
    # Nothing of QEMU's was switched.
    assert theirs.traced() == []
