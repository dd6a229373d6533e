# SPDX-License-Identifier: GPL-2.0-only
"""Results as a page of Markdown for a pull request, and as annotations of a workflow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pykit.baseline.compare import HeldToBaseline
from pykit.baseline.examined import Examined
from pykit.report.finding import plain
from pykit.spec import CLAUSES
from pykit.text import counted, shown

#: Failures that are described one by one; GitHub shows ten annotations of a step.
_DESCRIBED, _ANNOTATED = 30, 10


def markdown(examined: Sequence[Examined], found: HeldToBaseline) -> str:
    """Return the page: what is new first, then a table, then what is known."""
    lines = [f"## pykit: {_headline(found)}", ""]
    for entry in found.new[:_DESCRIBED]:
        lines += [f"- **{plain(entry.what)}** in {plain(entry.where)}: {_text(entry.seen)}"]
        lines += [f"  <br>{text}" for text in _clause(entry.what)]
    if len(found.new) > _DESCRIBED:
        lines.append(f"- and {len(found.new) - _DESCRIBED} more")
    for entry in found.passed:
        lines.append(f"- **unexpected pass**: {plain(entry.what)} in {plain(entry.where)}")
    for entry in found.stale:
        lines.append(f"- **stale line**: {plain(entry.what)} in {plain(entry.where)}")
    lines += ["", "| where | held | failed | known |", "| --- | ---: | ---: | ---: |"]
    for one in examined:
        known = sum(entry.where == one.where for entry in found.known)
        held = sum(not name.startswith(("outcome: ", "request: ")) for name in one.held)
        lines.append(f"| {plain(one.where)} | {held} | {len(one.failed)} | {known} |")
    if found.known:
        lines += ["", "<details><summary>Known failures</summary>", ""]
        for entry in found.known:
            where = f"{plain(entry.what)} in {plain(entry.where)}"
            lines.append(f"- {where}: {_text(entry.reason)}")
        lines += ["", "</details>"]
    return "\n".join(lines) + "\n"


def workflow_errors(found: HeldToBaseline) -> Iterator[str]:
    """Yield GitHub's workflow commands, an error for each difference, at the clause."""
    new = [(entry, entry.seen) for entry in found.new]
    passed = [(entry, "unexpected pass: take it out of the baseline") for entry in found.passed]
    stale = [(entry, "stale line: take it out of the baseline") for entry in found.stale]
    for entry, words in [*new, *passed, *stale][:_ANNOTATED]:
        clause = CLAUSES.get(entry.what)
        title = f"{entry.what} {clause.strength} ({clause.basis})" if clause else entry.what
        message = _command(f"{entry.where}: {words}")
        yield f"::error title={_command(title, ':,')}::{message}"


def _headline(found: HeldToBaseline) -> str:
    parts = [
        (found.new, "new failure"),
        (found.passed, "unexpected pass"),
        (found.stale, "stale line"),
    ]
    words = [counted(len(entries), name) for entries, name in parts if entries]
    if words:
        return ", ".join(words)
    known = counted(len(found.known), "known failure")
    return f"nothing new, {known}" if found.known else "everything held"


def _clause(what: str) -> Iterable[str]:
    clause = CLAUSES.get(what)
    if clause is not None:
        yield plain(f"{clause.strength}: {clause.text} ({clause.basis})")


def _text(text: str) -> str:
    return plain(shown(text))


def _command(text: str, also: str = "") -> str:
    """Escape a value of a workflow command."""
    text = shown(text).replace("%", "%25")
    for character in also:
        text = text.replace(character, f"%{ord(character):02X}")
    return text
