# SPDX-License-Identifier: GPL-2.0-only
"""The same data, laid into descriptors in several ways (sections 2.7.4, 2.7.5.3 and 2.8.5).

``pykit drive`` writes down what each sector held that it wrote or read (``blk_sector``). A read
that finds what the last write left, or the last read, is *right*. What a device does with one form
of request shows against the others: a disk that returns wrong data in every form proves nothing of
any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from pykit.spec import bits
from pykit.spec.model import Result, rule
from pykit.spec.rings import PACKED, Chains
from pykit.spec.rows import Tally
from pykit.spec.view import View
from pykit.spec.zones import requests_of

_NEEDS = ("driver:add", "driver:desc", "driver:blk_start", "driver:blk_done")
_NONE = "no data of requests in such a form was written down: `pykit drive` does that"
_DOUBT = "in no other form was the data right"


@dataclass(frozen=True)
class _Form:
    """How a request was laid out.

    Attributes:
        row: of the event blk_start.
        what: device, type, sector and bytes: what was asked for, in whatever form.
        life, place: where it was made.
        cut: lengths of its data buffers.
        flagged: WRITE stands beside INDIRECT.
        behind: buffers stand in the ring before the indirect table.
        listed: two or more data buffers are elements of a packed list.
        unreadable: it is to write what stands in buffers that the device may only write.
        packed: its ring is packed.
        status: as it ended, -1 where it did not.
        given_up: the driver was through with the device, and it had not come back.
    """

    row: int
    what: tuple[int, int, int, int]
    life: int
    place: str
    cut: tuple[int, ...]
    flagged: bool
    behind: bool
    listed: bool
    unreadable: bool
    packed: bool
    status: int
    given_up: bool

    @property
    def plain(self) -> bool:
        """Whether nothing about the table is unusual."""
        return not self.flagged and not self.behind


@dataclass(frozen=True)
class _Pair:
    """A sector that was read, and the request that shows what it should have held."""

    row: int
    sector: int
    read: _Form
    known: _Form
    right: bool


def _forms(view: View) -> list[_Form]:
    """Return the form of each block request, by number."""
    return view.keep("forms of requests", _read_forms)


def _read_forms(view: View) -> list[_Form]:
    requests, chains, rings = view.requests, view.chains, view.rings
    if not len(rings.of("blk_sector")) and not _unusual_tables(chains):
        return []
    removed = {key for key, life in view.lives.items() if life.stage(bits.REMOVED)}
    first = np.searchsorted(chains.chain, np.arange(len(view.adds.q) + 1))
    kinds, sectors, sizes = (
        column.tolist() for column in (requests.type, requests.sector, requests.bytes)
    )
    found = []
    for number, chain in enumerate(requests.chain.tolist()):
        q = int(requests.q[number])
        mine = slice(first[chain], first[chain + 1]) if chain >= 0 else slice(0, 0)
        flags, table = chains.flags[mine], chains.table[mine]
        pointer = (table == 0) & (flags & bits.INDIRECT != 0)
        # The first buffer is the header, the last one the status byte.
        cut = tuple(chains.len[mine][chains.element[mine]].tolist())[1:-1]
        indirect = bool(pointer.any())
        packed = rings.layout[q] == PACKED
        own = flags[chains.element[mine]][1:-1] & bits.WRITE != 0
        found.append(
            _Form(
                row=int(requests.row[number]),
                what=(rings.queue[q][0], kinds[number], sectors[number], sizes[number]),
                life=rings.queue[q][1],
                place=rings.name(q),
                cut=cut,
                flagged=bool((flags[pointer] & bits.WRITE).any()),
                behind=indirect and bool(((table == 0) & ~pointer).any()),
                listed=packed and not indirect and len(cut) > 1,
                unreadable=kinds[number] == bits.T_OUT and len(own) > 0 and bool(own.all()),
                packed=packed,
                status=int(requests.status[number]),
                given_up=requests.done[number] < 0 and rings.queue[q][:2] in removed,
            )
        )
    return found


def _unusual_tables(chains: Chains) -> bool:
    """Return whether any chain has WRITE beside INDIRECT, or other descriptors beside a table."""
    outer = chains.table == 0
    pointer = outer & (chains.flags & bits.INDIRECT != 0)
    beside = outer & ~pointer
    return bool(
        (chains.flags[pointer] & bits.WRITE).any()
        or np.isin(chains.chain[pointer], chains.chain[beside]).any()
    )


def _pairs(view: View) -> list[_Pair]:
    return view.keep("pairs of reads", lambda view: list(_read_pairs(view)))


def _read_pairs(view: View) -> Iterator[_Pair]:
    events, requests, forms = view.rings.of("blk_sector"), view.requests, _forms(view)
    if not len(events):
        return
    number = requests_of(view, events)
    known: dict[tuple[int, int], tuple[int, _Form]] = {}
    # What a write leaves is not known from where it was exposed until it has come back.
    steps: list[tuple[int, int, int]] = [
        (int(requests.row[n]), -1, n) for n in np.flatnonzero(requests.type == bits.T_OUT).tolist()
    ]
    steps += [(int(row), i, int(number[i])) for i, row in enumerate(events["row"].tolist())]
    for row, i, n in sorted(steps):
        if n < 0:
            continue
        dev = view.rings.queue[int(requests.q[n])][0]
        if i < 0:
            begin = int(requests.sector[n])
            end = begin + int(requests.bytes[n]) // bits.SECTOR
            # A length is whatever the driver wrote: what is known has an end.
            for place in [p for p in known if p[0] == dev and begin <= p[1] < end]:
                del known[place]
            continue
        sector, total = int(events["sector"][i]), int(events["sum"][i])
        if not events["write"][i] and (dev, sector) in known:
            before, form = known[dev, sector]
            right = total == before
            if right or forms[n].life == form.life:
                yield _Pair(row, sector, forms[n], form, right)
                continue
        # What a reset has left is no matter of forms.
        known[dev, sector] = (total, forms[n])


def _judge(view: View, odd: Callable[[_Form, _Form], bool], words: str) -> Tally:
    """Check that data of odd pairs is right, where that of others is."""
    tally = Tally(none=_NONE, doubt=_DOUBT)
    pairs = _pairs(view)
    possible = any(pair.right and not odd(pair.read, pair.known) for pair in pairs)
    for pair in pairs:
        if pair.known.unreadable or not odd(pair.read, pair.known):
            continue
        if not pair.right and not possible:
            tally.undecided()
            continue
        text = (
            f"{pair.read.place}: sector {pair.sector} read in buffers of {list(pair.read.cut)} has"
            f" other data than in buffers of {list(pair.known.cut)}{words}"
        )
        tally.check(pair.right, (pair.known.row, pair.read.row, pair.row), text)
    return tally


def _served(view: View, tally: Tally, odd: Callable[[_Form], bool], words: str) -> Result:
    """Check that odd requests are served where the same was served in a plain form."""
    forms = _forms(view)
    # What requests of other types ask for is in their data.
    served = {
        form.what
        for form in forms
        if form.plain and form.status == bits.S_OK and form.what[1] in (bits.T_IN, bits.T_OUT)
    }
    for form in filter(odd, forms):
        if form.status == bits.S_OK:
            tally.check(True, form.row, "")
        elif form.what in served and (form.status > 0 or form.given_up):
            what = f"ends with status {form.status}" if form.status > 0 else "does not come back"
            tally.check(False, form.row, f"{form.place}: a request {words} {what}")
        else:
            tally.undecided()
    return tally.result()


def _unread(view: View, *, packed: bool) -> Result:
    """Check that nothing was stored that stands in buffers which the device may only write."""
    tally = Tally(none="no write request had its data in buffers that the device may only write")
    for pair in _pairs(view):
        if pair.known.unreadable and pair.known.packed == packed:
            text = (
                f"{pair.read.place}: sector {pair.sector} holds what stood in a buffer that the"
                " device may write, and is not to read"
            )
            tally.check(not pair.right, (pair.known.row, pair.read.row, pair.row), text)
    return tally.result()


@rule("SD-DE-02", needs=_NEEDS)
def writable_buffers_are_not_read(view: View) -> Result:
    """Section 2.7.5.1: the device reads no buffer that it may only write.

    Checked: each sector that is read behind a write request of a split queue whose data stand in
    such buffers, and which ended with OK: it does not hold them. Reads that nothing comes of are
    not visible.
    """
    return _unread(view, packed=False)


@rule("PD-DE-02", needs=_NEEDS)
def writable_elements_are_not_read(view: View) -> Result:
    """Section 2.8.5.1: the device reads no element of a packed list that it may only write.

    Checked: as for SD-DE-02, of packed queues.
    """
    return _unread(view, packed=True)


@rule("MF-DE-01", needs=_NEEDS)
def cuts_make_no_difference(view: View) -> Result:
    """Section 2.7.4.1: the device makes no assumption about how a request is cut into descriptors.

    Checked: each sector of a read that ended well, whose data in the write or read before it were
    in buffers of other lengths: it holds the same. Whether a device serves each cut at all
    is not looked at here.

    Undecided: no sector was read right in buffers of the same lengths, so that the disk itself may
    be wrong.
    """
    tally = _judge(view, lambda read, known: read.cut != known.cut, "")
    return tally.result()


@rule("SI-DE-01", needs=_NEEDS)
def write_beside_indirect_is_ignored(view: View) -> Result:
    """Section 2.7.5.3.2: the device ignores WRITE in the descriptor of an indirect table.

    Checked: each request with that flag: it is served, and each sector that it read or wrote holds
    what it has to.

    Undecided: a request that failed or did not come back where the same, of type, sector and
    length, did not succeed in a plain form: the disk may have a reason of its own; data that are
    wrong, where nothing else was right either; and what was outstanding when the trace ended.
    """
    tally = _judge(view, lambda read, known: read.flagged or known.flagged, ", one with WRITE")
    return _served(view, tally, lambda form: form.flagged, "with WRITE beside INDIRECT")


@rule("SI-DE-02", needs=_NEEDS)
def tables_behind_buffers_are_served(view: View) -> Result:
    """Section 2.7.5.3.2: the device serves chains that begin in the ring and end in a table.

    Checked and undecided: as for SI-DE-01.
    """
    tally = _judge(view, lambda read, known: read.behind or known.behind, ", one with a table")
    return _served(view, tally, lambda form: form.behind, "whose table is behind other buffers")


@rule("PS-DE-01", needs=_NEEDS)
def lists_are_used_in_order(view: View) -> Result:
    """Section 2.8.7.1: the device uses the elements of a packed list in the order they stand in.

    Checked: each sector of a read that ended well, where it or the request before it with the same
    sector was a packed list of two or more data buffers: it holds the same.

    Undecided: no sector was right without such lists.
    """
    tally = _judge(view, lambda read, known: read.listed or known.listed, ", in a list")
    return tally.result()
