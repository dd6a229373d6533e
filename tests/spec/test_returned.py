# SPDX-License-Identifier: GPL-2.0-only
"""What a device must leave alone: which evidence decides, and which does not."""

from __future__ import annotations

import pytest

from pykit import spec
from tests.spec import cases
from tests.spec.cases import CASES, Case
from tests.spec.cases.returned import compared, read_again
from tests.spec.log import Log


def verdict(log: Log, name: str) -> spec.Verdict:
    return spec.check(log.build()).of(name)


@pytest.mark.parametrize(
    ("name", "field", "value", "packed"),
    [
        ("SD-DE-04", "changed", 1, False),
        ("DX-76", "driver_area", 1, False),
        ("SD-DE-01", "header", 2, False),
        ("PD-DE-01", "header", 2, True),
        ("DX-78", "behind", 2, False),
        ("DX-78", "table", 2, True),
    ],
)
def test_a_difference_in_a_guest_is_contested(
    name: str, field: str, value: int, packed: bool
) -> None:
    log = compared(packed)()
    before = verdict(log, name)
    assert before.verdict == "pass"
    log.one("compared", 1)[field] = value
    found = verdict(log, name)
    assert (found.verdict, found.checked) == ("inconclusive", before.checked - 1)
    assert "1 looked wrong" in found.message


@pytest.mark.parametrize(
    ("name", "packed"), [("SD-DE-04", False), ("DX-76", False), ("PD-DE-04", True)]
)
def test_what_was_not_compared_between_operations_is_not_counted(name: str, packed: bool) -> None:
    log = compared(packed)()
    before = verdict(log, name).checked
    for event in log.of("compared"):
        event["between"] = 0
    assert verdict(log, name).checked == before - 3


@pytest.mark.parametrize(("name", "packed"), [("SU-DE-01", False), ("PD-DE-04", True)])
def test_an_entry_altered_while_it_was_taken_accuses_neither_side(name: str, packed: bool) -> None:
    log = compared(packed)()
    before = verdict(log, name)
    log.one("compared", 1)["len"] += 1
    assert verdict(log, name).verdict == "fail"
    log.one("compared", 1)["between"] |= 8
    found = verdict(log, name)
    assert (found.verdict, found.checked) == ("inconclusive", before.checked - 1)
    assert "1 looked wrong" in found.message


def _returned_again(log: Log) -> None:
    """The device returns the chain before once more, and the driver refuses it."""
    second, third = log.of("used")[-2:]
    third |= {"id": second["id"], "accepted": 0}
    last = third["seq"]
    log.drop([e for e in log.events if e["source"] == "driver" and e.get("seq", 0) > last])


def test_an_altered_available_entry_accuses_neither_side() -> None:
    log = compared()()
    _returned_again(log)
    assert verdict(log, "DX-02").verdict == "fail"
    log.one("compared", 1)["driver_area"] = 1
    found = verdict(log, "DX-02")
    assert (found.verdict, found.contested) == ("inconclusive", 1)
    assert "either side may be to blame" in found.message


def test_a_store_to_an_exposed_entry_is_the_drivers() -> None:
    log = compared()()
    _returned_again(log)
    stores = (("idx", None, 1), ("ring", 1, 1), ("idx", None, 2), ("ring", 1, 0))
    for part, slot, value in stores:
        place = {"dev": 1, "life": 0, "vq": 0, "cpu": 0, "area": "avail", "slot": slot}
        log.add("acc_ring", **place, field=part, value=value, size=2, write=1, symbol="add+1")
    assert verdict(log, "CL-DR-01").verdict == "fail"
    assert verdict(log, "DX-02").contested == 1


@pytest.mark.parametrize("area", [2, 4])
def test_the_rest_of_the_driver_area_leaves_ids_alone(area: int) -> None:
    log = compared()()
    _returned_again(log)
    log.one("compared", 1)["driver_area"] = area
    assert verdict(log, "DX-02").verdict == "fail"


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


def test_an_entry_that_either_side_altered_does_not_accuse_the_driver() -> None:
    """It is read behind the exposure, when a fast device may have written there."""
    log = compared()()
    log.of("add")[2]["head"] = 65534
    assert verdict(log, "DX-05").verdict == "fail"
    log.one("compared", 1)["driver_area"] = 1
    assert verdict(log, "DX-05").contested == 1


def test_what_stood_before_the_device_had_a_cause_to_look_is_the_drivers() -> None:
    """DRIVER_OK comes later; or the device, which holds nothing, asked for a notification."""
    log = compared()()
    log.of("add")[2]["head"] = 65534
    log.one("compared", 1)["driver_area"] = 1
    log.add("status", dev=1, life=0, cpu=0, pid=7, status=0x0F, op=0)
    assert verdict(log, "DX-05").verdict == "fail"


@pytest.mark.parametrize("asked", [True, False])
def test_an_idle_device_that_asks_has_not_looked(asked: bool) -> None:
    log = compared()()
    bad = log.of("add")[2]
    bad["head"] = 65534
    log.one("compared", 1)["driver_area"] = 1
    place = {"dev": 1, "life": 0, "cpu": 0, "pid": 7, "vq": 0}
    event = 2 if asked else 1
    decision = {"old": 2, "new": 3, "event": event, "event_after": event, "flags": 0}
    log.insert(bad, "kick", **place, **decision, flags_after=0, event_idx=1, needed=1)
    found = verdict(log, "DX-05")
    assert (found.verdict == "fail") is asked


#: The address of a queue's area is in no chain.
OF_AREAS = (cases.addresses.ring_is_virtual, cases.translation.ring_is_not_translated)
CONTENTS = {rule.id for rule in spec.rules() if rule.contents}
READ_LATE = [entry for entry in CASES if entry.rule in CONTENTS and entry.act not in OF_AREAS]


@pytest.mark.parametrize("entry", READ_LATE, ids=lambda entry: f"{entry.rule}-{entry.act.__name__}")
def test_what_either_side_wrote_to_chains_does_not_accuse_the_driver(entry: Case) -> None:
    log = entry.clean()
    entry.act(log)
    assert verdict(log, entry.rule).verdict == "fail"
    add = log.one("add")
    place = {name: add[name] for name in ("dev", "life", "vq", "cpu")}
    # Such a device writes to descriptors that no chain with it has, too.
    log.add("compared", **place, pid=7, index=0, id=0, head=0, changed=1, between=3)
    found = verdict(log, entry.rule)
    assert (found.verdict, found.violations) == ("inconclusive", 0)
    assert "either side may be to blame" in found.message


def test_a_store_to_the_used_ring_is_the_drivers() -> None:
    log = compared()()
    log.one("compared", 1)["len"] = 4097
    assert verdict(log, "SU-DE-01").verdict == "fail"
    place = {"dev": 1, "life": 0, "vq": 0, "cpu": 0, "area": "used", "slot": 1}
    log.add("acc_ring", **place, field="len", value=7, size=4, write=1, symbol="take+1")
    assert verdict(log, "DX-73").verdict == "fail"
    assert verdict(log, "SU-DE-01").contested == 1
