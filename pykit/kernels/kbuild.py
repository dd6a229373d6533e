# SPDX-License-Identifier: GPL-2.0-only
"""Run the kernel's make: a clean environment, a log, and the line with the error."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from pykit.errors import InfraError
from pykit.processes import cpus

#: Patterns of make's error lines, the most specific first.
_ERRORS = (
    re.compile(r"^.*: (?:fatal )?error: .*$", re.MULTILINE),
    re.compile(r"^ERROR: modpost: .*$", re.MULTILINE),
    re.compile(r"^.*(?:not found|No space left on device|No such file or directory)\b.*$", re.M),
    re.compile(r"^.*\*\*\* .*$", re.MULTILINE),
)

#: Environment variables of a `make` that called us.
_FOREIGN = frozenset(
    {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "GNUMAKEFLAGS", "KDIR", "M", "O"}
    | {"FAULT", "VHOST_H", "KBUILD_OUTPUT", "KBUILD_EXTMOD", "KBUILD_EXTRA_SYMBOLS"}
    | {"W", "C", "V", "ARCH", "CROSS_COMPILE", "LLVM", "CC", "LOCALVERSION", "KCONFIG_CONFIG"}
)


def make(
    arguments: list[str], log: Path, lock: int, on_line: Callable[[str], None] | None = None
) -> int:
    """Run make with one job a CPU, its output in `log`; returns its exit status.

    `lock` is the descriptor of the lock under which it writes: where we are killed and make
    is not, make goes on holding it. An exception takes all of make's processes along.
    `on_line` gets every line of output as it comes.
    """
    command = ["make", f"-j{cpus()}", *arguments]
    environment = {k: v for k, v in os.environ.items() if k not in _FOREIGN} | {"LC_ALL": "C"}
    with log.open("wb", buffering=0) as output:
        try:
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if on_line else output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(lock,),
            )
        except FileNotFoundError:
            raise InfraError("there is no make on this machine: install make and gcc") from None
        try:
            if on_line and process.stdout:
                for line in process.stdout:
                    output.write(line)
                    on_line(line.decode(errors="replace").rstrip("\n"))
            return process.wait()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise


def make_modules(build_dir: Path, folder: Path, what: str) -> None:
    """Build the modules of a folder against a kernel's build directory, its log make.log there.

    Raises: InfraError where make fails; ``what`` says in it what was to be built.
    """
    log = folder / "make.log"
    arguments = ["-C", str(build_dir), f"M={folder}", "CONFIG_DEBUG_INFO_BTF_MODULES=", "modules"]
    with (folder / ".lock").open("w") as lock:
        if make(arguments, log, lock.fileno()) != 0:
            raise InfraError(f"{what}: {first_error(log)} (log: {log})")


def first_error(log: Path) -> str:
    """Return the most telling line of a failed make's log."""
    text = log.read_text(encoding="utf-8", errors="replace")
    for pattern in _ERRORS:
        found = pattern.search(text)
        if found:
            return found[0].strip()
    return "make failed without saying why"
