# SPDX-License-Identifier: GPL-2.0-only
"""Print for all verbs, with control characters from guests and files escaped."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text

from pykit.text import printable


class SafeConsole(Console):
    """A console that escapes control characters and goes quiet when its reader has closed."""

    def __init__(self, **options: Any) -> None:
        # Width 0 is how some terminals on serial lines report that they do not know theirs.
        if os.environ.get("COLUMNS", "").strip().strip("0") == "":
            os.environ.pop("COLUMNS", None)
        super().__init__(highlight=False, **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render as rich does; escape all but rich's own control codes."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)

    def on_broken_pipe(self) -> None:
        """Drop all further output: `| head -1` changes neither the work nor the exit code."""
        self.quiet = True
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


err = SafeConsole(stderr=True)
out = SafeConsole()


def say(message: str) -> None:
    """Print a line of progress on standard error."""
    err.print("[dim]pykit:[/]", Text(message), soft_wrap=True)


def complain(message: str) -> None:
    """Print an error on standard error."""
    err.print("[red]pykit:[/]", Text(message), soft_wrap=True)


def echo(text: str) -> None:
    """Print a line of results on standard output, unwrapped."""
    out.print(Text(text), soft_wrap=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """Print rows in columns; text in them is not markup."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    out.print(table)


def write(text: str) -> None:
    """Write text to standard output as it is, but for what is not printable."""
    try:
        print(printable(text), end="", flush=True)
    except BrokenPipeError:
        out.on_broken_pipe()


def dump(data: object) -> None:
    """Print data as JSON on standard output."""
    write(json.dumps(data, indent=2, default=str) + "\n")


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Yield a `say` whose messages replace each other in one live line.

    Off a terminal it is `say` itself. The last message stays if the work ends by an exception.
    """
    if not err.is_terminal or err.is_dumb_terminal:
        yield say
        return
    cut = Column(no_wrap=True, overflow="ellipsis")
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", style="dim", markup=False, table_column=cut),
        TimeElapsedColumn(),
    )
    last = ""
    with Progress(*columns, console=err, transient=True, redirect_stdout=False) as bar:
        task = bar.add_task("", total=None)

        def replace(message: str) -> None:
            nonlocal last
            last = message
            bar.update(task, description=f"pykit: {message}")

        try:
            yield replace
        except BaseException:
            bar.stop()
            if last:
                say(last)
            raise
