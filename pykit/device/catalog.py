# SPDX-License-Identifier: GPL-2.0-only
"""All deliberate faults by name, and the clauses that each breaks under a guest's driver."""

from __future__ import annotations

from typing import NamedTuple

from pykit.device import (
    assumed_faults,
    crossed_faults,
    elsewhere_faults,
    layout_faults,
    life_faults,
    misread_faults,
    offers,
    request_faults,
    ring_faults,
    signal_faults,
    zone_faults,
)
from pykit.device.faults import FAULTS

__all__ = [
    "CLAUSES", "DRIVEN", "FAULTS", "MARKED", "OF_DISKS", "DrivenBy", "assumed_faults", "broken_by",
    "crossed_faults", "elsewhere_faults", "layout_faults", "life_faults", "misread_faults",
    "offers", "request_faults", "ring_faults", "signal_faults", "zone_faults",
]  # fmt: skip

#: Clauses of which one at least is seen to be broken where a fault acts on a disk that Linux's
#: virtio_blk drives. A fault that is not here shows none there for sure: what it does is allowed,
#: waits for another driver or for a moment that few runs have (index-torn, suppression-early,
#: interrupt-first-of-batch), is in a field that QEMU fills in itself or that no driver reads, shows
#: in data alone, which a program looks at (payload-written), or in memory of the driver's, which it
#: may alter as well (table-written, writes-behind and status-wide: the run ends as contested). Of
#: interrupt-always those interrupts show that do not come together with one that was asked for.
CLAUSES: dict[str, tuple[str, ...]] = {
    name: tuple(clauses.split())
    for name, clauses in {
        "status-undefined": "DX-23",
        "status-unwritten": "DX-23",
        "status-late": "DX-23",
        "status-first": "DX-23",
        "data-short": "SU-DE-02",
        "data-late": "SU-DE-02 DX-23",
        "tail-late": "SU-DE-02",
        "read-short": "DX-25",
        "length-short": "DX-25",
        "length-huge": "DX-06",
        "length-zero": "DX-25",
        "length-greater": "DX-06",
        "length-late": "SU-DE-01 PD-DE-04",
        "length-readable": "DX-06",
        "length-stale": "DX-06 DX-25 SU-DE-02",
        "entry-late": "SU-DE-01 PD-DE-04 DX-01 DX-09 DX-25 DX-06 DX-39",
        "event-swapped": "NU-DE-03 NU-DE-05 DX-15 DX-64",
        "event-last-only": "NU-DE-03 NU-DE-05 DX-15 DX-64",
        "event-wrap-flipped": "NU-DE-03 NU-DE-05 DX-15 DX-64",
        "disable-ignored": "NU-DE-03 NU-DE-05 DX-15 DX-64",
        "interrupt-missing": "NU-DE-03 NU-DE-05 DX-15 DX-64",
        "interrupt-odd": "NU-DE-03 NU-DE-05 DX-15 DX-64",
        "interrupt-early": "NU-DE-03 NU-DE-05 DX-15 DX-64",
        "interrupt-crossed": "NU-DE-03 NU-DE-05 DX-15 DX-64",
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
        "wrap-kept": "DX-10",
        "slots-one": "DX-10",
        "flags-unequal": "DX-10 DX-39",
        "write-flag-lost": "DX-79",
        "next-slot-touched": "PD-DE-04",
        "used-slot-touched": "PD-DE-04",
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
        "unsupported": "DX-77",
        "flush-unsupported": "FB-DE-04",
        "zeroes-refused": "FB-DE-04",
        "serial-garbled": "BK-DE-01",
        "no-flush": "BI-DE-01",
        "cache-control-alone": "BI-DE-02",
        "seg-max-65535": "DX-24",
        "id-zero": "DX-01 DX-02 DX-09",
        "id-big-endian": "DX-01 DX-09 DX-39",
        "length-big-endian": "DX-06",
        "length-sectors": "DX-25",
        "index-masked": "DX-01 DX-02 DX-03 DX-39",
        "index-flickers": "DX-01 DX-02 DX-03",
        "slot-behind": "DX-01 DX-02 DX-09 DX-39",
        "wrap-of-available": "DX-10",
        "slots-of-table": "DX-10 DX-39",
        "taken-again": "DX-01 DX-02",
        "event-read-misplaced": "NU-DE-03 NU-DE-05 DX-15 DX-64",
        "event-misplaced": "DX-01 DX-18 DX-39",
        "asks-once": "DX-18 DX-39",
        "area-swapped": "DX-14",
        "asks-first-round": "DX-18 DX-39",
        "wrap-zero": "DX-10 DX-29 DX-39",
        "one-behind": "DX-18 DX-39",
        "lengths-swapped": "DX-06 DX-25",
        "queue-deaf": "DX-39",
        "stops-serving": "DX-39",
        "flush-swallowed": "DX-39",
        "silent-later": "NU-DE-03 NU-DE-05 DX-15 DX-64",
        "deaf-later": "DX-18 DX-39",
        "position-kept": "DX-18 DX-29 DX-39",
        "call-kept": "NU-DE-03 NU-DE-05 DX-15 DX-64",
        "available-index-written": "DX-76 DX-18 DX-39",
        "suppression-written": "DX-76 NU-DE-03 NU-DE-05 DX-15 DX-64",
        "suppression-kept": "NU-DE-03 NU-DE-05 DX-15 DX-64 NU-DE-02 NU-DE-06 DX-65",
        "discard-refused": "FB-DE-04",
        "status-of-zones": "DX-23",
        "id-late": "SU-DE-01 PD-DE-04 DX-01 DX-09",
        "each-descriptor-returned": "DX-01 DX-03",
        "interrupt-stops": "NU-DE-03 NU-DE-05 DX-15 DX-64",
        "slots-more": "DX-10",
        "wrap-early": "DX-10",
        "index-jumps": "DX-01 DX-03",
        "available-exposed": "DX-76 DX-03 DX-01 DX-18",
        "entry-unwritten": "DX-01 DX-02",
        "length-rounded": "DX-06",
        "asks-for-past": "DX-18",
        "asks-reserved": "DX-14",
        "asks-outside": "DX-70",
        "disabled-later": "DX-18",
        "ring-shorter": "DX-01 DX-02",
        "links-ignored": "DX-06 DX-25",
        "descriptor-cached": "DX-06 DX-25 DX-23 SU-DE-02",
        "kick-missed": "DX-39",
        "pieces-reversed": "DX-80",
        "buffers-swapped": "DX-80",
        "buffer-missed": "DX-80",
        "write-dropped": "DX-80",
        "sector-off": "DX-80",
        "read-zeroes": "DX-80",
        "data-shifted": "DX-80",
        "read-stale": "DX-80",
        "write-behind-sector": "DX-80",
        "answers-crossed": "DX-80",
        "zeroes-too-far": "DX-80",
        "interrupt-storm": "NU-DE-02 NU-DE-06 DX-65",
        "writes-driver-area": "DX-76",
        "entry-cleared": "DX-76",
        "entry-ahead-written": "DX-76",
        "gap-written": "DX-76",
        "descriptor-consumed": "SD-DE-04",
        "free-descriptor-written": "SD-DE-04",
        "used-taken-back": "PD-DE-04",
        "ring-ahead-written": "PD-DE-04",
        "ids-crossed": "DX-06 DX-23 DX-25 SU-DE-02 DX-80",
        "entry-changed": "SU-DE-01 DX-06",
        "suppression-crossed": "NU-DE-03 NU-DE-05 DX-15 DX-64",
        "returned-in-next-life": "DX-01 DX-03 DX-09",
        "table-crossed": "DX-39 DX-06 DX-25 SU-DE-02 DX-23",
        "interrupt-behind": "NU-DE-03 NU-DE-05 DX-15 DX-64",
        "event-masked": "DX-18 DX-39",
        "sector-missing": "SU-DE-02",
        "write-cut": "DX-80",
        "id-length-1": "DX-25",
        "write-length-0": "DX-25",
        "status-in-data": "DX-23",
        "used-ring-shorter": "DX-01 DX-02",
        "refuses-features": "FB-DE-02 DX-39",
        "refuses-later": "FB-DE-05 DX-39",
        "blocks-counted": "DX-80",
        "length-halfword": "DX-25",
        "used-as-change": "NU-DE-03 NU-DE-05 DX-15 DX-64",
        "pieces-few": "DX-23 SU-DE-02",
        "list-over-end": "DX-39",
        "size-masked": "DX-10 DX-39",
    }.items()
}

