# SPDX-License-Identifier: GPL-2.0-only
"""A guest that was booted once and is copied from then on: its memory is a file that copies map.

The copy's devices come from a migration stream, which leaves the memory out (QEMU's capability
x-ignore-shared); what a copy writes is its own. A copy is up in a fraction of a second.

Templates are kept for the time that this machine runs: after that their memory would have to be
read from the disk again, and the rate of the time stamp counter, which guests know, may be another.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import math
import re
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pykit.arch import Arch
from pykit.guests import device_args
from pykit.guests.channel import GuestEndedError
from pykit.guests.monitor import Monitor
from pykit.paths import cache_dir, used
from pykit.qemu import program
from pykit.scenario.model import Scenario

_MEMORY, _STATE, _CONSOLE, _ABOUT = "memory", "state", "console.log", "about.json"
_IGNORE_SHARED = [{"capability": "x-ignore-shared", "state": True}]
_MOVED_S = 60.0
#: What is measured anew for each guest, and may differ a little.
_TSC = re.compile(r"tsc_early_khz=\d+")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
#: A folder that is not complete yet begins with this.
_NEW = ".new-"
#: So many are kept, of some 150 MB each; those that were used last.
_MOST = 32
#: Of the port that shared memory is plugged into: a bridge without devices has no window.
_PORT_ID = "rp-carry"


@dataclass(frozen=True)
class Template:
    """A stopped guest in a folder of the cache, which stays as long as the block of template().

    Attributes:
        boot_s: how long it took to boot, a measure of this machine's speed.
    """

    folder: Path
    boot_s: float

    @property
    def console(self) -> bytes:
        """What its kernel has printed."""
        return (self.folder / _CONSOLE).read_bytes()

    def options(self) -> list[str]:
        """For a copy's QEMU, beside what the template's had."""
        return [*_memory(self.folder, share=False), "-incoming", "defer"]

    def restore(self, monitor: Monitor) -> None:
        """Have a copy go on where the template stopped."""
        monitor.ask("migrate-set-capabilities", capabilities=_IGNORE_SHARED)
        monitor.ask("migrate-incoming", uri=f"exec:cat {shlex.quote(str(self.folder / _STATE))}")
        _moved(monitor)
        monitor.ask("cont")


@dataclass(frozen=True)
class Making:
    """A template that is being made, in a folder in which its copies find what else they need."""

    folder: Path

    def options(self) -> list[str]:
        """For its QEMU, beside what copies have too."""
        return _memory(self.folder, share=True)

    def keep(self, monitor: Monitor, console: Path) -> None:
        """Stop the guest, and keep its devices and what it printed."""
        monitor.ask("migrate-set-capabilities", capabilities=_IGNORE_SHARED)
        monitor.ask("stop")
        monitor.ask("migrate", uri=f"exec:cat >{shlex.quote(str(self.folder / _STATE))}")
        _moved(monitor)
        shutil.copy(console, self.folder / _CONSOLE)


#: Boots a guest and has it kept; how long it took to boot.
Boot = Callable[[Making], float]


def can_be_copied(scenario: Scenario, accelerator: str) -> bool:
    """Whether a guest for these devices can be a copy.

    Its memory is its own, and QEMU has a migration stream of all that is there from power-on. What
    a guest gives to a balloon QEMU takes out of the memory's file, which is the template's.
    """
    return (
        accelerator == "tcg"
        and not any("balloon" in device.type for device in scenario.devices)
        and scenario.transport.hot_plug
        and scenario.transport.arch.other_pci
        and not device_args.memory_options(scenario)
    )


def port(mib: int) -> list[str]:
    """QEMU's option for the port that a copy's shared memory is plugged into."""
    return [
        "-device",
        f"pcie-root-port,id={_PORT_ID},chassis=11,slot=11,pref64-reserve={4 * mib}M",
    ]


def plug_programs(monitor: Monitor) -> None:
    """Plug a disk with programs, which the copy's QEMU has a drive for (runners.programs_drive).

    The guest looks for it when the shared memory is plugged, the first function beside it.
    """
    disk = {"driver": "nvme", "drive": "programs", "serial": "programs"}
    monitor.ask("device_add", **disk, bus=_PORT_ID, addr="0.1")


def plug_memory(monitor: Monitor, folder: Path, mib: int) -> None:
    """Plug a copy's shared memory, which is a file in ``folder``."""
    memory = {
        "qom-type": "memory-backend-file", "id": "carry", "share": True,
        "size": mib << 20, "mem-path": str(folder / program.CARRY),
    }  # fmt: skip
    monitor.ask("object-add", **memory)
    plugged = {"driver": "ivshmem-plain", "memdev": "carry", "bus": _PORT_ID}
    monitor.ask("device_add", **plugged, addr="0.0", multifunction=True)


