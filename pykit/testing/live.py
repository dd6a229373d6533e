# SPDX-License-Identifier: GPL-2.0-only
"""A live guest as a test sees it: shell lines, disks that are plugged, what was recorded."""

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
from pykit.run.shared import SharedGuest, Watch, whole
from pykit.scenario import load_scenario, on_transport, under_driver, with_ring
from pykit.scenario.model import Device, Scenario, Step
from pykit.toml import choice

#: Drivers that a test may ask for: ours, and the kernel's own under the probe.
DRIVERS = ("pykit_virtio_blk", "virtio_blk")


class GuestStepError(PykitError):
    """Lines in the guest ended with another code than 0."""


@dataclass(frozen=True)
class Disk:
    """A disk that is plugged: QEMU's id, and its node in the guest."""

    id: str
    node: str

    def __str__(self) -> str:
        return self.node


class LiveGuest:
    """One test's part of a guest that other tests have used before.

    What happens is traced from the first moment to ``end()``, which leaves a capture. The guest
    is not used by another test where anything went wrong with it.
    """

    def __init__(self, shared: SharedGuest, scenario: Scenario, out: Path) -> None:
        self._shared, self._scenario, self._out = shared, scenario, out
        self._watch: Watch = shared.begin(scenario, out)
        self._outcome: Outcome | None = None
        self._failed: tuple[Kind, str] | None = None
        if self._watch.failed is not None:
            raise InfraError(f"guest: {self._watch.failed[0]}: {self._watch.failed[1]}")

    @property
    def release(self) -> str:
        """The kernel's."""
        return self._shared.bundle.release

    def run(self, script: str) -> str:
        """Run shell lines in the guest; returns the last lines of their output.

        guest/agent/lib.sh is read before them. Raises GuestStepError for another exit code than 0,
        InfraError for a guest that panicked or hangs.
        """
        code, said = self._guarded(lambda w: w.work.shell(self._shared.guest, script))
        if code != 0:
            raise GuestStepError(f"the guest's shell ended with {code}: {said}")
        return str(said)

    def plug(self) -> Disk:
        """Plug the test's disk, and wait until its driver has it."""
        self._act(Step("plug", action="plug", device=self._device.id))
        return Disk(self._device.id, self.run('disk || die "no disk appeared"').strip())

    def unplug(self) -> None:
        """Pull it."""
        self._act(Step("unplug", action="unplug", device=self._device.id))

    def query(self, at: str = "query") -> None:
        """Ask QEMU what it believes of the disk's queues; rules compare it with the trace."""
        self._act(Step(at, action="query", device=self._device.id))

    def end(self) -> Path:
        """Unplug what is plugged and bring the capture out; its folder. Only once is it done."""
        if self._outcome is None:
            self._outcome = self._watch.end(self._failed)
            whole(self._watch.capture.parent)
        return self._watch.capture

    @property
    def outcome(self) -> Outcome:
        """How the test's part of the guest ended."""
        self.end()
        assert self._outcome is not None
        return self._outcome

    def events(self) -> trace.Events:
        """All that was recorded, the test's part being over."""
        return trace.load(self.end())

    def verdicts(self) -> spec.Verdicts:
        """What the rules say of it."""
        return spec.check(self.events())

    @property
    def _device(self) -> Device:
        (device,) = self._scenario.devices
        return device

    def _act(self, step: Step) -> None:
        self._guarded(lambda w: w.work.act(step, self._shared.guest, self._shared.monitor))

    def _guarded(self, act: Any) -> Any:
        if self._outcome is not None:
            raise UsageError("the guest was ended already: capture, events and verdicts end it")
        try:
            return act(self._watch)
        except GuestEndedError as ended:
            self._failed = ended.kind, ended.message
            raise InfraError(f"guest: {ended.kind}: {ended.message}") from ended


def scenario(
    driver: str, transport: str, ring: str, options: Mapping[str, Any], size_mib: int
) -> Scenario:
    """What a test's guest needs: one disk, and the driver that takes it."""
    if driver not in DRIVERS:
        raise UsageError(choice(driver, DRIVERS, "driver"))
    base = load_scenario("live")
    device = replace(base.devices[0], options={**options}, size_mib=size_mib)
    base = under_driver(replace(base, devices=(device,)), driver)
    return with_ring(on_transport(base, transport), ring)


def bundle_of(kernel: str, scenario: Scenario, say: Callable[[str], None]) -> Bundle:
    """The bundle for guests like this scenario's, whichever of DRIVERS a test asks for."""
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
