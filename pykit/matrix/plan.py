# SPDX-License-Identifier: GPL-2.0-only
"""What is to be run: cells, each one `pykit run` that anybody can repeat alone."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pykit.boot.axes import RINGS
from pykit.boot.transport import PCI, TRANSPORTS
from pykit.errors import UsageError

#: Our driver, and the kernel's own, which pykit_probe watches.
DRIVERS = ("pykit_virtio_blk", "virtio_blk")


@dataclass(frozen=True)
class Cell:
    """One combination of the axes."""

    #: The kernel, by the name that it is asked for with.
    kernel: str
    scenario: str
    #: What is tried, as the table has it.
    modules: str
    #: Options of `pykit run` beyond kernel and scenario, without dashes; values that are a
    #: run's own default are left out.
    options: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """Names the cell's files, and the cell to --only."""
        parts = (Path(self.kernel).name, self.scenario, *(value for _, value in self.options))
        return "-".join(parts)

    def option(self, name: str, default: str = "") -> str:
        """The value of an option, or what stands for its default."""
        return dict(self.options).get(name, default)

    @property
    def attached(self) -> str:
        """Transport and ring as the table has them; empty without a device."""
        if not self.option("driver"):
            return ""
        ring = self.option("ring")
        return self.option("transport", PCI.name) + (f", {ring}" if ring else "")

    def arguments(self, directory: Path) -> list[str]:
        """Of pykit, to run the cell into ``directory``."""
        given = [word for name, value in self.options for word in (f"--{name}", value)]
        fixed = ["--boot", "direct", "--kernel", self.kernel, "--to", str(directory)]
        return ["run", self.scenario, *fixed, *given]


def plan_kernels(kernels: Sequence[str]) -> tuple[Cell, ...]:
    """Kernels by modules by transports; a packed ring is one more column, on modern PCI."""
    cells = []
    for kernel in kernels:
        for driver in DRIVERS:
            label = driver if driver.startswith("pykit_") else f"{driver} (probe)"
            for transport in TRANSPORTS:
                options = (("driver", driver), ("transport", transport))
                cells.append(Cell(kernel, "blk", label, options))
            packed = (("driver", driver), ("transport", PCI.name), ("ring", RINGS[1]))
            cells.append(Cell(kernel, "blk", label, packed))
        cells.append(Cell(kernel, "vhost", "pykit_vhost"))
    return tuple(cells)


def chosen(cells: Iterable[Cell], pattern: str) -> tuple[Cell, ...]:
    """Cells whose name a shell pattern matches; raises UsageError where none is left."""
    cells = tuple(cells)
    kept = tuple(cell for cell in cells if fnmatch.fnmatchcase(cell.name, pattern))
    if not kept:
        names = ", ".join(cell.name for cell in cells[:3])
        raise UsageError(f"no cell is called {pattern}: the names are {names}, …")
    return kept
