# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/broken.py."""

from __future__ import annotations

from pykit.spec import bits
from pykit.trace import QmpAnswer
from pykit.trace.capture import STATUS_QUERY
from tests.spec.cases.base import case, later
from tests.spec.disk import Disk
from tests.spec.log import Log
from tests.spec.machine import OFFERED

_READY = bits.ACKNOWLEDGE | bits.DRIVER | bits.FEATURES_OK | bits.DRIVER_OK


def broken(status: int = _READY | bits.NEEDS_RESET, *, acts: bool = True) -> Log:
    """Return a log of a device that breaks with a request.

    The driver gets a configuration change notification, at which an observer reads ``status``, and
    declares the queue broken.
    """
    disk = Disk(offered=OFFERED)
    log, place = disk.log, disk.place
    disk.ask(bits.T_IN, 0, 8)
    log.drop([event for kind in ("used", "blk_done") for event in log.of(kind)])
    log.add("config_change", **place, status=status)
    given_up = dict.fromkeys(("avail_flags", "avail_idx", "used_flags", "used_idx", "layout"), 0)
    given_up |= {"desc": 0x10000, "avail": 0x11000, "used": 0x12000, "size": 64, "num_queues": 1}
    if acts:
        log.add("queue", **place, vq=0, **given_up, op=4)
    later(log)
    return log


def broken_by_qmp(*, acts: bool = True) -> Log:
    """Return a log of such a device, where only QMP's answer at the end has its status."""
    log = broken(0, acts=acts)
    statuses = {"statuses": ["VIRTIO_CONFIG_S_DRIVER_OK", "VIRTIO_CONFIG_S_NEEDS_RESET: …"]}
    log.qmp.append(QmpAnswer("hang", "vd0", STATUS_QUERY, None, {"status": statuses}, None))
    return log


@case("ST-DR-04", clean=broken)
@case("ST-DR-04", clean=broken_by_qmp)
def broken_device_is_waited_for(log: Log) -> None:
    """A device needs a reset, and its driver waits for its requests."""
    log.drop(log.of("queue", op=4))


@case("ST-DR-04", clean=broken)
def queue_is_given_up_late(log: Log) -> None:
    """A device needs a reset, and its driver gives its queue up 15 s later."""
    for event in log.of("queue", op=4):
        event["ts"] += int(15e9)
