# SPDX-License-Identifier: GPL-2.0-only
"""Build a kernel's own virtio modules with all mutants in them, behind one switch.

The sources are the kernel's, fetched and never kept in the repository. The switch is a parameter
of each mutated module that holds the state (``pykit_mutant``): 0 is the unchanged behaviour. A
second parameter (``pykit_mutant_reached``) counts how often the active mutant's place was executed,
which distinguishes a mutant that survived from one that was never reached.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pykit import paths
from pykit.errors import MissingConfigError
from pykit.kernels import Kernel, kbuild, source_part, store
from pykit.kernels.model import Progress, silent
from pykit.modules import closure
from pykit.modules.closure import module_name
from pykit.mutants.catalog import Mutant
from pykit.spatch import apply_semantic_patch, require_spatch

#: The core's folder, whose own Makefile knows the composition of each module; drivers, which use
#: the core's switch; and vhost, which does not depend on the core and has its own.
_FOLDER = "drivers/virtio"
_DRIVERS = (
    "drivers/block/virtio_blk.c",
    "drivers/char/virtio_console.c",
    "drivers/net/virtio_net.c",
    "drivers/scsi/virtio_scsi.c",
)
_VHOST = "drivers/vhost/vhost.c"
#: What these include from beside them.
_HEADERS = ("drivers/scsi/sd.h", "drivers/tty/hvc/hvc_console.h", "drivers/vhost/vhost.h")

#: The module in which the switch is defined where the core is modular: drivers use its symbols.
_CORE = "virtio_ring"

_HEADER = "pykit_mutant.h"

_DEFINITION = """
#include <linux/moduleparam.h>
int pykit_mutant;
unsigned int pykit_mutant_reached;
module_param(pykit_mutant, int, 0644);
MODULE_PARM_DESC(pykit_mutant, "Number of the active mutant, 0 for none");
module_param(pykit_mutant_reached, uint, 0644);
MODULE_PARM_DESC(pykit_mutant_reached, "How often the active mutant was executed");
"""
_EXPORT = """EXPORT_SYMBOL_GPL(pykit_mutant);
EXPORT_SYMBOL_GPL(pykit_mutant_reached);
"""


@dataclass(frozen=True)
class MutantBuild:
    """Mutated modules of one kernel.

    Attributes:
        modules: files by module name, to be loaded in place of the kernel's own.
        homes: the module whose parameters are the switch of a mutant, by its name.
        numbers: value of the switch for each mutant, by name.
        void: mutants that do not fit this kernel, with the reason.
    """

    modules: dict[str, Path]
    homes: dict[str, str]
    numbers: dict[str, int]
    void: dict[str, str]


def modular(kernel: Kernel, name: str) -> str:
    """Return the name of a kernel to run mutants on: this one, or its twin with a modular core.

    The twin is the same source built with the profile `mutants`, where the virtio core is built
    into the kernel.
    """
    if closure(kernel, [_CORE]):
        return name
    return f"mutants-{_series(kernel)}"


def _series(kernel: Kernel) -> str:
    return ".".join(re.split(r"[-+]", kernel.release)[0].split(".")[:2])


def build_mutants(
    kernel: Kernel, mutants: Sequence[Mutant], progress: Progress = silent
) -> MutantBuild:
    """Apply all mutants to the kernel's sources and build its virtio modules, or reuse a build.

    Only what is a module of the kernel is mutated: where the core is built in, mutants of the core
    are void.

    Raises: InfraError where Coccinelle is missing, sources cannot be fetched, or make fails.
    """
    part = (_FOLDER, *_DRIVERS, _VHOST, *_HEADERS)
    source = source_part(kernel, part, "mutants-drivers", progress)
    key = hashlib.sha256(repr((kernel.release, str(source))).encode())
    for mutant in mutants:
        # Not the head: another expectation makes no other module.
        what = (mutant.name, mutant.file, mutant.count, mutant.absent)
        key.update(repr(what).encode() + mutant.path.read_text().partition("\n@")[2].encode())
    key.update(Path(__file__).read_bytes())
    folder = paths.cache_dir() / "mutants" / f"{kernel.release}-{key.hexdigest()[:16]}"
    state = folder / "mutants.json"
    if not state.exists():
        with store.locked(folder.parent, progress):
            if not state.exists():
                require_spatch()
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                _make(kernel, source, folder, mutants, progress)
    paths.used(folder)
    data = json.loads(state.read_text())
    return MutantBuild(
        {name: folder / path for name, path in data["modules"].items()},
        data["homes"],
        data["numbers"],
        data["void"],
    )


def _make(
    kernel: Kernel, source: Path, folder: Path, mutants: Sequence[Mutant], progress: Progress
) -> None:
    core = bool(closure(kernel, [_CORE]))
    if core:
        shutil.copytree(source / _FOLDER, folder / _FOLDER)
    single = [name for name in (*_DRIVERS, _VHOST) if _is_module(kernel, name)]
    for name in (*single, *_HEADERS):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / name, folder / name)
    progress(f"applying {len(mutants)} mutants to the sources of {kernel.release}")
    series = _series(kernel)
    numbers = {mutant.name: number for number, mutant in enumerate(mutants, 1)}
    void: dict[str, str] = {}
    with ThreadPoolExecutor() as pool:
        files = sorted({mutant.file for mutant in mutants})
        for found in pool.map(lambda file: _mutate(folder, file, mutants, series, kernel), files):
            void |= found
    lines = [f"#define PYKIT_MUTANT_{m.marker} {numbers[m.name]}" for m in mutants]
    (folder / _HEADER).write_text(
        "/* SPDX-License-Identifier: GPL-2.0-only */\n"
        "#include <linux/compiler.h>\n#include <linux/delay.h>\n"
        "extern int pykit_mutant;\nextern unsigned int pykit_mutant_reached;\n"
        "#define PYKIT_MUTANT(name) \\\n"
        "\t(READ_ONCE(pykit_mutant) == PYKIT_MUTANT_##name && ++pykit_mutant_reached)\n"
        + "\n".join(lines)
        + "\n"
    )
    ring = f"{_FOLDER}/{_CORE}.c"
    homes = [ring, _VHOST] if core else single
    for name in homes:
        if (folder / name).exists():
            with (folder / name).open("a") as stream:
                stream.write(_DEFINITION + (_EXPORT if name == ring else ""))
    lines = [f"subdir-ccflags-y := -include {folder}/{_HEADER}"]
    for name in single:
        (folder / name).with_name("Kbuild").write_text(f"obj-m := {Path(name).stem}.o\n")
    lines += [f"obj-m += {Path(name).parent}/" for name in ([ring] if core else []) + single]
    (folder / "Kbuild").write_text("\n".join(lines) + "\n")
    kbuild.make_modules(kernel.build_dir, folder, f"mutants for {kernel.release}")
    modules = {
        module_name(path.name): str(path.relative_to(folder)) for path in folder.rglob("*.ko")
    }
    state = {
        "modules": modules,
        "homes": {m.name: Path(m.file if m.file in homes else homes[0]).stem for m in mutants},
        "numbers": numbers,
        "void": void,
    }
    # Others look for it without the lock.
    unfinished = folder / "mutants.json.new"
    unfinished.write_text(json.dumps(state, indent=1))
    unfinished.rename(folder / "mutants.json")


def _mutate(
    folder: Path, file: str, mutants: Sequence[Mutant], series: str, kernel: Kernel
) -> dict[str, str]:
    """Apply the mutants of one file, one after the other; return those that are void, and why."""
    void = {}
    for mutant in mutants:
        if mutant.file != file:
            continue
        if series in mutant.absent:
            void[mutant.name] = f"{series} has no such code"
        elif not (folder / file).exists():
            void[mutant.name] = f"{Path(file).stem} is built into {kernel.release}"
        elif reason := _apply(mutant, folder / file):
            void[mutant.name] = reason
    return void


def _is_module(kernel: Kernel, file: str) -> bool:
    """Whether the driver of one source file is a module of this kernel's, and not built in."""
    try:
        return bool(closure(kernel, [module_name(f"{Path(file).stem}.ko")]))
    except MissingConfigError:
        return False


def _apply(mutant: Mutant, target: Path) -> str:
    """Apply one semantic patch in place; returns why it does not fit, or nothing."""
    before = target.read_text()
    apply_semantic_patch(mutant.path, target)
    found = len(re.findall(rf"PYKIT_MUTANT\({mutant.marker}\)", target.read_text()))
    if found == mutant.count:
        return ""
    target.write_text(before)
    return f"changes {found} places, not {mutant.count}"
