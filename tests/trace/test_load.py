# SPDX-License-Identifier: GPL-2.0-only
"""Whole capture directories: the table, lives, losses, errors, Parquet."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pykit.errors import UsageError
from pykit.trace import Events, errors, load
from pykit.trace.kinds import KINDS
from tests.trace.conftest import DATA
from tests.trace.encode import (
    ADD,
    CAPTURE,
    DESC,
    DRIVER,
    NOTIFY,
    QUEUE,
    RANGE,
    STATUS,
    VHOST,
    Event,
    Page,
    write_capture,
    write_tracing,
)

FUZZ = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
QMP = [
    {
        "at": "quiesced",
        "device": "vd0",
        "query": "x-query-virtio-queue-status",
        "queue": 1,
        "return": {"used-idx": 3},
    }
]
Row = tuple[Event, dict[str, int]]


def page_of(*rows: Row, base: int = 10**9) -> bytes:
    page = Page(base)
    for event, values in rows:
        assert page.record(event.payload({"common_pid": 42, **values}), 10)
    return page.encode()


def queue_rows(dev: int, *seqs: int) -> list[Row]:
    """A queue's set-up as ``seq`` 1, then notifications."""
    rows: list[Row] = [(QUEUE, {"dev": dev, "seq": 1, "vq": 1, "size": 8, "num_queues": 2})]
    return rows + [(NOTIFY, {"dev": dev, "seq": seq, "vq": 1}) for seq in seqs]


def life(dev: int) -> list[Row]:
    """A driver from probe to removal."""
    return [
        (DRIVER, {"dev": dev, "id": 2, "stage": 0}),
        (STATUS, {"dev": dev, "status": 11}),
        *queue_rows(dev, 2),
        (DRIVER, {"dev": dev, "id": 2, "stage": 1}),
        (STATUS, {"dev": dev, "status": 15}),
        (DRIVER, {"dev": dev, "id": 2, "stage": 3}),
        (STATUS, {"dev": dev, "status": 0, "op": 2}),
        (QUEUE, {"dev": dev, "seq": 3, "vq": 1, "op": 1}),
        (DRIVER, {"dev": dev, "id": 2, "stage": 4}),
    ]


def test_table(tmp_path: Path) -> None:
    first = page_of(
        *queue_rows(3),
        (ADD, {"dev": 3, "seq": 3, "vq": 1, "readable": (1 << 64) - 1, "writable": 1 << 63}),
    )
    second = page_of(
        (DRIVER, {"dev": 3, "err": -5, "stage": 2}),
        (NOTIFY, {"dev": 3, "seq": 2, "vq": 1}),
        (DESC, {"dev": 3, "seq": 4, "vq": 1, "flags": 0xFFFF, "addr": (1 << 64) - 2}),
        (RANGE, {"dev": 3, "seq": 5, "vq": 1, "flags": 0xFFFFFFFF}),
    )
    events = load(write_capture(tmp_path, [first, second]))
    table = events.table
    assert (events.lost, events.losses) == (0, ())
    assert events.devices == {"vd0": 3}
    # By time, then by CPU.
    assert table.select("row", "ts", "cpu", "kind").rows() == [
        (0, 10**9 + 10, 0, "queue"),
        (1, 10**9 + 10, 1, "driver"),
        (2, 10**9 + 20, 0, "add"),
        (3, 10**9 + 20, 1, "notify"),
        (4, 10**9 + 30, 1, "desc"),
        (5, 10**9 + 40, 1, "blk_range"),
    ]
    assert table["err"].to_list()[1] == -5
    assert table["readable"].to_list()[2] == (1 << 64) - 1
    assert table["writable"].to_list()[2] == 1 << 63
    assert table["addr"].to_list()[4] == (1 << 64) - 2
    # 16 bits in one kind, 32 in the other: the wider holds both.
    assert table["flags"].to_list()[4:] == [0xFFFF, 0xFFFFFFFF]
    assert table["vq"].to_list() == [1, None, 1, 1, 1, 1]
    assert table["pid"].unique().to_list() == [42]
    assert table["source"].unique().to_list() == ["driver"]
    expected = {
        "row": pl.UInt32,
        "ts": pl.Int64,
        "cpu": pl.UInt16,
        "pid": pl.Int32,
        "dev": pl.UInt32,
        "life": pl.UInt32,
        "vq": pl.UInt16,
        "seq": pl.UInt32,
        "err": pl.Int32,
        "offered": pl.UInt64,
        "stage": pl.UInt8,
        "head": pl.UInt16,
        "flags": pl.UInt32,
    }
    assert {name: table.schema[name] for name in expected} == expected
    assert isinstance(table.schema["kind"], pl.Enum)
    assert isinstance(table.schema["source"], pl.Enum)


