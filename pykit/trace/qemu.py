# SPDX-License-Identifier: GPL-2.0-only
"""Decode QEMU's trace log: the events of the device side.

A line is ``PID@SECONDS.MICROSECONDS:event arguments`` with ``-msg
timestamp=on`` (PID is the thread), from QEMU 11 on ``DATEThh:mm:ss.ffffffZ event arguments``, and
``event arguments`` without. Pointers
name devices, queues and requests; they are turned into numbers here. Register accesses
of the guest (registers.py) are merged in log order.
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import polars as pl

from pykit.files import read_regular, reason
from pykit.trace.errors import CaptureError
from pykit.trace.kinds import BASE, KINDS, REGISTERS, Dtype, columns_of
from pykit.trace.lives import device_lives
from pykit.trace.losses import Loss
from pykit.trace.registers import (
    Named,
    Places,
    RegisterRegion,
    around,
    looks_at_slots,
    read_registers,
    surveyed_regions,
)
from pykit.trace.survey import Survey

# [0-9] and not \d, which means all of Unicode's digits.
_PREFIX = re.compile(
    r"(?:(?P<pid>[0-9]{1,9})?@(?P<sec>[0-8]?[0-9]{1,9})\.(?P<usec>[0-9]{6}):)?"
    r"(?P<event>virt[a-z_]+) (?P<args>.*)"
)
#: A line's date, and in how many bytes of a log the first one stands.
_DATED = re.compile(r"^([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8})(?:\.([0-9]{6}))?Z ", re.MULTILINE)
_BEGIN = 1 << 16
_POINTER = r"(0x[0-9a-f]{1,16}|\(nil\))"
#: The number of a subchannel, in its set of an image. A device's place for as long as it is added:
#: that it was is no event of ours.
_SCHID, _ADDED = r"[0-9a-f]{1,2}\.[0-9a-f]\.([0-9a-f]{4})", "added"


@dataclass(frozen=True)
class _Event:
    """One of QEMU's trace events: our kind, its arguments' pattern and their columns."""

    kind: str
    pattern: str
    columns: tuple[str, ...]
    constants: tuple[tuple[str, int], ...] = ()

    @cached_property
    def matcher(self) -> re.Pattern[str]:
        """A pattern of all arguments, with a group for each column."""
        return re.compile(self.pattern.replace("P", _POINTER).replace("N", r"(-?[0-9]{1,20})"))


_EVENTS = {
    "virtio_set_status": _Event("dev_status", "vdev P val N", ("vdev", "status")),
    "virtio_queue_notify": _Event("dev_kick", "vdev P n N vq P", ("vdev", "n", "queue")),
    "virtqueue_pop": _Event(
        "dev_pop", "vq P elem P in_num N out_num N", ("queue", "elem", "in_num", "out_num")
    ),
    "virtqueue_fill": _Event(
        "dev_fill", "vq P elem P len N idx N", ("queue", "elem", "len", "ahead")
    ),
    "virtqueue_flush": _Event("dev_flush", "vq P count N", ("queue", "count")),
    "virtio_notify": _Event("dev_signal", "vdev P vq P", ("vdev", "queue")),
    "virtio_notify_irqfd": _Event("dev_signal", "vdev P vq P", ("vdev", "queue")),
    "virtio_notify_irqfd_deferred_fn": _Event("dev_signal", "vdev P vq P", ("vdev", "queue")),
    "virtio_blk_handle_read": _Event(
        "dev_blk_start",
        "vdev P req P sector N nsectors N",
        ("vdev", "elem", "sector", "sectors"),
        (("type", 0),),
    ),
    "virtio_blk_handle_write": _Event(
        "dev_blk_start",
        "vdev P req P sector N nsectors N",
        ("vdev", "elem", "sector", "sectors"),
        (("type", 1),),
    ),
    "virtio_blk_req_complete": _Event(
        "dev_blk_done", "vdev P req P status N", ("vdev", "elem", "status")
    ),
    "virtio_ccw_new_device": _Event(_ADDED, f"VIRTIO-CCW: add subchannel {_SCHID},.*", ("elem",)),
    "virtio_ccw_interpret_ccw": _Event(
        "dev_command",
        rf"VIRTIO-CCW: {_SCHID}: interpret command (0x[0-9a-f]{{1,2}})",
        ("elem", "command"),
    ),
}
_POINTERS = ("vdev", "queue", "elem")
#: Commands that reset a device and write its status (4.3.1.1).
_SETS_STATUS = (0x33, 0x31)
#: A line that has, or begins like, an event and cannot be read as one: written into by another
#: thread, or damaged.
_TORN = re.compile(rf"(?P<event>{'|'.join(_EVENTS)})(?![a-z_])|^[0-9]+@(?![0-9]+\.[0-9]{{6}}:)")
_FIELDS = columns_of([kind for kind in KINDS if kind.startswith("dev_")], {})
_LIMITS: dict[Dtype, tuple[int, int]] = {
    pl.UInt8: (0, (1 << 8) - 1),
    pl.UInt16: (0, (1 << 16) - 1),
    pl.UInt32: (0, (1 << 32) - 1),
    pl.UInt64: (0, (1 << 64) - 1),
}
#: Lines that are taken apart before they become columns.
_AT_ONCE = 1 << 17
_REGISTER_FIELDS = columns_of((*REGISTERS, "register"), {})


@dataclass(frozen=True)
class QemuLog:
    """Rows in log order, with the log's times (wall clock, ns), and what was lost.

    ``devices`` are those that were numbered by the log itself, in that order; ``config`` are the
    lines about PCI functions, as they are (pciconfig.py), and ``structures`` those about
    structures in BARs (structures.py); ``looks`` are reads of
    DeviceID by the slot of MMIO, None where the log has no accesses to such registers.
    """

    rows: pl.DataFrame
    losses: tuple[Loss, ...]
    devices: tuple[Named, ...] = ()
    config: tuple[str, ...] = ()
    looks: dict[int, int] | None = None
    structures: tuple[str, ...] = ()


def read_log(
    path: Path,
    numbers: Sequence[int] | None,
    plugs: Sequence[int] = (),
    within: Path | None = None,
    surveyed: Survey | None = None,
    places: Places = (),
) -> QemuLog:
    """Decode a trace log.

    ``numbers`` are the ``dev`` numbers of the devices in the order in which
    they were added. None: number each device that a driver used, from 0, in the order of first
    use. ``plugs`` are the wall-clock times
    (ns) of the adding: the first device to get a status from then on is the
    one that was plugged, as QEMU resets it at once. Without them the k-th new
    device with a status is the k-th.
    ``places`` are where the registers of devices were at some time.
    Other virtio devices in the log (the guest's own transport) are left out, and so are the
    register accesses of the transport survey.

    Columns: ``dev_pop.avail_idx`` counts the pops of a queue in its life, this
    one included (it equals the ``avail_idx`` of the add that it takes);
    ``dev_fill.index`` is the position in the used ring, from 0 (it equals the
    ``index`` with which the driver takes the entry); both modulo 2^16.

    Raises:
        CaptureError: the file cannot be read.
    """
    try:
        text = read_regular(path, within).decode(errors="replace")
    except OSError as error:
        raise CaptureError(f"{path}: cannot be read: {reason(error)}") from error
    losses: list[Loss] = []
    lines = _in_seconds(text).split("\n")
    if lines.pop():
        # The last line has no end: QEMU died while writing it.
        losses.append(Loss(1, f"{path}: the last line ({len(lines) + 1}) is torn"))
    regions: dict[int, RegisterRegion] = {}
    if surveyed is not None:
        if numbers is None:
            regions = surveyed_regions(lines, surveyed)
        lines = surveyed.without_own(lines)
    events = parse(lines)
    bad = events.filter(~pl.col("good"))["line"]
    if len(bad):
        losses.append(
            Loss(len(bad), f"{path}: {len(bad)} lines cannot be read, the first is {bad[0] + 1}")
        )
    events = _commanded(events.filter("good").drop("good"))
    statuses = events.filter(pl.col("kind") == "dev_status")
    registers, named, torn = read_registers(lines, statuses, regions, places)
    if torn:
        losses.append(
            Loss(
                len(torn),
                f"{path}: {len(torn)} register accesses cannot be read, the first is line"
                f" {torn[0] + 1}",
            )
        )
    driven = _driven(events, named, regions) if numbers is None else ()
    events = _merged(events, registers)
    known = _known_devices(events, numbers, plugs) if numbers is not None else _numbered(driven)
    events = _name_devices(events, known)
    if "of_queue" in events.columns:
        events = events.with_columns(pl.coalesce("vq", "of_queue").alias("vq"))
    lost_pops = events.filter((pl.col("kind") == "dev_pop") & pl.col("dev").is_null()).height
    if lost_pops:
        losses.append(
            Loss(lost_pops, f"{path}: {lost_pops} pops of a queue that no notify line names")
        )
    # Device -1 is not one of ours; null could not be named.
    ours = events.filter(pl.col("dev") >= 0).with_columns(pl.col("dev").cast(BASE["dev"]))
    rows = _count(device_lives(ours))
    wanted: dict[str, Dtype] = {"ts": pl.Int64, "source": pl.String, "kind": pl.String}
    wanted |= {name: BASE[name] for name in ("pid", "dev", "life", "vq")}
    wanted |= _FIELDS | _REGISTER_FIELDS
    rows = rows.with_columns(
        pl.lit(None, dtype).alias(name) for name, dtype in wanted.items() if name not in rows
    ).with_columns(
        source=pl.when(pl.col("kind").is_in((*REGISTERS, "register")))
        .then(pl.lit("registers"))
        .otherwise(pl.lit("qemu"))
    )
    rows = rows.select(pl.col(name).cast(dtype) for name, dtype in wanted.items())
    config = tuple(line for line in lines if "pci_cfg_" in line or "vtd_" in line)
    looks = looks_at_slots(lines)
    structures = tuple(line for line in lines if "'virtio-pci-" in line)
    return QemuLog(rows, tuple(losses), driven, config, looks, structures)


def _in_seconds(text: str) -> str:
    """Return a log whose lines begin as those before QEMU 11 do, but for the thread's number.

    QEMU 11 writes ``2026-01-31T01:02:03.456789Z`` where others write ``PID@SECONDS.456789:``.
    """
    if not _DATED.search(text, 0, _BEGIN):
        return text

    @cache
    def seconds(date: str) -> int | None:
        try:
            return calendar.timegm(time.strptime(date, "%Y-%m-%dT%H:%M:%S"))
        except ValueError:
            return None

    def stamp(line: re.Match[str]) -> str:
        since = seconds(line[1])
        # A whole second has no fraction.
        return line[0] if since is None else f"@{since}.{line[2] or '000000'}:"

    return _DATED.sub(stamp, text)


def parse(lines: Sequence[str]) -> pl.DataFrame:
    """Return one row for each line of a known event, in log order, with ``line`` (from 0).

    Pointers and numbers are integers; ``good`` is whether all of the line could be read.
    """
    # polars compiles its patterns for each of its calls, which takes longer than most logs do.
    parts = [
        part
        for start in range(0, max(len(lines), 1), _AT_ONCE)
        for part in _parsed(lines[start : start + _AT_ONCE], start)
    ]
    return pl.concat(parts, how="diagonal").sort("line")


def _parsed(lines: Sequence[str], start: int) -> Iterator[pl.DataFrame]:
    """Yield the events of some lines, a frame for each event."""
    found: dict[str, list[tuple[str | int | None, ...]]] = {name: [] for name in _EVENTS}
    for number, text in enumerate(lines, start):
        line = _PREFIX.fullmatch(text.removesuffix("\r"))
        if line and (rows := found.get(line["event"])) is not None:
            event = _EVENTS[line["event"]]
            arguments = event.matcher.fullmatch(line["args"])
            values = arguments.groups() if arguments else (None,) * len(event.columns)
            rows.append((number, line["pid"], line["sec"], line["usec"], *values))
        elif line is None and (torn := _TORN.search(text)):
            # An event's line, but nothing of it can be relied on.
            event = _EVENTS[torn["event"] or "virtio_set_status"]
            nothing = (None,) * (3 + len(event.columns))
            found[torn["event"] or "virtio_set_status"].append((number, *nothing))
    for name, event in _EVENTS.items():
        if found[name] or not start:
            yield _typed(event, list(zip(*found[name], strict=True)))


def _typed(event: _Event, columns: list[tuple[Any, ...]]) -> pl.DataFrame:
    columns = columns or [()] * (4 + len(event.columns))
    line, pid, sec, usec, *values = columns
    stamps = [
        None if s is None else int(s) * 1_000_000_000 + int(u) * 1000
        for s, u in zip(sec, usec, strict=True)
    ]
    whole = [_integers(text, name) for text, name in zip(values, event.columns, strict=True)]
    count = len(line)
    return pl.DataFrame(
        [
            pl.Series("line", line, dtype=pl.UInt32),
            pl.Series("pid", [None if p is None else int(p) for p in pid], dtype=pl.Int32),
            pl.Series("ts", stamps, dtype=pl.Int64),
            pl.Series("kind", [event.kind] * count, dtype=pl.String),
            pl.Series("good", [None not in row for row in zip(*whole, strict=True)], pl.Boolean),
            *(
                pl.Series(name, numbers, dtype=_type(name))
                for name, numbers in zip(event.columns, whole, strict=True)
            ),
            *(pl.Series(name, [value] * count, pl.Int64) for name, value in event.constants),
        ]
    )


def _integers(texts: Sequence[str | None], name: str) -> list[int | None]:
    """Convert digits to integers, None if out of range."""
    if name in _POINTERS:
        # A null pointer is printed as "(nil)".
        return [None if t is None else 0 if t == "(nil)" else int(t, 16) for t in texts]
    low, high = _LIMITS[_type(name)]
    numbers = (None if t is None else int(t, 16 if name == "command" else 10) for t in texts)
    return [n if n is not None and low <= n <= high else None for n in numbers]


def _type(name: str) -> Dtype:
    """Pointers and sectors are unsigned, numbers and places in a queue have 16 bits."""
    if name in _POINTERS:
        return pl.UInt64
    return pl.UInt16 if name in ("n", "ahead") else _FIELDS[name]


def _commanded(events: pl.DataFrame) -> pl.DataFrame:
    """Number the commands on channel I/O since their device was added, and name the device.

    It is the one whose status is the first to be set behind one of its commands that do that: QEMU
    does it within the command. Commands of a device that was there before the log are left out.
    """
    added, command = pl.col("kind") == _ADDED, pl.col("kind") == "dev_command"
    mine = events.filter(added | command)
    if mine.is_empty():
        return events
    times = added.cast(pl.Int64).cum_sum().over("elem")
    mine = mine.with_columns(times.alias("added")).filter(command & (pl.col("added") > 0))
    mine = mine.with_columns(pl.int_range(pl.len()).over("elem", "added").alias("number"))
    statuses = events.filter(pl.col("kind") == "dev_status").select("line", "vdev")
    named = (
        mine.filter(pl.col("command").is_in(_SETS_STATUS))
        .select("line", "elem", "added")
        .join_asof(statuses, on="line", strategy="forward")
        .unique(["elem", "added"], keep="first", maintain_order=True)
        .select("elem", "added", "vdev")
    )
    mine = mine.drop("vdev").join(named, on=["elem", "added"], how="left").drop("added")
    mine = mine.with_columns(elem=pl.lit(None, events.schema["elem"]))
    rest = events.filter(~(added | command))
    return pl.concat([rest, mine], how="diagonal").sort("line", maintain_order=True)


def _merged(events: pl.DataFrame, registers: pl.DataFrame) -> pl.DataFrame:
    """Merge QEMU's events and those of registers in log order."""
    if registers.is_empty():
        return events
    return pl.concat([events, registers], how="diagonal_relaxed").sort("line", maintain_order=True)


def _driven(
    events: pl.DataFrame, named: Sequence[Named], regions: Mapping[int, RegisterRegion]
) -> tuple[Named, ...]:
    """Return the devices that a driver used (status write or notify), in that order."""
    begun = (pl.col("kind") == "dev_kick") | (pl.col("status") != 0)
    mine = events.filter(begun & pl.col("kind").is_in(["dev_kick", "dev_status"])).sort("line")
    disks = events.filter(pl.col("kind") == "dev_blk_start")["vdev"].unique().to_list()
    known = {device.vdev: device for device in named}
    found = []
    for vdev in mine["vdev"].unique(maintain_order=True).to_list():
        device = known.get(vdev) or Named(vdev, None, "", legacy=False, id=around(vdev, regions))
        # A legacy device's registers do not say what it is; a disk's requests do.
        found.append(device._replace(type="virtio-blk") if vdev in disks else device)
    return tuple(found)


_KNOWN: dict[str, Dtype] = {"line": pl.UInt32, "vdev": pl.UInt64, "dev": pl.Int64}


def _numbered(driven: Sequence[Named]) -> pl.DataFrame:
    """Return the same as _known_devices for devices numbered by the log."""
    rows = [(0, device.vdev, number) for number, device in enumerate(driven)]
    return pl.DataFrame(rows, schema=_KNOWN, orient="row")


def _known_devices(
    events: pl.DataFrame, numbers: Sequence[int], plugs: Sequence[int]
) -> pl.DataFrame:
    """Return the ``dev`` of each ``vdev`` pointer and the ``line`` it is valid from, by line.

    A device that was plugged is the first whose status is set afterwards. It is known from its
    first access on: a driver finds out what an MMIO device is, and resets it, before that status.
    """
    status = events.filter(pl.col("kind") == "dev_status").select("line", "ts", "vdev").sort("line")
    if plugs:
        firsts = [
            _first_of(events.filter(pl.col("ts") >= time), status.filter(pl.col("ts") >= time))
            for time in plugs
        ]
        found = [
            first.with_columns(dev=pl.lit(n)) for n, first in zip(numbers, firsts, strict=True)
        ]
        known = pl.concat(found)
    else:
        order = status.unique("vdev", keep="first", maintain_order=True).head(len(numbers))
        dev = pl.Series("dev", list(numbers)[: order.height], dtype=pl.Int64)
        known = order.with_columns(dev, line=pl.lit(0))
    return known.select(pl.col(name).cast(dtype) for name, dtype in _KNOWN.items()).sort("line")


def _first_of(events: pl.DataFrame, statuses: pl.DataFrame) -> pl.DataFrame:
    """Return the first event of the device whose status is the first of ``statuses``."""
    mine = statuses.select("vdev").head(1).join(events.select("line", "vdev"), on="vdev")
    return mine.sort("line").head(1)


def _name_devices(events: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Add ``dev`` (i64; -1 for devices that are not ``known``, null where unknown) and ``vq``."""
    names = (
        events.filter(pl.col("kind") == "dev_kick")
        .select("line", "queue", pl.col("vdev").alias("of"), pl.col("n").alias("vq"))
        .sort("line")
    )
    # A pointer may serve twice when a device is unplugged: the notify line
    # before is right; what precedes the first one takes the one behind it.
    events = events.sort("line")
    before = events.join_asof(
        names, on="line", by="queue", strategy="backward", check_sortedness=False
    )
    after = events.select("line", "queue").join_asof(
        names, on="line", by="queue", strategy="forward", check_sortedness=False
    )
    events = before.with_columns(
        pl.coalesce("vdev", "of", after["of"]).alias("vdev"),
        pl.coalesce("vq", after["vq"]).alias("vq"),
    )
    joined = events.join_asof(
        known, on="line", by="vdev", strategy="backward", check_sortedness=False
    )
    foreign = pl.col("vdev").is_not_null() & pl.col("dev").is_null()
    return joined.with_columns(pl.when(foreign).then(-1).otherwise("dev").alias("dev"))


def _count(rows: pl.DataFrame) -> pl.DataFrame:
    """Add the running indices of each queue."""
    keys = ["dev", "span", "vq"]
    pops = (pl.col("kind") == "dev_pop").cast(pl.Int64).cum_sum().over(keys)
    flushed = pl.col("count").fill_null(0).cast(pl.Int64).cum_sum().over(keys)
    return rows.with_columns(
        pl.when(pl.col("kind") == "dev_pop").then(pops % 65536).alias("avail_idx"),
        pl.when(pl.col("kind") == "dev_fill")
        .then((flushed + pl.col("ahead")) % 65536)
        .alias("index"),
    )
