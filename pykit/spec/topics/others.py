# SPDX-License-Identifier: GPL-2.0-only
"""Devices other than block and network devices: lengths of what both sides hand over (section 5).

Only lengths are traced, no contents. A chain whose head was reused while it was outstanding is
left out, and so is one that the device has not used. A device's rule judges chains that the
driver made long enough for what they are to hold; the driver's rule has the others.
"""

from __future__ import annotations

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import Bools, Ints, grouped_cumsum, ints
from pykit.spec.model import Result, rule
from pykit.spec.rows import Rows
from pykit.spec.view import View

#: What a device is says its driver, or the capture of a guest that was seen from outside.
_TYPE = "driver:driver|access:acc_register"
DRIVER = ("driver:add", _TYPE)
BOTH = ("driver:add", "driver:used", _TYPE)

# Feature bits.
CONSOLE_MULTIPORT = 1
_BALLOON_STATS_VQ = 1

# Bytes of the structures that the section defines.
_SCSI_REQUEST, _SCSI_RESPONSE, _SCSI_EVENT = 51, 108, 16
#: From the response's begin up to its byte ``response``.
_SCSI_RESPONDED = 12
CONSOLE_CONTROL = 8
_BALLOON_PAGE, _BALLOON_STAT = 4, 10
_INPUT_EVENT = 8
_VSOCK_HDR, _VSOCK_EVENT = 44, 4
_FUSE_IN, FUSE_OUT = 40, 16
_NINEP_HDR = 7


def chains(view: View, device: int) -> Rows:
    """Chains of all queues of devices of a type, with ``vq`` and what they hold.

    Columns: ``readable`` and ``writable`` (bytes), ``len`` (as the used entry says, -1 where
    there is none), ``taken`` (that entry's row, -1).
    """
    return view.keep(f"chains of {device}", lambda view: _read_chains(view, device))


def _read_chains(view: View, device: int) -> Rows:
    rings, adds, used, pairs = view.rings, view.adds, view.used, view.pairs
    if device not in rings.device():
        return Rows.nothing()
    mine = np.flatnonzero((rings.device()[adds.q] == device) & ~pairs.doubtful)
    events = rings.of("add").take(mine)
    entry = pairs.used_of[mine]
    length, taken = (np.full(len(entry), -1, dtype=np.int64) for _ in range(2))
    back = entry >= 0
    length[back] = used.len[entry[back]]
    taken[back] = used.row[entry[back]]
    queue = np.array([vq for _, _, vq in rings.queue] or [0], dtype=np.int64)
    return Rows.of(rings, events).plus(
        vq=queue[adds.q[mine]],
        readable=ints(events, "readable"),
        writable=ints(events, "writable"),
        len=length,
        taken=taken,
    )


def followers(view: View, device: int, lead: str, kind: str, **columns: str) -> Rows:
    """Return events of a kind that follow, of devices of a type, that of the same chain.

    Args:
        view: the events.
        device: virtio device id.
        lead: the kind that they follow: ``add`` or ``used``.
        kind: theirs.
        columns: further columns, by those of the event that they follow.

    Further columns: ``vq``; ``number``, how many events of the leading kind the queue had before.
    """
    rings = view.rings
    events = rings.of(lead, kind)
    if device not in rings.device() or not len(events.kind):
        return Rows.nothing()
    rows = Rows.of(rings, events)
    leads = events.kind == events.kinds.index(lead)
    at = np.maximum.accumulate(np.where(leads, np.arange(len(leads)), 0))
    head = rows["id" if lead == "used" else "head"][at] & 0xFFFF
    same = (rows["q"][at] == rows["q"]) & (head == rows["head"]) & leads[at]
    same &= rings.unbroken(rows["at"][at], rows["at"])
    mine = rings.device()[rows["q"]] == device
    queue = np.array([vq for _, _, vq in rings.queue], dtype=np.int64)
    number = grouped_cumsum(leads.astype(np.int64), rows["q"]) - 1
    more = {name: rows[source][at] for name, source in columns.items()}
    rows = rows.plus(vq=queue[rows["q"]], number=number, **more)
    return rows.where(mine & same & ~leads)


def feature(view: View, rows: Rows, bit: int) -> Ints:
    """By row: 1 negotiated, 0 not, -1 unknown."""
    return view.rings.feature(bit)[rows["q"]]


def returned(rows: Rows, needs: int | Ints, what: str, none: str) -> Result:
    """Check that chains which have room for something come back with it.

    ``needs``: its length in bytes, of all chains or by row.
    """
    least = np.broadcast_to(np.asarray(needs, dtype=np.int64), len(rows)).copy()
    rows = rows.plus(least=least)
    rows = rows.where((rows["taken"] >= 0) & (rows["writable"] >= rows["least"]))
    text = "{queue}: used len {len}, " + what + " has {least:byte}"
    return rows.check(rows["len"] >= rows["least"], text, none=none, shown=("row", "taken"))


def made(rows: Rows, holds: Bools, what: str, none: str) -> Result:
    """Check what drivers make available."""
    text = "{queue}: {readable:byte} to read and {writable:byte} to write: " + what
    return rows.check(holds, text, none=none)


