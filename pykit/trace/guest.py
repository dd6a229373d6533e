# SPDX-License-Identifier: GPL-2.0-only
"""Decode the guest's side of a capture: raw pages and formats to events of each kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import polars as pl

from pykit.trace import core_events
from pykit.trace.batches import Decoder, RecordBatch
from pykit.trace.errors import BadFormatError, DamageError
from pykit.trace.formats import EventField, Format
from pykit.trace.frames import Frames
from pykit.trace.growing import Growing
from pykit.trace.kinds import (
    BASE,
    BY,
    KINDS,
    OUTSIDE,
    RENAMED,
    RENAMED_FIELDS,
    SOURCE_TYPE,
    SOURCES,
    Dtype,
    columns_of,
    kind_type,
    source_of,
    widest,
)
from pykit.trace.losses import Loss, damage_losses, page_losses, stats_losses
from pykit.trace.pages import Array
from pykit.trace.tracing import Tracing

SYSTEM = "pykit"
#: The field with the observer of an event: it becomes the source, not a column.
_BY = "by"
_PID = "common_pid"
_PREFIX = "pykit_"

#: Columns that the decoder fills.
_RESERVED = {"row", "ts", "time", "source", "kind", "cpu", "pid", "life"}

#: Fields that lives are derived from; other fields may be newer than a capture.
_NEEDED = {"driver": ("stage",), "status": ("status", "op"), "queue": ("op",)}

_POLARS: dict[tuple[int, bool], Dtype] = {
    (1, False): pl.UInt8,
    (2, False): pl.UInt16,
    (4, False): pl.UInt32,
    (8, False): pl.UInt64,
    (1, True): pl.Int8,
    (2, True): pl.Int16,
    (4, True): pl.Int32,
    (8, True): pl.Int64,
}


#: Columns of all events that are fields of theirs.
_EVERY: dict[str, Dtype] = {name: BASE[name] for name in ("pid", "dev", "vq", "seq")}
_NUMPY: dict[Dtype, npt.DTypeLike] = {
    pl.Int32: np.int32,
    pl.UInt32: np.uint32,
    pl.UInt16: np.uint16,
}


@dataclass(frozen=True)
class DecodedGuest:
    """Events in the order of (ts, cpu), further fields of the formats, and losses.

    ``extra`` holds the fields, by kind, of the capture's own formats. ``frames`` has no
    ``time`` and ``life``.
    """

    frames: Frames
    extra: dict[str, dict[str, Dtype]]
    losses: tuple[Loss, ...]
    damage: tuple[DamageError, ...]


def decode_guest(tracing: Tracing) -> DecodedGuest:
    """Decode our events, or those of a virtio core that has its own; skip all others.

    Raises:
        BadFormatError, CaptureError.
    """
    formats = tracing.formats
    check_own(formats, tracing.where)
    decoder = Decoder(tracing, wanted(formats))
    own = own_formats(formats)
    kinds = {number: kind_of(form) for number, form in own.items()}
    core = any(form.system == core_events.SYSTEM for form in own.values())
    extra = {
        kinds[number]: {
            field.name: _POLARS[field.size, field.signed] for field in own_fields(formats[number])
        }
        for number in kinds
    }
    frames = _frames(decoder, kinds, extra, "core" if core else "driver")
    if core:
        frames = core_events.completed(frames)
    losses = [
        *stats_losses(tracing.files, decoder.seen),
        *page_losses(tracing.files, decoder.walk.lost),
        *damage_losses(decoder.walk.damage, decoder.walk.unlisted),
    ]
    return DecodedGuest(frames, extra, tuple(losses), tuple(decoder.walk.damage))


def wanted(formats: dict[int, Format]) -> dict[int, list[EventField]]:
    """Return the fields to decode by event id: scalar fields of our events, and the task."""
    return {
        form.id: [
            field
            for field in _fields(form)
            if field.scalar and (field.name == _PID or not field.name.startswith("common_"))
        ]
        for form in own_formats(formats).values()
    }


def own_formats(formats: dict[int, Format]) -> dict[int, Format]:
    """Return the formats of the events that are decoded, by event id.

    Those of a core are where a trace has none of ours: both are of the same operations.
    """
    systems = {form.system for form in formats.values()}
    system = SYSTEM if SYSTEM in systems else core_events.SYSTEM
    return {number: form for number, form in formats.items() if form.system == system}


def kind_of(form: Format) -> str:
    """Return an event's kind: its name without the prefix, or what ``RENAMED`` has for that."""
    if form.system == core_events.SYSTEM:
        name = form.name.removeprefix(core_events.PREFIX)
        return core_events.RENAMED.get(name, name)
    name = form.name.removeprefix(_PREFIX)
    return RENAMED.get(name, name)


def _fields(form: Format) -> list[EventField]:
    """Return an event's fields by their current names."""
    kind = kind_of(form)
    return [
        replace(field, name=RENAMED_FIELDS.get((kind, field.name), field.name))
        for field in form.fields
    ]


def own_fields(form: Format) -> list[EventField]:
    """Return the scalar fields of an event that become columns, without the common ones."""
    return [
        field
        for field in _fields(form)
        if field.scalar and field.name != _BY and not field.name.startswith("common_")
    ]