def test_every_kind_has_its_columns(tmp_path: Path) -> None:
    events = load(write_capture(tmp_path, [page_of(*queue_rows(0))]))
    for kind, fields in KINDS.items():
        rows = events.of(kind)
        assert rows.height == (kind == "queue")
        assert set(fields) <= set(rows.columns)
        assert {"row", "ts", "dev", "life", "vq", "seq"} <= set(rows.columns)
    both = events.of("queue", "add")
    assert {"desc", "num_free"} <= set(both.columns)
    assert "sector" not in both.columns
    with pytest.raises(KeyError):
        events.of("no_such_kind")


def test_lives_of_a_driver(tmp_path: Path) -> None:
    before: list[Row] = [(STATUS, {"dev": 5, "status": 0, "op": 2})]
    # The core goes on writing the status when the driver is gone.
    between: list[Row] = [(STATUS, {"dev": 5, "status": 1})]
    rows = [*before, *life(5), *between, *life(5)]
    events = load(write_capture(tmp_path, [page_of(*rows)]))
    assert events.lost == 0
    assert events.table["life"].to_list() == [None, *[0] * 10, None, *[1] * 10]


def test_a_restore_begins_a_life(tmp_path: Path) -> None:
    dev = {"dev": 0}
    rows: list[Row] = [
        (DRIVER, {**dev, "stage": 0}),
        (DRIVER, {**dev, "stage": 0}),  # validate and probe
        (STATUS, {**dev, "status": 15}),
        (DRIVER, {**dev, "stage": 5}),
        (STATUS, {**dev, "status": 0, "op": 2}),
        (STATUS, {**dev, "status": 0, "op": 2}),
        (STATUS, {**dev, "status": 1}),
        (STATUS, {**dev, "status": 3}),
        (DRIVER, {**dev, "stage": 6}),
        (STATUS, {**dev, "status": 15}),
        (DRIVER, {**dev, "stage": 4}),
    ]
    events = load(write_capture(tmp_path, [page_of(*rows)]))
    assert events.table["life"].to_list() == [0] * 5 + [1] * 6


def test_a_failed_probe_is_a_life(tmp_path: Path) -> None:
    dev = {"dev": 0}
    rows: list[Row] = [
        (DRIVER, {**dev, "stage": 0}),
        (DRIVER, {**dev, "stage": 2, "err": -22}),
        (STATUS, {**dev, "status": 0x83}),
        (DRIVER, {**dev, "stage": 0}),
        (DRIVER, {**dev, "stage": 1}),
    ]
    events = load(write_capture(tmp_path, [page_of(*rows)]))
    assert events.table["life"].to_list() == [0, 0, 0, 1, 1]


def test_the_probe_tells_beside_the_driver(tmp_path: Path) -> None:
    twice = [(event, {**values, "by": by}) for event, values in life(3) for by in (0, 1)]
    events = load(write_capture(tmp_path, [page_of(*twice)]))
    assert events.lost == 0
    assert "by" not in events.table.columns
    own, probed = (events.table.filter(source=source) for source in ("driver", "probe"))
    columns = ["kind", "dev", "life", "vq", "seq"]
    assert own.height == probed.height == len(life(3))
    assert own.select(columns).equals(probed.select(columns))


