# SPDX-License-Identifier: GPL-2.0-only
"""Generated cases: decided by the seed, reduced to what is needed, and written to replay."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from pykit.drive import Case, CaseOutcome, CaseResult, Target, expand, fuzz, read_tables
from pykit.drive.fuzz import FOUND, reduced
from pykit.drive.mixed import MixedRow, as_toml, generate
from pykit.errors import Exit, UsageError

ROWS = read_tables().case
BY_NAME = {row.name: row for row in ROWS}
#: Writes behind the last buffer, in packed queues of eight alone.
FAULT = """\
from pykit.device.queue import PackedQueue


def change(step):
    if isinstance(step.queue, PackedQueue) and step.queue.size == 8 and step.chain.writable:
        address, length = step.chain.writable[-1]
        step.writes.append((step.memory.at(address + length, 1), b"\\xa5"))
"""


def mix(*names: str, **changes: Any) -> MixedRow:
    choices = {"where": "first", "when": "first", "ring": "split", "table": "indirect", "size": 16}
    return MixedRow(tuple(BY_NAME[name] for name in names), **{**choices, **changes})


def test_the_seed_decides() -> None:
    one, same, other = (list(islice(generate(ROWS, seed), 50)) for seed in (1, 1, 2))
    assert one == same != other
    assert {len(mixed.parts) for mixed in one} == {1, 2, 3}
    for mixed in one:
        assert all(mixed.ring in part.rings for part in mixed.parts)
        over_rings = any("address-of-" in part.spoil for part in mixed.parts)
        assert not over_rings or (len(mixed.parts), mixed.when) == (1, "first")


def test_what_is_legal() -> None:
    legal = mix("table-not-aligned", "table-writable")
    assert legal.row("a").accepted == ("handled",)
    assert "rejected" in mix("table-not-aligned", "next-itself").row("a").accepted


def test_a_row_comes_back_from_its_file(tmp_path: Path) -> None:
    mixed = mix("next-itself", "length-zero", "table-writable", size=64, when="later")
    row = mixed.row("generated-1-2")
    file = tmp_path / "found.toml"
    file.write_text(as_toml(row))
    tables = read_tables([file])
    assert tables.case == [row]
    assert list(expand(tables)) == [mixed.case("generated-1-2")]
    file.write_text(as_toml(row).replace('"length-zero"', '"length-nil"'))
    with pytest.raises(UsageError, match="unknown spoil 'length-nil'"):
        read_tables([file])


class Needs:
    """A session in which a case is trespassed where it has one spoil, in a queue of 64."""

    def anew(self, case: Case) -> CaseResult:
        wrong = "length-zero" in (case.row.spoil, *case.row.also) and case.size == 64
        return CaseResult(case, CaseOutcome("served", "queue", trespass="1 byte" if wrong else ""))


def test_only_what_is_needed_is_left() -> None:
    session: Any = Needs()
    mixed = mix("next-itself", "length-zero", "table-writable", size=64, when="later", ahead=1)
    small, outcome = reduced(session, mixed, CaseOutcome("served", "queue", trespass="1 byte"))
    assert small == mix("length-zero", size=64, table="direct")
    assert outcome.verdict == "trespassed"


@pytest.mark.slow
def test_a_fault_is_found_and_replays(tmp_path: Path) -> None:
    script = tmp_path / "fault.py"
    script.write_text(FAULT)
    command = (sys.executable, "-m", "pykit.cli", "device", "--socket", "{socket}")
    broken = Target("blk", command=(*command, "--script", str(script)))
    result = fuzz(broken, 60, tmp_path / "broken", progress=lambda _: None)
    assert result.exit_code == Exit.FAILED
    smallest = min(result.found, key=lambda found: len(found.row.model_dump_json()))
    assert smallest.outcome.verdict == "trespassed"
    assert smallest.row.rings == ["packed"]
    assert smallest.row.sizes == [8]
    assert smallest.row.also == []
    cases = list(expand(read_tables([tmp_path / "broken" / FOUND])))
    assert len(cases) == len(result.found)
    right = fuzz(Target("blk", command=command), 60, tmp_path / "right", progress=lambda _: None)
    assert right.exit_code == Exit.OK
    assert right.classes.total() == 60
