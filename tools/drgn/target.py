# SPDX-License-Identifier: GPL-2.0-only
"""Opening a guest's memory with drgn: a vmcore, or a live QEMU by its QMP socket."""

from __future__ import annotations

import contextlib
import mmap
import re
from pathlib import Path

import btf
from drgn import FaultError, NoDefaultProgramError, Program, ProgramFlags, get_default_prog
from drgn.helpers.linux.kallsyms import load_vmlinux_kallsyms

#: The ELF note that the kernel keeps at the start of a page: sizes, type 0, name, first words.
_NOTE = re.compile(rb"\x0b\0\0\0(..\0\0)\0\0\0\0VMCOREINFO\0\0(?=OSRELEASE=)", re.DOTALL)
_CHUNK = 1 << 20
#: PCs have a hole in their memory below this.
_HIGH = 4 << 30


class TargetError(Exception):
    """It cannot be opened or read; the message says what to do."""


def open_target(name: str | None) -> Program:
    """The program of ``name``, a vmcore or a QMP socket; without one that of drgn's command line.

    Types and symbols are the kernel's own where it came without any. Raises TargetError.
    """
    prog = _named(Path(name)) if name else _drgns_own()
    if not prog.flags & ProgramFlags.IS_LINUX_KERNEL:
        raise TargetError(
            "no Linux kernel is seen in it: one that keeps VMCOREINFO (CONFIG_VMCORE_INFO) would be"
        )
    with contextlib.suppress(LookupError):
        prog.type("struct vring_virtqueue")
        return prog
    try:
        symbols = load_vmlinux_kallsyms(prog)
        prog.register_symbol_finder("kallsyms", symbols, enable_index=-1)
        btf.use(prog)
    except (LookupError, ValueError, btf.BtfError) as error:
        raise TargetError(
            f"the kernel does not bring its own types (CONFIG_DEBUG_INFO_BTF): {error}: "
            "give drgn its vmlinux with debug info (drgn -c VMCORE -s VMLINUX virtqueue.py)"
        ) from error
    return prog


def _drgns_own() -> Program:
    try:
        return get_default_prog()
    except NoDefaultProgramError:
        raise TargetError("name a vmcore, or the QMP socket of a running QEMU") from None


def _named(path: Path) -> Program:
    try:
        return _guest(path) if path.is_socket() else _vmcore(path)
    except OSError as error:
        raise TargetError(f"{path}: {error.strerror}") from error
    except (ValueError, FaultError) as error:
        raise TargetError(f"{path} is no vmcore that drgn can read: {error}") from error


# Of a guest without QEMU's vmcoreinfo device nobody has noted where its kernel says what it
# is; so it is looked for.


def _vmcore(path: Path) -> Program:
    prog = Program()
    try:
        prog.set_core_dump(path)
    except ValueError:
        note = _in_file(path)
        if note is None:
            raise
        prog = Program(vmcoreinfo=note)
        prog.set_core_dump(path)
    return prog


def _guest(path: Path) -> Program:
    prog = Program()
    prog.set_qemu_qmp(str(path))
    if not prog.flags & ProgramFlags.IS_LINUX_KERNEL:
        note = _in_guest(prog)
        if note is not None:
            prog.set_linux_kernel_custom(note, True)
    return prog


def _in_file(path: Path) -> bytes | None:
    """VMCOREINFO out of a vmcore."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
        found = _NOTE.search(memory)
        return memory[found.end() : found.end() + _size(found)] if found else None


def _in_guest(prog: Program) -> bytes | None:
    """VMCOREINFO out of a guest's memory."""
    for start in (0, _HIGH):
        at = start
        with contextlib.suppress(FaultError):
            while True:
                found = _NOTE.search(prog.read(at, _CHUNK, physical=True))
                if found:
                    note: bytes = prog.read(at + found.end(), _size(found), physical=True)
                    return note
                at += _CHUNK
    return None


def _size(found: re.Match[bytes]) -> int:
    return int.from_bytes(found[1], "little")
