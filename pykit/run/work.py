# SPDX-License-Identifier: GPL-2.0-only
"""The steps of one scenario in a guest that is up, and what is noted of them for its capture."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

from pykit.guests import device_args, kitsteps, outcome
from pykit.guests.carried import CarryError, gather, unpack
from pykit.guests.channel import GuestChannel, GuestEndedError
from pykit.guests.hang import waits
from pykit.guests.monitor import Monitor
from pykit.guests.payload import step_path
from pykit.observe import ask_devices, ask_interrupts, read_mapped, read_reported
from pykit.observe.access import log_registers
from pykit.observe.blind_spots import unseen
from pykit.observe.survey import Surveyor
from pykit.qemu import program
from pykit.scenario.model import Device, Scenario, Step, Trouble
from pykit.seal import write_sealed

Progress = Callable[[str], None]
#: When the guest's own trace ended, s since it booted.
_ENDED = re.compile(r"^ended ([0-9.]+)$", re.MULTILINE)
#: Where the guest has lists of the pages with the capture.
_PAGES = re.compile(r"^pages ([0-9a-f]+)$", re.MULTILINE)
#: Ends of guests from which the capture comes out whole.
_CARRIED = ("clean", "splat", "workload-failed", "hang")
#: How often the active mutant of the kernel's modules was executed.
_REACHED = re.compile(r"^reached ([0-9]+)$", re.MULTILINE)
#: How a guest ended, with a message; None for one that has not failed.
Ended = tuple[outcome.Kind, str]
Failed = Ended | None


class ScenarioSteps:
    """What is done in a guest for one scenario. ``folder`` is for the files behind its devices.

    Without hot-plug its devices are in the machine's slots from ``slot`` on.
    """

    def __init__(
        self, scenario: Scenario, folder: Path, progress: Progress, *, slot: int = 0
    ) -> None:
        self._scenario = scenario
        self._folder = folder
        self._progress = progress
        self._transport = scenario.transport
        self._devices = {device.id: device for device in scenario.devices}
        self._slots = {device.id: slot + n for n, device in enumerate(scenario.devices)}
        self._variables = {
            "DRIVER": scenario.driver_name,
            "COUNT": str(scenario.count),
        }
        self._steps: list[dict[str, Any]] = []
        self._answers: list[dict[str, Any]] = []
        self._plugs: list[dict[str, Any]] = []
        self._ended: dict[str, int] | None = None
        self._plugged: dict[str, Device] = {}
        self._surveyor = Surveyor()
        #: Errors of slots that the kernel reported before the first device was there.
        self._reported: dict[int, int] | None = None
        #: How often the active mutant's place was executed, once the capture came out.
        self.reached: int | None = None

    def run(self, guest: GuestChannel, monitor: Monitor) -> Failed:
        """Do all steps; how the first that failed did, or None."""
        for step in self._scenario.steps:
            with self._timed(step) as record:
                acted = False

                def act(step: Step = step) -> None:
                    nonlocal acted
                    acted = True
                    self._act(step, guest, monitor, idle=False)

                if step.guest:
                    record["rc"], record["output"] = guest.run(
                        step_path(self._scenario, step.name),
                        self._variables,
                        act if step.action else lambda: None,
                    )
                    if step.action and not acted and record["rc"] == 0:
                        return "workload-failed", f"step {step.name} never called ready"
                else:
                    self._act(step, guest, monitor)
            if record["rc"] != 0:
                tail = " | ".join(record["output"].splitlines()[-3:])
                return "workload-failed", f"step {step.name} ended with {record['rc']}: {tail}"
        return None

    def shell(self, guest: GuestChannel, script: str) -> tuple[int, str]:
        """Run lines in the guest as a step does; exit code, and the last lines of the output."""
        variables = {**self._variables, "SCRIPT": base64.b64encode(script.encode()).decode()}
        with self._timed(Step(f"shell-{len(self._steps)}")) as record:
            record["rc"], record["output"] = guest.run(kitsteps.SHELL, variables)
        return record["rc"], record["output"]

    def act(self, step: Step, guest: GuestChannel, monitor: Monitor) -> None:
        """Do an action of the host's."""
        with self._timed(step):
            self._act(step, guest, monitor)

    def survey_rest(self, guest: GuestChannel, monitor: Monitor, failed: Failed) -> None:
        """Read what the transport of each device shows that no step had read.

        Of a guest that hangs, also what QEMU believes of its devices, what stands in the rings, and
        which interrupts are masked: the guest itself cannot be asked any more.
        """
        hangs = failed is not None and failed[0] == "hang"
        at = "hang" if hangs else "end"
        for device in self._plugged:
            self._survey(device, at, None if hangs else guest, monitor, again=hangs)
        if not self._transport.hot_plug and not hangs:
            self._survey_empty(at, guest, monitor)
        if hangs:
            found = [*ask_devices(monitor, at), *ask_interrupts(monitor, self._surveyor, at)]
            self._answers += [a for a in found if a["device"] in ("", *self._plugged)]

    def unplug_rest(self, guest: GuestChannel, monitor: Monitor) -> None:
        """Take out what the steps left plugged, for whoever comes next."""
        for device in list(self._plugged.values()):
            self._unplug(Step("rest", action="unplug", device=device.id), guest, monitor)

    def carry(
        self, guest: GuestChannel, failed: Failed, *, lasting: bool, symbols: bool = False
    ) -> Failed:
        """Bring the capture out, with what is the same in all captures of the guest (``lasting``)
        and the kernel's symbols; how it failed, after what ``failed`` before.

        Even of a workload that failed, or hangs: what it left shows why.
        """
        hangs = failed is not None and failed[0] == "hang"
        arch = self._transport.arch
        wanted = {
            "LASTING": lasting, "SYMBOLS": symbols, "TASKS": hangs, "PAGES": not arch.other_pci,
        }  # fmt: skip
        variables = {name: "yes" if yes else "no" for name, yes in wanted.items()}
        # From here on only those outside may see what goes on.
        host_ns = time.time_ns()
        try:
            code, said = (guest.beside if hangs else guest.run)(kitsteps.CARRY, variables)
        except GuestEndedError:
            if hangs:
                return failed
            raise
        if code != 0 and failed is None:
            return "workload-failed", f"the capture did not come out: {said}"
        if pages := _PAGES.search(said):
            memory, first = self._folder / program.MEMORY, int(pages[1], 16)
            try:
                gather(memory, arch.ram, first, self._folder / program.CARRY)
            except CarryError as error:
                return failed or ("workload-failed", f"the capture did not come out: {error}")
        if ended := _ENDED.search(said):
            self._ended = {"host_ns": host_ns, "guest_ns": int(float(ended[1]) * 1e9)}
        if times := _REACHED.findall(said):
            self.reached = sum(map(int, times))
        return failed

    def ended(self, error: GuestEndedError) -> Ended:
        """Return how a guest ended, with the step that did not come to its end."""
        last = self._steps[-1] if self._steps else None
        where = f"step {last['name']}: " if last and last["rc"] < 0 else ""
        return error.kind, where + error.message

    def judged(self, console: str) -> Ended:
        """Return how a guest ended that came to the end of all steps."""
        if found := outcome.splats(console):
            return "splat", f"the guest's kernel complained {len(found)} times, first: {found[0]}"
        if trouble := outcome.trouble(console, self._scenario.expects):
            return trouble
        return "clean", f"{len(self._steps)} steps done"

    def finish(
        self,
        carry: Path,
        capture: Path,
        ended: Ended,
        *,
        kernel: str,
        unpacked: Callable[[], None] = lambda: None,
    ) -> Ended:
        """Unpack what the guest carried out into ``capture`` and describe it there.

        Returns how the guest ended: not clean where its capture is missing, and with the tasks
        that a guest which hangs waits for.
        """
        kind, message = ended
        complete = True
        try:
            unpack(carry, capture)
            unpacked()
        except CarryError as error:
            complete = False
            if kind in ("clean", "splat", *get_args(Trouble)):
                kind, message = "workload-failed", f"the capture did not come out: {error}"
        if kind == "hang" and (waiting := waits(capture)):
            message += f": {waiting}"
        self._write_capture(capture, kernel, (kind, message), complete)
        return kind, message

    def _write_capture(self, capture: Path, kernel: str, ended: Ended, complete: bool) -> None:
        kind, message = ended
        info = {
            "schema": 1,
            "complete": complete and kind in (*_CARRIED, *get_args(Trouble)),
            "clock": "mono",
            "cpus": self._scenario.cpus,
            "kernel": kernel,
            "qemu": program.version(self._transport.arch),
            "outcome": {"kind": kind, "message": message},
            "devices": [
                {
                    "id": device.id,
                    "type": device.type,
                    "options": device.options,
                    "driver": device.driver,
                    "legacy": self._transport.legacy,
                }
                for device in self._scenario.devices
            ],
            "plugs": self._plugs,
            "ended": self._ended,
            "steps": self._steps,
            "unseen": unseen(self._scenario, program.find(self._transport.arch)[1]),
            "expects": self._scenario.expects,
        }
        (capture / "qmp.json").write_text(json.dumps(self._answers, indent=1) + "\n")
        self._surveyor.write(capture)
        write_sealed(capture, info, self._observers())

    def _observers(self) -> list[str]:
        """Return the names of the recorders that ran, for the capture's seal."""
        ran = ["tracepoints", *self._scenario.observe]
        if self._scenario.qemu_trace:
            ran.append("qemu-log")
        if log_registers(self._scenario, program.find(self._transport.arch)[1]):
            ran.append("registers")
        if self._surveyor.readings or self._surveyor.storage:
            ran.append("survey")
        return [*ran, "qmp"] if self._answers else ran

    @contextlib.contextmanager
    def _timed(self, step: Step) -> Iterator[dict[str, Any]]:
        started = time.monotonic()
        record: dict[str, Any] = {"name": step.name, "rc": 0, "seconds": 0.0, "output": ""}
        try:
            yield record
        except (GuestEndedError, KeyboardInterrupt) as ended:
            record["rc"], record["output"] = -1, str(ended)
            raise
        finally:
            record["seconds"] = round(time.monotonic() - started, 3)
            self._steps.append(record)
            self._progress(f"{step.name}: {record['seconds']:.1f} s")

    def _act(self, step: Step, guest: GuestChannel, monitor: Monitor, *, idle: bool = True) -> None:
        """Do an action of the host's; an agent that is not ``idle`` is at a step."""
        if step.action == "qmp":
            monitor.ask(step.command, **step.arguments)
            return
        device = self._devices[step.device]
        if step.action == "plug":
            # The guest and QEMU's log both reuse names of a device that has gone.
            self._plugs.append(
                {"device": device.id, "guest_ns": guest.clock_ns, "host_ns": time.time_ns()}
            )
            self._plugged[device.id] = device
            if self._transport.hot_plug:
                monitor.plug(device, self._transport.bus(0), self._folder)
            else:
                if self._reported is None and idle:
                    self._reported = read_reported(guest.run(kitsteps.REPORTED)[1])
                # No driver has it yet.
                self._surveyor.take(monitor, device.id, step.name)
                self._bind("bind", device, guest)
            if image := device_args.image(device, self._folder):
                self._surveyor.take_storage(device.id, step.name, image)
        elif step.action == "unplug":
            self._unplug(step, guest, monitor, idle=idle)
        elif step.action == "resize":
            monitor.resize(device, step.size_mib)
        else:
            self._answers += monitor.query(device, step.name)
            self._survey(device.id, step.name, guest if idle else None, monitor)

    def _unplug(
        self, step: Step, guest: GuestChannel, monitor: Monitor, *, idle: bool = True
    ) -> None:
        device = self._plugged.get(step.device, self._devices[step.device])
        self._survey(device.id, step.name, guest if idle else None, monitor)
        if self._transport.hot_plug:
            monitor.unplug(device)
        else:
            self._bind("unbind", device, guest)
        # One that the guest does not let go is asked about yet.
        self._plugged.pop(device.id, None)

    def _survey(
        self,
        device: str,
        at: str,
        guest: GuestChannel | None,
        monitor: Monitor,
        *,
        again: bool = False,
    ) -> None:
        """Read what a device's transport shows; with what ``guest``, if it can be asked, mapped."""

        def mapped() -> dict[str, Any] | None:
            return None if guest is None else read_mapped(guest.run(kitsteps.MAPPED)[1])

        self._surveyor.take(monitor, device, at, again=again, mapped=mapped)

    def _survey_empty(self, at: str, guest: GuestChannel, monitor: Monitor) -> None:
        """Read the slots without a device; with the errors reported since the first was plugged."""
        before, now = self._reported, read_reported(guest.run(kitsteps.REPORTED)[1])
        if before is not None and now is not None:
            more = {address: max(n - before.get(address, 0), 0) for address, n in now.items()}
            self._surveyor.take_empty(monitor, at, more)

    def _bind(self, act: str, device: Device, guest: GuestChannel) -> None:
        """Have the guest do what takes the place of hot-plug."""
        variables = {"ACT": act, "SLOT": str(self._slots[device.id])}
        code, said = guest.run(kitsteps.BIND, variables)
        if code != 0:
            raise GuestEndedError("workload-failed", kitsteps.last_lines(said))
