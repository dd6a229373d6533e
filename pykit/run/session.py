# SPDX-License-Identifier: GPL-2.0-only
"""One run: stage, boot, do the steps, bring the capture out, say how it ended."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING

from pykit.errors import InfraError, UsageError
from pykit.guests import (
    CopiedGuest,
    can_be_copied,
    deadlines,
    device_args,
    kitsteps,
    outcome,
    payload,
    runners,
    served,
)
from pykit.guests.channel import GuestChannel, GuestEndedError
from pykit.guests.monitor import (
    CHANNEL_EVENTS,
    REGISTER_EVENTS,
    TRACE_EVENTS,
    Monitor,
    QemuRefusedError,
)
from pykit.guests.outcome import Outcome
from pykit.kernels import Kernel
from pykit.observe import access, tapped, through_taps
from pykit.paths import require_empty
from pykit.qemu import accel, program
from pykit.qemu.keeper import Keeper
from pykit.run.work import Failed, ScenarioSteps
from pykit.scenario.model import Scenario
from pykit.scenario.transport import CCW

if TYPE_CHECKING:
    from pykit.observe.ringwatch import RingWatcher

Progress = Callable[[str], None]


def run_scenario(
    scenario: Scenario,
    *,
    kernel: Kernel,
    modules: Sequence[Path],
    out: Path,
    runner: str,
    faults: Mapping[str, str] = MappingProxyType({}),
    progress: Progress = lambda _: None,
    meanwhile: Callable[[], None] = lambda: None,
) -> Outcome:
    """Run a scenario in a guest and leave its capture in ``out``.

    ``modules`` are our .ko files in load order; ``runner`` is "vng" or "direct"; ``faults``
    are deliberate bugs by module, all of the fault build. ``out`` gets
    ``console.log`` and ``capture/``, whatever became of the guest; it must be new or empty.
    A KeyboardInterrupt while the guest runs is the outcome "interrupted". ``meanwhile`` is called
    by another thread once QEMU has started.

    Raises UsageError for ``out`` or a device QEMU refuses, InfraError for missing tools.
    """
    chosen = runners.runner(runner, scenario.transport)
    accelerator = "tcg" if scenario.icount else accel.probe(kernel.image, kernel.arch)
    if scenario.observe:
        access.require_seen(scenario, accelerator, runner)
    require_free(out)
    capture = out.absolute() / "capture"
    with Keeper() as keeper:
        require_space(keeper.folder, scenario)
        behind = scenario.devices
        if "tap" in scenario.observe:
            scenario = through_taps(scenario, keeper.folder)
        device_args.require_sockets(scenario, keeper.folder)
        staged = payload.stage(
            keeper.folder,
            secrets.token_hex(8),
            scenario,
            kernel,
            modules,
            {module: {"fault": name} for module, name in faults.items()},
        )
        log = capture / "qemu.log"

        def boot() -> list[str]:
            return chosen.command(kernel, staged, accelerator, log)

        copied, command = None, []
        if runner == "direct" and can_be_copied(scenario, accelerator):
            copied = CopiedGuest.of(kernel, staged, log)
        else:
            command = boot()
        observers: list[access.AccessTracer | RingWatcher] = []
        if "access" in scenario.observe:
            observers.append(access.AccessTracer(keeper.folder, capture, scenario.transport))
        if "rings" in scenario.observe:
            from pykit.observe.ringwatch import RingWatcher

            ram = scenario.transport.arch.ram
            observers.append(RingWatcher(keeper.folder, capture, accelerator, ram))
        if observers:
            # First: what the plugin takes for an address counts QEMU's memories in this order.
            has_memory = not scenario.transport.arch.other_pci
            command[1:1] = [
                *([] if has_memory else program.memory_options(keeper.folder)),
                *(option for observer in observers for option in observer.options()),
            ]
        # Only now: a run that cannot even start leaves no directory behind.
        capture.mkdir(parents=True)
        factor = deadlines.factor(kernel.config)
        session = _Session(
            scenario, keeper, staged.nonce, out / "console.log", runner, factor, progress, meanwhile
        )
        with contextlib.ExitStack() as watching:
            for device in behind:
                if device.backing == "vhost-user":
                    watching.enter_context(served(device, keeper.folder))
            for device, front in zip(behind, scenario.devices, strict=True):
                if front.peer != device.peer:
                    path = device_args.socket_of(front, keeper.folder)
                    watching.enter_context(tapped(device, keeper.folder, path, capture))
            for observer in observers:
                watching.enter_context(observer)
            ended = session.run(copied, lambda: command or boot())
        kind, message = session.work.finish(
            keeper.folder / program.CARRY, capture, ended, kernel=kernel.release
        )
    qemu = program.version(scenario.transport.arch)
    return Outcome(kind, message, session.command, qemu, session.work.reached)


def logged(scenario: Scenario) -> tuple[str, ...]:
    """QEMU's trace events that a run needs."""
    if not scenario.qemu_trace:
        # By it the other observers know when to ask where the rings are.
        return ("virtio_set_status",) if scenario.observe else ()
    # A mutant may be wrong in a register, which nothing else shows.
    version = program.find(scenario.transport.arch)[1]
    events = (*TRACE_EVENTS, *scenario.transport.events)
    if scenario.transport.suffix == CCW:
        return (*events, *CHANNEL_EVENTS)
    if scenario.mutant is not None or access.log_registers(scenario, version):
        return (*events, *REGISTER_EVENTS)
    return events


