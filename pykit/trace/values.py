# SPDX-License-Identifier: GPL-2.0-only
"""Typed access to the values of a capture's JSON files; every error names file and key."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, TypeVar

from pykit.files import parse_json, read_regular, reason
from pykit.trace.errors import BadJsonError

T = TypeVar("T")

#: Integers go into columns of 64 bits.
_INT_MIN, _INT_MAX = -(1 << 63), (1 << 63) - 1


def load_json(path: Path, within: Path) -> Any:
    """Read and parse a JSON file of the capture ``within``; raises BadJsonError."""
    try:
        text = read_regular(path, within).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise BadJsonError(f"{path}: cannot be read: {reason(error)}") from error
    return parse(text, str(path))


def parse(text: str, where: str) -> Any:
    """Parse JSON text; raises BadJsonError with ``where``."""
    try:
        return parse_json(text)
    except ValueError as error:
        raise BadJsonError(
            f"{where}: not JSON ({error}): the capture is damaged, run it again"
        ) from error


def as_object(value: Any, where: str) -> dict[str, Any]:
    """Return ``value`` if it is a JSON object; raises BadJsonError."""
    if not isinstance(value, dict):
        raise BadJsonError(f"{where}: not a JSON object")
    return value


def as_list(value: Any, where: str) -> list[Any]:
    """Return ``value`` if it is a list; raises BadJsonError."""
    if not isinstance(value, list):
        raise BadJsonError(f"{where}: not a list")
    return value


def objects(data: dict[str, Any], key: str, where: str) -> list[dict[str, Any]]:
    """Return the list of objects ``data[key]``; raises BadJsonError."""
    return [as_object(entry, f"{where}: {key}") for entry in get(data, key, list, where)]


def get(data: dict[str, Any], key: str, kind: type[T], where: str) -> T:
    """Return ``data[key]`` if it has the type ``kind``; raises BadJsonError."""
    value = data.get(key)
    # bool is an int to Python; a count that says "true" is still wrong.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise BadJsonError(f"{where}: {key} is {_short(value)}, not {kind.__name__}")
    return value


def integer(
    data: dict[str, Any], key: str, where: str, low: int = _INT_MIN, high: int = _INT_MAX
) -> int:
    """Return ``data[key]`` if it is an integer from ``low`` to ``high``; raises BadJsonError."""
    value = get(data, key, int, where)
    _check_range(value, key, where, low, high)
    return value


def number(data: dict[str, Any], key: str, where: str) -> float:
    """Return ``data[key]`` as a finite float; raises BadJsonError."""
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadJsonError(f"{where}: {key} is {_short(value)}, not a number")
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise BadJsonError(f"{where}: {key} is out of range")
    return result


def _check_range(value: Any, key: str, where: str, low: int, high: int) -> None:
    if not low <= value <= high:
        raise BadJsonError(f"{where}: {key} is {_short(value)}, not from {low} to {high}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
