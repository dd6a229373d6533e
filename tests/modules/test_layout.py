# SPDX-License-Identifier: GPL-2.0-only
"""Structures of a private header: what the module has against what the kernel has."""

from __future__ import annotations

import contextlib
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pykit.errors import InfraError
from pykit.kernels import Kernel
from pykit.modules import inspect
from pykit.modules.btf import BtfError, layouts

from .conftest import compile_module, source


def _strings(names: list[str]) -> tuple[bytes, dict[str, int]]:
    data, where = b"\0", {"": 0}
    for name in names:
        where[name] = len(data)
        data += name.encode() + b"\0"
    return data, where


def encode(
    structures: Mapping[str, tuple[int, Mapping[str, int]]], base: bytes = b"", order: str = "<"
) -> bytes:
    """BTF of structures (size, offsets of the members), behind an int and a function type.

    Names that ``base``'s strings have are taken from there, as pahole does it.
    """
    common = base[24:] if base else b""
    names = [n for name, (_, members) in structures.items() for n in (name, *members)]
    own, where = _strings([name for name in names if f"\0{name}\0".encode() not in common])

    def place(name: str) -> int:
        shared = common.find(f"\0{name}\0".encode()) + 1 if name else 0
        return shared or (len(common) + where[name] if name else 0)

    types = struct.pack(order + "IIII", 0, 1 << 24, 4, 32)  # int
    types += struct.pack(order + "III2I", 0, 13 << 24 | 1, 0, 0, 1)  # function with a parameter
    for name, (size, members) in structures.items():
        types += struct.pack(order + "III", place(name), 4 << 24 | len(members), size)
        for member, offset in members.items():
            types += struct.pack(order + "III", place(member), 1, offset * 8)
    head = struct.pack(order + "HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(own))
    return head + types + own


def strings_only(names: list[str]) -> bytes:
    """vmlinux's BTF with no types, so that its strings stand right behind the header."""
    data, _ = _strings(names)
    return struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 0, 0, len(data)) + data


def with_section(path: Path, data: bytes, name: str = ".BTF") -> Path:
    raw = path.with_suffix(".raw")
    raw.write_bytes(data)
    command = ["objcopy", "--remove-section", name, "--add-section", f"{name}={raw}", str(path)]
    subprocess.run(command, check=True)
    return path


def entries(layout: Mapping[str, int]) -> bytes:
    return b"".join(struct.pack("<56sQ", name.encode(), value) for name, value in layout.items())


LAYOUT = {"vhost_dev": 8, "vhost_dev.mm": 0, "vhost_virtqueue": 16, "vhost_virtqueue.num": 8}
THEIRS = {"vhost_dev": (8, {"mm": 0}), "vhost_virtqueue": (16, {"dev": 0, "num": 8})}


@pytest.fixture
def vhost_kernel(kernel: Kernel) -> Kernel:
    """The kernel in miniature, with a vhost.ko and a vmlinux that have BTF."""
    base = strings_only(["mm", "dev"])
    own = compile_module(source(), kernel.modules_dir / "kernel/drivers/vhost/vhost.ko")
    with_section(own, encode(THEIRS, base))
    with_section(compile_module("int x;", kernel.build_dir / "vmlinux"), base)
    dep = kernel.modules_dir / "modules.dep"
    dep.write_text(dep.read_text() + f"{own.relative_to(kernel.modules_dir)}:\n")
    for name in ("modules.alias", "modules.builtin", "modules.softdep"):
        (kernel.modules_dir / name).touch()
    return kernel


def module(tmp_path: Path, layout: Mapping[str, int]) -> Path:
    path = compile_module(source(), tmp_path / "set/pykit_vhost.ko")
    return with_section(path, entries(layout), ".pykit.layout")


def test_the_same_layout(vhost_kernel: Kernel, tmp_path: Path) -> None:
    found = inspect(module(tmp_path, LAYOUT), vhost_kernel)
    assert found.problems() == ()
    assert "4 sizes and offsets as in the kernel's vhost" in found.summary()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("vhost_virtqueue", 24, "its struct vhost_virtqueue has 24 bytes, the kernel's vhost 16"),
        (
            "vhost_virtqueue.num",
            12,
            "its struct vhost_virtqueue has num at offset 12, the kernel's vhost 8",
        ),
        ("vhost_worker", 8, "struct vhost_worker is not in the kernel's vhost"),
    ],
)
def test_another_layout(
    vhost_kernel: Kernel, tmp_path: Path, name: str, value: int, says: str
) -> None:
    found = inspect(module(tmp_path, LAYOUT | {name: value}), vhost_kernel)
    assert len(found.problems()) == 1
    assert says in found.problems()[0]
    assert "build it with the vhost.h of 6.99.0-test" in found.problems()[0]
    with pytest.raises(InfraError):
        found.require()


def test_without_btf_it_says_so(vhost_kernel: Kernel, tmp_path: Path) -> None:
    compile_module(source(), vhost_kernel.modules_dir / "kernel/drivers/vhost/vhost.ko")
    found = inspect(module(tmp_path, LAYOUT), vhost_kernel)
    assert found.problems() == ()
    assert "layout of structures not compared: " in found.summary()
    assert "vhost.ko has no BTF" in found.summary()


def test_modules_without_a_layout_are_not_compared(vhost_kernel: Kernel, tmp_path: Path) -> None:
    found = inspect(compile_module(source(), tmp_path / "set/other.ko"), vhost_kernel)
    assert (found.problems(), found.layout) == ((), "")


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders(order: str) -> None:
    found = layouts(encode(THEIRS, order=order))
    assert found == {
        "vhost_dev": 8,
        "vhost_dev.mm": 0,
        "vhost_virtqueue": 16,
        "vhost_virtqueue.dev": 0,
        "vhost_virtqueue.num": 8,
    }


def test_unknown_kinds_are_not_guessed() -> None:
    data = bytearray(encode(THEIRS))
    struct.pack_into("<I", data, 24 + 4, 31 << 24)
    with pytest.raises(BtfError, match="kind 31"):
        layouts(bytes(data))


@given(st.data())
def test_damage_is_an_error_or_another_answer(data: st.DataObject) -> None:
    whole = bytearray(encode(THEIRS))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    with contextlib.suppress(BtfError):
        layouts(bytes(whole[:cut]))
