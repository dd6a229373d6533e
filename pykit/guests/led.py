# SPDX-License-Identifier: GPL-2.0-only
"""A kernel and an initramfs for any monitor, whose one program is led over a serial line."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pykit.arch import AMD64, ARM64
from pykit.errors import InfraError, MissingConfigError, UsageError
from pykit.guests.initramfs import archive
from pykit.guests.payload import compile_guest, copy_module, plain_name
from pykit.guests.vmlinux import bootable
from pykit.kernels import Kernel
from pykit.modules import closure
from pykit.paths import require_empty

#: The guest's init, a program of guest/.
AGENT_PROGRAM = "drive"
#: The kernel's own back-ends, which can be driven there too.
_BACK_ENDS = ("tun", "vhost_net", "vhost_vsock")
#: The serial line belongs to the driver: the kernel writes to it what it dies of, and reboots,
#: which ends a monitor.
_COMMAND_LINE = "console=ttyS0 loglevel=1 panic=-1 reboot=t"
_ARCHES = (AMD64, ARM64)

_README = """\
A guest for `pykit drive --guest`: {machine}, Linux {release}.

  vmlinuz         the kernel as boot loaders take it
  vmlinux         the same as an ELF file{elf}
  initramfs.cpio  its one program, the agent at the other end of the serial line
  cmdline         the kernel's command line; add what your monitor adds

Boot it with 256 MiB or more, one CPU, a serial port ({console}) and the virtio device to be driven:

  pykit drive --device blk --guest --socket SERIAL

or, for a back-end of this kernel's own, no device: --device vhost-net or vhost-vsock.

SERIAL is the socket or the terminal that your monitor has the serial port at.
"""


@dataclass(frozen=True)
class LedGuest:
    """What a monitor boots; ``vmlinux`` is None where the kernel has no PVH entry."""

    vmlinuz: Path
    initramfs: Path
    vmlinux: Path | None


def make_led_guest(kernel: Kernel, to: Path, modules: Sequence[Path] = ()) -> LedGuest:
    """Write kernel, initramfs, command line and a page on their use to a new directory.

    ``modules`` are loaded behind the kernel's own.

    Raises:
        UsageError: the directory is there and not empty, or the kernel is for another
            architecture than x86-64 and arm64.
        InfraError: the agent does not compile, or the directory cannot be written.
    """
    if kernel.arch not in _ARCHES:
        arches = " or ".join(arch.name for arch in _ARCHES)
        raise UsageError(f"{kernel.release} is for {kernel.arch.name}: choose one for {arches}")
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
            _put_modules(root / "modules", [*_back_ends(kernel), *modules])
            archive(root, to / "initramfs.cpio")
        line = _COMMAND_LINE.replace(AMD64.console, kernel.arch.console)
        (to / "cmdline").write_text(f"{line}\n")
        without = "" if found else ": not there, this kernel has no PVH entry"
        words = {"machine": kernel.arch.machine, "console": kernel.arch.console, "elf": without}
        (to / "README").write_text(_README.format(release=kernel.release, **words))
    except OSError as error:
        raise InfraError(f"{to} cannot be written: {error.strerror}: name another") from error
    return LedGuest(to / "vmlinuz", to / "initramfs.cpio", found)


def _back_ends(kernel: Kernel) -> list[Path]:
    """Modules of those back-ends that the kernel has, each once, in load order."""
    found: dict[Path, None] = {}
    for name in _BACK_ENDS:
        with contextlib.suppress(MissingConfigError):
            found |= dict.fromkeys(closure(kernel, [name]))
    return list(found)


def _put_modules(folder: Path, modules: Sequence[Path]) -> None:
    """Copy modules by names in the order in which they are loaded."""
    folder.mkdir()
    for number, path in enumerate(modules):
        copy_module(path, folder)
        (folder / plain_name(path.name)).rename(folder / f"{number:03}-{plain_name(path.name)}")
