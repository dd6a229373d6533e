# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

from pykit.matrix.results import MatrixView
from pykit.matrix.results.page import heats, render

from ..conftest import HOSTILE


class Reader(HTMLParser):
    """Ids in their order, what links to them, what would be loaded, and whether tags balance."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        reported = dict(attrs)
        self.ids += [reported["id"] or ""] if "id" in reported else []
        self.links += [reported["href"] or ""] if "href" in reported else []
        self.loaded += [value or "" for name, value in attrs if name in ("src", "srcset", "data")]
        if tag not in ("meta", "input", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing(view: MatrixView) -> None:
    page = render(view)
    read = Reader(page)
    assert read.open == []
    assert read.loaded == []
    assert not re.search(r"https?://|@import|url\(", page)
    assert len(set(read.ids)) == len(read.ids)
    assert {link[1:] for link in read.links if link.startswith("#")} <= {*read.ids}
    assert [link for link in read.links if not link.startswith("#")] == ["cells/blk.packed"]


def test_what_did_not_hold_comes_first_with_its_command(view: MatrixView) -> None:
    page = render(view)
    read = Reader(page)
    cells = [name for name in read.ids if "/" in name]
    # Those that held stand in the table of all cells.
    assert cells[:6] == [
        "blk/packed",
        "faults/unnoticed",
        "net/crash",
        "net/split",
        "net/packed",
        "blk/old-split",
    ]
    assert page.index('id="blk/packed"') < page.index('id="axes"') < page.index('id="cells"')
    assert '<pre class="command">pykit run blk/packed</pre>' in page
    assert "2 of 40" in page
    assert "device 0 life 0 queue 1 seq 12" in page


def test_nothing_that_a_guest_said_is_markup(view: MatrixView) -> None:
    page = render(view)
    assert HOSTILE not in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_every_pair_of_axes_has_its_heat_map(view: MatrixView) -> None:
    found = {frozenset((heat.rows, heat.columns)): heat for heat in heats(view)}
    # The axis fault has two values, and no cell without one.
    assert {*found} == {frozenset(p) for p in (("ring", "kernel"), ("ring", "fault"),
                                              ("kernel", "fault"))}  # fmt: skip
    heat = found[frozenset(("ring", "kernel"))]
    assert (heat.rows, heat.columns) == ("kernel", "ring")
    assert heat.heads == ("split", "packed")
    spots = dict(heat.lines)
    reported = {name: [s and (s.worst, s.held, s.possible) for s in spots[name]] for name in spots}
    assert reported == {
        "debian-6.12": [("failed", 2, 4), ("failed", 0, 2)],
        "debian-6.1": [("inconclusive", 0, 1), ("impossible", 0, 0)],
        "debian-7.2": [("failed", 0, 1), ("held", 1, 1)],
    }
    nowhere = found[frozenset(("ring", "fault"))]
    assert any(spot is None for _, spots in nowhere.lines for spot in spots)


def test_cells_by_rules_are_drawn_and_lead_to_their_cells(view: MatrixView) -> None:
    page = render(view)
    marks = re.findall(r'class="mark (\w+)"><title>([^:]+): (\S+)', page)
    drawn = {(judged, cell, rule) for judged, cell, rule in marks}
    columns = {rule for _, _, rule in drawn}
    assert drawn == {
        (entry.judged, cell.name, entry.rule.id)
        for cell in view.cells
        for entry in cell.rules
        if entry.rule.id in columns and entry.judged not in ("pass", "not-applicable")
    }
    assert any(judged == "fail" for judged, _, _ in drawn)
    for _, cell, _ in drawn:
        assert f'<a href="#{cell}"' in page


def test_of_many_cells_the_picture_comes_first_and_the_rest_is_folded(view: MatrixView) -> None:
    page = render(view)
    assert page.index('id="troubled"') < page.index('id="grid"')
    assert page.count("<details open><summary><h3>") == 6
    again = [replace(cell, planned=replace(cell.planned, name=f"{cell.name}-{n}"))
             for n in range(3) for cell in view.cells]  # fmt: skip
    many = render(replace(view, cells=tuple(again)))
    assert many.index('id="grid"') < many.index('id="troubled"')
    assert "<details open><summary><h3>" not in many
    assert re.search(r'value="failed" checked', many)
    assert re.search(r'value="held">', many)
    assert Reader(many).open == []
