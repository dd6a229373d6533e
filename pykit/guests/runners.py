# SPDX-License-Identifier: GPL-2.0-only
"""The two ways to boot a guest, as command lines. Payload, agent and steps are the same."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pykit.arch import AMD64
from pykit.errors import InfraError, UsageError
from pykit.guests.device_args import cold_options, memory_options
from pykit.guests.initramfs import Initramfs, put_programs, static_busybox
from pykit.guests.payload import Payload
from pykit.guests.vmlinux import bootable
from pykit.kernels import Kernel
from pykit.paths import AGENT
from pykit.qemu import program, tsc
from pykit.scenario.model import Scenario
from pykit.scenario.transport import PCI, Transport
from pykit.toml import choice

# A panic or an oops ends the guest at once (QEMU runs with -no-reboot); warnings and worse
# reach the console, which is what the outcome is read from. A module's KUnit cases are run
# where the kernel has KUnit, whether or not it was built to run them by itself.
_KERNEL_ARGUMENTS = "oops=panic panic=-1 loglevel=5 kunit.enable=1"


class Runner(Protocol):
    """A way to boot a guest."""

    def command(self, kernel: Kernel, payload: Payload, accelerator: str, log: Path) -> list[str]:
        """The command that boots ``kernel`` with the agent running; its standard output
        is the guest's console. ``log`` is where QEMU writes its trace events."""
        ...


#: Stands before QEMU: the guest begins with INIT, and with an image that is unpacked.
_BEFORE_QEMU = """\
for word; do
	shift
	case $last in
	-append) set -- "$@" "$(printf %s "$word" | sed "s| init=[^ ]*| init=$INIT|")" ;;
	-kernel) set -- "$@" "$IMAGE" ;;
	*) set -- "$@" "$word" ;;
	esac
	last=$word
done
exec "$QEMU" "$@"
"""


@dataclass(frozen=True)
class Vng:
    """virtme-ng: the host's userspace, over 9p or virtiofs.

    What comes up is our agent alone: virtme-ng's own first process starts udev, which takes longer
    than all else. Programs and libraries come from the disk that the direct runner has.
    """

    def command(self, kernel: Kernel, payload: Payload, accelerator: str, log: Path) -> list[str]:
        """See Runner."""
        scenario = payload.scenario
        folder = payload.folder
        given = {"NONCE": payload.nonce, "PAYLOAD": folder, "BUSYBOX": static_busybox()}
        programs = put_programs(kernel, scenario.programs, folder)
        lines = (AGENT / "vng-init.sh").read_text()
        init = _script(folder / "init", given, lines)
        known = {"INIT": init, "IMAGE": bootable(kernel), "QEMU": program.find()[0]}
        qemu = _script(folder / "qemu", known, _BEFORE_QEMU)
        options = [
            *scenario.transport.port,
            *cold_options(scenario, payload.folder),
            *memory_options(scenario),
            *_disk_options(programs),
            *program.kit_options(payload.folder, log),
        ]
        arguments = _kernel_arguments(scenario, accelerator)
        return [
            *_vng(kernel, accelerator, scenario.cpus, scenario.icount, str(qemu)),
            "--verbose",
            "--append",
            # The distribution's driver must not take the device before ours does.
            " ".join([*arguments, "modprobe.blacklist=virtio_blk"]),
            f"--qemu-opts={shlex.join(options)}",
            "--",
            "true",
        ]


def _script(path: Path, values: Mapping[str, object], lines: str) -> Path:
    """Write a shell script that begins with these variables."""
    given = [f"{name}={shlex.quote(str(value))}" for name, value in values.items()]
    path.write_text("\n".join(["#!/bin/sh", *given, lines]))
    path.chmod(0o755)
    return path


def _disk_options(programs: Path | None) -> list[str]:
    """Return QEMU's options for the disk of the host's programs, if there is one."""
    if programs is None:
        return []
    return [*programs_drive(programs), "-device", "nvme,drive=programs,serial=programs"]


def programs_drive(programs: Path) -> list[str]:
    """Return QEMU's options for what is behind that disk."""
    return [
        "-drive",
        f"if=none,id=programs,format=raw,readonly=on,file={program.value(programs)}",
    ]


