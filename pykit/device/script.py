# SPDX-License-Identifier: GPL-2.0-only
"""A fault that the user writes: a Python file with functions for the steps that it changes."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pykit.device.faults import DeviceFault
from pykit.errors import InfraError, UsageError

#: Functions that a script may define; the steps are described at DeviceFault.
_STEPS = ("change", "features", "asks")


def load_script(path: Path) -> DeviceFault:
    """Read a script: it defines ``change(step)``, ``features(offered)`` or ``asks(queue)``.

    What one of them raises later ends the device with InfraError.

    Raises:
        UsageError: it cannot be read, is no Python, raises, or defines none of them.
    """
    defined: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    try:
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), defined)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except (Exception, SystemExit) as error:
        raise UsageError(_line(path, error)) from None
    found = [name for name in _STEPS if callable(defined.get(name))]
    steps: dict[str, Any] = {name: _guarded(path, defined[name]) for name in found}
    if not steps:
        raise UsageError(f"{path}: defines no function {', '.join(_STEPS)}: write one of them")
    return replace(DeviceFault("script", f"do what {path.name} does"), **steps)


def _guarded(path: Path, step: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def act(subject: Any) -> Any:
        try:
            return step(subject)
        except (Exception, SystemExit) as error:
            raise InfraError(_line(path, error)) from None

    return act


def _line(path: Path, error: BaseException) -> str:
    """What a script raised, and in which of its lines."""
    number = error.lineno if isinstance(error, SyntaxError) else None
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename == str(path):
            number = frame.lineno
    where = f"{path}:{number}" if number else str(path)
    words = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    return f"{where}: {type(error).__name__}: {words}: mend the script"
