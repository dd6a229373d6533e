# SPDX-License-Identifier: GPL-2.0-only
"""The programs that scenarios call in a guest, with all that they load: this machine's own, or
Debian's for a guest of another architecture.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment

from pykit.arch import AMD64, Arch
from pykit.errors import InfraError
from pykit.kernels import package
from pykit.paths import cache_dir, used, write_atomically

#: Where the host's programs are looked for; the superuser's own may not be on the user's PATH.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: Written anew whenever the machine gets or loses a library (ldconfig).
_LOADER_CACHE = Path("/etc/ld.so.cache")

#: Debian's packages of programs that are not called as they are.
_PACKAGES = {
    "mkfs.ext4": "e2fsprogs", "fsck.ext4": "e2fsprogs", "blockdev": "util-linux",
    "blkdiscard": "util-linux", "blkzone": "util-linux", "insmod": "kmod", "rmmod": "kmod",
    "ip": "iproute2", "vdpa": "iproute2",
}  # fmt: skip


@dataclass(frozen=True)
class GuestProgram:
    """A program of a guest.

    Attributes:
        path: in the guest, where /bin, /sbin and /lib are links to those below /usr.
        files: on this machine, by their paths in the guest: the program and all that it loads.
    """

    path: Path
    files: dict[Path, Path]


def find(name: str, arch: Arch = AMD64) -> GuestProgram:
    """The program of that name; of another architecture it is fetched from Debian.

    Raises InfraError where there is none.
    """
    if arch != AMD64:
        return _packaged(name, package(_PACKAGES.get(name, name), arch), arch)
    found = shutil.which(name, path=PATH)
    if found is None:
        raise InfraError(f"{name} is not installed, and the scenario calls it: make setup")
    path = Path(found)
    return GuestProgram(path, {_merged(p): p.resolve() for p in (path, *libraries(path))})


def libraries(program: Path) -> list[Path]:
    """What this machine's loader loads for a program, the loader itself too.

    Asked once for each program: it takes four processes, and a scenario calls half a dozen.
    """
    words = [str(program.resolve())]
    for file in (program, _LOADER_CACHE):
        status = file.stat() if file.exists() else None
        words.append(f"{status.st_size} {status.st_mtime_ns}" if status else "none")
    kept = cache_dir() / "libraries" / hashlib.sha256("\n".join(words).encode()).hexdigest()[:32]
    if not kept.exists():
        done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
        found = [word for word in done.stdout.split() if word.startswith("/")]
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, "".join(f"{word}\n" for word in found).encode())
    used(kept)
    return [Path(line) for line in kept.read_text().splitlines()]


def _packaged(name: str, root: Path, arch: Arch) -> GuestProgram:
    """A program with its libraries, of the packages that are unpacked in ``root``."""
    path = next((p for p in map(Path, ("usr/bin", "usr/sbin")) if _exists(root, p / name)), None)
    if path is None:
        raise InfraError(f"Debian's packages have no {name} for {arch.name}: leave it out")
    files = {Path("/", path, name): _within(root, path / name)}
    wanted = list(_needed(files[Path("/", path, name)]))
    while wanted:
        library = wanted.pop()
        # A library may be in a folder of its own, which its users name (DT_RUNPATH).
        known = sorted(root.glob(f"usr/lib*/**/{library}"), key=lambda path: len(path.parts))
        at = _inside(Path(library)) if "/" in library else None
        at = at or next((path.relative_to(root) for path in known), None)
        if at is None:
            raise InfraError(f"Debian's packages of {name} for {arch.name} have no {library}")
        if Path("/", at) not in files:
            files[Path("/", at)] = _within(root, at)
            wanted += _needed(files[Path("/", at)])
    return GuestProgram(Path("/", path, name), files)


def _needed(file: Path) -> Iterator[str]:
    """Names of the libraries that an ELF file loads, and the path of what loads them."""
    with file.open("rb") as stream:
        elf = ELFFile(stream)
        for segment in elf.iter_segments():
            if isinstance(segment, InterpSegment):
                yield segment.get_interp_name()
            elif isinstance(segment, DynamicSegment):
                yield from (vars(tag)["needed"] for tag in segment.iter_tags("DT_NEEDED"))


def _exists(root: Path, path: Path) -> bool:
    return (root / path).is_symlink() or (root / path).exists()


def _within(root: Path, path: Path) -> Path:
    """The file itself, where links are the guest's and not this machine's."""
    while (root / path).is_symlink():
        target = (root / path).readlink()
        path = _inside(target) if target.is_absolute() else path.parent / target
    return root / path


def _inside(path: Path) -> Path:
    """A path of the guest below its root."""
    return _merged(path).relative_to("/")


def _merged(path: Path) -> Path:
    return path if path.is_relative_to("/usr") else Path("/usr") / path.relative_to("/")


def all_files(names: Iterable[str], arch: Arch) -> dict[Path, Path]:
    """Files of several programs together, by their paths in the guest."""
    files: dict[Path, Path] = {}
    for name in names:
        files |= find(name, arch).files
    return files