def _kernel_arguments(scenario: Scenario, accelerator: str) -> list[str]:
    """Return what makes a guest boot soon, and end at the first oops."""
    arch = scenario.transport.arch
    arguments = [_KERNEL_ARGUMENTS, *arch.arguments, *scenario.transport.arguments]
    khz = program.ICOUNT_KHZ if scenario.icount else tsc.khz()
    if accelerator == "tcg" and khz and arch == AMD64:
        arguments.append(f"tsc_early_khz={khz}")
    return arguments


@dataclass(frozen=True)
class Direct:
    """QEMU with a small initramfs of our own: seconds to the agent."""

    def command(self, kernel: Kernel, payload: Payload, accelerator: str, log: Path) -> list[str]:
        """See Runner."""
        made = Initramfs.make(kernel, payload)
        return direct(
            bootable(kernel),
            made,
            payload.scenario,
            accelerator,
            [*cold_options(payload.scenario, payload.folder), *memory_options(payload.scenario)],
            program.kit_options(payload.folder, log, payload.scenario.transport.arch),
        )


def direct(
    image: Path,
    made: Initramfs,
    scenario: Scenario,
    accelerator: str,
    devices: Sequence[str],
    kit: Sequence[str],
) -> list[str]:
    """QEMU's command line for a kernel's image with an initramfs, plus these options.

    Raises InfraError for a QEMU that lacks the transport's machine.
    """
    arch = scenario.transport.arch
    program.require_machine(scenario.transport.machine[1], arch)
    arguments = [f"console={arch.console}", *_kernel_arguments(scenario, accelerator)]
    return [
        program.find(arch)[0], "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        *scenario.transport.machine, *scenario.transport.port, *devices,
        *program.cpu_options(accelerator, icount=scenario.icount, arch=arch),
        "-m", str(program.MEMORY_MIB), "-smp", str(scenario.cpus),
        "-kernel", str(image), "-initrd", str(made.path), "-append", " ".join(arguments),
        *arch.console_port, *_disk_options(made.programs), *kit,
    ]  # fmt: skip


RUNNERS: dict[str, Runner] = {"vng": Vng(), "direct": Direct()}


def runner(name: str, transport: Transport) -> Runner:
    """A runner by its name, as soon as it is certain that there is a QEMU with the machine for it.

    Raises UsageError for any other, or one without that transport, InfraError without a QEMU.
    """
    if name not in RUNNERS:
        raise UsageError(choice(name, RUNNERS, "runner"))
    if name == "vng" and transport.machine != PCI.machine:
        foreign = transport.arch != AMD64
        what = f"a guest of {transport.arch.name}" if foreign else transport.name
        raise UsageError(f"{what} needs --boot direct: virtme-ng chooses the machine")
    program.require_machine(transport.machine[1], transport.arch)
    return RUNNERS[name]


def bare_vng(kernel: Kernel, command: str, accelerator: str) -> list[str]:
    """virtme-ng running one command and nothing of ours: the peer of the start-up bench."""
    return [*_vng(kernel, accelerator, program.CPUS, icount=False), "--", command]


def _vng(
    kernel: Kernel, accelerator: str, cpus: int, icount: bool, qemu: str | None = None
) -> list[str]:
    beside = Path(sys.executable).parent / "vng"
    found = str(beside) if beside.exists() else shutil.which("vng")
    if found is None:
        raise InfraError("vng (virtme-ng) is not installed: make setup brings it")
    command = [
        # It calls its own virtme-run by name, and nobody has to activate the environment.
        "env", f"PATH={Path(found).parent}:{os.environ.get('PATH', os.defpath)}",
        found, "--run", str(kernel.image), "--memory", f"{program.MEMORY_MIB}M",
        "--cpus", str(cpus),
    ]  # fmt: skip
    if chosen := qemu or program.choice():
        command += ["--qemu", chosen]
    if accelerator != "kvm":
        # With --disable-kvm virtme-ng passes no -cpu of its own that would come after ours.
        cpu = program.cpu_options(accelerator, icount=icount)
        command += ["--disable-kvm", f"--qemu-opts={shlex.join(cpu)}"]
    if not _virtiofsd():
        # Else virtme-ng waits five seconds for a virtiofsd that is not there.
        command.append("--force-9p")
    return command


def _virtiofsd() -> bool:
    return bool(shutil.which("virtiofsd")) or os.access("/usr/libexec/virtiofsd", os.X_OK)
