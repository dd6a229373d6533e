# SPDX-License-Identifier: GPL-2.0-only
"""The guest of a single run as a copy of one that has booted.

To boot a stock kernel under TCG takes longer than all that is done in the guest. What it boots has
nothing of a run: the agent, steps and modules come into the copy through the memory that its
capture comes out by, and its programs on a disk that is plugged. What follows is the same as in a
guest that was booted for the run alone: no module of virtio's is loaded before.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pykit.guests import deadlines, runners
from pykit.guests import template as templates
from pykit.guests.channel import GuestChannel
from pykit.guests.initramfs import Initramfs, TemplateInitramfs
from pykit.guests.monitor import Monitor
from pykit.guests.payload import Payload
from pykit.guests.vmlinux import bootable
from pykit.kernels import Kernel
from pykit.qemu import program
from pykit.qemu.keeper import Keeper
from pykit.scenario.model import Scenario

_INITRAMFS = "initramfs.cpio"
#: What the agent's lines begin with in a template. Of copies each has its own.
_NONCE = "template"
#: Of what guest/agent/receive.c reads: the length of the data and random bytes, and then the data.
_HEAD, _SEED_BYTES, _DATA_AT = struct.Struct("<Q"), 32, 4096


def can_be_copied(scenario: Scenario, accelerator: str) -> bool:
    """Whether the guest of a run can be a copy.

    Observers need its memory or its instructions from the beginning on, and QMP cannot add a
    folder.
    """
    return (
        templates.can_be_copied(scenario, accelerator)
        and not scenario.observe
        and not scenario.icount
        and all(device.backing != "folder" for device in scenario.devices)
    )


@dataclass(frozen=True)
class CopiedGuest:
    """A guest that goes on where the template of its kernel stopped.

    Attributes:
        log: where QEMU writes its trace events.
    """

    kernel: Kernel
    payload: Payload
    log: Path
    _booted: TemplateInitramfs
    _brought: Initramfs

    @classmethod
    def of(cls, kernel: Kernel, payload: Payload, log: Path) -> CopiedGuest:
        """The guest that a payload is brought into."""
        booted = TemplateInitramfs.of(kernel, programs=bool(payload.scenario.programs))
        return cls(kernel, payload, log, booted, booted.bring(payload))

    def template(
        self, say: Callable[[str], None]
    ) -> contextlib.AbstractContextManager[templates.Template]:
        """What it is copied from, as pykit.guests.template.template() has it."""
        status = bootable(self.kernel).stat()
        key = [f"{status.st_size} {status.st_mtime_ns}", *self._booted.key]

        def boot(making: templates.Making) -> float:
            say("boot it once: runs of this kernel copy it from then on")
            self._booted.pack(making.folder / _INITRAMFS, _NONCE)
            with Keeper() as keeper, (keeper.folder / "console").open("wb") as console:
                started = time.monotonic()
                log = keeper.folder / "qemu.log"
                command = self._command(making.folder, keeper.folder, log, making.options())
                process = keeper.start(command, console)
                end = started + deadlines.BOOT_S * deadlines.factor(self.kernel.config)
                guest = GuestChannel(process, keeper.folder, Path(console.name), _NONCE, end)
                with contextlib.closing(guest):
                    guest.connect()
                    took = time.monotonic() - started
                    with contextlib.closing(Monitor(keeper.folder / "qmp")) as monitor:
                        making.keep(monitor, Path(console.name))
            return took

        anywhere = Path("/")
        command = self._command(anywhere, anywhere, anywhere, [])
        return templates.template(command, key, boot, self.kernel.arch)

    def command(self, template: templates.Template, folder: Path) -> list[str]:
        """QEMU's command line; its sockets and the guest's shared memory are in ``folder``."""
        options = template.options()
        if self._brought.programs is not None:
            options += runners.programs_drive(self._brought.programs)
        return self._command(template.folder, folder, self.log, options)

    def restore(self, template: templates.Template, guest: GuestChannel, folder: Path) -> None:
        """Have the guest that QEMU was started for go on, and bring it what is of the run.

        What comes next is the agent's first word.
        """
        guest.open()
        self._fill(folder / program.CARRY)
        with contextlib.closing(Monitor(folder / "qmp")) as monitor:
            template.restore(monitor)
            if self._brought.programs is not None:
                templates.plug_programs(monitor)
            templates.plug_memory(monitor, folder, program.CARRY_MIB)
        guest.receive()

    def _command(self, template: Path, folder: Path, log: Path, options: list[str]) -> list[str]:
        """The same machine for the template and its copies, with options of their own."""
        return runners.direct(
            bootable(self.kernel),
            Initramfs(template / _INITRAMFS, None),
            self.payload.scenario,
            "tcg",
            [*templates.port(program.CARRY_MIB), *options],
            program.talk_options(folder, log, self.payload.scenario.transport.arch),
        )

    def _fill(self, memory: Path) -> None:
        """Write what the run brings into the shared memory."""
        with memory.open("wb") as file, self._brought.path.open("rb") as archive:
            file.truncate(program.CARRY_MIB << 20)
            length = self._brought.path.stat().st_size
            file.write(_HEAD.pack(length) + os.urandom(_SEED_BYTES))
            file.seek(_DATA_AT)
            shutil.copyfileobj(archive, file)
