# SPDX-License-Identifier: GPL-2.0-only
"""All faults of runs without a guest: what has them, and the rules that fail for each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Literal

from pykit.device import DRIVEN, FAULTS
from pykit.drive import AnyCase, Target, expand, read_tables
from pykit.drive.access import RegisterCase, RegisterRow
from pykit.drive.blk_rows import BlkCase
from pykit.drive.cases import Case
from pykit.drive.emulated import kind_of
from pykit.drive.peer import DISK
from pykit.drive.shaped import ShapedCase
from pykit.mutants import rules_for
from pykit.proof.between import RegisterFault
from pykit.proof.driver import CONFORMING, DRIVER_FAULTS, ODD, Leaves
from pykit.proof.kept import KEPT_FAULTS
from pykit.proof.memory import ANSWER_FAULTS, FaultyMemory
from pykit.proof.registers import PACKED, REGISTER_FAULTS
from pykit.spec import rules
from pykit.spec.faults import Side
from pykit.trace.register_map import NAMES, REGISTERS

#: What has the fault: nothing, the back-end of `pykit device`, registers, what a device returns, a
#: driver, as far as a certain device shows it, a row of cases/, by which the driver has it.
Source = Literal["control", "back-end", "registers", "answers", "driver", "case"]
Layout = Literal["split", "packed"]
_LAYOUTS: tuple[Layout, ...] = ("split", "packed")
#: Devices of QEMU's by the transport that rows of registers are for.
_TRANSPORTS = {
    "pci": "virtio-blk-pci,num-queues=2",
    "mmio": "virtio-blk-device",
    "pci-legacy": "virtio-blk-pci,disable-modern=on,disable-legacy=off",
    "mmio-legacy": "virtio-blk-device,force-legacy=on",
}
_OTHERS = {
    "net": "virtio-net-pci", "scsi": "virtio-scsi-pci", "console": "virtio-serial-pci",
    "balloon": "virtio-balloon-pci", "input": "virtio-keyboard-pci", "rng": "virtio-rng-pci",
}  # fmt: skip


#: Keeps a disk in a file that the kit knows.
_DISK = ("--disk", DISK)
#: As many queues as any of the others has.
_QUEUES = ("--queues", "3")


@dataclass(frozen=True)
class DrivenFault:
    """A fault of a run without a guest.

    Attributes:
        name: of the fault, as its source has it.
        does: what the side does that has it.
        rules: ids of rules of which one at least has to fail.
        ring: the layout of the rings.
        target: what is driven.
        rows: names of rows of cases/ that are run as well; of a driver's fault the one that has it.
        registers: the fault in the device's registers.
        memory: makes the memory that both share.
        bugs: real bugs that it repeats, keys of mutants/real-bugs.toml.
        waits: seconds after which the device is used once more.
        leaves: where the driver leaves the device for good, if it is not used.
    """

    source: Source
    name: str
    does: str
    side: Side
    rules: tuple[str, ...]
    ring: Layout
    target: Target
    rows: tuple[str, ...] = ()
    case: AnyCase | None = None
    registers: RegisterFault | None = None
    memory: Callable[..., FaultyMemory] | None = None
    bugs: tuple[str, ...] = ()
    waits: float = 0
    leaves: Leaves = ""

    @property
    def logged(self) -> bool:
        """Whether QEMU logs what its device does: a rule needs that, or nothing is to fail."""
        return bool(self.target.qemu) and (self.source == "control" or self._needs("qemu:dev_"))

    @property
    def traced(self) -> bool:
        """Whether each access of the driver is written down: a rule needs that."""
        return self.memory is None and (self.source == "control" or self._needs("access:acc_ring"))

    def _needs(self, event: str) -> bool:
        needs = [need for rule in rules() if rule.id in self.rules for need in rule.needs]
        return any(need.startswith(event) and "|" not in need for need in needs)

    @property
    def cell(self) -> str:
        """Its name among all runs: ``driven/registers-magic-wrong``."""
        packed = "-packed" if self.ring == "packed" else ""
        return f"driven/{self.source}-{self.name}{packed}"


def _stored(names: tuple[str, ...]) -> bool:
    """Whether one of these rules needs to know what a disk's data are in."""
    return any("survey:survey_storage" in r.needs for r in rules() if r.id in names)


def _back_end(kind: str = "blk", *arguments: str) -> Target:
    command = (sys.executable, "-m", "pykit.cli", "device", "--socket", "{socket}", *arguments)
    return Target(kind, command=command, title=" ".join(("pykit device", *arguments)))


def driven_faults() -> Iterator[DrivenFault]:
    """Yield all of them: the controls, which have none, those of devices, those of drivers."""
    yield from _controls()
    for name, fault in FAULTS.items():
        named = DRIVEN.get(name)
        if named is None:
            continue
        for layout in _LAYOUTS:
            if fault.ring in ("both", layout) and not (fault.zoned and layout == "packed"):
                if named.rows and not _rows_of(named.rows, layout):
                    continue
                rules = rules_for(named.clauses)
                options = [
                    *(["--zones"] if fault.zoned else []),
                    *(_DISK if _stored(rules) else ()),
                ]
                target = _back_end("blk", *options, "--fault", name)
                yield DrivenFault(
                    "back-end", name, fault.does, "device", rules, layout,
                    target, named.rows, bugs=fault.bugs, waits=named.waits,
                )  # fmt: skip
    for name, wrong in (REGISTER_FAULTS | KEPT_FAULTS).items():
        target = Target(kind_of(wrong.device), qemu=wrong.device)
        yield DrivenFault(
            "registers", name, wrong.does, "device", wrong.rules, "split", target,
            wrong.rows, registers=wrong.fault, bugs=wrong.bugs, waits=wrong.waits,
        )  # fmt: skip
    for name, answer in ANSWER_FAULTS.items():
        qemu = answer.qemu or _OTHERS.get(answer.kind, "")
        target = Target(answer.kind, qemu=qemu) if qemu else _back_end(answer.kind, *_QUEUES)
        yield DrivenFault(
            "answers", name, answer.does, "device", answer.rules, answer.ring, target, answer.rows,
            memory=answer.memory, waits=answer.waits,
        )  # fmt: skip
    for name, one in DRIVER_FAULTS.items():
        target = Target("blk", qemu=one.qemu) if one.qemu else _back_end("blk", *one.arguments)
        yield DrivenFault(
            "driver", name, one.does, "driver", one.rules, one.ring, target,
            case=_first(one.row) if one.row else None, registers=one.registers, memory=one.memory,
            bugs=one.bugs, leaves=one.leaves,
        )  # fmt: skip
    yield from _cases()


