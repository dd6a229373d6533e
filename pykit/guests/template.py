# SPDX-License-Identifier: GPL-2.0-only
"""A guest that was booted once and is copied from then on: its memory is a file that copies map.

The copy's devices come from a migration stream, which leaves the memory out (QEMU's capability
x-ignore-shared); what a copy writes is its own. A copy is up in a fraction of a second.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shlex
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pykit.arch import Arch
from pykit.guests.channel import GuestEndedError
from pykit.guests.monitor import Monitor
from pykit.paths import cache_dir, used
from pykit.qemu import program

_MEMORY, _STATE, _ABOUT = "memory", "state", "about.json"
_IGNORE_SHARED = [{"capability": "x-ignore-shared", "state": True}]
_MOVED_S = 60.0
#: Of the port that shared memory is plugged into: a bridge without devices has no window.
PORT_ID = "rp-carry"


@dataclass(frozen=True)
class Template:
    """A stopped guest in a folder of the cache.

    Attributes:
        boot_s: how long it took to boot, a measure of this machine's speed.
    """

    folder: Path
    boot_s: float

    def options(self) -> list[str]:
        """For a copy's QEMU, beside what the template's had."""
        return [*_memory(self.folder / _MEMORY, share=False), "-incoming", "defer"]

    def restore(self, monitor: Monitor) -> None:
        """Have a copy go on where the template stopped."""
        monitor.ask("migrate-set-capabilities", capabilities=_IGNORE_SHARED)
        monitor.ask("migrate-incoming", uri=f"exec:cat {shlex.quote(str(self.folder / _STATE))}")
        _moved(monitor)
        monitor.ask("cont")


def port(mib: int) -> list[str]:
    """QEMU's option for the port that a copy's shared memory is plugged into."""
    return [
        "-device",
        f"pcie-root-port,id={PORT_ID},chassis=11,slot=11,pref64-reserve={4 * mib}M",
    ]


def template(
    key: Sequence[str],
    boot: Callable[[Sequence[str], Callable[[Monitor], None]], float],
    arch: Arch,
) -> Template:
    """The template of that key, from the cache or made anew.

    ``boot`` boots the guest with further options, calls back with its monitor when it is to be
    kept, and returns how long it took. Others wait meanwhile.
    """
    path, version = program.find(arch)
    words = [*key, path, str(version), str(Path(path).stat().st_mtime_ns), str(program.MEMORY_MIB)]
    name = hashlib.sha256("\n".join(words).encode()).hexdigest()[:32]
    folder = cache_dir() / "templates" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / _ABOUT).exists():
            _make(folder, boot)
    used(folder)
    about = json.loads((folder / _ABOUT).read_text())
    return Template(folder, float(about["boot_s"]))


def _make(folder: Path, boot: Callable[[Sequence[str], Callable[[Monitor], None]], float]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    new = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".new-"))
    try:
        boot_s = boot(_memory(new / _MEMORY, share=True), lambda monitor: _keep(monitor, new))
        (new / _ABOUT).write_text(json.dumps({"boot_s": round(boot_s, 3)}) + "\n")
        new.replace(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _keep(monitor: Monitor, folder: Path) -> None:
    monitor.ask("migrate-set-capabilities", capabilities=_IGNORE_SHARED)
    monitor.ask("stop")
    monitor.ask("migrate", uri=f"exec:cat >{shlex.quote(str(folder / _STATE))}")
    _moved(monitor)


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


def _memory(path: Path, *, share: bool) -> list[str]:
    backend = (
        f"memory-backend-file,id=ram,size={program.MEMORY_MIB}M,mem-path={program.value(path)}"
    )
    return [
        "-object", f"{backend},share={'on' if share else 'off'}",
        "-machine", "memory-backend=ram",
    ]  # fmt: skip
