# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/cross.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import case
from tests.spec.log import Log


@case("XC-01")
def qmp_has_other_features(log: Log) -> None:
    """QMP reports FLUSH as not negotiated, the trace as negotiated."""
    for answer in log.qmp[:1]:
        answer.answer["guest-features"]["unknown-dev-features"] ^= 1 << bits.BLK_FLUSH


@case("XC-02")
def qmp_has_another_index(log: Log) -> None:
    """QMP reports a used index that is larger by one than the trace's."""
    log.qmp[1].answer["used-idx"] += 1


@case("XC-02")
def qmp_has_another_size(log: Log) -> None:
    """QMP reports another queue size than the trace."""
    log.qmp[2].answer["vring-num"] = 32


@case("XC-03")
def a_pop_is_missing(log: Log) -> None:
    """QEMU pops one chain fewer than the driver adds."""
    log.drop(log.of("dev_pop", vq=0)[4:5])


@case("XC-03")
def another_length(log: Log) -> None:
    """The driver reads another used len than QEMU fills in."""
    log.of("dev_fill", vq=1)[4]["len"] += 1


@case("XC-03")
def a_fill_is_missing(log: Log) -> None:
    """The driver takes one chain more than QEMU returns."""
    log.drop(log.of("dev_fill", vq=0)[-1:])
