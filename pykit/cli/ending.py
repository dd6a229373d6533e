# SPDX-License-Identifier: GPL-2.0-only
"""The end of a command: its exit code, and every error as one line."""

from __future__ import annotations

import errno
import os
import shlex
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import FrameType

import typer

from pykit import __version__, memory, paths
from pykit.bisect import code_for_git
from pykit.cli.app import app
from pykit.cli.options import BISECT
from pykit.cli.terminal import complain
from pykit.errors import Exit, PykitError
from pykit.files import full_directories

#: Set to print the traceback of an internal error rather than write it to a file.
_TRACEBACK = "PYKIT_TRACEBACK"


def run_to_end(arguments: Sequence[str]) -> int:
    """Run a verb; return its exit code. Every error is printed as one line."""
    memory.keep_freed()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _terminated)
    signal.signal(signal.SIGHUP, _terminated)
    try:
        code = app(list(arguments), prog_name="pykit", standalone_mode=False)
    except PykitError as error:
        complain(str(error))
        code = error.exit_code
    except typer.Abort:
        code = 130
    except KeyboardInterrupt:
        complain("interrupted")
        code = 130
    except OSError as error:
        complain(_one_line(error, arguments))
        code = Exit.INFRA
    except Exception as error:
        # Click's own: a wrong option or argument.
        if show := getattr(error, "show", None):
            show()
            code = Exit.USAGE
        else:
            complain(_internal(error))
            code = Exit.INFRA
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


def _internal(error: Exception) -> str:
    """Save the traceback; return the line that says where it is."""
    words = f"internal error: {type(error).__name__}: {' '.join(str(error).split())}"
    trace = "".join(traceback.format_exception(error))
    if os.environ.get(_TRACEBACK):
        return f"{words}\n{trace}"
    try:
        handle, name = tempfile.mkstemp(prefix="pykit-traceback-", suffix=".txt")
        with os.fdopen(handle, "w", errors="backslashreplace") as file:
            file.write(f"pykit {__version__} {shlex.join(sys.argv[1:])}\n{trace}")
    except OSError:
        return f"{words}: set {_TRACEBACK}=1, run it again and report what it prints"
    return f"{words}: report it with {name}"


def _terminated(signum: int, frame: FrameType | None) -> None:
    del frame
    # Unwind as for Ctrl-C: guests are ended and temporary files removed.
    signal.signal(signum, signal.SIG_IGN)
    raise KeyboardInterrupt
