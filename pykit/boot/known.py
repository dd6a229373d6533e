# SPDX-License-Identifier: GPL-2.0-only
"""What there is that a scenario can name, and whether its shell is one."""

from __future__ import annotations

import functools
import re
import subprocess
from collections.abc import Iterable

from pykit.boot import qemu
from pykit.errors import InfraError
from pykit.paths import GUEST, ROOT
from pykit.toml import choice

_PARAMETER = re.compile(r"^module_param(?:_cb|_array)?\((\w+)", re.MULTILINE)


def modules() -> frozenset[str]:
    """Ours, for whatever kernel."""
    return frozenset(re.findall(r"\b(pykit_\w+)\.o\b", (ROOT / "Kbuild").read_text()))


@functools.cache
def parameters(module: str) -> frozenset[str]:
    """What one of ours takes. A kernel only logs that a module does not know a parameter."""
    sources = (ROOT / "kernel" / module.removeprefix("pykit_")).glob("*.c")
    return frozenset(name for path in sources for name in _PARAMETER.findall(path.read_text()))


def guest_programs() -> frozenset[str]:
    """Ours, each of NAME.c and perhaps NAME_*.c."""
    names = {path.stem for path in GUEST.glob("*.c")}
    return frozenset(n for n in names if not any(n.startswith(f"{other}_") for other in names))


@functools.cache
def shell_error(lines: str) -> str | None:
    """Why these are no lines of sh(1), and which of them; None where they are."""
    done = subprocess.run(["sh", "-n"], input=lines, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    found = re.search(r"(\d+): (.*)", done.stderr)
    return f"line {found[1]} of it: {found[2]}" if found else done.stderr.strip()


def option_error(device: str, options: Iterable[str]) -> tuple[str | None, str] | None:
    """What QEMU does not know of a device: the option, or None for its type, and what was meant.

    None where it knows all, and where there is no QEMU to be asked.
    """
    try:
        properties = qemu.properties(device)
        if properties is None:
            what = f"device of QEMU {qemu.version()}"
            there = qemu.devices()
            return None, choice(device, there, what) if there else f"no {what} {device}"
    except InfraError:
        return None
    unknown = next((name for name in options if name not in properties), None)
    return (unknown, choice(unknown, properties, f"option of {device}")) if unknown else None
