# SPDX-License-Identifier: GPL-2.0-only
"""The direct runner's files: an uncompressed initramfs, and a disk with the host's programs.

The programs are not in the initramfs because fio alone drags 80 MB of libraries with it,
which cost 3.5 s of every boot to unpack; an NVMe disk gives only the pages that are used.
The disk depends on the programs alone and is kept in the cache. A machine that takes no such disk
has them in the initramfs all the same.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from pykit.arch import AMD64, Arch
from pykit.errors import InfraError
from pykit.guests.payload import Payload, compile_guest, copy_module, plain_name
from pykit.guests.programs import PATH, all_files, libraries
from pykit.kernels import Kernel, package
from pykit.modules import closure
from pykit.paths import AGENT, cache_dir, used

_DISK_MODULES = ("nvme", "ext4")


@dataclass(frozen=True)
class Initramfs:
    """What the direct runner boots with."""

    path: Path
    #: Disk image with the programs and their libraries, or None where none are needed.
    programs: Path | None

    @classmethod
    def make(cls, kernel: Kernel, payload: Payload) -> Initramfs:
        """Pack a payload; the result lies beside it."""
        root = payload.folder / "root"
        _put_payload(payload, root / "pykit")
        _put_init(root, payload.nonce, kernel.arch)
        programs = payload.scenario.programs
        disk = None
        if kernel.arch.other_pci:
            disk = put_programs(kernel, programs, root / "pykit")
        else:
            (root / "pykit" / "boot-modules").touch()
            if programs:
                _put_files(all_files(programs, kernel.arch), root / "programs")
        path = payload.folder / "initramfs.cpio"
        archive(root, path)
        return cls(path, disk)


def _put_payload(payload: Payload, inside: Path) -> None:
    for name in ("steps", "modules", "bin"):
        shutil.copytree(payload.folder / name, inside / name)
    for name in ("agent.sh", "lib.sh"):
        shutil.copy(payload.folder / name, inside)


def _put_init(root: Path, nonce: str, arch: Arch) -> None:
    """Put the first process into a guest's root, with busybox and where it meets the host."""
    (root / "bin").mkdir()
    shutil.copy(static_busybox(arch), root / "bin" / "busybox")
    shutil.copy(AGENT / "init.sh", root / "init")
    (root / "init").chmod(0o755)
    _put_nonce(root / "pykit", nonce, arch)


def _put_nonce(inside: Path, nonce: str, arch: Arch) -> None:
    (inside / "nonce").write_text(f"NONCE={nonce}\nPORT={arch.agent}\n")


@dataclass(frozen=True)
class TemplateInitramfs:
    """What a guest is booted with that single runs copy: nothing of a run, but what mounts a disk.

    Attributes:
        modules: that mount a disk with programs, in load order; none where no run brings any.
        key: what decides its content.
    """

    arch: Arch
    modules: tuple[Path, ...]
    key: tuple[str, ...]

    @classmethod
    def of(cls, kernel: Kernel, *, programs: bool) -> TemplateInitramfs:
        """For the copies of a kernel's guest, which bring programs or not.

        Raises InfraError without busybox or a compiler.
        """
        modules = closure(kernel, _DISK_MODULES) if programs else []
        files = [
            AGENT / "init.sh", AGENT / "lib.sh", static_busybox(kernel.arch),
            compile_guest("receive", kernel.arch), *modules,
        ]  # fmt: skip
        # A folder with modules of the user's has links to those of the kernel that stay.
        found = ((path.resolve(), path.stat()) for path in files)
        key = (f"{path} {status.st_size} {status.st_mtime_ns}" for path, status in found)
        return cls(kernel.arch, tuple(modules), tuple(key))

    def bring(self, payload: Payload) -> Initramfs:
        """Pack what a run brings into a copy, but for modules that are there."""
        inside = payload.folder / "brought" / "pykit"
        _put_payload(payload, inside)
        _put_nonce(inside, payload.nonce, self.arch)
        for module in self.modules:
            (inside / "modules" / plain_name(module.name)).unlink(missing_ok=True)
        programs = None
        if payload.scenario.programs:
            (inside / "programs").touch()
            programs = program_disk(payload.scenario.programs, self.arch)
        path = payload.folder / "brought.cpio"
        archive(inside.parent, path)
        return Initramfs(path, programs)

    def pack(self, path: Path, nonce: str) -> None:
        """Make the archive."""
        with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
            root = Path(temporary)
            inside = root / "pykit"
            for name in ("modules", "bin"):
                (inside / name).mkdir(parents=True)
            shutil.copy(AGENT / "lib.sh", inside)
            shutil.copy(compile_guest("receive", self.arch), inside / "bin" / "receive")
            _put_boot_modules(self.modules, inside)
            _put_init(root, nonce, self.arch)
            archive(root, path)


