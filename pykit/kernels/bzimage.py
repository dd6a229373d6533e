# SPDX-License-Identifier: GPL-2.0-only
"""The uncompressed kernel inside a bzImage.

Source: Documentation/arch/x86/boot.rst, the real-mode header.
"""

from __future__ import annotations

import lzma
import struct
import subprocess
import zlib

_SETUP_SECTORS = 0x1F1
_MAGIC = (0x202, b"HdrS")
_PAYLOAD = 0x248


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
