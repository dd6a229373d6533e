# SPDX-License-Identifier: GPL-2.0-only
"""One run of ``pykit drive``: conforming requests, then cases, then the verdicts of the rules."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from pykit import spec, trace
from pykit.drive import emulated
from pykit.drive.access import RegisterCase
from pykit.drive.blk_rows import BlkCase
from pykit.drive.blk_session import BlkSession
from pykit.drive.carriers import Carrier, PeerGoneError
from pykit.drive.carriers.agent import AgentMemory
from pykit.drive.carriers.guest import GuestCarrier
from pykit.drive.carriers.qtest import QtestCarrier
from pykit.drive.carriers.vhost import VhostCarrier
from pykit.drive.carriers.vhost_user import VhostUserCarrier
from pykit.drive.cases import Case
from pykit.drive.conforming import Conforming, Deviation
from pykit.drive.driver import VirtioDriver
from pykit.drive.growth import leaks
from pykit.drive.kinds import kind_of
from pykit.drive.lives import DrivenDevice
from pykit.drive.memory import SharedMemory
from pykit.drive.message_session import MessageSession
from pykit.drive.messages import MessageCase
from pykit.drive.peer import Peer
from pykit.drive.rare import RareForms
from pykit.drive.reconnect import ReconnectCase
from pykit.drive.reconnect_session import ReconnectSession
from pykit.drive.record import Recorder
from pykit.drive.register_session import RegisterSession
from pykit.drive.rows import AnyCase
from pykit.drive.runner import CaseResult
from pykit.drive.session import Session
from pykit.drive.shaped import ShapedCase, ShapedSession
from pykit.errors import Exit, PykitError
from pykit.paths import require_empty, write_atomically
from pykit.peers import KnownDeviation
from pykit.qemu import program as qemu

Progress = Callable[[str], None]

#: Classes of a legal request that is not served, and harms nobody.
_HARMLESS = ("rejected", "wrong-data")


@dataclass(frozen=True)
class Target:
    """The device: a socket that is there, a command that makes one, or a device of QEMU's.

    Attributes:
        kind: device type, such as ``blk``.
        socket: path of a back-end that runs.
        command: program and arguments of one that is started, with ``{socket}``.
        qemu: a device of QEMU's as its option ``-device`` takes it.
        title: what stands for the command in reports; by default the command itself.
        known: its known deviations.
        guest: socket or command are those of a guest's serial line.
        vhost: the device is this one of the guest's kernel, such as ``vhost-net``.
    """

    kind: str
    socket: Path | None = None
    command: tuple[str, ...] = ()
    qemu: str = ""
    title: str = ""
    known: tuple[KnownDeviation, ...] = ()
    guest: bool = False
    vhost: str = ""

    def __str__(self) -> str:
        if self.title:
            return self.title
        if self.vhost:
            return self.vhost
        if self.qemu:
            return f"QEMU {qemu.version()} -device {self.qemu}"
        return shlex.join(self.command) if self.command else str(self.socket)


@dataclass
class DriveResult:
    """All results of one run.

    Attributes:
        target: what was driven.
        seed: of the conforming requests.
        requests: how many conforming requests were made.
        deviations: those that did not do what they have to.
        cases: results of the cases, in order.
        verdicts: of the rules on the conforming requests.
        directory: where it was written.
        seconds: how long it took.
    """

    target: Target
    seed: int
    directory: Path
    requests: int = 0
    deviations: list[Deviation] = field(default_factory=list)
    cases: list[CaseResult] = field(default_factory=list)
    verdicts: spec.Verdicts | None = None
    seconds: float = 0.0

    @property
    def classes(self) -> Counter[str]:
        """How many cases have each class."""
        return Counter(c.outcome.verdict for c in self.cases if c.outcome is not None)

    @property
    def wrong(self) -> list[CaseResult]:
        """Cases whose class is none of the right ones, and no known deviation."""
        return [case for case in self.cases if not case.right and not self.known_as(case)]

    def known_as(self, case: CaseResult) -> KnownDeviation | None:
        """Return the known deviation that a case shows, if it does.

        One that the rules met, and found waived, is not listed a second time for the cases.
        """
        if case.right or case.outcome is None:
            return None
        row, outcome = case.case.row, case.outcome
        waived = (
            KnownDeviation(row.name, _HARMLESS, found.message, found.known)
            for found in (self.verdicts.rules if self.verdicts else ())
            if found.verdict == "waived" and row.clause in (found.rule.id, *found.rule.clauses)
        )
        seen = row.name, outcome.verdict, outcome.detail
        return next((k for k in (*self.target.known, *waived) if k.covers(*seen)), None)

    @property
    def failed_rules(self) -> list[spec.Verdict]:
        """Rules on the device that failed on the conforming requests.

        The driver is ours, and leaves features alone that a driver should accept.
        """
        found = self.verdicts.rules if self.verdicts else ()
        return [v for v in found if v.verdict == "fail" and v.rule.side != "driver"]

    @property
    def exit_code(self) -> Exit:
        """FAILED where a request, a case or a rule failed; SKIP where nothing was decided."""
        if self.deviations or self.wrong or self.failed_rules:
            return Exit.FAILED
        return Exit.OK if self.requests or self.classes else Exit.SKIP

    def as_json(self) -> dict[str, Any]:
        """What ``drive.json`` holds."""
        return {
            "schema": 1,
            "target": str(self.target),
            "device": self.target.kind,
            "seed": self.seed,
            "requests": self.requests,
            "deviations": [vars(deviation) for deviation in self.deviations],
            "classes": dict(self.classes),
            "cases": [_case_json(result, self.known_as(result)) for result in self.cases],
            "failed-rules": [verdict.as_json() for verdict in self.failed_rules],
            "seconds": round(self.seconds, 3),
        }


def _case_json(result: CaseResult, known: KnownDeviation | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "case": result.case.name,
        "clause": result.case.row.clause,
        "right": list(result.case.row.accepted),
    }
    if result.outcome is None:
        return found | {"skipped": result.skipped}
    found |= result.outcome.as_json() | {"confirmed": list(result.confirmed)}
    return found | ({"known": known.reason} if known else {})


def drive(
    target: Target,
    cases: Iterable[AnyCase],
    directory: Path,
    *,
    seed: int = 1,
    progress: Progress,
) -> DriveResult:
    """Drive a device, and write the run directory.

    Raises:
        UsageError: the target cannot be used as it is given.
        PykitError: it could not be started or reached.
    """
    begun = time.monotonic()
    require_empty(directory)
    result = DriveResult(target, seed, directory)
    with driven(target) as device:
        driver, peer = device.driver, device.peer
        # What is known not to be served otherwise is left to its case.
        in_sequence = any(known.row == "table-backward" for known in target.known)
        conforming = Conforming(device, seed, in_sequence)
        try:
            result.deviations += conforming.run(progress)
        except PeerGoneError as error:
            death = peer.death(0.3) if peer else None
            why = f"{death}: {peer.last_line}" if peer and death else str(error)
            raise PykitError(f"{target}: {why}: is it a {target.kind} device?") from None
        result.requests = conforming.requests
        RareForms(device, seed).run(progress)
        message = "all requests were made"
        if isinstance(driver.carrier, GuestCarrier):
            driver.recorder.device = driver.carrier.typed(driver.recorder.device)
        device.save(directory / "capture", str(target), message)
        if not target.guest:
            # A monitor grows by the memory that its guest uses.
            progress("equal lives")
            result.deviations += leaks(device)
        _run_cases(result, device, cases, progress)
    events = trace.load(directory / "capture")
    result.verdicts = spec.check(events)
    result.seconds = time.monotonic() - begun
    _write(directory / "verdicts.json", result.verdicts.as_json())
    _write(directory / "drive.json", result.as_json() | {"command": list(sys.argv)})
    return result


@contextmanager
def driven(
    target: Target,
    made: Callable[..., SharedMemory] = SharedMemory,
    log: Path | None = None,
) -> Iterator[DrivenDevice]:
    """Yield a driver of a device, with the process behind it where this starts one.

    Args:
        target: the device.
        made: makes the memory that both share, as ``SharedMemory`` does.
        log: a file for QEMU's log, which the capture takes in.

    Raises:
        UsageError: the target cannot be used as it is given.
        PykitError: it could not be started.
    """
    kind = kind_of(target.kind)
    with ExitStack() as stack:
        memory = _memory(target, made)
        stack.callback(memory.close)
        carrier, peer = _carrier(target, memory, stack, log)
        type_ = emulated.type_of(target.qemu, kind.type) if target.qemu else kind.type
        recorder = Recorder(type_, emulated.options_of(target.qemu), log=log)
        yield DrivenDevice(VirtioDriver(carrier, kind, memory, recorder), peer)


def _memory(target: Target, made: Callable[..., SharedMemory]) -> SharedMemory:
    if target.qemu:
        return emulated.memory(made)
    return AgentMemory() if target.guest else made()


def _carrier(
    target: Target, memory: SharedMemory, stack: ExitStack, log: Path | None
) -> tuple[Carrier, Peer | None]:
    carrier: Carrier
    if target.socket is not None:
        carrier = _in_guest(target, target.socket) or VhostUserCarrier(target.socket)
        stack.callback(carrier.stop)
        return carrier, None
    if target.qemu:
        command = stack.enter_context(emulated.command(target.qemu, memory, log))
        peer = Peer(command, qemu.value)
    else:
        peer = Peer(target.command)
    stack.callback(peer.close)
    peer.start()
    if target.qemu:
        carrier = QtestCarrier(peer.socket, peer.activity, emulated.is_mmio(target.qemu))
    else:
        carrier = _in_guest(target, peer.socket) or VhostUserCarrier(peer.socket, peer.activity)
    stack.callback(carrier.stop)
    return carrier, peer


def _in_guest(target: Target, line: Path) -> Carrier | None:
    """The carrier into the guest of a serial line; None where the target has none."""
    if target.vhost:
        return VhostCarrier(line, target.vhost)
    return GuestCarrier(line, kind_of(target.kind).id) if target.guest else None


def _run_cases(
    result: DriveResult, device: DrivenDevice, cases: Iterable[AnyCase], progress: Progress
) -> None:
    chosen: Sequence[AnyCase] = tuple(cases)
    chains = Session(device).run(case for case in chosen if isinstance(case, Case))
    registers = (case for case in chosen if isinstance(case, RegisterCase))
    messages = (case for case in chosen if isinstance(case, MessageCase))
    requests = (case for case in chosen if isinstance(case, BlkCase))
    reconnects = (case for case in chosen if isinstance(case, ReconnectCase))
    shaped = (case for case in chosen if isinstance(case, ShapedCase))
    found_so = chain(
        chains,
        BlkSession(device).run(requests),
        ShapedSession(device).run(shaped),
        RegisterSession(device).run(registers),
        MessageSession(device).run(messages),
        ReconnectSession(device).run(reconnects),
    )
    for number, found in enumerate(found_so, 1):
        result.cases.append(found)
        if number % 20 == 0 or number == len(chosen):
            progress(f"cases: {number} of {len(chosen)}")


def _write(path: Path, data: dict[str, Any]) -> None:
    write_atomically(path, json.dumps(data, indent=1).encode())
