# SPDX-License-Identifier: GPL-2.0-only
"""A virtqueue at one moment of a trace, rebuilt from the events until then.

What is known of a ring is what events read of its memory: a descriptor that no event has is not
listed. Both layouts become panels, tables whose rows have an owner.
"""

from __future__ import annotations

from pykit.analysis.ring.moment import moment_of
from pykit.analysis.ring.packed import packed_panels
from pykit.analysis.ring.panels import Owner, Panel, PanelRow, RingPicture
from pykit.analysis.ring.split import split_panels
from pykit.spec.rings import PACKED
from pykit.spec.view import View

__all__ = ["Owner", "Panel", "PanelRow", "RingPicture", "picture_of"]


def picture_of(view: View, rows: tuple[int, ...]) -> RingPicture | None:
    """Return the ring at the moment of a violation, whose events ``rows`` are.

    None where these concern no queue whose layout and size are known.
    """
    moment = moment_of(view, rows)
    if moment is None:
        return None
    packed = view.rings.layout[moment.q] == PACKED
    panels = packed_panels(moment) if packed else split_panels(moment)
    name = f"{view.rings.name(moment.q)}: {'packed' if packed else 'split'} ring"
    return RingPicture(name, tuple(panel for panel in panels if panel.rows))
