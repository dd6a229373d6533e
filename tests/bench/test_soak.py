# SPDX-License-Identifier: GPL-2.0-only
"""What the soak goes through: every module that is built."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pykit import bench
from pykit.scenario import load_scenario

KBUILD = Path(__file__).parents[2] / "Kbuild"
OURS = set(re.findall(r"^(pykit_\w+)-y :=", KBUILD.read_text(), re.MULTILINE))


def lines(*parts: str) -> str:
    return "".join(step.guest for part in parts for step in load_scenario(f"soak-{part}").steps)


def test_every_part_is_a_scenario() -> None:
    assert {part: load_scenario(f"soak-{part}").count for part in bench.PARTS} == {
        "requests": 1_000_000, "rings": 100_000, "load": 200, "loop": 200, "unplug": 200,
        "faults": 20_000, "lives": 20,
    }  # fmt: skip


@pytest.mark.parametrize("what", ["insert", "remove"])
def test_every_module_comes_and_goes(what: str) -> None:
    assert set(re.findall(rf"^\t+{what} (pykit_\w+)", lines("load", "loop"), re.M)) == OURS


def test_memory_is_refused_to_every_module() -> None:
    loaded = re.search(r'^all="(.*)"$', lines("faults"), re.MULTILINE)
    assert loaded
    # The kernel itself warns when it has no memory to describe a module's events.
    assert {*loaded[1].split(), "pykit_trace"} == OURS
