# SPDX-License-Identifier: GPL-2.0-only
"""The verb `bundle`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pykit.cli.options import KernelOption
from pykit.cli.terminal import echo, say


def bundle(
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Write to this new directory.")],
    kernel: KernelOption = None,
) -> None:
    """Make a guest in which pykit drive --guest drives a device of any x86-64 monitor.

    It is a kernel and an initramfs with one program, which does over a serial line what the driver
    says.

    Example: pykit bundle --to guest
    """
    from pykit import kernels
    from pykit.guests import make_led_guest

    made = make_led_guest(kernels.resolve(kernel, progress=say), to)
    echo(f"{made.vmlinuz} and {made.initramfs}; {to / 'README'} has their use")
