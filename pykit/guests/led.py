# SPDX-License-Identifier: GPL-2.0-only
"""A kernel and an initramfs for any monitor, whose one program is led over a serial line."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pykit.errors import InfraError, UsageError
from pykit.guests.initramfs import archive
from pykit.guests.payload import compile_guest
from pykit.guests.vmlinux import bootable
from pykit.kernels import Kernel
from pykit.paths import require_empty

#: The guest's init, a program of guest/.
AGENT_PROGRAM = "drive"
#: The serial line belongs to the driver: the kernel writes to it what it dies of, and reboots,
#: which ends a monitor.
COMMAND_LINE = "console=ttyS0 loglevel=1 panic=-1 reboot=t"

_README = """\
A guest for `pykit drive --guest`: x86-64, Linux {release}.

  vmlinuz         the kernel as a bzImage
  vmlinux         the same as an ELF file{elf}
  initramfs.cpio  its one program, the agent at the other end of the serial line
  cmdline         the kernel's command line; add what your monitor adds

Boot it with 256 MiB or more, one CPU, a serial port (ttyS0) and the virtio device to be driven:

  pykit drive --device blk --guest --socket SERIAL

where SERIAL is the socket or the terminal that your monitor has the serial port at.
"""


@dataclass(frozen=True)
class LedGuest:
    """What a monitor boots; ``vmlinux`` is None where the kernel has no PVH entry."""

    vmlinuz: Path
    initramfs: Path
    vmlinux: Path | None


def make_led_guest(kernel: Kernel, to: Path) -> LedGuest:
    """Write kernel, initramfs, command line and a page on their use to a new directory.

    Raises:
        UsageError: the directory is there and not empty, or the kernel is not for x86-64.
        InfraError: the agent does not compile, or the directory cannot be written.
    """
    if kernel.arch.name != "amd64":
        raise UsageError(f"{kernel.release} is for {kernel.arch.name}: choose one for amd64")
    require_empty(to)
    agent, elf = compile_guest(AGENT_PROGRAM, kernel.arch), bootable(kernel)
    try:
        to.mkdir(parents=True, exist_ok=True)
        shutil.copy(kernel.image, to / "vmlinuz")
        found = None
        if elf != kernel.image:
            found = Path(shutil.copy(elf, to / "vmlinux"))
        with TemporaryDirectory(prefix="pykit-bundle-") as name:
            root = Path(name)
            for folder in ("dev", "proc", "sys"):
                (root / folder).mkdir()
            shutil.copy(agent, root / "init")
            (root / "init").chmod(0o755)
            archive(root, to / "initramfs.cpio")
        (to / "cmdline").write_text(f"{COMMAND_LINE}\n")
        without = "" if found else ": not there, this kernel has no PVH entry"
        (to / "README").write_text(_README.format(release=kernel.release, elf=without))
    except OSError as error:
        raise InfraError(f"{to} cannot be written: {error.strerror}: name another") from error
    return LedGuest(to / "vmlinuz", to / "initramfs.cpio", found)
