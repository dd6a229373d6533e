# SPDX-License-Identifier: GPL-2.0-only
"""Every deliberate bug of a device makes exactly the rules fail that name it, or none.

The guest's program drives the device and counts, for itself, what is wrong: that a bug was
there at all does not rest on the events that the rules see.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from pykit import spec, steps

FAULTS = spec.faults("device")

#: What of its answers the program finds wrong; a signal too many hurts nobody.
NOTICED = {
    "wrong-id": {"ids"},
    "length-too-long": {"lengths"},
    "length-too-short": {"lengths"},
    "completed-twice": {"ids"},
    "used-idx-jump": {"ids"},
    "signal-missed": {"signals"},
    "signal-spurious": set(),
    "completion-dropped": set(),
    "status-withheld": {"statuses"},
    "reordered": {"out of order"},
    "delayed": set(),
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_device_fault(
    run: Callable[..., steps.RunResult],
    fails_for: Callable[[steps.RunResult, spec.Fault], None],
    fault: str,
) -> None:
    result = run("vhost", device_fault=fault)
    fails_for(result, FAULTS[fault])
    said = result.events.capture.steps[0].output
    counts = re.findall(r"(\d+) (ids|lengths|statuses|data|signals|out of order)", said)
    assert len(counts) == 6, said
    assert {what for count, what in counts if int(count)} == NOTICED[fault], said
