# SPDX-License-Identifier: GPL-2.0-only
"""Measure decoding and checking against `trace-cmd report` and libtraceevent's kbuffer.

All read the same trace.dat on the same core, one after the other, round by round. What counts
is the processor time of the whole process, its start included: other work on the machine
hardly changes it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table

from pykit.bench.generated import generate
from pykit.bench.lines import BenchLine
from pykit.errors import InfraError
from pykit.trace import tracedat
from pykit.trace.capture import read_info
from pykit.trace.tracing import read_tracing

PEER = "trace-cmd report"
KBUFFER = "kbuffer walk"
COLUMNS = "pykit: columns"
VERDICTS = "pykit: verdicts"
#: How many times the peer's events a second a release has to reach.
LIMITS = {COLUMNS: 15.0, VERDICTS: 3.0}
#: The peer needs minutes for more, and verdicts memory.
_PEER_MOST = 21_000_000

_DECODE = """
import sys
from pathlib import Path
from pykit.trace.batches import Decoder
from pykit.trace.guest import wanted
from pykit.trace.tracing import read_tracing
saved = read_tracing(Path(sys.argv[1]))
print(sum(len(batch.ts) for batch in Decoder(saved, wanted(saved.formats))))
"""
_CHECK = """
import sys
from pathlib import Path
from pykit import memory, spec, trace
memory.keep_freed()
print(spec.check(trace.load(Path(sys.argv[1]))).total)
"""


@dataclass(frozen=True)
class Timed:
    """The best round of one reader on one trace: seconds, and MiB of memory at its peak."""

    reader: str
    cpu: float
    wall: float
    peak: float


@dataclass(frozen=True)
class Read:
    """One trace and its readers."""

    trace: str
    events: int
    size: int
    readers: tuple[Timed, ...]

    def speed(self, reader: str) -> float | None:
        """Events a second of processor time."""
        found = [timed for timed in self.readers if timed.reader == reader]
        return self.events / found[0].cpu if found else None

    def ratio(self, reader: str) -> float | None:
        """Times the peer's speed."""
        peer, mine = self.speed(PEER), self.speed(reader)
        return mine / peer if peer and mine else None


@dataclass(frozen=True)
class Decode:
    """All traces."""

    rounds: int
    reads: tuple[Read, ...]

    def as_json(self) -> dict[str, object]:
        """Everything, with ratios and their limits."""
        return {
            "rounds": self.rounds,
            "peer": PEER,
            "limits": LIMITS,
            "traces": [
                {
                    **asdict(read),
                    "ratios": {timed.reader: read.ratio(timed.reader) for timed in read.readers},
                }
                for read in self.reads
            ],
        }

    def lines(self) -> Iterator[BenchLine]:
        """Yield the speed of decoding and of judging beside the peer's."""
        for read in self.reads:
            peer = read.speed(PEER)
            for reader, limit in LIMITS.items():
                speed = read.speed(reader)
                if speed and peer:
                    yield BenchLine(
                        reader, speed / 1e6, "M events/s", "higher", PEER, peer / 1e6, limit
                    )

    def table(self) -> Table:
        """The same for a terminal."""
        table = Table(title="decoding on one core", box=None, header_style="bold")
        for column in (
            *("trace", "reader"),
            *("CPU s", "wall s", "M events/s", "MB/s", "peak MiB", "ratio", "limit"),
        ):
            table.add_column(column, justify="left" if column in ("trace", "reader") else "right")
        for read in self.reads:
            name = f"{read.trace}, {read.events:,} events, {read.size / 1e6:,.0f} MB"
            for timed in read.readers:
                ratio, limit = read.ratio(timed.reader), LIMITS.get(timed.reader)
                table.add_row(
                    name,
                    timed.reader,
                    f"{timed.cpu:.2f}",
                    f"{timed.wall:.2f}",
                    f"{read.events / timed.cpu / 1e6:.2f}",
                    f"{read.size / timed.cpu / 1e6:.0f}",
                    f"{timed.peak:.0f}",
                    f"{ratio:.1f}" if ratio else "",
                    f"{limit:.0f}" if limit else "peer" if timed.reader == PEER else "",
                )
                name = ""
        return table


