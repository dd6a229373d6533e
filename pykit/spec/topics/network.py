# SPDX-License-Identifier: GPL-2.0-only
"""Network devices: packets, their headers and control commands (section 5.1).

Queues are receiveq1, transmitq1, receiveq2 … and the control queue behind them. Of what a chain
gives the device to read the first bytes are traced before it is made available (event
``opening``), by observers in the guest; of received packets this topic has lengths alone, and
``replies`` what they begin with.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import Bools, Ints
from pykit.spec.model import Result, rule
from pykit.spec.rows import Rows, Tally
from pykit.spec.topics.others import BOTH, DRIVER, chains, feature, followers, made, returned
from pykit.spec.view import View
from pykit.text import counted

_UNKNOWN = "what the device was given to read was not traced"

# Feature bits.
_CSUM, _CTRL_GUEST_OFFLOADS, _LEGACY_GSO = 0, 2, 6
_GUEST_TSO4, _GUEST_TSO6, _GUEST_UFO, _GUEST_USO4, _GUEST_USO6 = 7, 8, 10, 54, 55
_HOST_TSO4, _HOST_TSO6, _HOST_UFO, _HOST_USO = 11, 12, 14, 56
MRG_RXBUF, _CTRL_VQ, _CTRL_RX, _CTRL_VLAN, _CTRL_RX_EXTRA = 15, 17, 18, 19, 20
_GUEST_ANNOUNCE, _MQ, _CTRL_MAC_ADDR, _VQ_NOTF_COAL, _NOTF_COAL = 21, 22, 23, 52, 53
_HASH_REPORT, _RSS = 57, 60

# Bytes of headers, and of a packet of full size and a merged one behind them.
HDR, _HDR_LEGACY, _HDR_HASH = 12, 10, 20
_FRAME, _LARGE = 1514, 65550

# Fields of the header.
_NEEDS_CSUM = 1
_GSO = {1: (_HOST_TSO4,), 3: (_HOST_UFO,), 4: (_HOST_TSO6,), 5: (_HOST_USO,)}
GUEST_GSO = {
    1: (_GUEST_TSO4,), 3: (_GUEST_UFO,), 4: (_GUEST_TSO6,), 5: (_GUEST_USO4, _GUEST_USO6),
}  # fmt: skip
_GSO_TYPE = 0x1F

#: Where max_virtqueue_pairs is in the configuration space, and the most there may be.
_MAX_PAIRS, _PAIRS_LIMIT = 8, 0x8000
_RX_CLASS, _MAC_CLASS, _MQ_CLASS = 0, 1, 4
#: Bytes of class and command.
_KIND = 2


class _Command(NamedTuple):
    """A control command: any of its features lets a driver use it; bytes of its data, or None."""

    name: str
    features: tuple[int, ...]
    data: int | None


#: By class and command: sections 5.1.6.5.1 to 5.1.6.5.7.
_COMMANDS = {
    (0, 0): _Command("CTRL_RX_PROMISC", (_CTRL_RX,), 1),
    (0, 1): _Command("CTRL_RX_ALLMULTI", (_CTRL_RX,), 1),
    **{(0, n): _Command("of CTRL_RX_EXTRA", (_CTRL_RX_EXTRA,), 1) for n in range(2, 6)},
    (_MAC_CLASS, 0): _Command("MAC_TABLE_SET", (_CTRL_RX,), None),
    (_MAC_CLASS, 1): _Command("MAC_ADDR_SET", (_CTRL_RX, _CTRL_MAC_ADDR), 6),
    (2, 0): _Command("VLAN_ADD", (_CTRL_VLAN,), 2),
    (2, 1): _Command("VLAN_DEL", (_CTRL_VLAN,), 2),
    (3, 0): _Command("ANNOUNCE_ACK", (_GUEST_ANNOUNCE,), 0),
    (_MQ_CLASS, 0): _Command("MQ_VQ_PAIRS_SET", (_MQ,), 2),
    (_MQ_CLASS, 1): _Command("MQ_RSS_CONFIG", (_RSS,), None),
    (_MQ_CLASS, 2): _Command("MQ_HASH_CONFIG", (_HASH_REPORT,), None),
    (5, 0): _Command("GUEST_OFFLOADS_SET", (_CTRL_GUEST_OFFLOADS,), 8),
    **{(6, n): _Command("of NOTF_COAL", (_NOTF_COAL,), 8) for n in range(2)},
    **{(6, n): _Command("of VQ_NOTF_COAL", (_VQ_NOTF_COAL,), None) for n in range(2, 4)},
}
#: Two counts of addresses, and an address.
_COUNTS, _MAC = 8, 6


def _header(view: View, rows: Rows) -> Ints:
    """By row: length of the packet header, -1 where it is not known what was negotiated."""
    modern, merged = (feature(view, rows, bit) for bit in (bits.VERSION_1, MRG_RXBUF))
    size = np.where((modern == 1) | (merged == 1), HDR, _HDR_LEGACY)
    size = np.where(feature(view, rows, _HASH_REPORT) == 1, _HDR_HASH, size)
    # The fields of UDP tunnels stand behind these: their features are above bit 63, which no event
    # has, so that this is the least length alone.
    return np.where((modern >= 0) & (merged >= 0), size, -1)


def of_kind(view: View, rows: Rows, kind: str) -> Rows:
    """Keep rows of receive, transmit or control queues, and add ``header``.

    With MQ the control queue's number depends on the configuration: it is the last one that is
    set up, as drivers set up all queues.
    """
    last: dict[tuple[int, int], int] = {}
    for dev, life, vq in view.rings.queue:
        last[dev, life] = max(last.get((dev, life), 0), vq)
    ends = np.array([last[name[:2]] for name in view.rings.queue] or [0], dtype=np.int64)
    control = (feature(view, rows, _CTRL_VQ) == 1) & (ends[rows["q"]] == rows["vq"])
    # Queues come in pairs: the control queue is the odd one out.
    control &= rows["vq"] % 2 == 0
    wanted: dict[str, Callable[[], Bools]] = {
        "control": lambda: control,
        "receive": lambda: ~control & (rows["vq"] % 2 == 0),
        "transmit": lambda: ~control & (rows["vq"] % 2 == 1),
    }
    rows = rows.where(wanted[kind]())
    return rows.plus(header=_header(view, rows))


def _net(view: View, kind: str) -> Rows:
    """Chains of a network device's receive, transmit or control queues, with ``header``."""
    return of_kind(view, chains(view, bits.NET_ID), kind)


