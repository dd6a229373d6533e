# SPDX-License-Identifier: GPL-2.0-only
"""The ring at the moment of a violation, and the events of both sides around it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pykit.analysis.ring import RingPicture, picture_of
from pykit.analysis.sequence import around, negotiations
from pykit.spec import Verdict
from pykit.spec.engine import judge
from pykit.spec.model import registered
from pykit.spec.view import View
from pykit.trace import load
from tests.spec.cases import CASES
from tests.trace.conftest import unpack

RULES = {rule.id: rule for rule in registered()}


def broken(rule: str, name: str) -> tuple[View, Verdict]:
    case = next(case for case in CASES if (case.rule, case.act.__name__) == (rule, name))
    log = case.clean()
    case.act(log)
    events = log.build()
    return View(events), judge(events, [RULES[rule]], ()).rules[0]


def marks(picture: RingPicture | None) -> dict[str, list[tuple[str, ...]]]:
    assert picture is not None
    found = {
        panel.title: [row.cells for row in panel.rows if row.marked] for panel in picture.panels
    }
    return {title: rows for title, rows in found.items() if rows}


@pytest.mark.parametrize(
    ("rule", "name", "expected"),
    [
        (
            "SD-DR-01",
            "loops",
            {
                "Descriptor table of 16": [
                    ("0", "0x10003031", "1", "NEXT WRITE", "0", "available")
                ],
                "Available ring": [("0", "0", "3", "available")],
            },
        ),
        ("DX-37", "takes_twice", {"Used ring": [("5", "5", "3", "21", "taken")]}),
        (
            "DX-11",
            "members_not_available",
            {"Packed ring of 16": [("1", "0x0", "32", "6", "NEXT", "0", "0", "1", "available")]},
        ),
        (
            "DX-10",
            "packed_out_of_turn",
            {
                "Packed ring of 16": [
                    ("1", "0x0", "1", "13", "0", "1", "1", "1", "written by the device out of turn")
                ]
            },
        ),
        (
            "DX-16",
            "withholds_notification",
            {
                "Notifications": [
                    ("device asks for", "avail_event 53"),
                    ("last decision", "idx 53 to 54"),
                    ("  it was", "notify"),
                    ("  notification", "none followed"),
                ]
            },
        ),
    ],
)
def test_the_violation_is_marked(
    rule: str, name: str, expected: dict[str, list[tuple[str, ...]]]
) -> None:
    view, verdict = broken(rule, name)
    assert marks(picture_of(view, verdict.rows)) == expected
    assert any(step.marked for step in around(view, verdict.rows))


def test_an_index_that_a_driver_read_is_marked_beside_the_entries() -> None:
    case = next(case for case in CASES if case.act.__name__ == "used_idx_goes_back")
    log = case.clean()
    log.of("callback", vq=0)[-1]["used_idx"] -= 7
    view = View(log.build())
    verdict = judge(view.events, [RULES["DX-03"]], ()).rules[0]
    (marked,) = marks(picture_of(view, verdict.rows)).items()
    assert marked[0] == "Used ring"
    assert marked[1][0][-1] == "used.idx as read"


def test_what_a_device_writes_out_of_turn_is_its_step() -> None:
    view, verdict = broken("DX-10", "packed_out_of_turn")
    (step,) = [step for step in around(view, verdict.rows) if step.marked]
    assert (step.side, step.text) == ("device", "writes slot 1, id 13, len 1")


def test_a_chain_is_followed_by_its_links() -> None:
    view, verdict = broken("SD-DR-01", "loops")
    picture = picture_of(view, verdict.rows)
    assert picture is not None
    assert [(row.slot, row.link) for row in picture.panels[0].rows] == [(0, 0), (3, 8), (8, 0)]


def test_whose_each_chain_is_by_the_accounts_of_both(tmp_path: Path) -> None:
    events = load(unpack("one-chain-a-kick.tar.xz", tmp_path) / "capture")
    view, rows = View(events), judge(events, [RULES["DX-39"]], ()).rules[0].rows
    picture = picture_of(view, rows)
    assert picture is not None
    available = next(panel for panel in picture.panels if panel.title == "Available ring")
    assert [(row.cells[0], row.cells[3], row.owner) for row in available.rows[-2:]] == [
        ("4", "back at the driver", "driver"),
        ("5", "available", "device"),
    ]
    assert available.notes == ("avail.idx 6", "by the device's log: 5 taken, 5 returned")
    steps = around(view, rows)
    assert (steps[-1].side, steps[-1].text, steps[-1].marked) == (
        "device", "asks for notifications", True,
    )  # fmt: skip
    assert [step.time for step in steps] == sorted(step.time or 0 for step in steps)


def test_a_violation_of_no_queue_has_no_ring() -> None:
    view, verdict = broken("FB-DR-01", "accepts_what_is_not_offered")
    assert picture_of(view, verdict.rows) is None
    assert picture_of(view, ()) is None
    (first, *_) = negotiations(view, frozenset(verdict.rows))
    assert first.unoffered
    assert any(step.marked for step in first.steps)
