# SPDX-License-Identifier: GPL-2.0-only
"""What a guest is booted with that scenario after scenario is run in: a folder named by its hash.

A bundle is made where the kernel and the modules are. It is all that another machine needs of
them, so it goes there whole; the name says whether it is there already.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pykit.arch import Arch
from pykit.errors import UsageError
from pykit.guests import deadlines
from pykit.guests.initramfs import Initramfs
from pykit.guests.kitsteps import load_ours, load_theirs, module_of
from pykit.guests.payload import Payload, depends_on, put_files, put_kit_steps, put_steps
from pykit.guests.payload import plain_name as plain
from pykit.guests.vmlinux import bootable
from pykit.kernels import Kernel
from pykit.modules import closure
from pykit.paths import cache_dir, used
from pykit.scenario.model import Scenario

#: KiB of trace buffer for each CPU: some 25,000 events, in memory that every copy of the guest has.
_TRACE_BUFFER_KB = 16384
#: Kernel, initramfs and, where there are any, the disk of the host's programs.
_IMAGE, _INITRAMFS, _PROGRAMS = "vmlinux", "initramfs.cpio", "programs.ext4"


@dataclass(frozen=True)
class Bundle:
    """A guest's files, and what has to be known of them.

    Attributes:
        key: names it, by its content.
        nonce: what the agent's lines begin with, the same in all guests of the bundle.
        release: the kernel's.
        pace: what a scenario's deadline is multiplied by for this kernel.
        scenario: what all scenarios that it can run need of a guest, without devices.
        files: by module that comes and goes with a scenario, the files to load for it, in order.
    """

    key: str
    nonce: str
    release: str
    pace: int
    scenario: Scenario
    files: dict[str, tuple[str, ...]]

    @property
    def folder(self) -> Path:
        """Where it is on this machine, if it is."""
        return folder_of(self.key)

    @property
    def arch(self) -> Arch:
        """The architecture of its guests."""
        return self.scenario.transport.arch

    @property
    def image(self) -> Path:
        """The kernel's."""
        return self.folder / _IMAGE

    @property
    def initramfs(self) -> Initramfs:
        """What it is booted with."""
        programs = self.folder / _PROGRAMS if self.scenario.programs else None
        return Initramfs(self.folder / _INITRAMFS, programs)


def folder_of(key: str) -> Path:
    """Where a bundle of that name is kept."""
    return cache_dir() / "bundles" / key


def bundle(kernel: Kernel, modules: Sequence[Path], scenarios: Sequence[Scenario]) -> Bundle:
    """The bundle that runs these scenarios, from the cache or made anew.

    ``modules`` are all of ours, in load order. All scenarios are on one transport's machine, with
    the same number of CPUs.

    Raises:
        UsageError: scenarios that cannot share a guest, two of one name that differ.
        InfraError: a module or program that is not there.
    """
    merged = _merged(scenarios)
    folder = cache_dir() / "bundles"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as temporary:
        staged = Path(temporary) / "payload"
        files = _stage(staged, merged, scenarios, kernel, modules)
        nonce = _digest(sorted(staged.rglob("*")), staged)[:16]
        made = Initramfs.make(kernel, Payload(staged, nonce, merged))
        new = Path(temporary) / "bundle"
        new.mkdir()
        made.path.replace(new / _INITRAMFS)
        _link(bootable(kernel), new / _IMAGE)
        if made.programs is not None:
            _link(made.programs, new / _PROGRAMS)
        key = _digest(sorted(new.iterdir()), new)
        if not folder_of(key).exists():
            try:
                new.replace(folder_of(key))
            except OSError:
                if not folder_of(key).exists():  # else somebody was faster
                    raise
    used(folder_of(key))
    return Bundle(key, nonce, kernel.release, deadlines.factor(kernel.config), merged, files)


def _merged(scenarios: Sequence[Scenario]) -> Scenario:
    first = scenarios[0]
    for scenario in scenarios:
        if (scenario.transport.machine, scenario.cpus) != (first.transport.machine, first.cpus):
            raise UsageError(f"{first.name} and {scenario.name} cannot share a guest")
        if scenario.observe or scenario.icount or scenario.firmware:
            raise UsageError(
                f"scenario {scenario.name} is looked at from outside, counts instructions or is "
                "firmware: it needs a guest of its own"
            )
    return replace(
        first,
        name="shared",
        modules=_union(s.modules for s in scenarios),
        kernel_modules=_union((s.transport.module, *s.kernel_modules) for s in scenarios),
        programs=_union(s.programs for s in scenarios),
        guest_programs=_union(s.guest_programs for s in scenarios),
        devices=(),
        steps=(),
        parameters={},
        driver=None,
    )


def _union(lists: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for names in lists for name in names))


def drivers_of(scenario: Scenario) -> tuple[str, ...]:
    """The kernel's own drivers that a scenario is about: here with it alone."""
    names = [*(device.driver for device in scenario.devices), scenario.driver or ""]
    return _union([[name for name in names if name and not name.startswith("pykit_")]])


def _stage(
    folder: Path,
    merged: Scenario,
    scenarios: Sequence[Scenario],
    kernel: Kernel,
    modules: Sequence[Path],
) -> dict[str, tuple[str, ...]]:
    """Fill the payload's folder; the files of each module that comes and goes."""
    ours, names = put_files(folder, merged, kernel, modules)
    drivers = _union(drivers_of(scenario) for scenario in scenarios)
    lasting = [name for name in merged.kernel_modules if name not in drivers]
    stay = {plain(path.name) for path in closure(kernel, [*lasting, *depends_on(ours)])}
    trace = [path for path in ours if path.stem == "pykit_trace"]
    put_kit_steps(
        folder,
        merged,
        (load_theirs(name) for name in names if name in stay),
        (load_ours(path, _TRACE_BUFFER_KB) for path in trace),
    )
    done = set()
    for scenario in scenarios:
        if scenario.name not in done:
            put_steps(folder, scenario)
            done.add(scenario.name)
    files: dict[str, tuple[str, ...]] = {path.stem: (path.name,) for path in ours}
    for driver in drivers:
        needed = (plain(path.name) for path in closure(kernel, [driver]))
        files[driver] = tuple(name for name in needed if name not in stay)
    return files


def _digest(paths: Iterable[Path], root: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        if path.is_file():
            data = path.read_bytes()
            digest.update(f"{path.relative_to(root)} {len(data)}\n".encode() + data)
    return digest.hexdigest()


def _link(source: Path, target: Path) -> None:
    """The same file under another name; a copy where that cannot be."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)


def loads(files: dict[str, tuple[str, ...]], wanted: dict[str, tuple[str, ...]]) -> str:
    """$NEW of the step pykit-begin: modules with their parameters.

    Raises UsageError for a parameter that cannot be passed there.
    """
    items = []
    for module, parameters in wanted.items():
        for word in parameters:
            if set(word) & set(":; \t\n"):
                raise UsageError(f"{module}: {word}: a value with white space, : or ;")
        for file in files[module]:
            own = parameters if module_of(file) == module else ()
            items.append(":".join([file, *own]))
    return ";".join(items)
