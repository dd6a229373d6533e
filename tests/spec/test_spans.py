# SPDX-License-Identifier: GPL-2.0-only
"""An observer that comes and goes: events that it did not trace decide nothing.

A machine that keeps to the specification runs from beginning to end; the observer's events
are cut out of its log where it was not there.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from pykit import spec
from pykit.spec import bits
from pykit.spec.arrays import WRAP
from pykit.trace.kinds import BROKEN, JOINED, LEFT, SET_UP, UNBROKEN
from tests.spec import cases
from tests.spec.log import Event, Log
from tests.spec.machine import run

#: Events before which no operation on any queue is traced by half.
BETWEEN = ("add", "kick", "used", "callback", "interrupt", "notify")
SPAN = 40


def watched(log: Log, *spans: tuple[int, int]) -> Log:
    """Keep the driver's events in these spans, and mark where they begin and end.

    They are given in events of BETWEEN; None of the log's beginning or end is joined or left.
    """
    marks = log.of(*BETWEEN)
    inside = [(marks[low] if low else None, marks[high] if high else None) for low, high in spans]
    seen: dict[int, Event] = {}
    events: list[Event] = []
    watching = any(low is None for low, _ in inside)
    for event in log.events:
        mine = event["source"] == "driver"
        if any(event is high for _, high in inside):
            events += [place(queue, event, op=LEFT) for queue in seen.values()]
            watching = False
        if any(event is low for low, _ in inside):
            base = {name: event[name] for name in ("source", "ts", "cpu", "pid", "dev", "life")}
            events.append({**base, "kind": "driver", "id": 2, "err": 0, "stage": 7})
            events.append(base | {**last_features(log), "stage": 2})
            events += [place(queue, event, op=JOINED) for queue in seen.values()]
            watching = True
        if mine and event["kind"] == "queue" and event["op"] == SET_UP:
            seen[event["vq"]] = dict(event)
        if mine and event["kind"] == "add":
            seen[event["vq"]]["avail_idx"] = event["avail_idx"]
        if mine and event["kind"] in ("used", "callback"):
            seen[event["vq"]]["used_idx"] = event["used_idx"]
        if watching or not mine:
            events.append(event)
    log.events = events
    log.renumber()
    return log


def place(queue: Event, event: Event, **fields: Any) -> Event:
    """A queue's event, where another one stands."""
    when = {name: event[name] for name in ("ts", "cpu", "pid", "dev", "life")}
    return queue | when | fields


def last_features(log: Log) -> Event:
    latest = log.of("features")[-1]
    return {name: latest[name] for name in ("kind", "offered", "driver", "acked")}


MACHINES: dict[str, dict[str, Any]] = {
    "split": {},
    "flags": {"declined": 1 << bits.EVENT_IDX},
    "wraps": {"start": 0xFFF0},
    "in order": {"in_order": True},
    "packed": {"packed": True},
    "pulled": {"pulled": True},
    "cut": {"cut": True},
}


@pytest.mark.parametrize("kind", MACHINES)
def test_no_span_is_held_against_anybody(kind: str) -> None:
    chance = random.Random(kind)
    for seed in range(8):
        log = run(seed=seed, requests=60, **MACHINES[kind])
        whole = spec.check(log.build())
        count = len(log.of(*BETWEEN))
        ends = sorted(chance.sample(range(1, count), 4))
        spans = [(0, ends[0]), (ends[1], ends[2]), (ends[3], 0)][chance.randrange(2) :]
        verdicts = spec.check(watched(log, *spans).build())
        assert set(verdicts.having("fail")) <= set(whole.having("fail")), (seed, spans)
        # No event was judged that was not there; but the features are traced again at a join.
        more = [e.rule for e in verdicts.rules if e.checked > whole.of(e.rule.id).checked]
        assert [rule.id for rule in more if "driver:features" not in rule.needs] == [], seed


def test_a_span_is_judged() -> None:
    log = watched(run(), (60, 0))
    cases.split.goes_back(log)
    assert "SA-DR-01" in spec.check(log.build()).having("fail")


def test_who_left_is_not_compared_with_the_other_side() -> None:
    marks = len(run().of(*BETWEEN))
    verdicts = spec.check(watched(run(), (0, marks // 2)).build())
    for name in ("XC-02", "XC-03", "NU-DE-05", "DX-15"):
        assert verdicts.of(name).checked == 0, name


@pytest.mark.parametrize(("places", "verdict"), [(2, "pass"), (6, "fail")])
def test_a_guest_goes_on_while_qmp_answers(places: int, verdict: str) -> None:
    """QMP's answer is of a moment between the one before and its own time."""
    log = run(seed=2, lives=1)
    marks = log.of("dev_pop", "dev_fill", vq=0)
    first, moment = marks[-5], marks[: len(marks) - places]
    popped, filled = (sum(e["kind"] == kind for e in moment) for kind in ("dev_pop", "dev_fill"))
    state = {"last-avail-idx": popped, "used-idx": filled, "inuse": popped - filled}
    queue = log.one("queue", vq=0, op=SET_UP)
    state = {name: (index + queue["avail_idx"]) % WRAP for name, index in state.items()}
    log.qmp[0] = replace(log.qmp[0], time_ns=first["ts"])
    log.qmp[1] = replace(log.qmp[1], answer=log.qmp[1].answer | state | {"inuse": 0})
    assert spec.check(log.build()).of("XC-02").verdict == verdict


def test_nothing_is_known_of_what_was_outstanding_before() -> None:
    log = watched(run(seed=3), (0, 40), (100, 0))
    assert log.of("queue", op=JOINED)
    verdicts = spec.check(log.build())
    assert [verdicts.of(name).checked for name in ("CL-DR-02", "DX-28")] == [0, 0]


def broken(log: Log, *ops: int) -> None:
    """The core declares all queues broken before the reset (and mends them)."""
    reset = log.one("status", op=2)
    for queue in log.of("queue", op=SET_UP):
        for op in ops:
            log.insert(reset, after=False, **{**queue, "op": op})


def emptied(log: Log) -> int:
    """The driver takes back all outstanding chains before each queue is deleted."""
    count = 0
    for queue in log.of("queue", op=1):
        vq = queue["vq"]
        left = len(log.of("add", vq=vq)) - len(log.of("used", vq=vq))
        for _ in range(left):
            log.insert(queue, "detach", after=False, num_free=16, slots=1)
        count += left
    return count


@pytest.mark.parametrize("ops", [(BROKEN,), (BROKEN, UNBROKEN)])
def test_breaking_and_emptying_say_nothing_new(ops: tuple[int, ...]) -> None:
    log = run(pulled=True, seed=2)
    before = spec.check(log.build())
    broken(log, *ops)
    count = emptied(log)
    assert count
    after = spec.check(log.build())
    assert after.having("fail") == ()
    looked = {e.rule.id: e.checked for e in before.rules}
    # Each chain that is taken back counts.
    looked["CL-DR-02"] += count
    assert {e.rule.id: e.checked for e in after.rules} == looked


def test_what_was_taken_back_was_not_returned_by_the_device() -> None:
    """Queues that are deleted without a reset are not excused by having been emptied."""
    log = run(pulled=True, seed=2)
    log.drop(log.of("status", op=2))
    emptied(log)
    assert {"CL-DR-02", "DX-28"} <= set(spec.check(log.build()).having("fail"))
