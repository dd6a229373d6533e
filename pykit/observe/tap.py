# SPDX-License-Identifier: GPL-2.0-only
"""A tap before each device that another process serves (``pykit tap``), in a process of its own."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pykit.errors import InfraError, UsageError
from pykit.guests.device_args import socket_of
from pykit.scenario.model import Device, Scenario
from pykit.vhost_user import listens

_STARTING_S, _ENDING_S = 60.0, 30.0


def through_taps(scenario: Scenario, folder: Path) -> Scenario:
    """The scenario with QEMU connected to the sockets of taps.

    Raises UsageError where no device is served by another process.
    """
    if not any(device.backing == "vhost-user" for device in scenario.devices):
        raise UsageError(
            f"--observe tap: no device of {scenario.name} is vhost-user: choose the scenario "
            "vhost-user, or add --device"
        )
    devices = (
        replace(device, peer=folder / f"{device.id}-tap.sock")
        if device.backing == "vhost-user"
        else device
        for device in scenario.devices
    )
    return replace(scenario, devices=tuple(devices))


@contextlib.contextmanager
def tapped(device: Device, folder: Path, front: Path, capture: Path) -> Iterator[None]:
    """A tap listens at ``front``, before the back-end of a device, until the block is left.

    What it saw is in ``capture`` then. Raises InfraError where it does not run to its end.
    """
    out, log = folder / f"{device.id}-tap", folder / f"{device.id}-tap.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                "setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "pykit.cli", "tap",
                "--listen", str(front), "--connect", str(socket_of(device, folder)),
                "--to", str(out),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )  # fmt: skip
    try:
        end = time.monotonic() + _STARTING_S
        while not listens(front):
            if process.poll() is not None or time.monotonic() > end:
                raise InfraError(f"the tap before {device.id} does not start: {_last_line(log)}")
            time.sleep(0.02)
        yield
    except BaseException:
        process.kill()
        process.wait()
        raise
    process.send_signal(signal.SIGINT)
    try:
        code = process.wait(_ENDING_S)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    if code:
        raise InfraError(f"the tap before {device.id} failed: {_last_line(log)}")
    shutil.move(out / "capture" / "tap-dev0", capture / f"tap-{device.id}")


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no output"
