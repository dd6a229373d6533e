# SPDX-License-Identifier: GPL-2.0-only
"""Look at the queues of a running guest or a run in progress again and again, for `pykit top`."""

from pykit.top.guest import watched_guest
from pykit.top.look import QueueLine, TopLook
from pykit.top.run import watched_run

__all__ = ["QueueLine", "TopLook", "watched_guest", "watched_run"]
