# SPDX-License-Identifier: GPL-2.0-only
"""What a surveyed function is taken for, and how far its offer is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pykit import spec
from pykit.spec import bits
from pykit.spec.engine import judge
from pykit.spec.survey import functions
from pykit.spec.view import View
from pykit.trace import QmpAnswer
from tests.spec.cases import pci_driver
from tests.spec.log import Log
from tests.spec.survey import REGISTERS, surveyed, transitional


def asked(*transports: str) -> QmpAnswer:
    told = {"transports": list(transports), "dev-features": []}
    return QmpAnswer("end", "vd0", "x-query-virtio-status", None, {"host-features": told})


def silent() -> Log:
    """A device that nothing was ever negotiated with, with the lower features selected."""
    log = surveyed(registers={**REGISTERS, (0, 4): 0})
    log.drop([event for event in log.events if event["source"] != "survey"])
    return log


def verdict(log: Log, name: str) -> str:
    only = [rule for rule in spec.rules() if rule.id == name]
    return judge(log.build(), only, ()).of(name).verdict


def test_the_window_that_is_selected() -> None:
    (function,) = functions(View(silent().build()))
    assert function.offered(0) is True
    assert function.offered(bits.NOTIFICATION_DATA) is None


@pytest.mark.parametrize(
    ("answer", "offered"),
    [
        (asked("VIRTIO_F_VERSION_1: Device compliant"), False),
        (asked("VIRTIO_F_NOTIFICATION_DATA: extra data"), True),
        (asked("VIRTIO_F_LATER: not known"), None),
    ],
)
def test_the_offer_by_qmp(answer: QmpAnswer, offered: bool | None) -> None:
    log = silent()
    log.qmp = [answer]
    (function,) = functions(View(log.build()))
    assert function.offered(bits.NOTIFICATION_DATA) is offered


def test_an_unknown_offer_decides_nothing() -> None:
    log = silent()
    for name in ("PO-DE-02", "PO-DE-06", "PO-DE-09", "PO-DE-11"):
        assert verdict(log, name) == "inconclusive"


def many_vectors(*, offered: int = 0, declined: int = 0) -> Log:
    """A disk with three vectors and num_queues 1."""
    log = surveyed()
    log.one("survey_cap", cap_id=0x11)["vectors"] = 3
    for event in log.of("features"):
        event["offered"] |= offered
        event["acked"] &= ~declined
    return log


def test_vectors_of_queues_that_another_driver_would_have() -> None:
    assert verdict(many_vectors(), "PQ-DE-03") == "fail"
    assert verdict(many_vectors(declined=1 << bits.BLK_MQ), "PQ-DE-03") == "inconclusive"
    assert verdict(many_vectors(offered=1 << bits.ADMIN_VQ), "PQ-DE-03") == "inconclusive"


def test_the_driver_reads_more_queues_than_the_survey() -> None:
    log = many_vectors()
    fields = {"structure": "common", "register": "num_queues", "offset": 0x12, "size": 2}
    log.add("register", dev=1, life=0, vq=None, value=2, write=0, **fields)
    assert verdict(log, "PQ-DE-03") == "pass"


def legacy() -> Log:
    log = transitional()
    log.drop(log.of("survey_cap", cap_id=9))
    log.drop(log.of("survey_register"))
    log.drop(log.of("features"))
    return log


def test_a_legacy_device_needs_no_structure() -> None:
    log = legacy()
    (function,) = functions(View(log.build()))
    assert function.legacy
    for name in ("PM-DE-02", "PO-DE-01", "PX-DE-01", "OX-PD-01"):
        assert verdict(log, name) == "not-applicable"


def test_a_modern_device_without_structures_is_not_legacy() -> None:
    log = legacy()
    log.one("survey_pci")["device_id"] = 0x1042
    assert verdict(log, "PM-DE-02") == "fail"


def test_evidence_taken_away_never_makes_a_fail() -> None:
    """Of each single event of a clean survey."""
    whole = surveyed()
    mine = [rule.id for rule in spec.rules() if any("survey" in need for need in rule.needs)]
    assert len(mine) > 25
    only = [rule for rule in spec.rules() if rule.id in mine]
    for gone in [*whole.of("dev_status"), *whole.of("features"), *whole.of("survey_register")]:
        log = surveyed()
        same = next(e for e in log.events if e["kind"] == gone["kind"] and e["ts"] == gone["ts"])
        log.drop([same])
        wrong = [v.rule.id for v in judge(log.build(), only, ()).rules if v.verdict == "fail"]
        assert not wrong, gone


def test_a_second_look_at_another_selected_queue() -> None:
    """A register that changed within a look is left out."""
    log = surveyed()
    select = {"region": "common", "offset": 0x16, "len": 2, "value": 1}
    log.add("survey_register", dev=1, reading=0, **select)
    assert verdict(log, "PO-DE-06") == "inconclusive"


def test_a_run_without_devices_has_nothing_to_survey() -> None:
    log = surveyed()
    log.drop([event for event in log.events if event["source"] == "survey"])
    assert verdict(log, "PM-DE-02") == "inconclusive"
    events = log.build()
    bare = replace(events, capture=replace(events.capture, devices=()))
    only = [rule for rule in spec.rules() if rule.id == "PM-DE-02"]
    assert judge(bare, only, ()).of("PM-DE-02").verdict == "not-applicable"


def test_a_mapping_in_the_page_of_the_table_may_be_the_tables() -> None:
    """One that begins in no structure is not judged."""
    log = pci_driver.mapping()
    assert verdict(log, "PC-DR-05") == "pass"
    log.one("survey_cap", cap_id=0x11).update(bar=4, start=0x800, length=0x2000)
    for event in log.of("survey_map"):
        event["length"] = 0x8000
    assert verdict(log, "PC-DR-05") == "fail"
    log.drop([event for event in log.of("survey_map") if event["start"] > 0x2000])
    assert verdict(log, "PC-DR-05") == "inconclusive"
    for event in log.of("survey_map"):
        event["start"] += 0x8000
    assert verdict(log, "PC-DR-05") == "not-applicable"


def test_a_structure_that_no_driver_reaches_is_not_the_first() -> None:
    """No address, ports that the guest has not enabled, or too few bytes for the structure."""
    log = pci_driver.with_two_notifications()
    pci_driver.second_structure_is_used(log)
    assert verdict(log, "PC-DR-02") == "fail"
    log.drop(log.of("dev_structure"))
    assert verdict(log, "PC-DR-02") == "inconclusive"
    for kind, nth, change in (
        ("survey_bar", 2, {"start": 0}),
        ("survey_pci", 0, {"command": 0x506}),
        ("survey_cap", 1, {"length": 1}),
    ):
        log = pci_driver.with_two_notifications()
        pci_driver.second_structure_is_used(log)
        log.of(kind)[nth].update(change)
        assert verdict(log, "PC-DR-02") == "not-applicable", kind
