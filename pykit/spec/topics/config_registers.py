# SPDX-License-Identifier: GPL-2.0-only
"""When a driver reads the configuration, by the registers (sections 2.5, 3.1.1)."""

from __future__ import annotations

import numpy as np

from pykit.spec import bits
from pykit.spec.lives import Life
from pykit.spec.model import Result, rule
from pykit.spec.registers import MMIO, PCI, earlier, later, registers
from pykit.spec.topics.pci_registers import SEEN
from pykit.spec.topics.register_widths import wide_config_reads
from pykit.spec.view import View

UNAGREED = "the driver had not accepted VERSION_1, and did not do so later"


def generations_made_up(view: View, life: Life) -> tuple[int, str] | None:
    """Return where the trace of a life has more reads of the generation than its registers.

    None where it has not, or where the registers' log has no read of the configuration.
    """
    traced = [access.row for access in life.config if not access.len]
    regs = registers(view)
    mine = regs.of_life(life.dev, life.number)
    mine = mine[~regs.write[mine]]
    read = int(np.count_nonzero(regs.on("generation")[mine]))
    if read >= len(traced) or not regs.on("config")[mine].any():
        return None
    text = f"{len(traced)} reads of the generation are traced, {read} reached the device"
    return traced[0], text


@rule("DX-33", needs=SEEN)
def wide_fields_after_version_1(view: View) -> Result:
    """Sections 2.5 and 3.1.1: a driver reads fields of more than one byte only after it has
    accepted VERSION_1: a transitional device may show them in the guest's byte order before.

    Checked: each such read by the modern interface in a span whose reset was seen and in which the
    driver accepts VERSION_1: the feature was written before it. Other reads are undecided: what
    the driver is about to accept is not known.
    """
    regs = registers(view)
    selected = earlier(regs.writes("driver_feature_select"), regs.span)
    accepts = regs.writes("driver_feature") & (regs.value_at(selected, 0) == bits.VERSION_1 // 32)
    accepts &= regs.value >> bits.VERSION_1 % 32 & 1 == 1
    before = earlier(accepts, regs.span) >= 0
    after = later(accepts, regs.span) >= 0
    mask = wide_config_reads(view, regs) & regs.devices(PCI + MMIO) & regs.begun
    rows = regs.where(mask & (before | after), accepted=before)
    return regs.check(
        rows,
        rows["accepted"],
        "{place}: {access} is read before VERSION_1 is accepted",
        undecided=int(np.count_nonzero(mask & ~before & ~after)),
        doubt=UNAGREED,
        none="no field of more than one byte was read",
    )
