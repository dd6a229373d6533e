# SPDX-License-Identifier: GPL-2.0-only
"""A packed ring (section 2.8): its descriptors around the places where both sides stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pykit.analysis.ring.common import (
    ROWS,
    account,
    address,
    field,
    flags_of,
    notifications,
    position,
    state_of,
)
from pykit.analysis.ring.moment import Moment
from pykit.analysis.ring.panels import Owner, Panel, PanelRow
from pykit.analysis.ring.split import indirect
from pykit.spec import packed
from pykit.text import counted

_HEADINGS = ("slot", "addr", "len", "id", "flags", "avail", "used", "wrap", "state")
_RING_BITS = 1 << packed.AVAIL_BIT | 1 << packed.USED_BIT


class _Cell(NamedTuple):
    """What stands at a place of the ring, of either side."""

    place: int
    addr: str
    len: int
    id: int
    flags: int
    state: str
    owner: Owner
    marked: bool


def packed_panels(moment: Moment) -> Iterator[Panel]:
    """Yield the parts of a packed ring."""
    yield _ring(moment)
    yield from indirect(moment)
    yield _positions(moment)
    yield notifications(moment, packed=True)


def _ring(moment: Moment) -> Panel:
    """The slots around the violation, else around the driver's next one."""
    size = moment.size
    cells = _cells(moment)
    centre = next((cell.place for cell in cells if cell.marked), None)
    if centre is None:
        centre = max((cell.place for cell in cells), default=0)
    by_slot: dict[int, _Cell] = {}
    # Later places are written over those of the round before.
    for cell in sorted(cells, key=lambda cell: cell.place):
        by_slot[cell.place % size] = cell
    near = [(centre + step) % size for step in range(-ROWS // 2, ROWS // 2)]
    shown = sorted({slot for slot in near if slot in by_slot})
    rows = tuple(_row(by_slot[slot], slot, size) for slot in shown)
    waiting = counted(len(moment.outstanding()), "list")
    notes = (
        f"{waiting} outstanding, {_free(moment)} descriptors free",
        "wrap: the counter that belongs to the slot in this round",
        *account(moment),
    )
    return Panel(f"Packed ring of {size}", _HEADINGS, rows, notes)


def _row(cell: _Cell, slot: int, size: int) -> PanelRow:
    wrap = 1 - cell.place // size % 2
    cells = (
        str(slot), cell.addr, f"{cell.len:,}", str(cell.id),
        flags_of(cell.flags & ~_RING_BITS),
        str(cell.flags >> packed.AVAIL_BIT & 1), str(cell.flags >> packed.USED_BIT & 1),
        str(wrap), cell.state,
    )  # fmt: skip
    return PanelRow(cells, cell.owner, cell.marked, slot)


def _cells(moment: Moment) -> list[_Cell]:
    """What the driver wrote into lists until then, and what the device wrote over it."""
    view = moment.view
    lists, memory, taken = packed.lists(view), packed.slots(view), packed.entries(view)
    mine = {int(lists.add[n]): n for n in moment.until(lists.q, lists.at).tolist()}
    marked = {mine[chain] for chain in moment.chains if chain in mine}
    named = set(memory.list[np.isin(memory.row, [*moment.rows])].tolist())
    found = []
    traced = view.rings.of("slot")
    at = np.flatnonzero(memory.q == moment.q)
    at = at[np.isin(memory.list[at], [*mine.values()])]
    for n in at[-4 * ROWS - moment.size :].tolist():
        number = int(memory.list[n])
        state, owner = state_of(moment, int(lists.add[number]))
        mark = int(memory.row[n]) in moment.rows or (number in marked and number not in named)
        addr = traced["addr"][np.searchsorted(traced["at"], memory.at[n])]
        found.append(
            _Cell(
                int(memory.place[n]), address(addr), int(memory.len[n]), int(memory.id[n]),
                int(memory.flags[n]), state, owner, mark,
            )
        )  # fmt: skip
    for n in moment.until(taken.q, taken.at)[-moment.size :].tolist():
        mark = moment.is_marked(int(taken.used[n]))
        flags = int(view.rings.of("used")["flags"][taken.used[n]])
        found.append(
            _Cell(
                int(taken.place[n]), "", int(taken.len[n]), int(taken.id[n]), flags,
                "used, taken by the driver", "driver", mark,
            )
        )  # fmt: skip
    return [*found, *_strays(moment, found)]


def _strays(moment: Moment, others: Sequence[_Cell]) -> Iterator[_Cell]:
    """Yield what a violation found at a place whose turn it was not; in the round of the others."""
    traced = moment.view.rings.of("slot")
    here = np.isin(traced["row"], [*moment.rows]) & (traced["pos"] == packed.STRAY)
    latest = max((cell.place for cell in others), default=0)
    for n in moment.until(traced["q"], traced["at"]):
        if not here[n]:
            continue
        slot = int(traced["slot"][n])
        round_ = latest // moment.size - (slot > latest % moment.size)
        yield _Cell(
            max(round_, 0) * moment.size + slot, address(traced["addr"][n]),
            int(traced["len"][n]), int(traced["id"][n]), int(traced["flags"][n]),
            "written by the device out of turn", "device", True,
        )  # fmt: skip


def _free(moment: Moment) -> str:
    return field(moment.last("add", "detach"), "num_free")


def _positions(moment: Moment) -> Panel:
    """Where each side goes on."""
    add, used = moment.last("add"), moment.last("used")
    rows = []
    if add:
        marked = add["row"] in moment.rows
        rows.append(PanelRow(("driver adds at", position(add["avail_idx"])), "driver", marked))
    if used:
        marked = used["row"] in moment.rows
        rows.append(PanelRow(("driver took from", position(used["index"])), "driver", marked))
        length = f"id {used['id']}, {used['len']:,} bytes"
        rows.append(PanelRow(("  it was", length), "device", marked))
    return Panel("Positions", ("what", "where"), tuple(rows))
