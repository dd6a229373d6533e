# SPDX-License-Identifier: GPL-2.0-only
"""Commands of devices on channel I/O (4.3), as QEMU's log has them.

The log has a command's number, by subchannel, since the subchannel was added. It has neither the
command's data nor its outcome, and no basic commands, which are none of virtio's.
"""

from __future__ import annotations

import polars as pl

from pykit.spec.model import Result, rule
from pykit.spec.rows import Tally
from pykit.spec.view import View

#: Of the commands (4.3.1.1).
SET_VIRTIO_REV = 0x83


@rule("CV-DR-02", needs="qemu:dev_command")
def the_revision_is_set_first(view: View) -> Result:
    """Section 4.3.2.1: the driver issues no other virtio command before it sets the revision.

    Checked: the first command of each device since it was added, which sets the revision.

    Whether the device took it is not logged: a driver that goes on with another command after the
    device refused every revision is not seen. A device that was there before the log began is left
    out.
    """
    tally = Tally(none="QEMU's log has no command of a device that was added on channel I/O")
    first = view.of("dev_command").filter(pl.col("number") == 0)
    for event in first.iter_rows(named=True):
        command = event["command"]
        text = f"device {event['dev']}: command {command:#x} came before the revision was set"
        tally.check(command == SET_VIRTIO_REV, event["row"], text)
    return tally.result()
