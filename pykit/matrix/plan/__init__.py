# SPDX-License-Identifier: GPL-2.0-only
"""Read matrix files, expand them to cells, choose cells, and store the plan."""
