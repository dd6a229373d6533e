# SPDX-License-Identifier: GPL-2.0-only
"""What was freed is used again."""

from __future__ import annotations

import subprocess
import sys

FAULTS = """
import resource
import numpy as np
from pykit import memory
if {keep}:
    memory.keep_freed()
before = np.ones(1 << 24, dtype=np.uint8)
del before
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(1 << 24, dtype=np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults)
"""


def faults(*, keep: bool) -> int:
    """How many pages had to be faulted in for 16 MiB, after 16 MiB were freed."""
    text = subprocess.run(
        [sys.executable, "-c", FAULTS.format(keep=keep)], capture_output=True, text=True, check=True
    ).stdout
    return int(text)


def test_what_was_freed_is_not_faulted_in_anew() -> None:
    # Huge pages may be had, so that there are few of them anyway.
    assert faults(keep=True) <= 2 < faults(keep=False)
