# SPDX-License-Identifier: GPL-2.0-only
"""Read a kernel's requirements on modules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

from pykit.errors import InfraError, UsageError
from pykit.kernels import Kernel
from pykit.modules.elf import ModuleFile, read_module
from pykit.modules.symvers import Export, read_symvers

#: How many of the kernel's modules are looked at to find a small one.
_CANDIDATES = 40


@dataclass(frozen=True)
class Expected:
    """The kernel's side of the comparison.

    Attributes:
        vermagic: the string that a module has to carry.
        struct_module: bytes of the kernel's struct module, None where it is not known.
        modversions: whether it compares the CRC of every import.
        missing_namespaces: whether it lets a module import from a name space that the
            module does not name.
        exports: what vmlinux and its modules export, by symbol.
    """

    vermagic: str
    struct_module: int | None
    modversions: bool
    missing_namespaces: bool
    exports: Mapping[str, Export]


@lru_cache(maxsize=8)
def expected(kernel: Kernel) -> Expected:
    """What the kernel expects, from its configuration, build directory and own modules.

    Raises: InfraError where these are incomplete.
    """
    config = _config(kernel.config)
    reference = _own_module(kernel)
    return Expected(
        vermagic=reference.info("vermagic")[0].strip() if reference else _vermagic(kernel, config),
        struct_module=reference.struct_module if reference else None,
        modversions="CONFIG_MODVERSIONS" in config,
        missing_namespaces="CONFIG_MODULE_ALLOW_MISSING_NAMESPACE_IMPORTS" in config,
        exports=read_symvers(kernel.build_dir / "Module.symvers"),
    )


def _config(path: Path) -> frozenset[str]:
    """The symbols that are y."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InfraError(f"{path}: the kernel's configuration cannot be read: {error}") from error
    return frozenset(re.findall(r"^(CONFIG_\w+)=y$", text, re.MULTILINE))


def _own_module(kernel: Kernel) -> ModuleFile | None:
    """A module that was built with the kernel: the best witness there is."""
    try:
        with (kernel.modules_dir / "modules.dep").open(encoding="utf-8") as lines:
            # Only its own: what stands in updates/ or extra/ was built separately.
            own = (line.partition(":")[0] for line in lines if line.startswith("kernel/"))
            files = [kernel.modules_dir / file for file in islice(own, _CANDIDATES)]
        for file in sorted(files, key=lambda path: path.stat().st_size):
            module = read_module(file)
            if module.info("vermagic") and module.struct_module is not None:
                return module
    except (OSError, UsageError):
        pass
    return None


def _vermagic(kernel: Kernel, config: frozenset[str]) -> str:
    """The string as include/linux/vermagic.h puts it together (6.1 to 7.2)."""
    words = [kernel.release]
    if "CONFIG_SMP" in config:
        words.append("SMP")
    if "CONFIG_PREEMPT_BUILD" in config:
        words.append("preempt")
    elif "CONFIG_PREEMPT_RT" in config:
        words.append("preempt_rt")
    if "CONFIG_MODULE_UNLOAD" in config:
        words.append("mod_unload")
    if "CONFIG_MODVERSIONS" in config:
        words.append("modversions")
    return " ".join([*words, kernel.arch.vermagic]).rstrip()
