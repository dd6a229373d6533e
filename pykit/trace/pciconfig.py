# SPDX-License-Identifier: GPL-2.0-only
"""Decode the guest's accesses to PCI configuration spaces in QEMU's log.

Lines of ``pci_cfg_write`` and ``pci_cfg_read`` name a function by bus, slot and number, which the
transport survey has as well. How wide an access was is not in them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import polars as pl

from pykit.trace.capture import Plug
from pykit.trace.kinds import BASE, KINDS, Dtype
from pykit.trace.survey import Survey

KIND = "dev_pci_config"
_LINE = re.compile(
    r"(?:(?P<pid>[0-9]{1,9})?@(?P<sec>[0-8]?[0-9]{1,9})\.(?P<usec>[0-9]{6}):)?pci_cfg_(?P<what>read|write)"
    r" [^ ]{1,80} (?P<place>[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) @0x(?P<offset>[0-9a-f]{1,4})"
    r" (?:<-|->) 0x(?P<value>[0-9a-f]{1,8})"
)


def accesses(
    lines: Sequence[str], surveyed: Survey, numbers: Mapping[str, int], plugs: Sequence[Plug]
) -> pl.DataFrame:
    """Return the accesses to the spaces of surveyed devices, in log order.

    One place is of several devices where one was plugged after another: it is of the one that was
    plugged last before. Reads of the survey's own are left out.
    """
    begun = {plug.device: plug.host_ns for plug in plugs}
    owners: dict[str, list[tuple[int, int]]] = {}
    for reading in surveyed.readings:
        device, place = reading.get("device"), reading.get("place")
        if isinstance(place, str) and isinstance(device, str) and device in numbers:
            owners.setdefault(place, []).append((begun.get(device, 0), numbers[device]))
    rows = []
    for text in lines if owners else ():
        found = _LINE.fullmatch(text.removesuffix("\r")) if "pci_cfg_" in text else None
        if found is None:
            continue
        ts = None
        if found["sec"] is not None:
            ts = int(found["sec"]) * 1_000_000_000 + int(found["usec"]) * 1000
        write = found["what"] == "write"
        if not write and (ts is None or surveyed.looked_at(ts)):
            continue
        mine = [owner for owner in owners.get(found["place"], []) if ts is None or owner[0] <= ts]
        if mine:
            rows.append(
                {
                    "ts": ts,
                    "kind": KIND,
                    "source": "qemu",
                    "pid": int(found["pid"]) if found["pid"] else None,
                    "dev": max(mine)[1],
                    "place": found["place"],
                    "offset": int(found["offset"], 16),
                    "value": int(found["value"], 16),
                    "write": int(write),
                }
            )
    schema: dict[str, Dtype]
    schema = {"ts": pl.Int64, "kind": pl.String, "source": pl.String, "pid": BASE["pid"]}
    return pl.DataFrame(rows, schema={**schema, "dev": BASE["dev"], **KINDS[KIND]})
