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
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pykit import paths
from pykit.errors import InfraError
from pykit.kernels import Kernel, kbuild, source_part, store
from pykit.kernels.model import Progress, silent
from pykit.modules import closure
from pykit.modules.closure import module_name
from pykit.mutants.catalog import Mutant

#: What is fetched of the kernel's source. Folders keep their own Makefile, which knows the
#: composition of each module; of a single file one module is made.
_PART = ("drivers/virtio", "drivers/block/virtio_blk.c")

#: The module in which the switch is defined where the core is modular: all others use its symbols.
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
        home: the module whose parameters are the switch.
        numbers: value of the switch for each mutant, by name.
        void: mutants that do not fit this kernel, with the reason.
    """

    modules: dict[str, Path]
    home: str
    numbers: dict[str, int]
    void: dict[str, str]


def build_mutants(
    kernel: Kernel, mutants: Sequence[Mutant], progress: Progress = silent
) -> MutantBuild:
    """Apply all mutants to the kernel's sources and build its virtio modules, or reuse a build.

    Only what is a module of the kernel is mutated: where the core is built in, mutants of the core
    are void.

    Raises: InfraError where Coccinelle is missing, sources cannot be fetched, or make fails.
    """
    source = source_part(kernel, _PART, "virtio", progress)
    key = hashlib.sha256(repr((kernel.release, str(source))).encode())
    for mutant in mutants:
        key.update(mutant.path.read_bytes())
    key.update(Path(__file__).read_bytes())
    folder = paths.cache_dir() / "mutants" / f"{kernel.release}-{key.hexdigest()[:16]}"
    state = folder / "mutants.json"
    with store.locked(folder.parent, progress):
        if not state.exists():
            if not shutil.which("spatch"):
                raise InfraError("spatch is not installed: apt-get install coccinelle")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            _make(kernel, source, folder, mutants, progress)
    paths.used(folder)
    data = json.loads(state.read_text())
    return MutantBuild(
        {name: folder / path for name, path in data["modules"].items()},
        data["home"],
        data["numbers"],
        data["void"],
    )


def _make(
    kernel: Kernel, source: Path, folder: Path, mutants: Sequence[Mutant], progress: Progress
) -> None:
    core = bool(closure(kernel, [_CORE]))
    if core:
        shutil.copytree(source / "drivers/virtio", folder / "virtio")
    (folder / "block").mkdir()
    shutil.copy(source / "drivers/block/virtio_blk.c", folder / "block")
    progress(f"applying {len(mutants)} mutants to the sources of {kernel.release}")
    series = ".".join(kernel.release.split("-")[0].split("+")[0].split(".")[:2])
    numbers, void = {}, {}
    for number, mutant in enumerate(mutants, 1):
        target = folder / Path(mutant.file).relative_to("drivers")
        if series in mutant.absent:
            void[mutant.name] = f"{series} has no such code"
        elif not target.exists():
            void[mutant.name] = f"{Path(mutant.file).stem} is built into {kernel.release}"
        else:
            reason = _apply(mutant, target)
            if reason:
                void[mutant.name] = reason
        numbers[mutant.name] = number
    lines = [f"#define PYKIT_MUTANT_{m.marker} {numbers[m.name]}" for m in mutants]
    (folder / _HEADER).write_text(
        "/* SPDX-License-Identifier: GPL-2.0-only */\n"
        "#include <linux/compiler.h>\n"
        "extern int pykit_mutant;\nextern unsigned int pykit_mutant_reached;\n"
        "#define PYKIT_MUTANT(name) \\\n"
        "\t(READ_ONCE(pykit_mutant) == PYKIT_MUTANT_##name && ++pykit_mutant_reached)\n"
        + "\n".join(lines)
        + "\n"
    )
    home = _CORE if core else "virtio_blk"
    definition = _DEFINITION + (_EXPORT if core else "")
    with (folder / ("virtio" if core else "block") / f"{home}.c").open("a") as stream:
        stream.write(definition)
    (folder / "block/Kbuild").write_text("obj-m := virtio_blk.o\n")
    (folder / "Kbuild").write_text(
        f"subdir-ccflags-y := -include {folder}/{_HEADER}\n"
        + ("obj-m += virtio/\n" if core else "")
        + "obj-m += block/\n"
    )
    log = folder / "make.log"
    arguments = ["-C", str(kernel.build_dir), f"M={folder}", "CONFIG_DEBUG_INFO_BTF_MODULES="]
    with (folder / ".lock").open("w") as lock:
        if kbuild.make([*arguments, "modules"], log, lock.fileno()) != 0:
            raise InfraError(
                f"mutants for {kernel.release}: {kbuild.first_error(log)} (log: {log})"
            )
    modules = {
        module_name(path.name): str(path.relative_to(folder)) for path in folder.rglob("*.ko")
    }
    state = {"modules": modules, "home": home, "numbers": numbers, "void": void}
    (folder / "mutants.json").write_text(json.dumps(state, indent=1))


def _apply(mutant: Mutant, target: Path) -> str:
    """Apply one semantic patch in place; returns why it does not fit, or nothing."""
    before = target.read_text()
    done = subprocess.run(
        ["spatch", "--no-includes", "--very-quiet", "--in-place", "--sp-file", mutant.path, target],
        capture_output=True,
        text=True,
        check=False,
    )
    # The exit status is 0 where nothing matched.
    if done.returncode != 0:
        first = (done.stderr.strip().splitlines() or ["no message"])[0]
        raise InfraError(f"{mutant.path}: spatch failed: {first}")
    found = len(re.findall(rf"PYKIT_MUTANT\({mutant.marker}\)", target.read_text()))
    if found == mutant.count:
        return ""
    target.write_text(before)
    return f"changes {found} places, not {mutant.count}"
