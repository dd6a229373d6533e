# SPDX-License-Identifier: GPL-2.0-only
"""What is asked of a machine's rings and interrupts, and read from the guest's memory."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pykit import pci
from pykit.guests.monitor import QemuRefusedError
from pykit.observe import ask_all, ask_devices, ask_interrupts
from pykit.observe.survey import Surveyor
from tests.pci import MODERN

DESC, AVAIL, USED, SIZE = 0x1000, 0x2000, 0x3000, 8
TABLE, PENDING = 0xFE000000, 0xFE000800
OWN = {
    "vring-desc": DESC, "vring-avail": AVAIL, "vring-used": USED, "vring-num": SIZE,
    "last-avail-idx": 3, "used-idx": 3, "inuse": 0,
}  # fmt: skip
VHOST = {"desc-phys": DESC, "avail-phys": AVAIL, "used-phys": USED, "num": SIZE}


class OneDevice:
    """A monitor of a machine with one device, whose memory holds what ``memory`` says."""

    def __init__(self, *features: str, vhost: bool = False, connected: bool = True) -> None:
        self.answer: dict[str, Any] | None = {
            "num-vqs": 2, "vhost-started": vhost, "guest-features": {"transports": list(features)},
        }  # fmt: skip
        self.vhost, self.connected = vhost, connected
        self.memory: dict[int, int] = {}

    def status(self, path: str) -> dict[str, Any] | None:
        assert path.startswith("/machine/peripheral/vd")
        return self.answer

    def ask(self, command: str, **given: Any) -> Any:
        match command:
            case "query-status":
                return {"running": True, "status": "running"}
            case "query-chardev":
                gone = "" if self.connected else "disconnected:"
                return [{"label": "back", "filename": f"{gone}unix:/run/back"}]
            case "x-query-virtio":
                return [{"path": "/machine/peripheral/vd/virtio-backend"}]
            case "qom-get" if self.vhost and "virtio-backend" not in given["path"]:
                return "back"
            case "x-query-virtio-queue-status" if not self.vhost and given["queue"] < 2:
                return OWN if given["queue"] == 0 else {**OWN, "vring-desc": 0}
            case "x-query-virtio-vhost-queue-status" if self.vhost and given["queue"] == 0:
                return VHOST
        raise QemuRefusedError(command, "no such thing")

    def human(self, line: str) -> str:
        read = re.fullmatch(r"xp /([0-9]+)x([hw]) (0x[0-9a-f]+)", line)
        assert read, line
        size, at = {"h": 2, "w": 4}[read[2]], int(read[3], 16)
        words = [self.memory.get(at + n * size, 0) for n in range(int(read[1]))]
        return f"{at:016x}: " + " ".join(f"{word:#0{2 + 2 * size}x}" for word in words)


def by_query(answers: list[dict[str, Any]]) -> dict[str, Any]:
    return {answer["query"]: answer["return"] for answer in answers}


@pytest.mark.parametrize(
    ("vhost", "query"),
    [(False, "x-query-virtio-queue-status"), (True, "x-query-virtio-vhost-queue-status")],
)
def test_a_qemu_without_status(vhost: bool, query: str) -> None:
    """QEMU 11 has no answer: the queues are counted until it refuses one, and no memory is read."""
    machine = OneDevice(vhost=vhost)
    machine.answer = None
    found = ask_all(machine, "begin")  # type: ignore[arg-type]
    queues = [(a["query"], a["queue"]) for a in found if a["queue"] is not None]
    assert queues == [(query, 0)]
    assert "x-query-virtio-status" not in by_query(found)


def test_a_split_ring() -> None:
    machine = OneDevice()
    machine.memory = {
        AVAIL + 2: 5, AVAIL + 4 + 2 * SIZE: 3, USED: 1, USED + 2: 4, USED + 4 + 8 * SIZE: 5,
    }  # fmt: skip
    found = by_query(ask_all(machine, "begin"))  # type: ignore[arg-type]
    assert found["x-query-virtio-queue-status"] == OWN
    assert found["ring-memory"] == {
        "avail-flags": 0, "avail-idx": 5, "used-event": 3, "used-flags": 1, "used-index": 4,
        "avail-event": 5,
    }  # fmt: skip
    assert "back-end" not in found


def test_a_ring_of_another_process() -> None:
    machine = OneDevice(vhost=True, connected=False)
    found = by_query(ask_all(machine, "begin"))  # type: ignore[arg-type]
    assert found["x-query-virtio-vhost-queue-status"] == VHOST
    assert set(found["ring-memory"].values()) == {0}
    assert found["back-end"] == {"chardev": "back", "connected": False}


def test_a_packed_ring() -> None:
    machine = OneDevice("VIRTIO_F_RING_PACKED: packed")
    machine.memory = {
        DESC + 16 * 3 + 14: 0x80, DESC + 16 + 14: 0x8080, AVAIL: 0x8003, AVAIL + 2: 2, USED: 1,
        USED + 2: 2,
    }  # fmt: skip
    found = by_query(ask_all(machine, "begin"))  # type: ignore[arg-type]
    assert found["ring-memory"] == {
        "driver-event": 0x8003, "driver-flags": 2, "driver-place-flags": 0x80,
        "device-event": 1, "device-flags": 2, "device-place-flags": 0x8080,
    }  # fmt: skip


def test_a_packed_ring_of_another_process() -> None:
    """Where it goes on is not known: all descriptors are read, of a guest that hangs."""
    machine = OneDevice("VIRTIO_F_RING_PACKED: packed", vhost=True)
    machine.memory = {DESC + 16 * 3 + 12: 5, DESC + 16 * 3 + 14: 0x8080}
    assert "ids" not in by_query(ask_all(machine, "end"))["ring-memory"]  # type: ignore[arg-type]
    found = by_query(ask_all(machine, "hang"))["ring-memory"]  # type: ignore[arg-type]
    assert found["ids"] == [0, 0, 0, 5, 0, 0, 0, 0]
    assert found["flags"] == [0, 0, 0, 0x8080, 0, 0, 0, 0]


def test_a_ring_that_cannot_be_read() -> None:
    machine = OneDevice("VIRTIO_F_IOMMU_PLATFORM: behind an IOMMU")
    assert "ring-memory" not in by_query(ask_all(machine, "begin"))  # type: ignore[arg-type]
    assert set(by_query(ask_devices(machine, "hang"))) == {  # type: ignore[arg-type]
        "query-status", "x-query-virtio-status",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("control", "words", "found"),
    [
        (0x8001, {TABLE + 16 + 12: 1, PENDING: 2}, (False, [1], [1])),
        (0xC001, {PENDING: 1}, (True, [], [0])),
        (0x8001, {}, (False, [], [])),
    ],
)
def test_vectors(
    control: int, words: dict[int, int], found: tuple[bool, list[int], list[int]]
) -> None:
    config = bytearray(MODERN)
    at = next(c.pos for c in pci.capabilities(MODERN)[0] if c.id == pci.MSI_X)
    config[at + 2 : at + 12] = control.to_bytes(2, "little") + bytes((1, 0, 0, 0, 1, 8, 0, 0))
    config[pci.BARS + 4 : pci.BARS + 8] = TABLE.to_bytes(4, "little")
    machine, surveyor = OneDevice(), Surveyor()
    machine.memory = words
    reading = {"device": "vd", "transport": "pci", "config": bytes(config).hex()}
    surveyor.readings = [{**reading, "at": "begin"}, {**reading, "at": "end"}]
    (answer,) = ask_interrupts(machine, surveyor, "end")  # type: ignore[arg-type]
    read = answer["return"]
    assert (read["masked"], read["masked-vectors"], read["pending-vectors"]) == found


def test_the_line() -> None:
    config = bytearray(MODERN)
    at = next(c.pos for c in pci.capabilities(MODERN)[0] if c.id == pci.MSI_X)
    config[at + 3] &= 0x7F
    config[pci.COMMAND + 1] |= 4
    config[pci.STATUS] |= 8
    surveyor = Surveyor()
    surveyor.readings = [
        {"device": "vd", "transport": "pci", "config": bytes(config).hex(), "at": "end"}
    ]
    (answer,) = ask_interrupts(OneDevice(), surveyor, "end")  # type: ignore[arg-type]
    assert answer["return"] == {"kind": "intx", "masked": True, "pending": True}
