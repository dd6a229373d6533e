# SPDX-License-Identifier: GPL-2.0-only
"""Processes that serve vhost-user disks."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pykit.errors import InfraError
from pykit.guests import served
from pykit.scenario import load_scenario
from pykit.scenario.model import Device


def device(*peer: str) -> Device:
    found = load_scenario("reaction").devices[0]
    return replace(found, backing="vhost-user", peer=peer)


def test_a_second_scenario_is_served_under_the_same_name(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "pykit.cli", "device", "--socket", "{socket}")
    for _ in range(2):
        with served(device(*command), tmp_path):
            assert (tmp_path / "vd0.sock").is_socket()
        assert not (tmp_path / "vd0.sock").exists()


def test_a_back_end_that_ends(tmp_path: Path) -> None:
    with (
        pytest.raises(InfraError, match="for vd0, ended: its last line: nothing"),
        served(device(sys.executable, "-c", "pass"), tmp_path),
    ):
        pytest.fail("nothing is served")
