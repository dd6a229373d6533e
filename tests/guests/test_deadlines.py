# SPDX-License-Identifier: GPL-2.0-only
"""Deadlines of kernels with sanitizers."""

from __future__ import annotations

from pathlib import Path

import pytest

from pykit.guests import deadlines


@pytest.mark.parametrize(
    ("config", "factor"),
    [
        ("CONFIG_SMP=y\n# CONFIG_KASAN is not set\n", 1),
        ("CONFIG_PROVE_LOCKING=y\n", 2),
        ("CONFIG_KASAN=y\nCONFIG_KASAN_INLINE=y\nCONFIG_PROVE_LOCKING=y\n", 8),
        ("CONFIG_KCSAN=y\n", 3),
    ],
)
def test_each_check_takes_its_time(tmp_path: Path, config: str, factor: int) -> None:
    (tmp_path / ".config").write_text(config)
    assert deadlines.factor(tmp_path / ".config") == factor


def test_a_slow_machine_gets_more_time() -> None:
    assert deadlines.slowness(1, 1) == 1
    assert deadlines.slowness(9, 1) == 2
    assert deadlines.slowness(9, 2) == 1
    assert deadlines.slowness(9, 1, "vng") == 1.5
