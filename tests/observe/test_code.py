# SPDX-License-Identifier: GPL-2.0-only
"""What the access tracer knows of instructions (plugin/code*.c)."""

from __future__ import annotations

import ctypes
import subprocess

import pytest

from pykit.paths import ROOT

MEANINGS = ("forgets", "misses_rings", "writes_port")


class Code(ctypes.Structure):
    _fields_ = [(name, ctypes.c_bool) for name in MEANINGS]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    file = tmp_path_factory.mktemp("code") / "code.so"
    sources = [ROOT / "plugin" / name for name in ("code.c", "code_x86.c")]
    subprocess.run(["gcc", "-std=gnu11", "-shared", "-fPIC", "-o", file, *sources], check=True)
    return ctypes.CDLL(str(file))


def read(library: ctypes.CDLL, name: str, code: bytes, pc: int = 0) -> str:
    reader = library[f"code_of_{name}"]
    reader.restype = Code
    reader.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]
    found = reader(code, len(code), pc)
    return " ".join(name for name in MEANINGS if getattr(found, name))


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        (0xD508871F, "forgets"),  # tlbi vmalle1
        (0xD5088320, "forgets"),  # tlbi vae1is, x0
        (0xD5182000, "forgets"),  # msr ttbr0_el1, x0
        (0xD5182040, "forgets"),  # msr tcr_el1, x0
        (0xD5181000, "forgets"),  # msr sctlr_el1, x0
        (0xD53C1100, "forgets"),  # mrs x0, hcr_el2
        (0xD51E4000, "forgets"),  # msr spsr_el3, x0
        (0xD5381000, ""),  # mrs x0, sctlr_el1
        (0xD518C000, ""),  # msr vbar_el1, x0
        (0xD50B7E20, ""),  # dc civac, x0
        (0xD503201F, ""),  # nop
        (0xF9400020, ""),  # ldr x0, [x1]
    ],
)
def test_arm64(library: ctypes.CDLL, word: int, meaning: str) -> None:
    assert read(library, "arm64", word.to_bytes(4, "little")) == meaning


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        (0x12000073, "forgets"),  # sfence.vma
        (0x12B50073, "forgets"),  # sfence.vma a0, a1
        (0x16B50073, "forgets"),  # sinval.vma a0, a1
        (0x62B50073, "forgets"),  # hfence.gvma a0, a1
        (0x18051073, "forgets"),  # csrw satp, a0
        (0x68051073, "forgets"),  # csrw hgatp, a0
        (0x34021273, "forgets"),  # csrrw tp, mscratch, tp
        (0x30200073, "forgets"),  # mret
        (0x18002573, ""),  # csrr a0, satp
        (0x10200073, ""),  # sret
        (0x14021273, ""),  # csrrw tp, sscratch, tp
        (0xC0102573, ""),  # rdtime a0
        (0x00000073, ""),  # ecall
        (0x00053503, ""),  # ld a0, 0(a0)
    ],
)
def test_riscv64(library: ctypes.CDLL, word: int, meaning: str) -> None:
    assert read(library, "riscv64", word.to_bytes(4, "little")) == meaning


KERNEL = 0xFFFFFFFF81000000


@pytest.mark.parametrize(
    ("code", "pc", "meaning"),
    [
        ("0f22d8", 0, "forgets"),  # mov %rax, %cr3
        ("0f0138", 0, "forgets"),  # invlpg (%rax)
        ("660f388200", 0, "forgets"),  # invpcid (%rax), %rax
        ("50", 0, "misses_rings"),  # push %rax
        ("ef", 0, "writes_port"),  # out %eax, (%dx)
        ("4889442408", KERNEL, "misses_rings"),  # mov %rax, 8(%rsp)
        ("4889442408", 0, ""),
        ("65488b00", KERNEL, "misses_rings"),  # mov %gs:(%rax), %rax
        ("488b00", KERNEL, ""),  # mov (%rax), %rax
    ],
)
def test_x86(library: ctypes.CDLL, code: str, pc: int, meaning: str) -> None:
    assert read(library, "x86", bytes.fromhex(code), pc) == meaning


def test_other_machines_are_refused(library: ctypes.CDLL) -> None:
    library.code_choose.restype = ctypes.c_void_p
    assert library.code_choose(b"aarch64")
    assert not library.code_choose(b"s390x")
