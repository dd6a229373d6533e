# SPDX-License-Identifier: GPL-2.0-only
"""What builds and runs guests of another architecture, from Debian, unpacked into the cache."""

from __future__ import annotations

from pathlib import Path

from pykit.arch import AMD64, Arch
from pykit.kernels.model import Progress, silent
from pykit.kernels.programs import PackagedProgram, unpacked, version_of
from pykit.paths import cache_dir

_SUITES = ("bookworm",)
#: The compiler that the kernels of the suite were built with.
_GCC = "gcc-12"


def compiler_version(arch: Arch) -> str:
    """Debian's version of the compiler in the cache; empty if it is not there."""
    return version_of(_compiler(arch), _place())


def compiler(arch: Arch, progress: Progress = silent) -> str:
    """What the names of an architecture's compiler and binutils begin with: CROSS_COMPILE.

    Empty for AMD64, whose are this machine's. The first call downloads 60 MB.

    Raises: InfraError when they cannot be had.
    """
    if arch == AMD64:
        return ""
    return str(unpacked(_compiler(arch), _place(), progress) / "usr/bin" / f"{arch.triple}-")


def _compiler(arch: Arch) -> PackagedProgram:
    triple, name = arch.triple, arch.name
    return PackagedProgram(
        f"{_GCC}-{name}",
        _SUITES,
        (
            f"{_GCC}-{triple}", f"{_GCC.replace('gcc', 'cpp')}-{triple}", f"binutils-{triple}",
            f"gcc-{triple}", f"libc6-dev-{name}-cross",
        ),
        alone=(f"linux-libc-dev-{name}-cross", f"{_GCC}-{triple}-base", f"{_GCC}-cross-base"),
    )  # fmt: skip


def package(name: str, arch: Arch, progress: Progress = silent) -> Path:
    """The folder of a package of an architecture with all libraries that it depends on.

    The first call downloads them. Raises: InfraError when they cannot be had.
    """
    wanted = PackagedProgram(f"{name}-{arch.name}", _SUITES, (name,), arch=arch)
    return unpacked(wanted, _place(), progress)


def _place() -> Path:
    return cache_dir().absolute() / "cross"