def _openings(view: View, kind: str) -> Rows:
    """Return what chains give the device to read, with ``header`` and ``readable``, as `_net`.

    Further columns: ``first`` and ``second``, eight bytes each; ``got``, bytes that are known.
    """
    rows = followers(view, bits.NET_ID, "add", "opening", chained="readable")
    return of_kind(view, rows, kind)


def header_fields(first: Ints) -> dict[str, Ints]:
    """Return what a packet header has in its first eight bytes: ``flags gso size``."""
    return {"flags": first & 0xFF, "gso": first >> 8 & 0xFF, "size": first >> 32 & 0xFFFF}


def asks_for_negotiated(
    view: View, rows: Rows, csum: int, kinds: Mapping[int, tuple[int, ...]]
) -> Bools:
    """By header: its flags and its gso_type are of features that were negotiated, and complete.

    Args:
        view: the events.
        rows: headers, with `header_fields`.
        csum: the feature that flags need.
        kinds: the features of which one at least lets a gso_type be.
    """
    flags, gso = rows["flags"], rows["gso"]
    kind = gso & _GSO_TYPE
    holds = (feature(view, rows, csum) != 0) | (flags == 0)
    allowed = kind == 0
    for number, features in kinds.items():
        for bit in features:
            allowed |= (kind == number) & (feature(view, rows, bit) != 0)
    whole = (kind == 0) | ((flags & _NEEDS_CSUM != 0) & (rows["size"] > 0))
    found: Bools = holds & allowed & whole
    return found


