# SPDX-License-Identifier: GPL-2.0-only
"""How a bundle's guest comes up: copied from a template where that can be, else booted."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pykit.guests import deadlines, device_args, kitsteps, runners
from pykit.guests import template as templates
from pykit.guests.bundle import Bundle
from pykit.guests.channel import GuestChannel, GuestEndedError
from pykit.guests.monitor import Monitor
from pykit.qemu import accel, program
from pykit.qemu.keeper import Keeper
from pykit.scenario.model import Device, Scenario

#: Shared memory that the capture comes out through: two full trace buffers, and the formats.
_CARRY_MIB = 64
#: QEMU's trace log.
_LOG = "qemu.log"


@dataclass(frozen=True)
class BootedGuest:
    """A guest whose agent waits for a step, with our modules' tracepoints there.

    Attributes:
        folder: of its own, gone with it.
        slow: how much slower than usual this machine is, at least 1: deadlines are so much longer.
    """

    folder: Path
    console: Path
    log: Path
    command: tuple[str, ...]
    guest: GuestChannel
    monitor: Monitor
    slow: float


def bring_up(stack: contextlib.ExitStack, bundle: Bundle, devices: Sequence[Device]) -> BootedGuest:
    """A guest with ``devices`` there from power-on, where they cannot be plugged, until ``stack``
    is closed.

    Raises GuestEndedError for one that does not come up.
    """
    host = replace(bundle.scenario, devices=tuple(devices))
    accelerator = accel.probe(bundle.image, bundle.arch)
    # The NVMe disk with programs has no migration stream.
    if not bundle.scenario.programs and templates.can_be_copied(host, accelerator):
        return _copied(stack, bundle)
    return _booted(stack, bundle, host)


def _booted(stack: contextlib.ExitStack, bundle: Bundle, host: Scenario) -> BootedGuest:
    started = time.monotonic()
    keeper = stack.enter_context(Keeper())
    devices = [*device_args.cold_options(host, keeper.folder), *device_args.memory_options(host)]
    kit = program.carry_options(keeper.folder, _CARRY_MIB, bundle.arch)
    up = _start(stack, bundle, keeper, [*devices, *kit])
    up.guest.connect()
    _load(up.guest)
    return replace(up, slow=deadlines.slowness(time.monotonic() - started, bundle.pace))


def _copied(stack: contextlib.ExitStack, bundle: Bundle) -> BootedGuest:
    port = templates.port(_CARRY_MIB)

    def boot(making: templates.Making) -> float:
        with contextlib.ExitStack() as own:
            started = time.monotonic()
            keeper = own.enter_context(Keeper())
            first = _start(own, bundle, keeper, [*port, *making.options()])
            first.guest.connect()
            _load(first.guest)
            took = time.monotonic() - started
            making.keep(first.monitor, first.console)
            return took

    command = _command(bundle, Path("/"), port)
    with templates.template(command, [bundle.key], boot, bundle.arch) as template:
        keeper = stack.enter_context(Keeper())
        up = _start(stack, bundle, keeper, [*port, *template.options()])
        template.restore(up.monitor)
    up.guest.resume()
    templates.plug_memory(up.monitor, keeper.folder, _CARRY_MIB)
    return replace(up, slow=deadlines.slowness(template.boot_s, bundle.pace))


def _start(
    stack: contextlib.ExitStack, bundle: Bundle, keeper: Keeper, options: Sequence[str]
) -> BootedGuest:
    """Start its QEMU; the guest has said nothing yet."""
    folder = keeper.folder
    console, log = folder / "console.log", folder / _LOG
    command = _command(bundle, folder, options)
    log.touch()
    process = keeper.start(command, stack.enter_context(console.open("wb")))
    deadline = time.monotonic() + deadlines.BOOT_S * bundle.pace
    guest = GuestChannel(process, folder, console, bundle.nonce, deadline)
    stack.callback(guest.close)
    guest.open()
    monitor = stack.enter_context(contextlib.closing(Monitor(folder / "qmp")))
    return BootedGuest(folder, console, log, tuple(command), guest, monitor, 1.0)


def _command(bundle: Bundle, folder: Path, options: Sequence[str]) -> list[str]:
    accelerator = accel.probe(bundle.image, bundle.arch)
    talk = program.talk_options(folder, folder / _LOG, bundle.arch)
    return runners.direct(
        bundle.image, bundle.initramfs, bundle.scenario, accelerator, options, talk
    )


def _load(guest: GuestChannel) -> None:
    code, said = guest.run(kitsteps.LOAD)
    if code != 0:
        raise GuestEndedError("module-failed", kitsteps.last_lines(said))
