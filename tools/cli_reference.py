# SPDX-License-Identifier: GPL-2.0-only
"""Print docs/reference/cli.md: the help of every command, as the command line itself has it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

HEAD = """\
<!-- SPDX-License-Identifier: GPL-2.0-only -->
# Command line

Generated from `--help` by `make docs`.
"""


def commands(command: Any, context: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every command below a group, and the group, with a context to parse in."""
    yield command, context
    for name, inner in getattr(command, "commands", {}).items():
        inner_context = type(context)(inner, info_name=name, parent=context, terminal_width=78)
        yield from commands(inner, inner_context)


def tree() -> Iterator[tuple[Any, Any]]:
    """Yield all commands of pykit, each with its context."""
    import typer

    from pykit.cli.app import app

    root = typer.main.get_command(app)
    return commands(root, root.context_class(root, info_name="pykit", terminal_width=78))


def reference() -> str:
    """Return the whole document."""
    os.environ["COLUMNS"] = "80"
    parts = [HEAD]
    for command, context in tree():
        depth = "#" * (2 + context.command_path.count(" "))
        parts.append(f"{depth} {context.command_path}\n\n```\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(reference())
