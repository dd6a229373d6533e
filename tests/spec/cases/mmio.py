# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/mmio.py."""

from __future__ import annotations

from tests.spec.cases.base import case
from tests.spec.log import Log
from tests.spec.machine import run


def on_mmio() -> Log:
    """Return a log of an MMIO device with two interrupts, the second one for both reasons."""
    log = run()
    log.device_type, log.kernel = "virtio-blk-device", "of another make"
    place = {"dev": 1, "life": log.one("add")["life"], "cpu": 1}
    for why in (1, 3):
        log.add("acc_register", **place, offset=0x60, write=0, size=4, value=why)
        log.add("acc_ring", **place, vq=0, area="used", field="idx", write=0, size=2, value=1)
        log.add("acc_register", **place, offset=0x64, write=1, size=4, value=1)
        if why & 2:
            log.add("acc_register", **place, offset=0x64, write=1, size=4, value=2)
    return log


def two_queues() -> Log:
    """Return a log of interrupts of an MMIO device with chains outstanding in two queues."""
    log = run()
    log.device_type, log.kernel = "virtio-blk-device", "of another make"
    place = {"dev": 1, "life": log.one("add")["life"], "cpu": 1}
    index = {"field": "idx", "size": 2, "symbol": "work+1"}
    for n in range(3):
        for vq in range(2):
            log.add("acc_ring", **place, **index, vq=vq, area="avail", write=1, value=n + 1)
        log.add("acc_register", **place, offset=0x60, write=0, size=4, value=1)
        for vq in range(2):
            log.add("acc_ring", **place, **index, vq=vq, area="used", write=0, value=n + 1)
        log.add("acc_register", **place, offset=0x64, write=1, size=4, value=1)
    return log


@case("MN-DR-02", clean=two_queues)
def one_queue_is_enough(log: Log) -> None:
    """The driver handles an interrupt by looking at the first queue alone."""
    log.drop(log.of("acc_ring", area="used", vq=1)[:1])


@case("MN-DR-01", clean=on_mmio)
def interrupt_is_not_asked_for(log: Log) -> None:
    """The driver acknowledges an interrupt without reading InterruptStatus."""
    log.drop(log.of("acc_register", offset=0x60)[:1])


@case("MN-DR-03", clean=on_mmio)
def acknowledged_too_early(log: Log) -> None:
    """The driver acknowledges an interrupt before it reads the used ring."""
    log.drop(log.of("acc_ring")[1:])
    last = log.of("acc_register", offset=0x64)[-1]
    place = {name: last[name] for name in ("dev", "life", "cpu")}
    log.add("acc_ring", **place, vq=0, area="used", field="idx", write=0, size=2, value=2)
