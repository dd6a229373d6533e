# SPDX-License-Identifier: GPL-2.0-only
"""A batch: who is repeated alone, what a guest that dies takes with it, what is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import pytest

from pykit.guests import Outcome
from pykit.guests.channel import GuestEndedError
from pykit.matrix.execute import batch as module
from pykit.matrix.execute.batch import GuestBatch, run_batch
from pykit.matrix.execute.rundir import GuestOrigin
from pykit.matrix.execute.runnable import RunnableCell, runnable
from pykit.matrix.plan.cell import MatrixCell
from pykit.matrix.record import CellRecord, RuleResult

#: What becomes of a cell in company, alone, alone again …, by its name: a guest's end, or "fail".
FATES = {"good": ("clean", "clean")}


class FakeGuest:
    """Runs cells by their fates; one that did not end clean is not sound."""

    booted: ClassVar[list[list[str]]] = []

    def __init__(self, bundle: object, scenarios: list[Any]) -> None:
        self.names = [scenario.summary for scenario in scenarios]
        FakeGuest.booted.append(self.names)
        self.folder = Path("/nowhere")
        self.sound, self.ran = True, 0

    def __enter__(self) -> Self:
        if fate_of(self.names[0], self.names) == "never-booted":
            raise GuestEndedError("never-booted", "no word")
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, scenario: Any, out: Path, faults: dict[str, str]) -> Outcome:
        name = self.names[self.ran]
        self.ran += 1
        fate = fate_of(name, self.names)
        kind = "clean" if fate == "fail" else fate
        self.sound = kind == "clean"
        return Outcome(kind, fate, (), "7.2")


def fate_of(name: str, names: list[str]) -> str:
    """What becomes of a cell in the guest of these, which was booted last; the last fate stays."""
    return FATES[name][
        min(FakeGuest.booted.count([name]), len(FATES[name]) - 1) * (names == [name])
    ]


class Told:
    """An exchange that remembers."""

    def __init__(self, *done: str) -> None:
        self.known = set(done)
        self.records: list[CellRecord] = []
        self.begun: list[str] = []

    def done(self) -> set[str]:
        return self.known

    def begin(self, cell: str) -> None:
        self.begun.append(cell)

    def finish(self, record: CellRecord, run: Path | None) -> None:
        self.records.append(record)

    def of(self, name: str) -> CellRecord:
        (found,) = [r for r in self.records if r.cell == f"x/{name}"]
        return found


@pytest.fixture
def batch(monkeypatch: pytest.MonkeyPatch) -> Any:
    def judged(self: Any, outcome: Outcome, out: Path) -> CellRecord:
        rules = (
            RuleResult("A", "pass", 3, 0, ""),
            RuleResult("B", "fail" if outcome.message == "fail" else "pass", 3, 0, ""),
        )
        record = self._record(outcome.kind, outcome.message)
        return module._sealed(module.replace(record, rules=rules))

    monkeypatch.setattr(module, "SharedGuest", FakeGuest)
    monkeypatch.setattr(module._BegunRun, "judged", judged)
    FakeGuest.booted = []
    FATES.clear()

    def make(fates: dict[str, tuple[str, str]], *, isolate: bool = False) -> GuestBatch:
        FATES.update(fates)
        return GuestBatch(FakeBundle(), tuple(map(cell, fates)), isolate)

    return make


class FakeBundle:
    release = "6.12"


def cell(name: str) -> RunnableCell:
    made = runnable(MatrixCell(f"x/{name}", "x", "io", {}, (), ()))
    return module.replace(made, scenario=module.replace(made.scenario, summary=name))


def test_a_cell_that_cannot_share_boots_its_own_guest(
    monkeypatch: pytest.MonkeyPatch, batch: Any
) -> None:
    ends = ["qemu-died", "clean"]
    ran: list[str] = []

    def own(entry: RunnableCell, out: Path) -> tuple[Outcome, GuestOrigin]:
        ran.append(entry.cell.name)
        out.mkdir()
        kind: Any = ends[len(ran) - 1]
        return Outcome(kind, "", (), "7.2"), GuestOrigin("k", "6.99", "debian")

    monkeypatch.setattr(module, "run_in_own_guest", own)
    reported = Told()
    run_batch(module.replace(batch({"a": ("", "")}), bundle=None), reported)
    assert ran == ["x/a", "x/a"]
    assert (reported.of("a").status, reported.of("a").release, reported.of("a").alone) == (
        "held",
        "6.99",
        False,
    )
    assert FakeGuest.booted == []


def test_all_hold_in_one_guest(batch: Any) -> None:
    reported = Told()
    run_batch(batch({"a": ("clean", ""), "b": ("clean", "")}), reported)
    assert FakeGuest.booted == [["a", "b"]]
    assert [(r.cell, r.status, r.alone) for r in reported.records] == [
        ("x/a", "held", False),
        ("x/b", "held", False),
    ]


def test_who_fails_in_company_is_what_it_is_alone(batch: Any) -> None:
    reported = Told()
    run_batch(batch({"a": ("fail", "clean"), "b": ("clean", ""), "c": ("fail", "fail")}), reported)
    assert FakeGuest.booted == [["a", "b", "c"], ["a"], ["c"]]
    assert (reported.of("a").status, reported.of("a").alone) == ("held", True)
    assert (reported.of("b").status, reported.of("b").alone) == ("held", False)
    assert (reported.of("c").status, reported.of("c").alone) == ("failed", True)


@pytest.mark.parametrize("end", ["panic", "hang", "qemu-died", "splat", "workload-failed"])
def test_a_guest_that_dies_is_followed_by_another(batch: Any, end: str) -> None:
    reported = Told()
    run_batch(batch({"a": ("clean", ""), "b": (end, "clean"), "c": ("clean", "clean")}), reported)
    assert FakeGuest.booted == [["a", "b", "c"], ["c"], ["b"]]
    assert {r.cell: r.status for r in reported.records} == dict.fromkeys(
        ("x/a", "x/b", "x/c"), "held"
    )
    assert [r.cell for r in reported.records] == ["x/a", "x/c", "x/b"]


def test_a_guest_that_never_comes_blames_its_first(batch: Any) -> None:
    reported = Told()
    run_batch(batch({"a": ("never-booted", "never-booted"), "b": ("clean", "clean")}), reported)
    assert reported.of("a").status == "error"
    assert reported.of("b").status == "held"


def test_a_guest_that_is_lost_again_says_nothing_of_its_cell(batch: Any) -> None:
    reported = Told()
    lost = ("qemu-died", "never-booted", "qemu-died", "clean")
    run_batch(batch({"a": lost, "b": (*lost[:3], "qemu-died"), "c": ("clean", "clean")}), reported)
    assert (reported.of("a").status, reported.of("b").status) == ("held", "error")
    assert FakeGuest.booted == [["a", "b", "c"], ["b", "c"], ["c"], *[["a"]] * 3, *[["b"]] * 3]
    # What crashes each time, a panic, is repeated once.
    reported, FakeGuest.booted = Told(), []
    run_batch(batch({"a": ("panic", "panic"), "b": ("clean", "clean")}), reported)
    assert FakeGuest.booted == [["a", "b"], ["b"], ["a"]]


def test_a_lone_guest_that_is_lost_is_followed_by_another(batch: Any) -> None:
    reported = Told()
    run_batch(batch({"a": ("", "qemu-died", "clean")}, isolate=True), reported)
    assert (reported.of("a").status, FakeGuest.booted) == ("held", [["a"], ["a"]])


def test_each_alone(batch: Any) -> None:
    reported = Told()
    run_batch(batch({"a": ("", "fail"), "b": ("", "clean")}, isolate=True), reported)
    assert FakeGuest.booted == [["a"], ["b"]]
    assert reported.of("a").status == "failed"


def test_what_is_done_is_left_out(batch: Any) -> None:
    reported = Told("x/a")
    run_batch(batch({"a": ("clean", ""), "b": ("clean", "clean")}), reported)
    assert FakeGuest.booted == [["b"]]
    assert [r.cell for r in reported.records] == ["x/b"]
