# SPDX-License-Identifier: GPL-2.0-only
"""The archive in shared memory: whole, cut off, damaged, hostile."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pykit.guests import carried
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
    memory.write_bytes(
        archive({"tracing/per_cpu/cpu0/stats": b"one", "kallsyms": b""}).ljust(16384, b"\0")
    )
    assert unpack(memory, tmp_path / "out") == ["tracing/per_cpu/cpu0/stats", "kallsyms"]
    assert (tmp_path / "out/tracing/per_cpu/cpu0/stats").read_bytes() == b"one"
    assert (tmp_path / "out/kallsyms").read_bytes() == b""


def test_the_guest_program_writes_what_the_host_reads(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    with memory.open("wb") as file:
        file.truncate(1 << 20)
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 1000)
    done = subprocess.run(
        [compile_guest("carry"), memory],
        input=f"{source}\ttasks/1/status\n{tmp_path}/missing\tgone\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "missing" in done.stderr
    assert unpack(memory, tmp_path / "out") == ["tasks/1/status"]
    assert (tmp_path / "out/tasks/1/status").read_bytes() == source.read_bytes()


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


NAMES = (
    "../outside", "/etc/outside", "tracing/../../outside", "", ".", "tracing", "qemu.log",
    "qmp.json", "capture.json", "kallsyms/x", "tracing/events/header_page/x", "tasks/1",
    "tasks/1/status\0", "tasks/1/status\n", "x/" * 1500 + "status",
    "tracing/events/pykit/" + "x" * 300 + "/format", "tracing/events/pykit/../format",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_that_the_kit_does_not_give(tmp_path: Path, name: str) -> None:
    memory = tmp_path / "memory"
    memory.write_bytes(archive({"kallsyms": b"mine", name: b"x"}))
    (tmp_path / "out").mkdir()
    (tmp_path / "out/qemu.log").write_text("as QEMU logged it")
    with pytest.raises(CarryError, match="no part of a capture"):
        unpack(memory, tmp_path / "out")
    assert (tmp_path / "out/qemu.log").read_text() == "as QEMU logged it"
    assert {path.name for path in tmp_path.rglob("*")} <= {"memory", "out", "qemu.log", "kallsyms"}


def test_more_files_than_a_guest_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carried, "_MOST_FILES", 9)
    memory = tmp_path / "memory"
    memory.write_bytes(archive({f"tasks/{number}/status": b"" for number in range(10)}))
    with pytest.raises(CarryError, match="over 9 files"):
        unpack(memory, tmp_path / "out")


@settings(max_examples=200, deadline=None)
@given(
    cut=st.integers(0, 4340),
    flips=st.lists(st.tuples(st.integers(0, 4339), st.integers(1, 255)), max_size=4),
)
def test_damage_is_always_a_named_error(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flips: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("damage")
    whole = archive(
        {"tracing/per_cpu/cpu0/stats": b"content" * 20, "tracing/per_cpu/cpu1/stats": b"z" * 30}
    )
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
    assert names == ["tracing/per_cpu/cpu0/stats", "tracing/per_cpu/cpu1/stats"]
