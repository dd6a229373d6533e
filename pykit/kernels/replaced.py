# SPDX-License-Identifier: GPL-2.0-only
"""A kernel with some of its own modules replaced by other files, and with further ones."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from pykit.errors import UsageError
from pykit.kernels import store
from pykit.kernels.model import Kernel
from pykit.paths import cache_dir, used

#: Below the modules folder.
_FOLDER = "replaced"


def with_modules(
    kernel: Kernel,
    files: Mapping[str, Path],
    added: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Kernel:
    """Return the kernel with a modules folder in which each named module is another file.

    ``files`` are .ko files by module name (``virtio_ring``); those that the kernel has no module
    for are in ``added``, with the names of the modules that they depend on. The folder in the cache
    holds copies of depmod's files and of the named modules; all others stay where they are.

    Raises: UsageError for a name that is no module of this kernel.
    """
    listed = [
        (path, needs.split())
        for path, _, needs in (line.partition(":") for line in _lines(kernel, "modules.dep"))
    ]
    places = {name: f"{_FOLDER}/{name}{_suffix(file)}" for name, file in files.items()}
    moved = {path: places[_name(path)] for path, _ in listed if _name(path) in files}
    require_replaceable(kernel, files.keys() - added.keys())
    needed = {moved.get(path, path): [moved.get(n, n) for n in needs] for path, needs in listed}
    by_name = {_name(path): path for path in needed} | places
    # A module may depend on others that are added as well.
    for name in added:
        needed[by_name[name]] = [by_name[module] for module in _chain(name, added, needed, by_name)]
    key = hashlib.sha256(str(kernel.modules_dir.resolve()).encode())
    for name, file in sorted(files.items()):
        key.update(f"{name} {needed[by_name[name]]}".encode() + file.read_bytes())
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
            lines = (f"{path}: {' '.join(needs)}".rstrip() for path, needs in needed.items())
            (tree / "modules.dep").write_text("\n".join(lines) + "\n")
            (tree / _FOLDER).mkdir()
            for name, file in files.items():
                shutil.copy(file, tree / by_name[name])
            if not folder.exists():
                tree.replace(folder)
    used(folder)
    return replace(kernel, modules_dir=folder)


def _chain(
    name: str,
    added: Mapping[str, Sequence[str]],
    needed: Mapping[str, Sequence[str]],
    by_name: Mapping[str, str],
) -> list[str]:
    """All modules that an added one depends on, the one to load first at the end."""
    chain: list[str] = []
    for module in added[name]:
        if module in added:
            below = _chain(module, added, needed, by_name)
        else:
            below = [_name(path) for path in needed[by_name[module]]]
        chain += [module, *below]
    return chain


def require_replaceable(kernel: Kernel, names: Iterable[str]) -> None:
    """Raise UsageError where one of the names is no module of this kernel, or is built in."""
    modules, builtin = (
        {*map(_name, (line.partition(":")[0] for line in _lines(kernel, file)))}
        for file in ("modules.dep", "modules.builtin")
    )
    for name in sorted(set(names) - modules):
        if name in builtin:
            raise UsageError(
                f"{name} is built into {kernel.release} and cannot be replaced: use a kernel that "
                "has it as a module (pykit kernel build mutants), or build a kernel with the change"
            )
        raise UsageError(f"{name} is no module of {kernel.release}: check the name")


def _suffix(file: Path) -> str:
    """Return ``.ko`` with the suffix of a compression, by which modules are unpacked."""
    return f".ko{file.suffix}" if file.suffix in (".xz", ".gz", ".zst") else ".ko"


def _lines(kernel: Kernel, file: str) -> list[str]:
    try:
        return (kernel.modules_dir / file).read_text().splitlines()
    except FileNotFoundError:
        return []


def _name(path: str) -> str:
    """Return the name that the kernel knows a module by."""
    return path.rsplit("/", 1)[-1].partition(".ko")[0].replace("-", "_")
