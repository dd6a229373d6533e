# SPDX-License-Identifier: GPL-2.0-only
"""One capture's events by life of a device and by queue, as rules need them.

Everything is computed once and kept. Rules only read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from pykit.spec import bits
from pykit.spec.arrays import NEVER, Bools, Columns, Ints, numbers
from pykit.spec.exposed import altered_queues
from pykit.spec.given import misgiven
from pykit.spec.lives import Life, Status, read_lives
from pykit.spec.packed_broken import broken_by_driver
from pykit.spec.rings import SPLIT, Adds, Chains, Pairs, Requests, Rings, Used
from pykit.spec.rows import Rows
from pykit.spec.soil import (
    altered,
    behind,
    by_driver,
    misplaced,
    touched,
    unseen,
    written_between,
)
from pykit.spec.used_ring import used_ring_spoilt
from pykit.trace import Events
from pykit.trace.frames import Frames
from pykit.trace.kinds import INSIDE, OUTSIDE, REGISTERS, SET_UP, SOURCE_TYPE

__all__ = ["Life", "Status", "View"]

#: The device's number, its life and the virtqueue: columns that all events have.
_PLACE = ("dev", "life", "vq")
T = TypeVar("T")
Array = npt.NDArray[Any]


def judged(frames: Frames) -> Frames:
    """Choose one trace of each driver, which then has the source ``driver``."""
    return _accessed(_chosen(frames))


def _chosen(frames: Frames) -> Frames:
    """Choose one trace of each driver: its own, or that of an observer.

    Observers are the probe, the recorder, the core, the registers and a tap, in this order.

    All of them use the same kinds of events, so that rules know only ``driver``. Events of a
    trace that was not chosen keep their rows, since rows are counted, but have no kind.
    """
    table = frames.base
    sources = set(table["source"].unique())
    if "tap" in sources:
        frames = _tapped(frames)
        table = frames.base
    if not sources & {"probe", "record", "core", "registers"}:
        return frames
    watcher, second = pl.lit(False), pl.lit(False)
    for place, name in enumerate(INSIDE):
        better = table.filter(pl.col("source").is_in(INSIDE[:place]))["dev"].unique()
        mine = (pl.col("source") == name).fill_null(False)
        watcher |= mine
        second |= mine & pl.col("dev").is_in(better.implode())
    inside = table.filter(pl.col("source").is_in(INSIDE))["dev"].unique()
    registers = (pl.col("source") == "registers").fill_null(False)
    second |= registers & pl.col("dev").is_in(inside.implode()) & pl.col("kind").is_in(REGISTERS)
    base = table.with_columns(
        source=pl.when(watcher & ~second).then(pl.lit("driver", SOURCE_TYPE)).otherwise("source"),
        kind=pl.when(~second).then("kind"),
    )
    if base["kind"].null_count() == table["kind"].null_count():
        return replace(frames, base=base)
    chosen = base["kind"].is_not_null()
    kept = {kind: rows.filter(chosen.gather(rows["row"])) for kind, rows in frames.own.items()}
    return replace(frames, base=base, own=kept)


def _tapped(frames: Frames) -> Frames:
    """Take a tap's events for those of the sides whose kinds they have."""
    vhost = pl.col("kind").cast(pl.String).str.starts_with("vhost_")
    device = pl.col("kind").cast(pl.String).str.starts_with("dev_")
    seen = pl.when(vhost).then(pl.lit("vhost")).otherwise(pl.lit("driver"))
    source = (
        pl.when((pl.col("source") == "tap") & ~device)
        .then(seen.cast(SOURCE_TYPE))
        .otherwise("source")
    )
    return replace(frames, base=frames.base.with_columns(source=source))


def _accessed(frames: Frames) -> Frames:
    """Take the events that were made of a driver's accesses for the driver's."""
    seen = pl.col("kind").cast(pl.String).str.starts_with("acc_")
    source = (
        pl.when((pl.col("source") == "access") & ~seen)
        .then(pl.lit("driver", SOURCE_TYPE))
        .otherwise("source")
    )
    return replace(frames, base=frames.base.with_columns(source=source))


