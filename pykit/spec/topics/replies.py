# SPDX-License-Identifier: GPL-2.0-only
"""What devices other than block devices write first into the chains that they use (section 5).

Observers in a guest and `pykit drive` trace it when the driver has taken the chain (event
``reply``): 24 bytes at most, and no more than the used entry's len.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import Bools, Ints
from pykit.spec.model import Result, rule
from pykit.spec.rows import Rows, Tally
from pykit.spec.topics.network import (
    GUEST_GSO,
    HDR,
    MRG_RXBUF,
    asks_for_negotiated,
    header_fields,
    of_kind,
)
from pykit.spec.topics.others import (
    CONSOLE_CONTROL,
    CONSOLE_MULTIPORT,
    FUSE_OUT,
    chains,
    feature,
    followers,
)
from pykit.spec.view import View

_NEEDS = ("driver:used", "driver:features", "driver:reply")
_UNKNOWN = "what the device wrote was not traced"

# Network: bits of features that let a device say something of a packet, by what it says.
_GUEST_CSUM, _GUEST_ECN, _RSC_EXT = 1, 9, 61
# Bits of flags and gso_type.
_RSC_INFO, _ECN = 4, 0x80
#: Bytes of the header up to gso_size and up to num_buffers.
_SIZED = 6
#: Control commands end with OK or ERR.
_LAST_ACK = 1
#: The last response that section 5.6.6.1 defines, where it is, and the most bytes of sense data.
_LAST_RESPONSE, _RESPONSE_AT, _SENSE = 9, 11, 96
#: Control messages that a console device may send (section 5.3.6.2).
_CONSOLE_EVENTS = (1, 2, 4, 5, 6, 7)
_DEVICE_ADD, _DEVICE_REMOVE = 1, 2
#: Where a console's configuration has max_nr_ports: offset and width.
_MAX_PORTS = (4, 4)
#: sense_size and cdb_size of a SCSI host, by their place in its configuration.
_FIRST_SIZES = {20: 96, 24: 32}
#: Errors of FUSE are numbers of Linux's, negated.
_LEAST_ERROR = -512
_WORD = 1 << 32


def _replies(view: View, device: int) -> Rows:
    """Return replies of devices of a type: ``first``, ``second``, ``third``, ``got``, ``vq``.

    Further columns: ``number`` of the used entry in its queue; ``length``, its len.
    """
    return view.keep(
        f"replies of {device}",
        lambda view: followers(view, device, "used", "reply", length="len"),
    )


class _Packet(NamedTuple):
    """A received packet: the reply that has its header, and whether its buffers are full."""

    reply: int
    full: bool


def _packets(view: View) -> Rows:
    return view.keep("received packets", _read_packets)


def _read_packets(view: View) -> Rows:
    """Return replies that begin a packet: ``flags``, ``gso``, ``size``, ``buffers``, ``full``.

    ``buffers`` is -1 where the header has no such field. With MRG_RXBUF a packet goes on in the
    next used buffers: where one of these is not known, what follows in its queue is left out.
    """
    rows = of_kind(view, _replies(view, bits.NET_ID), "receive")
    rows = rows.where((rows["header"] > 0) & (rows["got"] >= _SIZED))
    given = of_kind(view, chains(view, bits.NET_ID), "receive")
    given = given.where(given["taken"] >= 0)
    whole = dict(
        zip(
            given["taken"].tolist(),
            (given["writable"] == given["len"]).tolist(),
            strict=True,
        )
    )
    counted = (rows["header"] >= HDR) & (rows["got"] >= HDR)
    buffers = np.where(counted, rows["second"] >> 16 & 0xFFFF, -1)
    merged = (feature(view, rows, MRG_RXBUF) == 1) & counted
    number, entries = rows["number"], view.used
    found: list[_Packet] = []
    for q in np.unique(rows["q"]).tolist():
        mine = np.flatnonzero(rows["q"] == q)
        places = entries.row[entries.q == q].tolist()
        found += _of_queue(mine, number[mine].tolist(), merged, buffers, places, whole)
    keep = np.array([packet.reply for packet in found], dtype=np.int64)
    full = np.ones(len(rows), dtype=np.bool_)
    full[keep] = [packet.full for packet in found]
    rows = rows.plus(**header_fields(rows["first"]), buffers=buffers, merged=merged, full=full)
    return rows.where(np.isin(np.arange(len(rows)), keep))


def _of_queue(
    mine: Ints,
    taken: list[int],
    merged: Bools,
    buffers: Ints,
    places: list[int],
    whole: dict[int, bool],
) -> Iterator[_Packet]:
    """Yield the packets of a queue, by its replies and by the rows of its used entries."""
    due = taken[0] if taken else 0
    for reply, number in zip(mine.tolist(), taken, strict=True):
        if number < due:
            continue
        if number > due and merged[reply]:
            return
        count = max(int(buffers[reply]), 1) if merged[reply] else 1
        parts = places[number : number + count - 1]
        yield _Packet(reply, all(whole.get(row, True) for row in parts))
        due = number + count


def _missing(view: View, device: int) -> int:
    """Count used chains of a device that have something from it, and of which nothing is known."""
    rows = chains(view, device)
    back = (rows["taken"] >= 0) & (rows["len"] > 0) & (rows["writable"] > 0)
    return max(int(np.count_nonzero(back)) - len(_replies(view, device)), 0)


def _judged(
    view: View,
    device: int,
    rows: Rows,
    holds: Bools,
    text: str | Callable[[int], str],
    none: str,
) -> Result:
    """Check replies; those that were not traced are undecided."""
    undecided = _missing(view, device)
    return rows.check(holds, text, none=none, undecided=undecided, doubt=_UNKNOWN)


@rule("NT-DE-03", needs=_NEEDS)
def headers_say_what_was_negotiated(view: View) -> Result:
    """Section 5.1.6.4.1: the header of a received packet says what was negotiated alone.

    Checked: each received packet whose header and features are known:

    - Its flags are 0 without GUEST_CSUM; RSC_INFO needs RSC_EXT.
    - Its gso_type is NONE, or one whose feature was negotiated (GUEST_TSO4, _TSO6, _UFO, _USO4 or
      _USO6); ECN needs GUEST_ECN. The bits of UDP tunnels are left out, as their features are
      above bit 63, which is as far as events go.
    - With another gso_type than NONE it has NEEDS_CSUM and a gso_size.
    """
    rows = _packets(view)
    flags, gso = rows["flags"], rows["gso"]
    holds = asks_for_negotiated(view, rows, _GUEST_CSUM, GUEST_GSO)
    holds &= (feature(view, rows, _RSC_EXT) != 0) | (flags & _RSC_INFO == 0)
    holds &= (gso & _ECN == 0) | (feature(view, rows, _GUEST_ECN) != 0)
    return _judged(
        view,
        bits.NET_ID,
        rows,
        holds,
        "{queue}: a received packet has flags {flags:#x}, gso_type {gso:#x} and gso_size {size}",
        none="nothing was received",
    )


@rule("NT-DE-04", needs=_NEEDS)
def packets_have_their_number_of_buffers(view: View) -> Result:
    """Section 5.1.6.4.1: num_buffers is how many buffers a received packet is in.

    Checked: each received packet whose header is known and has this field: it is 1 without
    MRG_RXBUF; with MRG_RXBUF it is 1 or more, and all of these buffers but the last are full.
    """
    rows = _packets(view)
    rows = rows.where(rows["buffers"] >= 0)
    right = np.where(rows["merged"], rows["buffers"] >= 1, rows["buffers"] == 1)
    return _judged(
        view,
        bits.NET_ID,
        rows,
        right & rows["full"],
        lambda i: (
            "{queue}: a received packet has num_buffers {buffers}"
            + ("" if right[i] else ", which is wrong")
            + ("" if rows["full"][i] else ", and one that is not the last is not full")
        ),
        none="no header with num_buffers was received",
    )


@rule("NT-DE-05", needs=_NEEDS)
def acks_are_defined(view: View) -> Result:
    """Section 5.1.6.5: a control command ends with OK or with ERR.

    Checked: each used chain of the control queue whose ack is known.
    """
    rows = of_kind(view, _replies(view, bits.NET_ID), "control")
    rows = rows.where(rows["got"] > 0)
    rows = rows.plus(ack=rows["first"] & 0xFF)
    return _judged(
        view,
        bits.NET_ID,
        rows,
        rows["ack"] <= _LAST_ACK,
        "{queue}: a control command ends with {ack}",
        none="no control command was used",
    )


@rule("SC-DE-03", needs=_NEEDS)
def responses_are_defined(view: View) -> Result:
    """Section 5.6.6.1: a SCSI request ends with a response that is defined.

    Checked: each used chain of a request queue whose response is known: the response is one of
    those that the section lists, and sense_len is no more than sense_size is after a reset.
    """
    rows = _replies(view, bits.SCSI_ID)
    rows = rows.where((rows["vq"] > 1) & (rows["got"] > _RESPONSE_AT))
    rows = rows.plus(response=rows["second"] >> 24 & 0xFF, sense=rows["first"] & 0xFFFFFFFF)
    return _judged(
        view,
        bits.SCSI_ID,
        rows,
        (rows["response"] <= _LAST_RESPONSE) & (rows["sense"] <= _SENSE),
        "{queue}: a request ends with response {response} and {sense} bytes of sense data",
        none="no response was traced",
    )


@rule("CO-DE-02", needs=_NEEDS)
def control_messages_are_the_devices(view: View) -> Result:
    """Section 5.3.6.2: the device sends control messages that are its to send.

    Checked: with MULTIPORT each used buffer of the control receive queue whose header is known: its
    event is one of DEVICE_ADD, DEVICE_REMOVE, CONSOLE_PORT, RESIZE, PORT_OPEN and PORT_NAME.
    """
    rows = _replies(view, bits.CONSOLE_ID)
    control = (rows["vq"] == 2) & (feature(view, rows, CONSOLE_MULTIPORT) == 1)
    rows = rows.where(control & (rows["got"] >= CONSOLE_CONTROL))
    rows = rows.plus(event=rows["first"] >> 32 & 0xFFFF)
    return _judged(
        view,
        bits.CONSOLE_ID,
        rows,
        np.isin(rows["event"], _CONSOLE_EVENTS),
        "{queue}: the device sends the control message {event}",
        none="no control message was received",
    )


@rule("DX-100", needs=(*_NEEDS, "driver:config"))
def control_messages_are_about_ports(view: View) -> Result:
    """Section 5.3.6.2: the device's control messages are about ports that it has.

    Checked: with MULTIPORT each control message of a life in which all of them were traced: its
    port is less than max_nr_ports, where the driver read that; DEVICE_ADD is about a port that is
    not there, and DEVICE_REMOVE about one that is. QEMU closes a port once it has removed it.
    """
    rows = _replies(view, bits.CONSOLE_ID)
    rows = rows.where((rows["vq"] == 2) & (feature(view, rows, CONSOLE_MULTIPORT) == 1))
    tally = Tally(none="no control message was received", doubt=_UNKNOWN)
    missing = _missing(view, bits.CONSOLE_ID)
    if missing or not len(rows):
        tally.undecided(missing)
        return tally.result()
    events = rows["first"] >> 32 & 0xFFFF
    for q in np.unique(rows["q"]).tolist():
        dev, number, _ = view.rings.queue[q]
        life = view.life(dev, number)
        most = max((value for _, value in life.reads(*_MAX_PORTS)), default=_WORD)
        there: set[int] = set()
        for i in np.flatnonzero(rows["q"] == q).tolist():
            port, event = int(rows["first"][i] & (_WORD - 1)), int(events[i])
            good = port < most
            if event in (_DEVICE_ADD, _DEVICE_REMOVE):
                good &= (port in there) == (event == _DEVICE_REMOVE)
            text = f"{life.name}: control message {event} is about port {port}, which "
            if port >= most:
                text += f"is none of {most}"
            else:
                text += "is there already" if event == _DEVICE_ADD else "is not there"
            tally.check(good, int(rows["row"][i]), text)
            if event == _DEVICE_ADD:
                there.add(port)
            elif event == _DEVICE_REMOVE:
                there.discard(port)
    return tally.result()


@rule("DX-101", needs="driver:config")
def scsi_sizes_begin_anew(view: View) -> Result:
    """Section 5.6.4.2: after a reset sense_size is 96 and cdb_size 32.

    Checked: each read of one of them in a life in which the driver has not written it before.
    """
    tally = Tally(none="no driver read the sizes of a SCSI host before it wrote them")
    for life in view.lives.values():
        if life.id != bits.SCSI_ID:
            continue
        written: set[int] = set()
        for access in life.config:
            first = _FIRST_SIZES.get(access.offset)
            if access.write:
                written.add(access.offset)
            elif first is not None and access.len == 4 and access.offset not in written:
                text = f"{life.name}: the size at {access.offset} is {access.value}, not {first}"
                tally.check(access.value == first, access.row, text)
    return tally.result()


@rule("VK-DE-02", needs=_NEEDS)
def context_ids_have_32_bits(view: View) -> Result:
    """Section 5.10.6: the upper 32 bits of a packet's context ids are 0.

    Checked: each received packet whose header is known: src_cid and dst_cid.
    """
    rows = _replies(view, bits.VSOCK_ID)
    rows = rows.where((rows["vq"] == 0) & (rows["got"] >= 16))
    source, destination = rows["first"], rows["second"]
    rows = rows.plus(source=source, destination=destination)
    upper = (source >> 32 == 0) & (destination >> 32 == 0)
    return _judged(
        view,
        bits.VSOCK_ID,
        rows,
        upper,
        "{queue}: a packet from {source:#x} to {destination:#x} was received",
        none="no packet was received",
    )


@rule("FU-DE-02", needs=_NEEDS)
def fuse_replies_say_their_length(view: View) -> Result:
    """Section 5.11.6.1: a reply has FUSE's header: its own length, and no error or one below 0.

    Checked: each used chain whose reply's header is known: its length is the used len, and its
    error lies between -512 and 0.
    """
    rows = _replies(view, bits.FS_ID)
    rows = rows.where(rows["got"] >= FUSE_OUT)
    error = rows["first"] >> 32 & (_WORD - 1)
    error = np.where(error >= _WORD // 2, error - _WORD, error)
    rows = rows.plus(said=rows["first"] & (_WORD - 1), error=error)
    return _judged(
        view,
        bits.FS_ID,
        rows,
        (rows["said"] == rows["length"]) & (error <= 0) & (error > _LEAST_ERROR),
        "{queue}: a reply of {said} bytes with error {error} has a used len of {length}",
        none="no reply was traced",
    )


@rule("NP-DE-02", needs=_NEEDS)
def ninep_replies_say_their_length(view: View) -> Result:
    """Section 5 leaves the messages to 9P: a reply says how long it is.

    Checked: each used chain of a 9P device whose reply's size is known: it is the used len.
    """
    rows = _replies(view, bits.NINEP_ID)
    rows = rows.where(rows["got"] >= 4)
    rows = rows.plus(said=rows["first"] & (_WORD - 1))
    return _judged(
        view,
        bits.NINEP_ID,
        rows,
        rows["said"] == rows["length"],
        "{queue}: a reply that says {said} bytes has a used len of {length}",
        none="no reply was traced",
    )
