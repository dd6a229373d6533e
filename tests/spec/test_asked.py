# SPDX-License-Identifier: GPL-2.0-only
"""Two looks by QMP at a queue that does not move: whose turn it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pykit.spec.standing import standstills
from pykit.spec.view import View
from pykit.trace import load
from tests.trace.conftest import unpack

ALL_BACK = {"last-avail-idx": 20, "shadow-avail-idx": 20, "used-idx": 20, "inuse": 0}


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
