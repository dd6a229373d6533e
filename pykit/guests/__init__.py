# SPDX-License-Identifier: GPL-2.0-only
"""Build, start and talk to guests, and classify how they ended."""

from pykit.guests.back_end import served
from pykit.guests.copies import CopiedGuest, can_be_copied
from pykit.guests.led import LedGuest, make_led_guest
from pykit.guests.outcome import EXIT_CODES, Kind, Outcome
from pykit.guests.runners import bare_vng, runner

__all__ = [
    "EXIT_CODES",
    "CopiedGuest",
    "Kind",
    "LedGuest",
    "Outcome",
    "bare_vng",
    "can_be_copied",
    "make_led_guest",
    "runner",
    "served",
]
