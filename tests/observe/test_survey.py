# SPDX-License-Identifier: GPL-2.0-only
"""What the survey reads of a machine, and what it never touches."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pykit import pci
from pykit.guests.monitor import QemuRefusedError
from pykit.observe.survey import Surveyor
from tests.pci import MODERN, space

ECAM, BAR = 0xB0000000, 0x1FE800000
MTREE = """address-space: memory
    00000000b0000000-00000000bfffffff (prio 0, i/o): pcie-mmcfg-mmio
"""
QTREE = """      mmio 00000000feb00600/0000000000000200
    bus: virtio-mmio-bus.3
      type virtio-mmio-bus
      dev: virtio-blk-device, id "vd1"
  dev: virtio-mmio, id ""
    mmio 00000000feb00c00/0000000000000200
    bus: virtio-mmio-bus.6
      type virtio-mmio-bus
  dev: virtio-mmio, id ""
    mmio 00000000feb00e00/0000000000000200
    bus: virtio-mmio-bus.7
      type virtio-mmio-bus
  dev: fw_cfg_io, id ""
"""
REGION = {"bar": 4, "size": 16384, "type": "memory", "mem_type_64": True, "prefetch": True}


class Machine:
    """A monitor of a machine with a device at 01:00.0, and one in an MMIO slot."""

    def __init__(self, config: bytes = MODERN) -> None:
        self.config = config
        self.mtree = MTREE
        self.name, self.slot, self.kind = "vd0", 0, "virtio-blk-pci"
        self.reads: list[tuple[int, int]] = []
        self.ports: list[tuple[int, int]] = []

    def ask(self, command: str, **given: Any) -> Any:
        if command == "qom-get":
            return self.slot if given["property"] == "addr" else self.kind
        assert command == "query-pci"
        known = {
            "vendor": pci.field(MODERN, 0, 2),
            "device": pci.field(self.config, pci.DEVICE, 2),
        }
        place = {"bus": 1, "slot": 0, "function": 0, "id": known}
        behind = {"devices": [{"qdev_id": self.name, **place, "regions": [REGION]}]}
        bridge = {"qdev_id": "rp0", "regions": [], "pci_bridge": behind}
        return [{"devices": [bridge]}]

    def human(self, line: str) -> str:
        if line == "info mtree":
            return self.mtree
        if line == "info qtree":
            return QTREE
        if port := re.fullmatch(r"i /([bhw]) (0x[0-9a-f]+)", line):
            size, at = {"b": 1, "h": 2, "w": 4}[port[1]], int(port[2], 16)
            self.ports.append((at, size))
            return f"port{port[1]}[{at:#06x}] = 0x{7:0{2 * size}x}\r\n"
        read = re.fullmatch(r"xp /([0-9]+)x([bhw]) (0x[0-9a-f]+)", line)
        assert read, line
        count, size = int(read[1]), {"b": 1, "h": 2, "w": 4}[read[2]]
        return "".join(self._lines(int(read[3], 16), size, count))

    def _lines(self, at: int, size: int, count: int) -> Iterator[str]:
        for n in range(count):
            self.reads.append((at + n * size, size))
            value = self._value(at + n * size, size)
            head = f"{at + n * size:016x}: " if n % 4 == 0 else " "
            yield f"{head}0x{value:0{2 * size}x}" + ("\r\n" if n % 4 == 3 or n == count - 1 else "")

    def _value(self, at: int, size: int) -> int:
        offset = at - ECAM - (1 << 20)
        if 0 <= offset < 4096:
            part = self.config[offset : offset + size]
            return int.from_bytes(part, "little") if len(part) == size else (1 << 8 * size) - 1
        return 2 if at == 0xFEB00604 else at & 0xF


def taken(machine: Machine, device: str = "vd0") -> Surveyor:
    surveyor = Surveyor()
    surveyor.take(machine, device, "end")  # type: ignore[arg-type]
    return surveyor


def test_a_pci_device(tmp_path: Path) -> None:
    machine = Machine()
    surveyor = taken(machine)
    (reading,) = surveyor.readings
    assert (reading["transport"], reading["place"]) == ("pci", "01:00.0")
    assert bytes.fromhex(reading["config"]) == MODERN
    assert ["common", 0x14, 1, 4] in reading["reads"]
    surveyor.write(tmp_path)
    assert json.loads((tmp_path / "survey.json").read_text())["readings"] == [reading]


def test_what_the_guest_has_mapped() -> None:
    """The guest is asked once for a PCI device that could be read, and may not answer."""
    answers = iter([{"page": 4096, "areas": []}, None])
    asked = []

    def mapped() -> dict[str, Any] | None:
        asked.append(True)
        return next(answers)

    machine, surveyor = Machine(), Surveyor()
    for again in (False, False, True):
        surveyor.take(machine, "vd0", "end", again=again, mapped=mapped)  # type: ignore[arg-type]
    surveyor.take(machine, "gone", "end", mapped=mapped)  # type: ignore[arg-type]
    assert [reading.get("mapped") for reading in surveyor.readings] == [
        {"page": 4096, "areas": []},
        None,
    ]
    assert len(asked) == 2


def test_slots_without_a_device() -> None:
    """Those alone that the guest's kernel knows; a slot with a device is none of them."""
    machine, surveyor = Machine(), Surveyor()
    surveyor.take_empty(machine, "end", {0xFEB00600: 1, 0xFEB00E00: 2})  # type: ignore[arg-type]
    (reading,) = surveyor.readings
    assert {name: reading[name] for name in ("device", "at", "address", "errors")} == {
        "device": "", "at": "end", "address": 0xFEB00E00, "errors": 2,
    }  # fmt: skip
    assert machine.reads == [(0xFEB00E08, 4)]


