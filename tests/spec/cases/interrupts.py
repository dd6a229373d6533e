# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/interrupts.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import case, like
from tests.spec.log import Log


def never_interrupts(log: Log) -> None:
    """The last entry is flushed, the driver waits, and no interrupt comes."""
    last = log.of("dev_signal", vq=0)[-1]
    place = next(i for i, e in enumerate(log.events) if e is last)
    reset = log.one("dev_status", status=0, life=None)
    ours = {"interrupt", "callback", "used", "blk_done"}
    gone = [e for e in log.events[place:] if e["kind"] in ours and e.get("vq") == 0]
    log.drop([last, *gone])
    assert any(e is reset for e in log.events)


case("NU-DE-05", "DX-15")(never_interrupts)

case("NU-DE-03", clean=like(declined=1 << bits.EVENT_IDX))(never_interrupts)


def interrupts_though_suppressed(log: Log) -> None:
    """The driver suppresses interrupts and polls; they keep coming."""
    for event in log.of("callback", vq=0)[-16:]:
        mode = event["event_idx"]
        event |= {"used_event": (event["used_idx"] + 999) % 65536, "avail_flags": int(not mode)}


case("NU-DE-06")(interrupts_though_suppressed)

case("NU-DE-02", clean=like(declined=1 << bits.EVENT_IDX))(interrupts_though_suppressed)
