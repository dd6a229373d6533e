# SPDX-License-Identifier: GPL-2.0-only
"""The verb `bundle`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pykit.cli.options import ArchOption, KernelOption
from pykit.cli.terminal import echo, say


def bundle(
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Write to this new directory.")],
    kernel: KernelOption = None,
    arch: ArchOption = None,
) -> None:
    """Make a guest in which pykit drive --guest drives a device of any monitor.

    It is a kernel and an initramfs with one program, which does over a serial line what the driver
    says. The kernel's own vhost devices can be driven there, too.

    Example: pykit bundle --to guest
    """
    from pykit import kernels, modules
    from pykit.guests import make_led_guest

    found = kernels.resolve(kernels.on_arch(kernel, arch), progress=say)
    built = modules.build(found, progress=say).modules
    ours = [path for path in built if path.stem in ("pykit_trace", "pykit_vhost")]
    made = make_led_guest(found, to, ours)
    echo(f"{made.vmlinuz} and {made.initramfs}; {to / 'README'} has their use")
