# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's devices without a guest: which there are, and each transport's registers."""

from __future__ import annotations

from pathlib import Path

import pytest

from pykit.drive import drive_every, emulated, read_tables
from pykit.drive.carriers.qtest import QtestCarrier
from pykit.drive.conforming import Conforming
from pykit.drive.driver import Shape, VirtioDriver
from pykit.drive.kinds import KINDS, kind_of
from pykit.drive.lives import DrivenDevice
from pykit.drive.peer import Peer
from pykit.drive.record import Recorder
from pykit.errors import UsageError
from pykit.qemu import program as qemu


@pytest.mark.parametrize(
    ("device", "transport", "queue"),
    [
        ("virtio-rng-pci", "pci", 8),
        ("virtio-rng-pci,vectors=0", "pci", 8),
        ("virtio-rng-pci,disable-modern=on", "pci-legacy", 8),
        ("virtio-rng-device", "mmio", 16),
        ("virtio-rng-device,force-legacy=on", "mmio-legacy", 16),
    ],
)
def test_transport_carries_requests(
    device: str, transport: str, queue: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A comma ends a value in QEMU's options.
    (tmp_path / "a,b").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "a,b"))
    kind = kind_of(emulated.kind_of(device))
    memory = emulated.memory()
    with emulated.command(device, memory) as command:
        peer = Peer(command, qemu.value)
        try:
            peer.start()
            carrier = QtestCarrier(peer.socket, peer.activity, emulated.is_mmio(device))
            driver = VirtioDriver(carrier, kind, memory, Recorder(kind.type))
            conforming = Conforming(DrivenDevice(driver, peer), seed=1)
            assert list(conforming.run(lambda _: None, [Shape(size=16)])) == []
            assert conforming.requests >= 20
            assert driver.interrupts
            assert carrier.device.transport == transport
            assert driver.rings[0].size == queue
            carrier.stop()
        finally:
            peer.close()
            memory.close()


def test_every_device_once(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {
        "virtio-blk-pci", "virtio-blk-pci-transitional", "virtio-blk-pci-non-transitional",
        "virtio-gpu-device", "virtio-gpu-gl-pci", "virtio-pmem", "vhost-user-fs-pci", "e1000",
        "virtio-iommu-device", "virtio-new-pci", "virtio-vga",
    }  # fmt: skip
    monkeypatch.setattr(qemu, "devices", lambda: frozenset(names))
    found = {one.name: one.obstacle for one in emulated.every()}
    assert [name for name, obstacle in found.items() if not obstacle] == [
        "virtio-blk-pci", "virtio-blk-pci,disable-modern=on", "virtio-gpu-device",
        "virtio-gpu-device,force-legacy=on", "virtio-vga",
    ]  # fmt: skip
    assert {name for name, obstacle in found.items() if obstacle} == {
        "virtio-gpu-gl-pci", "vhost-user-fs-pci", "virtio-iommu-device", "virtio-new-pci",
    }  # fmt: skip


def test_all_devices_are_driven_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("virtio-rng-device", "vhost-vsock-pci", "virtio-blk-pci")
    obstacles = ("", "is the host's", "")
    found = map(emulated.EmulatedDevice, names, obstacles)
    monkeypatch.setattr(emulated, "every", lambda: found)
    said: list[str] = []
    every = drive_every((), tmp_path / "run", progress=said.append)
    assert tuple(one.device for one in every.devices) == names
    assert tuple(one.obstacle for one in every.devices) == obstacles
    for one in (every.devices[0], every.devices[2]):
        assert one.result is not None, one.failure
        assert (one.result.requests > 0, one.result.deviations) == (True, [])
    assert said == ["1 of 2 devices", "2 of 2 devices"]


@pytest.mark.parametrize(
    ("device", "kind"),
    [
        ("virtio-blk-pci,num-queues=2", "blk"),
        ("virtio-tablet-pci-non-transitional", "input"),
        ("virtio-serial-device", "console"),
        ("virtio-vga", "gpu"),
    ],
)
def test_kind(device: str, kind: str) -> None:
    assert emulated.kind_of(device) == kind
    assert kind in KINDS


def test_unknown_device() -> None:
    with pytest.raises(UsageError, match="unknown QEMU device 'e1000'"):
        emulated.kind_of("e1000,mac=x")


def test_known_deviations_are_of_rows_and_harm_nobody() -> None:
    rows = {row.name for row in read_tables().rows}
    for device in ("virtio-blk-pci", "virtio-blk-device"):
        for known in emulated.known(device):
            assert known.row in rows
            assert set(known.classes) <= {"rejected", "stopped", "wrong-data"}
    assert len(emulated.known("virtio-blk-pci")) < len(emulated.known("virtio-blk-device"))


@pytest.mark.parametrize(
    ("detail", "covered"),
    [
        ("interrupts own is 0: 1", True),
        ("interrupts own is 0: 1, with nothing used", False),
        ("interrupts own is 0: 2", False),
    ],
)
def test_an_interrupt_of_nothing_is_not_known(detail: str, covered: bool) -> None:
    row = "no-interrupt-before-driver-ok"
    found = any(k.covers(row, "wrong-data", detail) for k in emulated.known("virtio-blk-pci"))
    assert found == covered
