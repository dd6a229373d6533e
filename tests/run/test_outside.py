# SPDX-License-Identifier: GPL-2.0-only
"""Guests that are firmware, when QEMU does not live to run them."""

from __future__ import annotations

import sys
from pathlib import Path

from pykit.guests.tracelog import TraceLog
from pykit.qemu.keeper import Keeper
from pykit.run.outside import _Talk
from pykit.scenario import load_scenario

#: Listens as QEMU does, and ends before it has taken the connection.
_REFUSES = """\
import socket, sys, time
with socket.socket(socket.AF_UNIX) as line:
    line.bind(sys.argv[1])
    line.listen()
    time.sleep(0.5)
    print("qemu: failed to find romfile", flush=True)
"""


def test_qemu_that_ends_at_once(tmp_path: Path) -> None:
    with Keeper() as keeper, TraceLog(keeper.folder / "log", tmp_path / "qemu.log") as log:
        console = tmp_path / "console.log"
        talk = _Talk(load_scenario("ipxe"), keeper, log, console, lambda _: None)
        kind, message = talk.run([sys.executable, "-c", _REFUSES, str(keeper.folder / "console")])
    assert kind == "qemu-died"
    assert message.endswith("QEMU ended: qemu: failed to find romfile")
