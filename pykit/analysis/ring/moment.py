# SPDX-License-Identifier: GPL-2.0-only
"""The moment at which a ring is looked at: where the events of a violation stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from pykit.spec.rings import UNKNOWN
from pykit.spec.view import View

#: Events by which a device takes a chain and gives one back, by their observer.
_TAKES = {"qemu": "dev_pop", "vhost": "vhost_get"}
_RETURNS = {"qemu": "dev_fill", "vhost": "vhost_used"}


@dataclass(frozen=True)
class Moment:
    """A queue up to one of its events.

    Attributes:
        q, at: the queue, and the place of the last event that counts (see ``Rings``).
        rows: events of the violation.
        chains: chains that the violation is about, indices into ``view.adds``.
        taken, returned: chains that the device had by then, and had given back, from the queue's
            set-up on; -1 where its account was not seen from there on.
    """

    view: View
    q: int
    at: int
    rows: frozenset[int]
    chains: tuple[int, ...]
    taken: int
    returned: int

    @property
    def size(self) -> int:
        """The queue size; 1 where it is not known, so that it can be divided by."""
        return max(int(self.view.rings.size[self.q]), 1)

    def until(self, q: Any, at: Any) -> Any:
        """By row of a table that has both columns: it is of this queue, and not later."""
        return np.flatnonzero((q == self.q) & (at <= self.at))

    def last(self, *kinds: str) -> dict[str, Any]:
        """The last event of these kinds, as its non-null fields; empty if there is none."""
        frame = self.view.rings.of(*kinds)
        found = self.until(frame["q"], frame["at"])
        if not len(found):
            return {}
        return self.view.events.frames.rows_as_dicts([int(frame["row"][found[-1]])])[0]

    def is_marked(self, entry: int) -> bool:
        """Whether the violation is about a used entry: itself, or the end of its request."""
        chain = int(self.view.pairs.add_of[entry])
        requests = self.view.requests
        ends = requests.done[requests.chain == chain] if chain >= 0 else requests.done[:0]
        return int(self.view.used.row[entry]) in self.rows or not self.rows.isdisjoint(
            ends.tolist()
        )

    def outstanding(self) -> list[int]:
        """Chains that the driver had made available and not found used, oldest first."""
        adds, used, pairs = self.view.adds, self.view.used, self.view.pairs
        mine = self.until(adds.q, adds.at)
        entry = pairs.used_of[mine]
        back = np.zeros(len(mine), dtype=np.bool_)
        back[entry >= 0] = used.at[entry[entry >= 0]] <= self.at
        return [int(chain) for chain in mine[~back]]


def moment_of(view: View, rows: tuple[int, ...]) -> Moment | None:
    """Return the moment of the last of these events of the driver, else of the device.

    None where they concern no queue whose layout is known.
    """
    rings = view.rings
    known = {int(row): at for at, row in enumerate(rings.row.tolist()) if row in rows}
    mine = [known[row] for row in rows if row in known]
    if mine:
        q = int(rings.q[mine[-1]])
        at = max(at for at in mine if rings.q[at] == q)
    else:
        found = _beside(view, rows)
        if found is None:
            return None
        q, at = found
    if rings.layout[q] == UNKNOWN or not rings.size[q]:
        return None
    chains = tuple(dict.fromkeys(_chains(view, q, rows)))
    # Descriptors of a packed ring are read before the event of their list.
    at = max([at, *_owners(view, q, rows)[1]])
    times = view.base("time", -1)
    # A device's event may be the last of them.
    late = int(times[[*rows]].max())
    if times[rings.row[at]] >= 0:
        at = max(
            at, int(np.flatnonzero((rings.q == q) & (times[rings.row] <= late)).max(initial=0))
        )
    taken, returned = _account(view, q, max(late, int(times[rings.row[at]])))
    return Moment(view, q, at, frozenset(rows), chains, taken, returned)


def _beside(view: View, rows: tuple[int, ...]) -> tuple[int, int] | None:
    """The queue of a device's event, and the driver's last event before it by time."""
    rings = view.rings
    times = view.base("time", -1)
    for row in reversed(rows):
        event = view.events.base.row(row, named=True)
        place = (event["dev"], event["life"], event["vq"])
        here = [q for q, name in enumerate(rings.queue) if name == place]
        if not here or event["time"] is None:
            continue
        before = np.flatnonzero(np.isin(rings.q, here) & (times[rings.row] <= event["time"]))
        if len(before):
            at = int(before[-1])
            return int(rings.q[at]), at
    return None


def _chains(view: View, q: int, rows: tuple[int, ...]) -> list[int]:
    """The chains of which these events are, or which they return."""
    adds, used, chains = view.adds, view.used, view.chains
    found: list[int] = []
    for table, of in (
        (adds.row, np.arange(len(adds.row))),
        (chains.row, chains.chain),
        (view.requests.row, view.requests.chain),
        (view.requests.done, view.requests.chain),
        (used.row, view.pairs.add_of),
    ):
        found += of[np.isin(table, rows)].tolist()
    found += _owners(view, q, rows)[0]
    return [n for n in found if 0 <= n < len(adds.q) and adds.q[n] == q]


def _owners(view: View, q: int, rows: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """The lists to which these descriptors of a packed ring belong, and where they were added."""
    adds, slots = view.adds, view.rings.of("slot")
    owner = np.searchsorted(adds.at, slots["at"][np.isin(slots["row"], rows)])
    owner = owner[owner < len(adds.at)]
    owner = owner[adds.q[owner] == q]
    return owner.tolist(), adds.at[owner].tolist()


def _account(view: View, q: int, time: int) -> tuple[int, int]:
    """How many chains the device had taken and returned by then; -1 where that is not known."""
    rings = view.rings
    dev, life, vq = rings.queue[q]
    if not rings.alone[q] or not rings.whole[q] or time < 0:
        return -1, -1
    source = "vhost" if dev in view.elsewhere or "vhost_get" in view.kinds else "qemu"
    if _TAKES[source] not in view.kinds:
        return -1, -1
    here = (
        (pl.col("dev") == dev)
        & (pl.col("life") == life)
        & (pl.col("vq") == vq)
        & (pl.col("time") <= time)
    )
    events = view.of(_TAKES[source], _RETURNS[source])
    if events["time"].null_count():
        return -1, -1
    counts = events.filter(here)["kind"].cast(pl.String)
    taken, returned = (int((counts == kinds[source]).sum()) for kinds in (_TAKES, _RETURNS))
    return taken, returned
