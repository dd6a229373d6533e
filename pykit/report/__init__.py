# SPDX-License-Identifier: GPL-2.0-only
"""Report verdicts and events: on a terminal, for CI systems and as a page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from pykit.errors import UsageError
from pykit.files import open_regular, parse_json, read_regular
from pykit.paths import write_atomically
from pykit.report import finding, html, junit, kcidb, ktap, sarif, terminal
from pykit.report.figures import figures_of
from pykit.report.view import view_of
from pykit.spec import Verdicts
from pykit.text import tail
from pykit.trace import Events

__all__ = ["finding_of", "prepare", "print_terminal", "write_all"]

#: Lines of the console at the end of report.html.
_CONSOLE_LINES = 100
#: Of a console, which may be huge, only so many bytes are looked at.
_CONSOLE_BYTES = 1 << 18


def prepare() -> None:
    """Compile the page's template."""
    html.template(html.PAGE)


def write_all(
    run_dir: Path,
    verdicts: Verdicts,
    events: Events,
    run_info: Mapping[str, Any] | None = None,
) -> None:
    """Write verdicts.json, results.ktap, junit.xml, kcidb.json, sarif.json and report.html into
    a run directory.

    Each file is whole or not there. ``run_info`` is what run.json says, which is read where
    it is not given; a directory without it, or without console.log, is reported without.

    Raises: OSError, where a file cannot be written.
    """
    if run_info is None:
        run_info = _run_info(run_dir / "run.json")
    view = view_of(verdicts, events, run_info, _console(run_dir / "console.log"))
    data = json.dumps(verdicts.as_json(), indent=2, sort_keys=True) + "\n"
    write_atomically(run_dir / "verdicts.json", data.encode())
    write_atomically(run_dir / "results.ktap", ktap.render(view).encode())
    write_atomically(run_dir / "junit.xml", junit.render(view))
    write_atomically(run_dir / "kcidb.json", kcidb.render(view).encode())
    write_atomically(run_dir / "sarif.json", sarif.render(view).encode())
    write_atomically(
        run_dir / "report.html", html.render(view, figures_of(verdicts, events)).encode()
    )


def print_terminal(
    console: Console,
    verdicts: Verdicts,
    events: Events,
    closing: Sequence[str] = (),
    *,
    verbose: bool = False,
) -> None:
    """Print a screen of failures, reasons and counts, with ``verbose`` all rules."""
    terminal.render(console, view_of(verdicts, events, {}, ""), closing, verbose=verbose)


def finding_of(run_dir: Path, verdicts: Verdicts, events: Events, rules: Sequence[str]) -> str:
    """Return a report for maintainers, in Markdown, about rules that failed or are waived.

    Without ``rules`` it is about those that failed.

    Raises: UsageError, where one of them did neither, or none failed.
    """
    rules = rules or finding.reportable(verdicts.rules, events.capture)
    if not rules:
        raise UsageError(f"{run_dir}: no rule failed; name one that is waived to report it")
    made = _run_info(run_dir / "run.json") or _run_info(run_dir / "drive.json")
    view = view_of(verdicts, events, made, "")
    return "\n".join(finding.render(view, rule) for rule in rules)


def _run_info(path: Path) -> Mapping[str, Any]:
    try:
        data = parse_json(read_regular(path))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _console(path: Path) -> str:
    try:
        with open_regular(path) as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _CONSOLE_BYTES))
            return tail(file.read().decode(errors="replace"), _CONSOLE_LINES)
    except OSError:
        return ""
