# SPDX-License-Identifier: GPL-2.0-only
"""Check this machine for the tools that pykit needs; name the command that installs each."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pykit import kernels
from pykit.arch import AMD64, ARCHES, Arch, of_release
from pykit.paths import ROOT, cache_dir
from pykit.qemu import accel, program

Distribution = Literal["debian", "fedora", "arch"]
INSTALL: dict[Distribution, str] = {
    "debian": "apt-get install",
    "fedora": "dnf install",
    "arch": "pacman -S",
}

#: A default run fails below these: a kernel, its build and a few runs; one guest of 1 GiB.
MIN_DISK_GIB = 3.0
MIN_MEMORY_GIB = 2.0

# Options that print the version where --version does not.
_VERSION_ARGUMENT = {"ip": "-V", "mkfs.ext4": "-V", "busybox": "--help", "trace-cmd": "-v"}
_VERSION = re.compile(r"v?\d+(?:\.\d+)+[\w.+~-]*|iproute2-\S+")


@dataclass(frozen=True)
class Facility:
    """The result of one check."""

    #: The thing checked: a tool, the accelerator, the kernels, disk space, memory.
    name: str
    ok: bool
    #: Version, path or amount; empty where the check found nothing.
    found: str
    #: The part of pykit that needs it.
    purpose: str
    #: One command for each distribution that makes the check pass; empty where it passed.
    fix: dict[Distribution, str]
    #: False where pykit works without it, more slowly or with fewer features.
    required: bool = True


@dataclass(frozen=True)
class Requirement:
    """A line of ``tools/packages.tsv``."""

    check: str
    purpose: str
    packages: dict[Distribution, str]


def requirements() -> list[Requirement]:
    """Return the rows of the table that ``tools/setup.sh`` installs from."""
    rows = []
    for line in (ROOT / "tools" / "packages.tsv").read_text().splitlines():
        if line.startswith("#"):
            continue
        check, purpose, debian, fedora, arch = line.split("\t")
        rows.append(Requirement(check, purpose, {"debian": debian, "fedora": fedora, "arch": arch}))
    return rows


def distribution(os_release: Path = Path("/etc/os-release")) -> Distribution | None:
    """Return the family of this machine's distribution; None for one without a column."""
    try:
        text = os_release.read_text()
    except OSError:
        return None
    words = set(re.findall(r"\w+", " ".join(re.findall(r'^ID(?:_LIKE)?="?([^"\n]*)', text, re.M))))
    for family, members in (
        ("debian", {"debian", "ubuntu"}),
        ("fedora", {"fedora", "rhel", "centos"}),
        ("arch", {"arch"}),
    ):
        if words & members:
            return family  # type: ignore[return-value]
    return None


def examine() -> list[Facility]:
    """Run all checks. Boots two small guests unless the accelerator is in the cache."""
    return [
        *(_tool(requirement) for requirement in requirements()),
        _accelerators(),
        _kernels(),
        *(_guests_of(arch) for arch in ARCHES.values() if arch != AMD64),
        _disk(),
        _memory(),
    ]


def _tool(requirement: Requirement) -> Facility:
    path = _locate(requirement.check)
    fix = {
        family: f"{INSTALL[family]} {package}" for family, package in requirement.packages.items()
    }
    name = requirement.check
    if "/" in name:
        name = Path(name.split("|")[0]).name
    if path is None:
        return Facility(name, False, "", requirement.purpose, fix)
    return Facility(name, True, _version(path) or str(path), requirement.purpose, {})


def _locate(check: str) -> Path | None:
    if check.endswith(":venv"):
        done = subprocess.run(
            ["python3", "-c", "import ensurepip, venv"], capture_output=True, check=False
        )
        return Path(sys.prefix) if done.returncode == 0 else None
    if "/" in check:
        return next((Path(p) for p in check.split("|") if Path(p).exists()), None)
    search = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    found = shutil.which(check, path=search)
    return Path(found) if found else None


def _version(path: Path) -> str:
    if not os.access(path, os.X_OK) or path.is_dir():
        return ""
    argument = _VERSION_ARGUMENT.get(path.name, "--version")
    try:
        done = subprocess.run(
            [path, argument], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = _VERSION.search(done.stdout + done.stderr)
    return match.group() if match else ""


def _accelerators() -> Facility:
    known = [known for known in kernels.list_known() if known.state == "cached"]
    if not known:
        return Facility(
            "accelerator",
            False,
            "unknown until a kernel is downloaded",
            "guests",
            _everywhere("pykit kernel get default"),
            required=False,
        )
    best = accel.probe(kernels.resolve(known[0].name).image)
    if best == "kvm":
        return Facility("accelerator", True, "kvm boots a guest", "guests", {})
    why = "exists but boots no guest" if Path("/dev/kvm").exists() else "does not exist"
    return Facility("accelerator", True, f"tcg; /dev/kvm {why}", "guests", {})


def _kernels() -> Facility:
    known = [
        kernel.release
        for kernel in kernels.list_known()
        if kernel.release and kernel.state in ("cached", "installed")
    ]
    return Facility(
        "kernels",
        bool(known),
        ", ".join(known),
        "guests (a run downloads the default kernel)",
        {} if known else _everywhere("pykit kernel get default"),
        required=False,
    )


def _guests_of(arch: Arch) -> Facility:
    """What guests of another architecture need; a run downloads what is missing of it."""
    cached = [k.release for k in kernels.list_known() if k.state == "cached" and k.release]
    parts = {
        "QEMU": program.present(arch),
        "compiler": kernels.compiler_version(arch),
        "kernel": ", ".join(release for release in cached if of_release(release) == arch),
    }
    missing = [what for what, found in parts.items() if not found]
    found = [f"{what} {version}" for what, version in parts.items() if version]
    return Facility(
        f"{arch.name} guests",
        not missing,
        "; ".join(found + [f"no {what}" for what in missing]),
        f"--arch {arch.name} (a run downloads what is missing)",
        _everywhere(f"pykit run io --arch {arch.name}") if missing else {},
        required=False,
    )


def _everywhere(command: str) -> dict[Distribution, str]:
    return dict.fromkeys(INSTALL, command)


def _disk() -> Facility:
    folder = cache_dir()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 2**30
    command = f"free some space below {folder}, or set XDG_CACHE_HOME"
    return Facility(
        "disk",
        free >= MIN_DISK_GIB,
        f"{free:.1f} GiB free at {folder}",
        f"at least {MIN_DISK_GIB:.0f} GiB for kernels, builds and runs",
        {} if free >= MIN_DISK_GIB else _everywhere(command),
    )


def _memory() -> Facility:
    available = 0.0
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) / 2**20
    command = "close other programs: a guest takes 1 GiB"
    return Facility(
        "memory",
        available >= MIN_MEMORY_GIB,
        f"{available:.1f} GiB available, {os.cpu_count()} CPUs",
        f"at least {MIN_MEMORY_GIB:.0f} GiB",
        {} if available >= MIN_MEMORY_GIB else _everywhere(command),
    )
