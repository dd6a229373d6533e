# SPDX-License-Identifier: GPL-2.0-only
"""Register accesses of all devices, each device's in order, as rules need them.

A device's accesses come from QEMU's log where it has them, else from the access tracer. What
was selected, written or read before an access is found by ``earlier`` and ``later``, for all
accesses at once.

A *span* of a device goes from one reset to the next; the write that resets it belongs to the span
that it ends. Resets by the platform, which QEMU's log shows as a status of 0 that no driver wrote,
end a span too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from pykit import pci
from pykit.spec import bits
from pykit.spec.arrays import Bools, Ints, ints
from pykit.spec.model import Result
from pykit.spec.rows import Message, Row, Rows
from pykit.trace.register_map import NAMES, REGISTERS, STRUCTURES

if TYPE_CHECKING:
    from pykit.spec.view import View

#: Structures of the transports.
PCI, MMIO, LEGACY = ("common",), ("mmio",), ("legacy", "mmio-legacy")
#: Registers of a queue that are set before it is enabled.
ADDRESSES = ("queue_desc_low", "queue_driver_low", "queue_device_low")
HALVES = tuple(name.replace("_low", "_high") for name in ADDRESSES)
#: Reasons why nothing is checked.
NONE = "no such register access was seen"
ONE_WAY = "only reads or only writes of the registers were recorded, or not from a reset on"
_RESET = "reset"
_STRUCTURES = (*STRUCTURES, "", _RESET)
_REGISTERS = (*NAMES, "", _RESET)


def earlier(mask: Bools, key: Ints) -> Ints:
    """Return by row the nearest row before it that has ``mask`` and the same ``key``; -1: none."""
    order = np.argsort(key, kind="stable")
    sorted_keys = key[order]
    places = np.arange(len(key))
    first = np.ones(len(key), dtype=np.bool_)
    first[1:] = sorted_keys[1:] != sorted_keys[:-1]
    starts = np.maximum.accumulate(np.where(first, places, 0)) if len(key) else places
    last = np.maximum.accumulate(np.where(mask[order], places, -1)) if len(key) else places
    before = np.concatenate([np.array([-1]), last[:-1]])[: len(key)]
    found = np.full(len(key), -1)
    good = before >= starts
    found[order[good]] = order[before[good]]
    return found


def later(mask: Bools, key: Ints) -> Ints:
    """Return by row the nearest row after it that has ``mask`` and the same ``key``; -1: none."""
    found = earlier(mask[::-1], key[::-1])[::-1]
    return np.where(found >= 0, len(key) - 1 - found, -1)


def sooner(one: Ints, other: Ints) -> Ints:
    """Return by row the first of two rows that ``later`` found; -1 where neither was."""
    return np.where(one < 0, other, np.where(other < 0, one, np.minimum(one, other)))


@dataclass
class Registers:
    """All register accesses but notifications, and notifications by themselves.

    Attributes:
        dev, life, vq, row, offset, size: as in the events; life and vq are -1 where not known.
        value: what was read or written; ``known``: it was recorded, and is all of the register.
        part: the access was to fewer bytes than the register has.
        span: number of the span, unique over all devices; ``begun``: its beginning was seen.
        partial: devices of which only reads or only writes were recorded; they are left out.
    """

    columns: dict[str, npt.NDArray[Any]]
    partial: int

    def __getattr__(self, name: str) -> npt.NDArray[Any]:
        try:
            return self.columns[name]
        except KeyError:
            raise AttributeError(name) from None

    def __len__(self) -> int:
        return len(self.columns["row"])

    def on(self, *names: str) -> Bools:
        """Return which accesses are to one of these registers."""
        return self._among("register", _REGISTERS, names)

    def of(self, structures: tuple[str, ...]) -> Bools:
        """Return which accesses are to one of these structures."""
        return self._among("structure", _STRUCTURES, structures)

    def _among(self, column: str, known: tuple[str, ...], names: tuple[str, ...]) -> Bools:
        """Return where a column, of indices into ``known``, is one of these names'.

        Rules ask for the same few, some of them for each life; what they get is read-only.
        """
        if (column, names) not in self._masks:
            chosen = np.zeros(len(known), dtype=np.bool_)
            chosen[[known.index(name) for name in names]] = True
            mask = chosen[self.columns[column]]
            mask.setflags(write=False)
            self._masks[column, names] = mask
        return self._masks[column, names]

    @cached_property
    def _masks(self) -> dict[tuple[str, tuple[str, ...]], Bools]:
        return {}

    def devices(self, structures: tuple[str, ...]) -> Bools:
        """Return which accesses are to devices that have one of these structures."""
        dev = self.columns["dev"]
        found: Bools = np.isin(dev, dev[self.of(structures)])
        return found

    def reads(self, *names: str) -> Bools:
        """Return reads of these registers whose value is known."""
        found: Bools = self.on(*names) & ~self.columns["write"] & self.columns["known"]
        return found

    def writes(self, *names: str) -> Bools:
        """Return writes to these registers whose value is known."""
        found: Bools = self.on(*names) & self.columns["write"] & self.columns["known"]
        return found

    def name(self, i: int) -> str:
        """Return the name of an access's register."""
        return _REGISTERS[int(self.columns["register"][i])]

    @property
    def queue(self) -> Ints:
        """Return a key of the queue in its span."""
        key: Ints = self.columns["span"] * (1 << 17) + self.columns["vq"] + 1
        return key

    @property
    def queue_of_device(self) -> Ints:
        """Return a key of the queue, over all spans of its device."""
        key: Ints = self.columns["dev"] * (1 << 17) + self.columns["vq"] + 1
        return key

    def of_life(self, dev: int, life: int) -> Ints:
        """Return where the accesses of a life are, in their order."""
        return self._lives.get((dev, life), np.zeros(0, dtype=np.int64))

    @cached_property
    def _lives(self) -> dict[tuple[int, int], Ints]:
        dev, life = self.columns["dev"], self.columns["life"]
        order: Ints = np.lexsort((life, dev)).astype(np.int64)
        new = (np.diff(dev[order]) != 0) | (np.diff(life[order]) != 0)
        parts = np.split(order, np.flatnonzero(new) + 1) if len(order) else []
        return {(int(dev[part[0]]), int(life[part[0]])): part for part in parts}

    def value_at(self, rows: Ints, absent: int = -1) -> Ints:
        """Return the values of other rows; ``absent`` for row -1."""
        return np.where(rows >= 0, self.columns["value"][rows], absent) if len(self) else rows

    def row_at(self, rows: Ints) -> Ints:
        """Return the events of other rows; -1 for row -1."""
        return np.where(rows >= 0, self.row[rows], -1) if len(self) else rows

    def accepted(self, bit: int) -> Ints:
        """Return by row whether the driver has accepted a feature so far: 1, 0, or -1: unknown.

        That is known once FEATURES_OK was written, and for legacy devices, which have none, once
        the features were written.
        """
        span = self.columns["span"]
        selected = earlier(self.writes("driver_feature_select"), span)
        word = np.where(self.of(("legacy",)), 0, self.value_at(selected, 0))
        written = self.writes("driver_feature") & (word == bit // 32)
        last = earlier(written, span)
        agreed = self.writes("status") & (self.columns["value"] & bits.FEATURES_OK != 0)
        known = (earlier(agreed, span) >= 0) | (self.of(LEGACY) & (last >= 0))
        has = self.value_at(last, 0) >> bit % 32 & 1
        found: Ints = np.where(known, has, -1)
        return found

    @property
    def enabled(self) -> Bools:
        """Return by row whether the access's queue is enabled before it."""
        changes = self.writes("queue_enable") | (
            self.writes("queue_reset") & (self.columns["value"] == 1)
        )
        last = earlier(changes, self.queue)
        on = self.on("queue_enable")[last] & (self.value_at(last) == 1)
        return (last >= 0) & on if len(self) else np.zeros(0, dtype=np.bool_)

    @property
    def settled(self) -> Bools:
        """Return by row whether the device's reset is over: the status has read 0 since then."""
        seen = self.reads("status") & (self.columns["value"] == 0)
        over: Bools = self.columns["begun"] & (earlier(seen, self.columns["span"]) >= 0)
        return over

    def where(self, mask: Bools, **columns: npt.NDArray[Any]) -> Rows:
        """Return accesses as rows; ``columns`` has more of them, by access."""
        at = np.flatnonzero(mask)
        kept = self.columns
        made = {name: values[at] for name, values in columns.items()}
        label = {"access": self._label, "place": _place}
        return Rows(lambda name: at if name == "at" else kept[name][at], len(at), label, made)

    def _label(self, row: Row) -> str:
        text = self.name(row["at"])
        if text == "config":
            text = f"the configuration at {row['offset']}"
        return f"{text} at {row['offset']:#x}" if text == "reserved" else text

    def check(
        self,
        rows: Rows,
        holds: Bools,
        message: Message,
        *,
        shown: tuple[str, ...] = ("row",),
        undecided: int = 0,
        doubt: str = ONE_WAY,
        none: str = NONE,
    ) -> Result:
        """Check rows; devices that were recorded in part count as undecided."""
        undecided += self.partial
        return rows.check(holds, message, shown=shown, undecided=undecided, doubt=doubt, none=none)


def _place(row: Row) -> str:
    """Return the device, its life and the queue of an access, as messages name them."""
    text = f"device {row['dev']}"
    if row["life"] >= 0:
        text += f", life {row['life']}"
    return text + (f", queue {row['vq']}" if row["vq"] >= 0 else "")


def registers(view: View) -> Registers:
    """Return all accesses to registers but notifications."""
    return view.keep("registers", lambda view: _read(view, notifications=False))


def notifications(view: View) -> Registers:
    """Return accesses to the registers that notify a queue."""
    return view.keep("register notifications", lambda view: _read(view, notifications=True))


def all_registers(view: View) -> Registers:
    """Return the same with devices of which only reads or only writes were recorded.

    A device that its driver gives up at once is never written to: rules that judge single reads
    take these.
    """
    return view.keep(
        "registers of all", lambda view: _read(view, notifications=False, one_way=True)
    )


def traced_registers(view: View) -> Registers:
    """Return all accesses to registers but notifications as the access tracer saw them.

    The tracer has the driver's own accesses; QEMU logs them as it hands them to the device. Of most
    versions of QEMU it has no values.
    """
    return view.keep("traced registers", lambda view: _read(view, notifications=False, logs=False))


#: Bytes of a structure's part of a BAR of QEMU's.
_PAGE = 1 << 12
#: Structures with registers, by the type of their capability.
_CAPABILITIES = {pci.COMMON_CFG: "common", pci.ISR_CFG: "isr", pci.DEVICE_CFG: "config"}


def _in_structures(view: View, traced: pl.DataFrame) -> pl.DataFrame:
    """Count a tracer's offsets from where their structure begins in the BAR, by the survey.

    Of a device that was not surveyed, as its guest powered off before: by QEMU's own layout, in
    which each structure has a page of its own.
    """
    begins = view.of("survey_cap").filter(pl.col("cfg_type").is_in([*_CAPABILITIES]))
    if not traced.height:
        return traced
    names = pl.col("cfg_type").replace_strict(_CAPABILITIES, return_dtype=pl.String)
    begins = begins.select("dev", begin="start", structure=names)
    begins = begins.drop_nulls().unique(("dev", "structure"))
    kind = traced.schema["structure"]
    traced = traced.with_columns(pl.col("structure").cast(pl.String))
    traced = traced.join(begins, on=("dev", "structure"), how="left", maintain_order="left")
    offset = pl.col("offset").cast(pl.Int64)
    offset -= pl.coalesce(pl.col("begin").cast(pl.Int64), offset - offset % _PAGE)
    inside = pl.when(offset >= 0).then(offset).otherwise("offset").cast(pl.UInt32)
    return traced.with_columns(pl.col("structure").cast(kind), offset=inside).drop("begin")


def _read(
    view: View, *, notifications: bool, logs: bool = True, one_way: bool = False
) -> Registers:
    logged = view.of("register") if logs else view.of("register").clear()
    traced = view.of("acc_register")
    wanted = pl.col("register") == "queue_notify"
    wanted = (wanted if notifications else ~wanted).fill_null(False)
    logged = logged.filter(wanted & pl.col("dev").is_not_null())
    # One observer a device: QEMU's log, which has all values.
    by_log = logged["dev"].unique()
    traced = traced.filter(
        wanted & pl.col("dev").is_not_null() & ~pl.col("dev").is_in(by_log.implode())
    )
    traced = _in_structures(view, traced)
    names = (
        "row",
        "dev",
        "life",
        "vq",
        "structure",
        "register",
        "offset",
        "value",
        "size",
        "write",
    )
    parts = [frame.select(names) for frame in (logged, traced)]
    if logged.height:
        statuses = view.of("dev_status").filter(
            (pl.col("status") == 0) & pl.col("dev").is_in(by_log.implode())
        )
        mark = pl.lit(_RESET)
        parts.append(statuses.select("row", "dev", "life", structure=mark, register=mark))
    table = pl.concat(parts, how="diagonal_relaxed").sort("dev", "row")
    register, write = pl.col("register"), pl.col("write") > 0
    ends = (register == _RESET) | ((register == "status") & write & (pl.col("value") == 0))
    table = table.with_columns(
        (ends.fill_null(False).cast(pl.Int64).cum_sum() - ends.fill_null(False).cast(pl.Int64))
        .over("dev")
        .alias("number"),
    )
    table = table.with_columns(
        (pl.col("number") + (register == _RESET).cast(pl.Int64)).alias("number")
    ).filter(register != _RESET)
    both = (
        table.group_by("dev")
        .agg(((pl.col("write") > 0).any() & (pl.col("write") == 0).any()).alias("both"))
        .filter("both")["dev"]
    )
    any_way = notifications or one_way
    partial = 0 if any_way else table["dev"].n_unique() - len(both)
    if not any_way:
        table = table.filter(pl.col("dev").is_in(both.implode()))
    columns: dict[str, npt.NDArray[Any]] = {
        name: ints(table, name) for name in ("row", "dev", "offset", "size")
    }
    for name in ("life", "vq"):
        columns[name] = table[name].cast(pl.Int64).fill_null(-1).to_numpy()
    value = table["value"].cast(pl.UInt64).fill_null(0) & ((1 << 63) - 1)
    columns["value"] = value.cast(pl.Int64).to_numpy()
    columns["write"] = (table["write"] > 0).fill_null(False).to_numpy()
    columns["span"] = (
        table.select(pl.struct("dev", "number").rle_id()).to_series().cast(pl.Int64).to_numpy()
    )
    columns["begun"] = (table["number"] > 0).to_numpy()
    for name, known in (("structure", _STRUCTURES), ("register", _REGISTERS)):
        codes = {text: code for code, text in enumerate(known)}
        texts = table[name].cast(pl.String).fill_null("")
        columns[name] = texts.replace_strict(
            codes, default=codes[""], return_dtype=pl.Int64
        ).to_numpy()
    # A part of a register says nothing of the rest; the rules of widths judge such an access.
    sizes = np.array(
        [
            [
                REGISTERS[place][name].size if name in REGISTERS.get(place, {}) else 0
                for name in _REGISTERS
            ]
            for place in _STRUCTURES
        ]
    )
    width = sizes[columns["structure"], columns["register"]]
    whole = (width == columns["size"]) | (width == 0) | (width > 8)
    columns["known"] = table["value"].is_not_null().to_numpy() & whole
    columns["part"] = (columns["size"] < width) & (width <= 8)
    return Registers(columns, partial)
