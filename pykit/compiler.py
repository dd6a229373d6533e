# SPDX-License-Identifier: GPL-2.0-only
"""Compile programs on this host, once for each content of their sources."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pykit.errors import InfraError
from pykit.paths import build_dir


def compile_once(
    what: str, folder: str, name: str, sources: Sequence[Path], headers: Sequence[Path],
    flags: Sequence[str], *, compiler: str = "gcc", libraries: Sequence[str] = (),
) -> Path:  # fmt: skip
    """Return the product of ``gcc flags sources libraries``, compiled unless it was before.

    It is ``build/<folder>/<name>`` with a hash of flags, sources and headers before the name's
    suffix. Processes that need it at the same time wait for the first.

    Raises:
        InfraError: the compiler is not installed, or its first complaint about ``what``.
    """
    digest = hashlib.sha256(" ".join((*flags, *libraries)).encode())
    for file in (*sources, *headers):
        digest.update(file.read_bytes())
    place = build_dir() / folder
    place.mkdir(parents=True, exist_ok=True)
    stem, dot, suffix = name.partition(".")
    product = place / f"{stem}-{digest.hexdigest()[:16]}{dot}{suffix}"
    with (place / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not product.exists():
            new = product.with_name(f"{product.name}.new")
            if not shutil.which(compiler):
                raise InfraError(f"{compiler} is not installed, and {what} needs it: make setup")
            command = [compiler, *flags, "-o", str(new), *map(str, sources), *libraries]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                complaint = (done.stderr.strip().splitlines() or [f"{compiler} printed nothing"])[0]
                raise InfraError(f"{what} does not compile: {complaint}")
            new.replace(product)
    return product
