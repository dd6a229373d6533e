# SPDX-License-Identifier: GPL-2.0-only
"""Packed virtqueues (section 2.8): layout, scatter-gather lists, indirect tables, event flags.

Other modules have the descriptor ring (``packed_memory.py``, ``packed_order.py``), used descriptors
(``packed_used.py``) and notifications (``packed_notify.py``).
"""

from __future__ import annotations

import numpy as np

from pykit.spec import bits
from pykit.spec.blkconfig import SEG_MAX
from pykit.spec.model import Result, rule
from pykit.spec.rings import PACKED
from pykit.spec.rows import Rows
from pykit.spec.topics.block import NO_LIMIT, limits
from pykit.spec.topics.framing import readable_first
from pykit.spec.topics.indirect import fits_queue, indirect_if_negotiated
from pykit.spec.topics.pci_registers import SEEN
from pykit.spec.topics.queue_registers import UNALIGNED, aligned
from pykit.spec.view import View

NO_PACKED = "no packed virtqueue was used"
#: Header and status, which may each be cut in two.
BESIDE_DATA = 4
NO_INDIRECT = "no indirect descriptor in a packed ring"


@rule("PV-DR-01", needs=f"driver:queue|{SEEN}", local=True)
def ring_alignment(view: View) -> Result:
    """Section 2.8: the descriptor ring starts at a multiple of 16, both event areas at one of 4.

    Checked: each set-up of a packed queue, and each queue that is enabled by the device's
    registers, by the addresses that were written there.
    """
    setups = view.queue_setups(PACKED)
    good = (setups["desc"] % 16 == 0) & (setups["avail"] % 4 == 0) & (setups["used"] % 4 == 0)
    own = setups.check(good, f"{{queue}}: {UNALIGNED} (16, 4, 4)", none=NO_PACKED)
    return own + aligned(view, (16, 4, 4), packed=True)


@rule("PS-DR-02", needs=("driver:desc", "driver:queue"), contents=True)
def list_fits_queue(view: View) -> Result:
    """Section 2.8 (scatter-gather): a list has no more elements than the queue has entries.

    Checked: each list of a packed queue of known size whose descriptors were seen. A list that
    loops has no length and is left out.
    """
    return fits_queue(view, PACKED)


@rule("PS-DR-01", needs=("driver:desc", "driver:config"), also=("PI-DR-03",), contents=True)
def list_fits_device(view: View) -> Result:
    """Section 2.8 (scatter-gather, indirect): a list is not longer than the device allows.

    Checked: each list of a packed queue of a block device whose seg_max was negotiated and read:
    it has at most that many elements beside the request's header and status (which may be cut in
    two), in the ring or in an indirect table. Of other devices the kit does not know the limit.
    """
    rings, adds, chains = view.rings, view.adds, view.chains
    most = limits(view, adds.q, SEG_MAX)
    judged = (rings.layout[adds.q] == PACKED) & chains.seen & ~chains.looped & (most != NO_LIMIT)
    if len(rings.queue):
        judged &= rings.device()[adds.q] == bits.BLK_ID
        judged &= rings.feature(bits.BLK_SEG_MAX)[adds.q] == 1
    table = Rows.of(rings, adds).plus(elements=chains.elements, most=most).where(judged)
    return table.check(
        table["elements"] - BESIDE_DATA <= table["most"],
        "{queue}: {elements} descriptors in a list, seg_max is {most}",
        none="no limit was negotiated and read",
    )


@rule("PS-DR-03", needs="driver:desc", contents=True)
def readable_before_writable(view: View) -> Result:
    """Section 2.8 (scatter-gather): elements that the device writes stand behind all it reads.

    Checked: each list of a packed queue whose descriptors were seen, up to where it loops.
    """
    return readable_first(view, PACKED)


@rule("PI-DR-01", needs="driver:desc", contents=True)
def indirect_only_if_negotiated(view: View) -> Result:
    """Section 2.8 (indirect): a descriptor has INDIRECT only with INDIRECT_DESC negotiated.

    Checked: without the feature each descriptor of a packed ring; with it those with the flag.
    Where it is not known what was negotiated, nothing is.
    """
    return indirect_if_negotiated(view, PACKED)


@rule("PI-DR-04", needs="driver:desc", local=True, contents=True)
def indirect_is_not_in_a_list(view: View) -> Result:
    """Section 2.8 (indirect): a descriptor with INDIRECT is not part of a list.

    Checked: each descriptor of a packed ring that refers to an indirect table: it has no NEXT.
    """
    rings, chains = view.rings, view.chains
    table = Rows.of(rings, chains)
    table = table.where((rings.layout[chains.q] == PACKED) & ~chains.element)
    return table.check(
        table["flags"] & bits.NEXT == 0,
        "{queue}: slot {slot} has INDIRECT and NEXT",
        none=NO_INDIRECT,
    )


@rule("PI-DR-02", needs="driver:desc", local=True, contents=True)
def only_write_inside_a_table(view: View) -> Result:
    """Section 2.8 (indirect): of all flags, entries of an indirect table have at most WRITE.

    Checked: each entry of an indirect table of a packed queue. NEXT is tolerated but in a table's
    last entry: where the observer cannot read a table, it makes up its entries from the request,
    linked by NEXT.
    """
    rings, chains = view.rings, view.chains
    last = np.ones(len(chains.chain), dtype=np.bool_)
    last[:-1] = chains.chain[1:] != chains.chain[:-1]
    entries = Rows.of(rings, chains).plus(most=np.where(last, 0, bits.NEXT) | bits.WRITE)
    entries = entries.where((rings.layout[chains.q] == PACKED) & (chains.table == 1))
    return entries.check(
        entries["flags"] & ~entries["most"] == 0,
        "{queue}: entry {slot} of a table has flags {flags:#x}",
        none=NO_INDIRECT,
    )


@rule("DX-13", needs="driver:callback")
def driver_event_flags(view: View) -> Result:
    """Section 2.8.10: the driver's event suppression flags are 0 or 1, and 2 with EVENT_IDX.

    Checked: each time that the driver switches callbacks of a packed queue on or off.
    """
    return _suppression(view, "callback", ("avail_flags",))


@rule("DX-14", needs="driver:kick")
def device_event_flags(view: View) -> Result:
    """Section 2.8.10: the device's event suppression flags are 0 or 1, and 2 with EVENT_IDX.

    Checked: each decision to notify of a packed queue, by the larger of the flags before and
    after it.
    """
    return _suppression(view, "kick", ("flags", "flags_after"))


def _suppression(view: View, kind: str, names: tuple[str, ...]) -> Result:
    """Check the largest of these event suppression flags in each event of a kind."""
    rings = view.rings
    if not {*names} <= {*view.events.fields[kind]}:
        return Result(0, why="the driver's tracepoints do not read these flags")
    events = view.events_of(kind)
    q = events["q"]
    events = events.plus(
        largest=np.max([events[name] for name in names], axis=0),
        limit=np.where(rings.event_idx(q, events["event_idx"]), 2, 1),
    )
    events = events.where(rings.layout[q] == PACKED)
    return events.check(
        events["largest"] <= events["limit"],
        "{queue}: event suppression flags are {largest}",
        none=NO_PACKED,
    )
