"""Measure the cost of each observer against the same guest without one.

Guests without and with each observer are booted in turn; in all of them the kernel's own driver
reads a disk that QEMU answers from nothing. What is compared is the time an I/O takes.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from pykit import kernels, modules
from pykit.bench.lines import BenchLine
from pykit.bench.shell import measuring
from pykit.errors import InfraError, UsageError
from pykit.kconfig.fragments import read_config
from pykit.modules import BroughtModules, closure
from pykit.record import compile_recorder
from pykit.run import run_scenario
from pykit.scenario.axes import PROBE
from pykit.scenario.model import Device, Observer, Scenario, Step
from pykit.trace.access import read_accesses
from pykit.upstream import CORE, build_core

#: Greatest cost of the access tracer.
LIMIT = 1.5
NONE, ACCESS, _BY_PROBE = "none", "access tracer", "probe"
_IOS, _SAMPLES, _DEADLINE_S = 10_000, 4, 300.0
_DRIVER = "virtio_blk"


@dataclass(frozen=True)
class _Look:
    """The observers in a guest."""

    observe: tuple[Observer, ...] = ()
    log: bool = False
    probe: bool = False
    recorder: bool = False
    #: Whether the core has trace events of its own, and whether they are on.
    core: bool = False
    core_on: bool = False


_LOOKS = {
    NONE: _Look(),
    "QEMU's log": _Look(log=True),
    "ring watcher": _Look(observe=("rings",)),
    ACCESS: _Look(observe=("access",)),
    _BY_PROBE: _Look(probe=True),
    "recorder": _Look(recorder=True),
    "core's events, off": _Look(core=True),
    "core's events": _Look(core=True, core_on=True),
}
#: Lines before and behind what is measured under the recorder; it hooks what is loaded by then.
_RECORD = """
/usr{program} -o /tmp/record.dat >/tmp/record.log 2>&1 &
recording='grep -q recording /tmp/record.log'
waited "$recording" || waited "$recording" || waited "$recording" || die "$(cat /tmp/record.log)"
"""
_RECORDED = """
kill -INT $!
waited 'grep -q written /tmp/record.log' || die "$(cat /tmp/record.log)"
rm /tmp/record.dat
"""


@dataclass(frozen=True)
class Observers:
    """Times of an I/O in ns by observer, in the order of measurement."""

    kernel: str
    times: Mapping[str, tuple[float, ...]]
    #: Accesses to rings and registers an I/O.
    accesses: float

    def ratio(self, name: str) -> float:
        """Median with an observer over the median without any."""
        return statistics.median(self.times[name]) / statistics.median(self.times[NONE])

    def as_json(self) -> dict[str, object]:
        """Times, the ratios, and the limit of the access tracer's."""
        return {
            "kernel": self.kernel,
            "accesses": round(self.accesses, 1),
            "observers": {
                name: {"ns": taken, "ratio": round(self.ratio(name), 3)}
                for name, taken in self.times.items()
            },
            "limit": {ACCESS: LIMIT},
        }

    def lines(self) -> Iterator[BenchLine]:
        """Yield an I/O under each observer beside one without any."""
        peer = statistics.median(self.times[NONE]) / 1000
        for name, taken in self.times.items():
            if name != NONE:
                median = statistics.median(taken) / 1000
                goal = LIMIT if name == ACCESS else None
                what = f"an I/O under the observer: {name}"
                yield BenchLine(what, median, "µs", "lower", "no observer", peer, goal)

    def table(self) -> Table:
        """The same for a terminal."""
        title = f"observers on {self.kernel}; {self.accesses:.1f} accesses an I/O"
        table = Table(title=title, box=None, header_style="bold")
        for column in ("4 KiB reads, depth 16", "median µs/IO", "min", "max", "ratio", "limit"):
            table.add_column(column, justify="left" if column.startswith("4") else "right")
        for name, taken in self.times.items():
            table.add_row(
                name,
                *(f"{ns / 1000:.1f}" for ns in (statistics.median(taken), min(taken), max(taken))),
                f"{self.ratio(name):.2f}",
                f"{LIMIT:.1f}" if name == ACCESS else "",
            )
        return table


