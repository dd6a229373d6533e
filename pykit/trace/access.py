# SPDX-License-Identifier: GPL-2.0-only
"""Decode the access tracer's records: the guest's accesses to rings and registers.

``access.bin`` has records of 48 bytes (struct record, plugin/access.h), ``access.json`` QEMU's
answers about rings and registers at each status write, ``kallsyms`` the guest's symbols.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from pykit.files import read_regular, reason
from pykit.trace.capture import Plug
from pykit.trace.errors import BadJsonError, CaptureError
from pykit.trace.losses import Loss
from pykit.trace.register_map import CONFIG, MMIO_CONFIG, is_legacy_mmio, named
from pykit.trace.symbols import Symbols
from pykit.trace.values import as_list, as_object, get, integer, load_json, objects

_RECORD = np.dtype(
    [
        ("ts", "<i8"), ("insns", "<u8"), ("pc", "<u8"), ("address", "<u8"), ("value", "<u8"),
        ("kind", "u1"), ("cpu", "u1"), ("size", "u1"), ("flags", "u1"), ("region", "<u4"),
    ]
)  # fmt: skip
_WRITE, _VALUE = 1, 2


class Record(IntEnum):
    """Kinds of records, enum record_kind of plugin/access.h."""

    RING, REGISTER, RINGS, LOST, REGION, QUEUE, CHAIN, DESC, HEADER, USED = range(10)


_NAME_BYTES = 40
#: How functions of the kit's own code in a guest begin.
_KIT = "pykit_"
_DRIVER = 2
#: Areas of a virtqueue, and the registers.
AREAS = ("desc", "avail", "used", "registers")
#: Fields of descriptors, avail and used rings. ``other``: a packed ring's event structures,
#: registers, and accesses that do not start at a field; see the offset.
FIELDS = ("addr", "len", "flags", "next", "idx", "ring", "id", "event", "other")
#: (offset in a descriptor): field. A packed one has its id where a split one has its flags.
_DESC = {False: {0: 0, 8: 1, 12: 2, 14: 3}, True: {0: 0, 8: 1, 12: 6, 14: 2}}
_NOTIFY = "virtio-pci-notify"
#: MMIO's registers QueueNotify and Version.
_MMIO, _MMIO_NOTIFY, _MMIO_VERSION = "virtio-mmio", 0x50, 0x04
#: Bytes from one queue's notification address to the next, and from the BAR's start to the first.
_NOTIFY_STEP, _NOTIFY_AT = 4, 0x3000
#: QEMU's name of a modern PCI device's structure, and its bytes: each has a page of the BAR.
_STRUCTURE, _PCI_PART = "virtio-pci-", 1 << 12
_STRUCTURES = {"common": "common", "isr": "isr", "notify": "notify", "device": CONFIG}

Ints = npt.NDArray[np.int64]


class AccessStep(NamedTuple):
    """One record, as plugin/access.h has it; ``first`` and ``second`` of what is no access.

    ``answer`` is the number of the last answer about rings, -1 before the first. Of an access, as
    in ``Accesses.rows``, with numbers for names and -1 for none: ``dev``, ``life``, ``vq``,
    ``area``, ``field``, ``slot``. ``known``: the value is known.
    """

    kind: int
    answer: int
    ts: int
    cpu: int
    first: int
    second: int
    address: int
    value: int
    known: bool
    write: bool
    dev: int
    life: int
    vq: int
    area: int
    field: int
    slot: int
    #: It notifies a queue.
    notifies: bool
    #: Bytes of an access.
    size: int


class GivenRing(NamedTuple):
    """A virtqueue as QEMU had it; ``event_idx`` is None in captures without it."""

    dev: int
    life: int
    vq: int
    desc: int
    avail: int
    used: int
    size: int
    packed: bool
    event_idx: bool | None


@dataclass(frozen=True)
class Accesses:
    """Rows in program order, with the host's times (wall clock, ns), and losses.

    ``steps`` are all records in their order, but for names of regions, and accesses by the kit's
    own code in the guest and to devices that are not known. ``rings`` are the queues of each
    answer.
    """

    rows: pl.DataFrame
    losses: tuple[Loss, ...]
    steps: tuple[AccessStep, ...]
    rings: tuple[tuple[GivenRing, ...], ...]


#: The places of rings and registers, as QEMU had them at each status write (access.json).
Answers = list[dict[str, Any]]


def read_accesses(
    capture: Path,
    numbers: Mapping[str, int],
    plugs: Sequence[Plug],
    answers: Answers | None = None,
) -> Accesses:
    """Decode the access tracer's files in ``capture``.

    ``numbers`` are the ``dev`` numbers by device id. Accesses to other devices are left out, and
    so are accesses before the first of ``plugs``. ``answers`` are those of the capture, where they
    were read already.

    Raises:
        CaptureError: a file cannot be read.
    """
    path = capture / "access.bin"
    try:
        data = read_regular(path, capture)
    except OSError as error:
        raise CaptureError(f"{path}: cannot be read: {reason(error)}") from error
    answers = read_answers(capture) if answers is None else answers
    losses = []
    torn = len(data) % _RECORD.itemsize
    if torn:
        losses.append(Loss(1, f"{path}: the last record is torn"))
    records = np.frombuffer(data, dtype=_RECORD, count=len(data) // _RECORD.itemsize)
    missing = int(records["value"][records["kind"] == Record.LOST].sum())
    if missing:
        losses.append(Loss(missing, f"{path}: {missing} accesses without a known place"))
    expected = int((records["kind"] == Record.RINGS).sum())
    if expected > len(answers):
        losses.append(
            Loss(1, f"{path}: access.json has {len(answers)} of {expected} answers about rings")
        )
    symbols = Symbols.read(capture / "kallsyms", capture)
    located = _locate(records, answers, numbers)
    access = np.isin(records["kind"], (Record.RING, Record.REGISTER))
    rows = records[access]
    keep = located["dev"] >= 0
    if plugs:
        keep &= rows["ts"] >= plugs[0].host_ns
    rows = rows[keep]
    ring = rows["kind"] == Record.RING
    frame = pl.DataFrame(
        {
            "ts": rows["ts"],
            "source": np.repeat("access", len(rows)),
            "kind": np.where(ring, "acc_ring", "acc_register"),
            "cpu": rows["cpu"],
            **{name: located[name][keep] for name in ("dev", "life", "vq")},
            "area": np.array(AREAS)[located["area"][keep]],
            "field": np.array(FIELDS)[located["field"][keep]],
            **{name: located[name][keep] for name in ("offset", "slot")},
            **{name: rows[name] for name in ("insns", "pc", "address", "value", "size")},
            "write": rows["flags"] & _WRITE,
            "known": rows["flags"] & _VALUE,
        }
    )
    frame = frame.with_columns(
        pl.when(pl.col("known") > 0).then("value").alias("value"),
        *(pl.when(pl.col(name) >= 0).then(name).alias(name) for name in ("life", "vq", "slot")),
        symbols.of(frame["pc"]).alias("symbol"),
    )
    named_rows = _with_registers(frame.drop("known"), rows, _regions(records))
    return Accesses(
        named_rows,
        tuple(losses),
        tuple(_steps(records, np.flatnonzero(access)[keep], named_rows)),
        tuple(_rings(answers, numbers)),
    )


def _steps(records: npt.NDArray[Any], at: Ints, rows: pl.DataFrame) -> Iterator[AccessStep]:
    """Yield all records; ``rows`` are those of the accesses ``at`` these places."""
    answer = (np.cumsum(records["kind"] == Record.RINGS) - 1).tolist()
    place = np.full(len(records), -1, dtype=np.int64)
    mine = ~rows["symbol"].str.starts_with(_KIT).fill_null(False).to_numpy()
    place[at[mine]] = np.flatnonzero(mine)
    row_of = place.tolist()
    areas = {name: number for number, name in enumerate(AREAS)}
    fields = {name: number for number, name in enumerate(FIELDS)}
    columns = ("dev", "life", "vq", "area", "field", "slot", "write", "register")
    own = rows.select(columns).rows()
    for i, (ts, first, second, address, value, kind, cpu, size, flags, _) in enumerate(
        records.tolist()
    ):
        accessed = kind in (Record.RING, Record.REGISTER)
        # A region's name stands where others have their time.
        if kind == Record.REGION or (accessed and row_of[i] < 0):
            continue
        dev = life = vq = area = of = slot = -1
        notifies = False
        if accessed:
            dev, life, vq, name, field, slot, write, register = own[row_of[i]]
            life, vq, slot = (-1 if n is None else n for n in (life, vq, slot))
            area, of = areas[name], fields[field]
            notifies = bool(write) and register == "queue_notify"
        yield AccessStep(
            kind, answer[i], ts, cpu, first, second, address, value, bool(flags & _VALUE),
            bool(flags & _WRITE), dev, life, vq, area, of, slot, notifies, size,
        )  # fmt: skip


def _rings(
    answers: list[dict[str, Any]], numbers: Mapping[str, int]
) -> Iterator[tuple[GivenRing, ...]]:
    """Yield the queues of each answer whose device is driven."""
    for answer, lives in zip(answers, _lives(answers), strict=True):
        queues: dict[tuple[str, int], dict[str, dict[str, Any]]] = {}
        for ring in answer["rings"]:
            queues.setdefault((ring["device"], ring["queue"]), {})[ring["area"]] = ring
        yield tuple(
            GivenRing(
                numbers[device], lives[device], queue,
                areas["desc"]["address"], areas["avail"]["address"], areas["used"]["address"],
                areas["desc"]["size"], areas["desc"]["packed"], areas["desc"].get("event_idx"),
            )
            for (device, queue), areas in queues.items()
            if device in numbers and device in lives and len(areas) == len(AREAS) - 1
        )  # fmt: skip


def _with_registers(
    frame: pl.DataFrame, rows: npt.NDArray[Any], regions: Mapping[int, str]
) -> pl.DataFrame:
    """Add ``structure``, ``register`` and the queue of accesses to registers."""
    parts = dict.fromkeys(regions, "")
    for number, name in regions.items():
        if name == _MMIO:
            parts[number] = "mmio"
        elif name.startswith(_STRUCTURE):
            parts[number] = _STRUCTURES.get(name.removeprefix(_STRUCTURE).partition("-")[0], "")
    structures = pl.Series("structure", [parts.get(n, "") for n in rows["region"].tolist()])
    known = frame.with_row_index("at").with_columns(structures, bar=pl.col("offset"))
    mine = known.filter((pl.col("kind") == "acc_register") & (pl.col("structure") != ""))
    pieces = []
    for _, device in mine.group_by("dev", maintain_order=True):
        mmio = device.filter(structure="mmio")
        versions = mmio.filter(pl.col("bar") == _MMIO_VERSION)["value"].drop_nulls()
        legacy = is_legacy_mmio(set(versions), set(mmio["bar"]))
        config = (pl.col("structure") == "mmio") & (pl.col("bar") >= MMIO_CONFIG)
        pieces.append(
            device.with_columns(
                pl.when(config)
                .then(pl.lit(CONFIG))
                .when(pl.col("structure") == "mmio")
                .then(pl.lit("mmio-legacy" if legacy else "mmio"))
                .otherwise("structure")
                .alias("structure"),
                pl.when(config)
                .then(pl.col("bar") - MMIO_CONFIG)
                .when(pl.col("structure") == "mmio")
                .then("bar")
                .otherwise(pl.col("bar") % _PCI_PART)
                .alias("offset"),
            )
        )
    if not pieces:
        none = pl.lit(None, dtype=pl.String)
        return frame.with_columns(structure=none, register=none)
    found = named(pl.concat(pieces), "dev").select("at", "structure", "register", of_queue="vq")
    return (
        frame.with_row_index("at")
        .join(found, on="at", how="left", maintain_order="left")
        .with_columns(pl.coalesce("vq", "of_queue").alias("vq"))
        .drop("at", "of_queue")
    )


def register_places(answers: Answers) -> list[tuple[range, str]]:
    """Return where registers of the devices were at some time, in the guest's addresses.

    Places that were one device's and then another's are left out.
    """
    owners: dict[range, set[str]] = {}
    for answer in answers:
        for area in answer["registers"]:
            # A BAR that is not mapped has no address.
            if area["address"] > 0:
                place = range(area["address"], area["address"] + area["bytes"])
                owners.setdefault(place, set()).add(area["device"])
    return [(place, found.pop()) for place, found in owners.items() if len(found) == 1]


def read_answers(capture: Path) -> Answers:
    """Read access.json: for each status write, the devices and where their areas were.

    Raises:
        CaptureError: it cannot be read.
    """
    path = capture / "access.json"
    answers = []
    for number, value in enumerate(as_list(load_json(path, capture), str(path))):
        where = f"{path}: answer {number}"
        answer = as_object(value, where)
        for device in objects(answer, "devices", where):
            get(device, "device", str, where)
            integer(device, "status", where)
        for ring in objects(answer, "rings", where):
            _check_area(ring, where)
            get(ring, "packed", bool, where)
            if "event_idx" in ring:
                get(ring, "event_idx", bool, where)
            integer(ring, "queue", where, 0, 0xFFFF)
            integer(ring, "size", where, 0, 0xFFFF)
            if ring.get("area") not in AREAS[:-1]:
                raise BadJsonError(f"{where}: area is not one of {', '.join(AREAS[:-1])}")
        for area in objects(answer, "registers", where):
            # QEMU gives -1 for a BAR that is not mapped.
            _check_area(area, where, lowest=-1)
        answers.append(answer)
    return answers


def _check_area(area: dict[str, Any], where: str, lowest: int = 0) -> None:
    get(area, "device", str, where)
    # Offsets into an area are 32 bits wide; guest addresses have 52 bits.
    integer(area, "address", where, lowest, (1 << 52) - 1)
    integer(area, "bytes", where, 0, (1 << 32) - 1)


def _locate(
    records: npt.NDArray[Any], answers: list[dict[str, Any]], numbers: Mapping[str, int]
) -> dict[str, Ints]:
    """Return dev, life, vq, area, offset, slot and field of each access; -1 for none.

    An answer is valid from its record on.
    """
    access = np.isin(records["kind"], (Record.RING, Record.REGISTER))
    rows = records[access]
    answer = (np.cumsum(records["kind"] == Record.RINGS) - 1)[access]
    names = ("dev", "life", "vq", "area", "offset", "slot", "field")
    found: dict[str, Ints] = {name: np.full(len(rows), -1, dtype=np.int64) for name in names}
    lives = _lives(answers)
    regions = _regions(records)
    bounds = np.searchsorted(answer, np.arange(-1, len(answers) + 1))
    for number in range(-1, len(answers)):
        here = slice(int(bounds[number + 1]), int(bounds[number + 2]))
        part = rows[here]
        if number >= 0:
            for ring in answers[number]["rings"]:
                at = _inside(part, Record.RING, ring) + here.start
                if ring["device"] in numbers:
                    _ring(found, at, rows, ring, numbers, lives[number])
        # The last access before an answer is the status write that caused the query: it belongs to
        # the answer. So do accesses before the first answer that has the device.
        last = number + 1 == len(answers)
        for which, here_too in ((number + 1, part), (number, part if last else part[:-1])):
            if 0 <= which < len(answers):
                for area in answers[which]["registers"]:
                    at = _inside(here_too, Record.REGISTER, area) + here.start
                    if area["device"] in numbers:
                        _register(found, at, rows, area, numbers, lives[which], regions)
    return found


def _inside(rows: npt.NDArray[Any], kind: int, area: dict[str, Any]) -> Ints:
    """Return the positions in ``rows`` of accesses of a kind to an area."""
    start, end = area["address"], area["address"] + area["bytes"]
    at = rows["address"]
    return np.flatnonzero((rows["kind"] == kind) & (at >= start) & (at < end))


def _ring(
    found: dict[str, Ints],
    at: Ints,
    rows: npt.NDArray[Any],
    ring: dict[str, Any],
    numbers: Mapping[str, int],
    lives: Mapping[str, int],
) -> None:
    offset = rows["address"][at].astype(np.int64) - ring["address"]
    found["dev"][at] = numbers[ring["device"]]
    found["life"][at] = lives.get(ring["device"], -1)
    found["vq"][at] = ring["queue"]
    found["area"][at] = AREAS.index(ring["area"])
    found["offset"][at] = offset
    slot, field = np.full(len(at), -1), np.full(len(at), FIELDS.index("other"))
    if ring["area"] == "desc":
        slot = offset // 16
        for start, name in _DESC[ring["packed"]].items():
            field[offset % 16 == start] = name
    elif not ring["packed"]:
        width = 2 if ring["area"] == "avail" else 8
        end = 4 + width * ring["size"]
        entry = (offset >= 4) & (offset < end)
        slot = np.where(entry, (offset - 4) // width, -1)
        field[offset == 0] = FIELDS.index("flags")
        field[offset == 2] = FIELDS.index("idx")
        field[offset >= end] = FIELDS.index("event")
        if ring["area"] == "avail":
            field[entry] = FIELDS.index("ring")
        else:
            field[entry] = np.where(
                (offset[entry] - 4) % 8 == 0, FIELDS.index("id"), FIELDS.index("len")
            )
    found["slot"][at], found["field"][at] = slot, field


def _register(
    found: dict[str, Ints],
    at: Ints,
    rows: npt.NDArray[Any],
    area: dict[str, Any],
    numbers: Mapping[str, int],
    lives: Mapping[str, int],
    regions: Mapping[int, str],
) -> None:
    offset = rows["address"][at].astype(np.int64) - area["address"]
    found["dev"][at] = numbers[area["device"]]
    found["life"][at] = lives.get(area["device"], -1)
    found["area"][at] = AREAS.index("registers")
    found["offset"][at] = offset
    for number, name in regions.items():
        mine = rows["region"][at] == number
        if name == _MMIO:
            named = mine & (offset == _MMIO_NOTIFY) & (rows["flags"][at] & _VALUE > 0)
            found["vq"][at[named]] = rows["value"][at[named]] & 0xFFFF
        elif name.startswith(_NOTIFY):
            found["vq"][at[mine]] = (offset[mine] - _NOTIFY_AT) // _NOTIFY_STEP


def _regions(records: npt.NDArray[Any]) -> dict[int, str]:
    """Return the names of memory regions by number."""
    named = records[records["kind"] == Record.REGION]
    return {
        int(record["region"]): record.tobytes()[:_NAME_BYTES]
        .split(b"\0")[0]
        .decode(errors="replace")
        for record in named
    }


def _lives(answers: list[dict[str, Any]]) -> list[dict[str, int]]:
    """Return the life of each device at each answer: spans between resets with DRIVER set."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for number, answer in enumerate(answers):
        for device in answer["devices"]:
            spans.setdefault(device["device"], []).append((number, device["status"]))
    lives: list[dict[str, int]] = [{} for _ in answers]
    for device, statuses in spans.items():
        span: list[int] = []
        life, driven = -1, False
        for number, status in [*statuses, (len(answers), 0)]:
            if status == 0 and span:
                life += driven
                for where in span:
                    if driven:
                        lives[where][device] = life
                span, driven = [], False
            if number < len(answers):
                span.append(number)
            driven = driven or bool(status & _DRIVER)
    return lives
