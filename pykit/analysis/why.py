# SPDX-License-Identifier: GPL-2.0-only
"""Explain why a queue stands still: one sentence a queue, with the events that show it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pykit.analysis.evidence import slice_of
from pykit.errors import Exit
from pykit.run import attach
from pykit.spec.asked import AskedQueue, asked_queues
from pykit.spec.circumstances import circumstances, masked_interrupt
from pykit.spec.core import standing_still, still_limit
from pykit.spec.logged_resets import reset_queues
from pykit.spec.reclaimed import interrupted_queues
from pykit.spec.standing import standstills
from pykit.spec.standstill import Standstill, Turn, name_of
from pykit.spec.view import View
from pykit.text import counted
from pykit.trace import Events, load
from pykit.trace.capture import STATUS_QUERY
from pykit.trace.kinds import DELETED, LEFT

_NS = 1_000_000_000
#: Events that are shown of a queue that stands still.
_EVIDENCE = 8
#: Of the time that a running guest is observed, so much a queue has to stand still.
_SHARE = 0.8

Place = tuple[int, int]
Found = Literal["stuck", "moves", "idle", "unknown"]


@dataclass(frozen=True)
class QueueState:
    """A queue that is in use where a trace ends.

    Attributes:
        dev, vq: the queue; ``vq`` is -1 for all of a device whose queues do not show.
        found: it stands still, it moves, nothing waits in it, or that does not show.
        sentence: what is to be said of it; of one that stands still whose turn it is and why.
        turn: the side that has to act, of one that stands still, or would have to.
        since_ns: for how long one that stands still has not moved.
        evidence: events that show it.
    """

    dev: int
    vq: int
    found: Found
    sentence: str
    turn: Turn | None = None
    since_ns: int | None = None
    evidence: tuple[dict[str, Any], ...] = ()

    @property
    def stuck(self) -> bool:
        """Return whether it stands still."""
        return self.found == "stuck"


@dataclass(frozen=True)
class Why:
    """What is to be said of all queues at the end of a trace.

    Attributes:
        queues: those in use.
        broken: sentences on a guest that is stopped, and devices that need a reset, were reset by
            another than their driver, or have lost their back-end.
        lost: events that were lost.
        hang: where the guest hangs, how that was found.
    """

    queues: tuple[QueueState, ...]
    broken: tuple[str, ...]
    lost: int
    hang: str = ""

    @property
    def exit_code(self) -> Exit:
        """Return FAILED where a queue is stuck, SKIP where too little was seen to say so."""
        if self.broken or any(queue.stuck for queue in self.queues):
            return Exit.FAILED
        if self.lost or self.hang or any(queue.found == "unknown" for queue in self.queues):
            return Exit.SKIP
        return Exit.OK

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data."""
        queues = [vars(queue) for queue in self.queues]
        return {"lost": self.lost, "broken": list(self.broken), "hang": self.hang, "queues": queues}

    def lines(self) -> Iterator[str]:
        """Yield the text: stuck queues first."""
        yield from self.broken
        for queue in sorted(self.queues, key=lambda queue: not queue.stuck):
            yield queue.sentence
            if queue.evidence:
                yield from (f"     {line}" for line in slice_of(queue.evidence).lines())
        if not self.queues:
            yield "no queue is in use where the trace ends"
        if self.hang and self.exit_code == Exit.SKIP:
            yield f"the guest hangs, and no queue shows why: {self.hang}"
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
        return explain(load(out / "capture"))


def explain(events: Events, limit_ns: int | None = None) -> Why:
    """Explain the queues of loaded events; ``limit_ns`` is for how long one has to stand still.

    Without it that is most of the time for which a guest was observed that ran already; see
    ``standing_still`` for others.
    """
    view = View(events)
    if limit_ns is None and (observed := _observed_ns(events)) is not None:
        limit_ns = int(_SHARE * observed)
    stuck = {(entry.dev, entry.vq) for entry in standing_still(view, limit_ns)}
    known: dict[Place, QueueState] = {}
    for entry in standstills(view):
        place = (entry.dev, entry.vq)
        known[place] = _stuck(view, entry) if place in stuck else _waits(entry)
    for state in (*_reset_queues(view), *_forgotten(view, limit_ns)):
        if (there := known.get((state.dev, state.vq))) is None or not there.stuck:
            known[state.dev, state.vq] = state
    for state in _others(view):
        if state.vq >= 0 or all(dev != state.dev for dev, _ in known):
            known.setdefault((state.dev, state.vq), state)
    queues = tuple(known[place] for place in sorted(known))
    ended = events.capture.outcome
    hang = ended.message if ended.kind == "hang" else ""
    return Why(queues, tuple(_broken(view)), events.lost, hang)


def _observed_ns(events: Events) -> int | None:
    """Return for how long a guest was observed that ran already; None for any other."""
    times = [(answer.at == "begin", answer.time_ns or 0) for answer in events.capture.qmp]
    first = [time for begin, time in times if begin]
    last = [time for begin, time in times if not begin]
    return max(last) - max(first) if first and last else None


def _broken(view: View) -> Iterator[str]:
    for found in circumstances(view):
        where = "" if found.dev is None or found.turn == "driver" else name_of(view, found.dev)
        yield f"{where}: {found.words}" if where else found.words


def _stuck(view: View, entry: Standstill) -> QueueState:
    rows = sorted(set(entry.rows))[:_EVIDENCE]
    evidence = tuple(view.events.frames.rows_as_dicts(rows))
    entry = _explained(view, entry)
    return QueueState(entry.dev, entry.vq, "stuck", entry.sentence, entry.turn, entry.ns, evidence)


