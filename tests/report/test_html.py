# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from pykit.report import html
from pykit.report.figures import Figures, RingFigure
from pykit.report.view import ORDER, ReportView
from pykit.spec import CLAUSES
from pykit.trace import CapturedOutcome, CapturedStep

from .conftest import HOSTILE, PATIENT, make_row, make_view

_VOID = {"meta", "input", "br"}


class Page(HTMLParser):
    """Checks that tags nest, and keeps what stands between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.words += data

    @property
    def said(self) -> str:
        return " ".join(self.words.split())


def test_every_verdict_is_explained() -> None:
    assert set(html.MEANINGS) == set(ORDER)


def test_a_failure_is_explained_with_its_events(view: ReportView) -> None:
    page = Page(html.render(view))
    for words in (
        "The driver's descriptor chains end",
        "the chain of head 12 loops",
        "3 of 12,345 checked",
        CLAUSES["SD-DR-01"].text,
        CLAUSES["SD-DR-01"].basis,
        "flags=NEXT|INDIRECT",
        "dev 0, life 0, vq 1",
    ):
        assert words in page.said


def test_the_ring_is_drawn_once_for_the_same_events() -> None:
    figure = RingFigure("device 0, queue 1: split ring", (Markup("<svg></svg>"),), Markup(""))
    rows = [make_row("fail", number, message="wrong") for number in (2, 3)]
    figures = Figures({"SD-DR-02": figure}, {"SD-DR-03": "SD-DR-02"})
    page = Page(html.render(make_view(*rows), figures))
    assert [tag for tag, _ in page.tags].count("svg") == 1
    assert "device 0, queue 1: split ring, at that moment" in page.said
    assert "drawn at SD-DR-02" in page.said


def test_it_says_what_was_run_and_how_it_ended(view: ReportView) -> None:
    page = Page(html.render(replace(view, lost=5, losses=("CPU 0: 5 by overrun",))))
    for words in (
        "Linux 6.12.0 · QEMU 7.2.22 · vd0: virtio-blk-pci (num-queues=2), pykit_virtio_blk",
        "Guest: clean. the guest powered off",
        "CPU 0: 5 by overrun",
        "pykit run --to 'a b'",
        "fio-verify",
        "reboot: Power down",
        "no vhost observer",
        "no packed ring",
        "known: fixed in the next release",
    ):
        assert words in page.said


def test_it_loads_nothing(view: ReportView) -> None:
    text = html.render(view)
    assert not re.search(r"https?://|//[a-z]+\.|@import|url\(", text)
    for tag, attributes in Page(text).tags:
        assert tag not in ("link", "img", "iframe")
        assert "src" not in attributes
        if "href" in attributes:
            assert (attributes["href"] or "").startswith("#")


def test_every_rule_has_a_line_that_can_be_filtered(view: ReportView) -> None:
    rows = [a["data-verdict"] for tag, a in Page(html.render(view)).tags if "data-verdict" in a]
    assert rows == list(ORDER)


def with_text(text: str) -> ReportView:
    view = make_view(
        make_row("fail", message=text, evidence=({"kind": text, "extra": text},)),
        losses=(text,),
        console=text,
        run={"scenario": text, text: {text: [text]}},
    )
    steps = (CapturedStep(text, 1, 0.0, text),)
    return replace(
        view, capture=replace(view.capture, outcome=CapturedOutcome(text, text), steps=steps)
    )


def test_hostile_text_stays_text() -> None:
    page = Page(html.render(with_text(HOSTILE)))
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert page.said.count("<script>alert(1)</script>") >= 8


@PATIENT
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_text_leaves_the_page_whole(text: str) -> None:
    Page(html.render(with_text(text)))


def test_a_capture_without_run_json() -> None:
    page = Page(html.render(make_view(run={}, console="")))
    assert "What was run" not in page.said
    assert "End of the console" not in page.said


def test_what_could_not_be_seen_is_said() -> None:
    capture = replace(make_view().capture, unseen=("ring watcher: <indirect> tables",))
    assert (
        "Not seen by ring watcher: <indirect> tables"
        in Page(html.render(make_view(capture=capture))).said
    )


def test_it_says_how_well_the_clocks_agree(view: ReportView) -> None:
    text = "clocks aligned by 12 pairs: <0.1 µs"
    assert (
        "Clocks aligned by 12 pairs: <0.1 µs." in Page(html.render(replace(view, clocks=text))).said
    )


def test_the_policy_allows_this_script_and_this_style_alone(view: ReportView) -> None:
    text = html.render(view)
    (policy,) = (
        a["content"]
        for t, a in Page(text).tags
        if t == "meta" and "content" in a and "default-src" in str(a["content"])
    )
    for tag in ("style", "script"):
        (body,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in str(policy)
    assert "script-src 'unsafe-inline'" not in str(policy)
    assert policy == next(
        a["content"]
        for t, a in Page(html.render(make_view(make_row("fail", message="other")))).tags
        if t == "meta" and "default-src" in str(a.get("content"))
    )
