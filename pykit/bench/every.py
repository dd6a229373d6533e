# SPDX-License-Identifier: GPL-2.0-only
"""Run all measurements in one go: a table, stored as JSON, and compared with the last."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from rich.table import Table
from rich.text import Text

from pykit import __version__
from pykit.bench.decode import decode
from pykit.bench.drive import drive_rates
from pykit.bench.driver import driver
from pykit.bench.lines import BenchLine
from pykit.bench.matrix import matrix
from pykit.bench.observers import observers
from pykit.bench.startup import startup
from pykit.bench.vhost_user import vhost_user_rates
from pykit.errors import UsageError
from pykit.files import parse_json
from pykit.paths import runs_dir, write_atomically
from pykit.toml import choice

Say = Callable[[str], None]


class _Measured(Protocol):
    def lines(self) -> Iterable[BenchLine]: ...


#: The measurements by name, each short enough that all of them fit in half an hour.
_PARTS: Mapping[str, Callable[[str | None, Say], _Measured]] = {
    "startup": lambda kernel, say: startup(kernel, rounds=2, say=say),
    "matrix": lambda kernel, say: matrix(kernel, count=60, boots=2, say=say),
    "drive": lambda _, say: drive_rates(500, say=say),
    "vhost-user": lambda kernel, say: vhost_user_rates(kernel, rounds=3, say=say),
    "decode": lambda _, say: decode(None, events=[2_000_000], rounds=2, say=say),
    "observers": lambda kernel, say: observers(kernel, rounds=1, say=say),
    "driver": lambda kernel, say: driver(kernel, rounds=2, say=say),
}
ALL_PARTS = tuple(_PARTS)
#: Changes of less than this share are noise.
_NOISE = 0.05


@dataclass(frozen=True)
class EveryBench:
    """All lines of a run, and what each was compared by in the last run that had it."""

    lines: tuple[BenchLine, ...]
    last: Mapping[str, float]
    file: Path

    def as_json(self) -> dict[str, object]:
        """What the file holds, and where it is."""
        return {"file": str(self.file), "lines": [_described(line) for line in self.lines]}

    def table(self) -> Table:
        """The same for a terminal."""
        table = Table(title=f"stored in {self.file}", box=None, header_style="bold")
        for column in ("what", "value", "peer", "peer's", "ratio", "goal", "last", "change"):
            table.add_column(column, justify="left" if column in ("what", "peer") else "right")
        for line in self.lines:
            last = self.last.get(line.what)
            table.add_row(
                line.what,
                f"{_number(line.value)} {line.unit}",
                line.peer or "-",
                "-" if line.peer_value is None else _number(line.peer_value),
                "-" if line.ratio is None else _number(line.ratio),
                _goal(line),
                "-" if last is None else _number(last),
                _change(line, last),
            )
        return table


def every(
    kernel: str | None, *, parts: Sequence[str] = ALL_PARTS, say: Say = lambda _: None
) -> EveryBench:
    """Run the measurements one after the other and store them below ``runs/bench``.

    Raises:
        UsageError: no such part.
        InfraError: one of them fails: nothing is stored.
    """
    for part in parts:
        if part not in _PARTS:
            raise UsageError(choice(part, _PARTS, "part"))
    lines: list[BenchLine] = []
    for part in parts:
        say(f"{part}")
        lines += _PARTS[part](kernel, say).lines()
    folder = runs_dir() / "bench"
    last = _last(folder)
    now = datetime.datetime.now()
    file = folder / f"{now:%Y%m%d-%H%M%S}.json"
    data = {
        "schema": 1,
        "pykit": __version__,
        "cores": os.cpu_count(),
        "taken": now.astimezone().isoformat(timespec="seconds"),
        "lines": [_described(line) for line in lines],
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(file, (json.dumps(data, indent=1) + "\n").encode())
    return EveryBench(tuple(lines), last, file)


def _described(line: BenchLine) -> dict[str, object]:
    return asdict(line) | {"ratio": line.ratio, "compared": line.compared, "kept": line.kept}


def _last(folder: Path) -> dict[str, float]:
    """Return by what each line was compared in the newest file that has it."""
    found: dict[str, float] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            lines = parse_json(path.read_bytes())["lines"]
            found |= {str(line["what"]): float(line["compared"]) for line in lines}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path}: no results of a bench: {error}: move it away") from error
    return found


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _goal(line: BenchLine) -> Text:
    if line.goal is None:
        return Text("-")
    sign = "≤" if line.better == "lower" else "≥"
    return Text(f"{sign} {_number(line.goal)}", style="" if line.kept else "bold red")


def _change(line: BenchLine, last: float | None) -> Text:
    if not last:
        return Text("-")
    change = line.compared / last - 1
    if abs(change) < _NOISE:
        return Text(f"{change:+.0%}", style="dim")
    worse = (change > 0) == (line.better == "lower")
    return Text(f"{change:+.0%}", style="red" if worse else "green")
