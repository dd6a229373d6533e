# SPDX-License-Identifier: GPL-2.0-only
"""Configuration changes that a driver can see (sections 2.3 and 4.1.4.5)."""

from __future__ import annotations

from pykit.spec.lives import ends_within
from pykit.spec.model import Result, rule
from pykit.spec.rows import Tally
from pykit.spec.timing import OTHER_SIDE
from pykit.spec.topics.config import read_twice
from pykit.spec.view import View


@rule("DX-31", needs=("driver:config", "driver:generation", "driver:config_change"))
def changes_are_announced(view: View) -> Result:
    """Sections 2.3 and 4.1.4.5: a configuration change that the driver can see is announced.

    Checked: each pair of successive reads of the same bytes with different values, between which
    the driver wrote nothing to the configuration: a configuration change notification comes after
    the first of them. BO-DE-02 has the capacity alone. That a notification announces
    something is not looked at, as a driver does not read everything again.

    - A notification that QEMU logged counts wherever it stands in the life.
    - A read is left out if the generation was not read before and after it, or changed over it.
    - Undecided: none came and the trace ends less than 5 s after the second read.
    """
    tally = Tally(none="no field changed between two reads")
    signals = set(view.of("dev_config_signal").select("dev", "life").iter_rows())
    for life in view.lives.values():
        if life.legacy:
            continue
        for before, now in read_twice(life):
            if before.value == now.value:
                continue
            announced = any(change.row > before.row for change in life.changes)
            announced |= (life.dev, life.number) in signals
            ts = view.base("ts")[now.row]
            if not announced and ends_within(int(ts), OTHER_SIDE, view.end[0]):
                tally.undecided()
                continue
            text = f"{life.name}: offset {now.offset} changed, which was not announced"
            tally.check(announced, (before.row, now.row), text)
    return tally.result()
