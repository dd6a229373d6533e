# SPDX-License-Identifier: GPL-2.0-only
"""The two helpers that rules are written with: ``Rows`` for columns, ``Tally`` for loops.

``Rows`` are candidates of a rule, one a row: ``where`` keeps those that the clause is about, and
``check`` states what holds for each of them. ``Tally`` counts the same one by one, for rules
that walk over the events of a device's life.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from pykit.spec.arrays import Bools, Columns, Indices, Ints, ints
from pykit.spec.model import TRACE_ENDS, Result, Violation
from pykit.text import counted

if TYPE_CHECKING:
    from pykit.spec.rings import Rings

Column = npt.NDArray[Any]
#: A message with ``{column}`` in it, or the choice of one by the number of the row.
Message = str | Callable[[int], str]
#: A text made up from a row's columns.
Label = Callable[["Row"], str]


class Table(Protocol):
    """A dataclass whose attributes are columns, such as ``Adds``."""

    @property
    def q(self) -> Ints | Indices:
        """By row: number of its queue."""
        ...


class Rows:
    """Candidates of a rule: columns of one length, made when a rule asks for them.

    Columns are read by name: ``rows["head"]``. Messages may show each of them as ``{head}``, and
    labels, texts made up from columns: ``{queue}``, the name of the virtqueue. ``{len:byte}`` is
    "1 byte" or "2 bytes".
    """

    def __init__(
        self,
        column: Callable[[str], Column],
        count: int,
        labels: Mapping[str, Label],
        made: Mapping[str, Column] | None = None,
    ) -> None:
        for name, values in (made or {}).items():
            _fits(name, values, count)
        self._column = column
        self._count = count
        self._labels = labels
        self._made = dict(made or {})

    @classmethod
    def of(cls, rings: Rings, table: Columns | Table) -> Rows:
        """Make rows of the driver's queue events, or of a table computed from them."""
        labels: dict[str, Label] = {"queue": lambda row: rings.name(row["q"])}
        if isinstance(table, Columns):
            return cls(table.__getitem__, len(table), labels)
        return cls(lambda name: np.asarray(getattr(table, name)), len(table.q), labels)

    @classmethod
    def nothing(cls) -> Rows:
        """Make no rows, with any column."""
        return cls(lambda name: np.zeros(0, dtype=np.int64), 0, {})

    @classmethod
    def of_frame(cls, frame: pl.DataFrame, queue: Label) -> Rows:
        """Make rows of a frame of events; nulls are 0."""
        return cls(lambda name: ints(frame, name), frame.height, {"queue": queue})

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, name: str) -> Column:
        if name not in self._made:
            self._made[name] = _fits(name, self._column(name), self._count)
        return self._made[name]

    def plus(self, **columns: Column) -> Rows:
        """Return the same rows with further columns."""
        return Rows(self._column, self._count, self._labels, self._made | columns)

    def labelled(self, **labels: Label) -> Rows:
        """Return the same rows with further labels."""
        return Rows(self._column, self._count, {**self._labels, **labels}, self._made)

    def where(self, mask: Bools) -> Rows:
        """Return the rows for which ``mask`` is true."""
        count = int(np.count_nonzero(mask))
        if count == self._count:
            return self
        return Rows(lambda name: self[name][mask], count, self._labels)

    def take(self, order: Ints) -> Rows:
        """Return the rows with these numbers, in this order."""
        return Rows(lambda name: self[name][order], len(order), self._labels)

    def check(
        self,
        holds: Bools,
        message: Message,
        *,
        none: str = "",
        shown: tuple[str, ...] = ("row",),
        undecided: int = 0,
        doubt: str = TRACE_ENDS,
        unless: Bools | bool = False,
    ) -> Result:
        """Count all rows as checked, and report those for which ``holds`` is false.

        Args:
            holds: by row: whether the clause holds.
            message: describes the violation; only formatted for rows that are reported.
            none: the reason that is reported where there is no row.
            shown: columns of event rows that show the violation; -1 stands for no event.
            undecided: how many further candidates the evidence does not decide.
            doubt: why they are undecided.
            unless: by row, or of all: the other side had broken the rule's precondition by then,
                or may have done it, so that a violation is contested.
        """
        contested = int(np.count_nonzero(~holds & unless))
        found = self.violations(holds | unless, message, shown=shown)
        return Result(self._count - contested, found, undecided, none, doubt, contested)

    def violations(
        self, holds: Bools, message: Message, *, shown: tuple[str, ...] = ("row",)
    ) -> tuple[Violation, ...]:
        """Report rows for which ``holds`` is false, and count nothing; see ``check``."""
        return tuple(self._violation(i, message, shown) for i in np.flatnonzero(~holds).tolist())

    def _violation(self, i: int, message: Message, shown: tuple[str, ...]) -> Violation:
        text = message if isinstance(message, str) else message(i)
        rows = (int(self[name][i]) for name in shown)
        return Violation(tuple(row for row in rows if row >= 0), text.format_map(Row(self, i)))

    def shown(self, name: str, i: int) -> Any:
        """Return what messages show of a row: a label, or a column's value."""
        if name in self._labels:
            return self._labels[name](Row(self, i))
        value = self[name][i].item()
        return _Number(value) if isinstance(value, int) else value


class _Number(int):
    """An integer of a column, as messages show it.

    Columns are signed: in hexadecimal it is what the 64 bits hold. ``{len:byte}`` counts bytes.
    """

    def __format__(self, spec: str) -> str:
        number = int(self)
        if len(spec) > 1 and spec.isalpha():
            return counted(number, spec)
        return format(number % (1 << 64) if spec.endswith("x") else number, spec)


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
        return self._rows.shown(name, self._i)


class Tally:
    """Counts what a rule decides one by one.

    Args:
        none: why there is nothing to check, where nothing was counted as checked.
        doubt: why things are undecided.
    """

    def __init__(self, none: str = "", doubt: str = TRACE_ENDS) -> None:
        self._none, self._doubt = none, doubt
        self._checked = self._undecided = self._contested = 0
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

    def undecided(self, count: int = 1, doubt: str = "") -> None:
        """Count candidates that the evidence does not decide; ``doubt``: why, if not as usual."""
        self._undecided += count
        self._doubt = doubt or self._doubt

    def contested(self, count: int = 1) -> None:
        """Count candidates that look wrong, and for which the other side may be to blame."""
        self._contested += count

    def result(self) -> Result:
        """Return what was counted."""
        found = tuple(self._found)
        return Result(
            self._checked, found, self._undecided, self._none, self._doubt, self._contested
        )
