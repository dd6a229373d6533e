# SPDX-License-Identifier: GPL-2.0-only
"""report.html in a browser: at two widths, by keyboard, with hostile names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pykit.report import html
from pykit.report.figures import figures_of
from pykit.spec import check
from pykit.trace import load
from tests.report.browser import CHROMIUM, Tab, browser
from tests.trace.conftest import unpack

from .conftest import HOSTILE, make_view
from .test_html import with_text

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium"),
]


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a queue that stands still."""
    folder = tmp_path_factory.mktemp("page")
    events = load(unpack("one-chain-a-kick.tar.xz", folder) / "capture")
    verdicts = check(events)
    view = make_view(*verdicts.rules)
    path = folder / "report.html"
    path.write_text(html.render(view, figures_of(verdicts, events)))
    return path


@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_and_loads_nothing(tab: Tab, page: Path, width: int) -> None:
    tab.open(page, width)
    assert tab.run("document.documentElement.scrollWidth") <= width
    assert not tab.seen("Runtime.exceptionThrown")
    assert not tab.seen("Log.entryAdded")
    asked = {request["request"]["url"] for request in tab.seen("Network.requestWillBeSent")}
    assert asked == {page.as_uri()}
    assert tab.run("document.querySelectorAll('svg.drawing').length") >= 5


def test_the_keyboard_reaches_drawings_and_filters(tab: Tab, page: Path) -> None:
    tab.open(page, 390)
    met = set()
    for _ in range(60):
        tab.press("Tab", 9)
        met.add(tab.run("document.activeElement.getAttribute('aria-label')"))
    assert "The ring at the violation of DX-39" in met
    assert "Filter the rules" in met
    tab.run("document.getElementById('words').focus()")
    before = tab.run("document.getElementById('shown').textContent")
    tab.call("Input.insertText", text="DX-39")
    after = tab.run("document.getElementById('shown').textContent")
    assert before != after
    assert after.startswith("1 of ")


def test_a_screen_reader_finds_the_rows_of_the_ring(tab: Tab, page: Path) -> None:
    tab.open(page, 1280)
    nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
    tables = {node["name"]["value"] for node in nodes if node["role"].get("value") == "table"}
    assert {"Available ring", "Used ring", "Notifications", "Descriptor table of 128"} <= tables


def test_passes_are_folded_until_asked_for(tab: Tab, page: Path) -> None:
    tab.open(page, 1280)
    rows = "[...document.querySelectorAll('tr[data-verdict={}]')].every(row => row.hidden)"
    hidden = rows.format("pass")
    assert tab.run(hidden)
    assert tab.run(rows.format("inconclusive"))
    assert not tab.run(rows.format("fail"))
    tab.run("document.querySelector('.filter input[value=pass]').click()")
    assert not tab.run(hidden)
    tab.run(
        "const side = document.querySelector('select[name=side]'); side.value = 'device';"
        "side.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    assert tab.run(
        "[...document.querySelectorAll('tr[data-verdict]')].filter(row => !row.hidden)"
        ".every(row => row.dataset.side === 'device')"
    )


def test_hostile_names_stay_text(tab: Tab, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(html.render(with_text(HOSTILE)))
    tab.open(path, 1280)
    assert not tab.seen("Page.javascriptDialogOpening")
    assert not tab.seen("Log.entryAdded")
    assert tab.run("document.scripts.length") == 1
