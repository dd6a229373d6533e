# SPDX-License-Identifier: GPL-2.0-only
"""Make the recorder: one static program that records virtio drivers by BPF, without a module."""

from __future__ import annotations

import shutil
from pathlib import Path

from pykit.compiler import compile_once
from pykit.errors import InfraError
from pykit.paths import ROOT, require_empty

_SOURCES = ROOT / "record"
#: Where Debian has asm/types.h; other distributions have it in /usr/include itself.
_ASM = Path("/usr/include/x86_64-linux-gnu")
_BPF_FLAGS = (
    "-target", "bpf", "-mcpu=v3", "-O2", "-g", "-D__TARGET_ARCH_x86", "-Wall", "-Wextra", "-Werror",
    "-Wno-unused-parameter", "-Wno-sign-compare", "-c",
    *((f"-I{_ASM}",) if _ASM.is_dir() else ()),
)  # fmt: skip
_FLAGS = ("-std=gnu11", "-O2", "-static", "-s", "-Wall", "-Wextra", "-Werror")
_LIBRARIES = ("-lbpf", "-lelf", "-lz")

#: The program's name in the bundle.
PROGRAM = "pykit-record"

_README = """\
Records what the virtio drivers of this machine do to their queues: x86-64, Linux 5.18 or later
with BTF, root, no module. Seen to work on Debian's 6.1, 6.12 and 7.2, with lockdown=integrity too.

  ./pykit-record -o FILE            until Ctrl-C
  ./pykit-record -o FILE COMMAND    until COMMAND ends
  ./pykit-record --watch            print what each queue does, every second, too

To have the negotiation of a device too, unbind and bind it meanwhile:

  echo virtio1 > /sys/bus/virtio/drivers/virtio_blk/unbind
  echo virtio1 > /sys/bus/virtio/drivers/virtio_blk/bind

Judge the file on any machine: pykit check FILE
"""


def compile_recorder() -> Path:
    """Return the program, compiled once for each content of ``record/``.

    Raises:
        InfraError: no compiler, or its first complaint.
    """
    headers = sorted(_SOURCES.rglob("*.h"))
    programs = compile_once(
        "record/bpf/", "record", "record.bpf.o", [_SOURCES / "bpf" / "record.bpf.c"], headers,
        _BPF_FLAGS, compiler="clang",
    )  # fmt: skip
    # The name of the object file has the hash of its sources in it.
    flags = (*_FLAGS, f'-DBPF_OBJECT="{programs}"')
    sources = sorted(_SOURCES.glob("*.c"))
    return compile_once("record/", "record", PROGRAM, sources, headers, flags, libraries=_LIBRARIES)


def make_bundle(to: Path) -> Path:
    """Write the program and a page on its use to a new directory; return the program's path.

    Raises:
        UsageError: the directory is there and not empty.
        InfraError: the program does not compile.
    """
    require_empty(to)
    program = compile_recorder()
    try:
        to.mkdir(parents=True, exist_ok=True)
        (to / "README").write_text(_README)
        return Path(shutil.copy(program, to / PROGRAM))
    except OSError as error:
        raise InfraError(f"{to} cannot be written: {error.strerror}: name another") from error
