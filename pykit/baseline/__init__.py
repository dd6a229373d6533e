# SPDX-License-Identifier: GPL-2.0-only
"""Known failures of a user's own driver or device: a file in their repository, each with a reason.

A failure that is listed is expected. One that is not is new; one that is listed and holds, and a
line that names nothing, are errors: the file says what is true today.
"""

from pykit.baseline.compare import HeldToBaseline, compare, renewed
from pykit.baseline.examined import Examined, of_directory, of_run
from pykit.baseline.listed import BaselineFile, KnownFailure, read, render
from pykit.baseline.marked import mark
from pykit.baseline.summary import markdown, workflow_errors

__all__ = [
    "BaselineFile",
    "Examined",
    "HeldToBaseline",
    "KnownFailure",
    "compare",
    "mark",
    "markdown",
    "of_directory",
    "of_run",
    "read",
    "render",
    "renewed",
    "workflow_errors",
]
