# SPDX-License-Identifier: GPL-2.0-only
"""The guest's side of a capture: raw pages and formats to events of each kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from pykit.trace.batches import Batch, Decoder
from pykit.trace.errors import BadFormatError, DamageError
from pykit.trace.formats import Field, Format
from pykit.trace.frames import Frames
from pykit.trace.kinds import (
    BASE,
    KINDS,
    OUTSIDE,
    PROBED,
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
#: The field that says who saw an event: it becomes the source, and no column.
_BY = "by"
_PID = "common_pid"
_PREFIX = "pykit_"

#: Columns that the decoder itself fills.
_RESERVED = {"row", "ts", "time", "source", "kind", "cpu", "pid", "life"}

#: Fields without which lives cannot be told apart; others may be newer than a capture.
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
class Guest:
    """Events in the order of (ts, cpu), what else the formats have, and what was lost.

    ``extra`` holds the fields, by kind, of the capture's own formats. ``frames`` has no
    ``time`` and ``life``.
    """

    frames: Frames
    extra: dict[str, dict[str, Dtype]]
    losses: tuple[Loss, ...]
    damage: tuple[DamageError, ...]


def decode_guest(tracing: Tracing) -> Guest:
    """Decode what was traced.

    Events of other systems than ours are stepped over.

    Raises:
        BadFormatError, CaptureError.
    """
    formats = tracing.formats
    check_own(formats, tracing.where)
    decoder = Decoder(tracing, wanted(formats))
    batches = list(decoder)
    kinds = {form.id: kind_of(form) for form in formats.values() if form.system == SYSTEM}
    extra = {
        kinds[number]: {
            field.name: _POLARS[field.size, field.signed] for field in own_fields(formats[number])
        }
        for number in kinds
    }
    losses = [
        *stats_losses(tracing.files, decoder.seen),
        *page_losses(tracing.files, decoder.walk.lost),
        *damage_losses(decoder.walk.damage, decoder.walk.untold),
    ]
    return Guest(_frames(batches, kinds, extra), extra, tuple(losses), tuple(decoder.walk.damage))


def wanted(formats: dict[int, Format]) -> dict[int, list[Field]]:
    """What is decoded: the scalar fields of our own events, and the task; by event id."""
    return {
        form.id: [
            field
            for field in form.fields
            if field.scalar and (field.name == _PID or not field.name.startswith("common_"))
        ]
        for form in formats.values()
        if form.system == SYSTEM
    }


def kind_of(form: Format) -> str:
    """An event's kind: its name without the system's prefix."""
    return form.name.removeprefix(_PREFIX)


def own_fields(form: Format) -> list[Field]:
    """The scalar fields of an event that become columns: its own, not common to all."""
    return [
        field
        for field in form.fields
        if field.scalar and field.name != _BY and not field.name.startswith("common_")
    ]


def check_own(formats: dict[int, Format], saved: Path) -> None:
    """Whether our own events fit the table; fields may be more or fewer than this pykit knows.

    Raises:
        BadFormatError: a field that decoding needs is absent, or a field's
            type cannot be a column's.
    """
    known = {**BASE, **columns_of(KINDS, {})}
    for form in formats.values():
        if form.system != SYSTEM:
            continue
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
            # Signed and unsigned have no common type that holds a u64.
            if (
                dtype.is_signed_integer() != column.is_signed_integer()
                or name in _RESERVED
                or (fixed is not None and widest((fixed, dtype)) != fixed)
            ):
                raise BadFormatError(
                    f"{where}: field {name} cannot be {dtype.__name__};"
                    " the modules and this pykit do not fit"
                )


def _frames(
    batches: list[Batch], kinds: dict[int, str], extra: dict[str, dict[str, Dtype]]
) -> Frames:
    def joined(arrays: Iterable[Array], dtype: npt.DTypeLike) -> Array:
        return np.concatenate([np.zeros(0, dtype=dtype), *arrays])

    ids = joined((batch.event for batch in batches), np.uint16)
    kind_column = kind_type(extra)
    names = kind_column.categories.to_list()
    types = columns_of(names, extra)
    number_of = np.zeros(1 << 16, dtype=np.uint32)
    rows_of: dict[int, Array] = {}
    for number, kind in kinds.items():
        number_of[number] = names.index(kind)
        rows_of[number] = np.flatnonzero(ids == number)
    index = number_of[ids]
    source = np.array([SOURCES.index(source_of(kind)) for kind in names], dtype=np.uint32)[index]

    # What all have: of each kind its rows, put where they are.
    base: dict[str, Array] = {
        name: np.zeros(len(ids), dtype=_NUMPY[dtype]) for name, dtype in _EVERY.items()
    }
    lacking: dict[str, list[Array]] = {name: [] for name in _EVERY}
    own: dict[str, pl.DataFrame] = {}
    for number, rows in rows_of.items():
        columns = {
            name: np.concatenate([batch.columns[number][name] for batch in batches])
            for name in (batches[0].columns[number] if batches else ())
        }
        for name in _EVERY:
            field = _PID if name == "pid" else name
            if field in columns:
                base[name][rows] = columns.pop(field)
            elif len(rows):
                lacking[name].append(rows)
        by = columns.pop(_BY, None)
        if by is not None and source_of(kinds[number]) == "driver":
            source[rows[by == PROBED]] = SOURCES.index("probe")
        own[kinds[number]] = pl.DataFrame(
            [
                pl.Series("row", rows.astype(np.uint32)),
                *(pl.Series(name, v).cast(types[name]) for name, v in columns.items()),
            ]
        )
    cpus = joined((batch.cpu for batch in batches), np.uint16)
    frame = pl.DataFrame(
        [
            pl.Series("row", np.arange(len(ids), dtype=np.uint32)),
            pl.Series("ts", joined((batch.ts for batch in batches), np.int64)),
            pl.Series("source", SOURCES, dtype=SOURCE_TYPE).gather(source),
            pl.Series("kind", names, dtype=kind_column).gather(index),
            pl.Series("cpu", cpus),
            *(pl.Series(name, values) for name, values in base.items()),
        ]
    )
    masks = []
    for name, missing in lacking.items():
        if missing:
            there = np.ones(len(ids), dtype=np.bool_)
            there[np.concatenate(missing)] = False
            masks.append(pl.when(pl.Series(there)).then(pl.col(name)).alias(name))
    return Frames(frame.with_columns(masks), own, types)
