# SPDX-License-Identifier: GPL-2.0-only
"""Modules as they go into the guest."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from pykit.guests.payload import copy_module, without_signature

MODULE = b"\x7fELF" + bytes(range(200))


def signed(module: bytes, signature: bytes = b"s" * 300) -> bytes:
    trailer = bytes(8) + len(signature).to_bytes(4, "big")
    return module + signature + trailer + b"~Module signature appended~\n"


@pytest.mark.parametrize("data", [MODULE, signed(MODULE)], ids=["plain", "signed"])
def test_the_signature_goes(data: bytes) -> None:
    assert without_signature(data) == MODULE


def test_a_trailer_that_claims_more_than_there_is_stays() -> None:
    data = b"x~Module signature appended~\n"
    assert without_signature(data) == data


def test_copies_are_unpacked(tmp_path: Path) -> None:
    packed = tmp_path / "x.ko.xz"
    packed.write_bytes(lzma.compress(signed(MODULE)))
    target = tmp_path / "out"
    target.mkdir()
    copy_module(packed, target)
    assert (target / "x.ko").read_bytes() == MODULE
