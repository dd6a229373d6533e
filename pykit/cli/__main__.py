# SPDX-License-Identifier: GPL-2.0-only
"""`python -m pykit.cli`, the same as `pykit`."""

from pykit.cli import main

if __name__ == "__main__":
    main()