def archive(root: Path, path: Path) -> None:
    """Pack a folder; the same files make the same archive, by which a bundle is known.

    Raises:
        InfraError: cpio fails.
    """
    paths = sorted(root.rglob("*"))
    for file in paths:
        os.utime(file, (0, 0))
    names = [str(file.relative_to(root)) for file in paths]
    with path.open("wb") as output:
        done = subprocess.run(
            ["cpio", "--quiet", "--reproducible", "-o", "-H", "newc", "-R", "0:0"],
            input="\n".join(names).encode(),
            stdout=output,
            stderr=subprocess.PIPE,
            cwd=root,
            check=False,
        )
    if done.returncode != 0:
        raise InfraError(f"cpio failed: {done.stderr.decode(errors='replace').strip()}")


def put_programs(kernel: Kernel, programs: Collection[str], folder: Path) -> Path | None:
    """Return the disk with the host's programs; None without any.

    What the guest needs to mount it goes into ``folder``: modules, and their names in
    ``boot-modules``, in load order.
    """
    _put_boot_modules(closure(kernel, _DISK_MODULES) if programs else (), folder)
    if not programs:
        return None
    (folder / "programs").touch()
    return program_disk(programs, kernel.arch)


def _put_boot_modules(modules: Iterable[Path], folder: Path) -> None:
    names = []
    for module in modules:
        copy_module(module, folder / "modules")
        names.append(plain_name(module.name))
    (folder / "boot-modules").write_text("".join(f"{name}\n" for name in names))


def program_disk(programs: Iterable[str], arch: Arch = AMD64) -> Path:
    """An ext4 image of programs with the libraries they load, from the cache or made anew."""
    files = all_files(programs, arch)
    digest = hashlib.sha256()
    for name_in_guest, path in sorted(files.items()):
        status = path.stat()
        digest.update(f"{name_in_guest} {path} {status.st_size} {status.st_mtime_ns}\n".encode())
    folder = cache_dir() / "programs"
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / f"{digest.hexdigest()[:16]}.ext4"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not image.exists():
            _make_image(files, image)
        used(image)
    return image


def _put_files(files: dict[Path, Path], root: Path) -> None:
    """Make a tree of files by their paths in the guest, with the links that loaders go by."""
    for folder in ("usr/lib", "usr/lib64", "usr/bin", "usr/sbin"):
        (root / folder).mkdir(parents=True)
    for link in ("lib", "lib64"):
        (root / link).symlink_to(f"usr/{link}")
    for inside, path in files.items():
        target = root / inside.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def _make_image(files: dict[Path, Path], image: Path) -> None:
    with tempfile.TemporaryDirectory(dir=image.parent, prefix=".new-") as temporary:
        root = Path(temporary) / "root"
        _put_files(files, root)
        size = sum(path.stat().st_size for path in files.values())
        new = Path(temporary) / "image"
        done = subprocess.run(
            [
                shutil.which("mkfs.ext4", path=PATH) or "mkfs.ext4", "-q", "-O", "^has_journal",
                "-m", "0", "-E", "root_owner=0:0", "-d", root, new,
                f"{size * 5 // 4 // 1024 + 4096}k",
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise InfraError(f"mkfs.ext4 failed: {done.stderr.strip().splitlines()[-1:]}")
        new.replace(image)


def static_busybox(arch: Arch = AMD64) -> Path:
    """Return the host's busybox, or Debian's for another architecture.

    Raises InfraError without one that needs no libraries.
    """
    if arch != AMD64:
        return package("busybox-static", arch) / "usr/bin/busybox"
    found = shutil.which("busybox", path=PATH)
    if found is None:
        raise InfraError("busybox is not installed: make setup, or see pykit doctor")
    if libraries(Path(found)):
        raise InfraError(f"{found} needs libraries: install busybox-static instead of busybox")
    return Path(found)
