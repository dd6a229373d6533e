# SPDX-License-Identifier: GPL-2.0-only
"""Render report.html: one file that explains a run.

It loads nothing; its Content-Security-Policy enforces that. The template engine escapes all
text.
"""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from pykit.analysis.evidence import Slice, slice_of
from pykit.report.figures import Figures
from pykit.report.view import ORDER, ReportView, clauses_of
from pykit.text import printable, shown

#: The template of a run's page.
PAGE = "report.html.j2"
#: Entries of run.json that the page shows elsewhere or that do not help a reader.
_ELSEWHERE = frozenset({"schema", "outcome"})

#: Meanings of the verdicts, for the page's legend.
MEANINGS = {
    "fail": "the events show a violation",
    "waived": "violated, known and accepted with a reason",
    "pass": "checked as often as the count says, and satisfied each time",
    "inconclusive": "the evidence is not sufficient to decide",
    "not-applicable": "nothing in this run that the rule is about",
}


def render(view: ReportView, figures: Figures | None = None) -> str:
    """Return the whole page."""
    return template(PAGE).render(
        view=view,
        figures=figures or Figures(),
        order=ORDER,
        meanings=MEANINGS,
        slice_of=_events,
        clauses_of=clauses_of,
        facts=list(_facts(view)),
        run=list(_flat(view.run)),
        title=_title(view),
    )


def _events(rows: Sequence[Mapping[str, Any]]) -> Slice:
    """Return events as text; ``time`` repeats what the first column has."""
    return slice_of(rows, omit=frozenset({"time"}))


@cache
def template(name: str) -> Template:
    """Return a page's template, which escapes markup and what is not printable.

    A page puts its one style sheet and its one script into variables, and starts its head with
    ``policy(style, script)``: by their hashes the browser runs these and nothing else. Both must
    be text of the template alone, without a value of the run.
    """
    environment = Environment(
        loader=PackageLoader("pykit.report", "templates"),
        autoescape=True,
        finalize=_printable,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["policy"] = policy
    return environment.get_template(name)


def policy(style: str, script: str) -> Markup:
    """Return the Content-Security-Policy of a page that loads nothing."""
    rules = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}"
    # Elements carry numbers in their style attribute, such as the shade of a cell.
    rules += "; style-src-attr 'unsafe-inline'"
    return Markup('<meta http-equiv="Content-Security-Policy" content="{}">').format(rules)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _printable(value: Any) -> Any:
    """Escape a value that is put into a page, unless the template made it."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _facts(view: ReportView) -> Iterator[str]:
    """Yield what was tested, for the line below the heading."""
    capture = view.capture
    yield f"Linux {capture.kernel}"
    yield f"QEMU {capture.qemu}"
    for device in capture.devices:
        options = ", ".join(f"{name}={value}" for name, value in device.options.items())
        yield f"{device.id}: {device.type}{f' ({options})' if options else ''}, {device.driver}"


def _title(view: ReportView) -> str:
    what = str(view.run.get("scenario", "capture"))
    return f"{what}: {view.counts['fail']} failed, {view.counts['pass']} passed"


def _flat(run: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Yield entries of run.json as lines: nested names joined by blanks, commands quoted."""
    for name, value in run.items():
        label = f"{above} {name.replace('_', ' ')}".strip()
        if not above and name in _ELSEWHERE:
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, label)
        elif isinstance(value, list | tuple):
            texts = [str(item) for item in value]
            yield label, shown(shlex.join(texts) if "command" in name else ", ".join(texts))
        elif value is not None:
            yield label, shown(str(value))
