# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/network.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import Make, case
from tests.spec.cases.others import chain, last
from tests.spec.log import Log

#: HOST_TSO4, MRG_RXBUF, CTRL_VQ, CTRL_RX and MQ.
TSO, MERGED, CONTROL, RECEIVE, PAIRS = (1 << bit for bit in (11, 15, 17, 18, 22))
#: A control command that sets the receive mode, and one that asks for a pair of queues.
PROMISC, ONE_PAIR = 1 << 16, 4 | 1 << 16


def opened(vq: int, readable: int, features: int = 0, *, first: int = 0, room: int = 0) -> Make:
    """Return a maker of logs of chains, of which it is known what the device reads first."""

    def make() -> Log:
        log = chain(bits.NET_ID, vq, readable, room, room, features)()
        place = {"dev": 1, "life": 0, "cpu": 0, "pid": 7}
        log.insert(
            log.one("queue"), "config", after=False, **place, value=2, offset=8, len=2, write=0
        )
        for event in log.of("add"):
            words = {"first": first, "second": 0, "third": 0}
            log.insert(event, "opening", **place, vq=vq, **words, head=event["head"], got=24)
        return log

    return make


PACKET = opened(1, 76, MERGED)
COMMAND = opened(2, 3, CONTROL | RECEIVE, first=PROMISC, room=1)
PAIR = opened(2, 4, CONTROL | PAIRS, first=ONE_PAIR, room=1)


@case("NT-DR-01", clean=chain(bits.NET_ID, 0, 0, 1536, 64, MERGED))
def receive_buffer_without_room(log: Log) -> None:
    """A mergeable receive buffer has 10 bytes."""
    last(log, "add")["writable"] = 10


@case("NT-DR-02", clean=chain(bits.NET_ID, 1, 76, 0, 0))
def packet_without_header(log: Log) -> None:
    """A packet to transmit has 10 bytes."""
    last(log, "add")["readable"] = 10


@case("NT-DE-01", clean=chain(bits.NET_ID, 0, 0, 1536, 64))
def received_without_header(log: Log) -> None:
    """A packet is received with a used len of 8."""
    last(log, "used")["len"] = 8


@case("NT-DE-01", clean=chain(bits.NET_ID, 0, 0, 1536, 64, MERGED))
def nothing_is_merged_in(log: Log) -> None:
    """A buffer that is merged into a packet has a used len of 0."""
    last(log, "used")["len"] = 0


@case("NT-DE-02", clean=chain(bits.NET_ID, 2, 4, 1, 1, CONTROL))
def command_without_ack(log: Log) -> None:
    """A control command comes back with a used len of 0."""
    last(log, "used")["len"] = 0


@case("NT-DR-03", clean=chain(bits.NET_ID, 0, 0, 1526, 64))
def receive_buffer_too_small(log: Log) -> None:
    """A receive buffer that merges with no other has 1500 bytes."""
    last(log, "add")["writable"] = 1500


@case("NT-DR-03", clean=chain(bits.NET_ID, 0, 0, 65562, 64, 1 << 7))
def receive_buffer_without_a_segment(log: Log) -> None:
    """With GUEST_TSO4 a receive buffer has 1526 bytes."""
    last(log, "add")["writable"] = 1526


@case("NT-DR-04", clean=COMMAND)
def command_without_room(log: Log) -> None:
    """A control command has no room for its ack."""
    last(log, "add")["writable"] = 0


@case("NT-DR-04", clean=COMMAND)
def command_of_one_byte(log: Log) -> None:
    """A control command has one byte to read."""
    last(log, "add")["readable"] = 1


@case("NT-DR-05", clean=PACKET)
def configuration_written(log: Log) -> None:
    """The driver writes the MAC address to the configuration."""
    event = {"value": 0x52, "offset": 0, "len": 1, "write": 1}
    log.insert(last(log, "add"), "config", dev=1, life=0, cpu=0, pid=7, **event)


@case("NT-DR-06", clean=PACKET)
def flags_without_csum(log: Log) -> None:
    """A packet has NEEDS_CSUM, and CSUM was not negotiated."""
    last(log, "opening")["first"] = 1


@case("NT-DR-06", clean=opened(1, 76, MERGED | 1))
def segmented_without_tso(log: Log) -> None:
    """A packet is to be segmented, and HOST_TSO4 was not negotiated."""
    last(log, "opening")["first"] = 1 | 1 << 8 | 1400 << 32


@case("NT-DR-06", clean=opened(1, 76, MERGED | TSO | 1, first=1 | 1 << 8 | 1400 << 32))
def segmented_without_size(log: Log) -> None:
    """A packet is to be segmented, and its gso_size is 0."""
    last(log, "opening")["first"] = 1 | 1 << 8


@case("NT-DR-07", clean=PACKET)
def buffers_of_a_packet(log: Log) -> None:
    """The header of a packet to transmit has one buffer."""
    last(log, "opening")["second"] = 1 << 16


@case("NT-DR-08", clean=COMMAND)
def command_not_negotiated(log: Log) -> None:
    """A VLAN is added, and CTRL_VLAN was not negotiated."""
    last(log, "opening")["first"] = 2 | 5 << 16
    last(log, "add")["readable"] = 4


@case("NT-DR-08", clean=COMMAND)
def mode_of_two(log: Log) -> None:
    """The receive mode is set to 2."""
    last(log, "opening")["first"] += 1 << 16


#: MAC_TABLE_SET with one address in the first table, and none in the second.
TABLES = opened(2, 16, CONTROL | RECEIVE, first=1 | 1 << 16, room=1)


@case("NT-DR-08", clean=TABLES)
def address_that_is_not_there(log: Log) -> None:
    """A table counts one address more than there are."""
    last(log, "opening")["first"] += 1 << 16


@case("NT-DR-08", clean=COMMAND)
def command_not_defined(log: Log) -> None:
    """The receive mode is set by a command that there is not."""
    last(log, "opening")["first"] = 9 << 8 | 1 << 16


@case("NT-DR-08", clean=COMMAND)
def command_cut(log: Log) -> None:
    """The receive mode is set without a mode."""
    last(log, "add")["readable"] = 2


@case("NT-DR-08", clean=opened(2, 16, CONTROL | RECEIVE, first=1 | 1 << 16, room=1))
def address_table_cut(log: Log) -> None:
    """A table of MAC addresses ends within an address."""
    last(log, "add")["readable"] = 15


@case("NT-DR-09", clean=PAIR)
def too_many_pairs(log: Log) -> None:
    """The driver asks for three pairs of queues, of two."""
    last(log, "opening")["first"] = 4 | 3 << 16


@case("NT-DR-09", clean=PAIR)
def no_pairs(log: Log) -> None:
    """The driver asks for no pair of queues."""
    last(log, "opening")["first"] = 4
