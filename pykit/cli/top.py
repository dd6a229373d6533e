# SPDX-License-Identifier: GPL-2.0-only
"""The verb `top`: a live view of queues."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from pykit.errors import UsageError


def top(
    run: Annotated[
        Path | None, typer.Argument(help="Name the directory of a run in progress.")
    ] = None,
    attach: Annotated[
        Path | None,
        typer.Option(metavar="SOCKET", help="Observe a running QEMU by its QMP socket."),
    ] = None,
    every: Annotated[float, typer.Option(min=0.1, metavar="S", help="Repeat this often.")] = 0.5,
) -> None:
    """Show queues live: depth, rate, latency, suppression; a stuck queue is red, with the reason.

    Example: pykit top --attach qmp.sock
    """
    if (run is None) == (attach is None):
        raise UsageError("nothing to show: name the directory of a run, or add --attach SOCKET")
    try:
        from pykit.top.app import TopApp
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("textual"):
            raise
        raise UsageError("pykit top needs textual: pip install 'virtio-pykit[top]'") from error
    from pykit.top import watched_guest, watched_run

    with contextlib.ExitStack() as stack:
        if attach is not None:
            look = stack.enter_context(watched_guest(attach)).look
        else:
            assert run is not None
            look = stack.enter_context(watched_run(run)).look
        app = TopApp(look, every)
        app.run()
    if app.error is not None:
        raise app.error
