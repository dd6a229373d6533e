# SPDX-License-Identifier: GPL-2.0-only
"""Run shell lines in a live guest, plug disks, and read the trace: the tests' interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pykit import spec, trace
from pykit.errors import InfraError, PykitError, UsageError
from pykit.guests import Kind, Outcome
from pykit.guests.bundle import Bundle
from pykit.guests.channel import GuestEndedError
from pykit.run.shared import ScenarioRun, SharedGuest
from pykit.scenario import load_scenario, on_transport, under_driver, with_ring
from pykit.scenario.model import Device, Scenario, Step
from pykit.toml import choice

#: Drivers that a test can choose: ours, and the kernel's own, observed by the probe.
DRIVERS = ("pykit_virtio_blk", "virtio_blk")


class GuestStepError(PykitError):
    """Shell lines in the guest ended with an exit code other than 0."""


@dataclass(frozen=True)
class Disk:
    """A plugged disk: QEMU's id, and the device node in the guest."""

    id: str
    node: str

    def __str__(self) -> str:
        return self.node


class LiveGuest:
    """The share of one test in a guest that several tests use in turn.

    Everything from construction to ``end()`` is traced; ``end()`` writes the capture. A guest
    that panicked, hung or logged a warning is not given to another test.
    """

    def __init__(self, shared: SharedGuest, scenario: Scenario, out: Path) -> None:
        self._shared, self._scenario, self._out = shared, scenario, out
        self._watch: ScenarioRun = shared.begin(scenario, out)
        self._outcome: Outcome | None = None
        self._failed: tuple[Kind, str] | None = None
        if self._watch.failed is not None:
            raise InfraError(f"guest: {self._watch.failed[0]}: {self._watch.failed[1]}")

    @property
    def release(self) -> str:
        """Return the release of the guest's kernel."""
        return self._shared.bundle.release

    def run(self, script: str) -> str:
        """Run shell lines in the guest; returns the last lines of their output.

        The lines can call the functions of guest/agent/lib.sh. Raises GuestStepError for an exit
        code other than 0, InfraError for a guest that panicked or hangs.
        """
        code, said = self._guarded(lambda w: w.work.shell(self._shared.guest, script))
        if code != 0:
            raise GuestStepError(f"the guest's shell ended with {code}: {said}")
        return str(said)

    def plug(self) -> Disk:
        """Plug the test's disk; return it once its driver has bound to it."""
        self._act(Step("plug", action="plug", device=self._device.id))
        return Disk(self._device.id, self.run('disk || die "no disk appeared"').strip())

    def unplug(self) -> None:
        """Unplug the test's disk."""
        self._act(Step("unplug", action="unplug", device=self._device.id))

    def query(self, at: str = "query") -> None:
        """Record the state of the disk's queues in QEMU; rules compare it with the trace."""
        self._act(Step(at, action="query", device=self._device.id))

    def end(self) -> Path:
        """Unplug the disk, write the capture and return its folder; later calls only return it."""
        if self._outcome is None:
            self._outcome = self._watch.end(self._failed)
        return self._watch.capture

    @property
    def outcome(self) -> Outcome:
        """End the trace, and return how the guest ended."""
        self.end()
        assert self._outcome is not None
        return self._outcome

    def events(self) -> trace.Events:
        """End the trace, and return its events."""
        return trace.load(self.end())

    def verdicts(self) -> spec.Verdicts:
        """End the trace, and return the verdict of every rule."""
        return spec.check(self.events())

    @property
    def _device(self) -> Device:
        (device,) = self._scenario.devices
        return device

    def _act(self, step: Step) -> None:
        self._guarded(lambda w: w.work.act(step, self._shared.guest, self._shared.monitor))

    def _guarded(self, act: Any) -> Any:
        if self._outcome is not None:
            raise UsageError("the trace has ended already: call capture, events and verdicts last")
        try:
            return act(self._watch)
        except GuestEndedError as ended:
            self._failed = ended.kind, ended.message
            raise InfraError(f"guest: {ended.kind}: {ended.message}") from ended


def scenario(
    driver: str, transport: str, ring: str, options: Mapping[str, Any], size_mib: int
) -> Scenario:
    """Return the scenario of a test's guest: one disk and its driver."""
    if driver not in DRIVERS:
        raise UsageError(choice(driver, DRIVERS, "driver"))
    base = load_scenario("live")
    device = replace(base.devices[0], options={**options}, size_mib=size_mib)
    base = under_driver(replace(base, devices=(device,)), driver)
    return with_ring(on_transport(base, transport), ring)


def bundle_of(kernel: str, scenario: Scenario, say: Callable[[str], None]) -> Bundle:
    """Return the bundle for guests like this scenario's; it has the modules of all DRIVERS."""
    from pykit import kernels, modules
    from pykit.guests.bundle import bundle

    base = load_scenario("live")
    all_of_them = [
        on_transport(under_driver(base, driver), scenario.transport.name) for driver in DRIVERS
    ]
    target = kernels.resolve(kernel, progress=say)
    built = modules.build(target, progress=say)
    scenarios = [replace(entry, cpus=scenario.cpus) for entry in all_of_them]
    return bundle(target, built.modules, scenarios)
