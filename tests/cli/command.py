# SPDX-License-Identifier: GPL-2.0-only
"""Run `pykit` as a process of its own, forked from one that has imported the kit already."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

#: Importing these takes a second and a half, a fork a few milliseconds.
_LOADED = ["pykit.cli.ending", "pykit.steps", "pykit.analysis", "pykit.matrix", "pykit.drive"]
_SECONDS = 120


def pykit(
    *arguments: str | Path, cwd: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command line; return its exit code and what it printed.

    Raises: TimeoutError, where it has not ended after two minutes.
    """
    command = [*map(str, arguments)]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_LOADED)
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        whole = {**os.environ, "COLUMNS": "80", **environment}
        process = context.Process(target=_run, args=(command, cwd, whole, out, err))
        process.start()
        process.join(_SECONDS)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"still running after {_SECONDS} s: pykit {command}")
        printed = out.read_text(), err.read_text()
    return subprocess.CompletedProcess(command, process.exitcode, *printed)


def _run(
    command: list[str], cwd: Path, environment: Mapping[str, str], out: Path, err: Path
) -> None:
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    for path, descriptor in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
    sys.argv = ["pykit", *command]
    from pykit.cli.ending import run_to_end

    code = run_to_end(command)
    # multiprocessing ends its processes without them.
    atexit._run_exitfuncs()
    sys.exit(code)
