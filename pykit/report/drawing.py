# SPDX-License-Identifier: GPL-2.0-only
"""Draw a ring's panels and a sequence of events as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from pykit.analysis.ring import Panel, PanelRow
from pykit.analysis.sequence import DiagramStep
from pykit.report.svg import CHARACTER, LINE, Svg

#: Room on both sides of a cell's text, and at a table's right for the arrows of its chain.
_PAD, _LANE = 12, 14
#: Room of a sequence: for the times, and between the two life lines.
_TIMES, _BETWEEN = 76, 84
#: Characters of a step's text.
_WORDS = 44
_NS = 1000


def panel(part: Panel) -> Markup:
    """Draw a panel: a table whose rows have the colour of their owner, and a chain's arrows."""
    rows = [part.headings, *(row.cells for row in part.rows)]
    columns = [
        max(len(cell) for cell in column) * CHARACTER + _PAD for column in zip(*rows, strict=True)
    ]
    table = sum(columns)
    links = [row for row in part.rows if row.link >= 0]
    notes = max((len(note) * CHARACTER for note in part.notes), default=0)
    title = len(part.title) * CHARACTER
    width = max(table + (3 * _LANE if links else 0), notes, title) + 4
    svg = Svg(part.title, "table")
    svg.text(2, 14, part.title, "title")
    svg.begin("headings")
    _cells(svg, part.headings, columns, 34)
    svg.end()
    tops = {}
    for number, row in enumerate(part.rows):
        top = 40 + number * LINE
        tops[row.slot] = top
        svg.begin(f"row {row.owner}", _tip(row))
        svg.rect(1, top, table, LINE - 2, "cell marked" if row.marked else "cell")
        _cells(svg, row.cells, columns, top + 13)
        svg.end()
    for row in links:
        _arrow(svg, table + 1, tops, row)
    bottom = 40 + len(part.rows) * LINE
    for number, note in enumerate(part.notes):
        svg.text(2, bottom + 14 + number * 16, note, "note")
    return svg.render(width, bottom + 6 + 16 * len(part.notes))


def _cells(svg: Svg, cells: Sequence[str], columns: Sequence[float], y: float) -> None:
    x = _PAD / 2
    for cell, width in zip(cells, columns, strict=True):
        svg.text(x, y, cell)
        x += width


def _tip(row: PanelRow) -> str:
    whose = {"driver": "the driver's", "device": "the device's", "none": ""}[row.owner]
    return ", ".join(filter(None, (whose, "the violation is here" if row.marked else "")))


def _arrow(svg: Svg, x: float, tops: Mapping[int, float], row: PanelRow) -> None:
    """Draw the link of a descriptor to its next, which may be one that is not drawn."""
    start = tops[row.slot] + LINE / 2 + 2
    style = "link marked" if row.marked else "link"
    if row.link not in tops:
        svg.line([(x, start), (x + _LANE, start)], f"{style} open")
        return
    end = tops[row.link] + LINE / 2 - 4
    reach = x + _LANE * (2 if abs(end - start) > LINE + 8 else 1) + _LANE / 2
    svg.curve(f"M{x} {start:.1f} C{reach} {start:.1f} {reach} {end:.1f} {x + 5} {end:.1f}", style)
    svg.head(x, end, -1, style)


class _Lines(NamedTuple):
    """Where the life lines of a sequence stand, and how wide it is, in px."""

    driver: float
    device: float
    width: float


def sequence(steps: Sequence[DiagramStep], label: str) -> Markup:
    """Draw steps from the top: two life lines, an arrow where a step reaches the other side.

    Times are µs since the first step whose time is known.
    """
    start = next((step.time for step in steps if step.time is not None), 0)
    longest = dict.fromkeys(("driver", "device"), 10.0)
    for step in steps:
        longest[step.side] = max(longest[step.side], len(_text(step)) * CHARACTER + 14)
    driver = _TIMES + longest["driver"]
    lines = _Lines(driver, driver + _BETWEEN, driver + _BETWEEN + longest["device"] + 2)
    height = 34 + len(steps) * LINE
    svg = Svg(label, "table")
    svg.begin("headings")
    svg.text(2, 14, "µs")
    svg.text(lines.driver, 14, "driver", anchor="middle")
    svg.text(lines.device, 14, "device", anchor="middle")
    svg.end()
    for x in (lines.driver, lines.device):
        svg.line([(x, 20), (x, height - 4)], "life")
    for number, step in enumerate(steps):
        _step(svg, step, 36 + number * LINE, start, lines)
    return svg.render(max(lines.width, lines.device + 30), height)


def _text(step: DiagramStep) -> str:
    return step.text if len(step.text) <= _WORDS else f"{step.text[: _WORDS - 1]}…"


def _step(svg: Svg, step: DiagramStep, y: float, start: int, lines: _Lines) -> None:
    mine = step.side == "driver"
    svg.begin(f"row {step.side}", f"row {step.row} of the events")
    if step.marked:
        svg.rect(1, y - 13, lines.width - 2, LINE - 2, "cell marked")
    if step.time is not None:
        svg.text(2, y, f"{(step.time - start) / _NS:,.1f}", "note")
    if mine:
        svg.text(lines.driver - 10, y, _text(step), anchor="end")
    else:
        svg.text(lines.device + 10, y, _text(step))
    svg.rect((lines.driver if mine else lines.device) - 3, y - 8, 6, 8, "dot")
    if step.crosses:
        here, there = lines.driver + 4, lines.device - 2
        if not mine:
            here, there = lines.device - 4, lines.driver + 2
        svg.line([(here, y - 4), (there, y - 4)], "arrow")
        svg.head(there, y - 4, 1 if mine else -1, "arrow")
    svg.end()