def _explained(view: View, entry: Standstill) -> Standstill:
    """Return a standstill with what keeps the side from going on whose turn it seems to be."""
    if entry.state in ("unsignalled", "uncollected") and (
        words := masked_interrupt(view, entry.dev)
    ):
        entry = replace(entry, turn="driver", fact=f"{words}; {entry.fact}")
    if _full(view, entry):
        entry = replace(entry, fact=f"{entry.fact}; the ring is full")
    for found in circumstances(view):
        if found.dev in (None, entry.dev):
            entry = replace(entry, turn=found.turn, fact=f"{found.words}; {entry.fact}")
    return entry


def _full(view: View, entry: Standstill) -> bool:
    """Return whether a queue that stands still has no room for one more chain."""
    added = view.of("add", "add_failed").filter(dev=entry.dev, vq=entry.vq)
    if added.height:
        last = added.sort("row").row(-1, named=True)
        return bool(last["num_free"] == 0 or last["kind"] == "add_failed")
    return any(
        queue.full for queue in asked_queues(view) if (queue.dev, queue.vq) == (entry.dev, entry.vq)
    )


def _waits(entry: Standstill) -> QueueState:
    where = f"queue {entry.vq} of {entry.device}"
    if not entry.requests and entry.turn == "device":
        text = f"{where} is idle: {entry.count} chains wait for what the device has to say"
        return QueueState(entry.dev, entry.vq, "idle", text)
    text = f"{where} is at work: {entry.count} under way, moved {entry.ns / _NS:.1f} s before"
    return QueueState(entry.dev, entry.vq, "moves", text)


def _others(view: View) -> Iterator[QueueState]:
    """Yield the queues that are in use and have no chain that is known to wait."""
    rings = view.rings
    queues = rings.of("queue")
    gone = set(queues["q"][np.isin(queues["op"], (DELETED, LEFT))].tolist())
    for q, (dev, _, vq) in enumerate(rings.queue):
        if q not in gone:
            yield _idle(view, dev, vq, int(np.count_nonzero(view.adds.q == q)))
    traced = {dev for dev, _, _ in rings.queue}
    logged = view.of("dev_pop").group_by("dev", "vq").len().drop_nulls().sort("dev", "vq")
    counts = {(dev, vq): count for dev, vq, count in logged.iter_rows() if dev not in traced}
    asked = {(queue.dev, queue.vq): queue for queue in asked_queues(view)}
    for dev, vq in sorted(counts.keys() | asked.keys()):
        if dev not in traced:
            yield _outside(view, (dev, vq), counts.get((dev, vq), 0), asked.get((dev, vq)))
    known = traced | {dev for dev, _ in asked} | {dev for dev, _ in counts}
    last = {a.device: a for a in view.events.capture.qmp if a.query == STATUS_QUERY}
    for name, answer in last.items():
        dev = view.events.devices.get(name, -1)
        if dev not in known and "DRIVER_OK" in str(answer.answer):
            text = f"{name_of(view, dev)} is in use, and its queues do not show from outside"
            yield QueueState(dev, -1, "unknown", text)


def _outside(view: View, place: Place, count: int, asked: AskedQueue | None) -> QueueState:
    """Return what is known of a queue whose driver is not traced."""
    where = f"queue {place[1]} of {name_of(view, place[0])}"
    if asked is not None and asked.moved and not count:
        return QueueState(*place, "moves", f"{where} is at work: its indices moved meanwhile")
    if asked is not None and asked.requests and (open_ := asked.undecided):
        text = f"{where} does not move, and {open_.words}"
        if open_.turn != "unknown":
            text += f"; if something waits there, it is the {open_.turn}'s turn"
        return QueueState(*place, "unknown", text, open_.turn)
    return _idle(view, *place, count)


def _reset_queues(view: View) -> Iterator[QueueState]:
    """Yield queues whose driver is not traced, and whose device was reset with requests."""
    for queue in reset_queues(view):
        if queue.again >= queue.count:
            continue
        text = (
            f"queue {queue.vq} of {name_of(view, queue.dev)} was reset {queue.ns / _NS:.1f} s "
            f"before the end, with {counted(queue.count, 'request')} not returned"
        )
        if queue.in_use:
            found: Found = "unknown"
            text += (
                f", of which {queue.again} were made available again: if the driver did not fail "
                "the others, they are lost, and it is the driver's turn"
            )
        else:
            found = "stuck"
            text += ", and the device was not set up again: the driver's turn"
        rows = tuple(view.events.frames.rows_as_dicts(queue.rows))
        yield QueueState(queue.dev, queue.vq, found, text, "driver", queue.ns, rows)


def _forgotten(view: View, limit_ns: int | None) -> Iterator[QueueState]:
    """Yield traced queues whose driver forgot requests at a reset, or where the queue broke."""
    for queue in interrupted_queues(view):
        dev, _, vq = view.rings.queue[queue.q]
        reset = view.events.base["time"][queue.rows[0]] or 0
        ns = max(view.end[0] - int(reset), 0)
        if not queue.forgotten or (queue.open and ns < still_limit(view, limit_ns)):
            continue
        text = f"{queue.sentence} {ns / _NS:.1f} s after a reset or a break: the driver's turn"
        rows = tuple(view.events.frames.rows_as_dicts(queue.rows))
        yield QueueState(dev, vq, "stuck", text, "driver", ns, rows)


def _idle(view: View, dev: int, vq: int, count: int) -> QueueState:
    where = f"queue {vq} of {name_of(view, dev)}"
    text = f"{where} is idle: no chain was made available meanwhile"
    if count:
        text = f"{where} is idle: {count:,} chains were made available, all are back"
    return QueueState(dev, vq, "idle", text)
