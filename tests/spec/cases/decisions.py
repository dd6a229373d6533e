# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/decisions.py."""

from __future__ import annotations

from typing import Any

from pykit.spec import bits
from pykit.spec.rings import PACKED
from pykit.trace.kinds import SET_UP
from tests.spec.cases.base import case, set_bits
from tests.spec.cases.packed_order import LENGTHS, SIZE, packed_stores
from tests.spec.cases.stores import traced
from tests.spec.log import Event, Log


def _notify(log: Log, look: Event, value: int) -> None:
    place: dict[str, Any] = {
        "structure": "notify",
        "register": "queue_notify",
        "offset": 0,
        "size": 4,
        "vq": 0,
    }
    log.insert(look, "acc_register", **place, write=1, value=value, symbol="vp_notify+9")


def split_decisions() -> Log:
    """Return a log of a driver that exposes a chain, reads avail_event and notifies."""
    log = traced()
    for index in log.of("acc_ring", area="avail", field="idx"):
        look: dict[str, Any] = {
            "area": "used",
            "field": "event",
            "size": 2,
            "value": 0,
            "write": 0,
            "vq": 0,
        }
        _notify(log, log.insert(index, "acc_ring", **look, symbol="kick_prepare+1"), 0)
    return log


def packed_decisions() -> Log:
    """Return a log of a driver that notifies of each list of a packed ring."""
    log = packed_stores()
    for look in log.of("acc_ring", area="used"):
        _notify(log, _moved(log, look), 0)
    return log


def notifications_with_data() -> Log:
    """Return a log of a driver that has the ring's next place in each notification."""
    log = packed_decisions()
    set_bits(log, offered=1 << bits.NOTIFICATION_DATA, acked=1 << bits.NOTIFICATION_DATA)
    ring: dict[str, Any] = {"layout": PACKED, "op": SET_UP, "size": SIZE}
    log.insert(log.of("features")[-1], "queue", vq=0, **ring)
    place = 0
    for length, notified in zip(LENGTHS, log.of("acc_register"), strict=True):
        place += length
        wrap = 1 - place // SIZE % 2
        notified["value"] = (wrap << 15 | place % SIZE) << 16
    return log


def _moved(log: Log, look: Event) -> Event:
    """Put the read of the suppression right behind the store that makes its list available."""
    before = log.events[: log.events.index(look)]
    head = [e for e in before if e.get("field") == "flags" and e["write"]][-1]
    log.events.remove(look)
    log.events.insert(log.events.index(head) + 1, look)
    return look


@case("SN-DR-01", clean=split_decisions)
def avail_event_before_the_index(log: Log) -> None:
    """The driver reads avail_event, then stores the available index, then notifies."""
    _before(log, log.one("acc_ring", area="used", field="event"), area="avail", field="idx")


@case("PN-DR-01", clean=packed_decisions)
def suppression_before_the_flags(log: Log) -> None:
    """The driver reads the suppression, then makes a list available, then notifies."""
    _before(log, log.one("acc_ring", area="used"), area="desc", field="flags", slot=0)


def _before(log: Log, look: Event, **store: Any) -> None:
    log.events.remove(look)
    log.events.insert(log.events.index(log.one("acc_ring", write=1, **store)), look)


@case("PD-DR-03", clean=notifications_with_data)
def place_of_the_list_itself(log: Log) -> None:
    """A notification has the place of the list that it is about, not the one behind it."""
    log.one("acc_register", 1)["value"] = log.one("acc_register")["value"]


@case("PD-DR-03", clean=notifications_with_data)
def wrap_counter_is_the_old_one(log: Log) -> None:
    """A notification has the wrap counter of the list that ended at the ring's last slot."""
    log.one("acc_register", 1)["value"] ^= 1 << 31
