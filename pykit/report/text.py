# SPDX-License-Identifier: GPL-2.0-only
"""Text that came from a guest, made safe to show: it may hold anything."""

from __future__ import annotations

import re

# CSI and OSC sequences, and the two-byte ones, as ECMA-48 has them.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")


def shown(text: str) -> str:
    """One line of foreign text; what is not printable stands there as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def tail(text: str, lines: int) -> str:
    """The last lines of a console: colours and cursor movements dropped, the rest escaped."""
    text = _ESCAPES.sub("", text).replace("\r\n", "\n")
    kept = text.rstrip("\n").split("\n")[-lines:]
    return "\n".join(shown(line.replace("\t", "    ").replace("\r", "")) for line in kept)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
