# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/pci_window.py."""

from __future__ import annotations

from tests.spec.cases.base import case
from tests.spec.cases.pci_driver import configured
from tests.spec.log import Log
from tests.spec.machine import OFFERED
from tests.spec.survey import REGISTERS

BAR, OFFSET, LENGTH, DATA = 0x98, 0x9C, 0xA0, 0xA4


def by_window() -> Log:
    """Return a log of a guest that reads the number of queues by the configuration access."""
    return configured((BAR, 4, 1), (LENGTH, 2, 1), (OFFSET, 0x12, 1), (DATA, 0x20001, 0))


def features_by_window() -> Log:
    """Return a log of a guest that reads the upper features by the configuration access."""
    return configured(
        (BAR, 4, 1), (LENGTH, 4, 1), (OFFSET, 0, 1), (DATA, 1, 1), (OFFSET, 4, 1),
        (DATA, OFFERED >> 32 | REGISTERS[4, 4], 0),
    )  # fmt: skip


@case("PX-DR-01", clean=by_window)
def window_is_not_aligned(log: Log) -> None:
    """The driver reads 2 bytes at offset 0x15."""
    log.one("dev_pci_config", offset=OFFSET)["value"] = 0x15


@case("PX-DR-01", clean=by_window)
def window_of_no_length(log: Log) -> None:
    """The driver reads while the length is 0."""
    log.one("dev_pci_config", offset=LENGTH)["value"] = 0


@case("PX-DR-02", clean=by_window)
def window_in_another_bar(log: Log) -> None:
    """The driver reads a BAR without structures."""
    log.one("dev_pci_config", offset=BAR)["value"] = 1


@case("PX-DR-02", clean=by_window)
def window_behind_all_structures(log: Log) -> None:
    """The driver reads behind the last structure of a BAR."""
    log.one("dev_pci_config", offset=OFFSET)["value"] = 0x4000


@case("PX-DE-03", clean=by_window)
def another_number_of_queues(log: Log) -> None:
    """The window shows another number of queues than the register."""
    log.one("dev_pci_config", offset=DATA)["value"] = 0


@case("PX-DE-02", clean=features_by_window)
def selection_is_not_written(log: Log) -> None:
    """The device does not write the selection, and shows the lower features."""
    log.one("dev_pci_config", offset=DATA, write=0)["value"] = OFFERED & 0xFFFFFFFF
