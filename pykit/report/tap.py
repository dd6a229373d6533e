# SPDX-License-Identifier: GPL-2.0-only
"""KTAP version 1, of any depth (Documentation/dev-tools/ktap.rst)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pykit.text import shown


@dataclass(frozen=True)
class Point:
    """A test point: the parts of its result line, its diagnostic lines and nested points."""

    ok: bool
    name: str
    directive: str = ""
    reason: str = ""
    diagnostics: tuple[str, ...] = ()
    points: tuple[Point, ...] = ()


def suite(name: str, points: Sequence[Point]) -> Point:
    """Return a point that is ok if all in it are, and skipped if all in it are skipped."""
    skipped = all(point.directive == "SKIP" for point in points)
    return Point(
        ok=all(point.ok for point in points),
        name=name,
        directive="SKIP" if skipped else "",
        reason="every test was skipped" if skipped else "",
        points=tuple(points),
    )


def document(points: Sequence[Point]) -> str:
    """Return the whole file, with escapes for what is not printable."""
    return "\n".join(map(shown, _document(points, None))) + "\n"


def _document(points: Sequence[Point], name: str | None) -> Iterator[str]:
    yield "KTAP version 1"
    if name is not None:
        yield f"# Subtest: {_name(name)}"
    yield f"1..{len(points)}"
    for number, point in enumerate(points, 1):
        if point.points:
            yield from (f"    {line}" for line in _document(point.points, point.name))
        for line in point.diagnostics:
            yield f"# {line}"
        result = f"{'ok' if point.ok else 'not ok'} {number} {_name(point.name)}"
        if point.directive:
            result += f" # {point.directive} {point.reason}"
        yield result.rstrip()


def _name(name: str) -> str:
    # A # would begin the directive.
    return name.replace("#", " ")
