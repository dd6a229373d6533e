# SPDX-License-Identifier: GPL-2.0-only
"""One folder with all that the guest gets: agent, steps, modules, programs of ours.

Under virtme-ng the guest sees it where it is; the direct runner packs it into the
initramfs as /pykit.
"""

from __future__ import annotations

import hashlib
import lzma
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pykit.arch import AMD64, Arch
from pykit.compiler import compile_once
from pykit.errors import InfraError
from pykit.guests import kitsteps, programs
from pykit.guests.kitsteps import Parameters, load_ours, load_theirs
from pykit.kernels import Kernel, compiler
from pykit.modules import closure
from pykit.modules.elf import read_modinfo
from pykit.modules.inspection import depends
from pykit.paths import AGENT, GUEST, ROOT, cache_dir, used, write_atomically
from pykit.scenario.model import Scenario

#: Kilobytes of trace buffer for each CPU; 100,000 events take about 6 MiB.
TRACE_BUFFER_KB = 49152

#: What the capture can come to at most: full buffers, and the formats.
MOST_CARRIED_MIB = 2 * TRACE_BUFFER_KB // 1024 + 4

#: What ends a signed module, and the size of the structure before it.
_SIGNED = b"~Module signature appended~\n"
_SIGNATURE_BYTES = 12


@dataclass(frozen=True)
class Payload:
    """A staged folder."""

    folder: Path
    nonce: str
    #: What the guest has to have; of a guest that is used again, what all of its scenarios need.
    scenario: Scenario


def stage(
    folder: Path,
    nonce: str,
    scenario: Scenario,
    kernel: Kernel,
    modules: Sequence[Path],
    parameters: Parameters,
) -> Payload:
    """Fill ``folder``. ``modules`` are all of ours, in load order; those that the scenario
    does not name (or need) stay out. ``parameters``, by module, come before the scenario's own.

    Raises InfraError for a module or program that is not there.
    """
    ours, names = put_files(folder, scenario, kernel, modules)
    put_kit_steps(
        folder,
        scenario,
        map(load_theirs, names),
        (load_ours(path, TRACE_BUFFER_KB, parameters, scenario.parameters) for path in ours),
    )
    put_steps(folder, scenario)
    return Payload(folder, nonce, scenario)


def put_files(
    folder: Path, scenario: Scenario, kernel: Kernel, modules: Sequence[Path]
) -> tuple[list[Path], list[str]]:
    """Put the agent, modules and programs of a scenario into ``folder``.

    Returns our modules that it needs and the names below modules/ of the kernel's own, each in
    load order.
    """
    for name in ("steps", "modules", "bin"):
        (folder / name).mkdir(parents=True)
    shutil.copy(AGENT / "agent.sh", folder)
    (folder / "lib.sh").write_text(
        (AGENT / "lib.sh").read_text() + _programs(scenario.programs, kernel.arch)
    )
    ours = _ours(scenario, modules)
    needs = loaded_modules(scenario, kernel, modules)
    for path in needs:
        copy_module(path, folder / "modules")
    for path in ours:
        kept = _kept(path, lambda path: _stripped(path, kernel.arch))
        shutil.copy(kept, folder / "modules" / path.name)
    for name in ("carry", *scenario.guest_programs):
        shutil.copy(compile_guest(name, kernel.arch), folder / "bin" / name)
    return ours, [plain_name(path.name) for path in needs]


def loaded_modules(scenario: Scenario, kernel: Kernel, modules: Sequence[Path]) -> list[Path]:
    """Return files of the kernel's own modules that are loaded for a scenario, in load order.

    ``modules`` are all of ours. Raises InfraError for one that is not there.
    """
    transport = [scenario.transport.module] if scenario.devices else []
    ours = _ours(scenario, modules)
    return closure(kernel, [*transport, *scenario.kernel_modules, *depends_on(ours)])


def _ours(scenario: Scenario, modules: Sequence[Path]) -> list[Path]:
    wanted = {"pykit_trace", *scenario.modules}
    missing = wanted - {path.stem for path in modules}
    if missing:
        raise InfraError(f"{', '.join(sorted(missing))}.ko was not built: see pykit build")
    return [path for path in modules if path.stem in wanted]