def test_no_read_has_an_effect() -> None:
    """ISR status and notifications are left alone, registers are read in their own widths."""
    machine = Machine()
    taken(machine)
    in_bar = {(at - BAR, size) for at, size in machine.reads if BAR <= at < BAR + 0x4000}
    assert {at >> 12 for at, _ in in_bar} == {0, 2}
    assert all(at % size == 0 for at, size in in_bar)
    assert {(0x10, 2), (0x12, 2), (0x14, 1), (0x15, 1), (0x16, 2)} <= in_bar


@pytest.mark.parametrize("device", ["vd0", "vd1"])
def test_another_process_is_not_asked(device: str) -> None:
    """QEMU might wait for the configuration of a vhost-user device for ever."""
    machine = Machine()
    machine.kind = "vhost-user-blk-pci"
    (reading,) = taken(machine, device).readings
    assert reading["reads"]
    config = (BAR + 0x2000, 0xFEB00700)
    assert not any(start <= at < start + 0x100 for at, _ in machine.reads for start in config)


def test_memory_that_does_not_decode_is_not_read() -> None:
    blind = bytearray(MODERN)
    blind[pci.COMMAND] = 0
    machine = Machine(bytes(blind))
    (reading,) = taken(machine).readings
    assert reading["reads"] == []
    assert all(at < ECAM + (2 << 20) for at, _ in machine.reads)


def test_a_legacy_device() -> None:
    machine = Machine(space([], device=0x1001, revision=0, subsystem=2, bars=(0xC001,)))
    (reading,) = taken(machine).readings
    assert {entry[0] for entry in reading["reads"]} == {"legacy"}
    # Offset 19 is the ISR status.
    assert not any(at <= 0xC013 < at + size for at, size in machine.ports)


def test_an_mmio_device() -> None:
    machine = Machine()
    (reading,) = taken(machine, "vd1").readings
    assert (reading["transport"], reading["address"]) == ("mmio", 0xFEB00600)
    assert ["mmio", 4, 4, 2] in reading["reads"]
    # Nor is InterruptStatus read, so that nothing depends on its having no effect.
    assert (0xFEB00660, 4) not in machine.reads


def test_once_unless_again() -> None:
    machine, surveyor = Machine(), Surveyor()
    for again in (False, False, True):
        surveyor.take(machine, "vd0", "end", again=again)  # type: ignore[arg-type]
    assert len(surveyor.readings) == 2


def test_a_device_without_an_id() -> None:
    machine, surveyor, path = Machine(), Surveyor(), "/machine/peripheral-anon/device[0]"
    machine.name = ""
    for machine.slot in (0, 8):
        surveyor.take(machine, "device[0]", "end", again=True, path=path)  # type: ignore[arg-type]
    assert [reading["place"] for reading in surveyor.readings] == ["01:00.0"]
    assert "no id" in surveyor.missed[0]["why"]


def test_extended_capabilities_are_followed() -> None:
    express = bytearray(MODERN)
    express[0x40] = pci.EXPRESS
    head = (0x10 | 1 << 16 | 0x140 << 20).to_bytes(4, "little")
    last = (0x0B | 1 << 16).to_bytes(4, "little")
    whole = (bytes(express) + head).ljust(0x140, b"\x55") + last
    (reading,) = taken(Machine(whole)).readings
    found, _ = pci.extended(bytes.fromhex(reading["config"]))
    assert found == ((0x100, pci.SR_IOV, 1), (0x140, 0x0B, 1))


def missed(machine: Machine, device: str = "vd0") -> str:
    surveyor = taken(machine, device)
    assert not surveyor.readings
    return surveyor.missed[0]["why"]


def test_what_cannot_be_read_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no PCI function" in missed(Machine(), "gone")
    without = Machine()
    without.mtree = ""
    assert "no configuration space in memory" in missed(without)
    early = Machine(bytes(256))
    early.config = MODERN
    monkeypatch.setattr(early, "_value", lambda at, size: (1 << 8 * size) - 1)
    assert "not reached its bus" in missed(early)

    def refuse(_: str) -> str:
        raise QemuRefusedError("human-monitor-command", "not now")

    refusing = Machine()
    monkeypatch.setattr(refusing, "human", refuse)
    assert "not now" in missed(refusing)
