# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pykit.trace.access import _RECORD, Record, read_accesses
from pykit.trace.capture import Plug
from pykit.trace.errors import CaptureError

NUMBERS = {"vd0": 0}


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """A disk is found, set up and asked for its first requests: Linux 6.12, our driver."""
    source = Path(__file__).parent.parent / "data" / "access"
    return Path(shutil.copytree(source, tmp_path / "capture"))


def test_the_first_request(capture: Path) -> None:
    read = read_accesses(capture, NUMBERS, ())
    assert read.losses == ()
    ring = read.rows.filter(pl.col("kind") == "acc_ring")
    stores = ring.select("area", "slot", "field", "value", "size", "write", "symbol").head(6)
    function = "virtqueue_add_split+"
    # One indirect descriptor of three, then the entry, then the index that makes it visible.
    assert stores.rows() == [
        ("desc", 0, "addr", 194102656, 8, 1, function + "1722"),
        ("desc", 0, "flags", 4, 2, 1, function + "1725"),
        ("desc", 0, "len", 48, 4, 1, function + "1730"),
        ("desc", 0, "next", 1, 2, 1, function + "1737"),
        ("avail", 0, "ring", 0, 2, 1, function + "1442"),
        ("avail", None, "idx", 1, 2, 1, function + "1467"),
    ]
    assert set(ring["dev"]) == {0}
    assert set(ring["life"]) == {0}
    assert set(ring["vq"]) == {0, 1}
    assert read.rows["insns"].is_sorted()


def test_registers(capture: Path) -> None:
    registers = read_accesses(capture, NUMBERS, ()).rows.filter(pl.col("kind") == "acc_register")
    status = registers.filter(pl.col("offset") == 0x14, pl.col("write") == 1)
    # Reset, ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK; QEMU 7.2 gives no values.
    assert status.height == 5
    assert set(status["symbol"]) == {"iowrite8+13"}
    assert status["value"].null_count() == 5
    assert set(status["life"]) == {0}
    assert registers.filter(pl.col("vq") == 0)["offset"].unique().to_list() == [0x3000]


def test_before_the_plug_nothing_is_ours(capture: Path) -> None:
    times = read_accesses(capture, NUMBERS, ()).rows["ts"]
    plug = Plug("vd0", guest_ns=0, host_ns=int(times[100]))
    assert read_accesses(capture, NUMBERS, (plug,)).rows.height == len(times) - 100
    assert read_accesses(capture, {}, ()).rows.height == 0


def test_without_symbols(capture: Path) -> None:
    (capture / "kallsyms").unlink()
    assert read_accesses(capture, NUMBERS, ()).rows["symbol"].null_count() > 100


def test_damage(capture: Path) -> None:
    records, answers = capture / "access.bin", capture / "access.json"
    whole = records.read_bytes()
    records.write_bytes(whole[:-7])
    assert [loss.count for loss in read_accesses(capture, NUMBERS, ()).losses] == [1]
    lost = bytearray(48)
    lost[32], lost[40] = 9, 3
    records.write_bytes(whole + lost)
    assert [loss.count for loss in read_accesses(capture, NUMBERS, ()).losses] == [9]
    records.write_bytes(whole)
    answers.write_text(json.dumps(json.loads(answers.read_text())[:-1]))
    assert len(read_accesses(capture, NUMBERS, ()).losses) == 1
    answers.write_text("{")
    with pytest.raises(CaptureError):
        read_accesses(capture, NUMBERS, ())


@pytest.mark.parametrize(("flags", "vq"), [(3, 1), (1, None)])
def test_which_queue_an_mmio_device_is_notified_of(
    tmp_path: Path, flags: int, vq: int | None
) -> None:
    """The value says it, where QEMU gives values."""
    records = np.zeros(3, _RECORD)
    records["kind"] = Record.REGION, Record.RINGS, Record.REGISTER
    records[0:1].view("S48")[0] = b"virtio-mmio" + bytes(29) + bytes([Record.REGION])
    records[2] = (5, 9, 0, 0xFEB00250, 1, Record.REGISTER, 0, 4, flags, 0)
    (tmp_path / "access.bin").write_bytes(records.tobytes())
    area = {"device": "vd0", "address": 0xFEB00200, "bytes": 512}
    unmapped = {"device": "vd0", "address": -1, "bytes": 4096}
    registers = [unmapped, area]
    answer = {"devices": [{"device": "vd0", "status": 15}], "rings": [], "registers": registers}
    (tmp_path / "access.json").write_text(json.dumps([answer]))
    [row] = read_accesses(tmp_path, NUMBERS, ()).rows.iter_rows(named=True)
    assert (row["offset"], row["vq"], row["value"]) == (0x50, vq, 1 if vq else None)
