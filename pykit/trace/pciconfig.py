# SPDX-License-Identifier: GPL-2.0-only
"""Decode QEMU's log of PCI functions: accesses to their configuration, and the IOMMU's work.

Lines of ``pci_cfg_write`` and ``pci_cfg_read`` name a function by bus, slot and number, which the
transport survey has as well. How wide an access was is not in them. So do those of Intel's IOMMU:
``vtd_switch_address_space``, whether it translates a function's addresses from now on, and
``vtd_dmar_fault``, an access of a function that it refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from pykit.trace.capture import Plug
from pykit.trace.kinds import BASE, KINDS, Dtype
from pykit.trace.survey import Survey

KIND = "dev_pci_config"
TRANSLATION, FAULT = "dev_translation", "dev_dma_fault"
_STAMP = r"(?:(?P<pid>[0-9]{1,9})?@(?P<sec>[0-8]?[0-9]{1,9})\.(?P<usec>[0-9]{6}):)?"
_PLACE = r"(?P<place>[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])"
_LINE = re.compile(
    rf"{_STAMP}pci_cfg_(?P<what>read|write) [^ ]{{1,80}} {_PLACE} @0x(?P<offset>[0-9a-f]{{1,4}})"
    r" (?:<-|->) 0x(?P<value>[0-9a-f]{1,8})"
)
_SWITCHED = re.compile(
    rf"{_STAMP}vtd_switch_address_space Device {_PLACE} switching address space"
    r" \(iommu enabled=(?P<enabled>[01])\)"
)
_FAULT = re.compile(
    rf"{_STAMP}vtd_dmar_fault sid 0x(?P<sid>[0-9a-f]{{1,4}}) fault [0-9]{{1,3}}"
    r" addr 0x(?P<addr>[0-9a-f]{1,16}) write (?P<write>[01])"
)


class _Owners:
    """Which surveyed device was at a place, and when.

    One place is of several devices where one was plugged after another: it is of the one that was
    plugged last before.
    """

    def __init__(self, surveyed: Survey, numbers: Mapping[str, int], plugs: Sequence[Plug]) -> None:
        begun = {plug.device: plug.host_ns for plug in plugs}
        self._known: dict[str, list[tuple[int, int]]] = {}
        for reading in surveyed.readings:
            device, place = reading.get("device"), reading.get("place")
            if isinstance(place, str) and isinstance(device, str) and device in numbers:
                owner = begun.get(device, 0), numbers[device]
                self._known.setdefault(place, []).append(owner)

    def __bool__(self) -> bool:
        return bool(self._known)

    def row(self, kind: str, found: re.Match[str], place: str) -> dict[str, Any] | None:
        """Return what all rows of a line have, None where nothing known is at its place."""
        ts = None
        if found["sec"] is not None:
            ts = int(found["sec"]) * 1_000_000_000 + int(found["usec"]) * 1000
        mine = [owner for owner in self._known.get(place, []) if ts is None or owner[0] <= ts]
        if not mine:
            return None
        pid = int(found["pid"]) if found["pid"] else None
        known = {"ts": ts, "kind": kind, "source": "qemu", "pid": pid}
        return {**known, "dev": max(mine)[1], "place": place}


def accesses(
    lines: Sequence[str], surveyed: Survey, numbers: Mapping[str, int], plugs: Sequence[Plug]
) -> pl.DataFrame:
    """Return the accesses to the spaces of surveyed devices, and the IOMMU's work for them.

    They are in log order. Reads of the survey's own are left out.
    """
    owners = _Owners(surveyed, numbers, plugs)
    rows = (_row(text.removesuffix("\r"), owners) for text in lines) if owners else ()
    schema: dict[str, Dtype]
    schema = {"ts": pl.Int64, "kind": pl.String, "source": pl.String, "pid": BASE["pid"]}
    schema |= {"dev": BASE["dev"], **KINDS[KIND], **KINDS[TRANSLATION], **KINDS[FAULT]}
    return pl.DataFrame(
        [
            row
            for row in rows
            if row is not None
            and not (
                row["kind"] == KIND
                and not row["write"]
                and (row["ts"] is None or surveyed.looked_at(row["ts"]))
            )
        ],
        schema=schema,
    )


def _row(text: str, owners: _Owners) -> dict[str, Any] | None:
    """Return the row of a line, None for any other line."""
    if found := _LINE.fullmatch(text):
        row = owners.row(KIND, found, found["place"])
        fields = {name: int(found[name], 16) for name in ("offset", "value")}
        return row and {**row, **fields, "write": int(found["what"] == "write")}
    if found := _SWITCHED.fullmatch(text):
        row = owners.row(TRANSLATION, found, found["place"])
        return row and {**row, "enabled": int(found["enabled"])}
    if found := _FAULT.fullmatch(text):
        source = int(found["sid"], 16)
        place = f"{source >> 8:02x}:{source >> 3 & 0x1F:02x}.{source & 7}"
        row = owners.row(FAULT, found, place)
        return row and {**row, "addr": int(found["addr"], 16), "write": int(found["write"])}
    return None
