# SPDX-License-Identifier: GPL-2.0-only
"""Faults without a guest: each names what there is, and is named when it is run."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from pykit import spec
from pykit.device import DRIVEN, FAULTS
from pykit.drive import read_tables
from pykit.drive.carriers.registers import RegisterSpan
from pykit.drive.chain import Buffer
from pykit.drive.packed import PackedRing
from pykit.drive.record import Recorder
from pykit.drive.ring import RingFeatures
from pykit.drive.split import SplitRing
from pykit.mutants import all_mutants
from pykit.mutants.catalog import real_bugs
from pykit.proof import driven_faults, run_fault, run_faults
from pykit.proof.accessed import AccessedMemory
from pykit.proof.between import FaultyMachine, RegisterFault
from pykit.spec.kills import kills
from tests.drive.test_qtest import server

RULES = {rule.id for rule in spec.rules()}
ALL = {fault.cell: fault for fault in driven_faults()}


def test_names_are_unique() -> None:
    assert len(ALL) == len(list(driven_faults()))


def test_faults_name_rules_and_rows() -> None:
    rows = [row.name for row in read_tables().rows]
    for fault in ALL.values():
        assert set(fault.rules) <= RULES, fault.cell
        assert bool(fault.rules) != (fault.source == "control"), fault.cell
        assert set(fault.bugs) <= real_bugs().keys()
        for pattern in fault.rows:
            assert any(fnmatchcase(name, pattern) for name in rows), (fault.cell, pattern)
    assert DRIVEN.keys() <= FAULTS.keys()


def test_kills_are_of_rules_and_faults_that_there_are() -> None:
    known = {"mutant": {mutant.name for mutant in all_mutants()}}
    sides: tuple[spec.Side, ...] = ("driver", "device")
    known |= {f"{side}-fault": set(spec.faults(side)) for side in sides}
    known["back-end-fault"] = set(FAULTS)
    for fault in ALL.values():
        known.setdefault(fault.source, set()).add(fault.name)
    for rule, found in kills().items():
        assert rule in RULES
        for kill in found:
            assert kill.fault in known[kill.source], kill


def test_driven_kills_are_expected() -> None:
    """A rule that names a fault without a guest is one that the fault is there for."""
    wanted = {(f.source, f.name, f.ring): f.rules for f in ALL.values()}
    for rule, found in kills().items():
        for kill in found:
            if not kill.kernel:
                assert rule in wanted[kill.source, kill.fault, kill.ring], kill  # type: ignore[index]


@pytest.mark.parametrize(
    "cell",
    [
        "driven/control-blk",
        "driven/control-rng",
        "driven/back-end-length-zero",
        "driven/back-end-writes-readable-packed",
        "driven/back-end-zone-undefined",
        "driven/registers-magic-wrong",
        "driven/registers-vendor-other",
        "driven/registers-window-kept",
        "driven/registers-mmio-isr-swapped",
        "driven/registers-needs-reset-hidden",
        "driven/registers-size-not-taken",
        "driven/registers-served-early",
        "driven/answers-rng-empty",
        "driven/answers-input-event-short",
        "driven/answers-lists-swapped-packed",
        "driven/driver-functions-early",
        "driven/driver-left-alone",
        "driven/driver-list-decided-early-packed",
        "driven/control-notification-data-next",
        "driven/case-read-at-capacity",
        "driven/case-read-only-written",
        "driven/case-rng-readable",
    ],
)
def test_fault_is_named(cell: str, tmp_path: Path) -> None:
    found = run_fault(cell, tmp_path)
    assert found.fate == ("clean" if found.source == "control" else "named"), found
    assert (tmp_path / cell.partition("/")[2] / "capture").is_dir()


def test_faults_keep_their_order(tmp_path: Path) -> None:
    cells = ["driven/driver-functions-early", "driven/control-notification-data-next"]
    said: list[str] = []
    found = list(run_faults([ALL[cell] for cell in cells], tmp_path, said.append))
    assert [(one.cell, one.fate) for one in found] == [*zip(cells, ("named", "clean"), strict=True)]
    assert said == [f"{number} of 2: {cell}" for number, cell in enumerate(cells, 1)]


@pytest.mark.slow
@pytest.mark.parametrize("cell", [cell for cell in ALL if "zone" in cell or "lifetime" in cell])
def test_fault_of_zones_is_named(cell: str, tmp_path: Path) -> None:
    found = run_fault(cell, tmp_path)
    assert found.fate == ("clean" if found.source == "control" else "named"), found


@pytest.mark.parametrize("make", [SplitRing, PackedRing])
def test_accesses_are_cut_into_fields(make: type[SplitRing | PackedRing]) -> None:
    memory, recorder = AccessedMemory(), Recorder("virtio-blk-pci")
    recorder.begin()
    memory.recorder = recorder
    ring = make(memory, recorder, 0, 4, RingFeatures(event_idx=True))
    ring.lay_out()
    memory.rings = lambda: {0: ring}
    ring.expose(ring.draft([Buffer(memory.allocate(16), 16)]))
    ring.kick_needed()
    memory.close()
    found = [
        (event["area"], event["field"], event["slot"], event["value"], event["write"])
        for event in recorder.rows("acc_ring")
    ]
    address = ring.outstanding[0].slots[0][1].address
    split = [
        *[("desc", "addr", 0, address, 1), ("desc", "len", 0, 16, 1), ("desc", "flags", 0, 0, 1)],
        *[("desc", "next", 0, 0, 1), ("avail", "ring", 0, 0, 1), ("avail", "idx", None, 1, 1)],
        *[("used", "flags", None, 0, 0), ("used", "event", None, 0, 0)],
    ]
    packed = [
        *[("desc", "addr", 0, address, 1), ("desc", "len", 0, 16, 1), ("desc", "id", 0, 0, 1)],
        *[("desc", "flags", 0, 1 << 7, 1), ("used", "other", None, 0, 0)],
    ]
    assert found == (packed if make is PackedRing else split)


def test_registers_that_stand_between(tmp_path: Path) -> None:
    fault = RegisterFault(
        writes={"queue_size": lambda value, state: None if state.queue else value},
    )
    with server(tmp_path, *[b"OK\n"] * 4) as (qtest, heard):
        machine = FaultyMachine(qtest, fault)
        # Nothing is changed before the registers are found.
        machine.write(0x38, 4, 4)
        machine.watch((RegisterSpan(ports=False, base=0, length=0x100, structure="mmio"),))
        machine.write(0x30, 1, 4)
        machine.write(0x38, 8, 4)
        machine.write(0x30, 0, 4)
        machine.write(0x38, 8, 4)
    sent = [line.split()[1:] for line in heard]
    assert sent == [[b"0x38", b"0x4"], [b"0x30", b"0x1"], [b"0x30", b"0x0"], [b"0x38", b"0x8"]]
