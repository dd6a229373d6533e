# SPDX-License-Identifier: GPL-2.0-only
"""conformance.md of a matrix: each driver and device, judged by the rules for its own side."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from pykit.matrix.plan.cell import PEER, Subject
from pykit.matrix.record import CellRecord, RuleResult, RuleVerdict
from pykit.matrix.results.view import CellView, MatrixView
from pykit.peers import PEERS
from pykit.spec import rules
from pykit.spec.model import Rule
from pykit.text import shown

_SIDES: tuple[tuple[Literal["driver", "device"], str], ...] = (
    ("driver", "Drivers"),
    ("device", "Devices"),
)
_MARKS = {
    "pass": "✓",
    "fail": "**✗**",
    "waived": "**w**",
    "inconclusive": "?",
    "not-applicable": "·",
}
#: Columns of a table that can still be read; without the table, the report names the cells.
_MOST_COLUMNS = 40

_HEAD = """\
<!-- SPDX-License-Identifier: GPL-2.0-only -->
<!-- Generated: conformance.md of `pykit matrix conformance`. Do not edit. -->
# Conformance results

Each driver and each device is judged by the rules for its own side, in a run that can be
repeated. *Inconclusive*: the observers of this run cannot decide the rule: from outside the
memory of a ring is not seen, and QEMU does not see the rings of a device that another process
serves. Such a rule is never counted as passed. *n/a*: the situation did not arise, or the
feature was not negotiated. *Waived*: a known deviation, with its evidence in
`pykit/spec/data/waivers.toml`."""

_NO_DEVIATION = """\

## What is not a deviation

* Linux's virtio_blk trusts what a device returns. It does not look at a used length of 0 or
  of 2 GiB. It logs a used id that does not exist, and the request hangs, as it does when an
  interrupt is withheld. A chain that is returned twice ends in EIO. No clause says what a driver
  does about a broken device. The rules for the device report the fault (DX-06; DX-01, DX-02,
  DX-03 for a chain that is returned twice), and the outcome of the run says how the driver
  fared: `pykit run loop-blk --boot direct --driver virtio_blk --device-fault length-too-long`,
  or `completed-twice`. With `wrong-id` (DX-01) and `signal-missed` (DX-15, NU-DE-05) the
  outcome is `hang`, and its message names the blocked task and its stack.
* Drivers and devices notify when the event index lies anywhere in the new entries, even if
  no entry was at that index when they looked. Word by word the clauses ask for the one entry
  at the index; an implementation that looked only at that one would sleep for ever after a
  batch. So the rules accept the whole range (DX-15, DX-16), as do all subjects listed here."""


@dataclass(frozen=True)
class JudgedSubject:
    """A subject, the record of the cell it was run in, and the results of its side's rules."""

    subject: Subject
    cell: CellView
    record: CellRecord | None
    results: dict[str, RuleResult]


def render(view: MatrixView) -> str:
    """Return the whole file, as Markdown."""
    known = {rule.id: rule for rule in rules()}
    subjects = [found for cell in view.cells for found in _subjects(cell, known)]
    named = any(cell.planned.subjects for cell in view.cells)
    lines = [
        _HEAD,
        *_summaries(subjects),
        *_deviations(subjects, known),
        *([_NO_DEVIATION] if named else []),
        *_rule_by_rule(subjects, known),
    ]
    return "\n".join(lines) + "\n"


def _subjects(cell: CellView, known: dict[str, Rule]) -> Iterator[JudgedSubject]:
    """The subjects of a cell; one that names none stands for a driver and a device."""
    given = cell.planned.subjects or tuple(
        Subject(name=cell.name, side=side, seen=cell.planned.scenario) for side, _ in _SIDES
    )
    for subject in given:
        results = {
            result.id: result
            for result in (cell.record.rules if cell.record else ())
            if known[result.id].side in (subject.side, "both")
        }
        yield JudgedSubject(subject, cell, cell.record, results)


