# SPDX-License-Identifier: GPL-2.0-only
"""Help texts, and every command line in them and in the documents, which have to parse."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pykit.paths import ROOT
from tools.cli_reference import reference, tree

from .command import pykit

#: First words of help texts.
VERBS = frozenset(
    [
        "Add",
        "Bisect",
        "Boot",
        "Build",
        "Check",
        "Choose",
        "Compare",
        "Connect",
        "Count",
        "Decode",
        "Describe",
        "Divide",
        "Download",
        "Drive",
        "Drop",
        "Exit",
        "Expect",
        "Explain",
        "Fetch",
        "Find",
        "Follow",
        "Generate",
        "Get",
        "Have",
        "Install",
        "Keep",
        "Judge",
        "Limit",
        "List",
        "Listen",
        "Load",
        "Make",
        "Measure",
        "Merge",
        "Multiply",
        "Name",
        "Observe",
        "Offer",
        "Overwrite",
        "Pass",
        "Print",
        "Put",
        "Repeat",
        "Replace",
        "Resolve",
        "Run",
        "Select",
        "Serve",
        "Share",
        "Show",
        "Size",
        "Start",
        "Take",
        "Test",
        "Use",
        "Write",
    ]
)
COMMANDS = {context.command_path: command for command, context in tree()}
LEAVES = {path: c for path, c in COMMANDS.items() if not getattr(c, "commands", None)}
#: Verbs that neither boot nor download anything nor need a run.
QUICK = {"rules", "export-jobs"}
_ASSIGNMENT = re.compile(r"(?:\$ )?(?:\w+=\S+ )*(?:\.venv/bin/)?pykit( .*)?$")


def examples() -> Iterator[tuple[str, str]]:
    """Yield every command line of the help texts and of the documents' code blocks."""
    for path, command in COMMANDS.items():
        for line in re.findall(r"Example: pykit (.*)", command.help or ""):
            yield path, line
    for document in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        if document.name == "cli.md":
            continue
        for block in re.findall(r"^```\w*\n(.*?)^```", document.read_text(), re.M | re.S):
            for line in block.replace("\\\n", " ").splitlines():
                if match := _ASSIGNMENT.match(line.strip()):
                    yield document.name, match.group(1) or ""


def words(line: str) -> list[str]:
    """Return the arguments in a line: without a comment, an explanation, or a shell's pipe."""
    line = re.split(r"\s{2,}|\s#", line.strip())[0]
    found = shlex.split(line)
    for number, word in enumerate(found):
        if re.match(r"[|<>]|[12]>|&&|\|\|", word):
            return found[:number]
    return found


def parse(arguments: list[str]) -> None:
    """Parse as `pykit` does, without running anything; raises click's errors."""
    command: Any = COMMANDS["pykit"]
    context, name = None, "pykit"
    while True:
        context = command.make_context(name, arguments, parent=context)
        rest = [*getattr(context, "_protected_args", ()), *context.args]
        if not getattr(command, "commands", None) or not rest:
            return
        name, command, arguments = command.resolve_command(context, rest)


@pytest.mark.parametrize("path", COMMANDS)
def test_help_starts_with_a_verb(path: str) -> None:
    command = COMMANDS[path]
    texts = [command.help, *(p.help for p in command.params if p.name != "help")]
    for text in texts:
        assert text, f"{path}: no help"
        assert text.split()[0].rstrip(",") in VERBS, text
        assert text.rstrip().endswith(".") or "Example:" in text or "…" in text, text


@pytest.mark.parametrize("path", LEAVES)
def test_every_command_has_an_example(path: str) -> None:
    assert f"Example: {path}" in (LEAVES[path].help or "")


@pytest.mark.parametrize(("where", "line"), sorted(set(examples())))
def test_examples_parse(where: str, line: str) -> None:
    if arguments := words(line):
        parse(arguments)


def test_the_parser_refuses() -> None:
    with pytest.raises(Exception, match="No such option"):
        parse(["run", "--no-such-option"])
    with pytest.raises(Exception, match="No such command"):
        parse(["kernel", "frobnicate"])


def test_quick_examples_run(tmp_path: Path) -> None:
    run = {tuple(words(line)) for _, line in examples() if line.split()[:1]}
    run = {arguments for arguments in run if arguments[0] in QUICK}
    assert {arguments[0] for arguments in run} == QUICK
    for number, arguments in enumerate(sorted(run)):
        folder = tmp_path / str(number)
        folder.mkdir()
        done = pykit(*arguments, cwd=folder)
        assert done.returncode == 0, (arguments, done.stderr)


def test_the_reference_is_up_to_date() -> None:
    text = (ROOT / "docs" / "reference" / "cli.md").read_text()
    assert text == reference(), "run make docs"
