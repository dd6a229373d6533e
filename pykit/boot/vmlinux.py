# SPDX-License-Identifier: GPL-2.0-only
"""The uncompressed kernel inside a bzImage: QEMU starts it by its PVH entry.

A guest under TCG takes two seconds to decompress itself, the host a tenth, and once.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import struct
import subprocess
import zlib
from io import BytesIO
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import NoteSegment

from pykit.paths import cache_dir

# Documentation/arch/x86/boot.rst: real-mode header of a bzImage.
_SETUP_SECTORS = 0x1F1
_MAGIC = (0x202, b"HdrS")
_PAYLOAD = 0x248
_XEN_PHYS32_ENTRY = "18"


def bootable(image: Path) -> Path:
    """The fastest file to boot ``image`` with: its own vmlinux, or itself.

    Itself where the kernel has no PVH entry or is packed in a way that is not known.
    The answer is kept in the cache as long as the image does not change.
    """
    status = image.stat()
    key = f"{image.resolve()} {status.st_size} {status.st_mtime_ns}"
    folder = cache_dir() / "vmlinux"
    kept = folder / hashlib.sha256(key.encode()).hexdigest()[:16]
    if not kept.exists():
        kernel = unpack(image.read_bytes())
        if kernel is None or not _has_pvh_entry(kernel):
            return image
        folder.mkdir(parents=True, exist_ok=True)
        new = kept.with_suffix(f".{os.getpid()}")
        new.write_bytes(kernel)
        new.replace(kept)
    return kept


def unpack(image: bytes) -> bytes | None:
    """The ELF file in a bzImage, or None where it cannot be found."""
    at, magic = _MAGIC
    if image[at : at + 4] != magic or len(image) < _PAYLOAD + 8:
        return None
    offset, length = struct.unpack_from("<II", image, _PAYLOAD)
    start = ((image[_SETUP_SECTORS] or 4) + 1) * 512 + offset
    packed = image[start : start + length]
    try:
        if packed.startswith(b"\xfd7zXZ\0"):
            return lzma.LZMADecompressor().decompress(packed)
        if packed.startswith(b"\x1f\x8b"):
            return zlib.decompressobj(wbits=31).decompress(packed)
    except (lzma.LZMAError, zlib.error):
        return None
    if packed.startswith(b"\x28\xb5\x2f\xfd"):
        # The build appends the unpacked size, four bytes that are no zstd.
        try:
            done = subprocess.run(
                ["zstd", "-dcq"], input=packed[:-4], capture_output=True, check=False
            )
        except FileNotFoundError:
            return None
        return done.stdout if done.returncode == 0 else None
    return None


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
