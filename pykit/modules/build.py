# SPDX-License-Identifier: GPL-2.0-only
"""Build the kernel modules of this checkout for one kernel.

They are built in a copy, ``build/<release>/<plain|fault>/``, by the same Kbuild that
`make KDIR=…` uses. A state file beside the copy says how far it is trusted: "good" with
what was built from what, "failed" after a compiler error (the next build goes on from
there), "building" while make runs. A state "building" shows that make was killed
with files half written, and starts over.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pykit import paths
from pykit.arch import AMD64
from pykit.errors import InfraError
from pykit.kernels import Kernel, compiler, kbuild, source_tree
from pykit.kernels.model import Progress, silent
from pykit.modules.closure import module_name
from pykit.modules.elf import read_modinfo
from pykit.modules.inspection import depends, inspect

_SCHEMA = 1

#: What an in-tree `make` leaves among the sources.
_PRODUCTS = re.compile(r"\..*|.*\.(?:a|i|ko|log|lst|mod|mod\.c|o|order|check|s)|pykit_compat\.h")


@dataclass(frozen=True)
class Build:
    """Modules that were built, inspected and found to fit their kernel.

    Attributes:
        dir: where they and their Module.symvers are.
        modules: the .ko files, in load order.
        needs: names of the kernel's own modules that have to be loaded before them
            (what `closure` takes).
    """

    dir: Path
    modules: tuple[Path, ...]
    needs: tuple[str, ...]


@dataclass(frozen=True)
class _State:
    status: Literal["building", "failed", "good"]
    toolchain: str
    sources: Mapping[str, str]
    #: [path below the directory, bytes, mtime in ns], in load order.
    modules: tuple[tuple[str, int, int], ...] = ()
    needs: tuple[str, ...] = ()


def build(kernel: Kernel, *, fault: bool = False, progress: Progress = silent) -> Build:
    """Build the modules of `kernel/` for a kernel, or find that nothing has changed.

    ``fault`` builds the variant with deliberate bugs, in a folder of its own.

    Raises: InfraError with the first line of what went wrong and the path of the whole
        log; or with what an inspection found.
    """
    variant = "fault" if fault else "plain"
    folder = paths.build_dir() / kernel.release / variant
    folder.parent.mkdir(parents=True, exist_ok=True)
    wanted = _State("building", _toolchain(kernel, progress), sources())
    with _locked(folder.with_name(f".{variant}.lock"), progress) as lock:
        state = _read(_state_file(folder))
        if state and state.status == "good" and not _intact(folder, state):
            state = None
        if state is None or not _unchanged(state, wanted):
            if not os.access(folder.parent, os.W_OK):
                raise InfraError(
                    f"{folder.parent}: read-only, and has no modules of these sources for"
                    f" {kernel.release}: build them where the directory is writable"
                )
            state = _rebuild(kernel, folder, state, wanted, lock, progress)
        return Build(folder, tuple(folder / name for name, _, _ in state.modules), state.needs)


def _rebuild(
    kernel: Kernel,
    folder: Path,
    old: _State | None,
    wanted: _State,
    lock: int,
    progress: Progress,
) -> _State:
    # Kernel headers keep the times they were packed at, so make cannot see that they
    # changed; and half-written files look new to it.
    if old is None or old.status == "building" or old.toolchain != wanted.toolchain:
        shutil.rmtree(folder, ignore_errors=True)
        old = None
    vhost = source_tree(kernel, progress=progress) / "drivers/vhost"
    _write(_state_file(folder), wanted)
    copy_sources(folder, wanted.sources, old.sources if old else {})
    progress(f"building modules for {kernel.release} ({folder.name})")
    started = time.monotonic()
    log = folder.with_suffix(".log")
    failed = _State("failed", wanted.toolchain, wanted.sources)
    if _make(kernel, folder, vhost, log, lock) != 0:
        _write(_state_file(folder), failed)
        raise InfraError(f"modules for {kernel.release}: {kbuild.first_error(log)} (log: {log})")
    modules, needs = _load_order(folder, _built(folder))
    for path in modules:
        try:
            inspect(path, kernel).require()
        except BaseException:
            _write(_state_file(folder), failed)
            raise
    entries = tuple(
        (str(path.relative_to(folder)), path.stat().st_size, path.stat().st_mtime_ns)
        for path in modules
    )
    state = _State("good", wanted.toolchain, wanted.sources, entries, needs)
    _write(_state_file(folder), state)
    progress(f"built {len(modules)} modules in {time.monotonic() - started:.1f} s")
    return state


def _make(kernel: Kernel, folder: Path, vhost: Path, log: Path, lock: int) -> int:
    """Run make; returns its exit status."""
    return kbuild.make(make_arguments(kernel, folder, vhost), log, lock)


def make_arguments(kernel: Kernel, folder: Path, vhost: Path) -> list[str]:
    """Of the make that builds a copy of our sources, with vhost.h of ``vhost``."""
    arguments = ["-C", str(kernel.build_dir), f"M={folder}", f"VHOST_H={vhost}"]
    # Nothing of ours reads the modules' BTF, and making it takes a pahole of the right age.
    # Given here it changes what make does; struct module stays what the headers say.
    arguments.append("CONFIG_DEBUG_INFO_BTF_MODULES=")
    if folder.name == "fault":
        arguments.append("FAULT=1")
    if "\nCONFIG_CC_IS_CLANG=y\n" in _text(kernel.config):
        arguments.append("LLVM=1")
    if kernel.arch != AMD64:
        prefix = Path(compiler(kernel.arch))
        arguments += [f"ARCH={kernel.arch.kbuild}", f"CROSS_COMPILE={prefix}"]
        # Some of Debian's headers name the compiler without its folder.
        arguments.append(f"PATH={prefix.parent}:{os.environ.get('PATH', os.defpath)}")
    return [*arguments, "modules"]


def _built(folder: Path) -> list[Path]:
    """What this build made; older .ko files of removed sources are not in modules.order.

    Its lines are .ko (6.1) or .o (6.12) paths, absolute or below the folder.
    """
    lines = _text(folder / "modules.order").split()
    modules = [(folder / line).with_suffix(".ko") for line in lines]
    missing = [path for path in modules if not path.is_file()]
    if missing or not modules:
        raise InfraError(
            f"make succeeded, but {missing[0] if missing else folder / '*.ko'} is not there: "
            f"remove {folder} and try again"
        )
    return modules


def _load_order(folder: Path, modules: list[Path]) -> tuple[list[Path], tuple[str, ...]]:
    """Modules so that each follows what it depends on, the most needed first.

    Returns: the order, and the names of other modules that these depend on.
    """
    by_name = {module_name(path.name): path for path in modules}
    needed = {name: depends(read_modinfo(path)) for name, path in by_name.items()}
    users = {name: sum(name in other for other in needed.values()) for name in by_name}
    order: dict[str, Path] = {}

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise InfraError(f"modules in {folder} depend on each other: {' '.join(above)}")
        for dependency in needed[name]:
            if dependency in by_name:
                visit(dependency, (*above, name))
        order.setdefault(name, by_name[name])

    for name in sorted(by_name, key=lambda name: (-users[name], name)):
        visit(name, ())
    foreign = {name for names in needed.values() for name in names if name not in by_name}
    return list(order.values()), tuple(sorted(foreign))


def sources() -> dict[str, str]:
    """SHA-256 of every source file, by its path below the checkout."""
    files = [paths.ROOT / "Kbuild"]
    for directory, _, names in os.walk(paths.ROOT / "kernel"):
        files += [Path(directory, name) for name in names if not _PRODUCTS.fullmatch(name)]
    try:
        return {
            str(file.relative_to(paths.ROOT)): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(files)
        }
    except FileNotFoundError as error:
        raise InfraError(f"{error.filename} is missing: the checkout is not complete") from None


def copy_sources(folder: Path, sources: Mapping[str, str], old: Mapping[str, str]) -> None:
    """Make the folder's sources those of the checkout, touching only what differs.

    make compares times: an unchanged file keeps its own, a changed one gets the present.
    """
    for name in old.keys() - sources.keys():
        (folder / name).unlink(missing_ok=True)
    for name in sources:
        copy = folder / name
        contents = (paths.ROOT / name).read_bytes()
        if not copy.is_file() or copy.read_bytes() != contents:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(contents)
            copy.chmod((paths.ROOT / name).stat().st_mode & 0o777)


def _toolchain(kernel: Kernel, progress: Progress) -> str:
    """A digest of what decides how the same sources are compiled."""
    symvers = kernel.build_dir / "Module.symvers"
    digest = hashlib.sha256(str(kernel.build_dir.resolve()).encode())
    try:
        digest.update(symvers.read_bytes() + kernel.config.read_bytes())
        # Without symbol versions the CRCs are always zero.
        digest.update(str(symvers.stat().st_mtime_ns).encode())
    except OSError as error:
        raise InfraError(
            f"{error.filename}: {error.strerror}: modules need the kernel's configuration and "
            "Module.symvers: install its headers, or build it to its end"
        ) from error
    digest.update(_compiler(_text(kernel.config), compiler(kernel.arch, progress)))
    return digest.hexdigest()


def _compiler(config: str, prefix: str) -> bytes:
    """Return the version line of the compiler that the kernel was built with.

    ``prefix`` is what its names begin with, where it is for another architecture.
    """
    named = re.search(r'^CONFIG_CC_VERSION_TEXT="(\S+)', config, re.MULTILINE)
    if "\nCONFIG_CC_IS_CLANG=y\n" in config:
        command = "clang"
    elif prefix:
        command = f"{prefix}gcc"
    elif named and shutil.which(named[1]):
        command = named[1]
    else:
        command = "gcc"
    try:
        return subprocess.run([command, "--version"], capture_output=True).stdout
    except FileNotFoundError:
        raise InfraError(
            f"there is no {command} on this machine, which kernel modules need: install it"
        ) from None


def _unchanged(state: _State, wanted: _State) -> bool:
    return state.status == "good" and (state.toolchain, state.sources) == (
        wanted.toolchain,
        wanted.sources,
    )


def _intact(folder: Path, state: _State) -> bool:
    """Whether the modules are still those that were found good."""
    for name, size, mtime in state.modules:
        try:
            stat = (folder / name).stat()
        except OSError:
            return False
        if (stat.st_size, stat.st_mtime_ns) != (size, mtime):
            return False
    return True


def _state_file(folder: Path) -> Path:
    return folder.with_suffix(".json")


def _read(path: Path) -> _State | None:
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("schema") != _SCHEMA:
            return None
        modules = tuple((name, size, mtime) for name, size, mtime in data.pop("modules"))
        return _State(**data | {"modules": modules, "needs": tuple(data["needs"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _write(path: Path, state: _State) -> None:
    paths.write_atomically(path, json.dumps({"schema": _SCHEMA, **vars(state)}).encode())


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


@contextlib.contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[int]:
    """Hold a lock file; yields its descriptor.

    A file on a read-only file system can be locked as well, if an earlier build left it there.
    """
    try:
        lock = path.open("a")
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES) or not path.is_file():
            raise
        lock = path.open("r")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another build of the same modules")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()
