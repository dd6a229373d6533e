# SPDX-License-Identifier: GPL-2.0-only
"""Two looks by QMP at a queue that does not move: whose turn it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pykit.spec.asked import AskedQueue
from pykit.spec.standing import standstills
from pykit.spec.view import View
from pykit.trace import load
from tests.trace.conftest import unpack

ALL_BACK = {"last-avail-idx": 20, "shadow-avail-idx": 20, "used-idx": 20, "signalled-used": 20,
            "inuse": 0}  # fmt: skip


def states(folder: Path, indices: dict[str, int], memory: dict[str, int]) -> list[tuple[str, str]]:
    """State and turn of the queues of the capture attach-stuck with other indices."""
    capture = unpack("attach-stuck.tar.xz", folder) / "capture"
    answers = json.loads((capture / "qmp.json").read_text())
    changed = []
    for answer in answers:
        changed.append(answer)
        if answer["queue"] is not None:
            answer["return"] |= indices
            changed.append({**answer, "query": "ring-memory", "return": memory})
    (capture / "qmp.json").write_text(json.dumps(changed))
    return [(entry.state, entry.turn) for entry in standstills(View(load(capture)))]


@pytest.mark.parametrize(
    ("indices", "memory", "found"),
    [
        ({}, {"avail-idx": 20, "used-event": 19}, [("held", "device")]),
        (ALL_BACK, {"avail-idx": 20, "used-event": 20}, []),
        (ALL_BACK, {"avail-idx": 20, "used-event": 19}, [("uncollected", "driver")]),
        # A driver that polls never asked for an interrupt.
        (ALL_BACK, {"avail-idx": 20, "used-event": 30000}, []),
        (ALL_BACK, {"avail-idx": 21, "used-event": 20}, [("untaken", "unknown")]),
        (ALL_BACK | {"shadow-avail-idx": 22}, {"avail-idx": 22, "used-event": 20},
         [("untaken", "device")]),
    ],
)  # fmt: skip
def test_whose_turn(
    tmp_path: Path, indices: dict[str, int], memory: dict[str, int], found: list[tuple[str, str]]
) -> None:
    assert states(tmp_path, indices, memory) == found


def at_rest(event_idx: bool = True, **indices: int) -> AskedQueue:
    """A queue of eight entries whose indices stand at both looks."""
    named = {name.replace("_", "-"): value for name, value in indices.items()}
    return AskedQueue(0, 0, named, 8, event_idx, 10, requests=True)


OWN = {"last_avail_idx": 20, "used_idx": 20, "inuse": 0}
OTHERS = {"avail_idx": 21, "used_index": 20, "used_event": 20}
PACKED = {
    "last_avail_idx": 3, "used_idx": 3, "inuse": 0, "device_event": 1 << 15 | 3, "device_flags": 2,
    "driver_event": 1 << 15 | 3, "driver_flags": 2,
}  # fmt: skip
#: Flags of descriptors in the first round: nothing there, made available, used.
FREE, OUT, BACK = ({f"{s}_place_flags": flags for s in ("driver", "device")}
                   for flags in (0, 1 << 7, 1 << 15 | 1 << 7))  # fmt: skip
#: The same, which another process serves: it has no indices.
OTHERS_PACKED = {
    name: value for name, value in PACKED.items() if "_event" in name or "_flags" in name
}


@pytest.mark.parametrize(
    ("queue", "state", "turn"),
    [
        # QEMU's own device, by what both sides wrote to the ring.
        (at_rest(**OWN, avail_idx=21, avail_event=20), "published", "driver"),
        (at_rest(**OWN, avail_idx=21, avail_event=19), "asleep", "device"),
        (at_rest(**OWN, avail_idx=22, avail_event=21), "untaken", "unknown"),
        (at_rest(event_idx=False, **OWN, avail_idx=21, used_flags=1), "asleep", "device"),
        (at_rest(event_idx=False, **OWN, avail_idx=21, used_flags=0), "untaken", "unknown"),
        (at_rest(**OWN | {"last_avail_idx": 21}, avail_idx=21), "held", "device"),
        (at_rest(**OWN, avail_idx=20, used_event=19, signalled_used=19), "unsignalled", "device"),
        (at_rest(**OWN, avail_idx=20, used_event=19, signalled_used=20), "uncollected", "driver"),
        (at_rest(**OWN, avail_idx=20, used_event=19), "uncollected", "unknown"),
        # A device of another process, by memory alone.
        (at_rest(**OTHERS, avail_event=20), "published", "driver"),
        (at_rest(**OTHERS, avail_event=21), "held", "device"),
        (at_rest(**OTHERS, avail_event=19), "asleep", "device"),
        (at_rest(event_idx=False, **OTHERS, used_flags=1), "held", "device"),
        (at_rest(event_idx=False, **OTHERS, used_flags=0), "untaken", "unknown"),
        (at_rest(avail_idx=20, used_index=20, used_event=19), "uncollected", "unknown"),
        (at_rest(**PACKED, **OUT), "published", "driver"),
        (at_rest(**PACKED | {"driver_event": 1 << 15 | 2}, **BACK, signalled_used=3),
         "uncollected", "driver"),
        (at_rest(**PACKED | {"driver_event": 1 << 15 | 2}, **BACK, signalled_used=2),
         "unsignalled", "device"),
        (at_rest(**PACKED | {"device_event": 3}, **OUT), "held", "device"),
        (at_rest(**PACKED | {"device_flags": 0}, **OUT), "untaken", "unknown"),
        (at_rest(**OTHERS_PACKED, **OUT), "published", "driver"),
        (at_rest(**OTHERS_PACKED, **BACK), "uncollected", "unknown"),
        (at_rest(**OTHERS_PACKED | {"device_event": 1 << 15 | 4}, **OUT), "held", "device"),
        (at_rest(**OTHERS_PACKED | {"device_event": 3}, **OUT), "held", "device"),
        (at_rest(**OTHERS_PACKED | {"device_flags": 1}, **OUT), "held", "device"),
        (at_rest(**OTHERS_PACKED | {"device_flags": 0}, **OUT), "untaken", "unknown"),
    ],
)  # fmt: skip
def test_indices(queue: AskedQueue, state: str, turn: str) -> None:
    standing = queue.standing()
    assert standing is not None
    assert standing[:2] == (state, turn)
    assert queue.undecided is None


@pytest.mark.parametrize(
    ("queue", "known"),
    [
        (at_rest(**OWN, avail_idx=20, used_event=20), True),
        (at_rest(**OTHERS | {"avail_idx": 20}), True),
        (at_rest(**PACKED, **FREE), True),
        (at_rest(**OTHERS_PACKED, **FREE), True),
        # A queue that was never used.
        (at_rest(event_idx=False, last_avail_idx=0, used_idx=0, inuse=0, avail_idx=0,
                 used_event=0), True),
        # A driver that polls, and one that never took anything, write the same.
        (at_rest(last_avail_idx=4, used_idx=4, inuse=0, avail_idx=4, used_event=0), False),
        (at_rest(event_idx=False, **OWN, avail_idx=20, used_event=0), False),
        (at_rest(**PACKED | {"driver_flags": 1}, **FREE), False),
        (at_rest(**PACKED | {"driver_flags": 0}, **FREE), False),
        (at_rest(**PACKED | {"device_flags": 0}, **FREE), False),
        (at_rest(**OWN), False),
    ],
)  # fmt: skip
def test_what_nothing_waits_in(queue: AskedQueue, known: bool) -> None:
    assert queue.standing() is None
    assert (queue.undecided is None) is known


@pytest.mark.parametrize(
    "queue",
    [
        at_rest(**OWN, avail_idx=20, used_event=25),
        at_rest(avail_idx=20, used_index=20, used_event=25),
        at_rest(**PACKED | {"driver_event": 1 << 15 | 5}, **FREE),
        at_rest(**OTHERS_PACKED | {"driver_event": 1 << 15 | 5}, **FREE),
        at_rest(**OTHERS_PACKED | {"driver_event": 1 << 15 | 9}),
    ],
)
def test_a_driver_that_waits_for_what_does_not_come(queue: AskedQueue) -> None:
    """Whether it has taken what is back is its own affair; the device rightly does nothing."""
    assert queue.standing() is None
    assert queue.undecided is not None
    assert queue.undecided.turn == "driver"


def test_a_full_ring() -> None:
    assert at_rest(avail_idx=28, used_index=20, used_event=20, avail_event=28).full
    assert not at_rest(**OTHERS, avail_event=21).full
