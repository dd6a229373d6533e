# SPDX-License-Identifier: GPL-2.0-only
"""Available buffer notifications as writes to a PCI device (section 4.1.5.2).

QEMU logs them only where no eventfd takes them (``ioeventfd=off``); the access tracer sees all,
with values from QEMU 9.2 on.
"""

from __future__ import annotations

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import Bools
from pykit.spec.model import Result, rule
from pykit.spec.registers import Registers, notifications, registers
from pykit.spec.topics.pci_registers import SEEN
from pykit.spec.view import View

NO_KICK = "no such notification was seen"


def _kicks(view: View, data: bool, config: bool | None = None) -> tuple[Registers, Bools]:
    """Return notifications of modern PCI devices with these features (None: either way)."""
    kicks = notifications(view)
    mask = kicks.of(("notify",)) & (kicks.life >= 0)
    for place in np.unique(np.stack([kicks.dev, kicks.life]), axis=1).T.tolist():
        life = view.life(*place)
        fits = life.has(bits.NOTIFICATION_DATA) is data
        if config is not None:
            fits &= life.has(bits.NOTIF_CONFIG_DATA) is config
        if not fits:
            mask &= (kicks.dev != place[0]) | (kicks.life != place[1])
    return kicks, mask


@rule("PK-DR-01", needs=SEEN)
def kicks_have_16_bits(view: View) -> Result:
    """Section 4.1.5.2.1: without NOTIFICATION_DATA a notification is a write of 16 bits.

    Checked: each access to a queue's notification address in lives without that feature.
    """
    return _have_bytes(view, False, 2)


@rule("PK-DR-02", needs=SEEN)
def kicks_have_32_bits(view: View) -> Result:
    """Section 4.1.5.2.1: with NOTIFICATION_DATA a notification is a write of 32 bits.

    Checked: each access to a queue's notification address in lives with that feature.
    """
    return _have_bytes(view, True, 4)


def _have_bytes(view: View, data: bool, size: int) -> Result:
    """Check the size of notifications in lives with NOTIFICATION_DATA, or in those without."""
    kicks, mask = _kicks(view, data)
    rows = kicks.where(mask)
    return kicks.check(
        rows,
        (rows["size"] == size) & rows["write"],
        "{place}: notified by {size} bytes",
        none=NO_KICK,
    )


@rule("PK-DR-03", needs=SEEN)
def kicks_have_the_index(view: View) -> Result:
    """Section 4.1.5.2.1: without both features a notification's value is the queue's index.

    Checked: each notification whose value is known, by the queue that its address belongs to.
    """
    return _index(view, *_kicks(view, False, False))


@rule("PK-DR-04", needs=SEEN)
def kicks_with_data_have_the_index(view: View) -> Result:
    """Section 4.1.5.2.1: with NOTIFICATION_DATA alone, vq_index is the queue's index.

    Checked: the lower 16 bits of each notification whose value is known, by the queue that its
    address belongs to.
    """
    return _index(view, *_kicks(view, True, False))


def _index(view: View, kicks: Registers, mask: Bools) -> Result:
    rows = kicks.where(mask & kicks.known)
    return kicks.check(
        rows,
        rows["value"] & 0xFFFF == rows["vq"],
        "{place}: notified with {value:#x}",
        undecided=int(np.count_nonzero(mask & ~kicks.known)),
        doubt="the value was not recorded",
        none=NO_KICK,
    )


def _config_data(view: View, data: bool) -> Result:
    """Check that notifications carry queue_notif_config_data, where the driver read that."""
    kicks, mask = _kicks(view, data, True)
    regs = registers(view)
    reads = regs.reads("notif_config_data")
    last_read = {
        (dev, life, vq): value
        for dev, life, vq, value in zip(
            *(getattr(regs, name)[reads].tolist() for name in ("dev", "life", "vq", "value")),
            strict=True,
        )
    }
    places = zip(kicks.dev.tolist(), kicks.life.tolist(), kicks.vq.tolist(), strict=True)
    wanted = np.array([last_read.get(place, -1) for place in places], dtype=np.int64)
    rows = kicks.where(mask & kicks.known & (wanted >= 0), wanted=wanted)
    return kicks.check(
        rows,
        rows["value"] & 0xFFFF == rows["wanted"],
        "{place}: notified with {value:#x}, not with {wanted:#x}",
        undecided=int(np.count_nonzero(mask & (~kicks.known | (wanted < 0)))),
        doubt="the value, or queue_notif_config_data, was not recorded",
        none=NO_KICK,
    )


@rule("PK-DR-05", needs=SEEN)
def kicks_have_config_data(view: View) -> Result:
    """Section 4.1.5.2.1: with NOTIF_CONFIG_DATA alone, the value is queue_notif_config_data.

    Checked: each notification whose value is known, of a queue whose queue_notif_config_data was
    read in the same life.
    """
    return _config_data(view, False)


@rule("PK-DR-06", needs=SEEN)
def kicks_have_both(view: View) -> Result:
    """Section 4.1.5.2.1: with both features, the notification carries queue_notif_config_data.

    Checked: the lower 16 bits of each notification whose value is known, of a queue whose
    queue_notif_config_data was read in the same life.
    """
    return _config_data(view, True)
