# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's log, read along: what is kept, what is given back, what happens on a full disk."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pykit.errors import InfraError
from pykit.guests import tracelog
from pykit.guests.tracelog import TraceLog


def wait_for_error(log: TraceLog) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        log.check()
        time.sleep(0.01)


def test_log_without_the_rest(tmp_path: Path) -> None:
    """Kept and dropped lines, a line in two writes, and one without an end."""
    source = tmp_path / "source"
    with TraceLog(source, tmp_path / "log"), source.open("wb", buffering=0) as writer:
        writer.write(b"1@1.0:memory_region_ops_read name 'acpi-tmr'\n1@1.0:virtio_set_st")
        writer.write(b"atus vdev 0x1 val 1\n1@1.0:memory_region_ops_read ")
        writer.write(b"name 'virtio-pci-isr-virtio-blk'\n1@1.0:virtqueue_po")
    assert (tmp_path / "log").read_bytes() == (
        b"1@1.0:virtio_set_status vdev 0x1 val 1\n1@1.0:virtqueue_po"
    )


@pytest.mark.parametrize("made", [False, True])
def test_log_that_nothing_is_written_to(tmp_path: Path, made: bool) -> None:
    if made:
        (tmp_path / "source").touch()
    with TraceLog(tmp_path / "source", tmp_path / "log"):
        pass
    assert (tmp_path / "log").read_bytes() == b""


def test_what_was_read_takes_no_space(tmp_path: Path) -> None:
    source, line = tmp_path / "source", b"1@1.0:memory_region_ops_read name 'acpi-tmr'\n"
    with TraceLog(source, tmp_path / "log"), source.open("wb", buffering=0) as writer:
        for _ in range(100):
            writer.write(line * 2000)
        writer.write(b"1@1.0:virtqueue_pop\n")
        end = time.monotonic() + 10
        while not (tmp_path / "log").stat().st_size and time.monotonic() < end:
            time.sleep(0.01)
    assert source.stat().st_size > 100 * 2000 * len(line)
    assert source.stat().st_blocks * 512 < 1 << 16
    assert (tmp_path / "log").read_bytes() == b"1@1.0:virtqueue_pop\n"


def test_a_full_disk_is_one_error_and_the_writer_goes_on(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to("/dev/full")
    source = tmp_path / "source"
    log = TraceLog(source, tmp_path / "log")
    log.__enter__()
    with source.open("wb", buffering=0) as writer:
        writer.write(b"1@1.0:virtqueue_pop\n")
        with pytest.raises(InfraError, match=r"log: No space left on device: free some space"):
            wait_for_error(log)
        assert writer.write(b"1@1.0:virtqueue_pop\n" * 100_000) == 2_000_000
    with pytest.raises(InfraError):
        log.__exit__(None, None, None)


def test_an_error_of_the_block_is_the_one_that_is_raised(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to("/dev/full")
    (tmp_path / "source").write_bytes(b"1@1.0:virtqueue_pop\n")
    with (
        pytest.raises(ValueError, match="mine"),
        TraceLog(tmp_path / "source", tmp_path / "log"),
    ):
        raise ValueError("mine")


def test_no_space_for_qemus_own_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracelog, "free_bytes", lambda _: 0)
    (tmp_path / "source").write_bytes(b"1@1.0:virtqueue_pop\n" * 1000)
    with (
        pytest.raises(InfraError, match="TMPDIR"),
        TraceLog(tmp_path / "source", tmp_path / "log") as log,
    ):
        wait_for_error(log)
