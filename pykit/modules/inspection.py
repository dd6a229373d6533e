# SPDX-License-Identifier: GPL-2.0-only
"""Predict whether a kernel will load a module, before it is booted.

The checks are those of the kernel's own loader (kernel/module/main.c and version.c),
so that what would be a line in a guest's log becomes a line on the terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pykit.errors import InfraError
from pykit.kernels import Kernel
from pykit.modules.closure import module_name
from pykit.modules.elf import ModuleFile, read_module
from pykit.modules.expected import Expected, expected
from pykit.modules.layout import compare
from pykit.modules.symvers import Export, read_symvers

#: As include/linux/license.h has them.
_GPL_COMPATIBLE = frozenset(
    {
        "GPL",
        "GPL v2",
        "GPL and additional rights",
        "Dual BSD/GPL",
        "Dual MIT/GPL",
        "Dual MPL/GPL",
    }
)

#: Folders above a .ko in which `make M=…` may have left the Module.symvers of its set.
_LEVELS = 3

_TRACEPOINT = "__tracepoint_"
_EVENT = "__event_"
_EXPORT = "__ksymtab_"


@dataclass(frozen=True)
class Inspection:
    """What a module carries, and what its kernel would have against it.

    Attributes:
        depends: modules that must be loaded before it, as its .modinfo has them.
        parameters: description by name, with the type in brackets: "queue depth (uint)".
        imports: CRC by symbol; None where the module carries none for it.
        exports: symbols it exports.
        tracepoints: tracepoints that it defines, without prefix.
        uses: tracepoints of other modules or of the kernel that it emits or listens to.
        events: trace events (TRACE_EVENT) that it defines.
        struct_module: bytes of its struct module.
        layout: what its structures were compared with, or why they were not; empty where
            it has none that could differ.
    """

    path: Path
    name: str
    release: str
    vermagic: str
    license: str
    depends: tuple[str, ...]
    parameters: Mapping[str, str]
    imports: Mapping[str, int | None]
    exports: tuple[str, ...]
    tracepoints: tuple[str, ...]
    uses: tuple[str, ...]
    events: tuple[str, ...]
    struct_module: int | None
    layout: str
    found: tuple[str, ...]

    def problems(self) -> tuple[str, ...]:
        """One line for each reason why the kernel would refuse it; empty if it loads."""
        return self.found

    def require(self) -> None:
        """Raise InfraError with the first problem, and the number of the others."""
        if self.found:
            raise InfraError(self._trouble())

    def summary(self) -> str:
        """One line: what is in it, or why it does not load."""
        parts = [f"{len(self.imports)} imports"]
        if self.exports:
            parts.append(f"{len(self.exports)} exports")
        if self.tracepoints:
            parts.append(f"{len(self.tracepoints)} tracepoints")
        if self.uses:
            parts.append(f"uses {len(self.uses)} tracepoints")
        if self.parameters:
            parts.append(f"parameters {', '.join(self.parameters)}")
        if self.layout:
            parts.append(self.layout)
        if self.found:
            return self._trouble()
        return f"{self.path.name}: fits {self.release} ({', '.join(parts)})"

    def _trouble(self) -> str:
        more = f" (and {len(self.found) - 1} more)" if len(self.found) > 1 else ""
        return self.found[0] + more

    def as_dict(self) -> dict[str, Any]:
        """For JSON: every attribute, CRCs as hexadecimal text."""
        return {
            **vars(self),
            "path": str(self.path),
            "imports": {
                name: None if crc is None else f"{crc:#010x}" for name, crc in self.imports.items()
            },
        }


def inspect(path: Path, kernel: Kernel, beside: Iterable[Path] = ()) -> Inspection:
    """Compare a module with the kernel that is to load it.

    Symbols of the other modules of its set, and of the modules ``beside``, are known from the
    Module.symvers that their builds left beside each or in a folder above.

    Raises: UsageError where the file is no kernel module; InfraError where the kernel's
        build directory is not complete.
    """
    module = read_module(path)
    kernel_side = expected(kernel)
    exports = dict(kernel_side.exports)
    for file in (*beside, path):
        exports |= _set_exports(file)
    undefined = [symbol for symbol in module.symbols if symbol.section is None]
    compared = compare(module, kernel)
    problems = [*_problems(path, module, kernel, kernel_side, exports)]
    problems += [
        f"{path.name}: {line}: build it with the vhost.h of {kernel.release}"
        for line in compared.wrong
    ]
    return Inspection(
        path=path,
        name=module_name(path.name),
        release=kernel.release,
        vermagic=_first(module, "vermagic").strip(),
        license=_first(module, "license"),
        depends=depends(module.modinfo),
        parameters=_parameters(module),
        imports={symbol.name: module.versions.get(symbol.name) for symbol in undefined},
        exports=tuple(
            symbol.name.removeprefix(_EXPORT)
            for symbol in module.symbols
            if symbol.name.startswith(_EXPORT) and symbol.section is not None
        ),
        tracepoints=_named(module, "__tracepoints", _TRACEPOINT),
        uses=tuple(
            sorted(
                symbol.name.removeprefix(_TRACEPOINT)
                for symbol in undefined
                if symbol.name.startswith(_TRACEPOINT)
            )
        ),
        events=_named(module, "_ftrace_events", _EVENT),
        struct_module=module.struct_module,
        layout=compared.note,
        found=tuple(problems),
    )


def depends(modinfo: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Names in a module's ``depends=``, normalised as the kernel does."""
    names = ",".join(value for key, value in modinfo if key == "depends").split(",")
    return tuple(name.replace("-", "_") for name in names if name)


