# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/cleanup.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import case, like
from tests.spec.log import Log


@case("DX-28")
def queues_go_without_reset(log: Log) -> None:
    """The driver deletes its queues without a reset."""
    log.drop(log.of("status", op=bits.STATUS_RESET))


@case("CL-DR-02", clean=like(pulled=True))
def live_queue_goes(log: Log) -> None:
    """The driver deletes a live queue with outstanding chains, without a reset."""
    log.drop(log.of("status", op=bits.STATUS_RESET))


@case("CL-DR-02", clean=like(pulled=True))
def takes_a_chain_back(log: Log) -> None:
    """The driver takes the chains back that are outstanding, and resets the device then."""
    reset = log.of("status", op=bits.STATUS_RESET)[-1]
    log.events.remove(reset)
    log.events.insert(log.events.index(log.of("detach")[-1]) + 1, reset)


@case("DX-28")
def suspended_with_requests(log: Log) -> None:
    """The driver is suspended while a request is outstanding."""
    log.one("driver", stage=bits.REMOVE)["stage"] = bits.FREEZE
    end = log.of("used", vq=0)[-1]
    log.drop([end])
