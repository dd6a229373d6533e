# SPDX-License-Identifier: GPL-2.0-only
"""The source tree that belongs to a kernel: Kconfig, scripts, and what headers leave out."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from pykit.errors import InfraError, UsageError
from pykit.kernels import debian, local, store
from pykit.kernels.catalog import SUITES
from pykit.kernels.model import Kernel, Progress, silent

#: What a tree needs for Kconfig to be parsed, scripts/kconfig to be built, checkpatch to
#: be run, and a vhost module to be built: 90 of 1,500 MB. All but the first are below the
#: top directory (tar's ``*`` matches slashes too).
_EVERYWHERE = "*/Kconfig*"
_PART = (
    "COPYING",
    "CREDITS",
    "Kbuild",
    "MAINTAINERS",
    "Makefile",
    "README",
    "scripts",
    "init",
    "include/linux",
    "include/uapi/linux",
    "arch/x86/Makefile*",
    "arch/x86/configs",
    "kernel/configs",
    "drivers/vhost",
)


def source_tree(kernel: Kernel, progress: Progress = silent) -> Path:
    """The kernel's source tree; for Debian's kernels a part of it, fetched on demand.

    The part has every Kconfig file, ``scripts/``, the top Makefile, ``init/`` and
    ``drivers/vhost/``. The first call downloads about 150 MB and takes 15 s.

    Returns: the tree's top directory.
    Raises: UsageError when a kernel came without its source; InfraError when Debian's
        cannot be fetched.
    """
    if kernel.origin in ("build", "source"):
        return _own_tree(kernel)
    if kernel.origin == "installed" and _is_tree(kernel.modules_dir / "source"):
        return (kernel.modules_dir / "source").resolve()
    version = _version(kernel)
    return _fetched(kernel, version, store.sources_dir() / version, _PART, progress)


def source_part(
    kernel: Kernel, names: tuple[str, ...], label: str, progress: Progress = silent
) -> Path:
    """Return a folder that has files and folders of the kernel's source, fetched on demand.

    ``names`` are paths below the top directory; ``label`` names the part in the cache.
    Raises: as `source_tree`.
    """
    if kernel.origin in ("build", "source"):
        return _own_tree(kernel)
    version = _version(kernel)
    return _fetched(kernel, version, store.sources_dir() / f"{version}.{label}", names, progress)


def whole_tree(kernel: Kernel, progress: Progress = silent) -> tuple[Path, str]:
    """The whole source of one of Debian's kernels, to build it from: 1.7 GB, 30 s.

    Returns: the tree's top directory, and Debian's version of it.
    Raises: as `source_tree`.
    """
    version = _version(kernel)
    folder = store.sources_dir() / f"{version}.whole"
    return _fetched(kernel, version, folder, None, progress), version


def _version(kernel: Kernel) -> str:
    fetched = debian.version_of(kernel.release) if kernel.origin == "debian" else None
    version = fetched[0] if fetched else local.debian_version(kernel)
    if version is None:
        raise UsageError(
            f"the source of {kernel.release} is unknown here (it is not Debian's): "
            "name its source or build directory with --kernel"
        )
    return version


def _own_tree(kernel: Kernel) -> Path:
    for tree in (kernel.build_dir, kernel.build_dir / "source"):
        if _is_tree(tree):
            return tree.resolve()
    raise UsageError(f"{kernel.build_dir} has no 'source' link to its source tree: run make there")


def _is_tree(path: Path) -> bool:
    return (path / "Kconfig").exists() and (path / "scripts").is_dir()


def _fetched(
    kernel: Kernel, version: str, final: Path, part: tuple[str, ...] | None, progress: Progress
) -> Path:
    """`final`, unpacked from Debian's archive unless it is there already."""
    if store.read_stamp(final) is None:
        _fetch(kernel.release, version, final, part, progress)
    return final


def _fetch(
    release: str, version: str, final: Path, part: tuple[str, ...] | None, progress: Progress
) -> None:
    package = "linux-source-" + ".".join(release.split("-")[0].split("+")[0].split(".")[:2])
    stamp = debian.version_of(release)
    suites = dict.fromkeys(([stamp[1]] if stamp else []) + list(SUITES))
    with store.locked(store.sources_dir(), progress):
        if store.read_stamp(final) is not None:
            return
        for suite in suites:
            with debian.archive(suite, store.sources_dir(), progress) as apt:
                found = apt.show(package, version) if apt else None
                if apt is None or found is None:
                    continue
                with store.temporary(final.parent) as work:
                    store.need_space(work, found.size + ((150 if part else 2000) << 20))
                    (deb,) = apt.download([found], work, progress)
                    progress(f"unpacking the source of {version}")
                    tree = work / "tree"
                    tree.mkdir()
                    _unpack(deb, [f"{package}/{name}" for name in part or ()], tree)
                    deb.unlink()
                    store.publish(tree, final, {"package": package, "version": version})
                return
    raise InfraError(
        f"Debian no longer has {package} {version}: take its newest kernel "
        "('pykit kernel get'), or name a source tree with --kernel"
    )


def _unpack(deb: Path, part: list[str], into: Path) -> None:
    """Unpack a linux-source package, or a part of it, streamed: the whole is 1.7 GB."""
    for tool in ("tar", "xz"):
        if not shutil.which(tool):
            raise InfraError(f"{tool} is not installed: see 'pykit doctor'")
    wanted = ["--wildcards", _EVERYWHERE, *part] if part else []
    stages = (
        ["dpkg-deb", "--fsys-tarfile", str(deb)],
        ["tar", "-xO", "--wildcards", "./usr/src/linux-source-*.tar.xz"],
        ["xz", "-dc", "-T0"],
        ["tar", "-x", "-C", str(into), "--strip-components=1", *wanted],
    )
    processes: list[subprocess.Popen[bytes]] = []
    try:
        source = None
        for stage in stages:
            last = stage is stages[-1]
            process = subprocess.Popen(
                stage,
                stdin=source or subprocess.DEVNULL,
                env=os.environ | {"LC_ALL": "C"},
                stdout=subprocess.DEVNULL if last else subprocess.PIPE,
                stderr=subprocess.PIPE if last else subprocess.DEVNULL,
            )
            processes.append(process)
            if source:
                source.close()
            source = process.stdout
        messages = processes[-1].communicate()[1].decode(errors="replace")
        codes = [process.wait() for process in processes]
    finally:
        for process in processes:
            process.kill()
    if store.is_no_space(messages):
        raise store.no_space(store.sources_dir())
    if any(codes):
        lines = messages.splitlines() or ["a stage failed"]
        raise InfraError(f"{deb.name} cannot be unpacked: {lines[0]}")
