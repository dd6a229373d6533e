# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pykit.errors import UsageError
from pykit.report import finding
from pykit.report.view import ReportView
from pykit.text import shown
from pykit.trace import CapturedOutcome

from .conftest import HOSTILE, PATIENT, make_row, make_view

COMMAND = ["/venv/bin/pykit", "run", "blk", "--kernel", "debian-6.12", "--to", "/secret", "-v"]


def failed(view: ReportView) -> str:
    return view.having("fail")[0].rule.id


def test_a_report_has_all_that_a_maintainer_needs(view: ReportView) -> None:
    view = replace(view, run={**view.run, "command": COMMAND, "qemu": "7.2.22", "pykit": "0.2.0"})
    (row,) = view.having("fail")
    text = finding.render(view, row.rule.id)
    for heading in ("What happens", "What the specification", "Where", "How to", "Events", "Can"):
        assert f"\n## {heading}" in text
    assert f"{row.violations:,} of {row.checked:,} checked places deviate" in text
    assert "- QEMU: 7.2.22" in text
    assert "- devices: virtio-blk-pci (num-queues=2)" in text
    # Where the reporter wrote to is nothing to repeat.
    assert "\npykit run blk --kernel debian-6.12 -v   # SD-DR-02: fail" in text
    assert "secret" not in text


def test_what_is_no_deviation_is_refused(view: ReportView) -> None:
    for verdict in ("pass", "inconclusive", "not-applicable"):
        with pytest.raises(UsageError, match="name a rule that failed or is waived"):
            finding.render(view, view.having(verdict)[0].rule.id)
    with pytest.raises(UsageError, match="unknown rule 'XX-00'"):
        finding.render(view, "XX-00")


@pytest.mark.parametrize("kind", ["panic", "splat", "qemu-died", "back-end-gone"])
def test_a_serious_end_is_not_for_the_public(view: ReportView, kind: str) -> None:
    assert "security" not in finding.render(view, failed(view))
    outcome = CapturedOutcome(kind, "it ended")
    view = replace(view, capture=replace(view.capture, outcome=outcome))
    assert "security" in finding.render(view, failed(view))


def test_a_run_of_drive_is_about_its_device(view: ReportView) -> None:
    devices = tuple(replace(device, driver="pykit-drive") for device in view.capture.devices)
    capture = replace(view.capture, devices=devices, qemu="./mine --socket '{socket}'")
    command = ["/venv/bin/pykit", "drive", "--seed", "7", "--to", "/secret", "--", "./mine"]
    run = {"target": "./mine", "classes": {"handled": 9}, "command": command}
    driven = replace(view, run=run, capture=capture)
    text = finding.render(driven, failed(view))
    assert "- device: ./mine --socket '{socket}'" in text
    assert "\npykit drive --seed 7 -- ./mine   #" in text
    assert "The driver is `pykit drive`" in text
    assert "security" not in text
    crashed = replace(driven, run={**run, "classes": {"handled": 8, "crashed": 1}})
    assert "security" in finding.render(crashed, failed(view))


def test_what_drive_does_wrong_on_purpose_is_nothing_to_report(view: ReportView) -> None:
    mine, held = make_row("fail", 1), make_row("pass", 3)
    its = make_row("fail", 2)
    its = replace(its, rule=replace(its.rule, side="device"))
    rows, devices = (mine, its, held), view.capture.devices
    assert finding.reportable(rows, view.capture) == [mine.rule.id, its.rule.id]
    devices = tuple(replace(device, driver="pykit-drive") for device in devices)
    assert finding.reportable(rows, replace(view.capture, devices=devices)) == [its.rule.id]


def test_a_side_that_deviates_as_well_may_be_the_cause(view: ReportView) -> None:
    (row,) = view.having("fail")
    assert "Unknown" in finding.render(view, row.rule.id)
    other = "device" if row.rule.side == "driver" else "driver"

    def beside(verdict: str) -> str:
        rule = replace(row.rule, id="ZZ-01", side=other)
        rows = (*view.rows, replace(row, rule=rule, verdict=verdict))
        return finding.render(replace(view, rows=rows), row.rule.id)

    assert f"The {other} kept all 1 rules of its side" in beside("pass")
    for verdict in ("fail", "waived"):
        assert "deviates as well (ZZ-01)" in beside(verdict)


@PATIENT
@given(st.text() | st.just(HOSTILE) | st.just("``````"))
def test_text_of_a_guest_is_no_markup(text: str) -> None:
    row = make_row("fail", message=shown(text), evidence=({"row": 1, "kind": "a", "name": text},))
    view = make_view(row)
    whole = finding.render(view, row.rule.id)
    assert not re.search(r"(?<!\\)<", whole.partition("## Events")[0])
    block = whole.partition("## Events")[2].partition("## Can")[0].strip().splitlines()
    assert set(block[0]) == {"`"}
    assert block[-1] == block[0]
    assert not any(block[0] in line for line in block[1:-1])