#: The same for our driver, which knows its own memory and watches the device behind a reset,
#: beside what is above.
MARKED: dict[str, tuple[str, ...]] = {
    name: tuple(clauses.split())
    for name, clauses in {
        "writes-readable": "SD-DE-01 PD-DE-01",
        "header-cleared": "SD-DE-01 PD-DE-01",
        "used-after-stop": "RS-DE-03",
        "writes-behind": "DX-78",
        "status-wide": "DX-78",
    }.items()
}


#: Faults that only a disk can have, beside those of zones.
OF_DISKS = frozenset(
    {
        "status-unwritten", "status-undefined", "unsupported", "read-zeroes", "failed-length",
        "pieces-reversed", "capacity-changes", "capacity-unannounced", "wedges", "flush-swallowed",
        "read-only-written", "writeback-kept", "offers-other-type", "no-flush", "no-version-1",
        "cache-control-alone", "write-dropped", "sector-off", "read-short", "status-first",
        "flush-unsupported", "unknown-accepted", "unmap-accepted", "serial-garbled", "beyond-end",
        "zeroes-kept", "zeroes-refused", "discard-refused", "serial-short", "status-of-zones",
        "reads-fail", "fails-seldom", "buffer-missed", "buffers-swapped", "header-alone",
        "status-alone", "num-queues-0", "seg-max-65535", "seg-max-0", "blk-size-500", "unused0-1",
        "unused1-1", "max-discard-seg-0", "lifetime-empty", "lifetime-reserved",
        "lifetime-withheld", "status-late", "length-sectors", "zones-shown", "data-shifted",
        "zones-none", "write-zeroes-may-unmap-0",
        "read-stale", "write-behind-sector",
        "zeroes-too-far", "status-again", "answers-crossed", "serial-changes", "size-max-0",
        "size-max-1", "sector-missing", "write-cut", "id-length-1", "write-length-0",
        "status-in-data", "blocks-counted", "status-at-start", "cache-lost",
        "flush-in-vain",
    }
)  # fmt: skip


