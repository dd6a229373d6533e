# SPDX-License-Identifier: GPL-2.0-only
"""What looking on from outside costs: the access tracer, beside the same guest without it.

Guests with and without the observer are booted in turn; in each the kernel's own driver reads a
disk that QEMU answers from nothing. What is compared is the time an I/O takes.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from pykit import boot, kernels, modules
from pykit.boot.payload import GUEST
from pykit.boot.scenario import Device, Observer, Scenario, Step
from pykit.errors import InfraError
from pykit.trace.access import read_accesses

#: What the access tracer may cost.
LIMIT = 1.5
_IOS, _SAMPLES, _DEADLINE_S = 10_000, 4, 300.0
_DRIVER = "virtio_blk"


@dataclass(frozen=True)
class Observers:
    """Times of an I/O in ns, without and with the access tracer, in the order they were taken."""

    kernel: str
    plain: tuple[float, ...]
    traced: tuple[float, ...]
    #: Accesses to rings and registers an I/O.
    accesses: float

    @property
    def ratio(self) -> float:
        """Median with the tracer over the median without."""
        return statistics.median(self.traced) / statistics.median(self.plain)

    def as_json(self) -> dict[str, object]:
        """Times, and the ratio with its limit."""
        return {
            "kernel": self.kernel,
            "plain_ns": self.plain,
            "access_ns": self.traced,
            "accesses": round(self.accesses, 1),
            "ratio": round(self.ratio, 3),
            "limit": LIMIT,
        }

    def table(self) -> Table:
        """The same for a terminal."""
        table = Table(title=f"observers on {self.kernel}", box=None, header_style="bold")
        for column in ("4 KiB reads, depth 16", "median µs/IO", "min", "max", "ratio", "limit"):
            table.add_column(column, justify="left" if column.startswith("4") else "right")
        named = {
            "nobody": self.plain,
            f"access tracer ({self.accesses:.1f} accesses/IO)": self.traced,
        }
        for name, taken in named.items():
            table.add_row(
                name,
                *(f"{value / 1000:.1f}" for value in (statistics.median(taken), *_ends(taken))),
                *((f"{self.ratio:.2f}", f"{LIMIT:.1f}") if taken is self.traced else ("", "")),
            )
        return table


def observers(
    kernel_name: str | None, *, rounds: int, say: Callable[[str], None] = lambda _: None
) -> Observers:
    """Boot ``rounds`` guests of each sort in turn.

    Raises InfraError when a guest does not come to its end, or does not tell its figures.
    """
    kernel = kernels.resolve(kernel_name, progress=say)
    built = modules.build(kernel, progress=say)
    plain: list[float] = []
    traced: list[float] = []
    accesses = 0
    for _ in range(rounds):
        say("nobody looks on")
        plain += _boot(kernel, built.modules, (), say)[0]
        say("the access tracer looks on")
        taken, accesses = _boot(kernel, built.modules, ("access",), say)
        traced += taken
    return Observers(kernel.release, tuple(plain), tuple(traced), accesses / (_SAMPLES * _IOS))


def _boot(
    kernel: kernels.Kernel,
    built: tuple[Path, ...],
    observe: tuple[Observer, ...],
    say: Callable[[str], None],
) -> tuple[list[float], int]:
    """One guest: what an I/O took, sample by sample (ns), and how many accesses were seen."""
    prelude = f"IOS={_IOS}\n" + (GUEST / "bench.sh").read_text()
    lines = f"drive {_DRIVER}\n" + "measure stock randread\n" * (_SAMPLES + 1)
    scenario = Scenario(
        name="bench-observers",
        summary="fio on a null device, seen from outside or not",
        deadline_s=_DEADLINE_S,
        modules=("pykit_virtio_blk",),
        kernel_modules=("virtio_pci", _DRIVER),
        programs=("fio",),
        guest_programs=(),
        devices=(Device("vd0", "virtio-blk-pci", 64, {"num-queues": 1}, _DRIVER, backing="null"),),
        steps=(Step("plug", action="plug", device="vd0"), Step("read", prelude + lines)),
        parameters={},
        qemu_trace=False,
        cpus=1,
        observe=observe,
    )
    with tempfile.TemporaryDirectory(prefix="pykit-bench-") as folder:
        out = Path(folder) / "run"
        ended = boot.run(
            scenario, kernel=kernel, modules=built, out=out, runner="direct", progress=say
        )
        if ended.kind != "clean":
            raise InfraError(f"the bench's guest: {ended.kind}: {ended.message}")
        capture = out / "capture"
        said = json.loads((capture / "capture.json").read_text())["steps"][1]["output"]
        seen = read_accesses(capture, {"vd0": 0}, ()).rows.height if observe else 0
    rates = [float(line.split()[3]) for line in said.splitlines() if line.startswith("sample ")]
    if len(rates) != _SAMPLES + 1:
        raise InfraError(f"the bench's guest said no figures: {said!r}")
    # The first one translates the code that the others run.
    return [1e9 / rate for rate in rates[1:]], seen * _SAMPLES // (_SAMPLES + 1)


def _ends(taken: tuple[float, ...]) -> tuple[float, float]:
    return min(taken), max(taken)