def test_lives_of_vhost(tmp_path: Path) -> None:
    rows: list[Row] = [
        (VHOST, {"dev": 1, "seq": seq, "vq": vq}) for vq, seq in [(0, 1), (0, 2), (1, 1), (0, 1)]
    ]
    events = load(write_capture(tmp_path, [page_of(*rows)]))
    assert events.table["source"].unique().to_list() == ["vhost"]
    assert events.table["life"].to_list() == [0, 0, 0, 1]
    assert events.lost == 0
    assert events.of("vhost_get").height == 4


def test_both_sides(tmp_path: Path, firmware_log: Path) -> None:
    capture = write_capture(tmp_path, [page_of(*life(2))])
    shutil.copy(firmware_log, capture / "qemu.log")
    events = load(capture)
    guest, qemu = events.table[:10], events.table[10:]
    assert guest["source"].unique().to_list() == ["driver"]
    assert qemu["source"].unique().to_list() == ["qemu"]
    assert qemu["dev"].unique().to_list() == [2]
    assert qemu["cpu"].null_count() == qemu["seq"].null_count() == qemu.height
    assert events.table["row"].to_list() == list(range(events.table.height))


def test_registers_take_nothing_from_the_driver(tmp_path: Path) -> None:
    """The same kinds of events from both: each row has its own fields, and so after a save."""
    capture = write_capture(tmp_path / "capture", [page_of(*life(2))])
    shutil.copy(DATA / "qemu-7.2-seabios.log", capture / "qemu.log")
    events = load(capture)
    reported = events.table.filter(pl.col("kind") == "status")
    assert reported.filter(source="driver")["status"].to_list() == [11, 15, 0]
    assert reported.filter(source="registers")["status"].to_list() == [0, 3, 11, 11, 15]
    assert events.of("status")["row"].is_sorted()
    events.write_parquet(tmp_path / "events.parquet")
    saved = Events.read_parquet(tmp_path / "events.parquet")
    assert saved.of("status").equals(events.of("status"))


def test_the_outside_alone(tmp_path: Path, firmware_log: Path) -> None:
    (tmp_path / "capture.json").write_text(json.dumps(CAPTURE))
    shutil.copy(firmware_log, tmp_path / "qemu.log")
    events = load(tmp_path)
    assert events.table.height == 20
    assert events.devices == {"vd0": 0}


