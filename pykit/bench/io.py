# SPDX-License-Identifier: GPL-2.0-only
"""Compare ways from a guest to a disk: what a read costs, and how fast they are beside virtio-blk.

Two guests. In an ordinary one the paths are timed in turn, and their accesses, doorbells and
interrupts are counted; in the other one the clock counts instructions.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup
from rich.console import Group
from rich.table import Table

from pykit import kernels, modules
from pykit.bench.io_guest import PATHS, PEER, IoGuest, IoPath, IoReading
from pykit.bench.lines import BenchLine
from pykit.errors import InfraError
from pykit.paths import write_atomically
from pykit.qemu import accel, program
from pykit.report.svg import LINE, Svg

#: Requests in flight, and threads that have so many each.
_LOADS = {"depth 1": (1, 1), "depth 16": (16, 1), "2 x depth 16": (16, 2)}
_LATENCY, _DEEP = "depth 1", "depth 16"
_COUNTED = (_LATENCY, _DEEP)
_SECONDS, _MOST_S = 0.5, 60.0
_MOST_STALLS = 5
#: Requests of which accesses and instructions are counted.
_FEW, _SOME, _ANY = 320, 1000, 1 << 40

_STYLE = (
    "text{font:13px sans-serif;fill:#222}.note{fill:#666}.bar{fill:#2f6fb5}.peer{fill:#b5552f}"
    ".range{stroke:#222;stroke-width:1.5;fill:none}"
    "@media (prefers-color-scheme:dark){text{fill:#ddd}.note{fill:#999}.range{stroke:#ddd}}"
)
_LABELS, _BARS = 190, 380

#: Readings of a path by load, one a round.
Readings = Mapping[str, Mapping[str, Sequence[IoReading]]]


@dataclass(frozen=True)
class IoPaths:
    """All readings, by path and load, and what follows from them.

    Attributes:
        timed: nothing was watched.
        counted: accesses and doorbells were.
        clocked: in a guest whose clock counts instructions.
        stalls: readings left out because a request waited for its driver's time-out, by path.
    """

    kernel: str
    qemu: str
    accelerator: str
    timed: Readings
    counted: Readings
    clocked: Readings
    stalls: Mapping[str, int] = field(default_factory=dict)

    def each(self, path: str, load: str, what: str) -> list[float]:
        """What was counted for each request: a value for each round."""
        return [getattr(r, what) / r.requests for r in self.counted[path][load]]

    def instructions(self, path: str, load: str) -> list[float]:
        """Guest instructions a request, the program's own among them."""
        return [(r.span - r.idle) / r.requests for r in self.clocked[path][load]]

    def rates(self, path: str, load: str) -> list[float]:
        """Requests a second."""
        return [r.requests / r.ns * 1e9 for r in self.timed[path][load]]

    def speed(self, path: str, load: str) -> list[float]:
        """Requests a second over virtio-blk's of the same round."""
        pairs = zip(self.rates(path, load), self.rates(PEER, load), strict=True)
        return [mine / peer for mine, peer in pairs]

    def latency(self, path: str) -> list[float]:
        """Median latency of a lone request over virtio-blk's of the same round."""
        pairs = zip(self.timed[path][_LATENCY], self.timed[PEER][_LATENCY], strict=True)
        return [mine.median / peer.median for mine, peer in pairs]

    def scaling(self, path: str) -> list[float]:
        """Requests a second of two threads over those of one."""
        pairs = zip(self.rates(path, "2 x depth 16"), self.rates(path, _DEEP), strict=True)
        return [two / one for two, one in pairs]

    def exits(self, path: str, load: str) -> list[float]:
        """Accesses to registers a request, doorbells among them: exits under KVM."""
        bells = self.each(path, load, "doorbells")
        others = self.each(path, load, "accesses")
        return [bell + other for bell, other in zip(bells, others, strict=True)]

    def as_json(self) -> dict[str, object]:
        """All readings, and the medians of what the tables show."""
        heads = (*_WORK, *_SPEED)
        return {
            "kernel": self.kernel, "qemu": self.qemu, "accelerator": self.accelerator,
            "peer": PEER, "stalls": dict(self.stalls),
            "paths": {
                path: dict(zip(heads, map(statistics.median, self._row(path)), strict=True))
                for path in self.timed
            },
            "readings": {
                name: {
                    path: {load: [asdict(r) for r in all_] for load, all_ in loads.items()}
                    for path, loads in getattr(self, name).items()
                }
                for name in ("timed", "counted", "clocked")
            },
        }  # fmt: skip

    def lines(self) -> Iterator[BenchLine]:
        """Yield each path's rate beside virtio-blk's."""
        peer = statistics.median(self.rates(PEER, _DEEP))
        for path in self.timed:
            if path != PEER:
                rate = statistics.median(self.rates(path, _DEEP))
                yield BenchLine(f"reads by {path}", rate, "IOPS", "higher", PEER, peer)

    def table(self) -> Group:
        """The same for a terminal: medians, with the rounds' least and greatest values."""
        about = f"on {self.kernel}, QEMU {self.qemu}, {self.accelerator}"
        tables = []
        for title, heads, start in (
            (f"a read of 4 KiB, each {about}", _WORK, 0),
            (f"over {PEER}'s of the same round", _SPEED, len(_WORK)),
        ):
            table = Table(title=title, box=None, header_style="bold")
            table.add_column("path")
            for head in heads:
                table.add_column(head, justify="right")
            for path in self.timed:
                table.add_row(path, *map(_spread, self._row(path)[start : start + len(heads)]))
            tables.append(table)
        return Group(*tables, *self._left_out())

    def write(self, folder: Path) -> None:
        """Write the tables for Markdown, ``tables.md``, and plots, ``exits.svg``, ``speed.svg``."""
        folder.mkdir(parents=True, exist_ok=True)
        lines = []
        for heads, start in ((_WORK, 0), (_SPEED, len(_WORK))):
            lines += [f"| path | {' | '.join(heads)} |", "| --- |" + " ---: |" * len(heads)]
            for path in self.timed:
                cells = map(_spread, self._row(path)[start : start + len(heads)])
                lines.append(f"| {path} | {' | '.join(cells)} |")
            lines.append("")
        lines += self._left_out()
        plots = {
            "exits.svg": self._plot("exits a read, depth 1 (logarithmic)", 0, log=True),
            "speed.svg": self._plot(f"IOPS at depth 16, {PEER} = 1", len(_WORK) + 1, log=False),
        }
        for name, text in {"tables.md": "\n".join(lines), **plots}.items():
            write_atomically(folder / name, text.encode())

    def _left_out(self) -> list[str]:
        return [
            f"left out {count} readings of {path}: a request came back at the driver's time-out"
            for path, count in self.stalls.items()
        ]

    def _row(self, path: str) -> list[list[float]]:
        return [
            self.exits(path, _LATENCY), self.exits(path, _DEEP),
            self.each(path, _LATENCY, "interrupts"), self.each(path, _DEEP, "interrupts"),
            self.each(path, _LATENCY, "moved"),
            self.instructions(path, _LATENCY), self.instructions(path, _DEEP),
            self.latency(path), self.speed(path, _DEEP), self.speed(path, "2 x depth 16"),
            self.scaling(path),
        ]  # fmt: skip

    def _plot(self, title: str, column: int, *, log: bool) -> str:
        values = {path: self._row(path)[column] for path in self.timed}
        most = max(map(max, values.values()))

        def place(value: float) -> float:
            if log:
                return math.log10(1 + value) / math.log10(1 + most) * _BARS
            return value / most * _BARS

        svg = Svg(title)
        svg.text(2, 16, title)
        y = float(LINE)
        for path, each in values.items():
            middle = statistics.median(each)
            svg.text(2, y + 14, path)
            svg.rect(_LABELS, y + 3, place(middle), 13, "peer" if path == PEER else "bar")
            svg.line([(_LABELS + place(min(each)), y + 9.5), (_LABELS + place(max(each)), y + 9.5)],
                     "range")  # fmt: skip
            svg.text(_LABELS + place(max(each)) + 6, y + 14, _spread(each), "note")
            y += LINE
        drawn = svg.render(_LABELS + _BARS + 130, y + 6)
        head = Markup(
            "<!-- SPDX-License-Identifier: GPL-2.0-only -->\n"
            '<svg xmlns="http://www.w3.org/2000/svg" '
        )
        opening, _, rest = drawn.removeprefix("<svg ").partition(">")
        return f"{head}{opening}><style>{_STYLE}</style>{rest}\n"


