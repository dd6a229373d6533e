# SPDX-License-Identifier: GPL-2.0-only
"""What failed against what is listed as known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pykit import spec
from pykit.baseline.examined import BAD_ENDS, OUTCOME, REQUEST, SILENT, Examined
from pykit.baseline.listed import BaselineFile, KnownFailure
from pykit.drive import expand, read_tables
from pykit.errors import Exit, UsageError

#: From the best to the worst.
_ORDER = (Exit.OK, Exit.SKIP, Exit.INFRA)


@dataclass(frozen=True)
class HeldToBaseline:
    """Failures by whether they are known.

    Attributes:
        new: not listed; their reason is empty.
        known: listed, and failed.
        passed: listed, and held.
        stale: listed, and no rule, case or end of a guest has such a name.
        otherwise: the exit code where all failures are known.
    """

    new: tuple[KnownFailure, ...]
    known: tuple[KnownFailure, ...]
    passed: tuple[KnownFailure, ...]
    stale: tuple[KnownFailure, ...]
    otherwise: Exit

    @property
    def exit_code(self) -> Exit:
        """FAILED where the baseline and the results differ."""
        return Exit.FAILED if self.new or self.passed or self.stale else self.otherwise

    def as_json(self) -> dict[str, object]:
        """What ``baseline.json`` holds."""
        parts = {"new": self.new, "known": self.known, "passed": self.passed, "stale": self.stale}
        lists = {name: [entry.model_dump() for entry in part] for name, part in parts.items()}
        return {"schema": 1, "exit_code": int(self.exit_code), **lists}

    def lines(self) -> Iterator[str]:
        """Yield a line for each difference, then the counts."""
        for entry in self.new:
            yield f"new failure: {entry.where}: {entry.what}: {entry.seen}"
        for entry in self.passed:
            yield f"unexpected pass: {entry.where}: {entry.what}: take it out ({entry.reason})"
        for entry in self.stale:
            yield f"stale line: {entry.where}: {entry.what}: no such rule, case or end: take it out"
        yield (
            f"baseline: {len(self.new)} new, {len(self.known)} known, {len(self.passed)} "
            f"unexpected passes, {len(self.stale)} stale"
        )


def compare(baseline: BaselineFile, examined: Iterable[Examined]) -> HeldToBaseline:
    """Compare results with a baseline; entries of what was not examined are left alone."""
    listed = {entry.name: entry for entry in baseline.known}
    stale = tuple(_stale(baseline.known))
    new, known, passed = [], [], []
    code = Exit.OK
    for one in examined:
        code = max(code, one.otherwise, key=_ORDER.index)
        for what, message in one.failed.items():
            entry = listed.get((one.where, what))
            if entry is None:
                new.append(KnownFailure(where=one.where, what=what, reason="", seen=message))
            else:
                known.append(entry)
        passed += [entry for entry in baseline.known if _held(entry, one)]
    return HeldToBaseline(tuple(new), tuple(known), tuple(passed), stale, code)


def renewed(
    baseline: BaselineFile, examined: Iterable[Examined], reason: str
) -> tuple[list[KnownFailure], HeldToBaseline]:
    """Return the entries that hold today, and how they differ from those before.

    New ones get ``reason``; those that held, or name nothing, are dropped.

    Raises:
        UsageError: there are new ones and no reason.
    """
    found = compare(baseline, examined)
    if found.new and not reason.strip():
        names = ", ".join(dict.fromkeys(entry.what for entry in found.new))
        raise UsageError(f"{len(found.new)} new failures ({names}): say why by --reason TEXT")
    gone = {entry.name for entry in (*found.passed, *found.stale)}
    kept = [entry for entry in baseline.known if entry.name not in gone]
    return [*kept, *(entry.model_copy(update={"reason": reason}) for entry in found.new)], found


def _held(entry: KnownFailure, one: Examined) -> bool:
    if entry.where != one.where or entry.what in one.failed:
        return False
    request = entry.what.startswith(REQUEST) and REQUEST in one.held
    return entry.what in one.held or request


def _stale(entries: Iterable[KnownFailure]) -> Iterator[KnownFailure]:
    rules = {rule.id for rule in spec.rules()}
    cases: set[str] = set()
    for entry in entries:
        what = entry.what.removeprefix(SILENT)
        if what in rules or what in BAD_ENDS or what == OUTCOME.strip():
            continue
        if what.startswith(REQUEST):
            continue
        cases = cases or {case.name for case in expand(read_tables(), ())}
        if what not in cases:
            yield entry
