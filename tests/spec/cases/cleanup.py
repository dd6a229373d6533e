# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/cleanup.py."""

from __future__ import annotations

from tests.spec.cases.base import case, like
from tests.spec.log import Log


@case("DX-28")
def queues_go_without_reset(log: Log) -> None:
    log.drop(log.of("status", op=2))


@case("CL-DR-02", clean=like(pulled=True))
def live_queue_goes(log: Log) -> None:
    log.drop(log.of("status", op=2))


@case("DX-28")
def suspended_with_requests(log: Log) -> None:
    log.one("driver", stage=3)["stage"] = 5
    end = log.of("used", vq=0)[-1]
    log.drop([end])
