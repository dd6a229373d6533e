# SPDX-License-Identifier: GPL-2.0-only
"""One folder with all that the guest gets: agent, steps, modules, programs of ours.

Under virtme-ng the guest sees it where it is; the direct runner packs it into the
initramfs as /pykit.
"""

from __future__ import annotations

import fcntl
import hashlib
import lzma
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pykit.boot.scenario import Action, Device, Scenario, Step
from pykit.errors import InfraError
from pykit.kernels import Kernel
from pykit.modules import closure
from pykit.modules.elf import read_module
from pykit.modules.inspection import depends
from pykit.paths import build_dir

#: Where the host's programs are looked for; the superuser's own may not be on the user's PATH.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

GUEST = Path(__file__).resolve().parent.parent / "guest"

#: Kilobytes of trace buffer for each CPU; 100,000 events take about 6 MiB.
_TRACE_BUFFER_KB = 49152

#: What the capture can come to at most: full buffers, and the formats.
MOST_CARRIED_MIB = 2 * _TRACE_BUFFER_KB // 1024 + 4

_PROLOGUE = '. "$PAYLOAD/lib.sh"\n'

#: What ends a signed module, and the size of the structure before it.
_SIGNED = b"~Module signature appended~\n"
_SIGNATURE_BYTES = 12

#: The step that loads modules, and the ones that end tracing and bring the capture out.
LOAD, CARRY = "pykit-load", "pykit-carry"

_CARRY = """
cd "$TRACING" || die "no tracefs"
echo 0 > tracing_on
# Without a program: each costs a fork and, over 9p, a way to the host.
found=
for device in /sys/bus/pci/devices/*; do
	read -r vendor < $device/vendor
	read -r model < $device/device
	[ $vendor:$model = 0x1af4:0x1110 ] && { found=$device; break; }
done
[ -n "$found" ] || die "no shared memory to bring the capture out through"
echo 1 > $device/enable
resource=$device/resource2_wc
[ -e $resource ] || resource=$device/resource2
{
	for file in events/header_page events/header_event trace_clock saved_cmdlines \\
		events/pykit/*/format per_cpu/cpu*/trace_pipe_raw per_cpu/cpu*/stats; do
		[ -e "$file" ] && printf '%s\\ttracing/%s\\n' "$PWD/$file" "$file"
	done
	[ -z "$SYMBOLS" ] || printf '%s\\tkallsyms\\n' $SYMBOLS
} | "$PAYLOAD/bin/carry" $resource
"""

_TRACE = f"""
cd "$TRACING" || die "no tracefs"
echo 0 > tracing_on
echo mono > trace_clock
echo {_TRACE_BUFFER_KB} > buffer_size_kb || die "no memory for the trace buffer"
echo 1 > events/pykit/enable || die "pykit_trace.ko has no events"
echo 1 > tracing_on
"""

# Where no device can be plugged, those that are there from power-on are kept from their
# transport's driver until the scenario plugs them (lib.sh's mmio).
_HOLD = "echo 0 >/sys/bus/platform/drivers_autoprobe\n"
_LET_GO = """
for device in /sys/bus/platform/drivers/virtio-mmio/LNRO*; do
	[ ! -e $device ] || echo ${device##*/} >/sys/bus/platform/drivers/virtio-mmio/unbind
done
echo 1 >/sys/bus/platform/drivers_autoprobe
"""
_BIND: dict[Action | None, str] = {"plug": "bind", "unplug": "unbind"}

#: Parameters of our modules, by module.
Parameters = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Payload:
    """A staged folder."""

    folder: Path
    nonce: str
    scenario: Scenario
    #: The kernel's modules in load order, as file names below modules/.
    kernel_modules: tuple[str, ...]


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
    for name in ("steps", "modules", "bin"):
        (folder / name).mkdir(parents=True)
    shutil.copy(GUEST / "agent.sh", folder)
    drivers = [device.driver for device in scenario.devices]
    driver = next(iter(drivers), scenario.driver or Device.driver)
    # Who sees program counters gets names for them.
    symbols = "/proc/kallsyms" if "access" in scenario.observe else ""
    (folder / "lib.sh").write_text(
        f"DRIVER={driver}\nCOUNT={scenario.count}\nSYMBOLS={symbols}\n"
        + (GUEST / "lib.sh").read_text()
        + _programs(scenario.programs)
    )
    wanted = {"pykit_trace", *scenario.modules}
    missing = wanted - {path.stem for path in modules}
    if missing:
        raise InfraError(f"{', '.join(sorted(missing))}.ko was not built: see pykit build")
    ours = [path for path in modules if path.stem in wanted]
    transport = [scenario.transport.module] if scenario.devices else []
    needs = closure(kernel, [*transport, *scenario.kernel_modules, *_depends(ours)])
    for path in needs:
        copy_module(path, folder / "modules")
    for path in ours:
        shutil.copy(path, folder / "modules")
    for name in ("carry", *scenario.guest_programs):
        shutil.copy(compile_guest(name), folder / "bin" / name)
    names = tuple(plain_name(path.name) for path in needs)
    load = [
        *([] if scenario.transport.hot_plug else [_HOLD]),
        *map(_load_theirs, names),
        *([] if scenario.transport.hot_plug else [_LET_GO]),
        *(_load_ours(path, parameters, scenario.parameters) for path in ours),
    ]
    (folder / "steps" / LOAD).write_text(_PROLOGUE + "".join(load))
    (folder / "steps" / CARRY).write_text(_PROLOGUE + _CARRY)
    slots = {device.id: number for number, device in enumerate(scenario.devices)}
    for step in scenario.steps:
        if step.guest:
            (folder / "steps" / step.name).write_text(_PROLOGUE + step.guest)
        if step.action in _BIND and not scenario.transport.hot_plug:
            line = f"mmio {_BIND[step.action]} {slots[step.device]}\n"
            (folder / "steps" / bind_step(step)).write_text(_PROLOGUE + line)
    return Payload(folder, nonce, scenario, names)


