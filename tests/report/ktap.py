# SPDX-License-Identifier: GPL-2.0-only
"""A strict reader of KTAP version 1, written from Documentation/dev-tools/ktap.rst.

What the format lets a reader overlook is an error here: unknown lines, a plan that comes late
or does not fit, numbers out of turn, a subtest without its result or under another name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_RESULT = re.compile(r"(ok|not ok) (\d+)(?: ([^#\n]*[^#\s]))?(?: # ([A-Z]+)(?: (.*))?)?")
_DIRECTIVES = {"SKIP", "TODO", "XFAIL", "TIMEOUT", "ERROR"}


@dataclass
class Result:
    """A test's result, and those of the tests in it."""

    ok: bool
    name: str
    directive: str | None
    reason: str | None
    diagnostics: list[str]
    tests: dict[str, Result] = field(default_factory=dict)


def parse(text: str) -> dict[str, Result]:
    """The tests of a file by name. Raises AssertionError for what the format does not know."""
    assert text.endswith("\n")
    return _document(text[:-1].split("\n"), None)


def _document(lines: list[str], name: str | None) -> dict[str, Result]:
    rest = iter(lines)
    assert next(rest) == "KTAP version 1"
    if name is not None:
        assert next(rest) == f"# Subtest: {name}"
    plan = re.fullmatch(r"1\.\.(\d+)", next(rest))
    assert plan
    tests: dict[str, Result] = {}
    nested: list[str] = []
    reported: list[str] = []
    for line in rest:
        if line.startswith("    "):
            # A subtest comes before what is said of it and its result.
            assert not reported, line
            nested.append(line[4:])
        elif line == "#" or line.startswith("# "):
            reported.append(line[2:])
        else:
            found = _RESULT.fullmatch(line)
            assert found, line
            ok, number, title, directive, reason = found.groups()
            assert int(number) == len(tests) + 1
            assert title not in tests
            assert directive is None or directive in _DIRECTIVES
            inner = _document(nested, title) if nested else {}
            tests[title] = Result(ok == "ok", title, directive, reason, reported, inner)
            nested, reported = [], []
    assert not nested
    assert not reported
    assert len(tests) == int(plan[1])
    return tests
