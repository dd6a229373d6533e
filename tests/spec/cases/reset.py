# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/reset.py."""

from __future__ import annotations

from tests.spec.cases.base import case
from tests.spec.log import Log


@case("RS-DE-01")
def status_comes_back(log: Log) -> None:
    read = log.one("status", op=1, status=0)
    log.insert(read, "status", status=0x0F, op=1)


@case("RS-DR-01")
def reset_is_not_waited_for(log: Log) -> None:
    log.one("status", op=1, status=0)["status"] = 0x0F


@case("RS-DE-02")
def interrupt_after_reset(log: Log) -> None:
    log.add("dev_signal", dev=1, life=None, pid=1, vq=0)


@case("RS-DE-03")
def pop_after_reset(log: Log) -> None:
    log.add("dev_pop", dev=1, life=None, pid=1, vq=0, elem=1, in_num=1, out_num=1, avail_idx=1)
