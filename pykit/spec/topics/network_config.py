# SPDX-License-Identifier: GPL-2.0-only
"""The configuration space of network devices (section 5.1.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pykit.spec import bits
from pykit.spec.lives import Life, lives_of
from pykit.spec.model import Result, rule
from pykit.spec.rows import Tally
from pykit.spec.view import View

#: Speed and duplex that the device does not know.
_NO_SPEED, _NO_DUPLEX = 0xFFFFFFFF, 0xFF


class _Number(NamedTuple):
    """A field: its name, where it is, how wide, the features that bring it, which values it has."""

    name: str
    offset: int
    width: int
    features: tuple[int, ...]
    right: Callable[[int], bool]


_NUMBERS = (
    _Number("status", 6, 2, (16,), lambda value: value < 4),
    _Number("max_virtqueue_pairs", 8, 2, (22, 60), lambda value: 1 <= value <= 0x8000),
    _Number("mtu", 10, 2, (3,), lambda value: value >= 68),
    _Number("speed", 12, 4, (63,), lambda value: value < 1 << 31 or value == _NO_SPEED),
    _Number("duplex", 16, 1, (63,), lambda value: value in (0, 1, _NO_DUPLEX)),
    _Number("rss_max_key_size", 17, 1, (57, 60), lambda value: value >= 40),
    _Number("rss_max_indirection_table_length", 18, 2, (60,), lambda value: value >= 128),
)


@rule("DX-91", needs=("driver:config", "driver:features"))
def numbers_can_be_used(view: View) -> Result:
    """Section 5.1.4.1: the numbers in a network device's configuration are those that a driver can
    use.

    Checked: each read of a field whose feature is offered. There is a pair of queues or more, up to
    0x8000 of them; packets of 68 bytes pass; of the status no bit is set that is not defined; speed
    and duplex have one of their values; keys have room for 40 bytes and tables for 128 entries.
    """
    tally = Tally(none="no such number of a network device was read")
    for life in lives_of(view, (bits.NET_ID,), tally):
        for number in _NUMBERS:
            if _offered(life, number):
                for access, value in life.reads(number.offset, number.width):
                    text = f"{life.name}: {number.name} is {value:#x}"
                    tally.check(number.right(value), access.row, text)
    return tally.result()


def _offered(life: Life, number: _Number) -> bool:
    offered = life.negotiated.offered if life.negotiated else 0
    return any(offered >> bit & 1 for bit in number.features)
