# SPDX-License-Identifier: GPL-2.0-only
"""What there is that a scenario can name, and whether its shell is one."""

from __future__ import annotations

import functools
import re
import subprocess
from collections.abc import Iterable

from pykit.errors import InfraError
from pykit.paths import PROGRAMS, ROOT
from pykit.qemu import program
from pykit.toml import Place, choice

_PARAMETER = re.compile(r"^module_param(?:_cb|_array|_named)?\((\w+)", re.MULTILINE)


@functools.cache
def modules() -> frozenset[str]:
    """Ours, for whatever kernel."""
    return frozenset(re.findall(r"\b(pykit_\w+)\.o\b", (ROOT / "Kbuild").read_text()))


@functools.cache
def guest_programs() -> frozenset[str]:
    """Ours, each of NAME.c and perhaps NAME_*.c."""
    names = {path.stem for path in PROGRAMS.glob("*.c")}
    return frozenset(n for n in names if not any(n.startswith(f"{other}_") for other in names))


@functools.cache
def shell_error(lines: str) -> str | None:
    """Why these are no lines of sh(1), and which of them; None where they are."""
    done = subprocess.run(["sh", "-n"], input=lines, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    found = re.search(r"(\d+): (.*)", done.stderr)
    return f"line {found[1]} of it: {found[2]}" if found else done.stderr.strip()


def device_error(device: str, options: Iterable[str]) -> tuple[Place, str] | None:
    """What QEMU does not know of a device, its type or an option, and what was meant.

    None where it knows all, and where there is no QEMU to be asked.
    """
    try:
        properties = program.properties(device)
        if properties is None:
            what = f"device of QEMU {program.version()}"
            there = program.devices()
            return ("type",), choice(device, there, what) if there else f"no {what} {device}"
    except InfraError:
        return None
    return _unknown(options, properties, f"option of {device}", ("options",))


def parameter_error(module: str, names: Iterable[str]) -> tuple[Place, str] | None:
    """The parameter that one of our modules does not take, and what was meant; or None.

    A kernel only logs that a module does not know it.
    """
    return _unknown(names, _parameters(module), f"parameter of {module}", ())


def _unknown(
    names: Iterable[str], there: frozenset[str], what: str, place: Place
) -> tuple[Place, str] | None:
    unknown = next((name for name in names if name not in there), None)
    return None if unknown is None else ((*place, unknown), choice(unknown, there, what))


@functools.cache
def _parameters(module: str) -> frozenset[str]:
    sources = (ROOT / "kernel" / module.removeprefix("pykit_")).glob("*.c")
    return frozenset(name for path in sources for name in _PARAMETER.findall(path.read_text()))
