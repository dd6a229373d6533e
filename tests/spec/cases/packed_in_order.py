# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break RF-DE-05 on packed rings (pykit/spec/packed_in_order.py)."""

from __future__ import annotations

from pykit.spec.packed import STRAY
from tests.spec.cases.base import case, later, like
from tests.spec.log import Log

IN_ORDER = like(packed=True, in_order=True)


@case("RF-DE-05", clean=IN_ORDER)
def list_that_is_not_outstanding(log: Log) -> None:
    """A used descriptor of a packed queue with IN_ORDER names no list that is outstanding."""
    log.of("used", vq=0)[-1]["id"] = 60


@case("RF-DE-05", clean=IN_ORDER)
def packed_batch_is_named_by_its_first(log: Log) -> None:
    """Two lists come back as a batch that is named by the first, and what follows stands behind."""
    *_, third, second = log.of("used", vq=0)
    slot = second["index"] & 0x7FFF
    place = {name: third[name] for name in ("dev", "life", "cpu", "pid", "vq")}
    stray = {"addr": 0, "len": 1, "head": 0xFFFF, "id": second["id"], "flags": 0, "pos": STRAY}
    log.insert(third, "slot", **place, slot=slot, **stray)
    log.drop([third, second])
    later(log)