def put_kit_steps(
    folder: Path, scenario: Scenario, theirs: Iterable[str], ours: Iterable[str]
) -> None:
    """The kit's own steps; ``theirs`` and ``ours`` are the lines that load modules."""
    cold = not scenario.transport.hot_plug
    hold, let_go = (kitsteps.HOLD, kitsteps.LET_GO) if cold else ("", "")
    registered = kitsteps.require_driver(scenario.driver_name, scenario.brought)
    activate = [f"MUTANT={scenario.mutant_switch}\n", kitsteps.ACTIVATE_LINES]
    steps = {
        kitsteps.LOAD: "".join([hold, *theirs, registered, let_go, *ours, *activate]),
        kitsteps.CARRY: kitsteps.CARRY_LINES,
        kitsteps.BEGIN: kitsteps.BEGIN_LINES,
        kitsteps.BIND: kitsteps.BIND_LINES,
        kitsteps.MAPPED: kitsteps.MAPPED_LINES,
        kitsteps.REPORTED: kitsteps.REPORTED_LINES,
        kitsteps.SHELL: kitsteps.SHELL_LINES,
    }
    for name, lines in steps.items():
        (folder / "steps" / name).write_text(lines)


def put_steps(folder: Path, scenario: Scenario) -> None:
    """A scenario's steps, below its name."""
    (folder / "steps" / scenario.name).mkdir()
    for step in scenario.steps:
        if step.guest:
            (folder / "steps" / step_path(scenario, step.name)).write_text(step.guest)


def step_path(scenario: Scenario, step: str) -> str:
    """What the agent knows a scenario's step by."""
    return f"{scenario.name}/{step}"


def depends_on(modules: Sequence[Path]) -> list[str]:
    """Modules of the kernel's own that ours need."""
    ours = {path.stem for path in modules}
    return sorted({name for path in modules for name in depends(read_modinfo(path))} - ours)


def _programs(names: Sequence[str], arch: Arch) -> str:
    """Shell functions that call the host's programs, where busybox would take its own applet."""
    lines = ["\n"]
    for name in names:
        found = programs.find(name, arch).path
        if name.isidentifier():
            lines.append(f'{name}() {{ {found} "$@"; }}\n')
    return "".join(lines)


def copy_module(path: Path, folder: Path) -> None:
    """Copy a module, unpacked (once: the cache keeps that) and without its signature.

    Neither busybox nor every insmod unpacks one itself. The guest loads our unsigned modules
    anyway, and checking the signatures of the kernel's own costs half a second under TCG.
    """
    target = folder / plain_name(path.name)
    if path.suffix not in (".xz", ".zst", ".gz"):
        target.write_bytes(without_signature(path.read_bytes()))
        return
    shutil.copy(_kept(path, lambda path: without_signature(_unpacked(path))), target)


def _kept(path: Path, make: Callable[[Path], bytes]) -> Path:
    """The cache's file with what ``make`` makes of a module, as long as that does not change."""
    status = path.stat()
    words = f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"
    kept = cache_dir() / "unpacked" / hashlib.sha256(words.encode()).hexdigest()[:32]
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, make(path))
    used(kept)
    return kept


def _stripped(path: Path, arch: Arch) -> bytes:
    """A module without its debugging information: most of it, and nothing in a guest reads that."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / path.name
        command = [f"{compiler(arch)}strip", "--strip-debug", "-o", str(target), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise InfraError(f"{path} cannot be stripped: {done.stderr.strip()}")
        return target.read_bytes()


def _unpacked(path: Path) -> bytes:
    if path.suffix == ".xz":
        return lzma.decompress(path.read_bytes())
    tool = {".zst": "zstd", ".gz": "gzip"}[path.suffix]
    done = subprocess.run([tool, "-dc", path], capture_output=True, check=False)
    if done.returncode != 0:
        raise InfraError(f"{path}: {tool} cannot unpack it")
    return done.stdout


def without_signature(module: bytes) -> bytes:
    """A module's ELF file alone (struct module_signature, include/linux/module_signature.h)."""
    if not module.endswith(_SIGNED):
        return module
    end = len(module) - len(_SIGNED)
    length = int.from_bytes(module[end - 4 : end], "big")
    start = end - _SIGNATURE_BYTES - length
    return module[:start] if start > 0 else module


def plain_name(name: str) -> str:
    """Return a module's file name without the suffix of its compression."""
    for suffix in (".xz", ".zst", ".gz"):
        name = name.removesuffix(suffix)
    return name


def compile_guest(name: str, arch: Arch = AMD64) -> Path:
    """Compile a static program of guest/, once for each content of its sources; its path.

    They are ``NAME.c`` and, where it has more than one, ``NAME_*.c``.
    """
    sources = [*GUEST.glob(f"*/{name}.c"), *sorted(GUEST.glob(f"*/{name}_*.c"))]
    uapi = ROOT / "kernel" / "include" / "uapi"
    headers = [*sorted(GUEST.glob("*/*.h")), *sorted(uapi.rglob("*.h"))]
    flags = ("-static", "-O2", "-pthread", "-Wall", f"-I{uapi}")
    place = "guest" if arch == AMD64 else f"guest-{arch.name}"
    gcc = f"{compiler(arch)}gcc"
    return compile_once(f"{name}.c", place, name, sources, headers, flags, compiler=gcc)