def _untraced(view: View, kind: str) -> int:
    """Count chains of queues of a kind of which it is not known what they give to read."""
    rows = _net(view, kind)
    given = int(np.count_nonzero((rows["readable"] > 0) & (rows["header"] > 0)))
    return max(given - len(_openings(view, kind)), 0)


@rule("NT-DR-01", needs=(*DRIVER, "driver:features"), contents=True)
def receive_buffers_hold_a_header(view: View) -> Result:
    """Section 5.1.6.3.1: with MRG_RXBUF each receive buffer has room for the packet header.

    Checked: each buffer of a receive queue with MRG_RXBUF: it has 12 bytes to write, 20 with
    HASH_REPORT, and none to read.
    """
    rows = _net(view, "receive")
    rows = rows.where((feature(view, rows, MRG_RXBUF) == 1) & (rows["header"] > 0))
    holds = (rows["writable"] >= rows["header"]) & (rows["readable"] == 0)
    return made(rows, holds, "a receive buffer", "no mergeable receive buffers")


@rule("NT-DR-03", needs=(*DRIVER, "driver:features"), contents=True)
def receive_buffers_hold_a_packet(view: View) -> Result:
    """Section 5.1.6.3.1: without MRG_RXBUF each receive buffer has room for a whole packet.

    Checked: each buffer of a receive queue without MRG_RXBUF: behind the header it has 1514 bytes
    to write. Where the device may send larger packets (GUEST_TSO4, _TSO6, _UFO, _USO4, _USO6) it
    has 65550: later revisions have 39 more, which drivers of earlier ones do not know.
    """
    rows = _net(view, "receive")
    rows = rows.where((feature(view, rows, MRG_RXBUF) == 0) & (rows["header"] > 0))
    large = np.zeros(len(rows), dtype=np.bool_)
    for bit in (_GUEST_TSO4, _GUEST_TSO6, _GUEST_UFO, _GUEST_USO4, _GUEST_USO6):
        large |= feature(view, rows, bit) == 1
    rows = rows.plus(least=rows["header"] + np.where(large, _LARGE, _FRAME))
    holds = (rows["writable"] >= rows["least"]) & (rows["readable"] == 0)
    text = "a receive buffer, for which a packet has {least:byte}"
    return made(rows, holds, text, "no receive buffers for whole packets")


@rule("NT-DR-02", needs=(*DRIVER, "driver:features"), contents=True)
def packets_have_a_header(view: View) -> Result:
    """Section 5.1.6.2: a packet to transmit is a header and its data, all to be read.

    Checked: each chain of a transmit queue whose features are known: it has at least the header
    (10 bytes without VERSION_1 and MRG_RXBUF, else 12, or 20 with HASH_REPORT), and nothing to
    write.
    """
    rows = _net(view, "transmit")
    rows = rows.where(rows["header"] > 0)
    holds = (rows["readable"] >= rows["header"]) & (rows["writable"] == 0)
    return made(rows, holds, "a packet to transmit", "nothing was transmitted")


@rule("NT-DR-06", needs=(*DRIVER, "driver:features"))
def headers_ask_for_what_was_negotiated(view: View) -> Result:
    """Section 5.1.6.2.1: the header of a packet asks for what was negotiated alone.

    Checked: each packet to transmit whose header and features are known:

    - Without CSUM its flags are 0.
    - Its gso_type is NONE, or one whose feature was negotiated (HOST_TSO4, _TSO6, _UFO, _USO). The
      bit ECN is left out, as the clause on it is about the packet, and so are the bits of UDP
      tunnels, as their features are above bit 63, which is as far as events go.
    - With another gso_type than NONE it has NEEDS_CSUM and a gso_size.

    A legacy driver with the feature GSO may ask for each of them.
    """
    rows = _openings(view, "transmit")
    legacy = (feature(view, rows, bits.VERSION_1) != 1) & (feature(view, rows, _LEGACY_GSO) == 1)
    rows = rows.where((rows["header"] > 0) & (rows["got"] >= _HDR_LEGACY) & ~legacy)
    rows = rows.plus(**header_fields(rows["first"]))
    text = "{queue}: a packet has flags {flags:#x}, gso_type {gso:#x} and gso_size {size}"
    return rows.check(
        asks_for_negotiated(view, rows, _CSUM, _GSO),
        text,
        none="nothing was transmitted",
        undecided=_untraced(view, "transmit"),
        doubt=_UNKNOWN,
    )


