# SPDX-License-Identifier: GPL-2.0-only
"""Register accesses in QEMU's log: what two firmwares did, and what one log cannot show."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import polars as pl
import pytest

from pykit import spec, steps, trace
from pykit.errors import Exit
from pykit.trace.qemu import read_log

DATA = Path(__file__).parents[1] / "data"
SEABIOS = DATA / "qemu-7.2-seabios.log"
UBOOT = DATA / "qemu-7.2-uboot-legacy.log"
VDEV = 0x5566F207D600


def reported(log: Path, kind: str, *columns: str) -> list[tuple[object, ...]]:
    rows = read_log(log, None).rows.filter(kind=kind, source="registers")
    return rows.select(columns).rows()


def test_modern_negotiation() -> None:
    """By hand from the log."""
    assert reported(SEABIOS, "status", "status", "op", "life") == [
        (0, 2, None), (3, 0, 0), (11, 0, 0), (11, 1, 0), (15, 0, 0),
    ]  # fmt: skip
    assert reported(SEABIOS, "features", "offered", "acked") == [(0x101_3000_6E54, 0x1_0000_0044)]
    assert reported(SEABIOS, "config", "offset", "len", "value", "write")[:2] == [
        (12, 4, 254, 0), (0, 4, 16384, 0),
    ]  # fmt: skip


def test_features_come_before_they_are_settled() -> None:
    rows = read_log(SEABIOS, None).rows.with_row_index("at")
    features = rows.filter(kind="features")["at"][0]
    agreed = rows.filter(pl.col("status") == 11)["at"][0]
    assert features < agreed


def test_legacy_negotiation() -> None:
    """Registers at a base that only the status writes show; the configuration from 20 on."""
    assert reported(UBOOT, "features", "offered", "acked") == [(0x79006E54, 0)]
    assert [row[:2] for row in reported(UBOOT, "config", "offset", "len")] == [
        (offset, 1) for offset in range(8)
    ]
    assert [device[1:4] for device in read_log(UBOOT, None).devices] == [
        ("virtio-blk", "-pci", True)
    ]


@pytest.mark.parametrize("log", [SEABIOS, UBOOT, DATA / "qemu-7.2-registers-mmio.log"])
def test_a_log_as_qemu_11_writes_it(log: Path, tmp_path: Path) -> None:
    """A date in place of the thread and the seconds."""

    def dated(line: re.Match[str]) -> str:
        time = datetime.datetime.fromtimestamp(int(line[1]), datetime.UTC)
        fraction = "" if line[2] == "000000" else f".{line[2]}"
        return f"{time:%Y-%m-%dT%H:%M:%S}{fraction}Z "

    # The first line comes at a whole second, which has no fraction.
    before_11 = re.sub(r"\.[0-9]{6}:", ".000000:", log.read_text(), count=1)
    old, written = tmp_path / "old.log", tmp_path / "qemu.log"
    old.write_text(before_11)
    text = re.sub(r"^[0-9]+@([0-9]+)\.([0-9]{6}):", dated, before_11, flags=re.MULTILINE)
    assert text.startswith("20")
    written.write_text(text)
    before, after = read_log(old, None), read_log(written, None)
    assert after.rows.drop("pid").equals(before.rows.drop("pid"))
    assert after.rows["pid"].null_count() == len(after.rows)
    assert (len(after.losses), after.devices) == (len(before.losses), before.devices)


def test_legacy_registers_that_are_moved(tmp_path: Path) -> None:
    """An access by the place before lies below the registers."""
    log = tmp_path / "qemu.log"
    lines = UBOOT.read_text().splitlines(keepends=True)
    moved = next(line for line in lines if "addr 0x2092" in line).replace("0x2092", "0x1002")
    log.write_text("".join([*lines, moved]))
    offsets = read_log(log, None).rows.filter(kind="register")["offset"]
    assert len(offsets) == len(read_log(UBOOT, None).rows.filter(kind="register"))


def test_an_offer_that_was_not_read_settles_nothing(tmp_path: Path) -> None:
    log = tmp_path / "qemu.log"
    lines = SEABIOS.read_text().splitlines(keepends=True)
    log.write_text("".join(line for line in lines if "8004 value" not in line))
    assert reported(log, "features", "acked") == []
    assert reported(log, "status", "status")


def test_mmio(tmp_path: Path) -> None:
    log = tmp_path / "qemu.log"
    name = "size 4 name 'virtio-mmio'"
    log.write_text(
        "".join(
            f"7@1.00000{n}:{line}\n"
            for n, line in enumerate(
                (
                    f"memory_region_ops_write cpu 0 mr 0x1 addr 0xfeb00c70 value 0x0 {name}",
                    f"virtio_set_status vdev {VDEV:#x} val 0",
                    f"memory_region_ops_write cpu 0 mr 0x1 addr 0xfeb00c70 value 0x3 {name}",
                    f"virtio_set_status vdev {VDEV:#x} val 3",
                    f"memory_region_ops_read cpu 0 mr 0x1 addr 0xfeb00cfc value 0x5 {name}",
                    f"memory_region_ops_read cpu 0 mr 0x1 addr 0xfeb00d04 value 0x9 {name}",
                    f"memory_region_ops_read cpu 0 mr 0x2 addr 0xfeb00e04 value 0x8 {name}",
                )
            )
        )
    )
    assert reported(log, "generation", "generation", "dev", "life") == [(5, 0, 0)]
    assert reported(log, "config", "offset", "value") == [(4, 9)]
    assert [device[1:3] for device in read_log(log, None).devices] == [(None, "-device")]


def test_what_firmware_does_wrong() -> None:
    """The kit's own findings, of real firmware."""
    seabios = spec.check(trace.load_log(SEABIOS))
    assert "ACKNOWLEDGE and DRIVER in one write" in seabios.of("IN-DR-01").message
    assert seabios.of("FB-DR-01").verdict == "pass"
    assert seabios.of("IN-DR-05").checked == 1
    uboot = spec.check(trace.load_log(UBOOT))
    assert "DRIVER without ACKNOWLEDGE" in uboot.of("IN-DR-01").message
    assert uboot.of("ST-DR-01").verdict == "fail"
    # A transitional device whose driver uses the legacy interface offers 32 bits there.
    assert uboot.of("RF-DE-01").verdict == "not-applicable"


