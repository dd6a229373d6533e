# SPDX-License-Identifier: GPL-2.0-only
"""Kernels to boot and to build modules for: named, found, fetched, with their sources."""

from pykit.kernels.built import Step
from pykit.kernels.model import Kernel, Progress
from pykit.kernels.names import Known, build, get, list_known, resolve
from pykit.kernels.replaced import require_replaceable, with_modules
from pykit.kernels.sources import source_part, source_tree

__all__ = [
    "Kernel",
    "Known",
    "Progress",
    "Step",
    "build",
    "get",
    "list_known",
    "require_replaceable",
    "resolve",
    "source_part",
    "source_tree",
    "with_modules",
]