def test_the_outside_ends_with_the_inside(tmp_path: Path, firmware_log: Path) -> None:
    """A guest that is still busy goes on when its own trace has ended."""
    shutil.copy(firmware_log, tmp_path / "qemu.log")
    (tmp_path / "capture.json").write_text(json.dumps(CAPTURE))
    whole = load(tmp_path).of("dev_pop")["ts"]
    middle = int(whole.sort()[whole.len() // 2])
    ended = {"host_ns": middle, "guest_ns": 5}
    (tmp_path / "capture.json").write_text(json.dumps({**CAPTURE, "ended": ended}))
    cut = load(tmp_path)
    assert cut.of("dev_pop")["ts"].to_list() == whole.filter(whole <= middle).to_list()
    assert cut.capture.ended is not None
    assert cut.capture.ended.guest_ns == 5


def test_device_numbers(tmp_path: Path) -> None:
    """Devices with our driver have the guest's numbers, the others what is left."""
    ids = [("a", "virtio_blk"), ("b", "pykit_virtio_blk"), ("c", ""), ("d", "pykit_virtio_blk")]
    devices = [{"id": i, "type": "t", "options": {}, "driver": driver} for i, driver in ids]
    raw = page_of(*queue_rows(1), *queue_rows(3))
    events = load(write_capture(tmp_path, [raw], devices=devices))
    assert events.devices == {"a": 0, "b": 1, "c": 2, "d": 3}


@pytest.mark.parametrize(
    ("seqs", "lost", "line"),
    [
        ((2, 3), 0, ""),
        ((3, 2), 0, ""),
        ((2, 5, 6), 2, "driver, device 3, queue 1: seq 3 to 4 missing"),
        ((2, 2), 1, "driver, device 3, queue 1: seq 2 twice"),
    ],
)
def test_gaps(tmp_path: Path, seqs: tuple[int, ...], lost: int, line: str) -> None:
    events = load(write_capture(tmp_path, [page_of(*queue_rows(3, *seqs))]))
    assert events.lost == lost
    assert events.losses == ((line,) if line else ())


def test_gap_at_the_start_and_over_set_ups(tmp_path: Path) -> None:
    rows = [(NOTIFY, {"dev": 3, "seq": 4, "vq": 1}), *queue_rows(3, 2), *queue_rows(3, 2, 4)]
    events = load(write_capture(tmp_path, [page_of(*rows)]))
    assert events.lost == 4
    assert [line.split(": ")[1] for line in events.losses] == [
        "seq 1 to 3 missing",
        "seq 3 to 3 missing",
    ]


def test_loss_in_stats_and_pages(tmp_path: Path) -> None:
    page = Page(10**9, missed=7)
    page.record(DRIVER.payload({"dev": 0}), 1)
    capture = write_capture(tmp_path, [page.encode(), b"", b""])
    for cpu, text in enumerate(
        [
            "entries: 0\noverrun: 5\ncommit overrun: 0\ndropped events: 3\nread events: 2\n",
            "nothing\n",
        ]
    ):
        (capture / f"tracing/per_cpu/cpu{cpu}/stats").write_text(text)
    (capture / "tracing/per_cpu/cpu2/stats").unlink()
    events = load(capture)
    # 5 overrun, 3 dropped, 1 counted but absent; 1 each for two unknown CPUs; 7 by the page.
    assert events.lost == 5 + 3 + 1 + 1 + 1 + 7
    assert len(events.losses) == 6


def test_a_file_cut_at_a_page_edge(tmp_path: Path) -> None:
    """Only the kernel's own count shows it."""
    pages = [page_of(*queue_rows(0, 2)), page_of(*queue_rows(0, 2), base=2 * 10**9)]
    capture = write_capture(tmp_path, [b"".join(pages)])
    write_tracing(capture / "tracing", [b"".join(pages)], counts=[4])
    assert load(capture).lost == 0
    write_tracing(capture / "tracing", [pages[0]], counts=[4])
    assert load(capture).lost == 2


def test_more_records_than_the_kernel_counted(tmp_path: Path) -> None:
    """The count is damaged, so it cannot show that nothing was lost."""
    capture = write_capture(tmp_path, [page_of(*queue_rows(0, 2))])
    assert load(capture).lost == 0
    write_tracing(capture / "tracing", [page_of(*queue_rows(0, 2))], counts=[1])
    events = load(capture)
    assert events.lost == 1
    assert "1 more in" in events.losses[0]
    assert "than the kernel counted" in events.losses[0]


def test_truncation_is_a_loss(tmp_path: Path) -> None:
    raw = page_of(*queue_rows(0, 2)) * 2
    events = load(write_capture(tmp_path, [raw[:5000]]))
    assert events.table.height == 2
    assert events.lost == 1
    assert "truncated" in events.losses[0]
    assert "CPU 0, page 1, offset 0x388" in events.losses[0]


def test_incomplete_capture_is_a_loss(tmp_path: Path) -> None:
    outcome = {"kind": "qemu-died", "message": "QEMU was killed"}
    capture = write_capture(tmp_path, [page_of(*queue_rows(0))], complete=False, outcome=outcome)
    events = load(capture)
    assert events.lost == 1
    assert "QEMU was killed" in events.losses[0]


def test_unknown_and_short_records(tmp_path: Path) -> None:
    page = Page(10**9)
    page.record(b"\x99\x09\0\0" * 4, 1)
    page.record(QUEUE.payload({})[:12], 1)
    page.record(DRIVER.payload({"dev": 1}), 1)
    events = load(write_capture(tmp_path, [page.encode()]))
    assert events.table.height == 1
    assert events.lost == 2
    assert "unknown event id: 2457, 1 records" in events.losses[0]
    assert "pykit_queue: 12 of" in events.losses[1]


def test_many_losses_stay_readable(tmp_path: Path) -> None:
    good = page_of(*queue_rows(0))
    bad = good[:8] + b"\xff" * 8 + good[16:]
    events = load(write_capture(tmp_path, [good + bad * 500]))
    assert events.lost == 500
    assert len(events.losses) == 9
    assert "492 more" in events.losses[-1]


def test_nothing_decodable_raises_the_damage(tmp_path: Path) -> None:
    with pytest.raises(errors.TruncatedPageError):
        load(write_capture(tmp_path, [page_of(*queue_rows(0))[:100]]))


def test_empty(tmp_path: Path) -> None:
    with pytest.raises(errors.EmptyTraceError):
        load(write_capture(tmp_path, [b"", b""]))


def test_more_fields_than_known(tmp_path: Path) -> None:
    """A newer module may add fields and events."""
    more = Event("pykit_status", 1002, (*STATUS.fields, ("u64", "extra")))
    new = Event("pykit_new", 1050, (("u32", "dev"), ("u8", "novelty")))
    raw = page_of((more, {"extra": 1 << 60}), (new, {"dev": 1, "novelty": 9}))
    capture = write_capture(tmp_path, [raw])
    for event in (more, new):
        folder = capture / "tracing/events/pykit" / event.name
        folder.mkdir(exist_ok=True)
        (folder / "format").write_text(event.format())
    events = load(capture)
    assert events.of("status")["extra"].to_list() == [1 << 60]
    assert events.of("new")["novelty"].to_list() == [9]


@pytest.mark.parametrize(
    "fields",
    [
        (("u32", "dev"), ("u8", "status")),
        (("u8", "status"), ("u8", "op")),
        (("u64", "dev"), ("u8", "status"), ("u8", "op")),
        (("s32", "dev"), ("u8", "status"), ("u8", "op")),
        (("u32", "dev"), ("u8", "status"), ("u8", "op"), ("u32", "cpu")),
        (("u32", "dev"), ("u8", "status"), ("u8", "op"), ("s32", "len")),
        (("u32", "dev"), ("u8", "status"), ("u8", "op"), ("u8", "state")),
    ],
)
def test_fields_that_do_not_fit(tmp_path: Path, fields: tuple[tuple[str, str], ...]) -> None:
    capture = write_capture(tmp_path, [page_of(*queue_rows(0))])
    text = Event("pykit_status", 1002, fields).format()
    (capture / "tracing/events/pykit/pykit_status/format").write_text(text)
    with pytest.raises(errors.BadFormatError, match="do not fit"):
        load(capture)


def broken(tmp_path: Path, name: str, text: str) -> Path:
    capture = write_capture(tmp_path, [page_of(*queue_rows(0))])
    (capture / name).write_text(text)
    return capture


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("capture.json", "{", errors.BadJsonError),
        ("capture.json", "", errors.BadJsonError),
        ("capture.json", "[]", errors.BadJsonError),
        ("capture.json", "[" * 100000, errors.BadJsonError),
        ("capture.json", json.dumps({**CAPTURE, "cpus": True}), errors.BadJsonError),
        ("capture.json", json.dumps({**CAPTURE, "devices": [3]}), errors.BadJsonError),
        ("capture.json", json.dumps({**CAPTURE, "outcome": None}), errors.BadJsonError),
        ("capture.json", json.dumps({**CAPTURE, "ended": {"host_ns": 1}}), errors.BadJsonError),
        (
            "capture.json",
            json.dumps({**CAPTURE, "devices": CAPTURE["devices"] * 2}),  # type: ignore[operator]
            errors.BadJsonError,
        ),
        ("capture.json", json.dumps({**CAPTURE, "schema": 2}), errors.UnknownSchemaError),
        ("qmp.json", "{}", errors.BadJsonError),
        ("qmp.json", '[{"at": 1}]', errors.BadJsonError),
        ("tracing/events/header_page", "", errors.BadFormatError),
        ("tracing/events/pykit/pykit_add/format", "", errors.BadFormatError),
    ],
)
def test_broken_files(tmp_path: Path, name: str, text: str, error: type[UsageError]) -> None:
    with pytest.raises(error) as info:
        load(broken(tmp_path, name, text))
    assert "\n" not in str(info.value)
    assert info.value.exit_code == 2


