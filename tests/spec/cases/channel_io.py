# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/channel_io.py."""

from __future__ import annotations

from tests.spec.cases.base import case
from tests.spec.log import Log

#: Set the revision, reset, read features, write the status.
_BEGIN = (0x83, 0x33, 0x12, 0x31)


def commanded() -> Log:
    """Return a log of the first commands of a device on channel I/O, and nothing else."""
    log = Log()
    log.device_type = "virtio-blk-ccw"
    for number, command in enumerate(_BEGIN):
        log.add("dev_command", dev=1, life=None, pid=1, command=command, number=number)
    return log


@case("CV-DR-02", clean=commanded)
def features_before_the_revision(log: Log) -> None:
    """The driver reads the features before it sets the revision."""
    first, second = log.of("dev_command")[:2]
    first["command"], second["command"] = 0x12, 0x83
