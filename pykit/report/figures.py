# SPDX-License-Identifier: GPL-2.0-only
"""The drawings of a run's page: the ring at each violation, both sides' events, negotiation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl
from markupsafe import Markup

from pykit.analysis import transport
from pykit.analysis.overtime import over_time, typical
from pykit.analysis.queues import stages
from pykit.analysis.requests import requests
from pykit.analysis.ring import picture_of
from pykit.analysis.sequence import Negotiation, around, negotiations
from pykit.report import charts, drawing
from pykit.spec import Verdict, Verdicts
from pykit.spec.view import View
from pykit.trace import Events

#: Violations that are drawn: a page has to stay small.
_DRAWN = 12
#: Queues that are drawn, and events of a trace from which they are.
_QUEUES, _EVENTS = 4, 300_000
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
class QueueFigure:
    """A queue over time, its latency by stage, and how long its requests took."""

    name: str
    charts: tuple[Markup, ...]


@dataclass(frozen=True)
class Figures:
    """All drawings.

    Attributes:
        rings: by rule.
        same: by rule, the one whose drawing shows its violation too.
        request: the life of a typical request, with its name.
        transport: what the survey saw, a line each.
    """

    rings: Mapping[str, RingFigure] = field(default_factory=dict)
    same: Mapping[str, str] = field(default_factory=dict)
    negotiations: tuple[NegotiationFigure, ...] = ()
    queues: tuple[QueueFigure, ...] = ()
    request: tuple[str, Markup] | None = None
    transport: tuple[str, ...] = ()


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
    survey = tuple(transport.lines(transport.devices(events)))
    queues, request = _queues(events)
    return Figures(rings, same, tuple(found[:_LIVES]), queues, request, survey)


def _queues(events: Events) -> tuple[tuple[QueueFigure, ...], tuple[str, Markup] | None]:
    """Draw queues and a request, unless the trace is so long that this would take seconds."""
    if events.base.height > _EVENTS or not {"add", "used"} <= events.frames.own.keys():
        return (), None
    # Lives follow one another: a queue is drawn over all of them.
    table = requests(events).with_columns(pl.lit(0, pl.UInt32).alias("life"))
    rows = stages(table).to_dicts()
    found = []
    for line in list(over_time(events, table))[:_QUEUES]:
        name = f"device {line.dev}, queue {line.vq}"
        mine = table.filter((pl.col("dev") == line.dev) & (pl.col("vq") == line.vq))
        whole = (mine["used"] - mine["add"]).drop_nulls().to_list()
        own = [row for row in rows if (row["dev"], row["vq"]) == (line.dev, line.vq)]
        drawn = [charts.queue(line)]
        if own:
            drawn.append(charts.latency(own, f"Latency by stage of {name}"))
        if whole:
            drawn.append(charts.histogram(whole, f"Requests of {name} by latency"))
        found.append(QueueFigure(name, tuple(drawn)))
    life = typical(table)
    request = (life[0], drawing.sequence(life[1], f"Life of {life[0]}")) if life else None
    return tuple(found), request


def _ring(view: View, verdict: Verdict) -> RingFigure | None:
    picture = picture_of(view, verdict.rows)
    if picture is None:
        return None
    steps = around(view, verdict.rows)
    events = drawing.sequence(steps, f"Events around {verdict.rule.id}") if steps else Markup("")
    return RingFigure(picture.name, tuple(map(drawing.panel, picture.panels)), events)
