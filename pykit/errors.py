# SPDX-License-Identifier: GPL-2.0-only
"""Errors that a user sees as one line, and the exit codes that other programs rely on."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every pykit verb; `--bisect` maps INFRA and SKIP to 125."""

    OK = 0
    FAILED = 1
    USAGE = 2
    INFRA = 3
    SKIP = 4


class PykitError(Exception):
    """Base of all errors that end a command with one line and no traceback.

    The message says what is wrong and what to do about it.
    """

    exit_code = Exit.INFRA


class UsageError(PykitError):
    """Bad input: an unknown name, a broken file, a directory that is no capture."""

    exit_code = Exit.USAGE


class GuestError(PykitError):
    """A guest ended badly and left nothing that could be judged."""

    def __init__(self, message: str, exit_code: Exit) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class InfraError(PykitError):
    """Something could not be built, booted, fetched or written."""

    exit_code = Exit.INFRA


class LackError(InfraError):
    """A kernel was configured without what is asked of it; nothing is out of order."""

    exit_code = Exit.SKIP
