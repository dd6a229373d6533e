# SPDX-License-Identifier: GPL-2.0-only
"""Explain why a queue stands still: one sentence a queue, with the events that show it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pykit.analysis.evidence import slice_of
from pykit.errors import Exit
from pykit.run import attach
from pykit.spec.core import standing_still
from pykit.spec.standing import standstills
from pykit.spec.standstill import Standstill, name_of
from pykit.spec.view import View
from pykit.trace import Events, load
from pykit.trace.capture import QUEUE_QUERY
from pykit.trace.kinds import DELETED, LEFT

_NS = 1_000_000_000
#: Events that are shown of a queue that stands still.
_EVIDENCE = 8
#: Of the time that a running guest is observed, so much a queue has to stand still.
_SHARE = 0.8

Place = tuple[int, int]


@dataclass(frozen=True)
class QueueState:
    """A queue that is in use where a trace ends.

    Attributes:
        dev, vq: the queue.
        stuck: it stands still, and the sentence names the side whose turn it is.
        sentence: what is to be said of it.
        evidence: events that show it.
    """

    dev: int
    vq: int
    stuck: bool
    sentence: str
    evidence: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Why:
    """What is to be said of all queues at the end of a trace."""

    queues: tuple[QueueState, ...]
    lost: int

    @property
    def exit_code(self) -> Exit:
        """Return FAILED where a queue is stuck, SKIP where too little was seen to say so."""
        if any(queue.stuck for queue in self.queues):
            return Exit.FAILED
        return Exit.SKIP if self.lost else Exit.OK

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data."""
        return {"lost": self.lost, "queues": [vars(queue) for queue in self.queues]}

    def lines(self) -> Iterator[str]:
        """Yield the text: stuck queues first."""
        for queue in sorted(self.queues, key=lambda queue: not queue.stuck):
            yield queue.sentence
            if queue.evidence:
                yield from (f"     {line}" for line in slice_of(queue.evidence).lines())
        if not self.queues:
            yield "no queue is in use where the trace ends"
        if self.lost:
            yield f"{self.lost:,} events were lost: what seems to wait may be back"


def why(capture: Path) -> Why:
    """Explain the queues of a capture; raises CaptureError where there is none."""
    return explain(load(capture))


def why_running(qmp: Path, seconds: float, say: Callable[[str], None]) -> Why:
    """Observe a running QEMU by its QMP socket for some seconds, and explain its queues.

    Raises UsageError, InfraError as ``attach`` does.
    """
    with tempfile.TemporaryDirectory(prefix="pykit-why-") as folder:
        out = Path(folder) / "run"
        attach(qmp, out=out, seconds=seconds, progress=say)
        return explain(load(out / "capture"), limit_ns=int(seconds * _SHARE * _NS))


def explain(events: Events, limit_ns: int | None = None) -> Why:
    """Explain the queues of loaded events; see ``standing_still`` for the default limit."""
    view = View(events)
    stuck = set(standing_still(view, limit_ns))
    known: dict[Place, QueueState] = {}
    for entry in standstills(view):
        known[entry.dev, entry.vq] = _state(view, entry, stuck=entry in stuck)
    for place, sentence in _others(view):
        known.setdefault(place, QueueState(*place, stuck=False, sentence=sentence))
    return Why(tuple(known[place] for place in sorted(known)), events.lost)


def _state(view: View, entry: Standstill, *, stuck: bool) -> QueueState:
    if stuck:
        rows = sorted(set(entry.rows))[:_EVIDENCE]
        evidence = tuple(view.events.frames.rows_as_dicts(rows))
        return QueueState(entry.dev, entry.vq, True, entry.sentence, evidence)
    where = f"queue {entry.vq} of {entry.device}"
    if not entry.requests and entry.turn == "device":
        text = f"{where} is idle: {entry.count} chains wait for what the device has to say"
    else:
        text = f"{where} is at work: {entry.count} under way, moved {entry.ns / _NS:.1f} s before"
    return QueueState(entry.dev, entry.vq, False, text)


def _others(view: View) -> Iterator[tuple[Place, str]]:
    """Yield the queues that are in use and have no chain that waits."""
    rings = view.rings
    queues = rings.of("queue")
    gone = set(queues["q"][np.isin(queues["op"], (DELETED, LEFT))].tolist())
    for q, (dev, _, vq) in enumerate(rings.queue):
        if q not in gone:
            count = int(np.count_nonzero(view.adds.q == q))
            yield (dev, vq), _idle(view, dev, vq, count)
    traced = {dev for dev, _, _ in rings.queue}
    logged = view.of("dev_pop").group_by("dev", "vq").len().drop_nulls().sort("dev", "vq")
    for dev, vq, count in logged.iter_rows():
        if dev not in traced:
            yield (dev, vq), _idle(view, dev, vq, count)
    for answer in view.events.capture.qmp:
        dev = view.events.devices.get(answer.device, -1)
        if answer.query == QUEUE_QUERY and answer.queue is not None and dev not in traced:
            yield (dev, answer.queue), _idle(view, dev, answer.queue, 0)


def _idle(view: View, dev: int, vq: int, count: int) -> str:
    where = f"queue {vq} of {name_of(view, dev)}"
    if not count:
        return f"{where} is idle: no chain was made available meanwhile"
    return f"{where} is idle: {count:,} chains were made available, all are back"
