# SPDX-License-Identifier: GPL-2.0-only
"""All deliberate faults by name, and the clauses that each breaks under a guest's driver."""

from __future__ import annotations

from pykit.device import offers, request_faults, ring_faults, signal_faults
from pykit.device.faults import FAULTS

__all__ = ["CLAUSES", "FAULTS", "offers", "request_faults", "ring_faults", "signal_faults"]

#: Clauses of which one at least is seen to be broken where a fault acts on a disk that Linux's
#: virtio_blk drives. A fault that is not here shows none there: what it does is allowed, waits for
#: another driver, or shows in data and memory alone, which a program, our driver or `pykit drive`
#: look at.
CLAUSES: dict[str, tuple[str, ...]] = {
    name: tuple(clauses.split())
    for name, clauses in {
        "data-late": "SU-DE-02 PD-DE-04 DX-23",
        "status-undefined": "DX-23",
        "read-short": "DX-25",
        "length-short": "DX-25",
        "length-huge": "DX-06",
        "length-zero": "DX-25",
        "length-greater": "DX-06",
        "length-late": "SU-DE-01 PD-DE-04",
        "length-readable": "DX-06",
        "length-stale": "DX-06 DX-25 SU-DE-02",
        "entry-late": "SU-DE-01 PD-DE-04 DX-01 DX-09 DX-25 DX-06 DX-39",
        "event-swapped": "DX-15 NU-DE-05 DX-39",
        "event-last-only": "DX-15 NU-DE-05 DX-39",
        "event-wrap-flipped": "DX-15 NU-DE-05 DX-39",
        "disable-ignored": "NU-DE-03 DX-39",
        "interrupt-missing": "NU-DE-03 NU-DE-05 DX-15 DX-39",
        "interrupt-odd": "NU-DE-03 NU-DE-05 DX-15 DX-39",
        "interrupt-early": "NU-DE-03 NU-DE-05 DX-15 DX-39",
        "interrupt-crossed": "NU-DE-03 NU-DE-05 DX-15 DX-39",
        "id-wrong": "DX-01 DX-09",
        "id-outside": "DX-01 DX-09",
        "id-wide": "DX-01 DX-39",
        "id-of-slot": "DX-09 DX-39",
        "returned-twice": "DX-01 DX-02 DX-03 DX-09 DX-39",
        "returned-again": "DX-01 DX-02 DX-03 DX-09 DX-39",
        "used-crossed": "DX-01 DX-02 DX-09 DX-39",
        "index-ahead": "DX-01 DX-03 DX-09 DX-10 DX-39",
        "index-late": "DX-02 DX-03 DX-39",
        "index-back": "DX-02 DX-03 DX-39",
        "index-kept": "DX-01 DX-03 DX-29 DX-39",
        "index-not-zero": "DX-01 DX-03 DX-29 DX-39",
        "wrap-wrong": "DX-10",
        "wrap-kept": "DX-10 DX-39",
        "slots-one": "DX-10 DX-39",
        "flags-unequal": "DX-10 DX-39",
        "swallowed": "DX-39",
        "swallowed-one": "DX-39",
        "writes-descriptor": "SD-DE-04 DX-39",
        "flags-undefined": "NA-DE-01 NA-DE-03 DX-14",
        "flag-beside-event": "NA-DE-03",
        "asks-never": "DX-18",
        "event-one-late": "DX-18 DX-39",
        "asks-other-round": "DX-18 DX-39",
        "asks-by-offset": "DX-14",
        "recheck-missing": "DX-18 DX-39",
        "idles": "DX-18",
        "unsupported": "FB-DE-04",
        "flush-unsupported": "FB-DE-04",
        "zeroes-refused": "FB-DE-04",
        "serial-garbled": "BK-DE-01",
        "no-flush": "BI-DE-01",
        "cache-control-alone": "BI-DE-02",
        "num-queues-0": "DX-24",
        "seg-max-65535": "DX-24",
        "unused0-1": "BI-DE-04",
        "refuses-features": "FB-DE-02 DX-39",
        "refuses-later": "FB-DE-05 DX-39",
    }.items()
}
