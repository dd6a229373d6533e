# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/network_config.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import bare, case
from tests.spec.log import Log

#: MTU, STATUS, MQ, HASH_REPORT, RSS, SPEED_DUPLEX and VERSION_1.
_OFFER = sum(1 << bit for bit in (3, 16, 17, 22, 57, 60, 63, 32))
#: Values by offset and width.
_VALUES = {
    (6, 2): 1, (8, 2): 4, (10, 2): 1500, (12, 4): 10000, (16, 1): 1, (17, 1): 40, (18, 2): 128,
}  # fmt: skip


def numbered() -> Log:
    """Return a log of a driver that reads the numbers of a network device."""
    log = bare(id=bits.NET_ID, offered=_OFFER, acked=_OFFER)
    place = {"dev": 1, "life": 0, "cpu": 0, "pid": 7}
    for (offset, width), value in _VALUES.items():
        log.add("config", **place, offset=offset, len=width, value=value, write=0)
    return log


@case("DX-91", clean=numbered)
def no_pair_of_queues(log: Log) -> None:
    """The device has no pair of queues."""
    log.one("config", offset=8)["value"] = 0


@case("DX-91", clean=numbered)
def packets_too_small(log: Log) -> None:
    """The device lets packets of 60 bytes through, and no longer ones."""
    log.one("config", offset=10)["value"] = 60


@case("DX-91", clean=numbered)
def undefined_status(log: Log) -> None:
    """The device's status has a bit that nothing defines."""
    log.one("config", offset=6)["value"] = 5


@case("DX-91", clean=numbered)
def undefined_duplex(log: Log) -> None:
    """The device has a duplex that nothing defines."""
    log.one("config", offset=16)["value"] = 2


@case("DX-91", clean=numbered)
def keys_too_short(log: Log) -> None:
    """The device has room for keys of 39 bytes."""
    log.one("config", offset=17)["value"] = 39


@case("DX-91", clean=numbered)
def table_too_short(log: Log) -> None:
    """The device has a table of 64 entries."""
    log.one("config", offset=18)["value"] = 64
