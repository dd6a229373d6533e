# SPDX-License-Identifier: GPL-2.0-only
"""The parts of a ring as tables: what a drawing lays out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: The side that a piece of the ring belongs to at a moment.
Owner = Literal["driver", "device", "none"]


@dataclass(frozen=True)
class PanelRow:
    """One row of a panel.

    Attributes:
        cells: texts, one for each heading.
        owner: the side whose it is.
        marked: a violation is about this row.
        slot: the row's place in its table, -1 for a row without one.
        link: the place in the same table that its descriptor names as the next, -1 if none.
    """

    cells: tuple[str, ...]
    owner: Owner = "none"
    marked: bool = False
    slot: int = -1
    link: int = -1


@dataclass(frozen=True)
class Panel:
    """A part of the ring: its rows from the top, then notes below it."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[PanelRow, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RingPicture:
    """A virtqueue at a moment.

    Attributes:
        name: the queue, its layout and size.
        panels: from where a chain is described to where its use is reported.
    """

    name: str
    panels: tuple[Panel, ...]
