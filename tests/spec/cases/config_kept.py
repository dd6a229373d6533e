# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/config_kept.py."""

from __future__ import annotations

from pykit.spec import bits
from pykit.spec.blkconfig import BLK_SIZE, WRITEBACK
from tests.spec.cases.base import case
from tests.spec.log import Log
from tests.spec.registers import ALL, DEV, pci


def written() -> Log:
    """Return a log of a driver that writes to a disk's configuration, and reads it back."""
    device = pci(ALL | 1 << bits.BLK_CONFIG_WCE)
    device.log.add("driver", dev=DEV, life=0, cpu=0, pid=7, id=bits.BLK_ID, err=0, stage=0)
    writeback = {"structure": "config", "offset": WRITEBACK.offset, "size": 1}
    blocks = {"structure": "config", "offset": BLK_SIZE.offset, "size": 4}
    device.read("config", 1, **writeback)
    device.write("config", 0, **writeback)
    device.read("config", 0, **writeback)
    device.read("config", 512, **blocks)
    device.write("config", 4096, **blocks)
    device.read("config", 512, **blocks)
    return device.log


@case("DX-88", clean=written)
def writeback_is_not_taken(log: Log) -> None:
    """The device keeps writeback at 1 when the driver writes 0."""
    log.of("register", register="config", offset=WRITEBACK.offset)[-1]["value"] = 1


@case("DX-88", clean=written)
def read_only_is_taken(log: Log) -> None:
    """The device takes another size of blocks from its driver."""
    log.of("register", register="config", offset=BLK_SIZE.offset)[-1]["value"] = 4096
