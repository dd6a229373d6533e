# SPDX-License-Identifier: GPL-2.0-only
"""Types for drgn out of the BTF that a kernel has of itself in memory.

Distributions' kernels come without DWARF, but a dump of one holds all that is needed to read
it: kallsyms, vmlinux's BTF, and that of every module.
Source: Documentation/bpf/btf.rst and include/uapi/linux/btf.h.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from drgn import (
    Object,
    Program,
    Qualifiers,
    Type,
    TypeEnumerator,
    TypeKind,
    TypeKindSet,
    TypeMember,
    TypeParameter,
)
from drgn.helpers.linux.list import list_for_each_entry

_MAGIC = 0xEB9F

INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT = range(1, 12)
FUNC, FUNC_PROTO, VAR, DATASEC, FLOAT, DECL_TAG, TYPE_TAG, ENUM64 = range(12, 20)

#: Bytes behind a type's head: fixed, and for each of its parts.
_TAIL = {
    INT: (4, 0), PTR: (0, 0), ARRAY: (12, 0), STRUCT: (0, 12), UNION: (0, 12), ENUM: (0, 8),
    FWD: (0, 0), TYPEDEF: (0, 0), VOLATILE: (0, 0), CONST: (0, 0), RESTRICT: (0, 0),
    FUNC: (0, 0), FUNC_PROTO: (0, 8), VAR: (4, 0), DATASEC: (0, 12), FLOAT: (0, 0),
    DECL_TAG: (4, 0), TYPE_TAG: (0, 0), ENUM64: (0, 12),
}  # fmt: skip

_KINDS = {
    INT: TypeKind.INT, STRUCT: TypeKind.STRUCT, UNION: TypeKind.UNION, ENUM: TypeKind.ENUM,
    ENUM64: TypeKind.ENUM, TYPEDEF: TypeKind.TYPEDEF, FLOAT: TypeKind.FLOAT,
}  # fmt: skip

_QUALIFIERS = {
    VOLATILE: Qualifiers.VOLATILE,
    CONST: Qualifiers.CONST,
    RESTRICT: Qualifiers.RESTRICT,
}


class BtfError(Exception):
    """Damaged BTF, or of a kind that this reader does not know."""


class Btf:
    """One kernel's or module's types; a module's go on where vmlinux's (``base``) end."""

    def __init__(self, prog: Program, data: bytes, base: Btf | None = None) -> None:
        self._prog = prog
        self._base = base
        self._made: dict[int, Type] = {}
        try:
            magic, version, _, length, types_at, types_length, strings_at, strings_length = (
                struct.unpack_from("<HBBIIIII", data)
            )
            if magic != _MAGIC or version != 1:
                raise BtfError("no little-endian BTF of version 1")
            self._types = data[length + types_at : length + types_at + types_length]
            own = data[length + strings_at : length + strings_at + strings_length]
            self._strings: bytes = (base._strings if base else b"") + own
            self._first: int = base.end if base else 1
            self._at, self._names = self._index()
        except (struct.error, ValueError, KeyError) as error:
            raise BtfError("damaged BTF, or newer than this script") from error
        #: One more than the number of the last type.
        self.end: int = self._first + len(self._at)

    def find(self, kinds: TypeKindSet, name: str) -> Type | None:
        """A type by its name."""
        for kind, number in self._names.get(name, ()):
            if kind in kinds:
                return self.type(number)
        return None

    def type(self, number: int) -> Type:
        """A type by its number; 0 is void."""
        if number == 0:
            return self._prog.void_type()
        if self._base and number < self._first:
            return self._base.type(number)
        if number not in self._made:
            self._made[number] = self._make(number)
        return self._made[number]

    def _index(self) -> tuple[list[int], dict[str, list[tuple[TypeKind, int]]]]:
        """Where every type is, and the numbers of those with a name."""
        places: list[int] = []
        names: dict[str, list[tuple[TypeKind, int]]] = {}
        at = 0
        while at < len(self._types):
            name_at, info, _ = struct.unpack_from("<III", self._types, at)
            kind = info >> 24 & 0x1F
            if name_at and kind in _KINDS:
                entry = _KINDS[kind], self._first + len(places)
                names.setdefault(self._string(name_at), []).append(entry)
            places.append(at)
            fixed, each = _TAIL[kind]
            at += 12 + fixed + (info & 0xFFFF) * each
        return places, names

    def _string(self, at: int) -> str:
        return self._strings[at : self._strings.index(b"\0", at)].decode(errors="replace")

    def _make(self, number: int) -> Type:
        at = self._at[number - self._first]
        name_at, info, size = struct.unpack_from("<III", self._types, at)
        at += 12
        kind, count, flagged = info >> 24 & 0x1F, info & 0xFFFF, bool(info >> 31)
        name = self._string(name_at) if name_at else None
        prog = self._prog
        if kind == INT:
            encoding = struct.unpack_from("<I", self._types, at)[0] >> 24
            if encoding & 4:
                return prog.bool_type(name or "", size)
            return prog.int_type(name or "", size, bool(encoding & 1))
        if kind == FLOAT:
            return prog.float_type(name or "", size)
        if kind == PTR:
            return prog.pointer_type(self.type(size))
        if kind == ARRAY:
            element, _, length = struct.unpack_from("<III", self._types, at)
            return prog.array_type(self.type(element), length)
        if kind == STRUCT:
            return prog.struct_type(name, size, list(self._members(at, count, flagged)))
        if kind == UNION:
            return prog.union_type(name, size, list(self._members(at, count, flagged)))
        if kind == FWD:
            return prog.union_type(name) if flagged else prog.struct_type(name)
        if kind in (ENUM, ENUM64):
            return self._enum(name, size, at, count, wide=kind == ENUM64, signed=flagged)
        if kind == TYPEDEF:
            return prog.typedef_type(name or "", self.type(size))
        if kind in _QUALIFIERS:
            aliased = self.type(size)
            return aliased.qualified(aliased.qualifiers | _QUALIFIERS[kind])
        if kind == FUNC_PROTO:
            return self._function(size, at, count)
        if kind == TYPE_TAG:
            return self.type(size)
        raise BtfError(f"type {number} is of kind {kind}, which is no type of an object")

    def _members(self, at: int, count: int, flagged: bool) -> Iterator[TypeMember]:
        for place in range(at, at + 12 * count, 12):
            name_at, number, offset = struct.unpack_from("<III", self._types, place)
            bits, width = (offset & 0xFFFFFF, offset >> 24) if flagged else (offset, 0)
            name = self._string(name_at) if name_at else None
            yield TypeMember(self._member(number, width), name, bits)

    def _member(self, number: int, width: int) -> Callable[[], Type | Object]:
        """Made when it is looked at: structures point at each other."""
        if width:
            return lambda: Object(self._prog, self.type(number), bit_field_size=width)
        return lambda: self.type(number)

    def _enum(
        self, name: str | None, size: int, at: int, count: int, *, wide: bool, signed: bool
    ) -> Type:
        enumerators = []
        for number in range(count):
            if wide:
                name_at, low, high = struct.unpack_from("<III", self._types, at + 12 * number)
                value = high << 32 | low
                value -= (signed and value >> 63) << 64
            else:
                word = "<Ii" if signed else "<II"
                name_at, value = struct.unpack_from(word, self._types, at + 8 * number)
            enumerators.append(TypeEnumerator(self._string(name_at), value))
        compatible = self._prog.int_type("long" if wide else "int", size, signed)
        return self._prog.enum_type(name, compatible, enumerators)

    def _function(self, returns: int, at: int, count: int) -> Type:
        parts = [struct.unpack_from("<II", self._types, at + 8 * n) for n in range(count)]
        variadic = bool(parts) and parts[-1] == (0, 0)
        parameters = [
            TypeParameter(self._member(number, 0), self._string(name_at) if name_at else None)
            for name_at, number in (parts[:-1] if variadic else parts)
        ]
        return self._prog.function_type(self.type(returns), parameters, variadic)


def use(prog: Program) -> None:
    """Have ``prog`` find types in the kernel's own BTF, where nothing else has them.

    Raises: LookupError for a kernel without BTF, or without its symbols; BtfError.
    """
    start, stop = prog.symbol("__start_BTF").address, prog.symbol("__stop_BTF").address
    vmlinux = Btf(prog, prog.read(start, stop - start))
    prog.register_type_finder(
        "btf", lambda _, kinds, name, __: vmlinux.find(kinds, name), enable_index=-1
    )
    modules: list[Btf] = []

    def in_modules(_: Program, kinds: TypeKindSet, name: str, __: str | None) -> Type | None:
        if not modules:
            modules.extend(_modules(prog, vmlinux))
        found = (module.find(kinds, name) for module in modules)
        return next(filter(None, found), None)

    prog.register_type_finder("btf-modules", in_modules, enable_index=-1)


def _modules(prog: Program, vmlinux: Btf) -> Iterator[Btf]:
    """The BTF of each module that is loaded."""
    head = Object(prog, "struct list_head", address=prog.symbol("btf_modules").address)
    for module in list_for_each_entry("struct btf_module", head.address_of_(), "list"):
        data = prog.read(module.btf.data.value_(), module.btf.data_size.value_())
        yield Btf(prog, data, vmlinux)
