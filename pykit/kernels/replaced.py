# SPDX-License-Identifier: GPL-2.0-only
"""A kernel with some of its own modules replaced by other files."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pykit.errors import UsageError
from pykit.kernels import store
from pykit.kernels.model import Kernel
from pykit.paths import cache_dir, used


def with_modules(kernel: Kernel, files: Mapping[str, Path]) -> Kernel:
    """Return the kernel with a modules folder in which each named module is another file.

    ``files`` are .ko files by module name (``virtio_ring``). The folder in the cache holds copies
    of depmod's files and of the named modules; all others stay where they are.

    Raises: UsageError for a name that is no module of this kernel.
    """
    listed = (kernel.modules_dir / "modules.dep").read_text().splitlines()
    lines, missing = [], dict(files)
    originals: dict[str, str] = {}
    for line in listed:
        path = line.partition(":")[0]
        name = path.rsplit("/", 1)[-1].partition(".ko")[0].replace("-", "_")
        if name in files:
            originals[path] = f"replaced/{name}.ko"
            missing.pop(name)
    if missing:
        names = ", ".join(sorted(missing))
        raise UsageError(
            f"{names}: no module of {kernel.release}: it is built in, or the name is wrong"
        )
    for line in listed:
        path, _, needs = line.partition(":")
        words = [originals.get(word, word) for word in needs.split()]
        lines.append(f"{originals.get(path, path)}: {' '.join(words)}".rstrip())
    key = hashlib.sha256(str(kernel.modules_dir.resolve()).encode())
    for name, file in sorted(files.items()):
        key.update(name.encode() + file.read_bytes())
    folder = cache_dir() / "replaced" / key.hexdigest()[:16]
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with store.temporary(folder.parent) as work:
            tree = work / "tree"
            tree.mkdir()
            for file in kernel.modules_dir.iterdir():
                if file.name.startswith("modules."):
                    shutil.copy(file, tree)
                else:
                    (tree / file.name).symlink_to(file.resolve())
            (tree / "modules.dep").write_text("\n".join(lines) + "\n")
            (tree / "replaced").mkdir()
            for name, file in files.items():
                shutil.copy(file, tree / "replaced" / f"{name}.ko")
            if not folder.exists():
                tree.replace(folder)
    used(folder)
    return replace(kernel, modules_dir=folder)
