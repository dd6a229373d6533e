# SPDX-License-Identifier: GPL-2.0-only
"""Looks at a QEMU by QMP's answers, and at a run by its log as it grows."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pykit.cli.top import top
from pykit.errors import UsageError
from pykit.top import guest as guests
from pykit.top import run as runs
from pykit.top import watched_guest, watched_run
from pykit.top.guest import WatchedGuest

ADDRESSES = {"vring-desc": 0x1000, "vring-avail": 0x2000, "vring-used": 0x3000, "vring-num": 64}


class FakeQemu:
    """A monitor of a QEMU with one disk, whose one queue stands where ``ring`` says."""

    def __init__(self, features: str = "VIRTIO_F_VERSION_1: x, VIRTIO_RING_F_EVENT_IDX: x") -> None:
        self.features = features
        self.ring: dict[str, Any] = {
            **ADDRESSES, "last-avail-idx": 0, "shadow-avail-idx": 0, "used-idx": 0,
            "signalled-used": 0, "signalled-used-valid": True, "inuse": 0,
        }  # fmt: skip
        self.memory = {"avail-idx": 0, "used-event": 0, "used-index": 0, "avail-event": 0,
                       "avail-flags": 0, "used-flags": 0}  # fmt: skip

    def ask(self, command: str, **arguments: Any) -> Any:
        if command == "query-version":
            return {"qemu": {"major": 10, "minor": 0, "micro": 2}}
        if command == "x-query-virtio":
            return [{"path": "/machine/peripheral/vd0/virtio-backend", "name": "virtio-blk"}]
        assert command == "qom-get", command
        return "virtio-blk-pci"


@pytest.fixture
def qemu(monkeypatch: pytest.MonkeyPatch) -> FakeQemu:
    fake = FakeQemu()

    def answers(monitor: FakeQemu, at: str) -> list[dict[str, Any]]:
        status = {
            "guest-features": {"transports": [fake.features]},
            "host-features": {"transports": [fake.features]},
            "status": {"statuses": ["VIRTIO_CONFIG_S_DRIVER_OK: Driver setup and ready"]},
        }  # fmt: skip
        found = (
            ("x-query-virtio-status", None, status),
            ("x-query-virtio-queue-status", 0, dict(fake.ring)),
            ("ring-memory", 0, dict(fake.memory)),
        )
        return [
            {"at": at, "device": "vd0", "query": query, "queue": queue,
             "time_ns": time.time_ns(), "return": answer}
            for query, queue, answer in found
        ]  # fmt: skip

    monkeypatch.setattr(guests, "ask_all", answers)
    monkeypatch.setattr(guests, "Surveyor", _NoSurvey)
    monkeypatch.setattr(guests, "STUCK_S", 0.3)
    return fake


class _NoSurvey:
    readings: tuple[()] = ()

    def take(self, *_: object, **__: object) -> None: ...

    def write(self, *_: object) -> None: ...


def test_a_queue_that_moves_and_then_stands(qemu: FakeQemu) -> None:
    watched = WatchedGuest(qemu)  # type: ignore[arg-type]
    watched.look()
    for _ in range(4):
        time.sleep(0.1)
        for name in ("last-avail-idx", "shadow-avail-idx", "used-idx", "signalled-used"):
            qemu.ring[name] += 10
        qemu.memory |= dict.fromkeys(("used-event", "used-index", "avail-event"), 10)
        used = qemu.ring["used-idx"]
        qemu.memory |= {"avail-idx": used + 5, "used-index": used, "used-event": used + 2}
        qemu.memory["avail-event"] = used + 5
        seen = watched.look()
    (line,) = seen.queues
    assert (line.device, line.vq, line.depth, line.size) == ("vd0", 0, 5, 64)
    assert line.found == "moves"
    assert line.rate == pytest.approx(100, rel=0.5)
    assert line.ns is not None
    assert line.ns * line.rate == pytest.approx(5e9, rel=0.4)
    assert (line.notify, line.interrupt) == ("on", "+2")
    # The device took the chains and returns none.
    qemu.ring |= {"inuse": 5, "last-avail-idx": 45, "shadow-avail-idx": 45}
    for _ in range(6):
        time.sleep(0.1)
        seen = watched.look()
    (line,) = seen.queues
    assert (line.found, line.turn, line.rate) == ("stuck", "device", 0)
    assert "it took the chain and did not return it" in line.sentence
    assert "index 40" in line.sentence


def test_an_index_that_wraps(qemu: FakeQemu) -> None:
    qemu.ring |= {"used-idx": 65530, "last-avail-idx": 65530, "shadow-avail-idx": 65530}
    qemu.memory |= {"avail-idx": 65530, "used-index": 65530}
    watched = WatchedGuest(qemu)  # type: ignore[arg-type]
    watched.look()
    time.sleep(0.1)
    qemu.ring |= {"used-idx": 4, "last-avail-idx": 4, "shadow-avail-idx": 4}
    qemu.memory |= {"avail-idx": 6, "used-index": 4}
    (line,) = watched.look().queues
    assert line.rate == pytest.approx(100, rel=0.5)
    assert line.depth == 2


@pytest.mark.parametrize(
    ("features", "memory", "wishes"),
    [
        ("", {"used-flags": 1, "avail-flags": 0}, ("off", "on")),
        ("EVENT_IDX", {"avail-event": 9, "avail-idx": 10}, ("off", "on")),
        ("RING_PACKED", {"device-flags": 1, "driver-flags": 2}, ("off", "at one")),
    ],
)
def test_suppression(
    qemu: FakeQemu, features: str, memory: dict[str, int], wishes: tuple[str, str]
) -> None:
    qemu.features = features
    qemu.memory |= memory
    (line,) = WatchedGuest(qemu).look().queues  # type: ignore[arg-type]
    assert (line.notify, line.interrupt) == wishes


START = """\
100@{at}.000001:virtio_set_status vdev 0x10 val 15
100@{at}.000002:virtio_queue_notify vdev 0x10 n 0 vq 0x20
100@{at}.000003:virtqueue_pop vq 0x20 elem 0x30 in_num 1 out_num 1
100@{at}.000004:virtio_blk_handle_read vdev 0x10 req 0x30 sector 0 nsectors 8
"""
DONE = "100@{at}.000009:virtqueue_fill vq 0x20 elem 0x30 len 1 idx 0\n"


def test_a_run_in_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "STUCK_S", 2.0)
    log = tmp_path / "qemu.log"
    log.write_text(START.format(at=int(time.time()) - 10) + "100@17")
    with watched_run(tmp_path) as source:
        seen = source.look()
        (line,) = seen.queues
        assert (line.device, line.vq, line.depth) == ("device 0", 0, 1)
        assert (line.found, line.turn) == ("stuck", "device")
        assert "it took the chain and did not return it" in line.sentence
        assert not seen.over
        with log.open("r+") as file:
            file.write(START.format(at=int(time.time()) - 10) + DONE.format(at=int(time.time())))
        (line,) = source.look().queues
        assert (line.depth, line.found, line.sentence) == (0, "moves", "")
        (tmp_path / "capture.json").write_text("{}")
        assert source.look().over
    with pytest.raises(UsageError, match="the run has ended"), watched_run(tmp_path):
        pass


def test_what_cannot_be_watched(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no qemu\.log"), watched_run(tmp_path / "none"):
        pass
    with pytest.raises(UsageError, match="is no socket"), watched_guest(tmp_path):
        pass


def test_without_textual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pykit.top.app", raising=False)
    for name in ("textual", "textual.app"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=r"pip install 'virtio-pykit\[top\]'"):
        top(run=None, attach=Path("qmp.sock"), every=1)
    with pytest.raises(UsageError, match="nothing to show"):
        top(run=None, attach=None, every=1)
