# SPDX-License-Identifier: GPL-2.0-only
"""A guest that stays up while scenario after scenario is run in it."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Self, get_args

from pykit.guests import kitsteps, served
from pykit.guests.bring_up import BootedGuest, bring_up
from pykit.guests.bundle import Bundle, drivers_of, loads
from pykit.guests.channel import GuestChannel, GuestEndedError
from pykit.guests.monitor import REGISTER_EVENTS, TRACE_EVENTS, Monitor
from pykit.guests.outcome import Kind, Outcome
from pykit.qemu import program
from pykit.run.work import Failed, ScenarioSteps
from pykit.scenario.model import Scenario, Trouble

#: What does not end a guest's use: the next scenario must not meet what this one left. What another
#: process did wrong is gone with its device.
_SOUND: tuple[Kind, ...] = ("clean",)
_SOUND_BESIDE: tuple[Kind, ...] = (*_SOUND, "workload-failed", *get_args(Trouble))


class SharedGuest:
    """A guest of a bundle. Leaving the block ends it.

    ``scenarios`` are those that will be run, as far as they are known. Where devices cannot be
    plugged, theirs are there from power-on, and they are run in that order.
    """

    def __init__(self, bundle: Bundle, scenarios: Sequence[Scenario] = ()) -> None:
        self._bundle = bundle
        self._cold = not bundle.scenario.transport.hot_plug
        # Devices that are there at the same time need names of their own.
        self._scenarios = [
            _placed(scenario, number) if self._cold else scenario
            for number, scenario in enumerate(scenarios)
        ]
        self._loaded: dict[str, tuple[str, ...]] = {}
        self._ran = 0
        #: Whether another scenario may be run in it.
        self.sound = False

    def __enter__(self) -> Self:
        """Bring it up; raises GuestEndedError for a guest that does not come."""
        devices = [device for scenario in self._scenarios for device in scenario.devices]
        with contextlib.ExitStack() as stack:
            self._up = bring_up(stack, self._bundle, devices)
            # A mutant may be wrong in a register, which nothing else shows.
            mutants = any(scenario.mutant for scenario in self._scenarios)
            events = (*TRACE_EVENTS, *self._bundle.scenario.transport.events)
            self._up.monitor.trace((*events, *(REGISTER_EVENTS if mutants else ())))
            self._stack = stack.pop_all()
        self.sound = True
        return self

    @property
    def folder(self) -> Path:
        """Its own, gone with it."""
        return self._up.folder

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(
        self, scenario: Scenario, out: Path, faults: Mapping[str, str] = MappingProxyType({})
    ) -> Outcome:
        """Run a scenario and leave its capture in ``out``, as boot.run() does.

        ``faults`` are deliberate bugs by module. A guest that did not end clean is not ``sound``
        any more.
        """
        watch = self.begin(scenario, out, faults)
        return watch.end(watch.run())

    def begin(
        self, scenario: Scenario, out: Path, faults: Mapping[str, str] = MappingProxyType({})
    ) -> ScenarioRun:
        """Begin a scenario: its modules are there, and what happens is traced from here on.

        Its capture goes into ``out``, which is new.
        """
        slot = 0
        if self._cold:
            slot = sum(len(before.devices) for before in self._scenarios[: self._ran])
            scenario = self._scenarios[self._ran]
        self._ran += 1
        self.sound = False
        return ScenarioRun(self, self._up, scenario, out, slot, self._switch(scenario, faults))

    @property
    def lasting(self) -> Path:
        """Where its first capture leaves what is the same in all that follow."""
        return self._up.folder / "lasting"

    @property
    def guest(self) -> GuestChannel:
        """Its agent."""
        return self._up.guest

    @property
    def monitor(self) -> Monitor:
        """Its QEMU."""
        return self._up.monitor

    @property
    def bundle(self) -> Bundle:
        """What it was booted with."""
        return self._bundle

    def _switch(self, scenario: Scenario, faults: Mapping[str, str]) -> dict[str, str]:
        """What the scenario's modules make of those that are loaded, for the step pykit-begin."""
        wanted: dict[str, tuple[str, ...]] = dict.fromkeys(drivers_of(scenario), ())
        for module in scenario.modules:
            given = {**scenario.parameters.get(module, {})}
            if module in faults:
                given["fault"] = faults[module]
            wanted[module] = tuple(f"{name}={value}" for name, value in given.items())
        wanted.pop("pykit_trace", None)
        old = [name for name in reversed(self._loaded) if wanted.get(name) != self._loaded[name]]
        new = {name: given for name, given in wanted.items() if self._loaded.get(name) != given}
        self._loaded = {n: g for n, g in self._loaded.items() if n not in old} | new
        return {
            "OLD": ";".join(old),
            "NEW": loads(self._bundle.files, new),
            "MUTANT": scenario.mutant_switch,
        }


