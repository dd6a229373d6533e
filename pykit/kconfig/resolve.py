# SPDX-License-Identifier: GPL-2.0-only
"""Make a kernel configuration from a profile, and compare a configuration with a profile."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kconfiglib

from pykit.errors import InfraError, UsageError
from pykit.kconfig.compat import load_tree
from pykit.kconfig.explain import explain
from pykit.kconfig.fragments import Profile, Want, load_profile, parse_line, read_config
from pykit.kconfig.solver import Solver

_TRISTATES = (kconfiglib.BOOL, kconfiglib.TRISTATE)
_HEADER = "#\n# Automatically generated file; DO NOT EDIT.\n# {}\n#\n"

#: A symbol set late can take away what an earlier one stands on; then it is their turn again.
_PASSES = 3


@dataclass(frozen=True)
class Mismatch:
    """A symbol whose value in a configuration is not one that the profile accepts.

    Attributes:
        want: the accepted values, and the fragment that asks for them.
        value: the value in the configuration.
        reason: the unmet dependency with its chain; None without a source tree.
    """

    want: Want
    value: str
    reason: str | None

    def __str__(self) -> str:
        """One line: "this kernel lacks CONFIG_X: needed (y or m) by configs/…"."""
        name, by = f"CONFIG_{self.want.symbol}", self.want.fragment
        wanted = " or ".join(self.want.accepted)
        if self.want.value == "n":
            text = f"this kernel has {name}={self.value}: unwanted by {by}"
        elif self.value == "n":
            text = f"this kernel lacks {name}: needed ({wanted}) by {by}"
        else:
            text = f"this kernel has {name}={self.value}: needed as {wanted} by {by}"
        return f"{text}: {self.reason}" if self.reason else text


@dataclass(frozen=True)
class Resolution:
    """A configuration that has everything its profile wants.

    Attributes:
        profile: the profile's name.
        version: of the tree, "Linux/x86 6.12.117 Kernel Configuration".
        config: the full .config.
        fragment: what was set on top of the profile's base to get there: the wanted
            symbols, and those they needed with the reason.
        pulled: the needed symbols, each with the one that needed it.
    """

    profile: str
    version: str
    config: str
    fragment: str
    pulled: dict[str, str]

    def write(self, path: Path, *, overwrite: bool = False) -> list[str]:
        """Write the configuration as `path`, its fragment as ``<path>.fragment``.

        Each appears whole or not at all. Files that exist stay as they are, which is a
        UsageError, unless `overwrite`.

        Returns: what was written and what was pulled in, as lines for people.
        """
        fragment = path.with_name(path.name + ".fragment")
        if not overwrite:
            for existing in (path, fragment):
                if os.path.lexists(existing):
                    raise UsageError(f"{existing} exists: name another file, or pass --force")
        _write(path, self.config, overwrite)
        try:
            _write(fragment, self.fragment, overwrite)
        except (UsageError, InfraError):
            if not overwrite:
                path.unlink()
            raise
        lines = [f"{path}: {self.version}, profile {self.profile}", f"{fragment}: what was set"]
        return lines + [f"CONFIG_{name} is for {by}" for name, by in sorted(self.pulled.items())]


def resolve(profile: str | Profile, tree: Path, cc: str = "gcc") -> Resolution:
    """Make the configuration of a profile for a kernel source tree, 3 to 10 s.

    `cc` is the compiler the kernel will be built with.

    Raises: UsageError in one line if a wanted symbol cannot be had, with the dependency
        that is in its way.
    """
    if isinstance(profile, str):
        profile = load_profile(profile)
    kconf = load_tree(tree, cc)
    _start(kconf, profile.base, tree)
    solver = Solver(kconf, _accepted(kconf, profile))
    wants = sorted(profile.wants, key=lambda want: not _has_prompt(kconf, want))
    for _ in range(_PASSES):
        for want in wants:
            _apply(kconf, solver, want)
        if all(_met(kconf, want) for want in wants):
            break
    config = _render(kconf)
    # The file decides, not the solver's state.
    mismatches = _compare(profile, _parse(config), kconf)
    if mismatches:
        raise UsageError(_did_not_stick(mismatches))
    pulled = {symbol.name: needer for symbol, needer in solver.pulled.items()}
    return Resolution(
        profile.name,
        str(kconf.mainmenu_text),
        config,
        _fragment(kconf, profile, pulled),
        pulled,
    )


def check(
    profile: str | Profile, config: Path, tree: Path | None = None, cc: str = "gcc"
) -> list[Mismatch]:
    """Return the symbols of a profile that a kernel's .config lacks.

    With the kernel's source `tree`, every mismatch names the unmet dependency (3 s).

    Raises: UsageError if `config` is no .config or `tree` no kernel tree.
    """
    if isinstance(profile, str):
        profile = load_profile(profile)
    values = read_config(config)
    mismatches = _compare(profile, values, None)
    if not mismatches or tree is None:
        return mismatches
    kconf = load_tree(tree, cc)
    kconf.warn = False
    kconf.load_config(str(config))
    return _compare(profile, values, kconf)


def _start(kconf: Any, base: str, tree: Path) -> None:
    kconf.warn = False
    if base == "defconfig":
        defconfig = tree / "arch/x86/configs/x86_64_defconfig"
        if not defconfig.exists():
            raise UsageError(f"{tree} has no {defconfig.relative_to(tree)}: name a whole tree")
        kconf.load_config(str(defconfig))
        return
    for symbol in kconf.unique_defined_syms:
        if symbol.orig_type in _TRISTATES:
            symbol.set_value(2 if symbol.is_allnoconfig_y else 0)


def _accepted(kconf: Any, profile: Profile) -> dict[Any, set[int]]:
    """For wanted tristate symbols, the values they may have."""
    accepted = {}
    for want in profile.wants:
        symbol = kconf.syms.get(want.symbol)
        if symbol is not None and symbol.orig_type in _TRISTATES:
            values = (kconfiglib.STR_TO_TRI.get(value) for value in want.accepted)
            accepted[symbol] = {value for value in values if value is not None}
    return accepted


def _apply(kconf: Any, solver: Solver, want: Want) -> None:
    """Set one wanted symbol, to the first of its values that can be had."""
    symbol = kconf.syms.get(want.symbol)
    if symbol is None or not symbol.nodes:
        return
    if symbol.orig_type not in _TRISTATES:
        for node in symbol.nodes:
            if node.prompt:
                solver.satisfy(node.prompt[1], 1)
        symbol.set_value(want.value)
        return
    for value in want.accepted:
        if value in kconfiglib.STR_TO_TRI and solver.reach(symbol, kconfiglib.STR_TO_TRI[value]):
            return


def _has_prompt(kconf: Any, want: Want) -> bool:
    """Those without are set by others, perhaps by ones that are wanted anyway."""
    symbol = kconf.syms.get(want.symbol)
    return symbol is not None and any(node.prompt for node in symbol.nodes)


def _met(kconf: Any, want: Want) -> bool:
    symbol = kconf.syms.get(want.symbol)
    return symbol is not None and (symbol.str_value or "n") in want.accepted


def _compare(profile: Profile, values: dict[str, str], kconf: Any) -> list[Mismatch]:
    """Check each wanted symbol against a .config."""
    mismatches = []
    for want in profile.wants:
        value = values.get(want.symbol, "n")
        if value not in want.accepted:
            reason = explain(kconf, want.symbol, want.value) if kconf else None
            mismatches.append(Mismatch(want, value, reason))
    return mismatches


def _did_not_stick(mismatches: list[Mismatch]) -> str:
    first = mismatches[0]
    text = (
        f"CONFIG_{first.want.symbol}={first.want.value} wanted by {first.want.fragment} "
        f"did not stick: {first.reason}"
    )
    if len(mismatches) > 1:
        others = ", ".join(other.want.symbol for other in mismatches[1:])
        text += f" (and {len(mismatches) - 1} more: {others})"
    return text


def _parse(config: str) -> dict[str, str]:
    return dict(filter(None, (parse_line(line) for line in config.splitlines())))


def _render(kconf: Any) -> str:
    with tempfile.TemporaryDirectory(prefix="pykit-kconfig-") as folder:
        path = Path(folder) / "config"
        kconf.write_config(str(path), _HEADER.format(kconf.mainmenu_text), save_old=False)
        return path.read_text(encoding="utf-8")


def _fragment(kconf: Any, profile: Profile, pulled: dict[str, str]) -> str:
    """The wanted symbols by fragment, then the needed ones, each with its reason."""
    lines = [
        f"# Profile {profile.name} for {kconf.mainmenu_text}.",
        f"# Made on top of {profile.base}; merge_config.sh takes it as it is.",
    ]
    source = None
    for want in profile.wants:
        if want.fragment != source:
            source = want.fragment
            lines += ["", f"# {source}"]
        lines.append(kconf.syms[want.symbol].config_string.strip() or _off(want.symbol))
    lines += ["", "# What they depend on"] if pulled else []
    for name, needer in sorted(pulled.items()):
        lines += [f"# for {needer}", kconf.syms[name].config_string.strip() or _off(name)]
    return "\n".join(lines) + "\n"


def _off(name: str) -> str:
    return f"# CONFIG_{name} is not set"


def _write(path: Path, text: str, overwrite: bool) -> None:
    if not path.parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}")
    try:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            temporary = Path(file.name)
            try:
                file.write(text)
                file.flush()
                temporary.chmod(0o644)
                if not overwrite:
                    # Claims the name, also against a concurrent writer.
                    path.touch(exist_ok=False)
                temporary.replace(path)
            except BaseException:
                temporary.unlink()
                raise
    except FileExistsError as error:
        raise UsageError(f"{path} exists: name another file, or pass --force") from error
    except OSError as error:
        raise InfraError(f"{path} cannot be written: {error.strerror}") from error
