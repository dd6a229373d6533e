# SPDX-License-Identifier: GPL-2.0-only
"""What a driver gave the device of a queue, by the registers that it wrote."""

from __future__ import annotations

import pytest

from pykit import spec
from pykit.spec.given import enablings, in_parts, rings_given
from pykit.spec.registers import PCI, registers
from pykit.spec.view import View
from tests.spec.cases.queue_registers import with_rings


@pytest.mark.parametrize(
    ("register", "size"), [("queue_desc_low", 2), ("queue_device_high", 1), ("queue_size", 1)]
)
@pytest.mark.parametrize("again", [False, True])
def test_a_register_that_was_written_in_part_is_not_known(
    register: str, size: int, *, again: bool
) -> None:
    """Nor is the queue's ring, until the register is written as a whole."""
    log = with_rings()
    whole = log.one("register", write=1, register=register, vq=0)
    fields = {key: whole[key] for key in ("structure", "register", "offset", "vq", "write")}
    part = log.insert(whole, "register", **fields, value=1, size=size)
    if again:
        log.insert(part, "register", **fields, value=whole["value"], size=whole["size"])
    view = View(log.build())
    regs = registers(view)
    enabling = enablings(regs, PCI)
    _, known, right = rings_given(view, enabling)
    assert in_parts(regs, register)[enabling].tolist() == [not again, False]
    assert known[enabling].tolist() == [again, True]
    assert right[enabling].tolist() == [again, True]


def test_the_ring_before_a_queues_own_reset_is_not_known() -> None:
    """A driver may give another ring, and reset the queue before it uses that."""
    log = with_rings()
    first = log.of("register", write=1, register="queue_select")
    start = next(event for event in first if event["value"] == 0)
    whole = log.one("register", write=1, register="queue_enable", vq=0)
    events = log.events[log.events.index(start) : log.events.index(whole) + 1]
    reset = log.insert(start, "register", after=False, structure="common", vq=0, offset=58,
                       register="queue_reset", size=2, value=1, write=1)  # fmt: skip
    for event in events:
        other = {key: value for key, value in event.items() if key not in ("ts", "kind")}
        if event["register"] == "queue_size":
            other["value"] *= 2
        log.insert(reset, "register", after=False, **other)
    view = View(log.build())
    enabling = enablings(registers(view), PCI)
    _, known, right = rings_given(view, enabling)
    assert known[enabling].tolist() == [False, True, True]
    assert right[enabling].tolist() == [False, True, True]
    assert spec.check(log.build()).of("DX-72").verdict != "fail"
