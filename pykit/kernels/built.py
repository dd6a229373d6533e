# SPDX-License-Identifier: GPL-2.0-only
"""Kernels built from source with a profile, cached by source, configuration and compiler.

A folder of the cache holds one kernel: make's output directory, the log, and the stamp
that is written when make is done. A build that was interrupted has no stamp; make goes on
where it stopped.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pykit import kconfig
from pykit.errors import InfraError
from pykit.kernels import kbuild, local, store
from pykit.kernels.model import Kernel, Progress
from pykit.kernels.trees import KernelSource

#: Objects that are built, how many there will be about, and what is being made now.
Step = Callable[[int, int, str], None]

#: Programs that a kernel's make calls, and headers of libraries for its tools.
_TOOLS = ("make", "gcc", "ld", "flex", "bison", "bc", "perl")
_HEADERS = {"libelf": "gelf.h", "openssl": "openssl/opensslv.h"}

#: Bytes of the largest build so far, and a reserve.
_SPACE = 4 << 30

#: make's line for a thing it makes: "  CC [M]  drivers/vhost/vhost.o".
_MADE = re.compile(r"  [A-Z][A-Z0-9_-]* +(?:\[M\] +)?(\S+)$")

#: For a profile's first build: objects for each symbol that is y or m, as measured with
#: 6.12 (debug: OBJECTS of SYMBOLS).
_OBJECTS_PER_SYMBOL = 2.5


def build(profile: kconfig.Profile, source: KernelSource, progress: Progress, step: Step) -> Kernel:
    """The kernel of a profile, built unless the cache has it. 2 to 20 minutes.

    Raises: UsageError where the profile cannot be had from this source; InfraError in one
        line where a tool is missing, the disk is full or make fails.
    """
    _require_tools()
    config = kconfig.resolve(profile, source.tree).config
    # The configuration names the compiler, the assembler and the linker by version.
    key = hashlib.sha256(f"{source.identity}\n{config}".encode()).hexdigest()[:12]
    name = f"{profile.name}-{source.name}"
    place = store.built_dir() / f"{name}-{key}"
    with store.locked(place, progress) as lock:
        stamp = store.read_stamp(place)
        if stamp is not None:
            # The name that is printed means this one from now on, not what was built since.
            store.write_stamp(place, {**stamp, "built": time.time()})
        else:
            started = time.monotonic()
            objects = _make(profile, source.tree, config, place, lock, step)
            seconds = round(time.monotonic() - started)
            progress(f"built {name}: {objects} objects in {seconds // 60} min {seconds % 60} s")
            stamp = {
                "name": name,
                "profile": profile.name,
                "release": local.built(place / "build", progress).release,
                "objects": objects,
                "built": time.time(),
            }
            store.write_stamp(place, stamp)
    return _kernel(place, name, progress)


def find(name: str, progress: Progress) -> Kernel | None:
    """The kernel last asked for under a name ("debug-6.12"), or the one of a folder's name."""
    for folder, stamp in _stamps():
        if name in (stamp["name"], folder.name):
            return _kernel(folder, name, progress)
    return None


def names() -> list[tuple[str, str, str]]:
    """What `find` takes, the newest first, each with its profile and release.

    Of several with one name the older ones are called by their folders.
    """
    found: dict[str, tuple[str, str, str]] = {}
    for folder, stamp in _stamps():
        name = folder.name if stamp["name"] in found else str(stamp["name"])
        found[name] = name, str(stamp["profile"]), str(stamp["release"])
    return list(found.values())


def _make(
    profile: kconfig.Profile, tree: Path, config: str, place: Path, lock: int, step: Step
) -> int:
    """Configure and build in ``place/build``; returns the number of objects there are."""
    output = place / "build"
    if not output.exists():
        store.need_space(place, _SPACE)
        output.mkdir()
    log = place / "build.log"
    common = ["-C", str(tree), f"O={output}", f"LOCALVERSION=-{profile.name}"]
    settings = output / ".config"
    if not settings.exists() or settings.read_text(encoding="utf-8") != config:
        settings.write_text(config, encoding="utf-8")
    _run([*common, "olddefconfig"], place, log, lock, None)
    lacks = kconfig.check(profile, settings, tree)
    if lacks:
        raise InfraError(f"{profile.name}: {'; '.join(map(str, lacks))}")

    done = _objects(output)
    about = max(_expected(profile.name, config), done)

    def on_line(line: str) -> None:
        nonlocal done
        made = _MADE.match(line)
        if made:
            done += made[1].endswith(".o")
            step(done, max(about, done), line.strip())

    step(done, about, "make")
    _run([*common, "bzImage", "modules"], place, log, lock, on_line)
    # Counted again: what was made twice is there once.
    return _objects(output)


def _run(
    arguments: list[str],
    place: Path,
    log: Path,
    lock: int,
    on_line: Callable[[str], None] | None,
) -> None:
    if kbuild.make(arguments, log, lock, on_line) == 0:
        return
    if store.is_no_space(log.read_text(encoding="utf-8", errors="replace")):
        raise store.no_space(place)
    raise InfraError(f"kernel {place.name}: {kbuild.first_error(log)} (log: {log})")


def _expected(profile: str, config: str) -> int:
    """Return the objects of this profile's last build from any source, else an estimate."""
    for _, stamp in _stamps():
        if stamp["profile"] == profile:
            return int(stamp["objects"])
    symbols = len(re.findall(r"^CONFIG_\w+=[ym]$", config, re.MULTILINE))
    return round(_OBJECTS_PER_SYMBOL * symbols)


def _kernel(place: Path, name: str, progress: Progress) -> Kernel:
    return replace(local.built(place / "build", progress), name=name)


def _stamps() -> list[tuple[Path, dict[str, Any]]]:
    """Complete builds, the newest first."""
    if not store.built_dir().is_dir():
        return []
    found = ((folder, store.read_stamp(folder)) for folder in store.built_dir().iterdir())
    complete = [(folder, stamp) for folder, stamp in found if stamp]
    return sorted(complete, key=lambda entry: -float(entry[1]["built"]))


def _objects(output: Path) -> int:
    """Objects of which kbuild has noted that they are done."""
    names = (name for _, _, files in os.walk(output) for name in files)
    return sum(name.endswith(".o.cmd") for name in names)


def _require_tools() -> None:
    missing = [tool for tool in _TOOLS if not shutil.which(tool)]
    include = [Path("/usr/include"), Path("/usr/include/x86_64-linux-gnu")]
    for library, header in _HEADERS.items():
        if not any((folder / header).exists() for folder in include):
            missing.append(f"{library}'s headers")
    if missing:
        raise InfraError(
            f"to build a kernel this machine lacks {', '.join(missing)}: see 'pykit doctor'"
        )
