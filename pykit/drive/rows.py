# SPDX-License-Identifier: GPL-2.0-only
"""What rows of all tables of cases have in common."""

from __future__ import annotations

from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from pykit.drive.outcome import Class

Layout = Literal["split", "packed"]
Table = Literal["direct", "indirect"]


class TableRow(BaseModel):
    """A row of a table of cases.

    Attributes:
        name: of the row.
        does: what is wrong, or legal and rare, in words.
        clause: id of the clause that is broken, or used.
        legal: it conforms, and has to be served.
        right: classes that are right for it; by default those of legal or of malformed ones.
        breaks: ids of the rules on the driver that fail for it.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    does: str
    clause: str
    legal: bool = False
    right: list[Class] = []
    breaks: list[str] = []

    @property
    def accepted(self) -> tuple[Class, ...]:
        """The classes that are right."""
        if self.right:
            return tuple(self.right)
        return ("handled",) if self.legal else ("handled", "rejected", "stopped", "exited")


class AnyCase(Protocol):
    """A case of any table."""

    @property
    def name(self) -> str:
        """Row and choices."""

    @property
    def row(self) -> TableRow:
        """The row that it is of."""
