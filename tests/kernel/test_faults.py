# SPDX-License-Identifier: GPL-2.0-only
"""Every deliberate bug makes exactly the rules fail that name it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pykit import spec, steps
from pykit.errors import Exit


@pytest.mark.parametrize("fault", sorted(spec.faults()))
def test_fault(run: Callable[..., steps.Result], fault: str) -> None:
    result = run(fault=fault)
    failed = set(result.verdicts.having("fail"))
    assert spec.faults()[fault].explains(failed), f"{fault} made {sorted(failed)} fail"
    assert result.exit_code == Exit.FAILED
    assert result.outcome.kind == "clean", result.outcome.message
    for name in failed:
        assert result.verdicts.of(name).evidence, f"{name} fails without evidence"
