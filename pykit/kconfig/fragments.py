# SPDX-License-Identifier: GPL-2.0-only
"""Read profiles and the configuration fragments that they consist of.

A fragment is a piece of .config that the kernel's own merge_config.sh takes too. A line
``#@ or VALUE …`` above a symbol, or above several up to the next blank line, names values
that satisfy the profile as well: what the line itself says is set when a configuration
is made, and any of them will do in one made elsewhere.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pykit.errors import UsageError
from pykit.paths import ROOT
from pykit.toml import choice

_SET = re.compile(r"CONFIG_([A-Za-z0-9_]+)=(.*)")
_UNSET = re.compile(r"# CONFIG_([A-Za-z0-9_]+) is not set")
_BASES = ("allnoconfig", "defconfig")


@dataclass(frozen=True)
class Want:
    """One symbol that a fragment asks for.

    Attributes:
        symbol: without the CONFIG_ prefix.
        value: "y", "m", "n", or the text or number, without quotes.
        accepted: the values that satisfy it, `value` first.
        fragment: where it stands, "configs/virtio-blk.config".
    """

    symbol: str
    value: str
    accepted: tuple[str, ...]
    fragment: str


@dataclass(frozen=True)
class Profile:
    """The configuration that a purpose needs.

    Attributes:
        name: of its file.
        summary: one line for people.
        base: what a configuration starts from: nothing, or the architecture's defaults.
        fragments: names in configs/, without suffix.
        wants: of all fragments, in order, each symbol once.
    """

    name: str
    summary: str
    base: Literal["allnoconfig", "defconfig"]
    fragments: tuple[str, ...]
    wants: tuple[Want, ...]


def profiles(configs: Path = ROOT / "configs") -> list[Profile]:
    """All profiles, by name."""
    return [load_profile(p.stem, configs) for p in sorted((configs / "profiles").glob("*.toml"))]


def load_profile(name: str, configs: Path = ROOT / "configs") -> Profile:
    """The named profile.

    Raises: UsageError if there is none, or its files contradict each other.
    """
    path = configs / "profiles" / f"{name}.toml"
    if not re.fullmatch(r"[\w-]+", name) or not path.exists():
        known = (path.stem for path in (configs / "profiles").glob("*.toml"))
        raise UsageError(choice(name, known, "profile"))
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        base, fragments = data["base"], tuple(data["fragments"])
        summary = str(data["summary"])
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: {error}: a profile has summary, base and fragments") from error
    if base not in _BASES:
        raise UsageError(f"{path}: base {base!r} is none of {', '.join(_BASES)}")
    wants: dict[str, Want] = {}
    for fragment in fragments:
        for want in read_fragment(configs / f"{fragment}.config"):
            other = wants.setdefault(want.symbol, want)
            if (other.value, other.accepted) != (want.value, want.accepted):
                raise UsageError(
                    f"CONFIG_{want.symbol} is wanted as {other.value} by {other.fragment} "
                    f"and as {want.value} by {want.fragment}: profile {name} cannot have both"
                )
    return Profile(name, summary, base, fragments, tuple(wants.values()))


def read_fragment(path: Path) -> list[Want]:
    """The symbols that a fragment asks for.

    Raises: UsageError naming the line that is neither a symbol nor a comment.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"fragment {path} cannot be read: {error}") from error
    shown = f"{path.parent.name}/{path.name}"
    wants = []
    others: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line:
            others = ()
        elif line.startswith("#@"):
            words = line[2:].split()
            if words[:1] != ["or"] or not words[1:]:
                raise UsageError(f"{shown}:{number}: expected '#@ or VALUE …', found {line!r}")
            others = tuple(words[1:])
        elif setting := parse_line(line):
            symbol, value = setting
            wants.append(Want(symbol, value, (value, *others), shown))
        elif not line.startswith("#"):
            raise UsageError(f"{shown}:{number}: neither CONFIG_X=value nor a comment: {line!r}")
    return wants


def parse_line(line: str) -> tuple[str, str] | None:
    """Symbol and value of a .config line, "n" for one that is not set; None for others."""
    if match := _SET.fullmatch(line):
        value = match[2]
        if len(value) >= 2 and value[0] == value[-1] == '"':
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        return match[1], value
    if match := _UNSET.fullmatch(line):
        return match[1], "n"
    return None


def read_config(path: Path) -> dict[str, str]:
    """A .config's symbols and values; symbols it does not mention are n.

    Raises: UsageError if it cannot be read or holds no symbol at all.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    values = dict(filter(None, (parse_line(line.rstrip()) for line in text.splitlines())))
    if not values:
        raise UsageError(f"{path} is no kernel .config: no CONFIG_ line in it")
    return values
