# SPDX-License-Identifier: GPL-2.0-only
"""Read Module.symvers: the exports of a kernel or of a set of modules.

Source: Documentation/kbuild/modules.rst, "Module.symvers": CRC, symbol, module, kind of
export and name space, with tabs between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pykit.errors import InfraError


@dataclass(frozen=True, slots=True)
class Export:
    """One exported symbol.

    Attributes:
        crc: of its type, 0 where the kernel keeps none.
        owner: "vmlinux", or the module's path without suffix.
        gpl: for modules under a GPL-compatible licence only.
        namespace: that an importer has to name; "" for none.
    """

    crc: int
    owner: str
    gpl: bool
    namespace: str


def read_symvers(path: Path) -> Mapping[str, Export]:
    """Exports by symbol name.

    Raises: InfraError where the file is missing or is no Module.symvers.
    """
    try:
        stat = path.stat()
        return _parse(path, stat.st_mtime_ns, stat.st_size)
    except FileNotFoundError:
        raise InfraError(
            f"{path} is missing: the kernel was not built to its end, or its headers are "
            "not complete"
        ) from None


@lru_cache(maxsize=8)
def _parse(path: Path, _mtime_ns: int, _size: int) -> Mapping[str, Export]:
    exports: dict[str, Export] = {}
    text = path.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split("\t")
        try:
            crc, symbol, owner, kind = int(fields[0], 16), fields[1], fields[2], fields[3]
        except (IndexError, ValueError):
            raise InfraError(f"{path}:{number}: not a line of Module.symvers") from None
        namespace = fields[4] if len(fields) > 4 else ""
        exports[symbol] = Export(crc, owner, kind.endswith("_GPL"), namespace)
    return exports
