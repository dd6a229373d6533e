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

from pykit.boot import accel, attach, kitsteps, outcome, qemu, runners
from pykit.boot.bundle import Bundle, drivers_of, loads
from pykit.boot.carried import CarryError, unpack
from pykit.boot.channel import Guest, GuestEndedError
from pykit.boot.keeper import Keeper
from pykit.boot.monitor import TRACE_EVENTS, Monitor
from pykit.boot.outcome import Outcome
from pykit.boot.scenario import Scenario
from pykit.boot.work import Work, last_lines

#: Of a guest that boots, before its kernel's own pace.
_BOOT_S = 60.0
#: What ends a guest's use: the next scenario must not meet what this one left.
_SOUND = ("clean",)


class SharedGuest:
    """A guest of a bundle. Leaving the block ends it.

    Where devices cannot be plugged, those of all scenarios that are to come are there from
    power-on: ``cold``, in the order in which they will be run.
    """

    def __init__(self, bundle: Bundle, cold: Sequence[Scenario] = ()) -> None:
        self._bundle = bundle
        self._cold = [_placed(scenario, number) for number, scenario in enumerate(cold)]
        self._stack = contextlib.ExitStack()
        self._loaded: dict[str, tuple[str, ...]] = {}
        self._ran = 0
        #: Whether another scenario may be run in it.
        self.sound = False
        #: Seconds until its agent answered.
        self.boot_s = 0.0

    def __enter__(self) -> Self:
        """Boot it; raises GuestEndedError for a guest that does not come up."""
        with contextlib.ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self, stack: contextlib.ExitStack) -> None:
        started = time.monotonic()
        keeper = stack.enter_context(Keeper())
        self._folder = keeper.folder
        self._console, self._log = self._folder / "console.log", self._folder / "qemu.log"
        host = self._bundle.scenario
        devices = tuple(device for scenario in self._cold for device in scenario.devices)
        accelerator = accel.probe(self._bundle.image)
        self.command = runners.direct(
            self._bundle.image,
            self._bundle.initramfs,
            host,
            accelerator,
            attach.cold_options(replace(host, devices=devices), self._folder),
            qemu.kit_options(self._folder, self._log),
        )
        output = stack.enter_context(self._console.open("wb"))
        process = keeper.start(self.command, output)
        deadline = started + _BOOT_S * self._bundle.pace
        self._guest = Guest(process, self._folder, self._console, self._bundle.nonce, deadline)
        stack.callback(self._guest.close)
        self._guest.connect()
        code, said = self._guest.run(kitsteps.LOAD)
        if code != 0:
            raise GuestEndedError("module-failed", last_lines(said))
        self._monitor = stack.enter_context(contextlib.closing(Monitor(self._folder / "qmp")))
        self._monitor.trace(TRACE_EVENTS)
        self.boot_s = time.monotonic() - started
        self.sound = True

    def run(
        self, scenario: Scenario, out: Path, faults: Mapping[str, str] = MappingProxyType({})
    ) -> Outcome:
        """Run one scenario and leave its capture in ``out``, as boot.run() does.

        ``faults`` are deliberate bugs by module. A guest that did not end clean is not ``sound``
        any more.
        """
        if self._cold:
            slot = sum(len(before.devices) for before in self._cold[: self._ran])
            scenario = self._cold[self._ran]
        else:
            slot = 0
        self._ran += 1
        capture = out / "capture"
        capture.mkdir(parents=True)
        (self._folder / "carry").open("r+b").write(bytes(8))  # what was there is not this one's
        begun = self._console.stat().st_size, self._log.stat().st_size
        self._guest.deadline = time.monotonic() + scenario.deadline_s * self._bundle.pace
        work = Work(scenario, self._folder, lambda _: None, slot=slot)
        try:
            failed = self._work(work, scenario, faults)
        except GuestEndedError as ended:
            failed = ended.kind, work.where() + ended.message
        console = _rest(self._console, begun[0])
        (out / "console.log").write_bytes(console)
        (capture / "qemu.log").write_bytes(_rest(self._log, begun[1]))
        kind, message = failed or self._judged(console.decode(errors="replace"), work)
        carried = True
        try:
            unpack(self._folder / "carry", capture)
        except CarryError as error:
            carried = False
            if kind in ("clean", "splat"):
                kind, message = "workload-failed", f"the capture did not come out: {error}"
        work.write_capture(
            capture, kernel=self._bundle.release, ended=(kind, message), complete=carried
        )
        self.sound = kind in _SOUND
        return Outcome(kind, message, tuple(self.command), qemu.version())

    def _work(
        self, work: Work, scenario: Scenario, faults: Mapping[str, str]
    ) -> tuple[outcome.Kind, str] | None:
        code, said = self._guest.run(kitsteps.BEGIN, self._switch(scenario, faults))
        if code != 0:
            return "module-failed", last_lines(said)
        failed = work.run(self._guest, self._monitor)
        work.unplug_rest(self._guest, self._monitor)
        code, said = self._guest.run(kitsteps.CARRY, {"SYMBOLS": "no"})
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
