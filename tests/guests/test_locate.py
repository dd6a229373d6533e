# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import Any

from pykit.guests.locate import look

#: Of QEMU 7.2's answer: two transports, a device on one of them.
TREE = """\
bus: main-system-bus\r
  type System\r
  dev: virtio-mmio, id ""\r
    gpio-out "sysbus-irq" 1\r
    mmio 00000000feb00200/0000000000000200\r
    bus: virtio-mmio-bus.1\r
      type virtio-mmio-bus\r
  dev: virtio-mmio, id ""\r
    gpio-out "sysbus-irq" 1\r
    mmio 00000000feb00000/0000000000000200\r
    bus: virtio-mmio-bus.0\r
      type virtio-mmio-bus\r
      dev: virtio-blk-device, id "vd0"\r
        drive = "vd0-disk"\r
"""
RING = {"vring-num": 4, "vring-desc": 4096, "vring-avail": 4160, "vring-used": 8192}


class Answers:
    """A monitor that knows one disk."""

    def __init__(
        self, *, vhost: bool, bars: tuple[int, ...] = (), path: str = "/machine/peripheral/vd0"
    ) -> None:
        self.asked: list[str] = []
        self._answers: dict[str, Any] = {
            "x-query-virtio": [{"path": f"{path}/virtio-backend"}],
            "qom-get": 3 << 3,
            "x-query-virtio-status": {
                "status": {"statuses": ["VIRTIO_CONFIG_S_DRIVER_OK: Driver setup and ready"]},
                "guest-features": {"transports": []},
                "num-vqs": 1,
                "vhost-started": vhost,
            },
            "x-query-virtio-queue-status": RING,
            "x-query-virtio-vhost-queue-status": {
                "num": 4,
                "desc-phys": 4096,
                "avail-phys": 4160,
                "used-phys": 8192,
            },
            "human-monitor-command": TREE,
            "query-pci": [
                {
                    "devices": [
                        {
                            "qdev_id": "vd0" if path.endswith("/vd0") else "",
                            "slot": 3,
                            "function": 0,
                            "id": {"vendor": 0x1AF4},
                            "regions": [
                                {"type": "memory", "address": bar, "size": 4096} for bar in bars
                            ],
                        }
                    ]
                }
            ],
        }

    def human(self, line: str) -> str:
        return str(self.ask("human-monitor-command", **{"command-line": line}))

    def status(self, path: str) -> dict[str, Any]:
        return dict(self.ask("x-query-virtio-status", path=path))

    def ask(self, command: str, **_: Any) -> Any:
        self.asked.append(command)
        return self._answers[command]


def test_registers_of_mmio() -> None:
    reported = look(Answers(vhost=False))  # type: ignore[arg-type]
    assert reported["registers"] == [{"device": "vd0", "address": 0xFEB00000, "bytes": 512}]


def test_rings() -> None:
    reported = look(Answers(vhost=False))  # type: ignore[arg-type]
    found = [(ring["area"], ring["address"], ring["bytes"]) for ring in reported["rings"]]
    assert found == [("desc", 4096, 64), ("avail", 4160, 14), ("used", 8192, 38)]


def test_queues_of_another_process() -> None:
    """Their indices are not asked for: QEMU would have to stop them."""
    monitor = Answers(vhost=True)
    assert look(monitor)["rings"] == look(Answers(vhost=False))["rings"]  # type: ignore[arg-type]
    assert "x-query-virtio-queue-status" not in monitor.asked


def test_a_bar_that_is_not_mapped_has_no_registers() -> None:
    reported = look(Answers(vhost=False, bars=(-1, 0xFE000000)))  # type: ignore[arg-type]
    assert [area["address"] for area in reported["registers"]] == [0xFEB00000, 0xFE000000]


def test_a_device_without_an_id_is_found_by_its_slot() -> None:
    monitor = Answers(vhost=False, bars=(0xFE000000,), path="/machine/peripheral-anon/device[0]")
    reported = look(monitor)  # type: ignore[arg-type]
    assert [device["device"] for device in reported["devices"]] == ["device[0]"]
    assert {ring["device"] for ring in reported["rings"]} == {"device[0]"}
    assert ("device[0]", 0xFE000000) in [
        (area["device"], area["address"]) for area in reported["registers"]
    ]