def observers(
    kernel_name: str | None, *, rounds: int, say: Callable[[str], None] = lambda _: None
) -> Observers:
    """Boot ``rounds`` guests of each sort in turn.

    The core's own events are measured where the core is a module that the series of patches fits.
    Raises InfraError when a guest does not come to its end, or does not report its figures.
    """
    kernel = kernels.resolve(kernel_name, progress=say)
    built = modules.build(kernel, progress=say)
    traced = _with_events(kernel, say)
    looks = {name: look for name, look in _LOOKS.items() if traced or not look.core}
    if read_config(kernel.config).get("DEBUG_INFO_BTF") != "y":
        say(f"the recorder is left out: {kernel.release} has no BTF (CONFIG_DEBUG_INFO_BTF)")
        looks = {name: look for name, look in looks.items() if not look.recorder}
    times: dict[str, list[float]] = {name: [] for name in looks}
    accesses = 0
    for _ in range(rounds):
        for name, look in looks.items():
            say(f"observer: {name}")
            booted = traced if look.core and traced else kernel
            taken, seen = _boot(booted, built.modules, look, say)
            times[name] += taken
            accesses = seen or accesses
    medians = {name: tuple(taken) for name, taken in times.items()}
    return Observers(kernel.release, medians, accesses / (_SAMPLES * _IOS))


def _with_events(kernel: kernels.Kernel, say: Callable[[str], None]) -> kernels.Kernel | None:
    """Return the kernel with trace events in its core; None where it cannot have them."""
    if not closure(kernel, [CORE]):
        say(f"the core's own events are left out: the virtio core is built into {kernel.release}")
        return None
    try:
        core = build_core(kernel, say)
    except UsageError as error:
        say(f"the core's own events are left out: {error}")
        return None
    return BroughtModules(replaced={CORE: core}).into(kernel)


def _boot(
    kernel: kernels.Kernel,
    built: tuple[Path, ...],
    look: _Look,
    say: Callable[[str], None],
) -> tuple[list[float], int]:
    """One guest: what an I/O took, sample by sample (ns), and how many accesses were seen."""
    prelude = f"IOS={_IOS}\n" + measuring("bench")
    if look.probe:
        prelude += "echo 1 >$TRACING/events/pykit/enable\n"
    if look.core_on:
        prelude += "echo 1 >$TRACING/events/virtio_ring/enable\n"
    lines = f"drive {_DRIVER}\n" + "measure stock randread\n" * (_SAMPLES + 1)
    programs = ["fio"]
    if look.recorder:
        recorder = str(compile_recorder())
        programs.append(recorder)
        lines = _RECORD.format(program=recorder) + lines + _RECORDED
    scenario = Scenario(
        name="bench-observers",
        summary="fio on a null device, seen from outside or not",
        deadline_s=_DEADLINE_S,
        modules=(PROBE,) if look.probe else ("pykit_virtio_blk",),
        kernel_modules=("virtio_pci", _DRIVER),
        programs=tuple(programs),
        guest_programs=(),
        devices=(Device("vd0", "virtio-blk-pci", 64, {"num-queues": 1}, _DRIVER, backing="null"),),
        steps=(Step("plug", action="plug", device="vd0"), Step("read", prelude + lines)),
        parameters={PROBE: {"devices": _DRIVER}} if look.probe else {},
        qemu_trace=look.log,
        cpus=1,
        observe=look.observe,
    )
    with tempfile.TemporaryDirectory(prefix="pykit-bench-") as folder:
        out = Path(folder) / "run"
        ended = run_scenario(
            scenario, kernel=kernel, modules=built, out=out, runner="direct", progress=say
        )
        if ended.kind != "clean":
            raise InfraError(f"the bench's guest: {ended.kind}: {ended.message}")
        capture = out / "capture"
        said = json.loads((capture / "capture.json").read_text())["steps"][1]["output"]
        seen = read_accesses(capture, {"vd0": 0}, ()).rows.height if "access" in look.observe else 0
    rates = [float(line.split()[3]) for line in said.splitlines() if line.startswith("sample ")]
    if len(rates) != _SAMPLES + 1:
        raise InfraError(f"the bench's guest said no figures: {said!r}")
    # The first one translates the code that the others run.
    return [1e9 / rate for rate in rates[1:]], seen * _SAMPLES // (_SAMPLES + 1)
