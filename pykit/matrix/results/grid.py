# SPDX-License-Identifier: GPL-2.0-only
"""A matrix as one picture: cells by rules, a mark where a rule did not simply hold."""

from __future__ import annotations

from markupsafe import Markup

from pykit.matrix.results.view import CellView, MatrixView
from pykit.report.svg import CHARACTER, Svg

#: Size of a mark, and how many cells and rules the picture has at most.
_SIDE, _CELLS, _RULES = 11, 1_200, 160
#: Characters of a cell's name that are shown, and the width of one.
_NAME, _NARROW = 42, 6.1
#: Judgements that are marked; a rule that held or had nothing to look at is left blank.
MARKED = ("fail", "silent", "expected", "waived", "inconclusive")
#: Those for which a rule gets a column.
_COLUMN = ("fail", "silent", "expected", "waived")


def grid(view: MatrixView, order: list[CellView]) -> Markup:
    """Draw the cells in an order, by the rules that failed or are waived in any of them.

    Each mark leads to its cell. The rules' names are a drawing of their own, which stays in sight
    while the cells are scrolled. Empty where no rule would have a column.
    """
    cells = [cell for cell in order if cell.rules][:_CELLS]
    names = sorted(
        {entry.rule.id for cell in cells for entry in cell.rules if entry.judged in _COLUMN}
    )[:_RULES]
    if not names:
        return Markup("")
    place = {name: number for number, name in enumerate(names)}
    left = max(len(_short(cell.name)) for cell in cells) * _NARROW + 10
    top = max(map(len, names)) * CHARACTER + 8
    head = Svg("Rules")
    for name, number in place.items():
        head.upright(left + number * _SIDE + 9, top - 4, name)
    svg = Svg(f"{len(cells)} cells by {len(names)} rules that failed or are waived in any", "group")
    for line, cell in enumerate(cells):
        y = line * _SIDE
        svg.link(f"#{cell.name}", f"{cell.name}: {cell.why}")
        svg.text(left - 6, y + 9, _short(cell.name), "small", anchor="end")
        for entry in cell.rules:
            if entry.judged in MARKED and entry.rule.id in place:
                x = left + place[entry.rule.id] * _SIDE
                tip = f"{cell.name}: {entry.rule.id} {entry.judged}: {entry.rule.message}"
                svg.tipped_rect(x, y, _SIDE - 1, f"mark {entry.judged}", tip)
        svg.end_link()
    width = left + len(names) * _SIDE + 4
    return Markup('<div class="heads">{}</div>{}').format(
        head.render(width, top), svg.render(width, len(cells) * _SIDE + 4)
    )


def _short(name: str) -> str:
    """Return a name without its middle where it is long: cells of a matrix differ at the end."""
    return name if len(name) <= _NAME else f"{name[: _NAME // 2]}…{name[1 - _NAME // 2 :]}"