def bind_step(step: Step) -> str:
    """The guest's step that binds or unbinds a device where there is no hot-plug."""
    return f"pykit-{step.action}-{step.device}"


def _programs(names: Sequence[str]) -> str:
    """Shell functions that call the host's programs, where busybox would take its own applet."""
    lines = ["\n"]
    for name in names:
        found = shutil.which(name, path=PATH)
        if found is None:
            raise InfraError(f"{name} is not installed, and the scenario calls it: make setup")
        if name.isidentifier():
            lines.append(f'{name}() {{ {found} "$@"; }}\n')
    return "".join(lines)


def _depends(modules: Sequence[Path]) -> list[str]:
    ours = {path.stem for path in modules}
    return sorted({name for path in modules for name in depends(read_module(path))} - ours)


def _load_theirs(name: str) -> str:
    loaded = f"/sys/module/{Path(name).stem.replace('-', '_')}"
    return f'[ -d {loaded} ] || insmod "$PAYLOAD/modules/{name}" || die "cannot load {name}"\n'


def _load_ours(path: Path, *parameters: Parameters) -> str:
    given = [item for by in parameters for item in by.get(path.stem, {}).items()]
    own = " ".join(shlex.quote(f"{key}={value}") for key, value in given)
    line = f'insmod "$PAYLOAD/modules/{path.name}" {own} || die "cannot load {path.name}"\n'
    # Before any driver is there, so that not one event is missed.
    return line + _TRACE if path.stem == "pykit_trace" else line


def copy_module(path: Path, folder: Path) -> None:
    """Copy a module, unpacked and without its signature.

    Neither busybox nor every insmod unpacks one itself. The guest loads our unsigned modules
    anyway, and checking the signatures of the kernel's own costs half a second under TCG.
    """
    if path.suffix == ".xz":
        data = lzma.decompress(path.read_bytes())
    elif path.suffix in (".zst", ".gz"):
        tool = {".zst": "zstd", ".gz": "gzip"}[path.suffix]
        done = subprocess.run([tool, "-dc", path], capture_output=True, check=False)
        if done.returncode != 0:
            raise InfraError(f"{path}: {tool} cannot unpack it")
        data = done.stdout
    else:
        data = path.read_bytes()
    (folder / plain_name(path.name)).write_bytes(without_signature(data))


def without_signature(module: bytes) -> bytes:
    """A module's ELF file alone (struct module_signature, include/linux/module_signature.h)."""
    if not module.endswith(_SIGNED):
        return module
    end = len(module) - len(_SIGNED)
    length = int.from_bytes(module[end - 4 : end], "big")
    start = end - _SIGNATURE_BYTES - length
    return module[:start] if start > 0 else module


def plain_name(name: str) -> str:
    for suffix in (".xz", ".zst", ".gz"):
        name = name.removesuffix(suffix)
    return name


def compile_guest(name: str) -> Path:
    """A static program of pykit/guest, compiled once for each content of its sources.

    They are ``NAME.c`` and, where it has more than one, ``NAME_*.c``.
    """
    source = GUEST / f"{name}.c"
    if not source.is_file():
        known = ", ".join(sorted(path.stem for path in GUEST.glob("*.c")))
        raise InfraError(f"no guest program {name}: there are {known}")
    sources = [source, *sorted(GUEST.glob(f"{name}_*.c"))]
    headers = Path(__file__).resolve().parent.parent.parent / "kernel" / "include" / "uapi"
    digest = hashlib.sha256()
    for file in (*sources, *sorted(GUEST.glob("*.h")), *sorted(headers.rglob("*.h"))):
        digest.update(file.read_bytes())
    folder = build_dir() / "guest"
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / f"{name}-{digest.hexdigest()[:16]}"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            new = program.with_suffix(".new")
            done = subprocess.run(
                [
                    "gcc", "-static", "-O2", "-pthread", "-Wall", f"-I{headers}",
                    "-o", new, *sources,
                ],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode != 0:
                said = (done.stderr.strip().splitlines() or ["gcc said nothing"])[0]
                raise InfraError(f"{source.name} does not compile: {said}")
            new.replace(program)
    return program
