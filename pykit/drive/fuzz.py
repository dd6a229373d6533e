# SPDX-License-Identifier: GPL-2.0-only
"""Generate cases by a seed, and reduce each that has a wrong class to a row that replays."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from pykit.drive.cases import CaseRow, read_tables
from pykit.drive.conforming import Conforming
from pykit.drive.driver import Shape
from pykit.drive.mixed import MixedRow, as_toml, generate
from pykit.drive.outcome import CaseOutcome
from pykit.drive.run import Progress, Target, driven
from pykit.drive.session import Session
from pykit.errors import Exit
from pykit.paths import require_empty, write_atomically

#: The rows that were found, in a run directory.
FOUND = "found.toml"
#: Cases that are drawn at most for each that is wanted: some devices offer little.
_DRAWN = 4


@dataclass(frozen=True)
class FoundRow:
    """A row whose class is none of the right ones, and as small as it gets."""

    row: CaseRow
    outcome: CaseOutcome


@dataclass
class FuzzResult:
    """What a run found.

    Attributes:
        target: the device.
        seed: decides all cases.
        classes: how many generated cases have each class.
        found: one row for each kind of failure.
        directory: where they are written.
        seconds: how long it took.
    """

    target: Target
    seed: int
    directory: Path
    classes: Counter[str] = field(default_factory=Counter)
    found: list[FoundRow] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def exit_code(self) -> Exit:
        """FAILED where something was found; SKIP where no case could be run."""
        if self.found:
            return Exit.FAILED
        return Exit.OK if self.classes else Exit.SKIP

    def as_json(self) -> dict[str, Any]:
        """What ``fuzz.json`` holds."""
        return {
            "schema": 1,
            "target": str(self.target),
            "device": self.target.kind,
            "seed": self.seed,
            "classes": dict(self.classes),
            "found": [
                {"row": found.row.model_dump(), **found.outcome.as_json()} for found in self.found
            ],
            "seconds": round(self.seconds, 3),
        }


def fuzz(
    target: Target, count: int, directory: Path, *, seed: int = 1, progress: Progress
) -> FuzzResult:
    """Run generated cases of chains and rings against a device, and write what they find.

    Args:
        count: how many cases; one that the device lacks a feature for is not counted.

    Raises:
        UsageError: the target cannot be used as it is given.
        PykitError: it could not be started or reached.
    """
    begun = time.monotonic()
    require_empty(directory)
    directory.mkdir(parents=True, exist_ok=True)
    result = FuzzResult(target, seed, directory)
    rows = read_tables().case
    with driven(target) as device:
        # A device that does not serve at all has nothing to be found in; and whether it polls is
        # known behind these.
        for _ in Conforming(device, seed).run(progress, (Shape(),)):
            pass
        session = Session(device)
        for number, mixed in enumerate(islice(generate(rows, seed), _DRAWN * count), 1):
            ran = result.classes.total()
            if ran == count:
                break
            if number % 20 == 0:
                progress(f"{ran} of {count} cases, {len(result.found)} found")
            (one,) = session.run((mixed.case(f"generated-{number}"),))
            if one.outcome is None:
                continue
            result.classes[one.outcome.verdict] += 1
            if one.right or _known(result, mixed, one.outcome):
                continue
            progress(f"case {number} is {one.outcome.verdict}: reducing it")
            small, outcome = reduced(session, mixed, one.outcome)
            row = small.row(f"generated-{seed}-{number}")
            # What a smaller one of the same kind was found for is no other.
            if not _known(result, small, outcome):
                result.found.append(FoundRow(row, outcome))
                text = "".join(as_toml(found.row) + "\n" for found in result.found)
                write_atomically(directory / FOUND, text.encode())
    result.seconds = time.monotonic() - begun
    write_atomically(directory / "fuzz.json", json.dumps(result.as_json(), indent=1).encode())
    return result


def _known(result: FuzzResult, mixed: MixedRow, outcome: CaseOutcome) -> bool:
    """Whether all that a row found before needs is in this one, with the same class."""
    spoils = {part.spoil for part in mixed.parts}
    axes = (mixed.when, mixed.ring, mixed.table)
    return any(
        found.outcome.verdict == outcome.verdict
        and {found.row.spoil, *found.row.also} - {"nothing"} <= spoils
        and all(
            a == b or b == simple
            for a, b, simple in zip(
                axes,
                (found.row.when[0], found.row.rings[0], found.row.tables[0]),
                ("first", "split", "direct"),
                strict=True,
            )
        )
        and found.row.ahead in (0, mixed.ahead)
        and found.row.sizes[0] in (16, mixed.size)
        for found in result.found
    )


def reduced(
    session: Session, mixed: MixedRow, outcome: CaseOutcome
) -> tuple[MixedRow, CaseOutcome]:
    """Leave out what is not needed for the same wrong class, each time in a new process."""
    left: Iterator[MixedRow] = mixed.smaller()
    while (other := next(left, None)) is not None:
        one = session.anew(other.case("smaller"))
        if one.outcome is None or one.right or one.outcome.verdict != outcome.verdict:
            continue
        mixed, outcome = other, one.outcome
        left = mixed.smaller()
    return mixed, outcome
