# SPDX-License-Identifier: GPL-2.0-only
"""Decode the guest's accesses to structures of which a PCI device has several of one type.

QEMU's log of register accesses names a region and an address. Which capability names that place is
in the transport survey, with the addresses of the BARs. Devices with one structure of each type
are left out: the event ``register`` has their accesses, and there is nothing to choose between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from pykit.trace.capture import Plug
from pykit.trace.kinds import BASE, KINDS, Dtype
from pykit.trace.registers import logged_place
from pykit.trace.survey import Survey

KIND = "dev_structure"


@dataclass(frozen=True)
class _Structure:
    """Where one of several structures of a type is: ``place`` in the guest's addresses."""

    place: range
    since: int
    dev: int
    cfg_type: int
    pos: int


def accesses(
    lines: Sequence[str], surveyed: Survey, numbers: Mapping[str, int], plugs: Sequence[Plug]
) -> pl.DataFrame:
    """Return the accesses to such structures, in log order.

    Where devices were plugged at one place one after the other, an access is to the one that was
    plugged last before.
    """
    begun = {numbers.get(plug.device): plug.host_ns for plug in plugs}
    known = list(_several(surveyed, numbers, begun))
    rows = []
    for text in lines if known else ():
        found = logged_place(text)
        if found is None:
            continue
        mine = [
            structure
            for structure in known
            if found.addr in structure.place and (found.ts is None or structure.since <= found.ts)
        ]
        if mine:
            structure = max(mine, key=lambda structure: structure.since)
            rows.append(
                {
                    "ts": found.ts,
                    "kind": KIND,
                    "source": "qemu",
                    "pid": found.pid,
                    "dev": structure.dev,
                    "cfg_type": structure.cfg_type,
                    "pos": structure.pos,
                    "offset": found.addr - structure.place.start,
                    "value": found.value,
                    "size": found.size,
                    "write": int(found.write),
                }
            )
    schema: dict[str, Dtype]
    schema = {"ts": pl.Int64, "kind": pl.String, "source": pl.String, "pid": BASE["pid"]}
    return pl.DataFrame(rows, schema={**schema, "dev": BASE["dev"], **KINDS[KIND]})


def _several(
    surveyed: Survey, numbers: Mapping[str, int], begun: Mapping[int | None, int]
) -> list[_Structure]:
    """Return the structures of devices that have more than one of their type."""
    shown = surveyed.rows(numbers).filter(pl.col("dev").is_not_null())
    placed = shown.filter((pl.col("kind") == "survey_bar") & (pl.col("start") > 0))
    bars = {
        (reading, bar): start
        for reading, bar, start in placed.select("reading", "bar", "start").iter_rows()
    }
    columns = ("reading", "dev", "cfg_type", "pos", "bar", "start", "length")
    caps = [
        cap
        for cap in shown.filter(pl.col("kind") == "survey_cap").select(columns).iter_rows()
        if cap[2] is not None and cap[6] and (cap[0], cap[4]) in bars
    ]
    count = Counter((reading, cfg_type) for reading, _, cfg_type, *_ in caps)
    found = {}
    for reading, dev, cfg_type, pos, bar, start, length in caps:
        if count[reading, cfg_type] > 1:
            first = bars[reading, bar] + start
            place = range(first, first + length)
            found[dev, pos] = _Structure(place, begun.get(dev, 0), dev, cfg_type, pos)
    return list(found.values())
