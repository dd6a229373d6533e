# SPDX-License-Identifier: GPL-2.0-only
"""Compare our virtio-blk driver with the kernel's, and measure the cost of an enabled event.

Two guests, each with one hot-plugged disk that QEMU answers from nothing (null-co), which the
two drivers drive in turn. The first is an ordinary guest: fio's I/O rates are compared. In the
second the guest's clock counts instructions, one a nanosecond (``-icount shift=0``): what passes
between fio's first request and its last, without the time that the CPU was idle, is what the
requests cost. Idle time is from the trace (power:cpu_idle), which every kernel has.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rich.console import Group
from rich.table import Table

from pykit import kernels, modules
from pykit.bench.lines import BenchLine
from pykit.bench.shell import measuring
from pykit.errors import InfraError
from pykit.run import run_scenario
from pykit.scenario.model import Device, Scenario, Step

OURS, STOCK = "pykit_virtio_blk", "virtio_blk"
WORKLOADS = ("randread", "randwrite")
#: Greatest cost of ours against the stock driver.
LIMIT = 1.0
#: Counts of instructions that differ by no more than this from run to run decide.
REPEATABLE = 0.02
_IOS = 10_000
_DEADLINE_S = 900.0

Mode = Literal["stock", "ours", "events"]


@dataclass(frozen=True)
class Sample:
    """One run of fio."""

    mode: Mode
    workload: str
    #: What an I/O took: ns, by the rate that fio gives; or instructions.
    cost: float
    #: Events an I/O.
    events: float


@dataclass(frozen=True)
class Driver:
    """All samples, and what follows from them."""

    kernel: str
    rounds: int
    #: In the ordinary guest.
    timed: tuple[Sample, ...]
    #: In the guest with an instruction-counting clock.
    counted: tuple[Sample, ...]
    #: Queue attributes in which the drivers differ: name, (stock's, ours).
    differing: dict[str, tuple[str, str]] = field(default_factory=dict)

    def spread(self, workload: str) -> float:
        """How far apart equal runs' instructions are: (max - min) / median, the worse driver's."""
        worst = 0.0
        for mode in ("stock", "ours"):
            values = [sample.cost for sample in _of(self.counted, mode, workload)]
            worst = max(worst, (max(values) - min(values)) / statistics.median(values))
        return worst

    def instructions(self, mode: Mode, workload: str) -> float:
        """Median of the instructions an I/O, fio's and the kernel's own among them."""
        return statistics.median(sample.cost for sample in _of(self.counted, mode, workload))

    def instruction_ratio(self, workload: str) -> float:
        """Ours over stock's."""
        return self.instructions("ours", workload) / self.instructions("stock", workload)

    def time_ratio(self, workload: str) -> float:
        """Time an I/O, ours over stock's: the median of the rounds' own ratios."""
        pairs = zip(
            _of(self.timed, "ours", workload), _of(self.timed, "stock", workload), strict=True
        )
        return statistics.median(ours.cost / stock.cost for ours, stock in pairs)

    def decides(self, workload: str) -> Literal["instructions", "time"]:
        """The name of the ratio that decides."""
        return "instructions" if self.spread(workload) <= REPEATABLE else "time"

    def ratio(self, workload: str) -> float:
        """The ratio that decides."""
        if self.decides(workload) == "instructions":
            return self.instruction_ratio(workload)
        return self.time_ratio(workload)

    def event_cost(self, workload: str) -> dict[str, float]:
        """What an enabled event costs: instructions, and ns of the ordinary guest."""
        return {
            "instructions": _per_event(self.counted, workload),
            "ns": _per_event(self.timed, workload),
            "events per I/O": statistics.median(
                sample.events for sample in _of(self.counted, "events", workload)
            ),
        }

    def as_json(self) -> dict[str, object]:
        """Ratios with their limit, costs, and every sample."""
        return {
            "kernel": self.kernel,
            "peer": STOCK,
            "rounds": self.rounds,
            "ios": _IOS,
            "ratios": {
                workload: {
                    "instructions": round(self.instruction_ratio(workload), 4),
                    "spread": round(self.spread(workload), 4),
                    "time": round(self.time_ratio(workload), 3),
                    "decides": self.decides(workload),
                    "ratio": round(self.ratio(workload), 4),
                    "limit": LIMIT,
                }
                for workload in WORKLOADS
            },
            "instructions": {
                workload: {
                    mode: round(self.instructions(mode, workload))
                    for mode in ("stock", "ours", "events")
                }
                for workload in WORKLOADS
            },
            "event": {
                workload: {name: round(value, 1) for name, value in cost.items()}
                for workload in WORKLOADS
                for cost in [self.event_cost(workload)]
            },
            "differing": self.differing,
            "samples": {
                "timed": [vars(sample) for sample in self.timed],
                "counted": [vars(sample) for sample in self.counted],
            },
        }

    def lines(self) -> Iterator[BenchLine]:
        """Yield our driver's I/O beside the kernel's own, and the cost of an event."""
        for workload in WORKLOADS:
            ours, stock = (self.instructions(mode, workload) for mode in ("ours", "stock"))
            what = f"{workload} by {OURS}"
            yield BenchLine(what, ours, "instructions", "lower", STOCK, stock, LIMIT)
            cost = self.event_cost(workload)["instructions"]
            yield BenchLine(f"an enabled event, {workload}", cost, "instructions", "lower")

    def table(self) -> Group:
        """The same for a terminal."""
        ratios = Table(
            title=f"{OURS} over {STOCK} on {self.kernel}, {self.rounds} rounds",
            box=None, header_style="bold",
        )  # fmt: skip
        for column in (
            "4 KiB, depth 16", "stock instr/IO", "ours instr/IO", "ratio", "spread", "time ratio",
            "decides", "limit",
        ):  # fmt: skip
            ratios.add_column(column, justify="left" if column.startswith("4") else "right")
        for workload in WORKLOADS:
            ratios.add_row(
                workload,
                f"{self.instructions('stock', workload):.0f}",
                f"{self.instructions('ours', workload):.0f}",
                f"{self.instruction_ratio(workload):.4f}",
                f"{100 * self.spread(workload):.2f} %",
                f"{self.time_ratio(workload):.3f}",
                self.decides(workload),
                f"{LIMIT:.1f}",
            )
        events = Table(title="an enabled event", box=None, header_style="bold")
        for column in ("", "instructions", "ns", "events/IO"):
            events.add_column(column, justify="right" if column else "left")
        for workload in WORKLOADS:
            cost = self.event_cost(workload)
            events.add_row(
                workload,
                f"{cost['instructions']:.0f}",
                f"{cost['ns']:.0f}",
                f"{cost['events per I/O']:.1f}",
            )
        notes = [
            f"queue/{name}: {stock} under {STOCK}, {ours} under {OURS}"
            for name, (stock, ours) in self.differing.items()
        ]
        return Group(ratios, events, *notes)


