# SPDX-License-Identifier: GPL-2.0-only
"""Programs of Debian's by name, unpacked into the cache with all libraries that they load.

They run by their own suite's loader from a plain folder: no root, nothing installed.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from pykit.arch import AMD64, Arch
from pykit.errors import InfraError
from pykit.kernels import debian, store, toolchain
from pykit.kernels.apt import Package
from pykit.kernels.model import Progress

#: Dependencies that a program loads; others configure an installed system.
_LIBRARIES = re.compile(r"z?lib(?!.*-dev$)")
_NOTHING = re.compile(r"(?!)")


@dataclass(frozen=True)
class PackagedProgram:
    """Packages that are unpacked into one folder.

    Attributes:
        name: of the folder in the cache.
        suites: of the Debian archive; what the first one lacks is taken from the next.
        packages: those with the programs; the first one's version is the folder's.
        alone: packages that come without what they depend on.
        arch: whose they are; those of another than AMD64 are left as they are, for a guest.
    """

    name: str
    suites: tuple[str, ...]
    packages: tuple[str, ...]
    alone: tuple[str, ...] = ()
    arch: Arch = AMD64


def version_of(wanted: PackagedProgram, place: Path) -> str:
    """Debian version in the cache; empty if it is not there."""
    stamp = store.read_stamp(place / wanted.name)
    return str(stamp["version"]) if stamp else ""


def unpacked(wanted: PackagedProgram, place: Path, progress: Progress) -> Path:
    """The folder of the packages below `place`, filled unless it is there.

    Raises: InfraError when a package cannot be had, or there is no space.
    """
    final = place / wanted.name
    if store.read_stamp(final) is None:
        with store.locked(place, progress):
            if store.read_stamp(final) is None:
                _fill(wanted, final, progress)
    return final


def _fill(wanted: PackagedProgram, final: Path, progress: Progress) -> None:
    place = final.parent
    with store.temporary(place) as work:
        debs, root = work / "debs", work / "root"
        debs.mkdir()
        missing = {*wanted.packages, *wanted.alone}
        files: list[Path] = []
        version, suite = "", ""
        for suite in wanted.suites:
            with debian.archive(suite, place, progress, wanted.arch) as apt:
                if apt is None:
                    continue
                found = apt.closure(missing - {*wanted.alone}, _LIBRARIES)
                # Libraries that this suite does not have are the next one's.
                missing |= _needed(found)
                found |= apt.closure(missing & {*wanted.alone}, _NOTHING)
                missing -= found.keys()
                version = version or _version(wanted, found)
                store.need_space(place, sum(p.size + p.installed_size for p in found.values()))
                if found:
                    files += apt.download(list(found.values()), debs, progress)
        if lost := [name for name in (*wanted.packages, *wanted.alone) if name in missing]:
            raise InfraError(
                f"Debian's archive here has no {lost[0]} in {', '.join(wanted.suites)}: "
                "name a program of your own"
            )
        progress(f"unpacking {wanted.name}")
        debian.unpack(files, root, place)
        _merge(root)
        if wanted.arch == AMD64:
            toolchain.make_runnable(root, final)
        store.publish(root, final, {"version": version, "suite": suite})


def _version(wanted: PackagedProgram, found: dict[str, Package]) -> str:
    first = found.get(wanted.packages[0])
    return first.version if first else ""


def _needed(found: dict[str, Package]) -> set[str]:
    names = (name for package in found.values() for name in package.depends)
    return {name for name in names if _LIBRARIES.match(name)}


def _merge(root: Path) -> None:
    """Move what old suites unpack into /bin and /lib below /usr, where the loader looks."""
    for name in ("bin", "sbin", "lib", "lib64"):
        old, new = root / name, root / "usr" / name
        if not old.is_dir() or old.is_symlink():
            continue
        for path in [p for p in old.rglob("*") if p.is_symlink() or not p.is_dir()]:
            target = new / path.relative_to(old)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
        shutil.rmtree(old)
