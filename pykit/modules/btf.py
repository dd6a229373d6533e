# SPDX-License-Identifier: GPL-2.0-only
"""BTF, the kernel's type information, as far as sizes and member offsets of structures go.

Source: Documentation/bpf/btf.rst and include/uapi/linux/btf.h. A module's BTF is split: what
it has in common with vmlinux, strings too, is in vmlinux's alone.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

_MAGIC = 0xEB9F
_HEADER = "HBBIIIII"
_STRUCT = 4

#: Bytes behind a type's head: fixed, and for each of its ``vlen`` parts.
_TAIL: Mapping[int, tuple[int, int]] = {
    1: (4, 0),  # INT
    2: (0, 0),  # PTR
    3: (12, 0),  # ARRAY
    4: (0, 12),  # STRUCT
    5: (0, 12),  # UNION
    6: (0, 8),  # ENUM
    7: (0, 0),  # FWD
    8: (0, 0),  # TYPEDEF
    9: (0, 0),  # VOLATILE
    10: (0, 0),  # CONST
    11: (0, 0),  # RESTRICT
    12: (0, 0),  # FUNC
    13: (0, 8),  # FUNC_PROTO
    14: (4, 0),  # VAR
    15: (0, 12),  # DATASEC
    16: (0, 0),  # FLOAT
    17: (4, 0),  # DECL_TAG
    18: (0, 0),  # TYPE_TAG
    19: (0, 12),  # ENUM64
}


class BtfError(Exception):
    """Not BTF, or of a kind that this reader does not know; the message says what."""


def layouts(data: bytes, base: bytes = b"") -> dict[str, int]:
    """Sizes of structures ("name") and offsets of their members ("name.member"), in bytes.

    ``data`` is the contents of a .BTF section, ``base`` vmlinux's where ``data`` is a
    module's. Members without a name, and bit fields, are not in it.

    Raises BtfError.
    """
    try:
        order = "<" if struct.unpack_from("<H", data)[0] == _MAGIC else ">"
        _, types, strings = _parts(data, order)
        common = _parts(base, order)[2] if base else b""
        return dict(_structures(types, common + strings, order))
    except (struct.error, ValueError) as error:
        raise BtfError("damaged BTF") from error


def _parts(data: bytes, order: str) -> tuple[int, bytes, bytes]:
    """Length of the header, the types, the strings."""
    fields = struct.unpack_from(order + _HEADER, data)
    magic, version, _, length, type_at, type_length, string_at, string_length = fields
    if magic != _MAGIC or version != 1:
        raise BtfError("not BTF of version 1")
    types = data[length + type_at : length + type_at + type_length]
    strings = data[length + string_at : length + string_at + string_length]
    return length, types, strings


def _structures(types: bytes, strings: bytes, order: str) -> Iterator[tuple[str, int]]:
    at = 0
    while at < len(types):
        name_at, info, size = struct.unpack_from(order + "III", types, at)
        at += 12
        count, kind, flagged = info & 0xFFFF, info >> 24 & 0x1F, info >> 31
        if kind not in _TAIL:
            raise BtfError(f"a type of kind {kind}, which is not known")
        fixed, each = _TAIL[kind]
        name = _string(strings, name_at)
        if kind == _STRUCT and name:
            yield name, size
            for member in range(at, at + count * each, each):
                member_at, _, offset = struct.unpack_from(order + "III", types, member)
                bits, width = (offset & 0xFFFFFF, offset >> 24) if flagged else (offset, 0)
                own = _string(strings, member_at)
                if own and not width and bits % 8 == 0:
                    yield f"{name}.{own}", bits // 8
        at += fixed + count * each


def _string(strings: bytes, at: int) -> str:
    return strings[at : strings.index(b"\0", at)].decode(errors="replace") if at else ""
