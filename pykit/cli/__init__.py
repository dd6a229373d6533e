# SPDX-License-Identifier: GPL-2.0-only
"""The command line: verbs, their options, and errors as one line. The work is done elsewhere."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def main() -> None:
    """Run `pykit`: import the verbs, run one of them, exit.

    Only the standard library is imported above, so that Ctrl-C is handled from the first moment:
    the verbs take a second to import.
    """
    signal.signal(signal.SIGINT, _interrupted)
    signal.signal(signal.SIGTERM, _interrupted)
    from pykit.cli.ending import run_to_end

    sys.exit(run_to_end(sys.argv[1:]))


def _interrupted(signum: int, frame: FrameType | None) -> None:
    # Nothing was started or written yet. An exception could be lost in the middle of an import.
    del signum, frame
    os._exit(130)
