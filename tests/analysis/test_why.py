# SPDX-License-Identifier: GPL-2.0-only
"""Which queues stand still, and why: `pykit why` and `pykit show`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pykit import analysis
from pykit.analysis.why import explain
from pykit.errors import Exit
from pykit.trace.capture import QmpAnswer
from tests.spec.cases.base import later, like
from tests.spec.cases.liveness import forgets_a_request, reclaimed
from tests.spec.machine import run
from tests.spec.test_core import ASLEEP, HELD
from tests.trace.conftest import unpack


@pytest.mark.parametrize(
    ("name", "sentence", "rows", "others"),
    [("one-chain-a-kick", ASLEEP, 3, 1), ("attach-stuck", HELD, 0, 0)],
)
def test_stuck(tmp_path: Path, name: str, sentence: str, rows: int, others: int) -> None:
    run_dir = unpack(f"{name}.tar.xz", tmp_path)
    found = analysis.why(run_dir)
    assert found.exit_code == Exit.FAILED
    stuck = [queue for queue in found.queues if queue.stuck]
    assert [queue.sentence for queue in stuck] == [sentence]
    assert len(stuck[0].evidence) == rows
    assert len(found.queues) == 1 + others
    assert next(found.lines()) == sentence
    shown = analysis.show(run_dir, queue=None, request=None)
    assert shown.as_dict()["stuck"] == [sentence]


def test_idle() -> None:
    found = explain(run().build())
    assert (found.exit_code, list(found.lines())) == (
        Exit.OK,
        ["no queue is in use where the trace ends"],
    )


def test_at_work() -> None:
    log = like(cut=True, queues=1)()
    found = explain(log.build())
    assert found.exit_code == Exit.OK
    assert "under way" in found.queues[0].sentence
    later(log)
    assert explain(log.build()).exit_code == Exit.FAILED
    log.lost = 1
    found = explain(log.build())
    assert found.exit_code == Exit.SKIP
    assert "1 events were lost" in list(found.lines())[-1]


def answer(query: str, device: str, **found: Any) -> dict[str, Any]:
    return {
        "at": "end", "device": device, "query": query, "queue": None, "time_ns": 1, "return": found,
    }  # fmt: skip


RETURNED = {"last-avail-idx": 20, "shadow-avail-idx": 20, "used-idx": 20, "signalled-used": 20}
MASKED = {"kind": "msi-x", "masked": False, "masked-vectors": [1], "pending-vectors": [1]}


@pytest.mark.parametrize(
    ("more", "turn", "words"),
    [
        (answer("query-status", "", running=False, status="io-error"), "host", "(QEMU's state: io"),
        (answer("back-end", "vd", connected=False), "device", "has closed its socket"),
        (answer("x-query-virtio-status", "vd", status={"statuses": []}, broken=True), "driver",
         "needs a reset"),
        (answer("interrupts", "vd", **MASKED), "driver", "vector 1 is pending, and masked in"),
        (answer("interrupts", "vd", kind="intx", masked=True, pending=True), "driver",
         "its INTx interrupt is pending, and disabled"),
    ],
)  # fmt: skip
def test_what_keeps_a_queue(tmp_path: Path, more: dict[str, Any], turn: str, words: str) -> None:
    path = unpack("attach-stuck.tar.xz", tmp_path) / "capture" / "qmp.json"
    answers = []
    for entry in json.loads(path.read_text()):
        answers.append(entry)
        if entry["queue"] is not None:
            # What the device held is back: the interrupt is what is missing.
            entry["return"] |= {**RETURNED, "inuse": 0}
            memory = {"avail-idx": 20, "used-event": 19}
            answers.append({**entry, "query": "ring-memory", "return": memory})
    path.write_text(json.dumps([*answers, more]))
    found = analysis.why(path.parent.parent)
    assert found.exit_code == Exit.FAILED
    (queue,) = found.queues
    assert (queue.found, queue.turn) == ("stuck", turn)
    assert words in queue.sentence
    assert bool(found.broken) == (more["query"] != "interrupts")


def test_a_request_forgotten_at_a_reset() -> None:
    log = reclaimed()
    assert not any(queue.stuck for queue in explain(log.build()).queues)
    forgets_a_request(log)
    found = explain(log.build())
    (queue,) = (queue for queue in found.queues if queue.stuck)
    assert "neither answered nor taken back" in queue.sentence
    assert queue.turn == "driver"
    assert len(queue.evidence) == 2
    assert found.exit_code == Exit.FAILED


@pytest.mark.parametrize(
    ("begun", "found", "words"),
    [
        (False, "stuck", "with 2 requests not returned, and the device was not set up again"),
        (True, "unknown", "of which 0 were made available again"),
    ],
)
def test_requests_lost_at_a_reset(tmp_path: Path, begun: bool, found: str, words: str) -> None:
    capture = unpack("attach-reset.tar.xz", tmp_path) / "capture"
    log = capture / "qemu.log"
    lines = log.read_text().splitlines()
    *_, reset = (line for line in lines if "virtio_set_status" in line)
    if begun:
        lines.append(f"{reset.partition(' val ')[0]} val 15")
        answers = json.loads((capture / "qmp.json").read_text())
        begin, *_, end = (e for e in answers if e["query"] == "x-query-virtio-status")
        end["return"] = begin["return"]
        (capture / "qmp.json").write_text(json.dumps(answers))
    log.write_text("\n".join(lines) + "\n")
    why = analysis.why(capture.parent)
    assert bool(why.broken) is not begun
    (queue,) = why.queues
    assert (queue.found, queue.turn) == (found, "driver")
    assert words in queue.sentence
    assert why.exit_code == (Exit.SKIP if begun else Exit.FAILED)


def test_a_full_ring() -> None:
    log = like(cut=True, queues=1)()
    later(log)
    log.of("add")[-1]["num_free"] = 0
    (queue,) = (queue for queue in explain(log.build()).queues if queue.stuck)
    assert queue.sentence.endswith("the ring is full")


def test_an_entry_in_the_ring_of_a_guest_that_hangs() -> None:
    """The driver looks at the ring when it is interrupted: only the memory has what is back."""
    log = like(cut=True, queues=1)()
    log.drop([e for e in log.events if e["source"] in ("qemu", "vhost")])
    later(log)
    (before,) = (queue for queue in explain(log.build()).queues if queue.stuck)
    assert "sent no interrupt" not in before.sentence
    back = log.of("used", vq=0)[-1]["used_idx"] + 1
    log.qmp = [QmpAnswer("hang", "vd0", "ring-memory", 0, {"used-index": back}, 1)]
    (queue,) = (queue for queue in explain(log.build()).queues if queue.stuck)
    assert queue.turn == "device"
    assert f"it sent no interrupt that was asked for (used index {back}, " in queue.sentence
