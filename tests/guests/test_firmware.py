# SPDX-License-Identifier: GPL-2.0-only
"""Firmware scenarios: their files, their log, and what QEMU is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from pykit import steps
from pykit.errors import UsageError
from pykit.guests import firmware
from pykit.scenario import load_scenario
from pykit.scenario.model import FIRMWARE, Device


def test_every_firmware_has_a_scenario() -> None:
    assert set(FIRMWARE) == set(firmware.FIRMWARE)
    assert {load_scenario(name).firmware for name in FIRMWARE} == set(FIRMWARE)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("firmware = 'amibios'\n[[step]]\nname = 'a'\nexpect = 'x'", "unknown firmware 'amibios'"),
        ("firmware = 'ovmf'\nmodules = ['x']", "modules: unknown key 'modules'"),
        ("firmware = 'ovmf'\n[[step]]\nname = 'a'\nguest = 'x'", "[0].guest: unknown key 'guest'"),
        ("firmware = 'ovmf'\n[[step]]\nname = 'a'", "step[0]: expect is missing"),
        ("[[step]]\nname = 'a'\nguest = 'x'\nexpect = 'y'", "step[0].expect: unknown key 'expect'"),
    ],
)
def test_wrong_files(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as raised:
        load_scenario(str(path))
    assert words in str(raised.value)


@pytest.mark.parametrize("wrong", [{"kernel_name": "debian-6.12"}, {"transport": "mmio"}])
def test_what_firmware_does_not_take(tmp_path: Path, wrong: dict[str, str]) -> None:
    given = {"kernel_name": None, "runner": "direct", "fault": None, **wrong}
    with pytest.raises(UsageError, match="seabios"):
        steps.run("seabios", to=tmp_path / "run", say=lambda _: None, **given)  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


def test_boot_sector(tmp_path: Path) -> None:
    options = firmware.device_options(Device("vd0", "virtio-blk-pci", 1, {}), tmp_path)
    data = (tmp_path / "vd0.img").read_bytes()
    assert (len(data), data[510:512]) == (1 << 20, b"\x55\xaa")
    assert '"drive": "vd0-behind"' in options[-1]
