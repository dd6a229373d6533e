# SPDX-License-Identifier: GPL-2.0-only
"""Which QEMU there is, and the options that every guest gets."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from pykit.arch import AMD64, Arch
from pykit.errors import InfraError
from pykit.paths import cache_dir, used, write_atomically
from pykit.qemu import fetch

_ELF = b"\x7fELF"
MEMORY_MIB = 1024
CPUS = 2
#: What the TSC counts where it counts instructions, one a nanosecond.
ICOUNT_KHZ = 1_000_000
#: The capture comes out through this much shared memory.
CARRY_MIB = 256
#: The guest's memory, and that shared memory, as files in the guest's folder.
MEMORY, CARRY = "memory", "carry"


@functools.cache
def choice(arch: Arch = AMD64) -> str | None:
    """The path that $PYKIT_QEMU means, by itself or by one of emulator's names."""
    asked = os.environ.get("PYKIT_QEMU")
    if not asked or "/" in asked:
        return asked or None
    return str(fetch.named(asked, _say, arch))


def _say(line: str) -> None:
    print(f"pykit: {line}", file=sys.stderr)


@functools.cache
def find(arch: Arch = AMD64) -> tuple[str, tuple[int, ...]]:
    """Path and version of the QEMU that $PYKIT_QEMU chooses, else of the machine's own.

    For another architecture, which few machines have, it is fetched from Debian.

    Raises InfraError where there is none, UsageError for a name that is none.
    """
    chosen = choice(arch)
    path = shutil.which(chosen or arch.qemu)
    if path is None and not chosen and arch != AMD64:
        path = str(fetch.own(arch, _say))
    if path is None:
        what = f"PYKIT_QEMU: {chosen} is no program" if chosen else f"{arch.qemu} is missing"
        raise InfraError(f"{what}: make setup, or see pykit doctor")
    try:
        text = _asked(path, "--version").stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InfraError(f"{path} does not run: {error}") from error
    match = re.search(r"version (\d+(?:\.\d+)+)", text)
    if match is None:
        raise InfraError(f"{path} --version says nothing of a version: is it QEMU?")
    return path, tuple(int(part) for part in match.group(1).split("."))


def package(name: str) -> Path:
    """The folder of Debian's package of firmware, fetched from there unless the cache has it.

    Raises InfraError where it cannot be had.
    """
    return fetch.package(name, _say)


def present(arch: Arch) -> str:
    """Where the QEMU for another architecture is, or Debian's version of it in the cache.

    Empty if it is fetched when it is used.
    """
    return choice(arch) or shutil.which(arch.qemu) or fetch.own_version(arch)


@contextlib.contextmanager
def using(name: str) -> Iterator[None]:
    """Use another QEMU inside the block, named as in $PYKIT_QEMU; an empty name changes nothing."""
    if not name:
        yield
        return
    before = os.environ.get("PYKIT_QEMU")
    os.environ["PYKIT_QEMU"] = name
    _forget()
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYKIT_QEMU"]
        else:
            os.environ["PYKIT_QEMU"] = before
        _forget()


def _forget() -> None:
    """Drop the answers that depend on which QEMU is used."""
    for cached in (choice, find, _machines, devices, properties):
        cached.cache_clear()


def version(arch: Arch = AMD64) -> str:
    """QEMU's version as text."""
    return ".".join(map(str, find(arch)[1]))


@functools.cache
def _machines(arch: Arch) -> frozenset[str]:
    lines = _help("-M", "help", arch=arch).stdout.splitlines()
    return frozenset(line.split(" ")[0] for line in lines)


@functools.cache
def devices() -> frozenset[str]:
    """Names of the devices that -device takes; none where QEMU cannot list them."""
    return frozenset(re.findall(r'^name "([^"]+)"', _help("-device", "help").stdout, re.MULTILINE))


@functools.cache
def properties(device: str) -> frozenset[str] | None:
    """Names of the properties that -device takes of one; None where there is no such device.

    Raises InfraError for a QEMU that does not list them.
    """
    done = _help("-device", f"{device},help")
    if "not found" in done.stderr:
        return None
    names = frozenset(re.findall(r"^ +([^ =]+)=", done.stdout, re.MULTILINE))
    if not names:
        raise InfraError(f"{find()[0]} does not list the properties of {device}")
    return names


