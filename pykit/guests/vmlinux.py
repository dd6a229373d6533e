# SPDX-License-Identifier: GPL-2.0-only
"""The uncompressed kernel inside a bzImage: QEMU starts it by its PVH entry.

A guest under TCG takes two seconds to decompress itself, the host a tenth, and once.
"""

from __future__ import annotations

import hashlib
import os
import struct
from io import BytesIO
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import NoteSegment

from pykit.arch import AMD64
from pykit.kconfig.fragments import read_config
from pykit.kernels import Kernel
from pykit.kernels.bzimage import unpack
from pykit.paths import cache_dir

_XEN_PHYS32_ENTRY = "18"


def bootable(kernel: Kernel) -> Path:
    """The fastest file to boot a kernel with: its image's own vmlinux, or its image.

    The image where it has no PVH entry or is packed in a way that is not known. With KASAN, too:
    that entry of 6.1 calls C that looks into shadow memory before there is any, and the guest is
    gone without a word (arch/x86/platform/pvh/enlighten.c).
    Other architectures than AMD64 boot from their image, too.
    The answer is kept in the cache as long as the image does not change.
    """
    image = kernel.image
    if kernel.arch != AMD64 or read_config(kernel.config).get("KASAN") == "y":
        return image
    status = image.stat()
    key = f"{image.resolve()} {status.st_size} {status.st_mtime_ns}"
    folder = cache_dir() / "vmlinux"
    kept = folder / hashlib.sha256(key.encode()).hexdigest()[:16]
    if not kept.exists():
        unpacked = unpack(image.read_bytes())
        if unpacked is None or not _has_pvh_entry(unpacked):
            return image
        folder.mkdir(parents=True, exist_ok=True)
        new = kept.with_suffix(f".{os.getpid()}")
        new.write_bytes(unpacked)
        new.replace(kept)
    return kept


def _has_pvh_entry(kernel: bytes) -> bool:
    try:
        segments = ELFFile(BytesIO(kernel)).iter_segments()
        return any(
            note["n_name"] == "Xen" and str(note["n_type"]) == _XEN_PHYS32_ENTRY
            for segment in segments
            if isinstance(segment, NoteSegment)
            for note in segment.iter_notes()
        )
    except (ELFError, ValueError, KeyError, struct.error):
        return False
