# SPDX-License-Identifier: GPL-2.0-only
"""Devices other than block devices: the lengths of what both sides hand over (section 5).

Only lengths are traced, no contents. A chain whose head was reused while it was outstanding is
left out, and so is one that the device has not used. A device's rule judges chains that the
driver made long enough for what they are to hold; the driver's rule has the others.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import Bools, Ints, ints
from pykit.spec.model import Result, rule
from pykit.spec.rows import Rows
from pykit.spec.view import View

#: What a device is says its driver, or the capture of a guest that was seen from outside.
_TYPE = "driver:driver|access:acc_register"
_DRIVER = ("driver:add", _TYPE)
_BOTH = ("driver:add", "driver:used", _TYPE)

# Feature bits.
_NET_MRG_RXBUF, _NET_CTRL_VQ, _NET_MQ, _NET_HASH_REPORT = 15, 17, 22, 57
_NET_UDP_TUNNEL = (46, 48)
_CONSOLE_MULTIPORT = 1
_BALLOON_STATS_VQ = 1

# Bytes of the structures that the section defines.
_NET_HDR, _NET_HDR_LEGACY, _NET_HDR_HASH = 12, 10, 20
_SCSI_REQUEST, _SCSI_RESPONSE, _SCSI_EVENT = 51, 108, 16
#: From the response's begin up to its byte ``response``.
_SCSI_RESPONDED = 12
_CONSOLE_CONTROL = 8
_BALLOON_PAGE, _BALLOON_STAT = 4, 10
_INPUT_EVENT = 8
_VSOCK_HDR, _VSOCK_EVENT = 44, 4
_FUSE_IN, _FUSE_OUT = 40, 16
_NINEP_HDR = 7


def _chains(view: View, device: int) -> Rows:
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


def _feature(view: View, rows: Rows, bit: int) -> Ints:
    """By row: 1 negotiated, 0 not, -1 unknown."""
    return view.rings.feature(bit)[rows["q"]]


def _returned(rows: Rows, needs: int | Ints, what: str, none: str) -> Result:
    """Check that chains which have room for something come back with it.

    ``needs``: its length in bytes, of all chains or by row.
    """
    least = np.broadcast_to(np.asarray(needs, dtype=np.int64), len(rows)).copy()
    rows = rows.plus(least=least)
    rows = rows.where((rows["taken"] >= 0) & (rows["writable"] >= rows["least"]))
    text = "{queue}: used len {len}, " + what + " has {least:byte}"
    return rows.check(rows["len"] >= rows["least"], text, none=none, shown=("row", "taken"))


def _made(rows: Rows, holds: Bools, what: str, none: str) -> Result:
    """Check what drivers make available."""
    text = "{queue}: {readable:byte} to read and {writable:byte} to write: " + what
    return rows.check(holds, text, none=none)


# Network devices: receiveq1, transmitq1, receiveq2 …, the control queue behind them.


def _net_header(view: View, rows: Rows) -> Ints:
    """By row: length of the packet header, -1 where it is not known what was negotiated."""
    modern, merged = (_feature(view, rows, bit) for bit in (bits.VERSION_1, _NET_MRG_RXBUF))
    size = np.where((modern == 1) | (merged == 1), _NET_HDR, _NET_HDR_LEGACY)
    size = np.where(_feature(view, rows, _NET_HASH_REPORT) == 1, _NET_HDR_HASH, size)
    tunnels = np.zeros(len(rows), dtype=np.bool_)
    for bit in _NET_UDP_TUNNEL:
        tunnels |= _feature(view, rows, bit) == 1
    # Of headers with more fields only the least length is known here.
    known = (modern >= 0) & (merged >= 0)
    return np.where(known, np.where(tunnels, np.maximum(size, _NET_HDR), size), -1)


def _net(view: View, kind: str) -> Rows:
    """Chains of a network device's receive, transmit or control queues, with ``header``.

    With MQ the control queue's number depends on the configuration: it is the last one that is
    set up, as drivers set up all queues.
    """
    rows = _chains(view, bits.NET_ID)
    last: dict[tuple[int, int], int] = {}
    for dev, life, vq in view.rings.queue:
        last[dev, life] = max(last.get((dev, life), 0), vq)
    ends = np.array([last[name[:2]] for name in view.rings.queue] or [0], dtype=np.int64)
    control = (_feature(view, rows, _NET_CTRL_VQ) == 1) & (ends[rows["q"]] == rows["vq"])
    # Queues come in pairs: the control queue is the odd one out.
    control &= rows["vq"] % 2 == 0
    wanted: dict[str, Callable[[], Bools]] = {
        "control": lambda: control,
        "receive": lambda: ~control & (rows["vq"] % 2 == 0),
        "transmit": lambda: ~control & (rows["vq"] % 2 == 1),
    }
    rows = rows.where(wanted[kind]())
    return rows.plus(header=_net_header(view, rows))


@rule("NT-DR-01", needs=(*_DRIVER, "driver:features"))
def receive_buffers_hold_a_header(view: View) -> Result:
    """Section 5.1.6.3.1: with MRG_RXBUF each receive buffer has room for the packet header.

    Checked: each buffer of a receive queue with MRG_RXBUF: it has 12 bytes to write, 20 with
    HASH_REPORT, and none to read.
    """
    rows = _net(view, "receive")
    rows = rows.where((_feature(view, rows, _NET_MRG_RXBUF) == 1) & (rows["header"] > 0))
    holds = (rows["writable"] >= rows["header"]) & (rows["readable"] == 0)
    return _made(rows, holds, "a receive buffer", "no mergeable receive buffers")


@rule("NT-DR-02", needs=(*_DRIVER, "driver:features"))
def packets_have_a_header(view: View) -> Result:
    """Section 5.1.6.2: a packet to transmit is a header and its data, all to be read.

    Checked: each chain of a transmit queue whose features are known: it has at least the header
    (10 bytes without VERSION_1 and MRG_RXBUF, else 12, or 20 with HASH_REPORT), and nothing to
    write.
    """
    rows = _net(view, "transmit")
    rows = rows.where(rows["header"] > 0)
    holds = (rows["readable"] >= rows["header"]) & (rows["writable"] == 0)
    return _made(rows, holds, "a packet to transmit", "nothing was transmitted")


@rule("NT-DE-01", needs=(*_BOTH, "driver:features"))
def received_packets_have_a_header(view: View) -> Result:
    """Section 5.1.6.4: a received packet begins with its header.

    Checked: each used buffer of a receive queue: its used len covers the header. With MRG_RXBUF a
    packet may go on in further buffers, which have none: there each has one byte at least.
    """
    rows = _net(view, "receive")
    rows = rows.where(rows["header"] > 0)
    merged = _feature(view, rows, _NET_MRG_RXBUF) == 1
    least = np.where(merged, 1, rows["header"])
    return _returned(rows, least, "a packet", "nothing was received")


@rule("NT-DE-02", needs=(*_BOTH, "driver:features"))
def commands_have_an_ack(view: View) -> Result:
    """Section 5.1.6.5: a control command comes back with its ack.

    Checked: each used chain of the control queue with something to write: its used len is not 0.
    """
    return _returned(_net(view, "control"), 1, "an ack", "no control command was used")


# SCSI hosts: control queue, event queue, request queues.


@rule("SC-DR-01", needs=_DRIVER)
def scsi_requests_are_whole(view: View) -> Result:
    """Section 5.6.6.1: a request has its header to read and room for its response.

    Checked: each chain of a request queue, for cdb_size and sense_size as they are after a reset
    (32 and 96): 51 bytes to read and 108 to write at least. A driver that makes them smaller
    would be judged falsely; those known here leave them.
    """
    rows = _chains(view, bits.SCSI_ID)
    rows = rows.where(rows["vq"] >= 2)
    holds = (rows["readable"] >= _SCSI_REQUEST) & (rows["writable"] >= _SCSI_RESPONSE)
    return _made(rows, holds, "a SCSI request", "no SCSI request was made")


@rule("SC-DR-02", needs=_DRIVER)
def scsi_events_have_room(view: View) -> Result:
    """Section 5.6.6.3: event buffers are writable and have room for an event.

    Checked: each buffer of the event queue: 16 bytes to write at least, none to read.
    """
    rows = _chains(view, bits.SCSI_ID)
    rows = rows.where(rows["vq"] == 1)
    holds = (rows["writable"] >= _SCSI_EVENT) & (rows["readable"] == 0)
    return _made(rows, holds, "an event buffer", "no event buffer was made available")


@rule("SC-DE-01", needs=_BOTH)
def scsi_responses_are_written(view: View) -> Result:
    """Section 5.6.6.1: the device writes status and response of a request.

    Checked: each used chain of a request queue: its used len covers the response up to the byte
    ``response``, 12 bytes. Sense data behind it may be left out.
    """
    rows = _chains(view, bits.SCSI_ID)
    rows = rows.where(rows["vq"] >= 2)
    return _returned(rows, _SCSI_RESPONDED, "a response", "no SCSI request was used")


@rule("SC-DE-02", needs=_BOTH)
def scsi_events_are_whole(view: View) -> Result:
    """Section 5.6.6.3: an event buffer comes back with an event.

    Checked: each used buffer of the event queue: its used len is 16 at least.
    """
    rows = _chains(view, bits.SCSI_ID)
    return _returned(rows.where(rows["vq"] == 1), _SCSI_EVENT, "an event", "no event came")


# Consoles: a pair of queues of the first port, the control queues, pairs of the other ports.


@rule("CO-DR-01", needs=_DRIVER)
def console_queues_go_one_way(view: View) -> Result:
    """Section 5.3.6.1: receive queues have nothing to read, transmit queues nothing to write.

    Checked: each chain of a console, control queues included.
    """
    rows = _chains(view, bits.CONSOLE_ID)
    other = np.where(rows["vq"] % 2 == 0, rows["readable"], rows["writable"])
    return _made(rows, other == 0, "in queue {vq} of a console", "no console has buffers")


@rule("CO-DE-01", needs=(*_BOTH, "driver:features"))
def console_messages_are_whole(view: View) -> Result:
    """Section 5.3.6.2: a control message begins with its header.

    Checked: with MULTIPORT each used buffer of the control receive queue: its used len is at least
    the 8 bytes of the header.
    """
    rows = _chains(view, bits.CONSOLE_ID)
    rows = rows.where((rows["vq"] == 2) & (_feature(view, rows, _CONSOLE_MULTIPORT) == 1))
    return _returned(rows, _CONSOLE_CONTROL, "a control message", "no control message came")


# Balloons: inflate, deflate, and the statistics queue if there is one.


@rule("BL-DR-01", needs=_DRIVER)
def page_numbers_are_whole(view: View) -> Result:
    """Section 5.5.6: pages are named by numbers of four bytes, which the device reads.

    Checked: each chain of the inflate and deflate queues: one number or more, nothing to write.
    """
    rows = _chains(view, bits.BALLOON_ID)
    rows = rows.where(rows["vq"] <= 1)
    size = rows["readable"]
    holds = (size > 0) & (size % _BALLOON_PAGE == 0) & (rows["writable"] == 0)
    return _made(rows, holds, "numbers of pages", "no page was given or taken")


@rule("BL-DR-02", needs=(*_DRIVER, "driver:features"))
def statistics_are_one_buffer(view: View) -> Result:
    """Section 5.5.6.3: at most one buffer of statistics is available, of entries of ten bytes.

    Checked: with STATS_VQ each buffer of its queue: whole entries to read, nothing to write, and
    the one before it was used.
    """
    rows = _chains(view, bits.BALLOON_ID)
    rows = rows.where((rows["vq"] == 2) & (_feature(view, rows, _BALLOON_STATS_VQ) == 1))
    holds = (rows["readable"] % _BALLOON_STAT == 0) & (rows["writable"] == 0)
    # Rows of a queue stand together, in its order.
    follows = np.zeros(len(rows), dtype=np.bool_)
    follows[1:] = rows["q"][1:] == rows["q"][:-1]
    waits = np.zeros(len(rows), dtype=np.bool_)
    waits[1:] = (rows["taken"][:-1] < 0) | (rows["taken"][:-1] > rows["row"][1:])
    return _made(
        rows,
        holds & ~(follows & waits),
        "statistics, which are whole entries and one buffer at a time",
        "no statistics were made available",
    )


# Input devices: event queue, status queue.


@rule("IP-DR-01", needs=_DRIVER)
def input_buffers_have_room(view: View) -> Result:
    """Section 5.8.6.1: event buffers are writable and have room for an event; a status has one.

    Checked: each buffer of the event queue (8 bytes to write at least, none to read) and of the
    status queue (8 bytes to read at least).
    """
    rows = _chains(view, bits.INPUT_ID)
    event = (rows["writable"] >= _INPUT_EVENT) & (rows["readable"] == 0)
    holds = np.where(rows["vq"] == 0, event, rows["readable"] >= _INPUT_EVENT)
    return _made(rows, holds, "an event", "no input device has buffers")


@rule("IP-DE-01", needs=_BOTH)
def input_events_are_whole(view: View) -> Result:
    """Section 5.8.6: an event buffer comes back with one event.

    Checked: each used buffer of the event queue: its used len is 8.
    """
    rows = _chains(view, bits.INPUT_ID)
    rows = rows.where((rows["vq"] == 0) & (rows["taken"] >= 0))
    return rows.check(
        rows["len"] == _INPUT_EVENT,
        "{queue}: used len {len}, an event has 8 bytes",
        none="no input event came",
        shown=("row", "taken"),
    )


# Entropy devices.


@rule("RN-DR-01", needs=_DRIVER)
def entropy_buffers_are_writable(view: View) -> Result:
    """Section 5.4.6.1: there is nothing to read in the queue of an entropy device.

    Checked: each chain of its queue.
    """
    rows = _chains(view, bits.ENTROPY_ID)
    return _made(rows, rows["readable"] == 0, "for random bytes", "no random bytes were asked for")


@rule("RN-DE-01", needs=_BOTH)
def entropy_is_not_empty(view: View) -> Result:
    """Section 5.4.6.2: the device places one or more random bytes into a buffer.

    Checked: each used chain of an entropy device: its used len is not 0.
    """
    rows = _chains(view, bits.ENTROPY_ID)
    return _returned(rows, 1, "a random number", "no random bytes came")


# Sockets: receive, transmit, event.


@rule("VK-DR-01", needs=_DRIVER)
def socket_packets_have_a_header(view: View) -> Result:
    """Section 5.10.6: a packet to send is a header and its data, all to be read.

    Checked: each chain of the transmit queue: 44 bytes to read at least, none to write.
    """
    rows = _chains(view, bits.VSOCK_ID)
    rows = rows.where(rows["vq"] == 1)
    holds = (rows["readable"] >= _VSOCK_HDR) & (rows["writable"] == 0)
    return _made(rows, holds, "a packet of a socket", "no packet was sent by a socket")


@rule("VK-DE-01", needs=_BOTH)
def socket_packets_are_whole(view: View) -> Result:
    """Section 5.10.6: a received packet begins with its header, an event is whole.

    Checked: each used buffer of the receive queue (used len 44 at least) and of the event queue
    (4 at least).
    """
    rows = _chains(view, bits.VSOCK_ID)
    rows = rows.where(rows["vq"] != 1)
    least = np.where(rows["vq"] == 0, _VSOCK_HDR, _VSOCK_EVENT)
    return _returned(rows, least, "a packet or event", "nothing came for a socket")


# File systems: the hiprio queue, then request queues, or a notification queue between them.


@rule("FU-DR-01", needs=_DRIVER)
def fuse_requests_have_a_header(view: View) -> Result:
    """Section 5.11.6.1: a request begins with the header of FUSE, and has room for a reply's.

    Checked: each chain with something to read: 40 bytes at least; and nothing to write, as for
    requests without a reply, or 16 bytes at least.
    """
    rows = _chains(view, bits.FS_ID)
    rows = rows.where(rows["readable"] > 0)
    room = (rows["writable"] == 0) | (rows["writable"] >= _FUSE_OUT)
    return _made(
        rows, (rows["readable"] >= _FUSE_IN) & room, "a FUSE request", "no file system was used"
    )


@rule("FU-DE-01", needs=_BOTH)
def fuse_replies_have_a_header(view: View) -> Result:
    """Section 5.11.6.1: a reply begins with the header of FUSE.

    Checked: each used chain that has room for one: its used len is 16 at least.
    """
    rows = _chains(view, bits.FS_ID)
    return _returned(rows, _FUSE_OUT, "a reply's header", "no file system replied")


@rule("NP-DE-01", needs=_BOTH)
def ninep_replies_have_a_header(view: View) -> Result:
    """Section 5 leaves the messages to 9P: a reply begins with its size, type and tag.

    Checked: each used chain of a 9P device: its used len is 7 at least.
    """
    rows = _chains(view, bits.NINEP_ID)
    return _returned(rows, _NINEP_HDR, "a reply's header", "no 9P device replied")
