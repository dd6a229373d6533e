# SPDX-License-Identifier: GPL-2.0-only
"""The carrier of guests with real devices: an agent in Python, whose machine is QEMU's qtest."""

from __future__ import annotations

from pathlib import Path

import pytest

from pykit import spec, trace
from pykit.drive import emulated
from pykit.drive.carriers.agent import AgentMemory
from pykit.drive.carriers.guest import GuestCarrier
from pykit.drive.carriers.mmio import MICROVM
from pykit.drive.carriers.pci import PciFunction
from pykit.drive.carriers.qtest import Qtest
from pykit.drive.cases import Case, expand, read_tables
from pykit.drive.conforming import Conforming
from pykit.drive.driver import Shape, VirtioDriver
from pykit.drive.kinds import kind_of
from pykit.drive.lives import DrivenDevice
from pykit.drive.memory import SharedMemory
from pykit.drive.peer import Peer
from pykit.drive.record import Recorder
from pykit.drive.session import Session
from pykit.qemu import program as qemu

from .test_agent import FakeAgent, listening


class MachineAgent(FakeAgent):
    """An agent whose registers and memory are those of a QEMU without a guest."""

    base = emulated.BASE

    def __init__(self, qtest: Qtest, shared: SharedMemory, mmio: bool) -> None:
        super().__init__()
        self._qtest, self.memory = qtest, shared._map
        self._function = None if mmio else PciFunction.find(qtest)
        self.unbound: list[str] = []

    def do(self, verb: str, *words: str) -> str:
        if verb == "L":
            pairs = [("m", f"{base:x}") for base in MICROVM]
            found = [("p", "0000:00:01.0")] if self._function else pairs
            return "".join(f"{kind} {place}," for kind, place in found)
        if verb == "u":
            self.unbound.append(words[0])
            return ""
        if verb in "mMiI":
            bus = self._qtest if verb in "mM" else self._qtest.ports
            at, width, *value = (int(word, 16) for word in words)
            if value:
                bus.write(at, value[0], width)
                return ""
            return f"{bus.read(at, width):x}"
        if verb in "cC":
            assert self._function is not None
            at, width, *value = (int(word, 16) for word in words[1:])
            if value:
                self._function.write(at, value[0], width)
                return ""
            return f"{self._function.read(at, width):x}"
        return super().do(verb, *words)


@pytest.mark.parametrize(
    ("device", "transport"),
    [
        ("virtio-blk-pci", "pci"),
        ("virtio-blk-pci,disable-modern=on", "pci-legacy"),
        ("virtio-blk-device", "mmio"),
        ("virtio-blk-device,force-legacy=on", "mmio-legacy"),
    ],
)
def test_a_device_is_driven_through_an_agent(device: str, transport: str, tmp_path: Path) -> None:
    kind, memory, shared = kind_of("blk"), AgentMemory(), emulated.memory()
    recorder = Recorder(kind.type)
    with emulated.command(device, shared) as command:
        peer = Peer(command, qemu.value)
        try:
            peer.start()
            agent = MachineAgent(Qtest(peer.socket), shared, emulated.is_mmio(device))
            with listening(agent, tmp_path) as path:
                carrier = GuestCarrier(path, kind.id)
                driver = VirtioDriver(carrier, kind, memory, recorder)
                driven = DrivenDevice(driver, None)
                try:
                    conforming = Conforming(driven, seed=1)
                    assert list(conforming.run(lambda _: None, [Shape(size=16)])) == []
                    assert carrier.device.transport == transport
                    assert not carrier.deaf
                    assert driver.interrupts
                    recorder.device = carrier.typed(kind.type)
                    recorder.save(tmp_path / "capture", device, "clean", "")
                    cases = [
                        case
                        for case in expand(read_tables(), ["*-itself/*/first/split/*/16"])
                        if isinstance(case, Case)
                    ]
                    found = list(Session(driven).run(cases))
                    assert all(one.right and one.outcome is not None for one in found), found
                finally:
                    carrier.stop()
        finally:
            peer.close()
            memory.close()
            shared.close()
    assert agent.unbound == ([] if emulated.is_mmio(device) else ["0000:00:01.0"])
    verdicts = spec.check(trace.load(tmp_path / "capture"))
    assert [
        v.rule.id for v in verdicts.rules if v.verdict == "fail" and v.rule.side != "driver"
    ] == []
    assert verdicts.of("DX-01").verdict == "pass"
    assert verdicts.of("NU-DE-04").verdict in ("pass", "not-applicable")


def test_memory_is_read_behind_an_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device may write a used entry between a look at memory and one at the ISR status."""
    seen: list[str] = []

    class Shown:
        def acknowledge(self) -> int:
            seen.append("isr")
            return len(seen) == 1

        def fetch(self, seconds: float) -> bool:
            seen.append("memory")
            return True

    carrier = GuestCarrier(tmp_path, 2)
    monkeypatch.setattr(carrier, "_device", Shown())
    monkeypatch.setattr(carrier, "_memory", Shown())
    assert [carrier.interrupts(0), carrier.interrupts(0)] == [1, 0]
    assert seen == ["isr", "memory", "isr"]