def broken_by(fault: str, *, marked: bool) -> tuple[str, ...]:
    """Clauses of which one at least is seen to be broken by a fault; ``marked``: by our driver."""
    return CLAUSES.get(fault, ()) + (MARKED.get(fault, ()) if marked else ())


class DrivenBy(NamedTuple):
    """How a fault shows where our driver drives it without a guest.

    Attributes:
        clauses: of which one at least is seen to be broken.
        rows: names of rows of cases/ that show it, beside conforming requests.
        waits: seconds after which the device is used once more: what has not come is missing then.
    """

    clauses: tuple[str, ...]
    rows: tuple[str, ...] = ()
    waits: float = 0


#: How long the trace has to go on where something never comes, in seconds.
_NEVER = 5.5
_SLOW = {"slots-one": _NEVER, "wrap-kept": _NEVER, "batch-by-first": _NEVER}
#: The same of `pykit drive`: clauses, and behind a bar the rows that it takes.
DRIVEN: dict[str, DrivenBy] = {
    name: DrivenBy(tuple(clauses.split()), tuple(rows.split()), _SLOW.get(name, 0))
    for name, (clauses, _, rows) in (
        (name, text.partition("|"))
        for name, text in {
            "data-wrong": "MF-DE-01 PS-DE-01",
            "pieces-reversed": "MF-DE-01 PS-DE-01 SI-DE-01 SI-DE-02",
            "buffers-swapped": "MF-DE-01 SI-DE-02",
            "buffer-missed": "MF-DE-01 SI-DE-01 SI-DE-02",
            "write-dropped": "MF-DE-01",
            "unreadable-read": "SD-DE-02 PD-DE-02 | write-turned",
            "data-late": "DX-23",
            "data-short": "SU-DE-02 DX-23",
            "failed-length": "SU-DE-02",
            "status-undefined": "DX-23",
            "status-unwritten": "DX-23",
            "status-first": "DX-23",
            "length-short": "DX-25",
            "length-zero": "DX-25",
            "length-huge": "DX-06",
            "length-greater": "DX-06",
            "length-readable": "DX-06",
            "length-stale": "DX-06 DX-25 SU-DE-02",
            "length-late": "SU-DE-01 PD-DE-04",
            "read-short": "DX-25 SU-DE-02",
            "entry-late": "SU-DE-01 PD-DE-04",
            "event-obeyed": "NU-DE-01",
            "flag-obeyed": "NU-DE-04",
            "id-wrong": "DX-01 DX-09",
            "id-outside": "DX-01 DX-09",
            "id-wide": "DX-01",
            "id-of-slot": "DX-09",
            "returned-twice": "DX-01 DX-02 DX-68 PD-DE-03",
            "returned-again": "DX-01 DX-02 DX-68 PD-DE-03",
            "order-swapped": "RF-DE-05 | in-order",
            "index-ahead": "DX-01 DX-03",
            "index-back": "DX-03",
            "index-kept": "DX-01 DX-03",
            "index-not-zero": "DX-01 DX-03",
            "writes-readable": "SD-DE-01 PD-DE-01",
            "writes-descriptor": "SD-DE-04",
            "table-written": "SD-DE-04",
            "flags-undefined": "NA-DE-01 NA-DE-03 DX-14",
            "asks-by-offset": "DX-14",
            "flag-beside-event": "NA-DE-03",
            "slots-one": "DX-10",
            "wrap-kept": "DX-10",
            "size-kept": "DX-70 DX-01 DX-02",
            "refuses-features": "FB-DE-02",
            "refuses-later": "FB-DE-05",
            "offers-other-type": "FB-DE-04",
            "offers-reserved": "FB-DE-04",
            "no-flush": "BI-DE-01",
            "no-version-1": "RF-DE-01",
            "cache-control-alone": "BI-DE-02",
            "writeback-kept": "BI-DE-03",
            "read-only-written": "BO-DE-03 BO-DE-04",
            "num-queues-0": "DX-24",
            "unused0-1": "BI-DE-04",
            "serial-garbled": "BK-DE-01 | id",
            "unmap-accepted": "BO-DE-05 BO-DE-06 | discard-unmap discard-unknown-flags",
            "zeroes-kept": "BO-DE-09 | zeroes",
            "zeroes-refused": "FB-DE-04 | zeroes",
            "flush-unsupported": "FB-DE-04 | write-then-flush",
            "unknown-accepted": "BO-DE-18 | zone-without-feature",
            "capacity-unannounced": "BO-DE-02 DX-31",
            "lifetime-empty": "BO-DE-16 | lifetime",
            "lifetime-reserved": "BO-DE-17 | lifetime",
            "lifetime-withheld": "BO-DE-15 BO-DE-18 | lifetime-without-feature",
            "zones-accepted": "BO-DE-19 BO-DE-20 BO-DE-21 BO-DE-22 BO-DE-23 BO-DE-26 BO-DE-27"
            " BO-DE-28 BO-DE-31 BO-DE-32 BO-DE-33 | zone-known-*",
            "zones-lost": "BO-DE-24 BO-DE-25 BO-DE-35 BO-DE-36 | zone-lost-*",
            "zones-preferred": "BI-DE-11 | zone-report",
            "zone-undefined": "BZ-DE-02 | zone-report",
            "zones-stale": "BZ-DE-01 | zone-known-*",
            "append-elsewhere": "BO-DE-29 | zone-append",
            "append-short": "BI-DE-16 | zone-known-*",
            "append-unaligned": "BI-DE-19 | zone-known-append",
            "zones-unfilled": "BO-DE-38 SU-DE-02 | zone-known-*",
            "zone-model-none": "BI-DE-09 | zone-report",
            "zone-model-aware": "BI-DE-10 | zone-report",
            "zone-sectors-double": "BI-DE-12 | zone-report",
            "zones-open-fewer": "BI-DE-14 | zone-known-*",
            "zones-active-fewer": "BI-DE-15 | zone-known-*",
            "append-more": "BI-DE-16 | zone-known-*",
            "append-none": "BO-DE-30 | zone-append",
            "unused2-1": "BI-DE-20",
            "zones-legacy": "BI-DE-06",
            "zones-declined": "BI-DE-08 BO-DE-18 | zone-without-feature",
            "zones-shown": "BI-DE-07",
            "zones-none": "BI-DE-05",
            "write-zeroes-may-unmap-0": "BO-DE-10",
            "append-beyond-segments": "BI-DE-17 | zone-size-max",
            "status-at-start": "DX-23 | data-before-status",
            "batch-by-first": "RF-DE-05",
            "pieces-few": "DX-23 SU-DE-02",
            "cache-lost": "BO-DE-13",
            "flush-in-vain": "BO-DE-13",
            "erase-beside-zones": "BO-DE-39 BO-DE-40 BO-DE-41 | zone-erase",
        }.items()
    )
}
