# SPDX-License-Identifier: GPL-2.0-only
"""Known deviations of known implementations: reported with their evidence, not hidden."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Container, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from pykit.errors import UsageError

_WHERE = {"qemu", "kernel", "device", "driver", "message"}


class SeenDeviation(NamedTuple):
    """A violation, as waivers see it: an attribute for each key of their ``where``.

    Attributes:
        qemu, kernel: versions in the capture.
        device: the types of all devices that the violation is of.
        driver: the drivers that used them then, ``firmware`` for what came before the guest's own.
        message: the violation's message.
    """

    qemu: Collection[str]
    kernel: Collection[str]
    device: Collection[str]
    driver: Collection[str]
    message: Collection[str]


@dataclass(frozen=True)
class Waiver:
    """One known deviation.

    Attributes:
        rule: id of the rule that it breaks.
        where: regular expressions that all have to be found, each in all texts of the attribute of
            SeenDeviation that it is named by.
        reason: what is known.
        evidence: where that was seen.
    """

    rule: str
    where: dict[str, re.Pattern[str]]
    reason: str
    evidence: str

    def covers(self, seen: SeenDeviation) -> bool:
        """Whether a violation is this deviation."""
        texts: dict[str, Collection[str]] = seen._asdict()
        return all(
            texts[name] and all(p.search(text) for text in texts[name])
            for name, p in self.where.items()
        )


def read(text: str, known: Container[str], where: str) -> tuple[Waiver, ...]:
    """Parse a waiver file (TOML, a table ``[[waiver]]`` an entry).

    Raises:
        UsageError: not TOML, a rule that is not ``known``, or an entry that is not complete.
    """
    try:
        entries = tomllib.loads(text).get("waiver", [])
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: not TOML: {error}") from error
    found = []
    for number, entry in enumerate(entries, 1):
        place = f"{where}: waiver {number}"
        if set(entry) != {"rule", "where", "reason", "evidence"}:
            raise UsageError(f"{place}: needs rule, where, reason and evidence, and nothing else")
        if entry["rule"] not in known:
            raise UsageError(
                f"{place}: unknown rule {entry['rule']!r}: `pykit rules` lists all of them"
            )
        if not entry["where"] or not set(entry["where"]) <= _WHERE:
            raise UsageError(f"{place}: where takes some of {', '.join(sorted(_WHERE))}")
        try:
            patterns = {name: re.compile(value) for name, value in entry["where"].items()}
        except re.error as error:
            raise UsageError(f"{place}: not a regular expression: {error}") from error
        found.append(Waiver(entry["rule"], patterns, entry["reason"], entry["evidence"]))
    return tuple(found)


def find(waivers: Iterable[Waiver], rule: str, seen: SeenDeviation) -> Waiver | None:
    """The waiver that covers a violation of a rule, if any; see ``Waiver.covers``."""
    return next((entry for entry in waivers if entry.rule == rule and entry.covers(seen)), None)
