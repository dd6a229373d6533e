# SPDX-License-Identifier: GPL-2.0-only
"""A newer QEMU by name, from Debian, unpacked into the cache: no root, nothing installed."""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
from pathlib import Path

from pykit.arch import AMD64, Arch
from pykit.errors import InfraError, UsageError
from pykit.kernels import debian, programs, store
from pykit.kernels.model import Progress
from pykit.kernels.programs import PackagedProgram
from pykit.paths import cache_dir, write_atomically
from pykit.toml import choice

#: The suite that has it, built for Debian 12, by name.
SUITES = {"debian-10": "bookworm-backports"}
#: Of suites that are built for a later Debian, with the libraries that they load; firmware is the
#: machine's own.
_LATER = {"debian-11": PackagedProgram("debian-11", ("sid",), ("qemu-system-x86",))}
#: The suites of firmware for another architecture.
_OWN = ("bookworm",)
#: Of the same suite; libraries and the ROMs of network cards are the machine's own.
_PACKAGES = ("qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios")
_MODULES, _VARIABLE = Path("/usr/lib/x86_64-linux-gnu/qemu"), "QEMU_MODULE_DIR"
_PROGRAM, _ROMS = "usr/bin/qemu-system-x86_64", "usr/lib/ipxe"
_DATA = "usr/share/qemu"
_NETWORK_ROMS = Path("/", _ROMS, "qemu")


def named(name: str, progress: Progress, arch: Arch = AMD64) -> Path:
    """The program of that name, downloaded (13 to 26 MB) unless the cache has it.

    Raises: UsageError for another name; InfraError when it cannot be had.
    """
    if name not in SUITES | _LATER:
        raise UsageError(f"{choice(name, SUITES | _LATER, 'QEMU')}, or give a path")
    if arch != AMD64:
        suites = _LATER[name].suites if name in _LATER else (SUITES[name], *_OWN)
        return _of(arch, f"{name}-{arch.name}", suites, progress)
    place = _place()
    if name in _LATER:
        final = programs.unpacked(_LATER[name], place, progress)
    else:
        final = place / name
        if store.read_stamp(final) is None:
            with store.locked(place, progress):
                if store.read_stamp(final) is None:
                    _fetch(name, place, final, progress)
    return _kept_apart(final / _PROGRAM, final, _MODULES)


def _kept_apart(program: Path, final: Path, others: Path) -> Path:
    """Keep an unpacked QEMU off the modules and data of the machine's, which end it.

    It looks for a module in the folder that its environment names, and in the machine's where that
    does not have it. A name that leads to itself is an error there, behind which it looks no
    further. Data that lie beside it are not found where another suite's loader starts it; the
    ROMs of network cards are the machine's.
    """
    own = final / "usr/lib" / _MODULES.relative_to("/usr/lib")
    own.mkdir(parents=True, exist_ok=True)
    for module in others.glob("*.so"):
        with contextlib.suppress(FileExistsError):
            (own / module.name).symlink_to(module.name)
    text = before = program.read_text()
    if _VARIABLE not in text:
        text = text.replace("exec ", f"{_VARIABLE}={shlex.quote(str(own))} exec ", 1)
    data = [folder for folder in (final / _DATA, _NETWORK_ROMS) if folder.is_dir()]
    options = "".join(f"-L {shlex.quote(str(folder))} " for folder in data)
    text = re.sub(r'(-L \S+ )*"\$@"', lambda _: f'{options}"$@"', text)
    if text != before:
        write_atomically(program, text.encode())
        program.chmod(0o755)
    return program


def _of(arch: Arch, name: str, suites: tuple[str, ...], progress: Progress) -> Path:
    """The program for another architecture, with its libraries, downloaded unless the cache has it.

    ``name`` is of the folder in the cache. Raises: InfraError when it cannot be had.
    """
    folder = programs.unpacked(_packaged(arch, name, suites), _place(), progress)
    return _kept_apart(folder / "usr/bin" / arch.qemu, folder, _MODULES)


def own(arch: Arch, progress: Progress) -> Path:
    """The program for another architecture that is used unless another is chosen."""
    return _of(arch, arch.qemu, arch.qemu_suites, progress)


def package(name: str, progress: Progress) -> Path:
    """The folder of one of Debian's packages that is the same on all machines, as firmware is."""
    wanted = PackagedProgram(name, _OWN, (name,))
    return programs.unpacked(wanted, _place(), progress)


def own_version(arch: Arch) -> str:
    """Debian's version of the same in the cache; empty if it is not there."""
    return programs.version_of(_packaged(arch, arch.qemu, arch.qemu_suites), _place())


def _packaged(arch: Arch, name: str, suites: tuple[str, ...]) -> PackagedProgram:
    parts = ("qemu-system-common", "qemu-system-data")
    return PackagedProgram(name, suites, (arch.qemu_package,), alone=parts)


def _place() -> Path:
    return cache_dir().absolute() / "qemu"


def _fetch(name: str, place: Path, final: Path, progress: Progress) -> None:
    suite = SUITES[name]
    with debian.archive(suite, place, progress) as apt:
        found = [apt.show(package) for package in _PACKAGES] if apt else []
        packages = [package for package in found if package]
        if apt is None or len(packages) < len(_PACKAGES):
            raise InfraError(f"Debian's archive here has no QEMU in {suite}: give a path")
        store.need_space(place, sum(p.size + p.installed_size for p in packages))
        with store.temporary(place) as work:
            debs, root = work / "debs", work / "root"
            debs.mkdir()
            debian.unpack(apt.download(packages, debs, progress), root, place)
            _make_runnable(root, final)
            store.publish(root, final, {"version": packages[0].version, "suite": suite})


def _make_runnable(root: Path, final: Path) -> None:
    """Have it load its own modules at ``final``, and not those of the machine's QEMU."""
    program = root / _PROGRAM
    elf = program.with_name(program.name + ".elf")
    program.rename(elf)
    modules = next((root / "usr/lib").glob("*/qemu"), root / "usr/lib").relative_to(root)
    program.write_text(
        "#!/bin/sh\n"
        f"{_VARIABLE}={shlex.quote(str(final / modules))} "
        f'exec {shlex.quote(str(final / _PROGRAM))}.elf "$@"\n'
    )
    shutil.copymode(elf, program)
    # It looks for all its data beside itself.
    (root / _ROMS).symlink_to(Path("/", _ROMS))
