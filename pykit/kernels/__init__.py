# SPDX-License-Identifier: GPL-2.0-only
"""Kernels to boot and to build modules for: named, found, fetched, with their sources."""

from pykit.kernels.built import Step
from pykit.kernels.cross import compiler, compiler_version, package
from pykit.kernels.model import Kernel, Progress
from pykit.kernels.names import (
    Known,
    arch_of,
    build,
    get,
    list_known,
    on_arch,
    require_configurable,
    resolve,
)
from pykit.kernels.replaced import require_replaceable, with_modules
from pykit.kernels.sources import source_part, source_tree

__all__ = [
    "Kernel",
    "Known",
    "Progress",
    "Step",
    "arch_of",
    "build",
    "compiler",
    "compiler_version",
    "get",
    "list_known",
    "on_arch",
    "package",
    "require_configurable",
    "require_replaceable",
    "resolve",
    "source_part",
    "source_tree",
    "with_modules",
]
