# SPDX-License-Identifier: GPL-2.0-only
"""The two helpers that rules are written with: ``Rows`` for columns, ``Tally`` for loops.

``Rows`` are candidates of a rule, one a row: ``where`` keeps those that the clause is about, and
``check`` states what holds for each of them. ``Tally`` counts the same one by one, for rules
that walk over the events of a device's life.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from pykit.spec.arrays import Bools, Columns, Ints, ints
from pykit.spec.model import TRACE_ENDS, Result, Violation

if TYPE_CHECKING:
    from pykit.spec.rings import Adds, Chains, Requests, Rings, Used

Column = npt.NDArray[Any]
#: A message with ``{column}`` in it, or the choice of one by the number of the row.
Message = str | Callable[[int], str]


class Rows:
    """Candidates of a rule: columns of one length, made when a rule asks for them.

    Columns are read by name: ``rows["head"]``. Messages may show each of them as ``{head}``, and
    ``{queue}``, the name of the virtqueue.
    """

    def __init__(
        self,
        column: Callable[[str], Column],
        count: int,
        queue: Callable[[Row], str],
        made: dict[str, Column] | None = None,
    ) -> None:
        for name, values in (made or {}).items():
            _fits(name, values, count)
        self._column = column
        self._count = count
        self._queue = queue
        self._made = made or {}

    @classmethod
    def of(cls, rings: Rings, table: Columns | Adds | Used | Chains | Requests) -> Rows:
        """Rows of the driver's queue events, or of what was worked out from them."""
        if isinstance(table, Columns):
            return cls(table.__getitem__, len(table), lambda row: rings.name(row["q"]))
        return cls(
            lambda name: np.asarray(getattr(table, name)),
            len(table.q),
            lambda row: rings.name(row["q"]),
        )

    @classmethod
    def of_frame(cls, frame: pl.DataFrame, queue: Callable[[Row], str]) -> Rows:
        """Rows of a frame of events; nulls are 0."""
        return cls(lambda name: ints(frame, name), frame.height, queue)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, name: str) -> Column:
        if name not in self._made:
            self._made[name] = _fits(name, self._column(name), self._count)
        return self._made[name]

    def plus(self, **columns: Column) -> Rows:
        """The same rows with further columns."""
        return Rows(self._column, self._count, self._queue, self._made | columns)

    def where(self, mask: Bools) -> Rows:
        """The rows for which ``mask`` is true."""
        count = int(np.count_nonzero(mask))
        if count == self._count:
            return self
        return Rows(lambda name: self[name][mask], count, self._queue)

    def take(self, order: Ints) -> Rows:
        """The rows with these numbers, in this order."""
        return Rows(lambda name: self[name][order], len(order), self._queue)

    def check(
        self,
        holds: Bools,
        message: Message,
        *,
        none: str = "",
        shown: tuple[str, ...] = ("row",),
        undecided: int = 0,
        doubt: str = TRACE_ENDS,
    ) -> Result:
        """Count all rows as checked, and report those for which ``holds`` is false.

        Args:
            holds: by row: whether the clause holds.
            message: what is wrong; only made up for rows that are reported.
            none: why there is nothing to check, where there is no row.
            shown: columns of event rows that show the violation; -1 stands for no event.
            undecided: how many further candidates the evidence does not decide.
            doubt: why they are undecided.
        """
        found = self.violations(holds, message, shown=shown)
        return Result(self._count, found, undecided, none, doubt)

    def violations(
        self, holds: Bools, message: Message, *, shown: tuple[str, ...] = ("row",)
    ) -> tuple[Violation, ...]:
        """Report rows for which ``holds`` is false, and count nothing; see ``check``."""
        return tuple(self._violation(i, message, shown) for i in np.flatnonzero(~holds).tolist())

    def _violation(self, i: int, message: Message, shown: tuple[str, ...]) -> Violation:
        text = message if isinstance(message, str) else message(i)
        rows = (int(self[name][i]) for name in shown)
        return Violation(tuple(row for row in rows if row >= 0), text.format_map(Row(self, i)))

    def name(self, i: int) -> str:
        """The name of a row's virtqueue."""
        return self._queue(Row(self, i))


def _fits(name: str, column: Column, count: int) -> Column:
    """Return a column, which has to have as many rows as there are."""
    if len(column) != count:
        raise ValueError(f"column {name} has {len(column)} rows, not {count}")
    return column


class Row:
    """One of ``Rows``, as messages show it."""

    def __init__(self, rows: Rows, i: int) -> None:
        self._rows, self._i = rows, i

    def __getitem__(self, name: str) -> Any:
        """Return a column's value, or as ``queue`` the virtqueue's name."""
        if name == "queue":
            return self._rows.name(self._i)
        return self._rows[name][self._i].item()


class Tally:
    """Counts what a rule decides one by one.

    Args:
        none: why there is nothing to check, where nothing was counted as checked.
        doubt: why things are undecided.
    """

    def __init__(self, none: str = "", doubt: str = TRACE_ENDS) -> None:
        self._none, self._doubt = none, doubt
        self._checked = self._undecided = 0
        self._found: list[Violation] = []

    def check(self, holds: bool, rows: int | Iterable[int], message: str) -> None:
        """Count one decision; where it does not hold, report it with the rows that show it."""
        self._checked += 1
        if not holds:
            shown = (rows,) if isinstance(rows, int) else tuple(rows)
            self._found.append(Violation(shown, message))

    def check_together(self, count: int, violations: Iterable[Violation]) -> None:
        """Count candidates that were decided together, and report the violations among them."""
        self._checked += count
        self._found += violations

    def undecided(self, count: int = 1) -> None:
        """Count candidates that the evidence does not decide."""
        self._undecided += count

    def result(self) -> Result:
        """Return what was counted."""
        return Result(self._checked, tuple(self._found), self._undecided, self._none, self._doubt)
