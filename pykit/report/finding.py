# SPDX-License-Identifier: GPL-2.0-only
"""Write a deviation as a maintainer wants to read it: clause, versions, reproducer, events."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from pykit.analysis.evidence import slice_of
from pykit.errors import UsageError
from pykit.report.view import ReportView, clauses_of
from pykit.spec import Verdict
from pykit.text import shown
from pykit.trace import CapturedDevice, CaptureInfo

#: Commands of pykit that make a capture.
_REPEATED = (["run"], ["drive"])
#: Outcomes, and classes of `pykit drive`, in which memory may be corrupt, or a process ended.
_SERIOUS = frozenset({"panic", "splat", "qemu-died", "back-end-gone", "crashed", "trespassed"})
_OTHER = {"driver": "device", "device": "driver"}


def reportable(rows: Iterable[Verdict], capture: CaptureInfo) -> list[str]:
    """Return the rules that failed; of `pykit drive`, which does wrong on purpose, the device's."""
    failed = [row.rule for row in rows if row.verdict == "fail"]
    return [rule.id for rule in failed if not (capture.driven and rule.side == "driver")]


def render(view: ReportView, rule: str) -> str:
    """Return a Markdown report about one rule that failed or is waived in a run.

    Raises: UsageError, where the rule did neither.
    """
    row = next((row for row in view.rows if row.rule.id == rule), None)
    if row is None:
        raise UsageError(f"unknown rule {rule!r}: pykit rules lists them")
    if row.verdict not in ("fail", "waived"):
        raise UsageError(f"{rule} is {row.verdict} here: name a rule that failed or is waived")
    title = clauses_of(row)[0].text if row.rule.clauses else row.rule.title
    parts = [
        f"# The {row.rule.side} deviates from {rule}: {title}",
        *_caution(view),
        "## What happens",
        f"{plain(row.message)}\n\n{_counted(row)}",
        "## What the specification asks for",
        _clauses(row),
        "## Where it was seen",
        _versions(view),
        "## How to repeat it",
        _reproducer(view, row),
        "## Events",
        _events(row),
        "## Can the other side cause it?",
        _cause(view, row),
    ]
    return "\n\n".join(parts) + "\n"


def _caution(view: ReportView) -> list[str]:
    ends = {view.capture.outcome.kind, *(view.run.get("classes") or ())}
    serious = sorted(ends & _SERIOUS)
    if not serious:
        return []
    return [
        f"> The run ended with `{serious[0]}`: this may be a matter of security. Report it to the "
        "makers in private first, and publish nothing before they have answered."
    ]


def _counted(row: Verdict) -> str:
    counted = f"{row.violations:,} of {row.checked:,} checked places deviate."
    return f"{counted}\n\nSeen before: {plain(row.known)}." if row.known else counted


def _clauses(row: Verdict) -> str:
    known = [
        f"- VIRTIO specification, {clause.basis} ({clause.strength}): {clause.text}"
        for clause in clauses_of(row)
    ]
    return "\n".join([*known, "", row.rule.doc.strip()] if known else [row.rule.doc.strip()])


def _versions(view: ReportView) -> str:
    run, capture = view.run, view.capture
    kernel = run.get("kernel") if isinstance(run.get("kernel"), Mapping) else {}
    assert isinstance(kernel, Mapping)
    lines = {
        "guest kernel": kernel.get("release") or capture.kernel,
        ("device" if capture.driven else "QEMU"): run.get("qemu") or capture.qemu,
        "driver": ", ".join(map(str, run.get("drivers") or ())),
        "devices": ", ".join(map(_device, capture.devices)),
        "transport and ring": " ".join(
            str(run[key]) for key in ("transport", "ring") if key in run
        ),
        "pykit": run.get("pykit"),
        "date": str(run.get("started") or "")[:10],
    }
    return "\n".join(
        f"- {name}: {plain(shown(str(value)))}" for name, value in lines.items() if value
    )


def _device(device: CapturedDevice) -> str:
    """Return type and options of a device: a deviation may need one of them."""
    options = ",".join(f"{name}={value}" for name, value in sorted(device.options.items()))
    return f"{device.type} ({options})" if options else device.type


def _reproducer(view: ReportView, row: Verdict) -> str:
    command = _command(view.run.get("command"))
    if not command:
        return "The capture was recorded elsewhere: `pykit check` judges it again."
    return f"```sh\npip install virtio-pykit\n{command}   # {row.rule.id}: {row.verdict}\n```"


def _command(words: Any) -> str:
    """Return the command line of run.json if it is one of pykit's."""
    if not isinstance(words, list) or not words or not all(isinstance(w, str) for w in words):
        return ""
    head, *rest = words
    if head.rpartition("/")[2] not in ("pykit", "__main__.py") or rest[:1] not in _REPEATED:
        return ""
    kept, skip = [], False
    for word in rest:
        # Where the reporter wrote to is nothing to repeat.
        if skip or word == "--to":
            skip = not skip
        elif not word.startswith("--to="):
            kept.append(word)
    return shown(shlex.join(["pykit", *kept]))


def _events(row: Verdict) -> str:
    if not row.evidence:
        return "None: what should have been there was not."
    lines = slice_of(row.evidence).lines()
    # Text of a guest must not end the block.
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([fence, *lines, fence])


def plain(text: str) -> str:
    """Escape what Markdown would take for markup in text of a guest."""
    return re.sub(r"([<>`*_\[\]\\])", r"\\\1", text)


def _cause(view: ReportView, row: Verdict) -> str:
    other = _OTHER.get(row.rule.side)
    if other is None:
        return "The rule compares observers; it blames neither side."
    if view.capture.driven:
        return (
            "The driver is `pykit drive`. The rules judge the device by its conforming requests; "
            "what it does wrong on purpose is in `drive.json`."
        )
    broken = [row.rule.id for row in view.having("fail", "waived") if row.rule.side == other]
    if broken:
        return (
            f"Perhaps: the {other} deviates as well ({', '.join(broken)}). See whether this one "
            f"remains where the {other} conforms."
        )
    kept = sum(row.rule.side == other for row in view.having("pass"))
    if not kept:
        return f"Unknown: no rule of the {other}'s side was decided."
    return (
        f"The {other} kept all {kept} rules of its side that were checked: it takes no {other} "
        "out of the ordinary."
    )
