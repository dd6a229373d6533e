# SPDX-License-Identifier: GPL-2.0-only
"""Draw with SVG elements; text of a run is escaped, colours are the page's classes."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from pykit.text import shown

#: Width of a character of the drawings' font, and the height of a line, in px.
CHARACTER, LINE = 7.25, 20


class Svg:
    """A drawing that grows: elements are added, then it is rendered.

    ``label`` is its name for a screen reader; with ``role`` "table" the reader goes through the
    rows and cells that `begin_row` and `text` make, with "img" the label is all it has.
    """

    def __init__(self, label: str, role: str = "img") -> None:
        self._label, self._role = label, role
        self._parts: list[Markup] = []

    def rect(self, x: float, y: float, width: float, height: float, style: str) -> None:
        """Add a rectangle with the classes ``style``."""
        self._add(
            '<rect x="{}" y="{}" width="{}" height="{}" class="{}"/>',
            _px(x), _px(y), _px(width), _px(height), style,
        )  # fmt: skip

    def line(self, points: Iterable[tuple[float, float]], style: str) -> None:
        """Add a line through points."""
        path = " ".join(f"{_px(x)},{_px(y)}" for x, y in points)
        self._add('<polyline points="{}" class="{}"/>', path, style)

    def curve(self, path: str, style: str) -> None:
        """Add a path in SVG's own notation, made of numbers."""
        self._add('<path d="{}" class="{}"/>', path, style)

    def head(self, x: float, y: float, direction: int, style: str) -> None:
        """Add the head of an arrow that ends at a point; ``direction``: 1 right, -1 left."""
        back = x - 7 * direction
        points = f"{_px(x)},{_px(y)} {_px(back)},{_px(y - 4)} {_px(back)},{_px(y + 4)}"
        self._add('<polygon points="{}" class="{}"/>', points, style)

    def text(
        self, x: float, y: float, words: str, style: str = "", *, anchor: str = "start"
    ) -> None:
        """Add a text whose base line is at ``y``."""
        role = Markup(' role="cell"') if self._role == "table" else ""
        self._add(
            '<text x="{}" y="{}" text-anchor="{}" class="{}"{}>{}</text>',
            _px(x), _px(y), anchor, style, role, shown(words),
        )  # fmt: skip

    def begin(self, style: str, title: str = "") -> None:
        """Begin a group of elements with a tip; a row of the table, if the drawing is one."""
        role = Markup(' role="row"') if self._role == "table" else ""
        self._add('<g class="{}"{}>', style, role)
        if title:
            self._add("<title>{}</title>", shown(title))

    def end(self) -> None:
        """End the group."""
        self._parts.append(Markup("</g>"))

    def upright(self, x: float, y: float, words: str) -> None:
        """Add a text that goes up from a point."""
        self._add(
            '<text x="{0}" y="{1}" transform="rotate(-90 {0} {1})" class="note">{2}</text>',
            _px(x), _px(y), shown(words),
        )  # fmt: skip

    def link(self, target: str, label: str) -> None:
        """Begin elements that lead to a place of the page."""
        self._add('<a href="{}" aria-label="{}">', target, shown(label))

    def end_link(self) -> None:
        """End them."""
        self._parts.append(Markup("</a>"))

    def tipped_rect(self, x: float, y: float, side: float, style: str, tip: str) -> None:
        """Add a square with a tip."""
        self._add(
            '<rect x="{}" y="{}" width="{}" height="{}" class="{}"><title>{}</title></rect>',
            _px(x), _px(y), _px(side), _px(side), style, shown(tip),
        )  # fmt: skip

    def render(self, width: float, height: float) -> Markup:
        """Return the element."""
        frame = Markup(
            '<svg class="drawing" role="{}" aria-label="{}" width="{}" height="{}"'
            ' viewBox="0 0 {} {}">{}</svg>'
        )
        size = _px(width), _px(height)
        body = Markup("").join(self._parts)
        return frame.format(self._role, shown(self._label), *size, *size, body)

    def _add(self, form: str, *values: object) -> None:
        self._parts.append(Markup(form).format(*values))


def _px(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
