# SPDX-License-Identifier: GPL-2.0-only
"""The driver in a guest: the bundle boots, and a device is driven there as anywhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from pykit import kernels, modules, spec, trace
from pykit.arch import AMD64, ARM64, Arch
from pykit.drive import Target, drive, expand, read_tables
from pykit.drive.carriers.vhost import VHOST_DEVICES, VHOST_KNOWN
from pykit.guests import LedGuest, make_led_guest
from pykit.qemu import program as qemu
from pykit.qemu import tsc

pytestmark = pytest.mark.boot
#: Under TCG microvm has no timer by which a guest could measure its clock.
CLOCK = f"tsc=reliable no_timer_check tsc_early_khz={tsc.khz()}"
PCI, MMIO = "virtio-blk-pci,drive=d,num-queues=2", "virtio-blk-device,drive=d,num-queues=2"
CASES = ["plain/first/first/split/*/16", "next-itself/last/first/*/16"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> LedGuest:
    """What every monitor boots."""
    kernel = kernels.resolve()
    built = modules.build(kernel).modules
    ours = [path for path in built if path.stem in ("pykit_trace", "pykit_vhost")]
    return make_led_guest(kernel, tmp_path_factory.mktemp("bundle") / "guest", ours)


@pytest.fixture(scope="module")
def arm64_bundle(tmp_path_factory: pytest.TempPathFactory) -> LedGuest:
    """The same for arm64."""
    kernel = kernels.resolve("debian-6.12-arm64")
    return make_led_guest(kernel, tmp_path_factory.mktemp("bundle") / "guest")


def command(
    machine: str, disk: str, bundle: LedGuest, folder: Path, arch: Arch = AMD64
) -> tuple[str, ...]:
    """A monitor with a disk; its serial port is a socket."""
    image = folder / "disk"
    with image.open("wb") as file:
        file.truncate(64 << 20)
    program, _ = qemu.find(arch)
    line = (bundle.initramfs.parent / "cmdline").read_text().strip()
    return (
        program, "-M", machine, *qemu.cpu_options("tcg", arch=arch), "-m", "256", "-nodefaults",
        "-no-user-config", "-display", "none", "-no-reboot",
        "-kernel", str(bundle.vmlinux or bundle.vmlinuz), "-initrd", str(bundle.initramfs),
        "-append", f"{line} {CLOCK}" if arch == AMD64 else line,
        "-global", "virtio-mmio.force-legacy=off",
        "-chardev", "socket,id=line,path={socket},server=on,wait=off", "-serial", "chardev:line",
        "-blockdev", f"driver=file,filename={image},node-name=d", "-device", disk,
    )  # fmt: skip


def drive_a_disk(monitor: tuple[str, ...], title: str, folder: Path) -> None:
    """Drive a guest's disk, of which nothing deviates, and judge the capture again."""
    target = Target("blk", command=monitor, title=title, guest=True)
    result = drive(target, expand(read_tables(), CASES), folder, progress=lambda _: None)
    assert not result.deviations
    assert not result.wrong
    assert not result.failed_rules
    assert result.requests >= 100
    assert result.classes["handled"] >= 2
    assert spec.check(trace.load(folder / "capture")).of("DX-01").verdict == "pass"


@pytest.mark.parametrize(
    ("machine", "disk"),
    [
        pytest.param("q35", PCI, id="q35"),
        pytest.param(AMD64.mmio, MMIO, marks=pytest.mark.slow, id="microvm"),
    ],
)
def test_a_device_is_driven_in_a_guest(
    machine: str, disk: str, bundle: LedGuest, tmp_path: Path
) -> None:
    # Waivers know QEMU by what reports call it.
    title = f"QEMU {qemu.version()}, {machine.partition(',')[0]}"
    drive_a_disk(command(machine, disk, bundle, tmp_path), title, tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("disk", [PCI, MMIO], ids=["pci", "mmio"])
def test_a_device_is_driven_in_a_guest_of_arm64(
    disk: str, arm64_bundle: LedGuest, tmp_path: Path
) -> None:
    monitor = command(ARM64.pci, disk, arm64_bundle, tmp_path, ARM64)
    drive_a_disk(monitor, f"QEMU {qemu.version(ARM64)}, virt", tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("device", VHOST_DEVICES)
def test_a_back_end_of_the_kernel_is_driven(device: str, bundle: LedGuest, tmp_path: Path) -> None:
    monitor = command("q35", PCI, bundle, tmp_path)
    kind = VHOST_DEVICES[device]
    target = Target(kind, command=monitor, known=VHOST_KNOWN, guest=True, vhost=device)
    cases = expand(read_tables(), [*CASES, "table-backward/*/16"])
    result = drive(target, cases, tmp_path / "run", progress=lambda _: None)
    assert not result.deviations
    assert not result.wrong
    assert not result.failed_rules
    assert result.requests >= 100
    assert result.classes["handled"] >= 2
    (backward,) = [case for case in result.cases if case.case.row.name == "table-backward"]
    assert bool(result.known_as(backward)) == (device == "vhost-pykit"), "others have one buffer"