@cache
def _every() -> tuple[AnyCase, ...]:
    return tuple(expand(read_tables()))


def _rows_of(patterns: tuple[str, ...], layout: Layout) -> bool:
    """Whether there is a row of these that is for rings of a layout."""
    return any(
        isinstance(case, Case | BlkCase)
        and case.ring == layout
        and any(fnmatchcase(case.row.name, pattern) for pattern in patterns)
        for case in _every()
    )


def _first(row: str) -> AnyCase:
    """Return the first case of a row."""
    return next(case for case in _every() if case.row.name == row)


def _controls() -> Iterator[DrivenFault]:
    """Yield correct devices: our own, and those of QEMU's that have faults in other runs."""
    nothing = "have no fault"
    for layout in ("split", "packed"):
        target = _back_end("blk", *_DISK)
        yield DrivenFault("control", "blk", nothing, "device", (), layout, target)
    yield DrivenFault(
        "control", "zones", nothing, "device", (), "split", _back_end("blk", "--zones", *_DISK)
    )
    for name, qemu in (_TRANSPORTS | _OTHERS).items():
        target = Target(kind_of(qemu), qemu=qemu)
        yield DrivenFault("control", name, nothing, "device", (), "split", target)
    target = Target("blk", qemu=PACKED)
    yield DrivenFault("control", "pci", nothing, "device", (), "packed", target)
    for name, (qemu, odd) in ODD.items():
        # A correct driver leaves a device alone that it finds nothing in.
        leaves: Leaves = "found" if name == "no-capabilities" else ""
        yield DrivenFault(
            "control",
            name,
            nothing,
            "driver",
            (),
            "split",
            Target("blk", qemu=qemu),
            registers=odd,
            leaves=leaves,
        )
    for row, (qemu, registers) in CONFORMING.items():
        case = _first(row)
        target = Target("blk", qemu=qemu)
        yield DrivenFault(
            "control", row, nothing, "device", (), "split", target, case=case, registers=registers
        )


#: Rules that are about one transport, by how their ids begin.
_OF_TRANSPORT = {
    "LG-": "pci-legacy", "MR-": "mmio", "MI-": "mmio", "MN-": "mmio", "PM-": "pci", "PQ-": "pci",
    "PK-": "pci", "PL-": "pci", "PR-": "pci", "DX-34": "pci",
}  # fmt: skip


def _about(rule: str, transport: str) -> bool:
    """Whether a rule can fail on a transport."""
    for beginning, only in _OF_TRANSPORT.items():
        if rule.startswith(beginning):
            return transport == only
    return transport in ("pci", "mmio")


#: Rules of links in tables, which packed rings have none of.
_SPLIT = {"DX-05", "DX-08"}


def _cases() -> Iterator[DrivenFault]:
    """Yield rows that break rules on the driver: the first case of each layout."""
    seen = set()
    for case in _every():
        row = case.row
        layout: Layout = case.ring if isinstance(case, Case | BlkCase) else "split"
        if not row.breaks or (row.name, layout) in seen:
            continue
        if layout == "packed" and set(row.breaks) <= _SPLIT:
            continue
        seen.add((row.name, layout))
        for name, target in _targets(case):
            yield DrivenFault(
                "case",
                name,
                row.does,
                "driver",
                tuple(row.breaks),
                layout,
                target,
                case=case,
            )


def _foreign(row: RegisterRow, transport: str) -> bool:
    """Whether a row accesses a register that a transport lacks."""
    structure = {"pci": "common", "pci-legacy": "legacy"}.get(transport, transport)
    words = {word for step in row.steps for word in step.split()[:4]} & set(NAMES)
    return not words <= {*REGISTERS[structure], "isr"}


def _targets(case: AnyCase) -> Iterator[tuple[str, Target]]:
    """Yield what a case is run against, each with a name of the case there."""
    name = case.row.name
    if isinstance(case, RegisterCase):
        wanted = case.row.breaks
        transports = [t for t in case.row.transports if any(_about(rule, t) for rule in wanted)]
        transports = [t for t in transports if not _foreign(case.row, t)]
        for transport in transports:
            place = name if len(transports) == 1 else f"{name}-{transport}"
            yield place, Target("blk", qemu=_TRANSPORTS[transport])
    elif isinstance(case, ShapedCase):
        device = case.row.device
        qemu = _OTHERS.get(device, "")
        yield name, Target(device, qemu=qemu) if qemu else _back_end(device, *_QUEUES)
    elif isinstance(case, BlkCase) and "blk-zoned" in case.row.accept:
        yield name, _back_end("blk", "--zones")
    else:
        yield name, _back_end()
