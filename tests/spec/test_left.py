# SPDX-License-Identifier: GPL-2.0-only
"""Memory of a ring whose guest hung: an interrupt that is missing, a descriptor out of its turn."""

from __future__ import annotations

from typing import Any

import pytest

from pykit import spec
from pykit.spec import Verdicts, bits
from pykit.spec.packed import lists, slot_of
from pykit.spec.view import View
from pykit.trace.capture import RING_MEMORY, QmpAnswer
from tests.spec.cases.base import later
from tests.spec.log import Log
from tests.spec.machine import OFFERED, run


def stuck(*, packed: bool, event_idx: bool = True) -> Log:
    """Return a log of a guest that hangs; nothing of it shows what the device did."""
    offered = OFFERED if event_idx else OFFERED & ~(1 << bits.EVENT_IDX)
    log = run(cut=True, queues=1, packed=packed, offered=offered)
    log.drop([e for e in log.events if e["source"] == "qemu" and "vq" in e])
    later(log)
    return log


def hung(log: Log, memory: dict[str, Any]) -> Verdicts:
    log.qmp = [QmpAnswer("hang", "vd0", RING_MEMORY, 0, memory, 1)]
    return spec.check(log.build())


@pytest.mark.parametrize(("event_idx", "name"), [(True, "NU-DE-05"), (False, "NU-DE-03")])
def test_an_interrupt_that_did_not_come(event_idx: bool, name: str) -> None:
    log = stuck(packed=False, event_idx=event_idx)
    for armed in log.of("callback")[-1:]:
        armed |= {"enable": 1, "avail_flags": 0}
    index = log.of("used")[-1]["used_idx"]
    assert name not in hung(log, {"used-index": index}).having("fail")
    assert name in hung(log, {"used-index": index + 1}).having("fail")


def ring(log: Log) -> tuple[dict[str, list[int]], int, int]:
    """Return the memory of a packed ring, the place of the next used descriptor and its wrap."""
    view = View(log.build())
    found = lists(view)
    size = int(view.rings.size[0])
    back = sum(view.pairs.used_of[found.add] >= 0)
    place = int(found.start[back])
    flags = [0] * size
    for at in range(place, int(found.end[-1])):
        flags[at % size] = 0x8000 if at // size % 2 else 0x80
    ids = [0] * size
    ids[place % size] = int(view.adds.head[found.add[back]])
    return {"flags": flags, "ids": ids}, place % size, 0 if place // size % 2 else 0x8080


def test_an_interrupt_of_a_packed_ring_that_did_not_come() -> None:
    log = stuck(packed=True, event_idx=False)
    memory, slot, used = ring(log)
    assert not {"DX-64", "DX-10"} & {*hung(log, memory).having("fail")}
    memory["flags"][slot] = used
    assert "DX-64" in hung(log, memory).having("fail")


def test_a_descriptor_that_is_used_out_of_its_turn() -> None:
    log = stuck(packed=True)
    memory, slot, used = ring(log)
    view = View(log.build())
    behind = int(slot_of(lists(view).end[-1:] - 1)[0]) % len(memory["flags"])
    assert behind != slot
    memory["flags"][behind] = used
    found = hung(log, memory)
    assert "DX-10" in found.having("fail")
    assert f"slot {behind} is used" in found.of("DX-10").message


@pytest.mark.parametrize(
    ("event", "filled", "blamed"), [(0, False, True), (-1, False, False), (0, True, False)]
)
def test_an_interrupt_of_another_place_of_a_packed_ring(
    event: int, filled: bool, blamed: bool
) -> None:
    """The driver named its next place, the one before, or its next one when that was filled."""
    log = stuck(packed=True)
    memory, slot, used = ring(log)
    memory["flags"][slot] = used
    place = slot | (0x8000 if used else 0)
    size = len(memory["flags"])
    before = place - 1 if slot else (size - 1) | (0 if used else 0x8000)
    armed = {"enable": 1, "avail_flags": 2, "event_idx": 1, "pending": 0, "last_used": place}
    armed |= {"used_event": before if event else place, "used_idx": place + filled}
    log.add("callback", dev=1, life=0, cpu=0, pid=7, vq=0, **armed)
    later(log)
    assert ("DX-64" in hung(log, memory).having("fail")) is blamed
