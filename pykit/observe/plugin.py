# SPDX-License-Identifier: GPL-2.0-only
"""The access tracer as a file that QEMU loads, compiled once for each content of plugin/."""

from __future__ import annotations

from pathlib import Path

from pykit.compiler import compile_once
from pykit.paths import ROOT

_SOURCES = ROOT / "plugin"
_FLAGS = (
    "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-g", "-Wall", "-Wextra", "-Werror",
    "-fPIC", "-fvisibility=hidden", "-shared",
)  # fmt: skip


def compile_plugin() -> Path:
    """Return the plugin's .so; raises InfraError with the compiler's first complaint."""
    sources, headers = (sorted(_SOURCES.glob(pattern)) for pattern in ("*.c", "*.h"))
    return compile_once("plugin/", "plugin", "access.so", sources, headers, _FLAGS)
