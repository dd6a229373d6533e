# SPDX-License-Identifier: GPL-2.0-only
"""Architectures of guests: what differs between them, in one record each."""

from __future__ import annotations

from dataclasses import dataclass

from pykit.errors import UsageError
from pykit.toml import choice


@dataclass(frozen=True)
class Arch:
    """An architecture of guests.

    Attributes:
        name: Debian's, as in the names of its kernels: "amd64".
        machine: what ``uname -m`` prints: "x86_64".
        config: the symbol that is y in the configuration of its kernels.
        profile: what they have to have, of configs/profiles.
        image: what is booted, below the directory in which a kernel was built.
        pci: QEMU's machine with PCI.
        mmio: QEMU's machine with virtio-mmio transports; empty where there is none.
        slots: where these transports are: (first address, end).
        ccw: QEMU's machine with channel I/O; empty where there is none.
        root_ports: whether PCI devices are plugged into ports, as PCI Express has them.
        other_pci: whether the machine takes PCI devices that are none of virtio's: ivshmem, by
            which captures come out, and the NVMe disk with programs.
        ram: where the memory of these machines begins.
        cpu: QEMU's CPU model under TCG.
        cpu_before_10: the same of QEMU 7 to 9.
        threads_before_10: "single" or "multi": TCG's threads in QEMU 7 to 9.
        console: the kernel's name of the console.
        console_port: QEMU's options for it, on standard input and output.
        agent: where the agent's line is in the guest.
        agent_port: QEMU's device for that line.
        vermagic: what the version magic of its modules ends in.
        arguments: the kernel's, beside those that every guest gets.
        qemu_package: Debian's package with QEMU for it.
        qemu_suites: of the Debian archive that have it.
    """

    name: str
    machine: str
    config: str
    image: str
    pci: str
    mmio: str
    slots: tuple[int, int]
    ram: int
    cpu: str
    cpu_before_10: str
    threads_before_10: str
    console: str
    agent: str
    agent_port: str
    vermagic: str
    arguments: tuple[str, ...]
    qemu_package: str
    qemu_suites: tuple[str, ...] = ("bookworm",)
    console_port: tuple[str, ...] = ("-serial", "stdio")
    ccw: str = ""
    root_ports: bool = True
    other_pci: bool = True
    profile: str = "guest"

    @property
    def qemu(self) -> str:
        """Return the name of QEMU's program."""
        return f"qemu-system-{self.machine}"

    @property
    def kbuild(self) -> str:
        """Return the kernel's name of it, ARCH."""
        return self.image.split("/")[1]

    @property
    def triple(self) -> str:
        """Return what the names of its compiler's programs begin with, without the dash."""
        return f"{self.machine}-linux-gnu"


AMD64 = Arch(
    name="amd64",
    machine="x86_64",
    config="X86_64",
    image="arch/x86/boot/bzImage",
    pci="q35",
    # ioapic2: what is wired to the second one of QEMU 7.2 never interrupts under TCG.
    mmio="microvm,acpi=on,pcie=on,rtc=on,ioapic2=off",
    slots=(0xFEB00000, 0xFEB03000),
    ram=0,
    cpu="max",
    # TCG before QEMU 10 computes wrong flags after cmpxchg16b, which kills Linux 6.12 in one
    # boot of five; cx16=off makes the kernel do without. It also lets one vCPU keep an
    # instruction that another is just replacing, so that a kernel that patches itself dies of an
    # int3 long gone; one thread for all vCPUs has no such window.
    cpu_before_10="max,cx16=off",
    threads_before_10="single",
    console="ttyS0",
    agent="/dev/ttyS1",
    # Not -serial: microvm has one port by itself, whatever is asked for.
    agent_port="isa-serial,chardev=agent,index=1",
    vermagic="",
    arguments=(
        "tsc=reliable", "no_timer_check", "mitigations=off", "nokaslr", "audit=0",
        "random.trust_cpu=on",
    ),
    qemu_package="qemu-system-x86",
)  # fmt: skip

ARM64 = Arch(
    name="arm64",
    machine="aarch64",
    config="ARM64",
    image="arch/arm64/boot/Image",
    pci="virt,gic-version=3",
    mmio="virt,gic-version=3",
    slots=(0x0A000000, 0x0A004000),
    ram=0x40000000,
    # Not max: its pointer authentication is computed in software, and a boot takes four times as
    # long.
    cpu="cortex-a72",
    cpu_before_10="cortex-a72",
    threads_before_10="multi",
    console="ttyAMA0",
    # The machine has one serial port of its own; this is the first of another kind.
    agent="/dev/ttyS0",
    agent_port="pci-serial,chardev=agent",
    vermagic="aarch64",
    arguments=("mitigations=off", "nokaslr", "audit=0", "random.trust_cpu=on"),
    qemu_package="qemu-system-arm",
)

S390X = Arch(
    name="s390x",
    machine="s390x",
    config="S390",
    image="arch/s390/boot/bzImage",
    pci="s390-ccw-virtio",
    mmio="",
    slots=(0, 0),
    ram=0,
    cpu="max",
    cpu_before_10="max",
    threads_before_10="multi",
    # The line-mode console. Given to -serial it would be the second, behind the one with a screen.
    console="ttyS0",
    agent="/dev/ttysclp0",
    agent_port="sclpconsole,chardev=agent",
    vermagic="",
    arguments=("nokaslr", "audit=0", "random.trust_cpu=on"),
    # Debian 12's own package has twenty other architectures in it.
    qemu_package="qemu-system-s390x",
    qemu_suites=("bookworm-backports", "bookworm"),
    console_port=("-chardev", "stdio,id=console", "-device", "sclplmconsole,chardev=console"),
    ccw="s390-ccw-virtio",
    root_ports=False,
    other_pci=False,
    profile="s390x",
)

#: For firmware; Debian 12 has no kernels for it.
RISCV64 = Arch(
    name="riscv64",
    machine="riscv64",
    config="RISCV",
    image="arch/riscv/boot/Image",
    pci="virt",
    mmio="virt",
    slots=(0x10001000, 0x10009000),
    ram=0x80000000,
    cpu="rv64",
    cpu_before_10="rv64",
    threads_before_10="multi",
    console="ttyS0",
    agent="/dev/ttyS1",
    agent_port="pci-serial,chardev=agent",
    vermagic="riscv64",
    arguments=("nokaslr", "audit=0"),
    # Debian 12's own package has twenty other architectures in it.
    qemu_package="qemu-system-riscv",
    qemu_suites=("bookworm-backports", "bookworm"),
)

#: Architectures that there are kernels for.
ARCHES = {arch.name: arch for arch in (AMD64, ARM64, S390X)}
#: These, and those that firmware alone is booted on.
MACHINES = (*ARCHES.values(), RISCV64)


def named(name: str) -> Arch:
    """Return an architecture by its name; raises UsageError for any other."""
    if name not in ARCHES:
        raise UsageError(choice(name, ARCHES, "architecture"))
    return ARCHES[name]


def of_release(release: str) -> Arch:
    """Return the architecture that the release of one of Debian's kernels ends in, else AMD64."""
    return ARCHES.get(release.rpartition("-")[2], AMD64)