@pytest.mark.parametrize("kept", ["virtio_set_status", "virtqueue_", "virtio_queue_notify"])
def test_what_was_not_logged_never_passes(tmp_path: Path, kept: str) -> None:
    log = tmp_path / "qemu.log"
    lines = SEABIOS.read_text().splitlines(keepends=True)
    log.write_text("".join(line for line in lines if f":{kept}" in line))
    if kept == "virtqueue_":
        with pytest.raises(trace.CaptureError, match=r"no virtio events|pops of a queue"):
            trace.load_log(log)
        return
    verdicts = spec.check(trace.load_log(log))
    for name in verdicts.having("pass"):
        needs = verdicts.of(name).rule.needs
        assert any(f"qemu:dev_{'status' if 'status' in kept else 'kick'}" in need for need in needs)
    assert verdicts.of("RS-DE-03").verdict == "inconclusive"
    assert verdicts.of("FB-DR-01").verdict == "inconclusive"


def test_exit_codes() -> None:
    result = steps.check(None, qemu_log=UBOOT, to=None)
    assert result.exit_code == Exit.FAILED
    assert result.outcome.kind == "recorded"


def test_an_mmio_device_is_known_from_its_first_access_behind_the_plug() -> None:
    """Its driver reads what it is, and resets it, before its status is logged."""
    log = DATA / "qemu-7.2-registers-mmio.log"
    lines = log.read_text().splitlines()
    reset = next(
        n for n, text in enumerate(lines) if "ops_write" in text and "70 value 0x0" in text
    )
    seconds, micros = map(int, lines[reset].split("@")[1].split(":")[0].split("."))
    plug = seconds * 1_000_000_000 + micros * 1000
    rows = read_log(log, [0], [plug]).rows
    first = rows.filter(kind="register").row(0, named=True)
    assert (first["register"], first["write"], first["value"], first["dev"]) == ("status", 1, 0, 0)
    assert rows["ts"].min() == plug