@rule("NT-DR-07", needs=(*DRIVER, "driver:features"))
def packets_have_no_number_of_buffers(view: View) -> Result:
    """Section 5.1.6.2.1: the field num_buffers of a packet to transmit is 0.

    Checked: each packet to transmit whose header is known and has this field.
    """
    rows = _openings(view, "transmit")
    rows = rows.where((rows["header"] >= HDR) & (rows["got"] >= HDR))
    rows = rows.plus(buffers=rows["second"] >> 16 & 0xFFFF)
    text = "{queue}: a packet to transmit has num_buffers {buffers}"
    return rows.check(
        rows["buffers"] == 0,
        text,
        none="no header with num_buffers was transmitted",
        undecided=_untraced(view, "transmit"),
        doubt=_UNKNOWN,
    )


@rule("NT-DR-04", needs=(*DRIVER, "driver:features"), contents=True)
def commands_have_room_for_an_ack(view: View) -> Result:
    """Section 5.1.6.5: a control command is class and command, and a byte for its ack.

    Checked: each chain of the control queue: 2 bytes to read and 1 to write at least.
    """
    rows = _net(view, "control")
    holds = (rows["readable"] >= 2) & (rows["writable"] >= 1)
    return made(rows, holds, "a control command", "no control command was made")


def _commands(view: View) -> Rows:
    """Control commands: ``kind`` (class), ``command``, ``data`` (bytes of it), ``first``."""
    rows = _openings(view, "control")
    rows = rows.where(rows["got"] >= 2)
    first = rows["first"]
    return rows.plus(kind=first & 0xFF, command=first >> 8 & 0xFF, data=rows["chained"] - 2)


def _are_tables(size: int, known: bytes) -> bool:
    """Return whether data of a size can be two tables of MAC addresses, by what is known of it."""
    if size < _COUNTS or (size - _COUNTS) % _MAC:
        return False
    left, at = (size - _COUNTS) // _MAC, 0
    for _ in range(2):
        if len(known) < at + 4:
            return True
        count = int.from_bytes(known[at : at + 4], "little")
        left, at = left - count, at + 4 + _MAC * count
        if left < 0:
            return False
    return left == 0


@rule("NT-DR-08", needs=(*DRIVER, "driver:features"))
def commands_were_negotiated(view: View) -> Result:
    """Section 5.1.6.5: a control command is one whose feature was negotiated, with its data.

    Checked: each command of a class that sections 5.1.6.5.1 to 5.1.6.5.7 define: a feature that
    brings it was negotiated, and its data is as long as the command's, where all have one length;
    that of a receive mode is 0 or 1. Tables of MAC addresses have two counts and whole addresses,
    no fewer than the first count, and than the second where it was traced.

    MAC_ADDR_SET is judged by CTRL_MAC_ADDR or CTRL_RX: the clause forbids its class without the
    latter, the former is the feature's own description.
    """
    rows = _commands(view)
    tally = Tally(none="no control command was made", doubt=_UNKNOWN)
    tally.undecided(_untraced(view, "control"))
    has: dict[int, Ints] = {}
    for i, key in enumerate(zip(rows["kind"].tolist(), rows["command"].tolist(), strict=True)):
        if key[0] > max(kind for kind, _ in _COMMANDS):
            continue
        found = _COMMANDS.get(key)
        what = f"{rows.shown('queue', i)}: command {key[1]} of class {key[0]}"
        row, data = int(rows["row"][i]), int(rows["data"][i])
        if found is None:
            tally.check(False, row, f"{what}, which there is not")
            continue
        for bit in found.features:
            if bit not in has:
                has[bit] = feature(view, rows, bit)
        named = f"{what} ({found.name})"
        if all(has[bit][i] == 0 for bit in found.features):
            tally.check(False, row, f"{named}, whose feature was not negotiated")
        elif found.data is not None:
            tally.check(data == found.data, row, f"{named} with {data} bytes of data")
            mode = int(rows["first"][i]) >> 16 & 0xFF
            if key[0] == _RX_CLASS and data == found.data and rows["got"][i] > _KIND:
                tally.check(mode <= 1, row, f"{named} with the value {mode}")
        elif key[0] == _MAC_CLASS:
            words = [int(rows[name][i]) for name in ("first", "second", "third")]
            known = b"".join(struct.pack("<Q", word & (1 << 64) - 1) for word in words)
            whole = _are_tables(data, known[_KIND : rows["got"][i]])
            tally.check(whole, row, f"{named} with {data} bytes of data")
        else:
            tally.check(True, row, "")
    return tally.result()


