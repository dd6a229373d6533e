# SPDX-License-Identifier: GPL-2.0-only
"""Which accelerator boots a guest here: found out by booting one."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Literal

from pykit.arch import AMD64, Arch
from pykit.paths import cache_dir
from pykit.qemu import program
from pykit.qemu.keeper import Keeper

Accelerator = Literal["kvm", "tcg"]

_DEVICE = Path("/dev/kvm")
_DEADLINE_S = 10.0


def probe(image: Path, arch: Arch = AMD64) -> Accelerator:
    """ "kvm" where a guest with it reaches its first line, else "tcg".

    /dev/kvm that can be opened proves nothing: on nested hosts the guest may abort or stand
    still. The answer is kept for this host kernel, QEMU and device. ``arch`` is the image's; of
    another architecture than AMD64 all guests run under TCG.
    """
    if arch != AMD64 or not os.access(_DEVICE, os.R_OK | os.W_OK):
        return "tcg"
    key = f"{platform.release()} {program.version()} {_DEVICE.stat().st_rdev}"
    cache = cache_dir() / "accelerator.json"
    try:
        known = json.loads(cache.read_text())
        if known["key"] == key:
            return "kvm" if known["kvm"] else "tcg"
    except (OSError, ValueError, KeyError, TypeError):
        pass  # never probed, or not by this version
    boots = _boots(image, "kvm")
    cache.parent.mkdir(parents=True, exist_ok=True)
    new = cache.with_suffix(f".{os.getpid()}")
    new.write_text(json.dumps({"key": key, "kvm": boots}))
    new.replace(cache)
    return "kvm" if boots else "tcg"


def _boots(image: Path, accelerator: Accelerator) -> bool:
    """Does a kernel come as far as missing its root filesystem?"""
    command = [
        program.find()[0], "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-M", "q35", *program.cpu_options(accelerator), "-m", "256",
        "-kernel", str(image), "-append", "console=ttyS0 panic=-1",
        "-serial", "stdio",
    ]  # fmt: skip
    with Keeper() as keeper:
        console = keeper.folder / "console"
        with console.open("wb") as output:
            process = keeper.start(command, output)
            end = time.monotonic() + _DEADLINE_S
            while time.monotonic() < end:
                if b"Unable to mount root fs" in console.read_bytes():
                    return True
                try:
                    process.wait(timeout=0.1)
                except subprocess.TimeoutExpired:
                    continue
                break
        return b"Unable to mount root fs" in console.read_bytes()
