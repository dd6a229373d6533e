# SPDX-License-Identifier: GPL-2.0-only
"""Somebody's own guest: an image, a command line, and a QEMU that runs already."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pykit import steps
from pykit.errors import Exit, GuestError, UsageError
from pykit.guests import firmware
from pykit.guests.monitor import TRACE_EVENTS, Monitor
from pykit.qemu import program
from pykit.scenario.model import Device

pytestmark = pytest.mark.slow


def say(line: str) -> None:
    print(line)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A disk with our boot sector, which reads and writes it by SeaBIOS's driver."""
    firmware.device_options(Device("vd0", "virtio-blk-pci", 1, {}), tmp_path)
    return tmp_path / "vd0.img"


def test_image(image: Path, tmp_path: Path) -> None:
    before = hashlib.sha256(image.read_bytes()).hexdigest()
    result = steps.run_own(image=image, seconds=5, to=tmp_path / "run", say=say)
    assert (result.exit_code, result.verdicts.having("waived")) == (Exit.OK, ("IN-DR-01",))
    assert result.verdicts.of("XC-01").verdict == "pass"
    assert "pykit: done" in (tmp_path / "run" / "console.log").read_text()
    assert hashlib.sha256(image.read_bytes()).hexdigest() == before


def test_arguments_that_qemu_refuses(tmp_path: Path) -> None:
    with pytest.raises(GuestError, match="bogus"):
        steps.run_own(arguments="-bogus", seconds=5, to=tmp_path / "run", say=say)


@pytest.mark.parametrize("wrong", [{"image": Path("/nowhere.img")}, {"arguments": "-name 'x"}])
def test_what_cannot_be_booted(tmp_path: Path, wrong: dict[str, Path]) -> None:
    with pytest.raises(UsageError):
        steps.run_own(**wrong, seconds=1, to=tmp_path / "run", say=say)  # type: ignore[arg-type]


@contextlib.contextmanager
def running(image: Path, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A QEMU of somebody's, whose guest has read its disk and now stands still."""
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            [
                program.find()[0], "-nodefaults", "-display", "none", "-M", "q35", "-accel", "tcg",
                "-drive", f"if=none,id=d,format=raw,snapshot=on,file={image}",
                "-device", "virtio-blk-pci,drive=d,id=mine", "-serial", "stdio",
                "-qmp", f"unix:{folder}/qmp,server=on,wait=off",
            ],
            stdin=subprocess.DEVNULL,
            stdout=said,
        )  # fmt: skip
    try:
        end = time.monotonic() + 60
        while b"pykit: done" not in (folder / "said").read_bytes() and time.monotonic() < end:
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_running_qemu_is_left_as_it_was(image: Path, tmp_path: Path) -> None:
    with running(image, tmp_path) as process:
        for name in ("first", "second"):
            result = steps.run_own(
                attach=tmp_path / "qmp", seconds=0.5, to=tmp_path / name, say=say
            )
            assert result.outcome.message.endswith("left running")
        with contextlib.closing(Monitor(tmp_path / "qmp")) as monitor:
            assert monitor.ask("query-status")["running"] is True
            for event in TRACE_EVENTS:
                (state,) = monitor.ask("trace-event-get-state", name=event)
                assert state["state"] == "disabled"
        assert process.poll() is None


def test_no_qmp_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no socket"):
        steps.run_own(attach=tmp_path / "qmp", seconds=1, to=tmp_path / "run", say=say)
