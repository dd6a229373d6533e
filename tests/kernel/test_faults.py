# SPDX-License-Identifier: GPL-2.0-only
"""Every deliberate bug of the driver makes exactly the rules fail that name it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pykit import spec, steps

FAULTS = spec.faults()


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_fault(
    run: Callable[..., steps.RunResult],
    fails_for: Callable[[steps.RunResult, spec.Fault], None],
    fault: str,
) -> None:
    fails_for(run(fault=fault), FAULTS[fault])
