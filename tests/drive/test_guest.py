# SPDX-License-Identifier: GPL-2.0-only
"""The driver in a guest: the bundle boots, and a device is driven there as anywhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from pykit import kernels, modules, spec, trace
from pykit.arch import AMD64
from pykit.drive import Target, drive, expand, read_tables
from pykit.drive.carriers.vhost import VHOST_DEVICES, VHOST_KNOWN
from pykit.guests import COMMAND_LINE, LedGuest, make_led_guest
from pykit.qemu import program as qemu
from pykit.qemu import tsc

pytestmark = pytest.mark.boot
#: Under TCG microvm has no timer by which a guest could measure its clock.
CLOCK = f"tsc=reliable no_timer_check tsc_early_khz={tsc.khz()}"
MACHINES = {
    "q35": "virtio-blk-pci,drive=d,num-queues=2",
    "microvm": "virtio-blk-device,drive=d,num-queues=2",
}
CASES = ["plain/first/first/split/*/16", "next-itself/last/first/*/16"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> LedGuest:
    """What every monitor boots."""
    kernel = kernels.resolve()
    built = modules.build(kernel).modules
    ours = [path for path in built if path.stem in ("pykit_trace", "pykit_vhost")]
    return make_led_guest(kernel, tmp_path_factory.mktemp("bundle") / "guest", ours)


def command(machine: str, bundle: LedGuest, folder: Path) -> tuple[str, ...]:
    """A monitor with a disk; its serial port is a socket."""
    disk = folder / "disk"
    with disk.open("wb") as file:
        file.truncate(64 << 20)
    program, _ = qemu.find()
    kind = AMD64.mmio if machine == "microvm" else machine
    return (
        program, "-M", kind, *qemu.cpu_options("tcg"), "-m", "256", "-nodefaults",
        "-no-user-config", "-display", "none", "-no-reboot",
        "-kernel", str(bundle.vmlinux or bundle.vmlinuz), "-initrd", str(bundle.initramfs),
        "-append", f"{COMMAND_LINE} {CLOCK}", "-global", "virtio-mmio.force-legacy=off",
        "-chardev", "socket,id=line,path={socket},server=on,wait=off", "-serial", "chardev:line",
        "-blockdev", f"driver=file,filename={disk},node-name=d",
        "-device", MACHINES[machine],
    )  # fmt: skip


@pytest.mark.parametrize("machine", ["q35", pytest.param("microvm", marks=pytest.mark.slow)])
def test_a_device_is_driven_in_a_guest(machine: str, bundle: LedGuest, tmp_path: Path) -> None:
    # Waivers know QEMU by what reports call it.
    title = f"QEMU {qemu.version()}, {machine}"
    target = Target("blk", command=command(machine, bundle, tmp_path), title=title, guest=True)
    cases = expand(read_tables(), CASES)
    result = drive(target, cases, tmp_path / "run", progress=lambda _: None)
    assert not result.deviations
    assert not result.wrong
    assert not result.failed_rules
    assert result.requests >= 100
    assert result.classes["handled"] >= 2
    verdicts = spec.check(trace.load(tmp_path / "run" / "capture"))
    assert verdicts.of("DX-01").verdict == "pass"


@pytest.mark.slow
@pytest.mark.parametrize("device", VHOST_DEVICES)
def test_a_back_end_of_the_kernel_is_driven(device: str, bundle: LedGuest, tmp_path: Path) -> None:
    monitor = command("q35", bundle, tmp_path)
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
