# SPDX-License-Identifier: GPL-2.0-only
"""The end of a command: its exit code, and every error as one line."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

import typer
from rich.markup import escape

from pykit import memory
from pykit.bisect import code_for_git
from pykit.cli.app import app
from pykit.cli.options import BISECT
from pykit.cli.terminal import err
from pykit.errors import Exit, PykitError


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
        err.print(f"[red]pykit:[/] {escape(_one_line(error))}", soft_wrap=True)
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


def _one_line(error: OSError) -> str:
    where = f" {error.filename}" if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"no space left on the device:{where or ' free some space'}, then run it again"
    return f"{os.strerror(error.errno) if error.errno else error}:{where}"


def _terminated(signum: int, frame: FrameType | None) -> None:
    del frame
    # As Ctrl-C: unwind, so that every guest is ended and every temporary file goes.
    signal.signal(signum, signal.SIG_IGN)
    raise KeyboardInterrupt
