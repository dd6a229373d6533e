# SPDX-License-Identifier: GPL-2.0-only
"""Find the kernels of this machine: installed ones, and built trees."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Literal

from pykit.arch import AMD64, ARCHES, Arch
from pykit.errors import InfraError, UsageError
from pykit.kernels import store
from pykit.kernels.debian import run
from pykit.kernels.model import Kernel, Progress


def installed(release: str, root: Path = Path("/")) -> Kernel | None:
    """The installed kernel of that release, or None if it is not installed.

    Raises: UsageError when it is, but cannot be read or has no headers to build against.
    """
    modules = root / "lib/modules" / release
    images = [root / "boot" / f"vmlinuz-{release}", modules / "vmlinuz"]
    image = next((path for path in images if path.exists()), None)
    if image is None or not modules.is_dir():
        return None
    build = modules / "build"
    if not (build / "Makefile").exists():
        raise UsageError(
            f"kernel {release} is installed without its headers: install linux-headers-{release} "
            f"(Debian), kernel-devel-{release} (Fedora) or linux-headers (Arch)"
        )
    if not os.access(image, os.R_OK):
        raise UsageError(f"{image} cannot be read: sudo chmod +r {image}")
    configs = [root / "boot" / f"config-{release}", modules / "config", build / ".config"]
    return Kernel(
        name=release,
        release=release,
        image=image,
        modules_dir=modules,
        build_dir=build.resolve(),
        config=next((path for path in configs if path.exists()), configs[-1]),
        origin="installed",
    )


def installed_releases(root: Path = Path("/")) -> list[str]:
    """Releases with an image and modules on this machine, with or without headers."""
    modules = root / "lib/modules"
    folders = sorted(modules.iterdir()) if modules.is_dir() else []
    return [
        folder.name
        for folder in folders
        if (root / "boot" / f"vmlinuz-{folder.name}").exists() or (folder / "vmlinuz").exists()
    ]


def built(path: Path, progress: Progress) -> Kernel:
    """The kernel built in `path`, a source tree or a ``make O=`` directory.

    Its modules are not installed anywhere, so a folder in the cache gets links to them
    and a ``modules.dep``; it is made anew when the tree was built again.

    Raises: UsageError that says which part of a build is missing and how to make it.
    """
    path = path.resolve()
    arch = arch_of(path)
    _check_built(path, Path(arch.image))
    release = (path / "include/config/kernel.release").read_text(encoding="utf-8").strip()
    origin: Literal["build", "source"] = "source" if (path / "Kconfig").exists() else "build"
    return Kernel(
        name=str(path),
        release=release,
        image=path / arch.image,
        modules_dir=_modules_dir(path, release, arch, progress),
        build_dir=path,
        config=path / ".config",
        origin=origin,
        arch=arch,
    )


def arch_of(path: Path) -> Arch:
    """The architecture that a build directory is configured for; AMD64 where it is not yet."""
    try:
        config = (path / ".config").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return AMD64
    found = (arch for arch in ARCHES.values() if f"\nCONFIG_{arch.config}=y\n" in config)
    return next(found, AMD64)


def _check_built(path: Path, image: Path) -> None:
    if not path.is_dir():
        raise UsageError(f"{path} is not a directory: name the kernel's build directory")
    if not (path / ".config").exists():
        if (path / "Kconfig").exists():
            raise UsageError(
                f"{path} is a kernel source tree without a build: run make there first"
            )
        raise UsageError(
            f"{path} is no kernel build directory (no .config): name one, or a kernel of "
            "'pykit kernel list'"
        )
    for part in (image, Path("Module.symvers"), Path("include/config/kernel.release")):
        if (path / part).exists():
            continue
        # Packaged headers have everything but the image: their kernel has a name.
        if part == image and path.name.startswith("linux-headers-"):
            release = path.name.removeprefix("linux-headers-")
            raise UsageError(f"{path} holds headers only: use --kernel {release}")
        raise UsageError(f"{path} is not fully built ({part} is missing): run make there first")


def _modules_dir(path: Path, release: str, arch: Arch, progress: Progress) -> Path:
    """``…/lib/modules/<release>`` with links to a build's modules, and their index."""
    key = hashlib.sha256(str(path).encode()).hexdigest()[:16]
    folder = store.trees_dir() / key
    modules = folder / "lib/modules" / release
    state = {
        "path": str(path),
        "release": release,
        "built": [_mtime(path / name) for name in ("modules.order", arch.image)],
    }
    if store.read_stamp(folder) == state:
        return modules
    with store.locked(store.trees_dir(), progress), store.temporary(store.trees_dir()) as root:
        progress(f"indexing the modules of {path}")
        new = root / "root"
        target = new / "lib/modules" / release
        target.mkdir(parents=True)
        for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
            # depmod only warns about those that an all-built-in kernel does not have.
            text = (path / name).read_bytes() if (path / name).exists() else b""
            (target / name).write_bytes(text)
        for module in _module_files(path):
            link = target / "kernel" / module
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path / module)
        (target / "build").symlink_to(path)
        run(["depmod", "-b", str(new), release], folder.parent)
        store.publish(new, folder, state)
    return modules


def _module_files(path: Path) -> list[str]:
    """The build's modules, relative to `path`, as modules.order lists them."""
    order = path / "modules.order"
    if not order.exists():
        return []
    names = order.read_text(encoding="utf-8").split()
    # Up to 5.x every line begins with kernel/, and since 6.2 they are objects.
    files = [str(Path(name.removeprefix("kernel/")).with_suffix(".ko")) for name in names]
    missing = next((name for name in files if not (path / name).exists()), None)
    if missing:
        raise UsageError(f"{path} is not fully built ({missing} is missing): run make there first")
    return files


def _mtime(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def debian_version(kernel: Kernel) -> str | None:
    """The Debian version that an image's own banner names, or None for other kernels.

    Source: the x86 boot protocol: a pointer to the version string is at 0x20e of the
    image, counted from 0x200.
    """
    try:
        with kernel.image.open("rb") as image:
            image.seek(0x20E)
            offset = int.from_bytes(image.read(2), "little") + 0x200
            image.seek(offset)
            banner = image.read(256).split(b"\0")[0].decode("ascii", "replace")
    except OSError as error:
        raise InfraError(f"{kernel.image} cannot be read: {error.strerror}") from error
    words = banner.split()
    if "Debian" not in words[:-1]:
        return None
    return words[words.index("Debian") + 1]
