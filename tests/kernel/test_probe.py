# SPDX-License-Identifier: GPL-2.0-only
"""The probe: what it tells of drivers that know nothing of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pykit import steps
from pykit.errors import Exit

Run = Callable[..., steps.Result]

KERNELS = [
    None,
    pytest.param("debian-6.1", marks=pytest.mark.slow),
    pytest.param("debian-7.2", marks=pytest.mark.slow),
]

#: Rules that our driver passes and a stock one need not: it never reads max_discard_seg.
NOT_STOCK = {"BO-DR-11"}


@pytest.fixture(scope="module", params=KERNELS)
def stock(request: pytest.FixtureRequest, run: Run) -> steps.Result:
    """The default scenario with the kernel's own driver."""
    return run(driver="virtio_blk", kernel_name=request.param)


def test_the_stock_driver_keeps_the_rules(stock: steps.Result) -> None:
    assert stock.outcome.kind == "clean", stock.outcome.message
    assert stock.verdicts.having("fail") == ()
    assert stock.exit_code == Exit.OK
    assert (stock.events.lost, stock.events.losses) == (0, ())
    assert set(stock.events.table["source"].unique()) == {"probe", "qemu"}


def test_as_much_is_seen_as_of_our_own(stock: steps.Result, direct: steps.Result) -> None:
    ours, theirs = (set(result.verdicts.having("pass")) for result in (direct, stock))
    assert ours - theirs <= NOT_STOCK
    for name in ours & theirs:
        both = [result.verdicts.of(name).checked for result in (direct, stock)]
        assert both[1] * 4 >= both[0], name
