# SPDX-License-Identifier: GPL-2.0-only
"""pykit: build and test kit for virtio on Linux."""

__version__ = "0.2.0"
