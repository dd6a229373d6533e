# SPDX-License-Identifier: GPL-2.0-only
"""QMP, with a QEMU that is none."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pykit.guests import monitor
from pykit.guests.channel import GuestEndedError
from pykit.guests.monitor import Monitor
from pykit.scenario.model import Device

GREETING = {"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}}, "capabilities": []}}
DISK = Device("vd0", "virtio-blk-pci", 16, {})


@contextlib.contextmanager
def answering(path: Path, *, dies: bool = False, silent: bool = False) -> Iterator[None]:
    """A monitor that does all that it is asked, and sends no event.

    Or it ends with device_del, or answers nothing behind the capabilities.
    """

    def serve() -> None:
        peer, _ = server.accept()
        with peer:
            peer.sendall(json.dumps(GREETING).encode() + b"\n")
            while data := peer.recv(65536):
                asked = json.loads(data)
                if silent and asked["execute"] != "qmp_capabilities":
                    continue
                given = {"id": asked["id"]} if "id" in asked else {}
                peer.sendall(json.dumps({"return": {}, **given}).encode() + b"\n")
                if dies and asked["execute"] == "device_del":
                    return

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        thread.join(5)


@pytest.mark.parametrize(
    ("dies", "kind", "words"),
    [(True, "qemu-died", "QEMU's monitor ended"), (False, "hang", "the guest did not let vd0 go")],
)
def test_who_does_not_let_a_device_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies: bool, kind: str, words: str
) -> None:
    """A QEMU that is killed meanwhile is not a guest that hangs."""
    monkeypatch.setattr(monitor, "_UNPLUG_S", 3.0)
    with (
        answering(tmp_path / "qmp", dies=dies),
        contextlib.closing(Monitor(tmp_path / "qmp")) as ours,
        pytest.raises(GuestEndedError) as raised,
    ):
        ours.unplug(DISK)
    assert raised.value.kind == kind
    assert words in raised.value.message


def test_a_qemu_that_stands_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver's fault can make its main loop spin: that is no QEMU that died."""
    monkeypatch.setattr(monitor, "_ANSWER_S", 0.2)
    with (
        answering(tmp_path / "qmp", silent=True),
        contextlib.closing(Monitor(tmp_path / "qmp")) as ours,
        pytest.raises(GuestEndedError, match=r"stands still: no answer to query-status") as raised,
    ):
        ours.ask("query-status")
    assert raised.value.kind == "hang"