class View:
    """The events of one capture.

    Attributes:
        events: as decoded, with one inside observer a device, see ``judged``.
        captured: as decoded, with all observers.
    """

    def __init__(self, events: Events) -> None:
        self.captured = events
        self.events = replace(events, frames=judged(events.frames))
        self._of: dict[tuple[str, ...], pl.DataFrame] = {}
        self._kept: dict[str, Any] = {}

    def keep(self, name: str, make: Callable[[View], T]) -> T:
        """Return ``make``'s result, computed once: for tables that one topic's rules share."""
        if name not in self._kept:
            self._kept[name] = make(self)
        kept: T = self._kept[name]
        return kept

    def of(self, *kinds: str) -> pl.DataFrame:
        """Rows of these kinds in table order; see ``Events.of``."""
        if kinds not in self._of:
            self._of[kinds] = self.events.of(*kinds)
        return self._of[kinds]

    def columns(self, *kinds: str) -> Columns:
        """The same as columns of numbers, with ``dev``, ``life`` and ``vq``; -1 where not known."""

        def make(view: View) -> Columns:
            found = Columns.read(view.events.frames.own, kinds)

            def column(name: str) -> Array:
                if name not in _PLACE:
                    return found.make(name)
                place = view.events.base[name].gather(found["row"]).cast(pl.Int64)
                return numbers(place, absent=-1)

            return replace(found, make=column)

        return self.keep("columns of " + " ".join(kinds), make)

    def base(self, name: str, absent: int = 0) -> Array:
        """By row: a column that every event has."""

        def make(view: View) -> Array:
            column = view.events.base[name]
            if column.null_count() and column.dtype.is_integer():
                most = column.max()
                large = isinstance(most, int) and most > np.iinfo(np.int32).max
                column = column.cast(pl.Int64 if large else pl.Int32).fill_null(absent)
            return column.to_numpy()

        return self.keep(f"{name}, else {absent}", make)

    @cached_property
    def sources(self) -> frozenset[str]:
        """Observers that traced any event."""
        return frozenset(self.events.base["source"].unique().cast(pl.String).to_list())

    @cached_property
    def kinds(self) -> frozenset[str]:
        """Kinds of which there is at least one event."""
        return frozenset(self.events.base["kind"].drop_nulls().unique().cast(pl.String).to_list())

    def recorded(self, *kinds: str) -> bool:
        """Whether all these kinds of the guest's tracepoints were switched on.

        A rule with a choice of observers asks before it judges by one of them: what a trace
        cannot hold says nothing.
        """
        recorded = self.events.recorded
        return recorded is None or recorded.issuperset(kinds)

    @cached_property
    def observers(self) -> frozenset[str]:
        """Observers that traced any event, as the capture names them: see ``judged``."""
        return frozenset(self.captured.base["source"].unique().cast(pl.String).to_list())

    @cached_property
    def inside(self) -> bool:
        """Whether the driver's events come from code in its guest, or from the kit's own driver."""
        return bool(self.observers & {*INSIDE})

    @cached_property
    def rebuilt(self) -> bool:
        """Whether the driver's events were made of its accesses, seen from outside."""
        return "driver" in self.sources and not self.observers & {*INSIDE, "tap"}

    @property
    def in_one_order(self) -> bool:
        """Whether all events were written down in one order, by one clock: `pykit drive`'s are."""
        return self.events.capture.clock == "wall"

    @property
    def untyped(self) -> bool:
        """Whether the events that say what a device is were not switched on."""
        return not self.recorded("driver")

    @cached_property
    def elsewhere(self) -> frozenset[int]:
        """Devices whose rings QEMU itself never reads: another process or the kernel does."""
        numbers = self.events.devices
        served = (d.id for d in self.events.capture.devices if d.type.startswith("vhost-"))
        return frozenset(numbers[name] for name in served if name in numbers)

    @cached_property
    def lives(self) -> dict[tuple[int, int], Life]:
        """Lives by (dev, number), in that order."""
        return read_lives(self)

    def life(self, dev: int, number: int) -> Life:
        """Return a life, an empty one if no event names it."""
        return self.lives.get((dev, number)) or Life(dev, number)

    @cached_property
    def rings(self) -> Rings:
        """The driver's queue events, each queue's in its exact order."""
        return Rings.read(self)

    def events_of(self, *kinds: str) -> Rows:
        """The driver's queue events of these kinds as rows, queue by queue in exact order."""
        return Rows.of(self.rings, self.rings.of(*kinds))

    def queue_setups(self, layout: int) -> Rows:
        """Set-ups of virtqueues of a layout (rings.SPLIT or PACKED)."""
        queues = self.events_of("queue")
        return queues.where((queues["op"] == SET_UP) & (self.rings.layout[queues["q"]] == layout))

    @cached_property
    def adds(self) -> Adds:
        """Chains made available."""
        return Adds.read(self.rings)

    @cached_property
    def used(self) -> Used:
        """Used entries that the driver read."""
        return Used.read(self.rings)

    @cached_property
    def pairs(self) -> Pairs:
        """Which used entry returns which chain."""
        return Pairs.match(self.adds, self.used, self.rings)

    @cached_property
    def chains(self) -> Chains:
        """The descriptors of every chain."""
        return Chains.read(self.rings, self.adds)

    @cached_property
    def writable(self) -> Ints:
        """By chain: bytes that the device may write, by a split ring's memory where it was seen."""
        adds, chains = self.adds, self.chains
        found = np.zeros(len(adds.q), dtype=np.int64)
        may = chains.element & (chains.flags & bits.WRITE != 0)
        np.add.at(found, chains.chain[may], chains.len[may])
        # The device overwrites lengths of a packed ring.
        seen = chains.whole & (self.rings.layout[adds.q] == SPLIT) if len(adds.q) else chains.whole
        return np.where(seen, found, adds.writable)

    @cached_property
    def requests(self) -> Requests:
        """Block requests, with their chains and their ends."""
        return Requests.read(self.rings, self.adds, self.used, self.pairs, self.chains)

    @cached_property
    def soiled(self) -> Ints:
        """By queue: from where on the driver has broken its ring; -1 if it never gave it, altered
        what it had exposed, or wrote to the used ring.

        See ``soil.by_driver``, ``soil.misplaced``, ``given.misgiven``, ``exposed.altered_queues``
        and, for what stood in packed rings, ``packed_broken.broken_by_driver``. Where either side
        altered an entry of the available ring it counts as broken, too: ``soil.altered``.
        """
        found = by_driver(self.rings, self.adds, self.used, self.pairs, self.chains)
        found[misgiven(self)] = -1
        changed = altered_queues(self)
        found[[queue in changed for queue in self.rings.queue]] = -1
        found[[used_ring_spoilt(self, *queue) for queue in self.rings.queue]] = -1
        found = np.minimum(found, altered(self.rings, self.adds))
        found = np.minimum(found, misplaced(self))
        return np.minimum(found, broken_by_driver(self))

    @cached_property
    def contested_queues(self) -> Bools:
        """By queue: whether the driver has broken its ring anywhere, or never gave it."""
        broken: Bools = self.soiled < NEVER
        return broken

    def by_either(self, rows: Sequence[int]) -> bool:
        """Whether what one of these events read of a chain may be the device's.

        Chains of the device were altered while they were with it (event ``compared``), and the
        event's chain was traced when the device had a cause to look, and so to write, already: not
        before DRIVER_OK, nor before a notification that it asked for, having returned all chains;
        or it was seen to write descriptors of no chain (see ``soil.touched``, ``.unseen``,
        ``.written_between``).
        """
        return any(row in self._doubtful_rows for row in rows)

    @cached_property
    def _doubtful_rows(self) -> frozenset[int]:
        """Rows of events that show a chain which the device may have altered before."""
        rings, adds = self.rings, self.adds
        queues = touched(self)
        if not queues.any() or not len(adds.q):
            return frozenset()
        doubtful = queues[adds.q] & (~unseen(self) | written_between(rings)[adds.q])
        # A chain's events follow its add; the slots of a packed ring come before it.
        chain = np.searchsorted(adds.at, np.arange(len(rings.row)), side="right") - 1
        chain[rings.of("slot")["at"]] += 1
        known = (chain >= 0) & (chain < len(adds.q))
        chain[~known] = 0
        found = known & doubtful[chain] & (adds.q[chain] == rings.q)
        return frozenset(rings.row[found].tolist())

    def contested(self, rows: Rows) -> Bools:
        """By queue event of a rule about the device: the driver had broken the ring before."""
        return behind(self.soiled, rows["q"], rows["at"])

    @cached_property
    def end(self) -> tuple[int, int]:
        """When the trace ended inside the guest (its clock) and outside (the host's), ns.

        That is the last event's time, unless the capture has a later one: observers that see
        nothing trace nothing.
        """
        ended = self.events.capture.ended
        if ended is not None:
            return ended.guest_ns, ended.host_ns
        table = self.events.base
        if self.rebuilt:
            last = table["ts"].max()
            return (last, last) if isinstance(last, int) else (0, 0)
        guest = table.filter(~pl.col("source").is_in(OUTSIDE))["ts"].max()
        host = table.filter(pl.col("source") == "qemu")["ts"].max()
        return (
            guest if isinstance(guest, int) else 0,
            host if isinstance(host, int) else 0,
        )
