# SPDX-License-Identifier: GPL-2.0-only
"""The access tracer as a file that QEMU loads, compiled once for each content of plugin/."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
from pathlib import Path

from pykit.errors import InfraError
from pykit.paths import ROOT, build_dir

_SOURCES = ROOT / "plugin"
_FLAGS = (
    "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-g", "-Wall", "-Wextra", "-Werror",
    "-fPIC", "-fvisibility=hidden", "-shared",
)  # fmt: skip


def compile_plugin() -> Path:
    """The plugin's .so. Raises InfraError with the compiler's first complaint."""
    sources = sorted(_SOURCES.glob("*.c"))
    digest = hashlib.sha256(" ".join(_FLAGS).encode())
    for file in (*sources, *sorted(_SOURCES.glob("*.h"))):
        digest.update(file.read_bytes())
    folder = build_dir() / "plugin"
    folder.mkdir(parents=True, exist_ok=True)
    plugin = folder / f"access-{digest.hexdigest()[:16]}.so"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not plugin.exists():
            new = plugin.with_suffix(".new")
            command = ["gcc", *_FLAGS, "-o", str(new), *map(str, sources)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                said = (done.stderr.strip().splitlines() or ["gcc said nothing"])[0]
                raise InfraError(f"plugin/ does not compile: {said}")
            new.replace(plugin)
    return plugin
