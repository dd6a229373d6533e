# SPDX-License-Identifier: GPL-2.0-only
"""A split ring (section 2.7): descriptor table, indirect table, available and used ring."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pykit.analysis.ring.common import (
    ENTRIES,
    OF_CHAIN,
    ROWS,
    account,
    address,
    field,
    flags_of,
    index_is_wrong,
    notifications,
    state_of,
)
from pykit.analysis.ring.moment import Moment
from pykit.analysis.ring.panels import Panel, PanelRow
from pykit.spec import bits
from pykit.spec.arrays import WRAP
from pykit.text import counted

_DESCRIPTOR = ("slot", "addr", "len", "flags", "next", "state")


def split_panels(moment: Moment) -> Iterator[Panel]:
    """Yield the parts of a split ring."""
    yield descriptors(moment, _DESCRIPTOR)
    yield from indirect(moment)
    yield _available(moment)
    yield _used(moment)
    yield notifications(moment, packed=False)


def descriptors(moment: Moment, headings: tuple[str, ...]) -> Panel:
    """The descriptors of the violation's chains, then of the last ones that are outstanding."""
    outstanding = moment.outstanding()
    rows: dict[int, PanelRow] = {}
    cut = False
    for chain in dict.fromkeys([*moment.chains, *reversed(outstanding)]):
        found = list(_of_chain(moment, chain, table=0))
        cut |= len(found) > OF_CHAIN
        for row in found[:OF_CHAIN]:
            if row.slot in rows:
                continue
            if len(rows) == ROWS:
                cut = True
                break
            rows[row.slot] = row
    notes = [f"{counted(len(outstanding), 'chain')} outstanding, {_free(moment)} descriptors free"]
    if cut:
        notes.append("more descriptors are not drawn")
    ordered = tuple(rows[slot] for slot in sorted(rows))
    return Panel(f"Descriptor table of {moment.size}", headings, ordered, tuple(notes))


def indirect(moment: Moment) -> Iterator[Panel]:
    """Yield the indirect table of each chain of the violation."""
    for chain in moment.chains[:2]:
        rows = tuple(_of_chain(moment, chain, table=1))
        if rows:
            head = int(moment.view.adds.head[chain])
            notes = ("more descriptors are not drawn",) if len(rows) > ROWS else ()
            yield Panel(f"Indirect table of head {head}", _DESCRIPTOR, rows[:ROWS], notes)


def _of_chain(moment: Moment, chain: int, table: int) -> Iterator[PanelRow]:
    """Yield a chain's descriptors of one table in walking order, each slot once."""
    chains = moment.view.chains
    low, high = np.searchsorted(chains.chain, [chain, chain + 1])
    state, owner = state_of(moment, chain)
    seen: dict[int, int] = {}
    marks = {int(chains.slot[n]) for n in range(low, high) if int(chains.row[n]) in moment.rows}
    for n in range(int(low), int(high)):
        slot, flags = int(chains.slot[n]), int(chains.flags[n])
        if chains.table[n] != table or slot in seen:
            continue
        seen[slot] = n
        link = int(chains.next[n]) if flags & bits.NEXT else -1
        cells = (
            str(slot), address(chains.addr[n]), f"{chains.len[n]:,}",
            flags_of(flags), str(link) if link >= 0 else "", state,
        )  # fmt: skip
        loops = bool(chains.looped[chain]) and link in seen and chain in moment.chains
        yield PanelRow(cells, owner, slot in marks or loops, slot, link)


def _free(moment: Moment) -> str:
    return field(moment.last("add", "detach"), "num_free")


def _available(moment: Moment) -> Panel:
    adds = moment.view.adds
    mine = moment.until(adds.q, adds.at)
    listed = mine[-ENTRIES:].tolist()
    early = [chain for chain in moment.chains if chain not in listed and chain in mine]
    rows = []
    for chain in [*early[:2], *listed]:
        index = (int(adds.avail_idx[chain]) - 1) % WRAP
        state, owner = state_of(moment, chain)
        cells = (str(index), str(index % moment.size), str(int(adds.head[chain])), state)
        rows.append(PanelRow(cells, owner, int(adds.row[chain]) in moment.rows))
    last = int(adds.avail_idx[mine[-1]]) if len(mine) else int(moment.view.rings.avail[moment.q])
    notes = (f"avail.idx {last}", *account(moment))
    return Panel("Available ring", ("idx", "slot", "head", "chain"), tuple(rows), notes)


def _used(moment: Moment) -> Panel:
    used = moment.view.used
    mine = moment.until(used.q, used.at)
    rows = []
    for entry in mine[-ENTRIES:].tolist():
        index = int(used.index[entry])
        cells = (
            str(index), str(index % moment.size), str(int(used.id[entry])),
            f"{used.len[entry]:,}", "taken" if used.accepted[entry] else "refused",
        )  # fmt: skip
        rows.append(PanelRow(cells, "driver", moment.is_marked(entry)))
    seen = moment.last("used", "interrupt", "callback", "queue")
    notes = [f"used.idx {field(seen, 'used_idx')} when the driver last read it"]
    if index_is_wrong(moment, seen):
        cells = (field(seen, "used_idx"), "", "", "", "used.idx as read")
        rows.append(PanelRow(cells, "device", marked=True))
    if moment.returned > len(mine):
        notes.append(f"the driver has yet to take {moment.returned - len(mine):,}")
    return Panel("Used ring", ("idx", "slot", "id", "len", "driver"), tuple(rows), tuple(notes))
