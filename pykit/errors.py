# SPDX-License-Identifier: GPL-2.0-only
"""Define the errors that end a command with one line, and the exit codes of every verb."""

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

    The message reads "what is wrong: what to do".
    """

    exit_code = Exit.INFRA


class UsageError(PykitError):
    """Bad input: an unknown name, a broken file, a directory that is no capture."""

    exit_code = Exit.USAGE


class GuestError(PykitError):
    """A guest ended early and left no capture that the rules could judge."""

    def __init__(self, message: str, exit_code: Exit) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class InfraError(PykitError):
    """A build, a boot, a download or a write failed."""

    exit_code = Exit.INFRA


class MissingConfigError(InfraError):
    """The kernel's configuration lacks an option or a module that the run needs; exit code 4."""

    exit_code = Exit.SKIP
