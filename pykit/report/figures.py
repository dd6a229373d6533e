# SPDX-License-Identifier: GPL-2.0-only
"""The drawings of a run's page: the ring at each violation, both sides' events, negotiation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from markupsafe import Markup

from pykit.analysis.ring import picture_of
from pykit.analysis.sequence import Negotiation, around, negotiations
from pykit.report import drawing
from pykit.spec import Verdict, Verdicts
from pykit.spec.view import View
from pykit.trace import Events

#: Violations that are drawn: a page has to stay small.
_DRAWN = 12
#: Lives whose negotiation is drawn; those with a violation come first.
_LIVES = 4


@dataclass(frozen=True)
class RingFigure:
    """The ring at one violation: the queue's name, its panels, the events around it."""

    name: str
    panels: tuple[Markup, ...]
    events: Markup


@dataclass(frozen=True)
class NegotiationFigure:
    """One life's negotiation, drawn; ``marked``: it has a violation."""

    of: Negotiation
    steps: Markup
    marked: bool


@dataclass(frozen=True)
class Figures:
    """All drawings.

    Attributes:
        rings: by rule.
        same: by rule, the one whose drawing shows its violation too.
    """

    rings: Mapping[str, RingFigure] = field(default_factory=dict)
    same: Mapping[str, str] = field(default_factory=dict)
    negotiations: tuple[NegotiationFigure, ...] = ()


def figures_of(verdicts: Verdicts, events: Events) -> Figures:
    """Draw what a page shows of a run."""
    view = View(events)
    failed = [row for row in verdicts.rules if row.verdict == "fail" and row.rows]
    waived = [row for row in verdicts.rules if row.verdict == "waived" and row.rows]
    rings: dict[str, RingFigure] = {}
    same: dict[str, str] = {}
    first: dict[tuple[int, ...], str] = {}
    for verdict in (*failed, *waived):
        name = first.setdefault(verdict.rows, verdict.rule.id)
        if name != verdict.rule.id:
            same |= {verdict.rule.id: name} if name in rings else {}
            continue
        figure = _ring(view, verdict) if len(rings) < _DRAWN else None
        if figure is not None:
            rings[verdict.rule.id] = figure
    marked = frozenset(row for verdict in failed for row in verdict.rows)
    found = [
        NegotiationFigure(
            of, drawing.sequence(of.steps, f"Negotiation of {of.name}"),
            any(step.marked for step in of.steps),
        )
        for of in negotiations(view, marked)
    ]  # fmt: skip
    found.sort(key=lambda figure: (not figure.marked, figure.of.dev, figure.of.life))
    return Figures(rings, same, tuple(found[:_LIVES]))


def _ring(view: View, verdict: Verdict) -> RingFigure | None:
    picture = picture_of(view, verdict.rows)
    if picture is None:
        return None
    steps = around(view, verdict.rows)
    events = drawing.sequence(steps, f"Events around {verdict.rule.id}") if steps else Markup("")
    return RingFigure(picture.name, tuple(map(drawing.panel, picture.panels)), events)