def driver(
    kernel_name: str | None, *, rounds: int, say: Callable[[str], None] = lambda _: None
) -> Driver:
    """Measure on one kernel, ``rounds`` times each in turn.

    Raises InfraError when a guest does not come to its end, or does not report its figures.
    """
    kernel = kernels.resolve(kernel_name, progress=say)
    built = modules.build(kernel, progress=say)
    say("timing")
    timed = _boot(kernel, built.modules, rounds, False, say)
    say("counting instructions")
    counted = _boot(kernel, built.modules, rounds, True, say)
    stock, ours = _limits(counted, STOCK), _limits(counted, OURS)
    return Driver(
        kernel.release,
        rounds,
        tuple(_samples(timed, icount=False)),
        tuple(_samples(counted, icount=True)),
        {
            name: (stock.get(name, "-"), ours.get(name, "-"))
            for name in sorted(stock.keys() | ours.keys())
            if stock.get(name) != ours.get(name)
        },
    )


def _scenario(rounds: int, icount: bool) -> Scenario:
    """Bind in turn; each driver reads and writes, ours also with its events on."""

    def lines(name: str, mode: Mode) -> str:
        return f"drive {name}\n" + "".join(f"measure {mode} {what}\n" for what in WORKLOADS)

    prelude = f"IOS={_IOS}\n" + measuring("bench")
    steps = [Step("plug", action="plug", device="vd0")]
    for number in range(1, rounds + 1):
        events = "echo 1 >$TRACING/events/pykit/enable\n" + lines(OURS, "events")
        steps += [
            Step(f"stock-{number}", prelude + lines(STOCK, "stock")),
            Step(f"ours-{number}", prelude + lines(OURS, "ours")),
            Step(f"events-{number}", prelude + events),
        ]
    steps += [
        Step(f"limits-{name.replace('_', '-')}", prelude + f"drive {name}\nlimits\n")
        for name in (STOCK, OURS)
    ]
    options = {"num-queues": 1, "queue-size": 128}
    return Scenario(
        name="bench-driver",
        summary="fio on a null device, two drivers in turn",
        deadline_s=_DEADLINE_S,
        modules=(OURS,),
        kernel_modules=("virtio_pci", STOCK),
        programs=("fio",),
        guest_programs=(),
        devices=(Device("vd0", "virtio-blk-pci", 64, options, backing="null"),),
        steps=tuple(steps),
        parameters={},
        qemu_trace=False,
        # On which of several an interrupt comes is chance, and costs more than a driver.
        cpus=1,
        icount=icount,
    )