def _help(*words: str, arch: Arch = AMD64) -> subprocess.CompletedProcess[str]:
    return _asked(find(arch)[0], *words)


def _asked(path: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Return what a QEMU says of itself.

    The cache keeps an answer for as long as the program's file is the same. That of a script,
    which may run another one tomorrow, is not kept, nor is that it knows nothing.
    """
    asked = [path, *words]
    with Path(path).open("rb") as file:
        kept = _kept(asked) if file.read(4) == _ELF else None
    if kept is not None and kept.exists():
        used(kept)
        return subprocess.CompletedProcess(asked, 0, kept.read_text(), "")
    done = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=False)
    if kept is not None and done.returncode == 0 and done.stdout:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, done.stdout.encode())
    return done


def _kept(asked: Sequence[str]) -> Path:
    status = Path(asked[0]).stat()
    key = "\n".join([*asked, str(status.st_size), str(status.st_mtime_ns)])
    return cache_dir() / "qemu-help" / hashlib.sha256(key.encode()).hexdigest()[:32]


def require_machine(option: str, arch: Arch = AMD64) -> None:
    """Raise InfraError where the QEMU for ``arch`` lacks the machine that a -M option names."""
    name = option.partition(",")[0]
    if name not in _machines(arch):
        remedy = "install one that does, or use pci"
        if name == arch.pci.partition(",")[0]:
            remedy = f"let PYKIT_QEMU name one for {arch.name}, or leave it out"
        raise InfraError(f"{find(arch)[0]} has no machine {name}: {remedy}")


def value(path: Path | str) -> str:
    """Return a path as a value in an option of QEMU's: a comma would end it there."""
    return str(path).replace(",", ",,")


def monitor_options(path: Path) -> list[str]:
    """Return the options for one more QMP monitor, on a socket."""
    return ["-qmp", f"unix:{value(path)},server=on,wait=off"]


def cpu_options(accelerator: str, *, icount: bool = False, arch: Arch = AMD64) -> list[str]:
    """Accelerator and CPU model; with ``icount`` a clock that counts instructions (TCG)."""
    if accelerator == "kvm":
        return ["-accel", "kvm", "-cpu", "host"]
    old = find(arch)[1] < (10,)
    threads = "single" if icount else arch.threads_before_10 if old else "multi"
    return [
        "-accel", f"tcg,thread={threads}",
        "-cpu", arch.cpu_before_10 if old else arch.cpu,
        *(["-icount", "shift=0"] if icount else []),
    ]  # fmt: skip


def kit_options(folder: Path, log: Path, arch: Arch = AMD64) -> list[str]:
    """What the kit itself needs of a guest, the same in both runners.

    A monitor, the agent's serial port (the second one), shared memory to bring the capture
    out, and the trace log.
    """
    return [*talk_options(folder, log, arch), *carry_options(folder, CARRY_MIB, arch)]


def memory_options(folder: Path, mib: int = MEMORY_MIB) -> list[str]:
    """Options that put the guest's memory into a file in ``folder``, which is made."""
    with (folder / MEMORY).open("wb") as file:
        file.truncate(mib << 20)
    return [
        "-machine", "memory-backend=memory",
        "-object",
        f"memory-backend-file,id=memory,share=on,size={mib}M,mem-path={value(folder / MEMORY)}",
    ]  # fmt: skip


def carry_options(folder: Path, mib: int, arch: Arch = AMD64) -> list[str]:
    """The memory that the capture comes out through: all of the guest's where no other can be
    plugged.
    """
    if not arch.other_pci:
        (folder / CARRY).touch()
        return memory_options(folder)
    return [
        "-object",
        f"memory-backend-file,id=carry,share=on,size={mib}M,mem-path={value(folder / CARRY)}",
        "-device", "ivshmem-plain,memdev=carry",
    ]  # fmt: skip


def talk_options(folder: Path, log: Path, arch: Arch = AMD64) -> list[str]:
    """The monitor, the agent's serial port (the second one), and the trace log."""
    return [
        # QEMU opens its sockets in this order: where the agent's answers, the monitor's does too.
        *monitor_options(folder / "qmp"),
        "-chardev", f"socket,id=agent,path={value(folder / 'agent')},server=on,wait=off",
        "-device", arch.agent_port,
        "-msg", "timestamp=on",
        "-D", str(log),
    ]  # fmt: skip
