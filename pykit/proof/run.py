# SPDX-License-Identifier: GPL-2.0-only
"""Run faults without a guest, as many at a time as there are CPUs, and judge what each did."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pykit import spec, trace
from pykit.drive import AnyCase, DrivenDevice, driven, expand, read_tables
from pykit.drive.access import RegisterCase
from pykit.drive.blk_rows import BlkCase
from pykit.drive.blk_session import BlkSession
from pykit.drive.carriers import PeerGoneError
from pykit.drive.carriers.pci import PciFunction
from pykit.drive.carriers.qtest import QtestCarrier
from pykit.drive.cases import Case
from pykit.drive.conforming import Conforming
from pykit.drive.driver import Shape
from pykit.drive.memory import SharedMemory
from pykit.drive.rare import RareForms
from pykit.drive.register_session import RegisterSession
from pykit.drive.session import Session
from pykit.drive.shaped import ShapedCase, ShapedSession
from pykit.errors import Exit, PykitError
from pykit.matrix.results import Fate, FaultCell
from pykit.processes import one_for_each_cpu
from pykit.proof.accessed import AccessedMemory
from pykit.proof.between import FaultyMachine
from pykit.proof.driver import Leaves
from pykit.proof.faults import DrivenFault, driven_faults
from pykit.proof.memory import FaultyMemory
from pykit.spec import bits
from pykit.trace.register_map import REGISTERS

if TYPE_CHECKING:
    from pykit.drive import CaseResult

#: How long a device may take for conforming requests, in seconds: a fault shows early, or in rows;
#: and after how many it has let so many requests wait that rare forms would take minutes.
_LONGEST, _DEAF = 6.0, 40.0
#: Lives of each layout: with everything, with nothing, with a queue that lists end with.
_SHAPES = {
    layout: tuple(
        Shape(packed, indirect=full, event_idx=full, size=size)
        for full, size in ((True, 16), (True, 4), (False, 16), (False, 4))
    )
    for layout, packed in (("split", False), ("packed", True))
}


#: The BAR in which QEMU has the structures of the modern interface, from the common one on.
_USUAL_BAR = 4


def run_faults(
    faults: Iterable[DrivenFault], directory: Path, say: Callable[[str], None]
) -> Iterator[FaultCell]:
    """Run faults, each into a directory of its own, and say which rules named each.

    What cannot be driven is an error of its cell.
    """
    with one_for_each_cpu() as pool:
        # A fault has functions that do not travel: its name does.
        running = [pool.submit(run_fault, fault.cell, directory) for fault in faults]
        for number, future in enumerate(running, 1):
            found = future.result()
            say(f"{number} of {len(running)}: {found.cell}")
            yield found


@cache
def _by_cell() -> dict[str, DrivenFault]:
    return {fault.cell: fault for fault in driven_faults()}


def run_fault(cell: str, directory: Path) -> FaultCell:
    """Run the fault of a cell, into a directory of its own, and say which rules named it.

    Raises:
        KeyError: no fault has this cell.
    """
    fault, run = _by_cell()[cell], directory / cell.partition("/")[2]
    try:
        skipped = _drive(fault, run)
    except PykitError as error:
        return _cell(fault, "error", (), (), (), str(error))
    if skipped:
        return _cell(fault, "void", (), (), (), skipped)
    verdicts = spec.check(trace.load(run / "capture"))
    sides = {rule.id: rule.side for rule in spec.rules()}
    failed = [v.rule.id for v in verdicts.rules if v.verdict == "fail"]
    named = tuple(name for name in failed if name in fault.rules)
    own = [name for name in failed if sides[name] in (fault.side, "both")]
    also = tuple(name for name in own if name not in named)
    other = tuple(name for name in failed if name not in own)
    return _cell(fault, _fate(fault, named, also, other), named, also, other, "")


def _fate(
    fault: DrivenFault, named: tuple[str, ...], also: tuple[str, ...], other: tuple[str, ...]
) -> Fate:
    if fault.source == "control":
        return "false-alarm" if also else "clean"
    if named:
        return "named"
    if also:
        return "other-rule"
    # The driver of these runs does on purpose what a device's faults need.
    return "wrong-side" if other and fault.side == "driver" else "survived"


def _cell(
    fault: DrivenFault,
    fate: Fate,
    named: tuple[str, ...],
    also: tuple[str, ...],
    other: tuple[str, ...],
    why: str,
) -> FaultCell:
    code = Exit.INFRA if fate in ("error", "void") else Exit.FAILED if named or also else Exit.OK
    return FaultCell(
        fault.cell, fault.source, fault.name, fault.side, fate, named, also, other, None,
        "", "", code, why or fault.does, "", fault.ring,
    )  # fmt: skip


def _drive(fault: DrivenFault, run: Path) -> str:
    """Do a run with a fault; return why it cannot be done, empty where it was."""
    log = None
    if fault.logged:
        run.mkdir(parents=True)
        log = run / "qemu.log"
    made = AccessedMemory if fault.traced else fault.memory or SharedMemory
    with driven(fault.target, made, log) as device:
        carrier = device.driver.carrier
        registers = fault.registers
        if registers is not None and isinstance(carrier, QtestCarrier):
            carrier.between = lambda machine: FaultyMachine(machine, registers)
        memory = device.driver.memory
        if isinstance(memory, FaultyMemory):
            memory.rings = lambda: device.driver.rings
        if isinstance(memory, AccessedMemory):
            memory.recorder, device.driver.recorder.traced = device.driver.recorder, True
        if fault.leaves:
            skipped = _leave(device, fault.leaves)
        elif fault.case is not None:
            skipped = _once(device, fault.case).skipped
        else:
            skipped = _serve(device, fault)
            if fault.waits:
                time.sleep(fault.waits)
                device.begin(Shape())
        if fault.leaves not in ("found", "assumed"):
            device.driver.end()
        device.driver.recorder.save(run / "capture", str(fault.target), "clean", fault.does)
    return skipped


def _leave(device: DrivenDevice, where: Leaves) -> str:
    """Look at a device, and leave it for good."""
    carrier = device.driver.carrier
    assert isinstance(carrier, QtestCarrier)
    try:
        carrier.look()
    except PeerGoneError:
        # There is no interface that this driver knows.
        if where == "assumed":
            function = PciFunction.find(carrier.machine)
            status = function.bars[_USUAL_BAR] + REGISTERS["common"]["status"].offset
            carrier.machine.write(status, bits.ACKNOWLEDGE | bits.DRIVER, 1)
    if where == "offer":
        device.begin(Shape(), "driver")
        carrier.offered()
        carrier.device.set_status(0)
    return ""


def _serve(device: DrivenDevice, fault: DrivenFault) -> str:
    """Drive a faulty device as a correct driver would, and by the rows that show the fault."""
    begun, wanted = time.monotonic(), fault.rows
    shapes = _SHAPES[fault.ring]
    with suppress(PeerGoneError):
        for _ in Conforming(device, 1).run(_silent, shapes[:1] if wanted else shapes):
            if time.monotonic() - begun > _LONGEST:
                break
        # Rare forms are none of a driver that does something wrong.
        if not wanted and fault.side == "device" and time.monotonic() - begun < _DEAF:
            RareForms(device, 1).run(_silent)
    if not wanted:
        return ""
    cases = [c for c in expand(read_tables()) if any(fnmatchcase(c.row.name, p) for p in wanted)]
    results = [_once(device, case) for case in _first_of_each(cases, fault)]
    if not results:
        return f"no row {wanted[0]} for {fault.ring} rings"
    return "" if any(result.outcome for result in results) else results[-1].skipped


def _first_of_each(cases: list[AnyCase], fault: DrivenFault) -> list[AnyCase]:
    found: dict[str, AnyCase] = {}
    for case in cases:
        layout = case.ring if isinstance(case, Case | BlkCase) else fault.ring
        moment = case.when if isinstance(case, Case) else ""
        if layout == fault.ring:
            found.setdefault(f"{case.row.name}/{moment}", case)
    return list(found.values())


def _once(device: DrivenDevice, case: AnyCase) -> CaseResult:
    """Run a case one time, as far as the device goes along."""
    if isinstance(case, Case):
        return Session(device).once(case)
    if isinstance(case, BlkCase):
        return BlkSession(device).once(case)
    if isinstance(case, ShapedCase):
        return ShapedSession(device).once(case)
    assert isinstance(case, RegisterCase), case.name
    return RegisterSession(device).once(case)


def _silent(_: str) -> None:
    """Report no progress of one run."""
