# SPDX-License-Identifier: GPL-2.0-only
"""A connection ends with queues in use, and another goes on with them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pykit.drive import CaseResult, expand, read_tables
from pykit.drive.message_session import MessageSession
from pykit.drive.messages import MessageCase
from pykit.drive.reconnect import ReconnectCase, ReconnectRow
from pykit.drive.reconnect_session import ReconnectSession

from .test_faults import driven


def found_by(pattern: str, *arguments: str) -> dict[str, CaseResult]:
    """Results of the cases of a pattern with our back-end, by name."""
    cases = [c for c in expand(read_tables(), [pattern]) if isinstance(c, ReconnectCase)]
    with driven(*arguments) as (device, _):
        return {found.case.name: found for found in ReconnectSession(device).run(cases)}


def classes(found: dict[str, CaseResult]) -> Iterator[str]:
    for one in found.values():
        yield one.outcome.verdict if one.outcome else one.skipped


def test_chains_in_flight_come_back_once() -> None:
    found = found_by("flight-*") | found_by("reconnect-*")
    assert set(classes(found)) == {"handled"}, found
    assert len(found) == 2 * 8


def test_records_that_make_no_sense_end_nothing() -> None:
    found = found_by("record-*/reconnect/*")
    assert set(classes(found)) <= {"handled", "rejected", "stopped"}, found
    assert len(found) >= 16


@pytest.mark.parametrize(
    ("fault", "row"),
    [("inflight-ignored", "flight-overtaken"), ("inflight-kept", "flight-none")],
)
def test_a_wrong_record_is_seen(fault: str, row: str) -> None:
    found = found_by(f"{row}/reconnect/*", "--fault", fault)
    assert not all(one.right for one in found.values()), found


def test_messages_on_the_record() -> None:
    cases = [
        case
        for case in expand(read_tables(), ["record-*/message/*", "requests-*"])
        if isinstance(case, MessageCase)
    ]
    with driven() as (device, _):
        found = list(MessageSession(device).run(cases))
    assert len(found) == 9
    assert all(one.outcome is not None and one.right for one in found), found


def test_a_row_names_fields_that_there_are() -> None:
    with pytest.raises(ValueError, match="a packed queue's record has no field 'batch'"):
        ReconnectRow(name="x", does="", clause="vhost-user: SET_INFLIGHT_FD", record=["batch 1"])
