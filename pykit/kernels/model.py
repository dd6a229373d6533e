# SPDX-License-Identifier: GPL-2.0-only
"""The kernel type that all other packages use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pykit.arch import AMD64, Arch

#: Takes one line about what is being done; the default of every function prints nothing.
Progress = Callable[[str], None]


def silent(_line: str) -> None:
    """Ignore progress."""


@dataclass(frozen=True)
class Kernel:
    """A kernel that can be booted and that modules can be built for.

    Attributes:
        name: what it was asked for as: "debian-6.12", a release, or a path.
        release: what ``uname -r`` prints in it; also the module vermagic's first word.
        image: what is booted: a bzImage, or the like of another architecture.
        modules_dir: ``…/lib/modules/<release>``, with ``modules.dep``.
        build_dir: what ``make -C`` takes to build modules (KDIR).
        config: its ``.config``.
        origin: unpacked from Debian, installed on this machine, built in its own source
            tree ("source") or built beside it ("build", ``make O=``).
        arch: its architecture.
    """

    name: str
    release: str
    image: Path
    modules_dir: Path
    build_dir: Path
    config: Path
    origin: Literal["debian", "installed", "build", "source"]
    arch: Arch = AMD64
