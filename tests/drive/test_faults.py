# SPDX-License-Identifier: GPL-2.0-only
"""The oracle proved: each fault of our own back-end is caught, and without one nothing is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pykit import spec, trace
from pykit.device import FAULTS
from pykit.drive import expand, read_tables
from pykit.drive.blk_rows import BlkCase
from pykit.drive.blk_session import BlkSession
from pykit.drive.carriers import PeerGoneError
from pykit.drive.carriers.vhost_user import VhostUserCarrier
from pykit.drive.cases import Case
from pykit.drive.conforming import Conforming, Deviation
from pykit.drive.driver import Shape, VirtioDriver
from pykit.drive.growth import leaks
from pykit.drive.kinds import kind_of
from pykit.drive.lives import DrivenDevice
from pykit.drive.memory import SharedMemory
from pykit.drive.message_session import MessageSession
from pykit.drive.messages import MessageCase
from pykit.drive.peer import Peer
from pykit.drive.rare import RareForms
from pykit.drive.record import Recorder
from pykit.drive.session import Session
from pykit.mutants.catalog import real_bugs

SHAPES = (Shape(packed=False), Shape(packed=True))
#: Lists end with the ring where that is small.
SMALL = (Shape(packed=True, indirect=False, size=4),)
PLAIN = tuple(Shape(packed, indirect=False, event_idx=False, size=16) for packed in (False, True))
SIZES = (Shape(size=4), Shape(size=16))
MORE_SHAPES = {
    "asks-by-offset": PLAIN,
    "disable-ignored": PLAIN,
    "index-kept": SIZES,
    "size-kept": SIZES,
    "wrap-kept": SMALL,
}
#: Faults that a driver sees in the used buffers of conforming requests, and those that the rules
#: name by their ids.
BY_RULE = {
    "status-undefined": {"DX-23"},
    "length-short": {"DX-25"},
    "length-zero": {"DX-25"},
    "length-greater": {"DX-06"},
    "length-huge": {"DX-06"},
    "capacity-unannounced": {"BO-DE-02"},
    "index-ahead": {"DX-01", "DX-03"},
    "read-only-written": {"BO-DE-03"},
    "writeback-kept": {"BI-DE-03"},
    "length-late": {"SU-DE-01", "PD-DE-04"},
    "pieces-reversed": {"MF-DE-01", "PS-DE-01"},
    "event-obeyed": {"NU-DE-01"},
    "flag-obeyed": {"NU-DE-04"},
    "writes-descriptor": {"SD-DE-04"},
    "flags-undefined": {"NA-DE-01", "NA-DE-03"},
    "refuses-features": {"FB-DE-02"},
    "offers-other-type": {"FB-DE-04"},
    "offers-reserved": {"FB-DE-04"},
    "no-flush": {"BI-DE-01"},
    "no-version-1": {"RF-DE-01"},
    "cache-control-alone": {"BI-DE-02"},
    "data-late": {"DX-23"},
    "entry-late": {"SU-DE-01", "PD-DE-04"},
    "asks-by-offset": {"DX-14"},
    "flag-beside-event": {"NA-DE-03"},
    "id-wide": {"DX-01"},
    "index-not-zero": {"DX-03"},
    "length-readable": {"DX-06"},
    "num-queues-0": {"DX-24"},
    "unused0-1": {"BI-DE-04"},
    "write-flag-lost": {"DX-79"},
}
#: An interrupt too many is only known to be one with the device's side of the story; two keep
#: their driver waiting, and have a class below or none; what is put back at once is met by chance;
#: others show with a case of their own.
PUT_BACK = {name for name, fault in FAULTS.items() if fault.beside is not None}
ALONE = {
    "beyond-end",
    "capacity-changes",
    "discard-refused",
    "floods",
    "flush-swallowed",
    "flush-unsupported",
    "header-alone",
    "id-length-1",
    "inflight-ignored",
    "inflight-kept",
    "leaks-descriptors",
    "leaks-memory",
    "serial-garbled",
    "serial-short",
    "number-unmasked",
    "sleeps",
    "spins",
    "status-alone",
    "table-aligned",
    "unknown-accepted",
    "unmap-accepted",
    "wedges",
    "zeroes-kept",
    "zeroes-refused",
    "zeroes-too-far",
}
#: What a driver may leave out of account, or what a device may have: places that have no meaning,
#: limits, orders that none was promised.
HARMLESS = {
    "address-cleared",
    "blk-size-500",
    "change-unfounded",
    "event-unasked",
    "list-cleared",
    "max-discard-seg-0",
    "order-swapped",
    "refuses-later",
    "seg-max-0",
    "seg-max-65535",
    "serial-changes",
    "size-max-0",
    "size-max-1",
    "unused1-1",
}
#: What begins late, or is on another queue.
LONG = {"disabled-later", "index-jumps", "interrupt-stops", "queue-deaf", "stops-serving"}
#: What no life of conforming requests meets: what depends on the moment of a look, on descriptors
#: that are out of their order, or on several chains or queues at a time.
UNMET = {
    "index-torn",
    "interrupt-first-of-batch",
    "links-ignored",
    "suppression-crossed",
    "suppression-early",
    "table-crossed",
    "writes-after-stop",
}
#: Those that take zones, or requests, sizes or indices of their own: tests/proof has them.
PROVED = {name for name, fault in FAULTS.items() if fault.zoned}
PROVED |= {"lifetime-empty", "lifetime-reserved", "lifetime-withheld", "zones-shown"}
PROVED |= {"write-zeroes-may-unmap-0", "zones-none"}
PROVED |= {"event-by-greater", "length-halfword", "size-masked", "status-at-start"}
PROVED |= {"unreadable-read"}
UNSEEN = {"interrupt-always", *ALONE, *HARMLESS, *PUT_BACK, *PROVED, *UNMET}


def back_end(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pykit.cli", "device", "--socket", "{socket}", *arguments]


@contextmanager
def driven(*arguments: str) -> Iterator[tuple[DrivenDevice, Recorder]]:
    """A driver of our own back-end with these arguments."""
    peer = Peer(back_end(*arguments))
    memory = SharedMemory()
    try:
        peer.start()
        kind = kind_of("blk")
        carrier = VhostUserCarrier(peer.socket, peer.activity)
        recorder = Recorder(kind.type)
        yield DrivenDevice(VirtioDriver(carrier, kind, memory, recorder), peer), recorder
        carrier.stop()
    finally:
        peer.close()
        memory.close()


def quietly(_: str) -> None:
    """Report no progress."""


def test_correct_back_end(tmp_path: Path) -> None:
    with driven() as (device, recorder):
        conforming = Conforming(device, seed=1)
        assert list(conforming.run(quietly, SHAPES)) == []
        assert conforming.requests >= 40
        recorder.save(tmp_path / "capture", "pykit device", "clean", "")
        cases = [case for case in expand(read_tables()) if isinstance(case, Case)][::9]
        for found in Session(device).run(iter(cases)):
            if found.skipped:
                # A row for a feature that this device does not have.
                assert "does not offer" in found.skipped, found
                continue
            assert found.outcome is not None, found
            assert found.right, found
            assert found.outcome.verdict in ("handled", "rejected", "stopped")
        requests = [case for case in expand(read_tables()) if isinstance(case, BlkCase)][::4]
        assert all(found.right for found in BlkSession(device).run(requests))
    verdicts = spec.check(trace.load(tmp_path / "capture"))
    wrong = [v for v in verdicts.rules if v.verdict == "fail" and v.rule.side != "driver"]
    assert wrong == []
    assert verdicts.of("DX-01").verdict == "pass"


@pytest.mark.slow
@pytest.mark.parametrize("fault", [name for name in FAULTS if name not in UNSEEN])
def test_fault_is_caught(fault: str, tmp_path: Path) -> None:
    with driven("--fault", fault) as (device, recorder):
        shapes = MORE_SHAPES.get(fault, SHAPES)
        deviations: list[Deviation] = []
        # A device that refuses its features is not reached.
        with suppress(PeerGoneError):
            deviations += Conforming(device, seed=1).run(quietly, shapes)
            for shape in shapes if fault in LONG else ():
                deviations += Conforming(device, seed=1).long_life(shape)
        if fault in BY_RULE:
            RareForms(device, seed=1).run(quietly)
        recorder.save(tmp_path / "capture", "pykit device", "clean", "")
    verdicts = spec.check(trace.load(tmp_path / "capture"))
    failed = {v.rule.id for v in verdicts.rules if v.verdict == "fail" and v.rule.side != "driver"}
    assert deviations or failed
    if fault in BY_RULE:
        assert failed & BY_RULE[fault], failed


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        ("writes-readable", "trespassed"),
        ("writes-behind", "trespassed"),
        ("writes-driver-area", "trespassed"),
        pytest.param("writes-late", "trespassed", marks=pytest.mark.slow),
        ("data-wrong", "handled"),
        # Each is confirmed in three new processes.
        pytest.param("dies", "crashed", marks=pytest.mark.slow),
        pytest.param("floods", "flooding", marks=pytest.mark.slow),
        pytest.param("spins", "spinning", marks=pytest.mark.slow),
        ("status-unwritten", "stopped"),
    ],
)
def test_fault_has_its_class(fault: str, verdict: str) -> None:
    cases = expand(read_tables(), ["plain/first/first/split/direct/16"])
    with driven("--fault", fault) as (device, _):
        (found,) = Session(device).run(cases)
    assert found.outcome is not None
    assert found.outcome.verdict == verdict


@pytest.mark.slow
def test_demand_for_alignment_is_seen() -> None:
    cases = expand(read_tables(), ["table-not-aligned/*/first/split/indirect/16"])
    with driven("--fault", "table-aligned") as (device, _):
        found = next(iter(Session(device).run(case for case in cases if isinstance(case, Case))))
    assert found.outcome is not None
    assert not found.right


@pytest.mark.slow
def test_other_data_are_seen() -> None:
    cases = [c for c in expand(read_tables(), ["patterns"]) if isinstance(c, BlkCase)]
    with driven("--fault", "data-wrong") as (device, _):
        (found,) = BlkSession(device).run(cases)
    assert found.outcome is not None
    assert found.outcome.verdict == "wrong-data"
    assert found.outcome.detail == "in 5 512 is ok: other data in sector 5"


@pytest.mark.parametrize("fault", ["", "number-unmasked"])
def test_queue_without_a_descriptor(fault: str) -> None:
    (case,) = expand(read_tables(), ["call-none"])
    assert isinstance(case, MessageCase)
    with driven(*(["--fault", fault] if fault else [])) as (device, _):
        (found,) = MessageSession(device).run([case])
    assert found.outcome is not None
    assert found.right == (not fault), found


@pytest.mark.slow
def test_wedge_is_seen() -> None:
    cases = expand(read_tables(), ["type-unknown/split/direct/16", "patterns/split/direct/16"])
    with driven("--fault", "wedges") as (device, _):
        run = BlkSession(device).run(case for case in cases if isinstance(case, BlkCase))
        classes = {found.case.row.name: found.outcome for found in run}
    found = classes["type-unknown"], classes["patterns"]
    assert [outcome and outcome.verdict for outcome in found] == ["wedged", "handled"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ((), ""),
        (("--fault", "leaks-memory"), "bytes of memory are held"),
        (("--fault", "leaks-descriptors"), "descriptors are open"),
    ],
)
def test_leak_is_seen(arguments: tuple[str, ...], what: str) -> None:
    with driven(*arguments) as (device, _):
        found = [deviation.what for deviation in leaks(device)]
    assert len(found) == (2 if what else 0), found
    assert all(what in one for one in found)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "row"),
    [
        ("beyond-end", "read-at-capacity"),
        ("discard-refused", "read-after-discard"),
        ("flush-swallowed", "write-then-flush"),
        ("flush-unsupported", "write-then-flush"),
        ("header-alone", "data-behind-header"),
        ("serial-short", "id"),
    ],
)
def test_fault_shows_in_a_request(fault: str, row: str) -> None:
    cases = [c for c in expand(read_tables(), [row]) if isinstance(c, BlkCase)]
    with driven("--fault", fault) as (device, _):
        assert not all(found.right for found in BlkSession(device).run(cases))


def test_zones(tmp_path: Path) -> None:
    """A host-managed disk is driven as any other, and its zones as they have to be."""
    with driven("--zones") as (device, recorder):
        assert list(Conforming(device, seed=1).run(quietly, SHAPES[:1])) == []
        recorder.save(tmp_path / "capture", "pykit device", "clean", "")
        cases = [c for c in expand(read_tables(), ["zone-*"]) if isinstance(c, BlkCase)]
        found = list(BlkSession(device).run(cases))
    assert all(one.right for one in found), [one for one in found if not one.right]
    assert sum(one.outcome is not None for one in found) >= 19
    verdicts = spec.check(trace.load(tmp_path / "capture"))
    wrong = [v for v in verdicts.rules if v.verdict == "fail" and v.rule.side != "driver"]
    assert wrong == []


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        ("capacity-changes", "pass"),
        pytest.param("capacity-unannounced", "fail", marks=pytest.mark.slow),
    ],
)
def test_changes_of_the_configuration_are_judged(fault: str, verdict: str, tmp_path: Path) -> None:
    with driven("--fault", fault) as (device, recorder):
        RareForms(device, seed=1).run(quietly)
        recorder.save(tmp_path / "capture", "pykit device", "clean", "")
    found = spec.check(trace.load(tmp_path / "capture")).of("BO-DE-02")
    assert (found.verdict, found.checked > 0) == (verdict, True)


def test_faults_repeat_real_bugs() -> None:
    assert {bug for fault in FAULTS.values() for bug in fault.bugs} <= real_bugs().keys()
