# SPDX-License-Identifier: GPL-2.0-only
"""Escape text from guests, captures and other files, which may hold anything; count in words."""

from __future__ import annotations

import re

# CSI and OSC sequences, and the two-byte ones, as ECMA-48 has them.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")


def shown(text: str) -> str:
    """Return one line of foreign text with escapes for all that is not printable."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def printable(text: str) -> str:
    """Return text of any number of lines with escapes for all that is not printable."""
    return text if text.isprintable() else "\n".join(map(shown, text.split("\n")))


def tail(text: str, lines: int) -> str:
    """Return the last lines of a console without colours and cursor movements."""
    text = _ESCAPES.sub("", text).replace("\r\n", "\n")
    kept = text.rstrip("\n").split("\n")[-lines:]
    return "\n".join(shown(line.replace("\t", "    ").replace("\r", "")) for line in kept)


def counted(count: int, what: str) -> str:
    """Return a number of things in words; ``what`` is the singular."""
    if count == 1:
        return f"1 {what}"
    if what.endswith("y"):
        return f"{count:,} {what[:-1]}ies"
    return f"{count:,} {what}{'es' if what.endswith('s') else 's'}"


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