@pytest.mark.parametrize(
    ("gone", "error"),
    [
        ("capture.json", errors.MissingCaptureJsonError),
        ("tracing", errors.MissingFormatsError),
        ("tracing/events", errors.MissingFormatsError),
        ("tracing/events/pykit", errors.MissingFormatsError),
        ("tracing/events/header_page", errors.MissingFormatsError),
        ("tracing/per_cpu", errors.MissingFormatsError),
    ],
)
def test_missing_files(tmp_path: Path, gone: str, error: type[UsageError]) -> None:
    capture = write_capture(tmp_path, [page_of(*queue_rows(0))])
    path = capture / gone
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    with pytest.raises(error):
        load(capture)


def test_no_capture(tmp_path: Path) -> None:
    with pytest.raises(errors.NotACaptureError):
        load(tmp_path)
    with pytest.raises(errors.NotACaptureError):
        load(tmp_path / "absent")


def test_capture_info(tmp_path: Path) -> None:
    capture = broken(tmp_path, "qmp.json", json.dumps(QMP))
    info = load(capture).capture
    assert (info.complete, info.clock, info.cpus) == (True, "mono", 2)
    assert info.devices[0].driver == "pykit_virtio_blk"
    assert info.steps[0].seconds == 0.5
    assert (info.qmp[0].queue, info.qmp[0].answer) == (1, {"used-idx": 3})


