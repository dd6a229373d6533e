# SPDX-License-Identifier: GPL-2.0-only
"""Check that a module was compiled with the kernel's own structures.

For structures of a header that is private to the kernel: nothing refuses a module that has
another version of them, and where the kernel compares no symbol versions nothing even could.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from pykit.errors import InfraError, UsageError
from pykit.kernels import Kernel
from pykit.kernels.bzimage import unpack
from pykit.modules.btf import BtfError, layouts
from pykit.modules.closure import closure, module_name
from pykit.modules.elf import ModuleFile, read_module

#: The module that defines the structures.
_OWNER = "vhost"


@dataclass(frozen=True)
class Compared:
    """The result of a comparison.

    Attributes:
        wrong: one line for each structure or member that is not where the module has it.
        note: what was compared, or why nothing was; empty where there is nothing to compare.
    """

    wrong: tuple[str, ...]
    note: str


def compare(module: ModuleFile, kernel: Kernel) -> Compared:
    """Hold a module's .pykit.layout against the BTF of the kernel's own vhost."""
    if not module.layout:
        return Compared((), "")
    try:
        theirs = _of(kernel)
    except (BtfError, InfraError, UsageError) as error:
        return Compared((), f"layout of structures not compared: {error}")
    known = {name: own for name, own in module.layout.items() if name in theirs}
    wrong = [_line(name, own, theirs[name]) for name, own in known.items() if theirs[name] != own]
    structures = {name for name in module.layout if "." not in name}
    wrong += [
        f"struct {name} is not in the kernel's {_OWNER}" for name in structures - theirs.keys()
    ]
    return Compared(tuple(wrong), f"{len(known)} sizes and offsets as in the kernel's {_OWNER}")


def _line(name: str, own: int, theirs: int) -> str:
    structure, _, member = name.partition(".")
    what = f"{member} at offset {own}" if member else f"{own} bytes"
    return f"its struct {structure} has {what}, the kernel's {_OWNER} {theirs}"


@lru_cache(maxsize=8)
def _of(kernel: Kernel) -> Mapping[str, int]:
    base = _vmlinux(kernel)
    for path in closure(kernel, [_OWNER]):
        if module_name(path.name) == _OWNER:
            own = read_module(path).btf
            if not own:
                raise BtfError(f"{path} has no BTF")
            return layouts(own, base)
    return layouts(base)


def _vmlinux(kernel: Kernel) -> bytes:
    """The .BTF of vmlinux: of the file where there is one, else of what the image holds."""
    file = kernel.build_dir / "vmlinux"
    try:
        if file.is_file():
            with file.open("rb") as stream:
                found = _section(ELFFile(stream))
        else:
            file = kernel.image
            vmlinux = unpack(file.read_bytes())
            found = _section(ELFFile(BytesIO(vmlinux))) if vmlinux else b""
    except (OSError, ELFError) as error:
        raise BtfError(f"{file} cannot be read: {error}") from error
    if not found:
        raise BtfError(f"{file} has no BTF")
    return found


def _section(elf: ELFFile) -> bytes:
    section = elf.get_section_by_name(".BTF")
    return bytes(section.data()) if section else b""