def check_own(formats: dict[int, Format], saved: Path) -> None:
    """Check that our events fit the table; there may be more or fewer fields than known.

    Raises:
        BadFormatError: a field that decoding needs is absent, or a field's
            type cannot be a column's.
    """
    known = {**BASE, **columns_of(KINDS, {})}
    for form in own_formats(formats).values():
        kind = kind_of(form)
        where = f"{saved}: {form.system}/{form.name}/format"
        own = {field.name: _POLARS[field.size, field.signed] for field in own_fields(form)}
        absent = [name for name in ("dev", *_NEEDED.get(kind, ())) if name not in own]
        if absent or source_of(kind) in OUTSIDE:
            what = f"no field {absent[0]}" if absent else "the name is taken"
            raise BadFormatError(f"{where}: {what}; the modules and this pykit do not fit")
        for name, dtype in own.items():
            column = known.setdefault(name, dtype)
            fixed = BASE.get(name)
            # Signed and unsigned have no common type that holds a u64; text and numbers have none.
            if (
                not column.is_integer()
                or dtype.is_signed_integer() != column.is_signed_integer()
                or name in _RESERVED
                or (fixed is not None and widest((fixed, dtype)) != fixed)
            ):
                raise BadFormatError(
                    f"{where}: field {name} cannot be {dtype.__name__};"
                    " the modules and this pykit do not fit"
                )


def _frames(
    batches: Iterable[RecordBatch],
    kinds: dict[int, str],
    extra: dict[str, dict[str, Dtype]],
    inside: str,
) -> Frames:
    """Join batches: one frame with the columns of all events, one for the fields of each kind.

    ``inside`` is the source of what a driver does, unless the event names another. Values are
    copied batch by batch, while they are in the processor's cache.
    """
    kind_column = kind_type(extra)
    names = kind_column.categories.to_list()
    types = columns_of(names, extra)
    number_of = np.zeros(1 << 16, dtype=np.uint16)
    for number, kind in kinds.items():
        number_of[number] = names.index(kind)
    sources = (inside if source_of(kind) == "driver" else source_of(kind) for kind in names)
    source_by = np.array([SOURCES.index(name) for name in sources], dtype=np.uint8)

    fixed = {"ts": np.int64, "cpu": np.uint16, "kind": np.uint16, "source": np.uint8}
    base = _Parts({**fixed, **{name: _NUMPY[dtype] for name, dtype in _EVERY.items()}})
    own = {number: _Parts({"row": np.uint32}) for number in kinds}
    lacking: dict[str, list[Array]] = {name: [] for name in _EVERY}
    start = 0
    for batch in batches:
        ids = batch.event
        index = number_of[ids]
        source = source_by[index]
        every = {name: np.zeros(len(ids), dtype=_NUMPY[dtype]) for name, dtype in _EVERY.items()}
        for number, columns in batch.columns.items():
            rows = np.flatnonzero(ids == number)
            mine = {"row": (rows + start).astype(np.uint32), **cast("dict[str, Array]", columns)}
            for name in _EVERY:
                field = _PID if name == "pid" else name
                if field in mine:
                    every[name][rows] = mine.pop(field)
                elif len(rows):
                    lacking[name].append(rows + start)
            by = mine.pop(_BY, None)
            if by is not None and source_of(kinds[number]) == "driver":
                for value, name in BY.items():
                    source[rows[by == value]] = SOURCES.index(name)
            own[number].add(mine)
        base.add({"ts": batch.ts, "cpu": batch.cpu, "kind": index, "source": source, **every})
        start += len(ids)

    frame = pl.DataFrame(
        [
            pl.Series("row", np.arange(start, dtype=np.uint32)),
            base.series("ts"),
            base.series("source").cat.to(SOURCE_TYPE),
            base.series("kind").cat.to(kind_column),
            *(base.series(name) for name in ("cpu", *_EVERY)),
        ]
    )
    masks = []
    for name, missing in lacking.items():
        if missing:
            there = np.ones(start, dtype=np.bool_)
            there[np.concatenate(missing)] = False
            masks.append(pl.when(pl.Series(there)).then(pl.col(name)).alias(name))
    return Frames(
        frame.with_columns(masks),
        {
            kinds[number]: pl.DataFrame(
                [parts.series(name).cast(types.get(name, BASE["row"])) for name in parts.names]
            )
            for number, parts in own.items()
        },
        types,
    )


class _Parts:
    """Columns that grow part by part."""

    def __init__(self, types: dict[str, npt.DTypeLike]) -> None:
        self._columns = {name: Growing(dtype) for name, dtype in types.items()}

    @property
    def names(self) -> list[str]:
        """The names of all columns."""
        return list(self._columns)

    def add(self, columns: dict[str, Array]) -> None:
        """Append one part of all columns."""
        for name, values in columns.items():
            if name not in self._columns:
                self._columns[name] = Growing(values.dtype)
            self._columns[name].add(values)

    def series(self, name: str) -> pl.Series:
        """Return a whole column."""
        return self._columns[name].series(name)
