# SPDX-License-Identifier: GPL-2.0-only
"""Cases of vhost-user messages: their steps, and what our own back-end makes of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pykit.drive import expand, read_tables
from pykit.drive.good import read
from pykit.drive.memory import SharedMemory
from pykit.drive.message_session import MessageSession
from pykit.drive.messages import MessageCase, Sending, parse
from pykit.drive.requests import DriverRequest
from pykit.errors import UsageError
from tests.drive.test_faults import driven


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("SET_OWNER", Sending(3)),
        ("200 u64 0", Sending(200, (("u64", "0"),))),
        ("SET_FEATURES size 0xffffffff", Sending(2, size=0xFFFFFFFF)),
        ("GET_FEATURES cut 7", Sending(1, cut=7)),
        ("SET_VRING_KICK fd event fd null", Sending(12, fds=("event", "null"))),
        (
            "GET_VRING_BASE u32 0 u32 0 -> u32 0 u32 position",
            Sending(
                11, (("u32", "0"), ("u32", "0")), answer=(("u32", "0"), ("u32", "position"))
            ),
        ),
        ("GET_QUEUE_NUM -> u64 any", Sending(17, answer=(("u64", "any"),))),
    ],
)  # fmt: skip
def test_step(step: str, message: Sending) -> None:
    assert parse(step) == message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('steps = ["SET_NOTHING"]', "unknown message 'SET_NOTHING'"),
        ('steps = ["SET_OWNER u64"]', "a word without a value: 'u64'"),
        ('steps = ["SET_OWNER fd socket"]', "unknown words fd socket"),
        ('steps = []\nneeds = ["WINGS"]', "unknown protocol feature 'WINGS'"),
    ],
)
def test_wrong_table(change: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    head = '[[message]]\nname = "a"\ndoes = "b"\nclause = "vhost-user: X"\nat = "live"\n'
    path.write_text(head + change)
    with pytest.raises(UsageError, match=message):
        read_tables([path])


def test_own_back_end() -> None:
    names = ("base-is-position", "queue-number", "num-zero", "unknown-request", "log-of-nothing")
    names += ("base-twice", "kick-not-an-event", "config-far-beyond")
    cases = (c for c in expand(read_tables(), names) if isinstance(c, MessageCase))
    with driven() as (device, _):
        found = {result.case.row.name: result for result in MessageSession(device).run(cases)}
        assert device.peer is not None
        assert device.peer.starts == 1
    assert all(result.right for result in found.values())
    assert {name: r.outcome.verdict if r.outcome else r.skipped for name, r in found.items()} == {
        "base-is-position": "stopped",
        "base-twice": "stopped",
        "queue-number": "handled",
        "num-zero": "rejected",
        "unknown-request": "rejected",
        "kick-not-an-event": "rejected",
        "config-far-beyond": "handled",
        "log-of-nothing": "rejected",
    }


def test_first_requests_are_made_behind_a_row() -> None:
    (case,) = (c for c in expand(read_tables(), ("call-none",)) if isinstance(c, MessageCase))
    first: list[DriverRequest] = []

    def make(memory: SharedMemory, number: int) -> DriverRequest:
        first.append(read(memory, number))
        return first[-1]

    with driven() as (device, _):
        device.driver.kind = replace(device.driver.kind, prime=(make,))
        (found,) = MessageSession(device).run([case])
    assert found.outcome is not None
    assert (found.outcome.verdict, len(first)) == ("handled", 1)
