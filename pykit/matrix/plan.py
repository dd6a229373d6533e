# SPDX-License-Identifier: GPL-2.0-only
"""What is to be run: cells, each one `pykit run` that anybody can repeat alone."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pykit.errors import UsageError
from pykit.kernels.catalog import FLAVOURS
from pykit.scenario.axes import RINGS
from pykit.scenario.transport import PCI, TRANSPORTS

#: The kernels that are supported, the default first.
KERNELS = tuple(flavour.name for flavour in FLAVOURS)

#: Our driver, and the kernel's own, which pykit_probe watches.
DRIVERS = ("pykit_virtio_blk", "virtio_blk")

#: What needs no device of QEMU's: the scenario, the module that it is for, and what that has
#: at its other end.
_ALONE = (
    ("vhost", "pykit_vhost", ""),
    ("selftest", "pykit_selftest", "soft"),
    ("loop-blk", "pykit_loopback", "vhost"),
    ("loop-net", "pykit_vhost_probe", "loopback"),
)

#: What is joined in one guest: the scenario, and where it can be chosen the driver; what the
#: table says of the driver, and of the back-end and how it is joined.
_PAIRS = (
    ("loop-blk", DRIVERS[0], DRIVERS[0], "pykit"),
    ("loop-blk", DRIVERS[1], "virtio_blk (probe)", "pykit"),
    ("loop-kill", DRIVERS[0], DRIVERS[0], "pykit, killed"),
    ("loop-kill", DRIVERS[1], "virtio_blk (probe)", "pykit, killed"),
    ("loop-irq", DRIVERS[0], DRIVERS[0], "pykit, irqs"),
    ("loop-irq", DRIVERS[1], "virtio_blk (probe)", "pykit, irqs"),
    ("loop-vduse", DRIVERS[0], DRIVERS[0], "pykit, VDUSE"),
    ("loop-vduse", DRIVERS[1], "virtio_blk (probe)", "pykit, VDUSE"),
    ("loop-net", "", "virtio_net (probe)", "net"),
    ("loop-vduse-net", "", "virtio_net (probe)", "net, VDUSE"),
    ("loop-scsi", "", "virtio_scsi (probe)", "scsi, bounced"),
    ("loop-vsock", "", "vsock (probe)", "vsock"),
)


@dataclass(frozen=True)
class Cell:
    """One combination of the axes."""

    #: The kernel, by the name that it is asked for with.
    kernel: str
    scenario: str
    #: What is tried, as the table has it.
    modules: str
    #: What that is attached to, as the table has it; empty for what needs nothing.
    attached: str = ""
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

    def arguments(self, directory: Path) -> list[str]:
        """Of pykit, to run the cell into ``directory``."""
        given = [word for name, value in self.options for word in (f"--{name}", value)]
        fixed = ["--boot", "direct", "--kernel", self.kernel, "--to", str(directory)]
        return ["run", self.scenario, *fixed, *given]


@dataclass(frozen=True)
class Plan:
    """Cells under a name, and how they are called."""

    name: str
    #: Heads of the table's columns for `modules` and `attached`.
    heads: tuple[str, str]
    cells: tuple[Cell, ...]

    def only(self, pattern: str) -> Plan:
        """The cells whose name a shell pattern matches; raises UsageError where none is left."""
        kept = tuple(cell for cell in self.cells if fnmatch.fnmatchcase(cell.name, pattern))
        if not kept:
            names = ", ".join(cell.name for cell in self.cells[:3])
            raise UsageError(f"no cell is called {pattern}: the names are {names}, …")
        return replace(self, cells=kept)


def plan_kernels(kernels: Sequence[str]) -> Plan:
    """Kernels by modules by transports; a packed ring is one more column, on modern PCI."""
    attachments = [*((to, "") for to in TRANSPORTS), (PCI.name, RINGS[1])]
    cells = []
    for kernel in kernels:
        for driver in DRIVERS:
            label = driver if driver.startswith("pykit_") else f"{driver} (probe)"
            for to, ring in attachments:
                attached = f"{to}, {ring}" if ring else to
                options = (("driver", driver), ("transport", to), ("ring", ring))
                given = tuple(option for option in options if option[1])
                cells.append(Cell(kernel, "blk", label, attached, given))
        cells += [Cell(kernel, *alone) for alone in _ALONE]
    return Plan("kernels", ("modules", "transport"), tuple(cells))


def plan_loopback(kernels: Sequence[str]) -> Plan:
    """Kernels by pairs of a driver and a vhost back-end of the same guest."""
    cells = []
    for kernel in kernels:
        for scenario, driver, label, back_end in _PAIRS:
            options = (("driver", driver),) if driver else ()
            cells.append(Cell(kernel, scenario, label, back_end, options))
    return Plan("loopback", ("driver", "back-end"), tuple(cells))
