# SPDX-License-Identifier: GPL-2.0-only
"""What an input device answers to queries of its configuration (section 5.8.5).

A driver writes select and subsel, and reads size, then that many bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pykit.spec import bits
from pykit.spec.lives import Life
from pykit.spec.model import Result, rule
from pykit.spec.rows import Tally
from pykit.spec.view import View

#: Where select, subsel and size are.
_SELECT, _SUBSEL, _SIZE = range(3)
#: Selections that there are: name, serial number, ids, properties, event codes, axes.
_EVENT_BITS, _AXIS = 0x11, 0x12
_DEFINED = (0x01, 0x02, 0x03, 0x10, _EVENT_BITS, _AXIS)
#: The type of events of absolute axes.
_ABSOLUTE = 3


class _Answer(NamedTuple):
    """A size that was read, and what was selected by then."""

    row: int
    select: int
    subsel: int
    size: int


def _answers(life: Life) -> Iterator[_Answer]:
    """Yield what a driver read where it had written both selections."""
    selected: dict[int, int] = {}
    for access in life.config:
        if access.write:
            for n in range(access.len):
                selected[access.offset + n] = access.value >> 8 * n & 0xFF
        elif access.offset <= _SIZE < access.offset + access.len and {0, 1} <= selected.keys():
            size = access.value >> 8 * (_SIZE - access.offset) & 0xFF
            yield _Answer(access.row, selected[_SELECT], selected[_SUBSEL], size)


@rule("IP-DE-02", needs="driver:config")
def unknown_selections_are_empty(view: View) -> Result:
    """Section 5.8.5.2: size is 0 where an input device has nothing for select and subsel.

    Checked: each read of size behind writes of both, where select is 0 or one that is not defined,
    or asks for an axis of a device that has shown, in the same life, to have no event of absolute
    axes: it is 0. What a device has for other selections is its own matter.
    """
    tally = Tally(none="no input device was asked for what it cannot have")
    for life in view.lives.values():
        if life.id != bits.INPUT_ID:
            continue
        axes = True
        for answer in _answers(life):
            if (answer.select, answer.subsel) == (_EVENT_BITS, _ABSOLUTE):
                axes = answer.size > 0
            if answer.select not in _DEFINED or (answer.select == _AXIS and not axes):
                text = f"{life.name}: size is {answer.size} for select {answer.select:#x} and"
                text += f" subsel {answer.subsel}, which it has not"
                tally.check(not answer.size, answer.row, text)
    return tally.result()
