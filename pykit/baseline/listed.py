# SPDX-License-Identifier: GPL-2.0-only
"""The baseline file: TOML, a table ``[[known]]`` for each failure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from pykit.text import shown
from pykit.toml import TomlFile, validated

_HEAD = """\
# Known failures, for `pykit … --baseline`. One that is not listed fails; so does one that is listed
# and holds. `pykit baseline` adds and drops entries; a reason is yours to keep true.
"""


class KnownFailure(BaseModel):
    """One entry.

    Attributes:
        where: a scenario, a matrix's cell, or ``drive`` and the device.
        what: a rule, a case of ``pykit drive``, ``outcome: …`` or ``request: …``.
        reason: why it is known.
        seen: the message when it was listed; not compared.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    where: str
    what: str
    reason: str
    seen: str = ""

    @property
    def name(self) -> tuple[str, str]:
        """What entries are compared by."""
        return self.where, self.what


class BaselineFile(BaseModel):
    """All entries of a file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    known: list[KnownFailure] = []


def read(path: Path) -> BaselineFile:
    """Read a baseline file.

    Raises:
        UsageError: with the line: it is not TOML, an entry lacks a key or its reason, or is
            listed twice.
    """
    file = TomlFile(path)
    found = validated(file, BaselineFile)
    met = set()
    for number, entry in enumerate(found.known):
        if not entry.reason.strip():
            raise file.wrong(("known", number, "reason"), "empty: say why it is known")
        if entry.name in met:
            raise file.wrong(("known", number), f"{entry.what} in {entry.where} is listed twice")
        met.add(entry.name)
    return found


def render(entries: Iterable[KnownFailure]) -> str:
    """Return the text of a file, in the order of places and names."""
    parts = [_HEAD]
    for entry in sorted(entries, key=lambda entry: entry.name):
        values = entry.model_dump(exclude_defaults=True)
        lines = [f"{key} = {_quoted(value)}" for key, value in values.items()]
        parts.append("\n".join(["[[known]]", *lines]) + "\n")
    return "\n".join(parts)


def _quoted(text: str) -> str:
    # Strings of JSON are strings of TOML, once control characters are escaped in words.
    return json.dumps(shown(text), ensure_ascii=False)
