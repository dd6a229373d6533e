# SPDX-License-Identifier: GPL-2.0-only
"""Drivers and vhost back-ends in one guest, both sides in one trace."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pykit import steps
from pykit.errors import Exit

Run = Callable[..., steps.Result]


@pytest.mark.parametrize("kernel", ["debian-6.12", "debian-6.1"])
def test_our_driver_and_our_back_end(run: Run, kernel: str) -> None:
    result = run("loop-blk", kernel_name=kernel)
    assert result.outcome.kind == "clean", result.outcome.message
    assert result.verdicts.having("fail") == ()
    # Every chain and every used entry, as each side saw it.
    assert result.verdicts.of("XC-04").verdict == "pass"
    assert result.verdicts.of("XC-04").checked > 1000
    sides = result.events.table.group_by("dev").agg("source", "life")
    for side in ("driver", "vhost"):
        assert side in sides["source"][0].to_list()
    assert result.exit_code == Exit.OK
