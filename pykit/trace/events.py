# SPDX-License-Identifier: GPL-2.0-only
"""The events of a capture: both sides of every virtqueue, typed, as polars frames."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from pykit.trace.align import Alignment, align
from pykit.trace.capture import CaptureInfo
from pykit.trace.errors import BadTableError
from pykit.trace.frames import Frames
from pykit.trace.kinds import BASE, KINDS, OUTSIDE, SOURCE_TYPE, Dtype, columns_of, kind_type
from pykit.trace.lives import returned

_META = "pykit"
_VERSION = 2


@dataclass(frozen=True)
class Events:
    """All events of one capture.

    Attributes:
        frames: what every event has, and the fields of each kind. Of every event: ``row``
            (position), ``ts`` (ns; guest rows in the trace clock, QEMU's rows in the host's wall
            clock, null where the log has no times), ``source``, ``kind``,
            ``cpu`` (guest), ``pid`` (guest task, or QEMU thread), ``dev``,
            ``life``, ``vq``, ``seq``. Order: the guest's rows by (ts, cpu),
            then QEMU's rows in log order, then the access tracer's in program order.
            ``time`` is one clock for all, the guest's (ns); null for what was seen from
            outside where it cannot be had.
        lost: how many events are missing, at least one a known loss; an upper
            bound, as two counters may see the same loss.
        losses: one line each, says where.
        capture: what was run.
        devices: ``dev`` number of every device id of the capture.
        fields: columns of each kind beyond the base columns.
        alignment: how QEMU's ``time`` was found, with its error; or why it was not.
        recorded: kinds of the guest's tracepoints that were switched on; None if all were.
    """

    frames: Frames
    lost: int
    losses: tuple[str, ...]
    capture: CaptureInfo
    devices: dict[str, int]
    fields: dict[str, tuple[str, ...]]
    alignment: Alignment | str = "not aligned"
    recorded: frozenset[str] | None = None

    @property
    def base(self) -> pl.DataFrame:
        """What every event has, in the order of ``row``."""
        return self.frames.base

    @cached_property
    def table(self) -> pl.DataFrame:
        """One row an event, one column a field; null where a kind does not have the field."""
        return self.frames.wide().select(*_ALWAYS, *self.frames.types)

    def with_table(self, table: pl.DataFrame) -> Events:
        """The same capture with other events."""
        return replace(self, frames=Frames.split(table, self.fields, self.frames.types))

    @property
    def clocks(self) -> str:
        """Whether the two sides have one clock, and how well: one line."""
        if isinstance(self.alignment, str):
            return f"clocks not aligned: {self.alignment}"
        return self.alignment.line()

    def of(self, *kinds: str) -> pl.DataFrame:
        """Rows of these kinds, with the base columns and these kinds' own.

        The columns depend on the kinds only, so that a rule finds them even
        where the capture has no such event.

        Raises:
            KeyError: no such kind.
        """
        names = dict.fromkeys(name for kind in kinds for name in self.fields[kind])
        own = self.frames.own_of(*kinds, names=names)
        return self.base[own["row"]].hstack(own.select(*names))

    def write_parquet(self, path: Path) -> None:
        """Save the table with everything else in the file's metadata."""
        meta = {
            "version": _VERSION,
            "lost": self.lost,
            "losses": self.losses,
            "capture": self.capture.to_json(),
            "devices": self.devices,
            "fields": self.fields,
            "recorded": None if self.recorded is None else sorted(self.recorded),
            "alignment": (
                self.alignment if isinstance(self.alignment, str) else asdict(self.alignment)
            ),
        }
        self.table.write_parquet(path, metadata={_META: json.dumps(meta)})

    @classmethod
    def read_parquet(cls, path: Path) -> Events:
        """Read what ``write_parquet`` wrote.

        Raises:
            BadTableError: not such a file, or of another version.
            BadJsonError, UnknownSchemaError: its capture information is damaged.
        """
        try:
            meta = json.loads(pl.read_parquet_metadata(path)[_META])
            table = pl.read_parquet(path)
            if meta["version"] != _VERSION:
                raise BadTableError(
                    f"{path}: version {meta['version']}, this pykit reads {_VERSION}"
                )
            fields = {kind: tuple(names) for kind, names in meta["fields"].items()}
            types = {name: table.schema[name] for names in fields.values() for name in names}
            types = {name: types[name] for name in table.columns if name in types}
            return cls(
                frames=Frames.split(table, fields, types),
                lost=meta["lost"],
                losses=tuple(meta["losses"]),
                capture=CaptureInfo.from_json(meta["capture"], str(path)),
                devices=meta["devices"],
                fields=fields,
                alignment=(
                    Alignment(**meta["alignment"])
                    if isinstance(meta["alignment"], dict)
                    else str(meta["alignment"])
                ),
                recorded=None if meta.get("recorded") is None else frozenset(meta["recorded"]),
            )
        except (OSError, PolarsError, ValueError, KeyError, TypeError) as error:
            raise BadTableError(
                f"{path}: not an event table of pykit ({error}); decode the capture again"
            ) from error


#: The base columns in the table's order.
_ALWAYS = ("row", "ts", "time", "source", "kind", "cpu", "pid", "dev", "life", "vq", "seq")


def join(
    guest: Frames | None, host: pl.DataFrame | None, extra: dict[str, dict[str, Dtype]]
) -> tuple[Frames, dict[str, tuple[str, ...]]]:
    """The guest's events and, behind them, QEMU's (a row each, all fields); each kind's columns.

    Every column of every known kind has a type whether or not it has values.
    """
    kind_column = kind_type(extra)
    kinds = kind_column.categories.to_list()
    types = columns_of(kinds, extra)
    fields = {
        kind: tuple(
            dict.fromkeys(
                name for name in (*KINDS.get(kind, {}), *extra.get(kind, {})) if name not in BASE
            )
        )
        for kind in kinds
    }
    schema: dict[str, pl.DataType | Dtype]
    schema = {**BASE, "source": SOURCE_TYPE, "kind": kind_column}
    base = pl.DataFrame(schema=schema).select(_ALWAYS)
    own: dict[str, pl.DataFrame] = {}
    parts = [guest] if guest else []
    if host is not None and host.height:
        start = guest.base.height if guest else 0
        host = host.with_row_index("row", start).with_columns(
            pl.col(name).cast(schema.get(name, types.get(name, dtype)))
            for name, dtype in host.schema.items()
        )
        parts.append(Frames.split(host, fields, types))
    for part in parts:
        mine = part.base.with_columns(
            pl.lit(None, dtype=dtype).alias(name)
            for name, dtype in schema.items()
            if name not in part.base.columns
        )
        base = base.vstack(mine.select(pl.col(name).cast(schema[name]) for name in _ALWAYS))
        for kind, rows in part.own.items():
            # Both a driver and its register accesses have these kinds.
            pieces = [own[kind], rows] if kind in own else [rows]
            own[kind] = pl.concat(pieces, how="diagonal_relaxed")
    return Frames(base, own, types), fields


def one_clock(frames: Frames, lost: int) -> tuple[Frames, Alignment | str]:
    """Return the events with ``time``, the guest's clock for both sides, and the alignment.

    After an absence of an observer its lives are numbered by the other side's, by time.
    """
    found, base = align(frames, lost), frames.base
    host = pl.lit(None, dtype=pl.Int64) if isinstance(found, str) else found.to_guest(base["ts"])
    time = pl.when(pl.col("source").is_in(OUTSIDE)).then(host).otherwise("ts").alias("time")
    timed = replace(frames, base=base.with_columns(time))
    return replace(timed, base=timed.base.with_columns(returned(timed))), found
