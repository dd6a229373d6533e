# SPDX-License-Identifier: GPL-2.0-only
"""Kernel modules: build ours for any kernel, inspect them, find what the kernel's need."""

from pykit.modules.brought import BroughtModules
from pykit.modules.build import Build, build
from pykit.modules.closure import closure
from pykit.modules.inspection import Inspection, inspect
from pykit.modules.strict import complaints

__all__ = [
    "BroughtModules",
    "Build",
    "Inspection",
    "build",
    "closure",
    "complaints",
    "inspect",
]
