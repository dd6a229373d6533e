# SPDX-License-Identifier: GPL-2.0-only
"""Put a user's own modules into a kernel: in place of its own, or beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pykit.errors import MissingConfigError, UsageError
from pykit.kernels import Kernel, require_replaceable, with_modules
from pykit.modules.closure import closure, module_name
from pykit.modules.elf import read_module
from pykit.modules.inspection import Inspection, inspect


def name_of(path: Path) -> str:
    """Return the name that a module's file gives it, else that of the file.

    Raises: UsageError where the file is no module.
    """
    return next(iter(read_module(path).info("name")), module_name(path.name))


@dataclass(frozen=True)
class BroughtModules:
    """A user's own modules.

    Attributes:
        replaced: files by the name of the kernel's module whose place they take.
        drivers: files, of which each takes the place of the module of its name if the kernel has
            one, and else is a further module; the last has the driver under test.
    """

    replaced: Mapping[str, Path] = field(default_factory=dict)
    drivers: tuple[Path, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.replaced or self.drivers)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the drivers' modules."""
        return tuple(map(name_of, self.drivers))

    def files(self) -> dict[str, Path]:
        """Return all files, by the names of the modules.

        Raises: UsageError for two files of one module, a file that is another module, or none.
        """
        files = dict(self.replaced)
        for name, path in self.replaced.items():
            if name_of(path) != name:
                raise UsageError(
                    f"{path.name} is the module {name_of(path)}: name that, not {name}"
                )
        for name, path in zip(self.names, self.drivers, strict=True):
            if files.setdefault(name, path) != path:
                raise UsageError(f"two files are the module {name}: name one of them")
        return files

    def describe(self) -> dict[str, dict[str, str]]:
        """Return path and SHA-256 of each file, by the name of its module, for run.json."""
        return {
            name: {
                "path": str(path.resolve()),
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
            for name, path in self.files().items()
        }

    def into(self, kernel: Kernel) -> Kernel:
        """Return the kernel with these modules, which it would load.

        Raises: UsageError, one line, for a file that the kernel would refuse, and a module that
            cannot be replaced.
        """
        files = self.files()
        own = {name for name in files if name in self.replaced or _has(kernel, name)}
        require_replaceable(kernel, own)
        found = {name: inspect(path, kernel, files.values()) for name, path in files.items()}
        for one in found.values():
            if one.problems():
                raise UsageError(one.summary())
        added = {name: _needs(kernel, one, files) for name, one in found.items() if name not in own}
        return with_modules(kernel, files, added)


def _has(kernel: Kernel, name: str) -> bool:
    """Whether the kernel has a module of that name, or has it built in."""
    try:
        closure(kernel, [name])
    except MissingConfigError:
        return False
    return True


def _needs(kernel: Kernel, module: Inspection, files: Mapping[str, Path]) -> list[str]:
    """Return the names of the modules that a further one depends on."""
    try:
        return [name for name in module.depends if name in files or closure(kernel, [name])]
    except MissingConfigError as error:
        raise UsageError(f"{module.path.name} needs a module more: {error}") from error