class ScenarioRun:
    """One scenario's part of a guest's life, from a trace begun to a capture.

    Attributes:
        work: what is done in the guest.
        failed: why it cannot be begun; or None.
        capture: the folder of what is recorded, filled by end().
    """

    def __init__(
        self,
        owner: SharedGuest,
        up: BootedGuest,
        scenario: Scenario,
        out: Path,
        slot: int,
        switch: Mapping[str, str],
    ) -> None:
        self._owner, self._up, self._scenario, self._out = owner, up, scenario, out
        self._release = owner.bundle.release
        self._stack = contextlib.ExitStack()
        self.capture = out / "capture"
        self.capture.mkdir(parents=True)
        with (up.folder / "carry").open("r+b") as carry:
            carry.write(bytes(8))  # what was there is not this one's
        self._begun = up.console.stat().st_size, up.log.stat().st_size
        time_s = scenario.deadline_s * owner.bundle.pace * up.slow
        up.guest.deadline = time.monotonic() + time_s
        self.work = ScenarioSteps(scenario, up.folder, lambda _: None, slot=slot)
        self.failed = self._guarded(lambda: self._begin(scenario, switch))

    def _begin(self, scenario: Scenario, switch: Mapping[str, str]) -> Failed:
        for device in scenario.devices:
            if device.backing == "vhost-user":
                self._stack.enter_context(served(device, self._up.folder))
        code, said = self._up.guest.run(kitsteps.BEGIN, switch)
        return ("module-failed", kitsteps.last_lines(said)) if code != 0 else None

    def run(self) -> Failed:
        """Do the scenario's steps; how it failed, or None."""
        if self.failed is not None:
            return self.failed
        return self._guarded(lambda: self.work.run(self._up.guest, self._up.monitor))

    def end(self, failed: Failed) -> Outcome:
        """Unplug what is left, bring the capture out, and say how it ended."""
        failed = failed or self.failed
        if failed is None or failed[0] in ("workload-failed", "hang"):
            before = failed
            failed = self._guarded(lambda: self._survey(before), failed)
        if failed is None or failed[0] == "workload-failed":
            failed = self._guarded(self._unplug, failed)
            if failed is not None and failed[0] == "hang":
                hung = failed
                failed = self._guarded(lambda: self._survey(hung), hung)
        if failed is None or failed[0] in ("workload-failed", "hang"):
            before = failed
            failed = self._guarded(lambda: self._carry(before), before)
        self._stack.close()
        console = _rest(self._up.console, self._begun[0])
        (self._out / "console.log").write_bytes(console)
        (self.capture / "qemu.log").write_bytes(_rest(self._up.log, self._begun[1]))
        kind, message = self.work.finish(
            self._up.folder / "carry",
            self.capture,
            failed or self.work.judged(console.decode(errors="replace")),
            kernel=self._release,
            unpacked=self._share,
        )
        devices = self._scenario.devices
        beside = bool(devices) and all(device.peer for device in devices)
        self._owner.sound = kind in (_SOUND_BESIDE if beside else _SOUND)
        qemu = program.version(self._owner.bundle.arch)
        return Outcome(kind, message, self._up.command, qemu, self.work.reached)

    def _guarded(self, act: Callable[[], Failed], before: Failed = None) -> Failed:
        try:
            return act() or before
        except GuestEndedError as ended:
            return self.work.ended(ended)

    def _survey(self, failed: Failed) -> Failed:
        self.work.survey_rest(self._up.guest, self._up.monitor, failed)
        return None

    def _unplug(self) -> Failed:
        self.work.unplug_rest(self._up.guest, self._up.monitor)
        return None

    def _carry(self, failed: Failed) -> Failed:
        lasting = not self._owner.lasting.is_dir()
        return self.work.carry(self._up.guest, failed, lasting=lasting)

    def _share(self) -> None:
        """Have the capture refer to what did not come out again; the first leaves it there.

        Making those files takes longer than judging what the guest did.
        """
        described = self.capture / "tracing/events"
        if described.is_dir():
            described.replace(self._owner.lasting)
        # Links to files, not to the folder: a capture refers to nothing outside of it.
        if self._owner.lasting.is_dir():
            shutil.copytree(self._owner.lasting, described, copy_function=os.link)


def _placed(scenario: Scenario, number: int) -> Scenario:
    """A scenario whose devices have names of their own among those of others."""
    names = {device.id: f"{device.id}-s{number}" for device in scenario.devices}
    return replace(
        scenario,
        devices=tuple(replace(device, id=names[device.id]) for device in scenario.devices),
        steps=tuple(
            replace(step, device=names.get(step.device, step.device)) for step in scenario.steps
        ),
    )


def _rest(path: Path, start: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read()