def _problems(
    path: Path,
    module: ModuleFile,
    kernel: Kernel,
    side: Expected,
    exports: Mapping[str, Export],
) -> Iterator[str]:
    file = path.name
    rebuild = f"rebuild it against {kernel.build_dir}"
    vermagic = _first(module, "vermagic").strip()
    if vermagic != side.vermagic:
        yield f"{file}: vermagic is '{vermagic}' but the kernel wants '{side.vermagic}': {rebuild}"
    if module.struct_module is None:
        yield f"{file}: has no struct module, so it is an object file and no module: {rebuild}"
    elif side.struct_module not in (None, module.struct_module):
        yield (
            f"{file}: its struct module has {module.struct_module} bytes and the kernel's "
            f"{side.struct_module}: {rebuild}"
        )
    licence = _first(module, "license")
    if not licence:
        yield f"{file}: has no MODULE_LICENSE: add one to its source"
    namespaces = set(module.info("import_ns"))
    for symbol in module.symbols:
        if symbol.section is not None:
            continue
        export = exports.get(symbol.name)
        if export is None:
            # An undefined weak symbol is zero by design.
            if not symbol.weak:
                yield (
                    f"{file}: needs {symbol.name}, which neither kernel {kernel.release} nor "
                    "a module beside it exports"
                )
            continue
        if export.gpl and licence not in _GPL_COMPATIBLE:
            yield (
                f"{file}: {symbol.name} is exported to GPL-compatible modules only and "
                f"MODULE_LICENSE is '{licence}'"
            )
        if not side.missing_namespaces and not _may_import(path, export, namespaces):
            yield (
                f"{file}: {symbol.name} is in name space {export.namespace}, which the module "
                "does not import (MODULE_IMPORT_NS)"
            )
    if side.modversions:
        yield from _crc_problems(file, module, exports, rebuild)


def _crc_problems(
    file: str, module: ModuleFile, exports: Mapping[str, Export], rebuild: str
) -> Iterator[str]:
    if not module.versions:
        yield f"{file}: carries no symbol versions (CRCs) and the kernel compares them: {rebuild}"
        return
    # The kernel compares module_layout too: no code refers to it, it stands for the
    # layout of the structures that loader and module share.
    names = ["module_layout"]
    names += [symbol.name for symbol in module.symbols if symbol.section is None]
    for name in names:
        export = exports.get(name)
        if export is None or export.crc == 0:
            continue
        crc = module.versions.get(name)
        if crc is None:
            yield f"{file}: carries no CRC for {name}: {rebuild}"
        elif crc != export.crc:
            yield (
                f"{file}: {name} has CRC {crc:#010x} but the kernel exports "
                f"{export.crc:#010x}: {rebuild}"
            )


def _may_import(path: Path, export: Export, namespaces: set[str]) -> bool:
    # "module:kvm,kvm-*" is no name space to import but a list of modules that may use the symbol.
    if export.namespace.startswith("module:"):
        allowed = export.namespace.removeprefix("module:").replace("-", "_").split(",")
        return any(fnmatchcase(module_name(path.name), pattern) for pattern in allowed)
    return not export.namespace or export.namespace in namespaces


def _set_exports(path: Path) -> Mapping[str, Export]:
    for folder in path.absolute().parents[:_LEVELS]:
        if (folder / "Module.symvers").is_file():
            return read_symvers(folder / "Module.symvers")
    return {}


def _first(module: ModuleFile, key: str) -> str:
    return next(iter(module.info(key)), "")


def _parameters(module: ModuleFile) -> dict[str, str]:
    types = dict(value.split(":", 1) for value in module.info("parmtype") if ":" in value)
    texts = dict(value.split(":", 1) for value in module.info("parm") if ":" in value)
    return {name: f"{texts.get(name, '')} ({kind})".lstrip() for name, kind in types.items()}


def _named(module: ModuleFile, section: str, prefix: str) -> tuple[str, ...]:
    """Names of the symbols of a section that have the prefix, without it, sorted."""
    return tuple(
        sorted(
            symbol.name.removeprefix(prefix)
            for symbol in module.symbols
            if symbol.section == section and symbol.name.startswith(prefix)
        )
    )
