# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from pykit.report import terminal
from pykit.report.view import View

from .conftest import EVIDENCE, make_row, make_view


def printed(view: View, **options: Any) -> str:
    stream = io.StringIO()
    terminal.render(Console(file=stream, highlight=False, **{"width": 80} | options), view)
    return stream.getvalue()


def test_no_colour_where_there_is_no_terminal(view: View) -> None:
    assert "\x1b" not in printed(view)
    assert "\x1b" in printed(view, force_terminal=True, color_system="standard")


@pytest.mark.parametrize("width", [80, 100, 200])
@pytest.mark.parametrize("tty", [False, True])
def test_it_fits_and_says_all(view: View, width: int, tty: bool) -> None:
    text = printed(view, width=width, force_terminal=tty, color_system=None)
    assert all(len(line) <= width for line in text.splitlines())
    for row in view.rows:
        assert row.rule.id in text
    for words in ("the chain of head 12 loops", "3 of 12,345", "desc", "no vhost observer"):
        assert words in text


def test_failures_stand_first_and_the_counts_last(view: View) -> None:
    lines = printed(view).splitlines()
    assert lines[0].startswith("FAIL SD-DR-02")
    assert " ".join(line.strip() for line in lines[-2:]) == (
        "1 fail, 1 waived, 1 pass, 1 inconclusive, 1 not-applicable, of 5 rules; "
        "23,456 events, 0 lost"
    )


def test_rules_of_one_reason_are_one_entry() -> None:
    rows = [make_row("not-applicable", n, message="no packed ring") for n in range(1, 4)]
    text = " ".join(printed(make_view(*rows)).split())
    assert "not-applicable 3: no packed ring: SD-DR-01 SD-DR-02 SD-DR-03" in text


def test_losses_are_told() -> None:
    text = printed(make_view(make_row(), lost=12, losses=("CPU 1: 12 by overrun",)))
    assert "lost: CPU 1: 12 by overrun" in text
    assert "12 lost" in text


def test_long_evidence_is_cut_and_says_so() -> None:
    text = printed(make_view(make_row("fail", message="m", evidence=EVIDENCE * 10)))
    assert "and 18 more events in the report" in text


def test_markup_in_a_message_is_no_markup() -> None:
    assert "[bold]x[/bold]" in printed(make_view(make_row("fail", message="[bold]x[/bold]")))


def test_nothing_to_say_is_said() -> None:
    assert "0 fail, 0 pass, of 0 rules" in printed(make_view())


def test_what_could_not_be_seen_is_said() -> None:
    capture = replace(make_view().capture, unseen=("ring watcher: indirect tables",))
    text = printed(make_view(capture=capture))
    assert "not seen by ring watcher: indirect tables" in text