def _boot(
    kernel: kernels.Kernel,
    built: tuple[Path, ...],
    rounds: int,
    icount: bool,
    say: Callable[[str], None],
) -> dict[str, list[str]]:
    """Run it in a guest; return the lines of each step."""
    with tempfile.TemporaryDirectory(prefix="pykit-bench-") as folder:
        out = Path(folder) / "run"
        ended = run_scenario(
            _scenario(rounds, icount),
            kernel=kernel, modules=built, out=out, runner="direct", progress=say,
        )  # fmt: skip
        if ended.kind != "clean":
            raise InfraError(f"the bench's guest: {ended.kind}: {ended.message}")
        steps: list[dict[str, Any]] = json.loads((out / "capture/capture.json").read_text())[
            "steps"
        ]
    return {step["name"]: step["output"].splitlines() for step in steps}


def _samples(steps: dict[str, list[str]], *, icount: bool) -> Iterator[Sample]:
    for name, lines in steps.items():
        for line in lines:
            match line.split():
                case ["sample", ("stock" | "ours" | "events") as mode, workload, rate, *figures]:
                    took, idle, events = map(float, figures)
                    cost = (took - idle) / _IOS if icount else 1e9 / float(rate)
                    yield Sample(mode, workload, cost, events / _IOS)
                case ["sample", *_]:
                    raise InfraError(f"step {name} of the bench said {line!r}: no figures")


def _limits(steps: dict[str, list[str]], driver: str) -> dict[str, str]:
    (line,) = steps[f"limits-{driver.replace('_', '-')}"]
    return dict(item.split("=", 1) for item in line.split(";") if item)


def _of(samples: tuple[Sample, ...], mode: str, workload: str) -> list[Sample]:
    return [sample for sample in samples if (sample.mode, sample.workload) == (mode, workload)]


def _per_event(samples: tuple[Sample, ...], workload: str) -> float:
    """Return the extra cost of ours with events enabled per event: the rounds' median."""
    pairs = zip(_of(samples, "events", workload), _of(samples, "ours", workload), strict=True)
    return statistics.median((on.cost - off.cost) / on.events for on, off in pairs)
