# SPDX-License-Identifier: GPL-2.0-only
"""Run cells: on this machine or on Dask workers, in shared guests or one guest each."""
