# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's command line for a guest of each architecture and machine, word by word."""

from __future__ import annotations

from pathlib import Path

import pytest

from pykit import arch
from pykit.arch import S390X
from pykit.errors import UsageError
from pykit.guests import runners
from pykit.guests.initramfs import Initramfs
from pykit.qemu import program, tsc
from pykit.scenario import load_scenario, on_transport
from pykit.scenario.transport import transport

COMMON = ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
PORT = ["-device", "pcie-root-port,id=rp0,chassis=10,slot=10,io-reserve=4096"]
BOOT = ["-m", "1024", "-smp", "2", "-kernel", "/vmlinux", "-initrd", "/initramfs", "-append"]
REST = ["-serial", "stdio"]
LOG_FILE = Path("/f/log")
MACHINES = frozenset({"q35", "microvm", "virt", "s390-ccw-virtio"})
MICROVM = "microvm,acpi=on,pcie=on,rtc=on,ioapic2=off"
AMD64 = (
    "console=ttyS0 oops=panic panic=-1 loglevel=5 kunit.enable=1 tsc=reliable no_timer_check "
    "mitigations=off nokaslr audit=0 random.trust_cpu=on tsc_early_khz=2000000"
)
ARM64 = (
    "console=ttyAMA0 oops=panic panic=-1 loglevel=5 kunit.enable=1 mitigations=off nokaslr "
    "audit=0 random.trust_cpu=on"
)
TALK = [
    "-qmp", "unix:/f/qmp,server=on,wait=off",
    "-chardev", "socket,id=agent,path=/f/agent,server=on,wait=off", "-device",
]  # fmt: skip
LOG = ["-msg", "timestamp=on", "-D", "/f/log"]
CARRY = [
    "-object", "memory-backend-file,id=carry,share=on,size=256M,mem-path=/f/carry",
    "-device", "ivshmem-plain,memdev=carry",
]  # fmt: skip


@pytest.fixture(autouse=True)
def qemu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "properties", lambda _: frozenset({"num-queues"}))
    monkeypatch.setattr(program, "find", lambda *_: ("/qemu", (7, 2, 22)))
    monkeypatch.setattr(program, "_machines", lambda *_: MACHINES)
    monkeypatch.setattr(tsc, "khz", lambda: 2_000_000)


def command(on: str, accelerator: str = "tcg", *of: arch.Arch) -> list[str]:
    scenario = on_transport(load_scenario("io"), on, *of)
    folder = Path("/f")
    return runners.direct(
        Path("/vmlinux"),
        Initramfs(Path("/initramfs"), None),
        scenario,
        accelerator,
        [],
        program.kit_options(folder, folder / "log", *of),
    )


def test_arm64() -> None:
    cpu = ["-accel", "tcg,thread=multi", "-cpu", "cortex-a72"]
    machine = ["-M", "virt,gic-version=3"]
    end = [*cpu, *BOOT, ARM64, *REST, *TALK, "pci-serial,chardev=agent", *LOG, *CARRY]
    assert command("pci", "tcg", arch.ARM64) == ["/qemu", *COMMON, *machine, *PORT, *end]
    machine += ["-global", "virtio-mmio.force-legacy=false"]
    assert command("mmio", "tcg", arch.ARM64) == ["/qemu", *COMMON, *machine, *end]


def test_s390x(tmp_path: Path) -> None:
    scenario = on_transport(load_scenario("io"), None, S390X)
    made, kit = Initramfs(Path("/initramfs"), None), program.kit_options(tmp_path, LOG_FILE, S390X)
    words = runners.direct(Path("/vmlinuz"), made, scenario, "tcg", [], kit)
    assert words == [
        "/qemu", *COMMON, "-M", "s390-ccw-virtio", "-accel", "tcg,thread=multi", "-cpu", "max",
        "-m", "1024", "-smp", "2", "-kernel", "/vmlinuz", "-initrd", "/initramfs", "-append",
        "console=ttyS0 oops=panic panic=-1 loglevel=5 kunit.enable=1 nokaslr audit=0 "
        "random.trust_cpu=on",
        "-chardev", "stdio,id=console", "-device", "sclplmconsole,chardev=console",
        "-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off",
        "-chardev", f"socket,id=agent,path={tmp_path}/agent,server=on,wait=off",
        "-device", "sclpconsole,chardev=agent", *LOG,
        "-machine", "memory-backend=memory",
        "-object", f"memory-backend-file,id=memory,share=on,size=1024M,mem-path={tmp_path}/memory",
    ]  # fmt: skip
    assert (tmp_path / "memory").stat().st_size == 1 << 30


def test_virtme_ng_is_for_this_machines_architecture() -> None:
    with pytest.raises(UsageError, match="a guest of arm64 needs --boot direct"):
        runners.runner("vng", transport("pci", arch.ARM64))


def test_amd64() -> None:
    cpu = ["-accel", "tcg,thread=single", "-cpu", "max,cx16=off"]
    end = [*BOOT, AMD64, *REST, *TALK, "isa-serial,chardev=agent,index=1", *LOG, *CARRY]
    assert command("pci") == ["/qemu", *COMMON, "-M", "q35", *PORT, *cpu, *end]
    mmio = ["-M", MICROVM, "-global", "virtio-mmio.force-legacy=false"]
    assert command("mmio") == ["/qemu", *COMMON, *mmio, *cpu, *end]
    end[len(BOOT)] = AMD64.rpartition(" ")[0]
    kvm = ["-accel", "kvm", "-cpu", "host"]
    assert command("pci", "kvm") == ["/qemu", *COMMON, "-M", "q35", *PORT, *kvm, *end]
