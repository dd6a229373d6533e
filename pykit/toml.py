# SPDX-License-Identifier: GPL-2.0-only
"""TOML files that people write: their data, and on which line each of it stands."""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import tree_sitter
import tree_sitter_toml

from pykit.errors import UsageError

#: Where something stands in the data: keys of tables, numbers of array elements.
Place = tuple[str | int, ...]


class TomlFile:
    """A file that was read.

    Attributes:
        data: as tomllib gives it.
    """

    def __init__(self, path: Path) -> None:
        """Raises UsageError for a file that cannot be read or is no TOML, with the line."""
        self.path = path
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: cannot be read: {error}") from error
        try:
            self.data: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            words, _, at = str(error).partition(" (at ")
            number = re.match(r"line (\d+)", at)
            line = number.group(1) if number else str(text.count("\n") + 1)
            raise UsageError(f"{path}:{line}: {words}") from error
        except RecursionError:
            raise UsageError(f"{path}: nested too deeply") from None
        parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_toml.language()))
        self._lines = dict(_walk(parser.parse(text.encode()).root_node))
        if place := next(_not_finite(self.data, ()), None):
            raise self.wrong(place, "not a finite number")

    def wrong(self, place: Place, words: str) -> UsageError:
        """The error to raise for what stands there, or for its lack: file, line, key, words."""
        line = next(
            (self._lines[place[:n]] for n in range(len(place), 0, -1) if place[:n] in self._lines),
            1,
        )
        return UsageError(f"{self.path}:{line}: {shown(place)}{': ' if place else ''}{words}")


#: So many names are told of all.
_SHOWN = 40


def shown(place: Place) -> str:
    """A place as people write it: device[0].options."""
    text = ""
    for key in place:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


def choice(given: object, known: Iterable[str], what: str) -> str:
    """Words for a name that is none of those known: what was meant, or what there is."""
    names = sorted(known)
    near = difflib.get_close_matches(str(given), names, n=1)
    some = [*names[:_SHOWN], *(["…"] if len(names) > _SHOWN else [])]
    hint = f"did you mean {near[0]}?" if near else f"choose of {', '.join(some) or 'none'}"
    return f"no {what} {given}: {hint}"


def _not_finite(value: object, place: Place) -> Iterator[Place]:
    """Yield where TOML's inf and nan are; nothing that pykit counts or waits for is either."""
    if isinstance(value, float) and not math.isfinite(value):
        yield place
    entries: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, dict):
        entries = value.items()
    elif isinstance(value, list):
        entries = enumerate(value)
    for key, inner in entries:
        yield from _not_finite(inner, (*place, key))


def _walk(root: tree_sitter.Node) -> Iterator[tuple[Place, int]]:
    counts: dict[Place, int] = {}
    for node in root.named_children:
        line = node.start_point.row + 1
        if node.type == "pair":
            yield from _pair(node, ())
        elif node.type in ("table", "table_array_element"):
            place = _within(_key(node.named_children[0]), counts)
            if node.type == "table_array_element":
                counts[place] = counts.get(place, -1) + 1
                yield place, line
                place = (*place, counts[place])
            yield place, line
            for pair in node.named_children[1:]:
                if pair.type == "pair":
                    yield from _pair(pair, place)


def _within(keys: Place, counts: dict[Place, int]) -> Place:
    """A table's place: keys that name arrays of tables mean the last element of each."""
    place: Place = ()
    for number, key in enumerate(keys, 1):
        place = (*place, key)
        if number < len(keys) and place in counts:
            place = (*place, counts[place])
    return place


def _pair(node: tree_sitter.Node, table: Place) -> Iterator[tuple[Place, int]]:
    key, value = node.named_children[:2]
    place = table
    for part in _key(key):
        place = (*place, part)
        yield place, node.start_point.row + 1
    yield from _value(value, place)


def _value(node: tree_sitter.Node, place: Place) -> Iterator[tuple[Place, int]]:
    inner = [child for child in node.named_children if child.type != "comment"]
    if node.type == "inline_table":
        for pair in inner:
            yield from _pair(pair, place)
    elif node.type == "array":
        for number, item in enumerate(inner):
            yield (*place, number), item.start_point.row + 1
            yield from _value(item, (*place, number))


def _key(node: tree_sitter.Node) -> Place:
    if node.type == "dotted_key":
        return tuple(key for child in node.named_children for key in _key(child))
    assert node.text is not None
    text = node.text.decode()
    return (text if node.type == "bare_key" else tomllib.loads(f"x = {text}")["x"],)
