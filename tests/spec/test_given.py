# SPDX-License-Identifier: GPL-2.0-only
"""What a driver gave the device of a queue, by the registers that it wrote."""

from __future__ import annotations

import pytest

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
