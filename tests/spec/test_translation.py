# SPDX-License-Identifier: GPL-2.0-only
"""What an IOMMU's refusals show of a driver, and what they leave open."""

from __future__ import annotations

from pykit import spec
from pykit.spec.engine import judge
from tests.spec.cases.survival import (
    notified_of_nothing,
    stops_after_a_notification_of_nothing,
)
from tests.spec.cases.translation import refused, translated
from tests.spec.log import Log


def verdict(log: Log, name: str = "RF-DR-04") -> str:
    only = [rule for rule in spec.rules() if rule.id == name]
    return judge(log.build(), only, ()).of(name).verdict


def test_an_iommu_that_is_off() -> None:
    log = translated()
    log.one("dev_translation")["enabled"] = 0
    refused(log, log.of("queue")[0]["avail"])
    assert verdict(log) == "pass"


def test_no_iommu() -> None:
    log = translated()
    log.drop(log.of("dev_translation"))
    assert verdict(log) == "not-applicable"


def test_an_address_of_the_devices_own_making() -> None:
    log = translated()
    refused(log, 0x7FFF_0000)
    assert verdict(log) == "inconclusive"


def test_a_buffer_that_came_back() -> None:
    """The device may have gone on with it, when the driver had taken its translation away."""
    log = translated()
    chain = log.of("add")[0]
    own = log.of("desc", head=chain["head"])
    own[-1]["addr"] = 0x7FFF_0000
    refused(log, 0x7FFF_0000, write=True)
    assert verdict(log) == "inconclusive"


def test_a_write_where_the_device_is_to_read() -> None:
    """The driver need not let it."""
    log = translated()
    refused(log, log.of("queue")[0]["avail"], write=True)
    assert verdict(log) == "inconclusive"


def test_nothing_came_back() -> None:
    log = translated()
    log.drop(log.of("used"))
    assert verdict(log) == "inconclusive"


def test_a_device_that_is_refused_the_ring_is_not_to_blame() -> None:
    log = notified_of_nothing()
    stops_after_a_notification_of_nothing(log)
    assert verdict(log, "NA-DE-05") == "fail"
    refused(log, log.of("queue")[0]["avail"])
    assert verdict(log, "NA-DE-05") == "inconclusive"