@rule("NT-DR-09", needs=(*DRIVER, "driver:features", "driver:config"))
def pairs_are_there(view: View) -> Result:
    """Section 5.1.6.5.6.1: a driver asks for 1 pair of queues or more, up to max_virtqueue_pairs.

    Checked: each command MQ_VQ_PAIRS_SET, against the configuration as the driver has read it
    before: the greatest value, as a command may have been meant for an earlier one. Where it was
    not read, what is neither 0 nor above 0x8000 is undecided.
    """
    rows = _commands(view)
    rows = rows.where((rows["kind"] == _MQ_CLASS) & (rows["command"] == 0) & (rows["got"] >= 4))
    tally = Tally(none="no driver asked for pairs of queues", doubt="the maximum was not read")
    for i in range(len(rows)):
        dev, number, _ = view.rings.queue[int(rows["q"][i])]
        row, pairs = int(rows["row"][i]), int(rows["first"][i]) >> 16 & 0xFFFF
        reads = [
            access.value & 0xFFFF
            for access in view.life(dev, number).config
            if access.offset == _MAX_PAIRS and access.len >= 2 and not access.write
            if access.row < row
        ]
        most = max(reads, default=_PAIRS_LIMIT)
        holds = 1 <= pairs <= most
        if holds and not reads:
            tally.undecided()
            continue
        text = f"{rows.shown('queue', i)}: {pairs} pairs of queues, of {most}"
        tally.check(holds, row, text)
    return tally.result()


@rule("NT-DR-05", needs=("driver:config", "driver:features"))
def configuration_is_not_written(view: View) -> Result:
    """Section 5.1.4: a driver writes to no field of a network device's configuration.

    Checked: each access to the configuration of a network device with VERSION_1. The legacy
    interface lets drivers write the MAC address.
    """
    tally = Tally(none="no driver of VERSION_1 accessed a network device's configuration")
    for life in view.lives.values():
        if life.id != bits.NET_ID or not life.has(bits.VERSION_1):
            continue
        for access in life.config:
            if access.len:
                text = f"{life.name}: {counted(access.len, 'byte')} written at {access.offset}"
                tally.check(not access.write, access.row, text)
    return tally.result()


@rule("NT-DE-01", needs=(*BOTH, "driver:features"))
def received_packets_have_a_header(view: View) -> Result:
    """Section 5.1.6.4: a received packet begins with its header.

    Checked: each used buffer of a receive queue: its used len covers the header. With MRG_RXBUF a
    packet may go on in further buffers, which have none: there each has one byte at least.
    """
    rows = _net(view, "receive")
    rows = rows.where(rows["header"] > 0)
    merged = feature(view, rows, MRG_RXBUF) == 1
    least = np.where(merged, 1, rows["header"])
    return returned(rows, least, "a packet", "nothing was received")


@rule("NT-DE-02", needs=(*BOTH, "driver:features"))
def commands_have_an_ack(view: View) -> Result:
    """Section 5.1.6.5: a control command comes back with its ack.

    Checked: each used chain of the control queue with something to write: its used len is not 0.
    """
    return returned(_net(view, "control"), 1, "an ack", "no control command was used")
