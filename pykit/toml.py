# SPDX-License-Identifier: GPL-2.0-only
"""Read TOML files that people write, and name the line of what is wrong in them."""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args

import tree_sitter
import tree_sitter_toml
from pydantic import BaseModel, ValidationError

from pykit.errors import UsageError

#: The place of a value: keys of tables and indices of array elements.
Place = tuple[str | int, ...]


class TomlFile:
    """A TOML file with the line of each value.

    Attributes:
        data: as tomllib returns it.
    """

    def __init__(self, path: Path) -> None:
        """Read a file; raise UsageError with the line if it cannot be read or is not TOML."""
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
        """Return the error for a wrong or missing value: file, line, key and words."""
        line = next(
            (self._lines[place[:n]] for n in range(len(place), 0, -1) if place[:n] in self._lines),
            1,
        )
        return UsageError(f"{self.path}:{line}: {shown(place)}{': ' if place else ''}{words}")


#: Most names that a message lists.
_SHOWN = 40


def shown(place: Place) -> str:
    """Return a place in TOML's notation: device[0].options."""
    text = ""
    for key in place:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


def choice(given: object, known: Iterable[str], what: str) -> str:
    """Return the message for an unknown name: a near one, and those to choose from."""
    names = sorted(known)
    near = difflib.get_close_matches(str(given), names, n=1)
    some = [*names[:_SHOWN], *(["…"] if len(names) > _SHOWN else [])]
    if near:
        hint = f"did you mean '{near[0]}'?"
    else:
        hint = f"choose from {', '.join(some)}" if some else "there are none"
    return f"unknown {what} '{given}' ({hint})"


Model = TypeVar("Model", bound=BaseModel)
#: So much of a wrong value is shown.
_SHOWN_VALUE = 40


def validated(file: TomlFile, model: type[Model]) -> Model:
    """Return a file's data as a pydantic model.

    Raises UsageError for what stands deepest of all that is wrong, with its line: of a union
    pydantic complains about each of its members, and the deepest is about what was meant.
    """
    try:
        return model.model_validate(file.data)
    except ValidationError as error:
        errors = [(_place(file.data, e["loc"]), e) for e in error.errors(include_url=False)]
    place, first = max(errors, key=lambda found: len(found[0]))
    last = first["loc"][-1]
    match first["type"]:
        case "extra_forbidden":
            words = choice(last, _keys(model, place[:-1]), "key")
        case "missing":
            words = f"{last} is missing"
        case "list_type" if _table(_annotation(model, place)) is not None:
            words = f"write [[{last}]]"
        case "value_error":
            words = str(first["ctx"]["error"])
        case _:
            value = repr(first["input"])
            some = value if len(value) <= _SHOWN_VALUE else f"{value[:_SHOWN_VALUE]}…"
            words = f"{some}: {first['msg'].replace('Input should', 'has to', 1)}"
    raise file.wrong(place, words)


def _place(data: Any, location: Place) -> Place:
    """Pydantic's place, without the names of unions' members and what is missing."""
    place: list[str | int] = []
    for key in location:
        inside = isinstance(data, list) and isinstance(key, int) and key < len(data)
        if inside or (isinstance(data, dict) and key in data):
            place.append(key)
            data = data[key]
    return tuple(place)


def _keys(model: type[BaseModel], place: Place) -> list[str]:
    """The keys that a table may have."""
    table = _table(_annotation(model, place)) if place else model
    return [field.alias or name for name, field in table.model_fields.items()] if table else []


def _annotation(model: type[BaseModel], place: Place) -> Any:
    """The type of what stands there, by the models' fields."""
    found: Any = model
    for key in place:
        table = _table(found)
        if isinstance(key, str) and table is not None:
            fields = {field.alias or name: field for name, field in table.model_fields.items()}
            if key in fields:
                found = fields[key].annotation
    return found


def _table(annotation: Any) -> type[BaseModel] | None:
    """The first model in a type: itself, or what a list or a union is of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_table, get_args(annotation))), None)


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
    """Return a table's place; a key of an array of tables means its last element."""
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
