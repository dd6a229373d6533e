# SPDX-License-Identifier: GPL-2.0-only
"""Known deviations of known implementations: reported with their evidence, not hidden."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Container, Iterable
from dataclasses import dataclass

from pykit.errors import UsageError
from pykit.trace import CaptureInfo

_WHERE = {"qemu", "kernel", "device", "message"}


@dataclass(frozen=True)
class Waiver:
    """One known deviation.

    Attributes:
        rule: id of the rule that it breaks.
        where: regular expressions that all have to be found: in the capture's ``qemu``
            version, guest ``kernel``, the type of every ``device`` that the violation is of,
            its ``message``.
        reason: what is known.
        evidence: where that was seen.
    """

    rule: str
    where: dict[str, re.Pattern[str]]
    reason: str
    evidence: str

    def covers(self, message: str, types: Collection[str], capture: CaptureInfo) -> bool:
        """Whether a violation, of devices of these types, is this deviation."""
        texts: dict[str, Collection[str]] = {
            "qemu": [capture.qemu],
            "kernel": [capture.kernel],
            "device": types,
            "message": [message],
        }
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


def find(
    waivers: Iterable[Waiver],
    rule: str,
    message: str,
    types: Collection[str],
    capture: CaptureInfo,
) -> Waiver | None:
    """The waiver that covers a violation of a rule, if any; see ``Waiver.covers``."""
    mine = (waiver for waiver in waivers if waiver.rule == rule)
    return next((waiver for waiver in mine if waiver.covers(message, types, capture)), None)
