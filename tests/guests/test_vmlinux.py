# SPDX-License-Identifier: GPL-2.0-only
"""The kernel inside a bzImage."""

from __future__ import annotations

import gzip
import lzma
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pykit.guests import vmlinux
from pykit.kernels import Kernel
from pykit.kernels.bzimage import unpack

KERNEL = b"\x7fELF" + bytes(range(256)) * 40


def bzimage(packed: bytes) -> bytes:
    """A bzImage's header with a payload, as Documentation/arch/x86/boot.rst describes it."""
    setup = bytearray(512 * 3)
    setup[0x1F1] = 2
    setup[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", setup, 0x248, 16, len(packed) + 4)
    return bytes(setup) + b"\0" * 16 + packed + struct.pack("<I", len(KERNEL))


@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        lambda data: lzma.compress(data, check=lzma.CHECK_CRC32),
        lambda data: (
            subprocess.run(["zstd", "-cq"], input=data, capture_output=True, check=True).stdout
        ),
    ],
    ids=["gzip", "xz", "zstd"],
)
def test_unpack(pack: object) -> None:
    assert callable(pack)
    assert unpack(bzimage(pack(KERNEL))) == KERNEL


@given(st.binary(max_size=4096))
def test_what_is_no_bzimage_has_no_kernel(data: bytes) -> None:
    assert unpack(data) is None or data[0x202:0x206] == b"HdrS"


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    image, config = tmp_path / "vmlinuz", tmp_path / "config"
    image.write_bytes(bzimage(gzip.compress(KERNEL)))
    config.write_text("CONFIG_PVH=y\n")
    return Kernel("mine", "6.1.0", image, tmp_path, tmp_path, config, "build")


def test_an_image_without_a_pvh_entry_boots_as_it_is(kernel: Kernel) -> None:
    assert vmlinux.bootable(kernel) == kernel.image


@pytest.mark.parametrize("kasan", [False, True])
def test_a_kernel_with_kasan_boots_by_its_image(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch, kasan: bool
) -> None:
    monkeypatch.setattr(vmlinux, "_has_pvh_entry", lambda _: True)
    if kasan:
        kernel.config.write_text("CONFIG_PVH=y\nCONFIG_KASAN=y\n")
    assert (vmlinux.bootable(kernel) == kernel.image) == kasan