@contextlib.contextmanager
def template(
    command: Sequence[str], key: Sequence[str], boot: Boot, arch: Arch
) -> Iterator[Template]:
    """The template of that key, from the cache or made by ``boot``.

    ``command`` is QEMU's, with the same folders for all. Others wait meanwhile. No other process
    deletes it until the block is left.

    Raises GuestEndedError for a guest that does not boot, OSError for a cache that cannot be
    written to.
    """
    path, version = program.find(arch)
    words = [
        *(_TSC.sub("", word) for word in command), *key,
        str(version), str(Path(path).stat().st_mtime_ns), _BOOT_ID.read_text(),
    ]  # fmt: skip
    name = hashlib.sha256("\n".join(words).encode()).hexdigest()[:32]
    folder = cache_dir() / "templates" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _lock_of(folder).open("w") as lock:
        while True:
            fcntl.flock(lock, fcntl.LOCK_SH)
            about = _about(folder)
            if about is not None:
                break
            # One lock is given up before the other is had.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _about(folder) is None:
                _make(folder, boot)
        used(folder)
        yield Template(folder, float(about["boot_s"]))


def _about(folder: Path) -> dict[str, Any] | None:
    """What is known of a template; None where there is none, or its memory was written to.

    Copies never write to it: one that was written to would have guests panic for no reason.
    """
    try:
        about: dict[str, Any] = json.loads((folder / _ABOUT).read_text())
        same = (folder / _MEMORY).stat().st_mtime_ns == about["written_ns"]
    except (FileNotFoundError, KeyError):
        return None
    return about if same else None


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f".{folder.name.removeprefix(_NEW)}.lock")


def _make(folder: Path, boot: Boot) -> None:
    free = shutil.disk_usage(folder.parent).free >> 20
    if free < program.MEMORY_MIB:
        # QEMU would be killed where the file of its memory finds no room.
        raise GuestEndedError(
            "never-booted",
            f"{folder.parent} has {free} MiB free, and a copy's memory may need "
            f"{program.MEMORY_MIB}: free some space",
        )
    new = folder.with_name(f"{_NEW}{folder.name}")
    # Of a process that was killed.
    shutil.rmtree(new, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    new.mkdir()
    try:
        boot_s = boot(Making(new))
        written = (new / _MEMORY).stat().st_mtime_ns
        about = {"boot_s": round(boot_s, 3), "written_ns": written}
        (new / _ABOUT).write_text(json.dumps(about) + "\n")
        new.replace(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    _prune(folder.parent)


def _prune(folder: Path) -> None:
    """Delete the templates that are too many, and what processes left that were killed."""
    there = sorted(folder.glob("[0-9a-f]*"), key=_age)
    for path in [*there[_MOST:], *folder.glob(f"{_NEW}*")]:
        with _lock_of(path).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # it is made, or about to be copied
            shutil.rmtree(path, ignore_errors=True)


def _age(path: Path) -> float:
    """How long ago an entry was used, s; at the end what another process deletes meanwhile."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return math.inf


def _moved(monitor: Monitor) -> None:
    end = time.monotonic() + _MOVED_S
    while True:
        found = monitor.ask("query-migrate")
        if found.get("status") == "completed":
            return
        if found.get("status") in ("failed", "cancelled") or time.monotonic() > end:
            words = found.get("error-desc", "no end of it")
            raise GuestEndedError("never-booted", f"the copy of a guest: {words}")
        time.sleep(0.005)


def _memory(folder: Path, *, share: bool) -> list[str]:
    path = program.value(folder / _MEMORY)
    backend = f"memory-backend-file,id=ram,size={program.MEMORY_MIB}M,mem-path={path}"
    return [
        "-object", f"{backend},share={'on' if share else 'off'}",
        "-machine", "memory-backend=ram",
    ]  # fmt: skip
