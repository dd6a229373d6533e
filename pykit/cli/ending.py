# SPDX-License-Identifier: GPL-2.0-only
"""The end of a command: its exit code, and every error as one line."""

from __future__ import annotations

import errno
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import FrameType

import typer
from rich.markup import escape

from pykit import memory, paths
from pykit.bisect import code_for_git
from pykit.cli.app import app
from pykit.cli.options import BISECT
from pykit.cli.terminal import err
from pykit.errors import Exit, PykitError
from pykit.files import full_directories


def run_to_end(arguments: Sequence[str]) -> int:
    """Run a verb; return the contract's exit code, with no traceback for a user's mistake."""
    memory.keep_freed()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _terminated)
    signal.signal(signal.SIGHUP, _terminated)
    try:
        code = app(list(arguments), prog_name="pykit", standalone_mode=False)
    except PykitError as error:
        err.print(f"[red]pykit:[/] {escape(str(error))}", soft_wrap=True)
        code = error.exit_code
    except typer.Abort:
        code = 130
    except KeyboardInterrupt:
        err.print("[red]pykit:[/] interrupted")
        code = 130
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
        code = Exit.OK
    except OSError as error:
        err.print(f"[red]pykit:[/] {escape(_one_line(error, arguments))}", soft_wrap=True)
        code = Exit.INFRA
    except Exception as error:
        # Click's own: a wrong option or argument.
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        code = Exit.USAGE
    code = int(code) if isinstance(code, int) else Exit.OK
    return code_for_git(code) if BISECT in arguments else code


def _one_line(error: OSError, arguments: Sequence[str]) -> str:
    where = str(error.filename) if error.filename else ""
    if error.errno == errno.ENOSPC:
        full = where or ", ".join(map(str, full_directories(_output_directories(arguments))))
        return f"no space left on the device{': ' if full else ''}{full}: free some, then run again"
    return f"{os.strerror(error.errno) if error.errno else error}{': ' if where else ''}{where}"


def _output_directories(arguments: Sequence[str]) -> list[Path]:
    """Return where this command may write; errors of write(2) do not name the file."""
    named = [Path(word) for option, word in pairwise(arguments) if option == "--to"]
    own = [paths.runs_dir(), paths.build_dir(), paths.cache_dir(), Path(tempfile.gettempdir())]
    return [*named, *own]


def _terminated(signum: int, frame: FrameType | None) -> None:
    del frame
    # As Ctrl-C: unwind, so that every guest is ended and every temporary file goes.
    signal.signal(signum, signal.SIG_IGN)
    raise KeyboardInterrupt
