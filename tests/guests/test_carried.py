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


def paged(files: dict[str, bytes], base: int, pages: int) -> tuple[bytes, int]:
    """The guest's memory of so many pages from ``base`` on, as ``carry --pages`` leaves it: pages
    and lists in no order, none at the begin. Returns it with the address of the first list.
    """
    data = archive(files)
    data = data.ljust(-len(data) // HEAD * -HEAD, b"\0")
    filled = [data[at : at + HEAD] for at in range(0, len(data), HEAD)]
    free = list(range(pages - 1, 0, -2)) + list(range(2, pages, 2))
    places = [free.pop() for _ in filled]
    lists = [places[at : at + 511] for at in range(0, len(places), 511)]
    at = [free.pop() for _ in lists]
    memory = bytearray(pages * HEAD)
    for place, page in zip(places, filled, strict=True):
        memory[place * HEAD : (place + 1) * HEAD] = page
    following = [base + place * HEAD for place in at[1:]] + [0]
    for place, mine, then in zip(at, lists, following, strict=True):
        words = [then, *(base + page * HEAD for page in mine)]
        struct.pack_into(f"<{len(words)}Q", memory, place * HEAD, *words)
    return bytes(memory), base + at[0] * HEAD


@pytest.mark.parametrize("base", [0, 0x40000000])
def test_pages_are_put_together(tmp_path: Path, base: int) -> None:
    files = {"kallsyms": bytes(range(256)) * 16 * 600, "record.dat": b"end"}
    memory, first = paged(files, base, 1000)
    (tmp_path / "memory").write_bytes(memory)
    carried.gather(tmp_path / "memory", base, first, tmp_path / "carry")
    assert unpack(tmp_path / "carry", tmp_path / "out") == list(files)
    assert (tmp_path / "out/kallsyms").read_bytes() == files["kallsyms"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([0, 64 * HEAD], "a page at 0x40000, where it has no memory"),
        ([0, 8 * HEAD - 1], "a page at 0x7fff, where it has no memory"),
        ([HEAD, HEAD, HEAD], "more pages than it has"),
    ],
)
def test_lists_of_pages_that_lead_nowhere(tmp_path: Path, words: list[int], message: str) -> None:
    page = struct.pack(f"<{len(words)}Q", *words).ljust(HEAD, b"\0")
    (tmp_path / "memory").write_bytes(bytes(HEAD) + page + bytes(6 * HEAD))
    with pytest.raises(CarryError, match=message):
        carried.gather(tmp_path / "memory", 0, HEAD, tmp_path / "carry")


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
