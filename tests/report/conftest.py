# SPDX-License-Identifier: GPL-2.0-only
"""A run to report on: one rule of every verdict, and a guest that says hostile things."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from pykit.report.view import ORDER, ReportView
from pykit.spec import Result, Rule, Verdict
from pykit.trace import CapturedDevice, CapturedOutcome, CapturedStep, CaptureInfo

#: For tests of any text: making its alphabet takes seconds on a busy machine, once.
PATIENT = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])

#: What a guest may print: a colour, a markup, a cursor movement, a bell.
HOSTILE = "\x1b[31m<script>alert(1)</script> [bold]x[/bold] # SKIP \x07&]]>\x1b[2J"

EVIDENCE: tuple[dict[str, Any], ...] = (
    {
        "row": 812,
        "ts": 1_000_000_000,
        "source": "driver",
        "kind": "add",
        "cpu": 1,
        "pid": 77,
        "dev": 0,
        "life": 0,
        "vq": 1,
        "seq": 40,
        "readable": 16,
        "writable": 4097,
        "chain": 3,
        "num_free": 253,
        "head": 12,
        "avail_idx": 7,
        "slots": 1,
        "indirect": 1,
    },
    {
        "row": 813,
        "ts": 1_000_003_400,
        "source": "driver",
        "kind": "desc",
        "dev": 0,
        "vq": 1,
        "seq": 41,
        "addr": 0x7F001000,
        "len": 48,
        "flags": 5,
        "table": 0,
    },
    {"row": 9000, "source": "qemu", "kind": "dev_status", "dev": 0, "status": 0x0B | 0x10},
)


def nothing(_view: object) -> Result:
    raise AssertionError("a report does not check")


def make_row(
    verdict: str = "pass",
    number: int = 1,
    *,
    title: str = "The driver's descriptor chains end: none of them loops.",
    topic: str = "split",
    **changes: Any,
) -> Verdict:
    rule = Rule(
        id=f"SD-DR-{number:02}",
        title=title,
        clauses=("SD-DR-01",),
        side="driver",
        strength="MUST NOT",
        topic=topic,
        needs=("driver:desc",),
        local=False,
        check=nothing,
    )
    return replace(Verdict(rule, verdict, 12_345, 0, ""), **changes)


def make_view(*rows: Verdict, **changes: Any) -> ReportView:
    capture = CaptureInfo(
        complete=True,
        clock="mono",
        cpus=2,
        kernel="6.12.0",
        qemu="7.2.22",
        outcome=CapturedOutcome("clean", "the guest powered off"),
        devices=(CapturedDevice("vd0", "virtio-blk-pci", {"num-queues": 2}, "pykit_virtio_blk"),),
        steps=(CapturedStep("fio-verify", 0, 1.25, "all good"),),
        qmp=(),
    )
    view = ReportView(
        rows=tuple(
            sorted(rows, key=lambda row: (ORDER.index(row.verdict), row.rule.topic, row.rule.id))
        ),
        counts={verdict: sum(row.verdict == verdict for row in rows) for verdict in ORDER},
        events=23_456,
        lost=0,
        losses=(),
        capture=capture,
        run={"scenario": "blk", "command": ["pykit", "run", "--to", "a b"], "seconds": 12.5},
        console="Linux version 6.12.0\nreboot: Power down",
    )
    return replace(view, **changes)


@pytest.fixture
def view() -> ReportView:
    """One rule of every verdict, in two topics."""
    return make_view(
        make_row("pass", 1),
        make_row("fail", 2, message="the chain of head 12 loops", violations=3, evidence=EVIDENCE),
        make_row("waived", 3, message="known: fixed in the next release", violations=1),
        make_row("inconclusive", 4, message="no vhost observer", checked=0, topic="notify"),
        make_row("not-applicable", 5, message="no packed ring", checked=0, topic="notify"),
    )
