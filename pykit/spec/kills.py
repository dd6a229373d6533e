# SPDX-License-Identifier: GPL-2.0-only
"""Which deliberate faults of real runs made which rules fail (data/kills.tsv).

`pykit mutants --kills FILE` writes the list: a line for each rule that named a fault, with the
kernel and the layout of rings of that run. Lines of the faults that it runs are made anew.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from pykit.spec import clauses
from pykit.spec.model import Rule

_HEAD = """\
# SPDX-FileCopyrightText: the pykit authors
# SPDX-License-Identifier: GPL-2.0-only
# Written by `pykit mutants --kills FILE`: change the rules or the faults, not this file.
"""


class Kill(NamedTuple):
    """A rule that named a fault of a run: the axis that chose the fault, and its name there.

    ``kernel`` is empty for a run without a guest, whose ``source`` is what had the fault.
    """

    rule: str
    source: str
    fault: str
    kernel: str
    ring: str


def read_kills(text: str) -> tuple[Kill, ...]:
    """Return the lines of such a list."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    table = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    return tuple(Kill(*(row[name] for name in Kill._fields)) for row in table)


def write_kills(kills: Iterable[Kill]) -> str:
    """Return the list as a file's text, each line once, in order."""
    text = io.StringIO(_HEAD)
    text.seek(0, io.SEEK_END)
    writer = csv.writer(text, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE)
    writer.writerow(Kill._fields)
    writer.writerows(sorted({*kills}))
    return text.getvalue()


@cache
def kills() -> dict[str, tuple[Kill, ...]]:
    """Return what made each rule fail in real runs, by rule id."""
    found: dict[str, tuple[Kill, ...]] = {}
    for kill in read_kills(clauses.data("kills.tsv")):
        found[kill.rule] = (*found.get(kill.rule, ()), kill)
    return found


def unkilled(rules: Iterable[Rule]) -> tuple[str, ...]:
    """Return rules that named no fault of a run; those that compare observers have none to name."""
    return tuple(
        rule.id for rule in rules if rule.id not in kills() and not rule.id.startswith("XC-")
    )


def by_fault(found: Iterable[Kill]) -> list[str]:
    """Return a line for each fault: its name, and in which layouts and kernels it was named."""
    places: dict[tuple[str, str], list[str]] = {}
    for kill in found:
        where = f"on {kill.kernel}" if kill.kernel else "without a guest"
        places.setdefault((kill.source, kill.fault), []).append(f"{kill.ring} {where}")
    return [f"{fault} ({source}): {', '.join(at)}" for (source, fault), at in places.items()]
