# SPDX-License-Identifier: GPL-2.0-only
"""The guest's side of a capture: raw pages and formats to rows of one wide table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from pykit.trace.errors import (
    BadFormatError,
    DamageError,
    ShortRecordError,
    UnknownEventError,
)
from pykit.trace.formats import Field, Format
from pykit.trace.kinds import (
    BASE,
    KINDS,
    PROBED,
    SOURCE_TYPE,
    SOURCES,
    Dtype,
    columns_of,
    kind_type,
    source_of,
    widest,
)
from pykit.trace.losses import Loss, page_losses, stats_losses
from pykit.trace.pages import Array, Pages, read_pages
from pykit.trace.records import Records, walk
from pykit.trace.tracing import Tracing

SYSTEM = "pykit"
#: The field that says who saw an event: it becomes the source, and no column.
_BY = "by"
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


@dataclass(frozen=True)
class Guest:
    """Rows sorted by (ts, cpu), what else the formats have, and what was lost.

    ``extra`` holds the fields, by kind, of the capture's own formats.
    """

    rows: pl.DataFrame
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
    pages = read_pages(tracing.files, tracing.layout)
    records = walk(pages)
    known, damage = check_records(pages, records, formats)
    kinds = {form.id: kind_of(form) for form in formats.values() if form.system == SYSTEM}
    ours = np.isin(records.id, np.array(list(kinds), dtype=np.uint16)) & known
    # CPUs stand one behind the other and each is in order: a stable sort by
    # time alone is the order by (ts, cpu).
    chosen = np.flatnonzero(ours)
    chosen = chosen[np.argsort(records.ts[chosen], kind="stable")]
    extra = {
        kinds[number]: {
            field.name: _POLARS[field.size, field.signed] for field in own_fields(formats[number])
        }
        for number in kinds
    }
    return Guest(
        rows=_rows(pages, records, chosen, formats, kinds, extra),
        extra=extra,
        losses=(*stats_losses(tracing.files, pages, records), *page_losses(pages)),
        damage=(*pages.damage, *records.damage, *damage),
    )


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
        if absent or source_of(kind) == "qemu":
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


def check_records(
    pages: Pages, records: Records, formats: dict[int, Format]
) -> tuple[npt.NDArray[np.bool_], list[DamageError]]:
    """Which records have a format and are long enough for it; one error an id and CPU."""
    needed = np.full(1 << 16, -1, dtype=np.int64)
    for number, form in formats.items():
        needed[number] = form.size
    need = needed[records.id]
    known = (need >= 0) & (records.size >= need)
    damage: list[DamageError] = []
    wrong = np.flatnonzero(~known)
    keys = records.owner[wrong] << 16 | records.id[wrong]
    _, firsts, counts = np.unique(keys, return_index=True, return_counts=True)
    for first, count in zip(firsts, counts, strict=True):
        at = int(wrong[first])
        number = int(records.id[at])
        place = pages.place(int(records.payload[at]))
        if number in formats:
            detail = f"{int(records.size[at])} of {formats[number].size} bytes, {count} records"
            damage.append(ShortRecordError(*place, f"{formats[number].name}: {detail}"))
        else:
            damage.append(UnknownEventError(*place, f"{number}, {count} records"))
    return known, damage


def gather(pages: Pages, payload: npt.NDArray[np.int64], field: Field) -> Array:
    """One scalar field of the records at ``payload``, in the field's own width and sign."""
    at = payload + field.offset
    step = min(field.size, 4)
    sign = "i" if field.signed else "u"
    if field.offset % step:
        raw = pages.buffer[at[:, None] + np.arange(field.size)]
        value: Array = raw.view(f"{pages.endian}{sign}{field.size}").reshape(-1)
        return value.astype(value.dtype.newbyteorder("="))
    units = pages.buffer.view(f"{pages.endian}u{step}")
    at //= step
    if field.size < 8:
        return units[at].astype(f"=u{step}").view(f"=i{step}" if field.signed else f"=u{step}")
    # Payloads are 4-aligned only: take a u64 as two words.
    low, high = (0, 1) if pages.endian == "<" else (1, 0)
    whole = units[at + high].astype(np.uint64) << np.uint64(32)
    whole |= units[at + low]
    return whole.view(np.int64) if field.signed else whole


def _rows(
    pages: Pages,
    records: Records,
    chosen: npt.NDArray[np.intp],
    formats: dict[int, Format],
    kinds: dict[int, str],
    extra: dict[str, dict[str, Dtype]],
) -> pl.DataFrame:
    payload = records.payload[chosen]
    ids = records.id[chosen]
    kind_column = kind_type(extra)
    names = kind_column.categories.to_list()
    number_of = np.zeros(1 << 16, dtype=np.uint32)
    groups: dict[int, npt.NDArray[np.intp]] = {}
    for number, kind in kinds.items():
        number_of[number] = names.index(kind)
        groups[number] = np.flatnonzero(ids == number)
    index = number_of[ids]
    source = np.array([SOURCES.index(source_of(kind)) for kind in names], dtype=np.uint32)[index]
    by = _column(pages, payload, groups, formats, _BY, pl.UInt8).fill_null(0).to_numpy()
    source[(source == SOURCES.index("driver")) & (by == PROBED)] = SOURCES.index("probe")
    cpus = np.array([file.cpu for file in pages.files], dtype=np.uint16)
    columns = [
        pl.Series("ts", records.ts[chosen]),
        pl.Series("source", SOURCES, dtype=SOURCE_TYPE).gather(source),
        pl.Series("kind", names, dtype=kind_column).gather(index),
        pl.Series("cpu", cpus[records.owner[chosen]]),
    ]
    wanted: dict[str, Dtype] = {"pid": pl.Int32}
    wanted |= {name: BASE[name] for name in ("dev", "vq", "seq")}
    # Every guest column exists whatever the capture has: the next steps need no cases.
    wanted |= columns_of([kind for kind in names if source_of(kind) != "qemu"], extra)
    for name, dtype in wanted.items():
        columns.append(_column(pages, payload, groups, formats, name, dtype))
    return pl.DataFrame(columns)


def _column(
    pages: Pages,
    payload: npt.NDArray[np.int64],
    groups: dict[int, npt.NDArray[np.intp]],
    formats: dict[int, Format],
    name: str,
    dtype: Dtype,
) -> pl.Series:
    """One column over all rows: null where a row's kind does not have the field."""
    field_name = "common_pid" if name == "pid" else name
    parts: list[tuple[npt.NDArray[np.intp], Array]] = []
    for number, rows in groups.items():
        field = _field(formats[number], field_name)
        if field is not None and rows.size:
            parts.append((rows, gather(pages, payload[rows], field)))
    if not parts:
        return pl.Series(name, [None], dtype=dtype).new_from_index(0, len(payload))
    values = np.zeros(len(payload), dtype=np.result_type(*(part.dtype for _, part in parts)))
    valid = np.zeros(len(payload), dtype=np.bool_)
    for rows, part in parts:
        values[rows] = part
        valid[rows] = True
    frame = pl.DataFrame({"value": values, "valid": valid})
    masked = frame.select(pl.when("valid").then("value").alias(name))[name]
    return masked.cast(dtype)


def _field(form: Format, name: str) -> Field | None:
    return next((field for field in form.fields if field.name == name and field.scalar), None)
