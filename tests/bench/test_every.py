# SPDX-License-Identifier: GPL-2.0-only
"""`pykit bench all`: what is stored, and how it is compared with the last time."""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from pykit.bench import EveryBench
from pykit.bench.lines import BenchLine
from pykit.errors import UsageError

# The package exports a function of the same name.
bench = importlib.import_module("pykit.bench.every")


@dataclass(frozen=True)
class Fake:
    seconds: float

    def lines(self) -> Iterator[BenchLine]:
        yield BenchLine("start", self.seconds, "s", "lower", "bare", 10.0, 0.5)
        yield BenchLine("cases", 100 / self.seconds, "a minute", "higher", goal=30)


def shown(found: EveryBench) -> list[str]:
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(found.table())
    return [" ".join(line.split()) for line in console.export_text().splitlines()]


def test_the_next_run_is_compared_with_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    took = iter([4.0, 6.0])
    monkeypatch.setattr(bench, "_PARTS", {"startup": lambda _kernel, _say: Fake(next(took))})
    first = bench.every(None, parts=["startup"])
    assert "start 4 s bare 10 0.4 ≤ 0.5 - -" in shown(first)
    stored = json.loads(first.file.read_text())
    assert [(line["what"], line["ratio"], line["kept"]) for line in stored["lines"]] == [
        ("start", 0.4, True),
        ("cases", None, False),
    ]
    # Names of files are times: the next second is another file.
    first.file.rename(first.file.with_name("20000101-000000.json"))
    second = shown(bench.every(None, parts=["startup"]))
    assert "start 6 s bare 10 0.6 ≤ 0.5 0.4 +50%" in second
    assert "cases 16.7 a minute - - - ≥ 30 25 -33%" in second


def test_wrong_parts_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="unknown part 'speed'"):
        bench.every(None, parts=["speed"])
    monkeypatch.setattr(bench, "_PARTS", {"startup": lambda _kernel, _say: Fake(1.0)})
    folder = tmp_path / "runs/bench"
    folder.mkdir(parents=True)
    (folder / "0.json").write_text("[]")
    with pytest.raises(UsageError, match="no results of a bench"):
        bench.every(None, parts=["startup"])
