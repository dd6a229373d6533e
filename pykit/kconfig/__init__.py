# SPDX-License-Identifier: GPL-2.0-only
"""Kernel configurations: made from a profile, verified, and compared with a kernel's own."""

from pykit.kconfig.fragments import Profile, Want, load_profile, profiles
from pykit.kconfig.resolve import Mismatch, Resolution, check, resolve

__all__ = [
    "Mismatch",
    "Profile",
    "Resolution",
    "Want",
    "check",
    "load_profile",
    "profiles",
    "resolve",
]
