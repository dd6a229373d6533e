# SPDX-License-Identifier: GPL-2.0-only
"""Compute the load order of a kernel's own modules and their dependencies.

Source: the files that depmod leaves in ``/lib/modules/<release>`` (depmod(8),
modules.dep(5), modprobe.d(5) for softdep).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache
from pathlib import Path

from pykit.errors import InfraError, MissingConfigError
from pykit.kernels import Kernel

#: Modules whose configuration symbol is not their name in capitals.
_SYMBOLS = {
    "9p": "9P_FS",
    "9pnet": "NET_9P",
    "9pnet_virtio": "NET_9P_VIRTIO",
    "brd": "BLK_DEV_RAM",
    "ext4": "EXT4_FS",
    "fuse": "FUSE_FS",
    "loop": "BLK_DEV_LOOP",
    "null_blk": "BLK_DEV_NULL_BLK",
    "overlay": "OVERLAY_FS",
    "sd_mod": "BLK_DEV_SD",
    "vduse": "VDPA_USER",
    "virtio_rng": "HW_RANDOM_VIRTIO",
    "virtio_scsi": "SCSI_VIRTIO",
    "virtiofs": "VIRTIO_FS",
    "vmw_vsock_virtio_transport": "VIRTIO_VSOCKETS",
    "xfs": "XFS_FS",
}


def closure(kernel: Kernel, names: Iterable[str]) -> list[Path]:
    """Files of the named modules and all they need, each once, dependencies first.

    A name may also be an alias ("crypto-crc32c"); one that is built into the kernel adds
    nothing. Files may be compressed (.xz, .gz, .zst). Modules that came in by a softdep
    alone may refuse to load on some machines, without harm.

    Raises: MissingConfigError for a module that the kernel does not have (named, with the
        configuration symbol that brings it where it is known); InfraError for a modules
        folder that depmod has not completed.
    """
    try:
        stamp = (kernel.modules_dir / "modules.dep").stat().st_mtime_ns
    except OSError:
        stamp = 0
    index = _index(kernel, stamp)
    order: list[Path] = []
    loaded: set[str] = set()
    for name in names:
        found = index.resolve(name)
        if found is None:
            raise MissingConfigError(_unknown(kernel, name))
        for module in found:
            index.load(module, order, loaded)
    for path in order:
        if not path.is_file():
            raise InfraError(
                f"kernel {kernel.release}: {path} is missing, though modules.dep names it: "
                "unpack or install the kernel again"
            )
    return order


def module_name(path: str) -> str:
    """The name that the kernel knows a module file by: ``crc32c-intel.ko.xz``, crc32c_intel."""
    return _normal(path.rsplit("/", 1)[-1].partition(".ko")[0])


def _normal(name: str) -> str:
    return name.replace("-", "_")


# A matrix asks of the same few kernels for each of its cells, and a list is of thousands of files.
@lru_cache(maxsize=8)
def _index(kernel: Kernel, stamp: int) -> _Index:
    """Read a kernel's index; ``stamp`` makes a changed folder a new cache entry."""
    del stamp
    return _Index(kernel)


class _Index:
    """The depmod files of one kernel, each read when it is first needed."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._directory = kernel.modules_dir

    def resolve(self, name: str) -> list[str] | None:
        """Modules behind a name or an alias: none if it is built in, None if unknown."""
        wanted = _normal(name)
        if wanted in self._files:
            return [wanted]
        if wanted in self._builtin:
            return []
        found = [module for module in self._aliases.get(wanted, ()) if module in self._files]
        # One implementation is enough, and the generic one runs on every CPU.
        return [module for module in found if module.endswith("_generic")] or found or None

    def load(self, module: str, order: list[Path], loaded: set[str]) -> None:
        """Append to `order` what loading the module loads, itself last but for its posts.

        ``loaded`` are those that it has already.
        """
        if module in loaded:
            return
        loaded.add(module)
        path, dependencies = self._files[module]
        # modules.dep lists the whole chain, the one to load first at the end.
        for dependency in reversed(dependencies):
            self.load(dependency, order, loaded)
        before, after = self._softdeps.get(module, ([], []))
        for name in before:
            for soft in self.resolve(name) or ():
                self.load(soft, order, loaded)
        order.append(path)
        for name in after:
            for soft in self.resolve(name) or ():
                self.load(soft, order, loaded)

    def _lines(self, name: str) -> Iterator[str]:
        try:
            text = (self._directory / name).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return
        for line in text.splitlines():
            if line and not line.startswith("#"):
                yield line

    @cached_property
    def _files(self) -> dict[str, tuple[Path, list[str]]]:
        files: dict[str, tuple[Path, list[str]]] = {}
        for line in self._lines("modules.dep"):
            file, colon, needs = line.partition(":")
            if not colon:
                raise InfraError(f"{self._directory}/modules.dep is damaged: {self._fix}")
            chain = [module_name(needed) for needed in needs.split()]
            files[module_name(file)] = (self._directory / file, chain)
        for file, (_, chain) in files.items():
            for needed in chain:
                if needed not in files:
                    raise InfraError(
                        f"{self._directory}/modules.dep: {file} needs {needed}, "
                        f"which it does not list: {self._fix}"
                    )
        # A kernel without any module has an empty list, but it has one.
        if not files and not (self._directory / "modules.dep").exists():
            raise InfraError(f"{self._directory} has no modules.dep: {self._fix}")
        return files

    @cached_property
    def _builtin(self) -> frozenset[str]:
        return frozenset(map(module_name, self._lines("modules.builtin")))

    @cached_property
    def _aliases(self) -> dict[str, list[str]]:
        aliases: dict[str, list[str]] = {}
        for line in self._lines("modules.alias"):
            words = line.split()
            if len(words) == 3:
                aliases.setdefault(_normal(words[1]), []).append(_normal(words[2]))
        return aliases

    @cached_property
    def _softdeps(self) -> dict[str, tuple[list[str], list[str]]]:
        softdeps: dict[str, tuple[list[str], list[str]]] = {}
        for line in self._lines("modules.softdep"):
            _, module, *words = line.split()
            before, after = softdeps.setdefault(_normal(module), ([], []))
            # As modprobe does, what stands before the first "pre:" or "post:" is ignored.
            into: list[str] | None = None
            for word in words:
                if word in ("pre:", "post:"):
                    into = before if word == "pre:" else after
                elif into is not None:
                    into.append(word)
        return softdeps

    @property
    def _fix(self) -> str:
        return f"run depmod for {self._kernel.release}, or unpack or install the kernel again"


def _unknown(kernel: Kernel, name: str) -> str:
    symbol = "CONFIG_" + _SYMBOLS.get(_normal(name), _normal(name).upper())
    try:
        config = kernel.config.read_text(encoding="utf-8", errors="replace")
    except OSError:
        config = ""
    known = re.search(rf"^(?:# {symbol} is not set|{symbol}=.*)$", config, re.MULTILINE)
    if known:
        why = f" ({known[0].removeprefix('# ')})"
    elif _normal(name) in _SYMBOLS:
        why = f" ({symbol} is not in its configuration)"
    else:
        why = ""
    return (
        f"kernel {kernel.release} has no module {name}{why}: "
        "build a kernel that has it, or choose another with --kernel"
    )
