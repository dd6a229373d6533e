# SPDX-License-Identifier: GPL-2.0-only
"""Rules of a driver's stores, for drivers that look at less than Linux's does."""

from __future__ import annotations

import pytest

from pykit import spec
from tests.spec.cases.stores import traced, without_event_idx
from tests.spec.log import Log


def without_heads(*, late: int = 0) -> Log:
    """A driver that reads no head: after a chain it waits for the used index, ``late`` behind."""
    log = traced()
    log.drop(log.of("acc_ring", field="id"))
    for number, load in enumerate(log.of("acc_ring", area="used", field="idx")):
        load["value"] = max(number + 1 - late, 0)
    return log


def test_chains_are_back_with_the_index_where_no_head_is_read() -> None:
    verdict = spec.check(without_heads().build()).of("CL-DR-01")
    assert (verdict.verdict, verdict.checked) == ("pass", 5)


def test_some_of_the_chains_may_be_any_of_them() -> None:
    verdict = spec.check(without_heads(late=1).build()).of("CL-DR-01")
    assert (verdict.verdict, verdict.violations) == ("inconclusive", 0)


def test_a_chain_that_is_not_back_is_held() -> None:
    """No head is read, and no index."""
    log = without_heads()
    log.drop(log.of("acc_ring", area="used"))
    assert spec.check(log.build()).of("CL-DR-01").verdict == "fail"


@pytest.mark.parametrize(("symbol", "verdict"), [("add+1", "fail"), (None, "pass")])
def test_what_is_behind_a_ring_may_be_the_drivers_own(symbol: str | None, verdict: str) -> None:
    log = without_event_idx()
    load = log.one("acc_ring", 3, area="used", field="idx")
    load |= {"field": "event", "symbol": symbol}
    assert spec.check(log.build()).of("DX-32").verdict == verdict


@pytest.mark.parametrize("symbol", ["add+1", None])
def test_the_used_ring_ends_with_its_entries_without_event_idx(symbol: str | None) -> None:
    """The store is DX-32's to judge, by name or without."""
    log = without_event_idx()
    store = log.one("acc_ring", 3, area="used", field="idx")
    store |= {"field": "event", "symbol": symbol, "write": 1}
    assert spec.check(log.build()).of("DX-73").verdict == "pass"


@pytest.mark.parametrize(("start", "to"), [(0xFC, 0), (0x1FC, 256)])
def test_an_index_that_is_stored_by_bytes_goes_back_where_a_byte_wraps(start: int, to: int) -> None:
    log = traced()
    for index in log.of("acc_ring", area="avail", field="idx"):
        index["value"] += start
    assert spec.check(log.build()).of("SA-DR-01").verdict == "pass"
    for index in log.of("acc_ring", area="avail", field="idx"):
        again = {k: v for k, v in index.items() if k not in ("kind", "source", "ts")}
        halves = (
            {"offset": 2, "size": 1, "field": "idx"},
            {"offset": 3, "size": 1, "field": "other"},
        )
        high = log.insert(index, "acc_ring", **{**again, **halves[1], "value": index["value"] >> 8})
        log.insert(
            high, "acc_ring", after=False, **{**again, **halves[0], "value": index["value"] & 0xFF}
        )
        log.drop([index])
    verdict = spec.check(log.build()).of("SA-DR-01")
    assert verdict.violations == 1
    assert f"taken back by a store, to {to}" in verdict.message
