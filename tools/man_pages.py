# SPDX-License-Identifier: GPL-2.0-only
"""Write a man page for each command, from the text of its --help: man_pages.py DIRECTORY."""

from __future__ import annotations

import re
import sys
from inspect import cleandoc
from pathlib import Path

from click_man.man import ManPage

from pykit import __version__
from tools.cli_reference import tree

#: What troff takes for a request at the start of a line.
_REQUEST = re.compile(r"^(?=[.'])", re.MULTILINE)


def pages() -> dict[str, str]:
    """Return the pages by their files' names."""
    return {f"{context.command_path.replace(' ', '-')}.1": _page(command, context)
            for command, context in tree()}  # fmt: skip


def _page(command: object, context: object) -> str:
    page = ManPage(context.command_path)
    page.version = f"pykit {__version__}"
    page.short_help = _escaped(command.get_short_help_str(limit=100))
    page.synopsis = " ".join(command.collect_usage_pieces(context)).replace("\\", r"\e")
    page.description = _escaped(cleandoc(command.help or ""))
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    page.options = [(_escaped(name), _escaped(text)) for name, text in filter(None, records)]
    inner = getattr(command, "commands", {}).items()
    page.commands = [(name, _escaped(c.get_short_help_str(limit=100))) for name, c in inner]
    return f'.\\" SPDX-License-Identifier: GPL-2.0-only\n{page}'


def _escaped(text: str) -> str:
    return _REQUEST.sub(r"\\&", text.replace("\\", r"\e"))


def write(directory: Path) -> list[Path]:
    """Write all pages into a directory; return their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in pages().items():
        path = directory / name
        path.write_text(text)
        written.append(path)
    return written


if __name__ == "__main__":
    write(Path(sys.argv[1]))
