# SPDX-License-Identifier: GPL-2.0-only
"""What a device must leave alone: which evidence decides, and which does not."""

from __future__ import annotations

import pytest

from pykit import spec
from tests.spec.cases.returned import compared, read_again
from tests.spec.log import Log


def verdict(log: Log, name: str) -> spec.Verdict:
    return spec.check(log.build()).of(name)


@pytest.mark.parametrize(("name", "field"), [("SD-DE-04", "changed"), ("DX-76", "driver_area")])
def test_a_difference_in_a_guest_is_contested(name: str, field: str) -> None:
    log = compared()()
    assert verdict(log, name).verdict == "pass"
    log.one("compared", 1)[field] = 1
    found = verdict(log, name)
    assert (found.verdict, found.checked) == ("inconclusive", 2)
    assert "1 looked wrong" in found.message


def test_a_wide_store_leaves_open_what_stands_there() -> None:
    log = read_again()
    load = log.of("acc_ring", area="avail", field="idx", write=0)[2]
    load["value"] = 0
    assert verdict(log, "DX-76").verdict == "fail"
    before = verdict(log, "DX-76").checked
    more = {k: v for k, v in load.items() if k not in ("kind", "source", "ts")}
    log.insert(load, "acc_ring", after=False, **{**more, "write": 1, "size": 8})
    found = verdict(log, "DX-76")
    assert (found.verdict, found.checked) == ("pass", before - 1)


def test_what_was_never_stored_is_not_judged() -> None:
    log = read_again()
    log.drop(log.of("acc_ring", area="desc", write=1))
    assert verdict(log, "SD-DE-04").verdict == "not-applicable"
