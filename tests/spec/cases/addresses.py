# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/addresses.py."""

from __future__ import annotations

from tests.spec.cases.base import case
from tests.spec.log import Log

_VIRTUAL = 0xFFFF888000000000


@case("RF-DR-05")
def descriptor_is_virtual(log: Log) -> None:
    """A descriptor has the kernel's virtual address of its buffer, and does not come back."""
    last = log.of("desc")[-1]
    last["addr"] |= _VIRTUAL
    del log.events[log.events.index(last) + 1 :]


@case("RF-DR-05")
def ring_is_virtual(log: Log) -> None:
    """A queue is set up with a virtual address."""
    log.one("queue")["used"] |= _VIRTUAL
