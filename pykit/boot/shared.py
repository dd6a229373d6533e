# SPDX-License-Identifier: GPL-2.0-only
"""A guest that stays up while scenario after scenario is run in it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Self

from pykit.boot import attach, kitsteps, outcome, qemu
from pykit.boot.bundle import Bundle, drivers_of, loads
from pykit.boot.carried import CarryError, unpack
from pykit.boot.channel import GuestEndedError
from pykit.boot.monitor import TRACE_EVENTS
from pykit.boot.outcome import Outcome
from pykit.boot.scenario import Scenario
from pykit.boot.up import bring_up
from pykit.boot.work import Work, last_lines

#: What ends a guest's use: the next scenario must not meet what this one left.
_SOUND = ("clean",)


class SharedGuest:
    """A guest of a bundle for some scenarios, in the order in which they will be run.

    Where devices cannot be plugged, those of all of them are there from power-on. Leaving the block
    ends the guest.
    """

    def __init__(self, bundle: Bundle, scenarios: Sequence[Scenario]) -> None:
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
            self._up.monitor.trace(TRACE_EVENTS)
            self._stack = stack.pop_all()
        self.sound = True
        return self

    @property
    def folder(self) -> Path:
        """Its own, gone with it."""
        return self._up.folder

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, out: Path, faults: Mapping[str, str] = MappingProxyType({})) -> Outcome:
        """Run the next scenario and leave its capture in ``out``, as boot.run() does.

        ``faults`` are deliberate bugs by module. A guest that did not end clean is not ``sound``
        any more.
        """
        scenario = self._scenarios[self._ran]
        slot = sum(len(before.devices) for before in self._scenarios[: self._ran])
        self._ran += 1
        up, capture = self._up, out / "capture"
        capture.mkdir(parents=True)
        with (self.folder / "carry").open("r+b") as carry:
            carry.write(bytes(8))  # what was there is not this one's
        begun = up.console.stat().st_size, up.log.stat().st_size
        time_s = scenario.deadline_s * self._bundle.pace * up.slow
        up.guest.deadline = time.monotonic() + time_s
        work = Work(scenario, self.folder, lambda _: None, slot=slot)
        try:
            with contextlib.ExitStack() as served:
                for device in scenario.devices:
                    if device.backing == "vhost-user":
                        served.enter_context(attach.served(device, self.folder))
                failed = self._work(work, scenario, faults)
        except GuestEndedError as ended:
            failed = ended.kind, work.where() + ended.message
        console = _rest(up.console, begun[0])
        (out / "console.log").write_bytes(console)
        (capture / "qemu.log").write_bytes(_rest(up.log, begun[1]))
        kind, message = failed or self._judged(console.decode(errors="replace"), work)
        carried = True
        try:
            unpack(self.folder / "carry", capture)
        except CarryError as error:
            carried = False
            if kind in ("clean", "splat"):
                kind, message = "workload-failed", f"the capture did not come out: {error}"
        work.write_capture(
            capture, kernel=self._bundle.release, ended=(kind, message), complete=carried
        )
        self.sound = kind in _SOUND
        return Outcome(kind, message, up.command, qemu.version())

    def _work(
        self, work: Work, scenario: Scenario, faults: Mapping[str, str]
    ) -> tuple[outcome.Kind, str] | None:
        code, said = self._up.guest.run(kitsteps.BEGIN, self._switch(scenario, faults))
        if code != 0:
            return "module-failed", last_lines(said)
        failed = work.run(self._up.guest, self._up.monitor)
        work.unplug_rest(self._up.guest, self._up.monitor)
        code, said = self._up.guest.run(kitsteps.CARRY, {"SYMBOLS": "no"})
        if code != 0 and failed is None:
            return "workload-failed", f"the capture did not come out: {said}"
        return failed

    def _judged(self, console: str, work: Work) -> tuple[outcome.Kind, str]:
        if found := outcome.splats(console):
            return "splat", f"the guest's kernel complained {len(found)} times, first: {found[0]}"
        return "clean", work.done()

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
        return {"OLD": ";".join(old), "NEW": loads(self._bundle.files, new)}


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