def decode(
    run: Path | None,
    *,
    events: Sequence[int],
    rounds: int,
    say: Callable[[str], None] = lambda _: None,
) -> Decode:
    """Time all readers on generated traces of so many ``events``, and on a run's own.

    Raises:
        InfraError: a reader is not there, fails or finds another number of events.
        UsageError: ``run`` is no run or capture.
    """
    if shutil.which("trace-cmd") is None:
        raise InfraError("trace-cmd is not installed: apt install trace-cmd")
    reads = []
    with tempfile.TemporaryDirectory(prefix="pykit-bench-") as folder:
        kbuffer = _build(Path(folder) / "kbuffer")
        for number in events:
            say(f"generating {number:,} events")
            capture = Path(folder) / "generated"
            made = generate(capture, number)
            reads.append(_read("generated", capture, made, kbuffer, rounds, say))
            shutil.rmtree(capture)
        if run is not None:
            capture = run / "capture" if (run / "capture").is_dir() else run
            read_tracing(capture / "tracing")  # says in one line what is wrong with it
            made = count(capture / "tracing")
            reads.append(_read(run.name, capture, made, kbuffer, rounds, say))
    return Decode(rounds, tuple(reads))


def count(path: Path) -> int:
    """Decode all columns of our own events of a trace, batch by batch; returns how many events."""
    return int(_time(COLUMNS, _columns(path))[1])


def _columns(path: Path) -> list[str]:
    return [sys.executable, "-c", _DECODE, str(path)]


def _build(target: Path) -> Path:
    source = Path(__file__).with_name("kbuffer.c")
    try:
        flags = subprocess.run(
            ["pkg-config", "--cflags", "--libs", "libtraceevent"],
            capture_output=True, text=True, check=True,
        ).stdout.split()  # fmt: skip
        subprocess.run(
            ["gcc", "-O2", "-o", str(target), str(source), *flags],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise InfraError(
            "kbuffer cannot be built: apt install gcc pkg-config libtraceevent-dev:"
            f" {said.strip().splitlines()[-1]}"
        ) from error
    return target


def _read(
    name: str,
    capture: Path,
    events: int,
    kbuffer: Path,
    rounds: int,
    say: Callable[[str], None],
) -> Read:
    info = read_info(capture)
    path = kbuffer.with_name("trace.dat")
    tracing = capture / "tracing"
    about = {"release": info.kernel, "clock": info.clock}
    tracedat.write_dat(path, tracing, endian=read_tracing(tracing).endian, **about)
    saved = read_tracing(path)
    parts = [part for file in saved.files for part in file.parts]
    places = [str(number) for part in parts for number in (part.offset, part.size)]
    layout = [str(saved.layout.page_size), str(saved.layout.long_size), "0"]
    commands = {
        KBUFFER: [str(kbuffer), str(path), *layout, *places],
        COLUMNS: _columns(path),
    }
    if events <= _PEER_MOST:
        commands[PEER] = ["trace-cmd", "report", "-i", str(path)]
        commands[VERDICTS] = [sys.executable, "-c", _CHECK, str(capture)]
    best: dict[str, Timed] = {}
    for turn in range(rounds):
        for reader, command in commands.items():
            timed, said = _time(reader, command)
            if reader in (KBUFFER, COLUMNS) and int(said.split()[0]) != events:
                raise InfraError(f"{reader}: {said.split()[0]} events of {events}")
            say(f"{name}, round {turn + 1}: {reader}: {timed.cpu:.2f} s")
            if reader not in best or timed.cpu < best[reader].cpu:
                best[reader] = timed
    return Read(name, events, path.stat().st_size, tuple(best.values()))


def _time(reader: str, command: Sequence[str]) -> tuple[Timed, str]:
    """Run a command on one core and take its own processor time; its output if it is short."""
    core = {min(os.sched_getaffinity(0))}
    started = time.monotonic()
    sink = subprocess.DEVNULL if reader == PEER else subprocess.PIPE
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=sink,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, core),
    )
    said = process.stdout.read().decode() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.stdout:
        process.stdout.close()
    if process.returncode:
        raise InfraError(f"{reader} ended with {process.returncode}: {' '.join(command[:3])}")
    cpu = usage.ru_utime + usage.ru_stime
    return Timed(reader, cpu, time.monotonic() - started, usage.ru_maxrss / 1024), said
