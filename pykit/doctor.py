# SPDX-License-Identifier: GPL-2.0-only
"""What this machine has and lacks, with the command that mends each lack."""

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
from pykit.paths import ROOT, cache_dir
from pykit.qemu import accel

Distribution = Literal["debian", "fedora", "arch"]
INSTALL: dict[Distribution, str] = {
    "debian": "apt-get install",
    "fedora": "dnf install",
    "arch": "pacman -S",
}

#: Below these a default run fails: a kernel, its build and a few runs; a guest beside the host.
MIN_DISK_GIB = 3.0
MIN_MEMORY_GIB = 2.0

# Most tools answer --version; these do not.
_VERSION_ARGUMENT = {"ip": "-V", "mkfs.ext4": "-V", "busybox": "--help", "trace-cmd": "-v"}
_VERSION = re.compile(r"v?\d+(?:\.\d+)+[\w.+~-]*|iproute2-\S+")


@dataclass(frozen=True)
class Finding:
    """One line of the list."""

    #: What was looked for: a tool, an accelerator, a kernel, disk, memory.
    name: str
    ok: bool
    #: Version, path or amount as found; empty where nothing was.
    found: str
    #: What it is for.
    purpose: str
    #: One command for each distribution that mends it; empty where all is well.
    mend: dict[Distribution, str]
    #: False where pykit works without it, only slower or with less.
    required: bool = True


@dataclass(frozen=True)
class Requirement:
    """A line of ``tools/packages.tsv``."""

    check: str
    purpose: str
    packages: dict[Distribution, str]


def requirements() -> list[Requirement]:
    """The table that ``tools/setup.sh`` installs from."""
    rows = []
    for line in (ROOT / "tools" / "packages.tsv").read_text().splitlines():
        if line.startswith("#"):
            continue
        check, purpose, debian, fedora, arch = line.split("\t")
        rows.append(Requirement(check, purpose, {"debian": debian, "fedora": fedora, "arch": arch}))
    return rows


def distribution(os_release: Path = Path("/etc/os-release")) -> Distribution | None:
    """The family of this machine's distribution, or None where it is none that is known."""
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


def examine() -> list[Finding]:
    """Look at everything. Boots two tiny guests unless the accelerators are known already."""
    return [
        *(_tool(requirement) for requirement in requirements()),
        _accelerators(),
        _kernels(),
        _disk(),
        _memory(),
    ]


def _tool(requirement: Requirement) -> Finding:
    path = _locate(requirement.check)
    mend = {
        family: f"{INSTALL[family]} {package}" for family, package in requirement.packages.items()
    }
    name = requirement.check
    if "/" in name:
        name = Path(name.split("|")[0]).name
    if path is None:
        return Finding(name, False, "", requirement.purpose, mend)
    return Finding(name, True, _version(path) or str(path), requirement.purpose, {})


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


def _accelerators() -> Finding:
    known = [known for known in kernels.list_known() if known.state == "cached"]
    if not known:
        return Finding(
            "accelerator",
            False,
            "not known before there is a kernel to boot",
            "guests",
            _everywhere("pykit kernel get default"),
            required=False,
        )
    best = accel.probe(kernels.resolve(known[0].name).image)
    if best == "kvm":
        return Finding("accelerator", True, "kvm boots a guest", "guests", {})
    why = "is there and boots nothing" if Path("/dev/kvm").exists() else "is not there"
    return Finding("accelerator", True, f"tcg; /dev/kvm {why}", "guests", {})


def _kernels() -> Finding:
    known = [
        kernel.release
        for kernel in kernels.list_known()
        if kernel.release and kernel.state in ("cached", "installed")
    ]
    return Finding(
        "kernels",
        bool(known),
        ", ".join(known),
        "guests (a run fetches the default by itself)",
        {} if known else _everywhere("pykit kernel get default"),
        required=False,
    )


def _everywhere(command: str) -> dict[Distribution, str]:
    return dict.fromkeys(INSTALL, command)


def _disk() -> Finding:
    folder = cache_dir()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 2**30
    command = f"free some space below {folder}, or set XDG_CACHE_HOME"
    return Finding(
        "disk",
        free >= MIN_DISK_GIB,
        f"{free:.1f} GiB free at {folder}",
        f"at least {MIN_DISK_GIB:.0f} GiB for kernels, builds and runs",
        {} if free >= MIN_DISK_GIB else _everywhere(command),
    )


def _memory() -> Finding:
    available = 0.0
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) / 2**20
    command = "close other programs: a guest takes 1 GiB"
    return Finding(
        "memory",
        available >= MIN_MEMORY_GIB,
        f"{available:.1f} GiB available, {os.cpu_count()} CPUs",
        f"at least {MIN_MEMORY_GIB:.0f} GiB",
        {} if available >= MIN_MEMORY_GIB else _everywhere(command),
    )
