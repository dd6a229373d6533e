# SPDX-License-Identifier: GPL-2.0-only
"""Drawings are well-formed, and text in them stays text."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from pykit.analysis.ring import Panel, PanelRow
from pykit.analysis.sequence import DiagramStep, Side
from pykit.report import drawing

from .conftest import HOSTILE

CHAIN = (
    PanelRow(("0", HOSTILE), "driver", slot=0, link=3),
    PanelRow(("3", "b"), "device", marked=True, slot=3, link=9),
)


def cells(svg: str, role: str = "cell") -> list[str]:
    return [
        "".join(element.itertext())
        for element in ElementTree.fromstring(svg).iter()
        if element.get("role") == role
    ]


def test_a_panel_is_a_table_of_its_cells() -> None:
    svg = drawing.panel(Panel(HOSTILE, ("slot", "name"), CHAIN, ("note",)))
    texts = cells(svg)
    assert texts[1:3] == ["slot", "name"]
    assert sum("<script>alert(1)</script>" in text for text in texts) == 2
    assert "<script" not in svg
    # One link ends at a row, the other at a descriptor that is not drawn.
    assert (svg.count('class="link"'), svg.count("link marked open")) == (2, 1)


@pytest.mark.parametrize(("side", "points"), [("driver", 1), ("device", -1)])
def test_a_step_that_crosses_has_an_arrow(side: Side, points: int) -> None:
    step = DiagramStep(side, HOSTILE, 5_000, True, True, 1)
    svg = drawing.sequence((DiagramStep("driver", "adds", 1_000, False, False, 0), step), HOSTILE)
    assert "<script" not in svg
    assert cells(svg, "row")[0] == "µsdriverdevice"
    assert "4.0" in cells(svg)
    root = ElementTree.fromstring(svg)
    (line,) = [e for e in root.iter() if e.get("class") == "arrow" and e.tag.endswith("polyline")]
    xs = [float(point.split(",")[0]) for point in line.get("points", "").split()]
    assert (xs[1] - xs[0]) * points > 0