def _summaries(subjects: list[JudgedSubject]) -> Iterator[str]:
    for side, title in _SIDES:
        yield f"\n## {title}\n"
        yield f"| {side} | opposite | passed | failed | waived | inconclusive | n/a | run |"
        yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |"
        for one in _of(subjects, side):
            verdicts = [result.verdict for result in one.results.values()]
            counts = " | ".join(str(verdicts.count(name)) for name in get_args(RuleVerdict))
            run = f"<code>{_text(one.record.command)}</code>" if one.record else "missing"
            if one.record and not one.results:
                run += f": {_text(one.cell.why)}"
            yield f"| {_text(one.subject.name)} | {_text(one.subject.seen)} | {counts} | {run} |"
    records = [one.record for one in subjects if one.record and not _peer(one)]
    versions = sorted({_text(record.qemu) for record in records} - {""})
    kernels = sorted({_text(record.release) for record in records} - {""})
    yield f"\nQEMU {', '.join(versions)}; kernels {', '.join(kernels)}."
    yield from _driven(subjects)


def _driven(subjects: list[JudgedSubject]) -> Iterator[str]:
    """What cases came to, of back-ends that are driven without a guest."""
    driven = [one for one in subjects if _peer(one) and one.record]
    if not driven:
        return
    yield "\n## Back-ends driven without a guest\n"
    yield (
        "Malformed chains and messages have a right answer as well: cases that deviate are counted "
        "here. Known deviations are named below; what lets a guest or a front-end end, block or "
        "corrupt a back-end is named to its maker first (`SECURITY.md`).\n"
    )
    yield "| back-end | version | result |"
    yield "| --- | --- | --- |"
    for one in driven:
        assert one.record is not None
        cells = (one.subject.name, one.record.qemu, one.record.message)
        yield f"| {' | '.join(map(_text, cells))} |"


def _deviations(subjects: list[JudgedSubject], known: dict[str, Rule]) -> Iterator[str]:
    yield "\n## Deviations found\n"
    for one in subjects:
        for result in one.results.values():
            if result.verdict in ("fail", "waived"):
                rule = known[result.id]
                yield (
                    f"* **{_text(one.subject.name)}**, {rule.id} ({rule.strength}, "
                    f"{result.verdict}): {rule.title} Seen {result.violations} times: "
                    f"{_text(result.message)}."
                )
        peer = PEERS.get(_peer(one))
        for lapse in peer.known if peer and one.record else ():
            yield (
                f"* **{_text(one.subject.name)}**, case `{lapse.row}` (known): {lapse.reason}. "
                f"Evidence: {lapse.evidence}."
            )


def _rule_by_rule(subjects: list[JudgedSubject], known: dict[str, Rule]) -> Iterator[str]:
    yield "\n## Rule by rule\n"
    yield "✓ passed, **✗** failed, **w** waived, ? inconclusive, · not applicable."
    for side, _ in _SIDES:
        chosen = list(_of(subjects, side))
        if len(chosen) > _MOST_COLUMNS:
            yield f"\n{len(chosen)} {side}s are too many for a table: see verdicts.parquet."
            continue
        yield f"\n| rule | {' | '.join(_text(one.subject.name) for one in chosen)} | title |"
        yield f"| --- |{' :-: |' * len(chosen)} --- |"
        for rule in known.values():
            if rule.side in (side, "both"):
                marks = (_mark(one.results.get(rule.id)) for one in chosen)
                yield f"| {rule.id} | {' | '.join(marks)} | {rule.title} |"


def _mark(result: RuleResult | None) -> str:
    return _MARKS[result.verdict] if result else " "


def _peer(one: JudgedSubject) -> str:
    """The back-end that the cell drives without a guest; empty for others."""
    return one.cell.planned.axes.get(PEER, "")


def _of(subjects: list[JudgedSubject], side: str) -> Iterator[JudgedSubject]:
    return (one for one in subjects if one.subject.side == side)


def _text(text: str) -> str:
    """Foreign text that can open no HTML, link or column of a table."""
    plain = html.escape(shown(text), quote=False)
    for character in r"\`*[]|":
        plain = plain.replace(character, f"&#{ord(character)};")
    return plain
