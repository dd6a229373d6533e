# SPDX-License-Identifier: GPL-2.0-only
"""Find or fetch QEMU, probe its accelerators, and run it so that it cannot outlive us."""
