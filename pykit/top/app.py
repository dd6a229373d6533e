# SPDX-License-Identifier: GPL-2.0-only
"""The terminal that `pykit top` draws; needs textual, the extra `top`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Footer, Static
from textual.worker import get_current_worker

from pykit.errors import PykitError
from pykit.text import printable
from pykit.top.look import QueueLine, TopLook

_COLUMNS = (
    "device", "queue", "state", "turn", "depth", "of", "chains/s", "time", "notify", "interrupt",
)  # fmt: skip
_STYLES = {"stuck": "bold white on red", "unknown": "yellow", "moves": "green", "idle": "dim"}
_LEGEND = (
    "depth: chains under way · time: of one chain · notify, interrupt: asked for by the device, by "
    "the driver: on, off, or after so many chains"
)
#: How often a worker that waits looks whether it is to end.
_WAIT_S = 0.05


class TopApp(App[None]):
    """Queues in a table, and below it a sentence for each that is stuck."""

    TITLE = "pykit top"
    CSS = """
    DataTable { height: 1fr; }
    #said { height: auto; max-height: 50%; padding: 0 1; }
    #legend { height: auto; color: $text-muted; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("space", "hold", "Hold"),
    ]

    def __init__(self, look: Callable[[], TopLook], every: float) -> None:
        super().__init__()
        self._look, self._every = look, every
        self._held = False
        #: Why there was no further look; None for the user's own wish.
        self.error: PykitError | None = None

    def compose(self) -> ComposeResult:
        """Lay out the table, the sentences, the legend."""
        yield DataTable(cursor_type="row", zebra_stripes=False)
        yield Static(id="said")
        yield Static(_LEGEND, id="legend")
        yield Footer()

    def on_mount(self) -> None:
        """Begin to look."""
        self.query_one(DataTable).add_columns(*_COLUMNS)
        self.run_worker(self._watch, thread=True)

    def action_hold(self) -> None:
        """Stop showing what is new, or show it again."""
        self._held = not self._held

    def _watch(self) -> None:
        worker = get_current_worker()
        while not worker.is_cancelled:
            begun = time.monotonic()
            try:
                seen = self._look()
            except PykitError as error:
                self.error = error
                self.call_from_thread(self.exit)
                return
            if not worker.is_cancelled and not self._held:
                self.call_from_thread(self.show, seen)
            if seen.over:
                return
            while not worker.is_cancelled and time.monotonic() < begun + self._every:
                time.sleep(_WAIT_S)

    def show(self, seen: TopLook) -> None:
        """Draw one look, unless the screen is being taken down."""
        tables = self.query(DataTable)
        if not tables:
            return
        table = tables.first()
        row = table.cursor_row
        table.clear()
        for line in seen.queues:
            table.add_row(*_cells(line))
        if row < table.row_count:
            table.move_cursor(row=row)
        self.query_one("#said", Static).update(_said(seen))


def _cells(line: QueueLine) -> list[Text]:
    words = [
        printable(line.device),
        str(line.vq),
        line.found,
        line.turn,
        _count(line.depth),
        _count(line.size),
        "-" if line.rate is None else f"{line.rate:,.0f}",
        _time(line.ns),
        line.notify or "-",
        line.interrupt or "-",
    ]
    style = _STYLES[line.found]
    left = {0, 2, 3}
    return [
        Text(word, style, justify="left" if place in left else "right")
        for place, word in enumerate(words)
    ]


def _said(seen: TopLook) -> Text:
    said = Text()
    for sentence in seen.broken:
        said.append(printable(sentence) + "\n", "bold white on red")
    for line in sorted(seen.queues, key=lambda line: not line.stuck):
        if line.sentence:
            said.append(printable(line.sentence) + "\n", "bold red" if line.stuck else "yellow")
    if not seen.queues and not seen.over:
        said.append("no queue is in use\n", "dim")
    said.append(printable(seen.over), "bold")
    said.rstrip()
    return said


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _time(ns: float | None) -> str:
    if ns is None:
        return "-"
    return f"{ns / 1e6:,.1f} ms" if ns >= 1e6 else f"{ns / 1e3:,.0f} µs"