# SCSI hosts: control queue, event queue, request queues.


@rule("SC-DR-01", needs=DRIVER, contents=True)
def scsi_requests_are_whole(view: View) -> Result:
    """Section 5.6.6.1: a request has its header to read and room for its response.

    Checked: each chain of a request queue, for cdb_size and sense_size as they are after a reset
    (32 and 96): 51 bytes to read and 108 to write at least. A driver that makes them smaller
    would be judged falsely; those known here leave them.
    """
    rows = chains(view, bits.SCSI_ID)
    rows = rows.where(rows["vq"] >= 2)
    holds = (rows["readable"] >= _SCSI_REQUEST) & (rows["writable"] >= _SCSI_RESPONSE)
    return made(rows, holds, "a SCSI request", "no SCSI request was made")


@rule("SC-DR-02", needs=DRIVER, contents=True)
def scsi_events_have_room(view: View) -> Result:
    """Section 5.6.6.3: event buffers are writable and have room for an event.

    Checked: each buffer of the event queue: 16 bytes to write at least, none to read.
    """
    rows = chains(view, bits.SCSI_ID)
    rows = rows.where(rows["vq"] == 1)
    holds = (rows["writable"] >= _SCSI_EVENT) & (rows["readable"] == 0)
    return made(rows, holds, "an event buffer", "no event buffer was made available")


@rule("SC-DE-01", needs=BOTH)
def scsi_responses_are_written(view: View) -> Result:
    """Section 5.6.6.1: the device writes status and response of a request.

    Checked: each used chain of a request queue: its used len covers the response up to the byte
    ``response``, 12 bytes. Sense data behind it may be left out.
    """
    rows = chains(view, bits.SCSI_ID)
    rows = rows.where(rows["vq"] >= 2)
    return returned(rows, _SCSI_RESPONDED, "a response", "no SCSI request was used")


@rule("SC-DE-02", needs=BOTH)
def scsi_events_are_whole(view: View) -> Result:
    """Section 5.6.6.3: an event buffer comes back with an event.

    Checked: each used buffer of the event queue: its used len is 16 at least.
    """
    rows = chains(view, bits.SCSI_ID)
    return returned(rows.where(rows["vq"] == 1), _SCSI_EVENT, "an event", "no event came")


# Consoles: a pair of queues of the first port, the control queues, pairs of the other ports.


@rule("CO-DR-01", needs=DRIVER, contents=True)
def console_queues_go_one_way(view: View) -> Result:
    """Section 5.3.6.1: receive queues have nothing to read, transmit queues nothing to write.

    Checked: each chain of a console, control queues included.
    """
    rows = chains(view, bits.CONSOLE_ID)
    other = np.where(rows["vq"] % 2 == 0, rows["readable"], rows["writable"])
    return made(rows, other == 0, "in queue {vq} of a console", "no console has buffers")


@rule("CO-DE-01", needs=(*BOTH, "driver:features"))
def console_messages_are_whole(view: View) -> Result:
    """Section 5.3.6.2: a control message begins with its header.

    Checked: with MULTIPORT each used buffer of the control receive queue: its used len is at least
    the 8 bytes of the header.
    """
    rows = chains(view, bits.CONSOLE_ID)
    rows = rows.where((rows["vq"] == 2) & (feature(view, rows, CONSOLE_MULTIPORT) == 1))
    return returned(rows, CONSOLE_CONTROL, "a control message", "no control message came")


# Balloons: inflate, deflate, and the statistics queue if there is one.


@rule("BL-DR-01", needs=DRIVER, contents=True)
def page_numbers_are_whole(view: View) -> Result:
    """Section 5.5.6: pages are named by numbers of four bytes, which the device reads.

    Checked: each chain of the inflate and deflate queues: one number or more, nothing to write.
    """
    rows = chains(view, bits.BALLOON_ID)
    rows = rows.where(rows["vq"] <= 1)
    size = rows["readable"]
    holds = (size > 0) & (size % _BALLOON_PAGE == 0) & (rows["writable"] == 0)
    return made(rows, holds, "numbers of pages", "no page was given or taken")


@rule("BL-DR-02", needs=(*DRIVER, "driver:features"), contents=True)
def statistics_are_one_buffer(view: View) -> Result:
    """Section 5.5.6.3: at most one buffer of statistics is available, of entries of ten bytes.

    Checked: with STATS_VQ each buffer of its queue: whole entries to read, nothing to write, and
    the one before it was used.
    """
    rows = chains(view, bits.BALLOON_ID)
    rows = rows.where((rows["vq"] == 2) & (feature(view, rows, _BALLOON_STATS_VQ) == 1))
    holds = (rows["readable"] % _BALLOON_STAT == 0) & (rows["writable"] == 0)
    # Rows of a queue stand together, in its order.
    follows = np.zeros(len(rows), dtype=np.bool_)
    follows[1:] = rows["q"][1:] == rows["q"][:-1]
    waits = np.zeros(len(rows), dtype=np.bool_)
    waits[1:] = (rows["taken"][:-1] < 0) | (rows["taken"][:-1] > rows["row"][1:])
    return made(
        rows,
        holds & ~(follows & waits),
        "statistics, which are whole entries and one buffer at a time",
        "no statistics were made available",
    )