_WORK = (
    "exits, depth 1", "exits, depth 16", "interrupts, depth 1", "interrupts, depth 16",
    "bytes through registers", "instructions, depth 1", "instructions, depth 16",
)  # fmt: skip
_SPEED = (
    "latency, depth 1", "IOPS, depth 16", "IOPS, 2 threads of depth 16", "2 threads over 1",
)  # fmt: skip


def io_paths(
    kernel_name: str | None, *, rounds: int, say: Callable[[str], None] = lambda _: None
) -> IoPaths:
    """Measure all paths ``rounds`` times in turn, on one kernel.

    Raises InfraError when a guest does not come up, or a path does not work.
    """
    kernel = kernels.resolve(kernel_name, progress=say)
    built = modules.build(kernel, progress=say).modules
    timed, counted, clocked = _none(), _none(), _none()
    stalls: Counter[str] = Counter()

    def take(guest: IoGuest, path: IoPath, load: str, **how: Any) -> IoReading:
        """Read until no request waited for a time-out; count how often one did."""
        depth, threads = _LOADS[load]
        while (done := guest.read(path, depth, threads, **how)).stalled:
            stalls[path.name] += 1
            say(f"{path.name}: a request came back at the driver's time-out")
            if stalls[path.name] == _MOST_STALLS:
                raise InfraError(f"{path.name}: requests are lost again and again")
        return done

    with IoGuest(kernel, built, icount=False) as guest:
        for number, path in _turns(rounds, say):
            for load in _LOADS:
                done = take(guest, path, load, requests=_ANY, seconds=_SECONDS)
                # The first round translates the code that the others run.
                if number:
                    timed[path.name].setdefault(load, []).append(done)
            for load in _COUNTED if number else ():
                watched = take(guest, path, load, requests=_FEW, seconds=_MOST_S, watch="doorbells")
                counted[path.name].setdefault(load, []).append(watched)
    say("counting instructions")
    with IoGuest(kernel, built, icount=True) as guest:
        for number, path in _turns(rounds, say):
            for load in _COUNTED:
                watched = take(guest, path, load, requests=_SOME, seconds=_MOST_S, watch="idle")
                if number:
                    clocked[path.name].setdefault(load, []).append(watched)
    accelerator = accel.probe(kernel.image)
    version = program.version()
    return IoPaths(kernel.release, version, accelerator, timed, counted, clocked, dict(stalls))


def _none() -> dict[str, dict[str, list[IoReading]]]:
    return {path.name: {} for path in PATHS}


def _turns(rounds: int, say: Callable[[str], None]) -> Iterator[tuple[int, IoPath]]:
    """Yield the paths in turn, after a round 0 that does not count."""
    for number in range(rounds + 1):
        say(f"round {number} of {rounds}" if number else "warming up")
        for path in PATHS:
            yield number, path


def _spread(values: Sequence[float]) -> str:
    """Return the median, and least and greatest where they differ from it in what is shown."""
    middle, least, most = (
        _number(value) for value in (statistics.median(values), min(values), max(values))
    )
    return middle if least == most else f"{middle} ({least}-{most})"


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value % 1 else f"{value:.0f}"
