# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from pykit.report import terminal
from pykit.report.view import ReportView

from .conftest import EVIDENCE, make_row, make_view


def printed(
    view: ReportView, closing: Sequence[str] = (), *, verbose: bool = False, **options: Any
) -> str:
    stream = io.StringIO()
    console = Console(file=stream, highlight=False, **{"width": 80} | options)
    terminal.render(console, view, closing, verbose=verbose)
    return stream.getvalue()


def test_no_colour_where_there_is_no_terminal(view: ReportView) -> None:
    assert "\x1b" not in printed(view)
    assert "\x1b" in printed(view, force_terminal=True, color_system="standard")


@pytest.mark.parametrize("width", [80, 100, 200])
@pytest.mark.parametrize("tty", [False, True])
@pytest.mark.parametrize("verbose", [False, True])
def test_it_fits_and_says_all(view: ReportView, width: int, tty: bool, verbose: bool) -> None:
    text = printed(view, verbose=verbose, width=width, force_terminal=tty, color_system=None)
    assert all(len(line) <= width for line in text.splitlines())
    for row in view.rows:
        # Rules that passed, or had nothing to check, are in the reports.
        named = verbose or row.verdict not in ("pass", "not-applicable")
        assert (row.rule.id in text) == named
    for words in ("the chain of head 12 loops", "3 of 12,345", "desc", "no vhost observer"):
        assert words in text


def test_failures_stand_first_and_the_outcome_last(view: ReportView) -> None:
    lines = printed(view, ("guest: clean", "report: a/report.html")).splitlines()
    assert lines[0].startswith("FAIL SD-DR-02")
    assert lines[-6:] == [
        "passed by topic: split 1 of 3",
        "1 fail, 1 waived, 1 pass, 1 inconclusive, 1 not-applicable, of 5 rules",
        "23,456 events, 0 lost",
        "explain: pykit rules SD-DR-02",
        "guest: clean",
        "report: a/report.html",
    ]


CLOSING = ("guest: hang: the agent did not answer", "report: runs/20260102-030405-blk/report.html")
LONG = "device 0, life 0, queue 1: " + "the chain at head 12 loops and " * 20


@pytest.mark.parametrize("failures", [0, 1, 2, 5, 60])
@pytest.mark.parametrize("message", ["the chain loops", LONG])
@pytest.mark.parametrize("reasons", [0, 2, 60])
def test_a_run_ends_in_one_screen(failures: int, message: str, reasons: int) -> None:
    rows = [
        *(make_row("fail", n, message=message, evidence=EVIDENCE * 6) for n in range(failures)),
        *(make_row("waived", n, message=f"waiver {n}") for n in range(reasons)),
        *(make_row("inconclusive", n, message=f"{n} {message}") for n in range(reasons)),
        *(make_row("pass", n, topic=f"topic-{n % 16}") for n in range(80)),
        *(make_row("not-applicable", n, message=f"nothing {n}") for n in range(40)),
    ]
    losses = tuple(f"CPU {n}: 12 by overrun" for n in range(reasons))
    view = make_view(*rows, lost=12 * reasons, losses=losses)
    text = printed(view, CLOSING, force_terminal=True, color_system=None)
    assert len(text.splitlines()) <= 24
    assert text.splitlines()[-2:] == list(CLOSING)
    assert (" more failed: " in text) == (text.count("FAIL SD-DR") < failures)
    if failures == 1:
        assert "more events in the report" in text
        assert len(re.findall(r"^ {5} *\d+ ", text, re.MULTILINE)) >= 4


def test_rules_of_one_reason_are_one_entry() -> None:
    rows = [make_row("not-applicable", n, message="no packed ring") for n in range(1, 4)]
    text = " ".join(printed(make_view(*rows), verbose=True).split())
    assert "not-applicable 3: no packed ring: SD-DR-01 SD-DR-02 SD-DR-03" in text


def test_counts_do_not_split_a_reason() -> None:
    lost = "12 events lost: {} checked, {} looked wrong"
    rows = [make_row("inconclusive", n, message=lost.format(n, n // 3)) for n in range(4)]
    lines = printed(make_view(*rows)).splitlines()
    assert lines[:2] == [
        "inconclusive 3: 12 events lost: SD-DR-00 SD-DR-01 SD-DR-02",
        "inconclusive 1: 12 events lost: 3 checked, 1 looked wrong: SD-DR-03",
    ]


def test_losses_are_printed() -> None:
    text = printed(make_view(make_row(), lost=12, losses=("CPU 1: 12 by overrun",)))
    assert "lost: CPU 1: 12 by overrun" in text
    assert "12 lost" in text


def test_long_evidence_is_cut_and_says_so() -> None:
    view = make_view(make_row("fail", message="m", evidence=EVIDENCE * 10))
    assert "18 more events in the report" in printed(view, verbose=True)


def test_markup_in_a_message_is_no_markup() -> None:
    assert "[bold]x[/bold]" in printed(make_view(make_row("fail", message="[bold]x[/bold]")))


def test_nothing_to_say_is_said() -> None:
    assert printed(make_view()).splitlines() == [
        "0 fail, 0 pass, of 0 rules",
        "23,456 events, 0 lost",
    ]


def test_what_could_not_be_seen_is_said() -> None:
    capture = replace(make_view().capture, unseen=("ring watcher: indirect tables",))
    text = printed(make_view(capture=capture))
    assert "not seen by ring watcher: indirect tables" in text
