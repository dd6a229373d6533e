# SPDX-License-Identifier: GPL-2.0-only
"""The archive in shared memory: whole, cut off, damaged, hostile."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pykit.guests.carried import MAGIC, CarryError, unpack
from pykit.guests.payload import compile_guest

HEAD = 4096


def archive(files: dict[str, bytes]) -> bytes:
    """What carry writes, by its own description."""
    records = b"".join(
        struct.pack("<I", len(name)) + name.encode() + struct.pack("<Q", len(data)) + data
        for name, data in files.items()
    )
    head = struct.pack("<QQQ", MAGIC, len(records), sum(records))
    return head.ljust(HEAD, b"\0") + records


def test_round_trip(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    memory.write_bytes(archive({"a/b": b"one", "empty": b""}).ljust(16384, b"\0"))
    assert unpack(memory, tmp_path / "out") == ["a/b", "empty"]
    assert (tmp_path / "out/a/b").read_bytes() == b"one"
    assert (tmp_path / "out/empty").read_bytes() == b""


def test_the_guest_program_writes_what_the_host_reads(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    with memory.open("wb") as file:
        file.truncate(1 << 20)
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 1000)
    done = subprocess.run(
        [compile_guest("carry"), memory],
        input=f"{source}\tinside/name\n{tmp_path}/missing\tgone\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "missing" in done.stderr
    assert unpack(memory, tmp_path / "out") == ["inside/name"]
    assert (tmp_path / "out/inside/name").read_bytes() == source.read_bytes()


def test_too_small_a_memory_leaves_no_head(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    with memory.open("wb") as file:
        file.truncate(8192)
    source = tmp_path / "source"
    source.write_bytes(b"x" * 10000)
    done = subprocess.run(
        [compile_guest("carry"), memory],
        input=f"{source}\tname\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    with pytest.raises(CarryError, match="nothing"):
        unpack(memory, tmp_path / "out")


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "a/../../outside"])
def test_names_that_lead_outside(tmp_path: Path, name: str) -> None:
    memory = tmp_path / "memory"
    memory.write_bytes(archive({name: b"x"}))
    with pytest.raises(CarryError, match="outside"):
        unpack(memory, tmp_path / "out")
    assert not (tmp_path / "outside").exists()


@settings(max_examples=200, deadline=None)
@given(
    cut=st.integers(0, 4300),
    flips=st.lists(st.tuples(st.integers(0, 4299), st.integers(1, 255)), max_size=4),
)
def test_damage_is_always_a_named_error(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flips: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("damage")
    whole = archive({"tracing/x": b"content" * 20, "tracing/y": b"z" * 30})
    data = bytearray(whole[: max(1, cut)])
    for at, value in flips:
        if at < len(data):
            data[at] ^= value
    memory = folder / "memory"
    memory.write_bytes(data)
    try:
        names = unpack(memory, folder / "out")
    except CarryError:
        return
    # Only bytes that the format does not use may have changed.
    assert names == ["tracing/x", "tracing/y"]
