# SPDX-License-Identifier: GPL-2.0-only
"""Rows and cases of block requests, as cases/blk.toml has them."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field, field_validator

from pykit.drive.blk_steps import parse
from pykit.drive.features import mask
from pykit.drive.rows import Layout, Table, TableRow


class BlkRow(TableRow):
    """A row of the table of block requests.

    Attributes:
        steps: the requests in order.
        accept: features that the device has to offer.
        refuse: features that the driver does not accept.
        rings, tables, sizes: as of rows of chains.
    """

    steps: list[str]
    accept: list[str] = Field([])
    refuse: list[str] = Field([])
    rings: list[Layout] = Field(["split"])
    tables: list[Table] = Field(["direct"])
    sizes: list[int] = Field([16])

    @field_validator("steps")
    @classmethod
    def _known(cls, steps: list[str]) -> list[str]:
        for step in steps:
            parse(step)
        return steps

    @field_validator("accept", "refuse")
    @classmethod
    def _features(cls, accept: list[str]) -> list[str]:
        mask(accept)
        return accept


@dataclass(frozen=True)
class BlkCase:
    """A row with one choice of each of its axes."""

    row: BlkRow
    ring: Layout
    table: Table
    size: int

    @property
    def name(self) -> str:
        """Row and choices, such as ``flush-with-data/split/direct/16``."""
        return f"{self.row.name}/{self.ring}/{self.table}/{self.size}"