def test_parquet(tmp_path: Path, firmware_log: Path) -> None:
    capture = broken(tmp_path / "capture", "qmp.json", json.dumps(QMP))
    shutil.copy(firmware_log, capture / "qemu.log")
    raw = capture / "tracing/per_cpu/cpu0/trace_pipe_raw"
    raw.write_bytes(raw.read_bytes() + b"torn")
    events = load(capture)
    path = tmp_path / "events.parquet"
    events.write_parquet(path)
    again = Events.read_parquet(path)
    assert again.table.equals(events.table)
    assert again.table.schema == events.table.schema
    for name in ("lost", "losses", "capture", "devices", "fields"):
        assert getattr(again, name) == getattr(events, name)
    assert again.lost == 1


def test_not_our_parquet(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    for write in (
        lambda: path.write_bytes(b"PAR1 and not more"),
        lambda: pl.DataFrame({"a": [1]}).write_parquet(path),
        path.unlink,
    ):
        write()
        with pytest.raises(errors.BadTableError):
            Events.read_parquet(path)


FILES = (
    "capture.json",
    "qmp.json",
    "qemu.log",
    "tracing/events/header_page",
    "tracing/events/header_event",
    "tracing/events/pykit/pykit_queue/format",
    "tracing/events/pykit/pykit_status/format",
    "tracing/per_cpu/cpu0/trace_pipe_raw",
    "tracing/per_cpu/cpu1/trace_pipe_raw",
    "tracing/per_cpu/cpu0/stats",
)


@FUZZ
@given(st.data())
def test_any_damage_is_named_or_a_loss(
    tmp_path: Path, firmware_log: Path, data: st.DataObject
) -> None:
    """Whatever happens to the files: a table, or one line that says what is wrong."""
    capture = write_capture(
        tmp_path, [page_of(*life(0), *life(0)), page_of((VHOST, {"dev": 1, "seq": 1}))]
    )
    (capture / "qmp.json").write_text(json.dumps(QMP))
    shutil.copy(firmware_log, capture / "qemu.log")
    for name in data.draw(st.sets(st.sampled_from(FILES), min_size=1, max_size=3)):
        path = capture / name
        raw = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(0, 6))):
            # Most of a page is empty: aim at its start.
            at = data.draw(st.integers(0, min(len(raw), 700) - 1))
            raw[at] = data.draw(st.integers(0, 255))
        path.write_bytes(raw[: data.draw(st.integers(len(raw) // 2, len(raw)))])
    try:
        events = load(capture)
    except UsageError as error:
        said = str(error)
    else:
        said = ""
        assert events.table.height > 0
        assert (events.lost > 0) == bool(events.losses)
    assert "\n" not in said