# Input devices: event queue, status queue.


@rule("IP-DR-01", needs=DRIVER, contents=True)
def input_buffers_have_room(view: View) -> Result:
    """Section 5.8.6.1: event buffers are writable and have room for an event; a status has one.

    Checked: each buffer of the event queue (8 bytes to write at least, none to read) and of the
    status queue (8 bytes to read at least).
    """
    rows = chains(view, bits.INPUT_ID)
    event = (rows["writable"] >= _INPUT_EVENT) & (rows["readable"] == 0)
    holds = np.where(rows["vq"] == 0, event, rows["readable"] >= _INPUT_EVENT)
    return made(rows, holds, "an event", "no input device has buffers")


@rule("IP-DE-01", needs=BOTH)
def input_events_are_whole(view: View) -> Result:
    """Section 5.8.6: an event buffer comes back with one event.

    Checked: each used buffer of the event queue that has room for an event: its used len is 8.
    """
    rows = chains(view, bits.INPUT_ID)
    room = rows["writable"] >= _INPUT_EVENT
    rows = rows.where((rows["vq"] == 0) & (rows["taken"] >= 0) & room)
    return rows.check(
        rows["len"] == _INPUT_EVENT,
        "{queue}: used len {len}, an event has 8 bytes",
        none="no input event came",
        shown=("row", "taken"),
    )


# Entropy devices.


@rule("RN-DR-01", needs=DRIVER, contents=True)
def entropy_buffers_are_writable(view: View) -> Result:
    """Section 5.4.6.1: there is nothing to read in the queue of an entropy device.

    Checked: each chain of its queue.
    """
    rows = chains(view, bits.ENTROPY_ID)
    return made(rows, rows["readable"] == 0, "for random bytes", "no random bytes were asked for")


@rule("RN-DE-01", needs=BOTH)
def entropy_is_not_empty(view: View) -> Result:
    """Section 5.4.6.2: the device places one or more random bytes into a buffer.

    Checked: each used chain of an entropy device: its used len is not 0.
    """
    rows = chains(view, bits.ENTROPY_ID)
    return returned(rows, 1, "a random number", "no random bytes came")


# Sockets: receive, transmit, event.


@rule("VK-DR-01", needs=DRIVER, contents=True)
def socket_packets_have_a_header(view: View) -> Result:
    """Section 5.10.6: a packet to send is a header and its data, all to be read.

    Checked: each chain of the transmit queue: 44 bytes to read at least, none to write.
    """
    rows = chains(view, bits.VSOCK_ID)
    rows = rows.where(rows["vq"] == 1)
    holds = (rows["readable"] >= _VSOCK_HDR) & (rows["writable"] == 0)
    return made(rows, holds, "a packet of a socket", "no packet was sent by a socket")


@rule("VK-DE-01", needs=BOTH)
def socket_packets_are_whole(view: View) -> Result:
    """Section 5.10.6: a received packet begins with its header, an event is whole.

    Checked: each used buffer of the receive queue (used len 44 at least) and of the event queue
    (4 at least).
    """
    rows = chains(view, bits.VSOCK_ID)
    rows = rows.where(rows["vq"] != 1)
    least = np.where(rows["vq"] == 0, _VSOCK_HDR, _VSOCK_EVENT)
    return returned(rows, least, "a packet or event", "nothing came for a socket")


# File systems: the hiprio queue, then request queues, or a notification queue between them.


@rule("FU-DR-01", needs=DRIVER, contents=True)
def fuse_requests_have_a_header(view: View) -> Result:
    """Section 5.11.6.1: a request begins with the header of FUSE, and has room for a reply's.

    Checked: each chain with something to read: 40 bytes at least; and nothing to write, as for
    requests without a reply, or 16 bytes at least.
    """
    rows = chains(view, bits.FS_ID)
    rows = rows.where(rows["readable"] > 0)
    room = (rows["writable"] == 0) | (rows["writable"] >= FUSE_OUT)
    return made(
        rows, (rows["readable"] >= _FUSE_IN) & room, "a FUSE request", "no file system was used"
    )


@rule("FU-DE-01", needs=BOTH)
def fuse_replies_have_a_header(view: View) -> Result:
    """Section 5.11.6.1: a reply begins with the header of FUSE.

    Checked: each used chain that has room for one: its used len is 16 at least.
    """
    rows = chains(view, bits.FS_ID)
    return returned(rows, FUSE_OUT, "a reply's header", "no file system replied")


@rule("NP-DE-01", needs=BOTH)
def ninep_replies_have_a_header(view: View) -> Result:
    """Section 5 leaves the messages to 9P: a reply begins with its size, type and tag.

    Checked: each used chain of a 9P device: its used len is 7 at least.
    """
    rows = chains(view, bits.NINEP_ID)
    return returned(rows, _NINEP_HDR, "a reply's header", "no 9P device replied")
