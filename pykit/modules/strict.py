# SPDX-License-Identifier: GPL-2.0-only
"""Collect all warnings of compiler and sparse (`make W=1 C=1`)."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from pykit.errors import InfraError
from pykit.kernels import Kernel, kbuild, source_tree
from pykit.kernels.model import Progress, silent
from pykit.modules.build import copy_sources, make_arguments, sources

_COMPLAINT = re.compile(r"\b(?:warning|error):", re.IGNORECASE)


def complaints(kernel: Kernel, *, fault: bool = False, progress: Progress = silent) -> list[str]:
    """Compile all our modules afresh and return the warnings; empty if clean.

    Raises: InfraError without sparse, make, or the kernel's source.
    """
    if shutil.which("sparse") is None:
        raise InfraError("sparse is not installed: make setup, or see pykit doctor")
    vhost = source_tree(kernel, progress=progress) / "drivers/vhost"
    with tempfile.TemporaryDirectory(prefix="pykit-strict-") as name:
        folder, log = Path(name, "fault" if fault else "plain"), Path(name, "log")
        copy_sources(folder, sources(), {})
        progress(f"building modules for {kernel.release} with W=1 C=1")
        arguments = [*make_arguments(kernel, folder, vhost), "W=1", "C=1"]
        with Path(name, "lock").open("w") as lock:
            code = kbuild.make(arguments, log, lock.fileno())
        output = log.read_text(errors="replace").replace(str(folder), ".").splitlines()
    found = [line for line in output if _COMPLAINT.search(line)]
    return found or (output[-5:] if code != 0 else [])
