# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/packed_notify.py and packed_interrupts.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import case, later, like
from tests.spec.cases.interrupts import never_interrupts
from tests.spec.cases.notify import notifies_though_suppressed, withholds_notification
from tests.spec.log import Log

PACKED = like(packed=True)
WITHOUT_EVENT_IDX = like(packed=True, declined=1 << bits.EVENT_IDX)

case("DX-62", "DX-16", clean=PACKED)(withholds_notification)
case("DX-62", clean=WITHOUT_EVENT_IDX)(withholds_notification)
case("DX-63", clean=PACKED)(notifies_though_suppressed)


@case("DX-63", clean=WITHOUT_EVENT_IDX)
def packed_flag_is_ignored(log: Log) -> None:
    """Notifications are sent though the device suppresses all of them."""
    for kick in log.of("kick", needed=0):
        kick["needed"] = 1
        log.insert(kick, "notify")


case("DX-64", "DX-15", clean=PACKED)(never_interrupts)
case("DX-64", clean=WITHOUT_EVENT_IDX)(never_interrupts)


def interrupts_though_suppressed(log: Log) -> None:
    """The driver suppresses interrupts and polls; they keep coming."""
    for event in log.of("callback", vq=0)[-16:]:
        event["avail_flags"] = 1
    for event in log.of("used", vq=0)[-16:]:
        event["event_flags"] = 1


case("DX-65", clean=PACKED)(interrupts_though_suppressed)
case("DX-65", clean=WITHOUT_EVENT_IDX)(interrupts_though_suppressed)


@case("DX-66", clean=PACKED)
def packed_waits_with_an_entry(log: Log) -> None:
    """A used descriptor is there when interrupts are enabled, and the driver waits for another."""
    last = log.of("callback", vq=0, enable=1)[-1]
    last["used_idx"] = last["last_used"] + 1
    later(log)


@case("DX-66", clean=PACKED)
def packed_event_of_the_past(log: Log) -> None:
    """The driver requests an interrupt of a place with the wrong wrap counter."""
    last = log.of("callback", vq=0, enable=1, pending=0)[-1]
    last["used_event"] ^= 1 << 15


@case("DX-69", clean=PACKED)
def packed_driver_offset(log: Log) -> None:
    """The driver requests an interrupt of a descriptor that the ring does not have."""
    log.of("callback", vq=0, avail_flags=2)[0]["used_event"] = 0x8000 | 16


@case("DX-70", clean=PACKED)
def packed_device_offset(log: Log) -> None:
    """The device requests a notification of a descriptor that the ring does not have."""
    log.of("kick", vq=0)[2] |= {"event": 0x8000 | 16, "event_after": 0x8000 | 16}