def require_free(out: Path) -> None:
    """Raise UsageError where a run cannot write into ``out``: it is not empty, or has a name that
    QEMU does not take as it is.
    """
    require_empty(out, "name another")
    if "%" in str(out.absolute()):
        raise UsageError(
            f"{out.absolute()}: QEMU takes % in a log's name for a placeholder: name a directory "
            "without it"
        )


def require_space(folder: Path, scenario: Scenario) -> None:
    """Raise InfraError where the guest's disks and its capture would not fit in ``folder``.

    A file system that fills up later stops the guest (as for any failed write of its disk)
    or kills QEMU (in its shared memory), and neither says why.
    """
    sizes = {
        device.id: device.size_mib
        for parent in scenario.devices
        for device in (parent, *parent.children)
    }
    for step in scenario.steps:
        if step.action == "resize":
            sizes[step.device] = max(sizes[step.device], step.size_mib)
    needed = sum(sizes.values()) + payload.MOST_CARRIED_MIB
    if scenario.observe:
        needed += program.MEMORY_MIB
    free = shutil.disk_usage(folder).free >> 20
    if free < needed:
        raise InfraError(
            f"{folder.parent} has {free} MiB free and the run needs {needed}: "
            "free some space, or name another directory in TMPDIR"
        )


class _Session:
    """The life of one guest."""

    def __init__(
        self,
        scenario: Scenario,
        keeper: Keeper,
        nonce: str,
        console: Path,
        runner: str,
        factor: int,
        progress: Progress,
        meanwhile: Callable[[], None],
    ) -> None:
        self._meanwhile = threading.Thread(target=meanwhile, daemon=True)
        self._keeper = keeper
        self._nonce, self._console = nonce, console
        self._runner, self._factor = runner, factor
        self._deadline_s = scenario.deadline_s * factor
        self._progress = progress
        self._logged = logged(scenario)
        # Who sees program counters gets names for them.
        self._symbols = "access" in scenario.observe
        #: What started the guest.
        self.command: tuple[str, ...] = ()
        self.work = ScenarioSteps(scenario, keeper.folder, progress)

    def run(
        self, copied: CopiedGuest | None, boot: Callable[[], Sequence[str]]
    ) -> tuple[outcome.Kind, str]:
        """Copy a guest that has booted, or ``boot`` it, run all steps, and classify.

        Never raises for what a guest does.
        """
        try:
            with self._console.open("wb") as output:
                guest = self._copy(copied, output) if copied is not None else None
                guest = guest or self._up(boot(), output, self._runner)
                with contextlib.closing(guest):
                    failed = self._work(guest)
        except GuestEndedError as ended:
            return self.work.ended(ended)
        except KeyboardInterrupt:
            # The capture shows how far it came; the caller ends all the same.
            return self.work.ended(GuestEndedError("interrupted", "pykit was interrupted"))
        finally:
            self._keeper.stop()
        return failed or self.work.judged(self._console.read_text(errors="replace"))

    def _copy(self, copied: CopiedGuest, output: IO[bytes]) -> GuestChannel | None:
        """The guest as a copy; None where there can be none, and it has to be booted."""
        folder = self._keeper.folder
        try:
            with copied.template(self._progress) as template:
                # What it printed before is of this guest, too.
                output.write(template.console)
                output.flush()
                command = copied.command(template, folder)
                return self._up(
                    command, output, "copy", lambda guest: copied.restore(template, guest, folder)
                )
        except (GuestEndedError, QemuRefusedError, OSError) as error:
            self._progress(f"the guest boots, as it cannot be copied: {error}")
            self._keeper.stop()
            output.seek(0)
            output.truncate()
            return None

    def _up(
        self,
        command: Sequence[str],
        output: IO[bytes],
        how: str,
        begin: Callable[[GuestChannel], None] = lambda _: None,
    ) -> GuestChannel:
        """Start a guest, ``begin`` with it, and wait for its agent; then it has the scenario's
        time.
        """
        self.command = tuple(command)
        started = time.monotonic()
        process = self._keeper.start(command, output)
        most_s = max(self._deadline_s, deadlines.BOOT_S * self._factor)
        folder = self._keeper.folder
        guest = GuestChannel(process, folder, self._console, self._nonce, started + most_s)
        with contextlib.ExitStack() as failing:
            failing.callback(guest.close)
            begin(guest)
            if self._meanwhile.ident is None:
                self._meanwhile.start()
            guest.connect()
            failing.pop_all()
        boot_s = time.monotonic() - started
        copy = ", a copy of one that has booted" if how == "copy" else ""
        self._progress(f"guest is up after {boot_s:.1f} s{copy}")
        guest.deadline = started + self._deadline_s * deadlines.slowness(boot_s, self._factor, how)
        return guest

    def _work(self, guest: GuestChannel) -> Failed:
        code, said = guest.run(kitsteps.LOAD)
        if code != 0:
            words = kitsteps.last_lines(said) or f"the modules' step ended with {code}"
            return "module-failed", words
        with contextlib.closing(Monitor(self._keeper.folder / "qmp")) as monitor:
            monitor.trace(self._logged)
            try:
                failed = self.work.run(guest, monitor)
            except GuestEndedError as ended:
                if ended.kind != "hang":
                    raise
                failed = self.work.ended(ended)
            self.work.survey_rest(guest, monitor, failed)
            failed = self.work.carry(guest, failed, lasting=True, symbols=self._symbols)
        if failed is None or failed[0] != "hang":
            guest.off()
        return failed
