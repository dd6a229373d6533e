# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/replies.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import Make, bare, case
from tests.spec.cases.others import MODERN, chain, last
from tests.spec.log import Log

#: GUEST_CSUM, GUEST_TSO4, MRG_RXBUF and CTRL_VQ; MULTIPORT of a console.
CSUM, TSO, MERGED, CONTROL, PORTS = (1 << bit for bit in (1, 7, 15, 17, 1))
#: A header with NEEDS_CSUM, gso_type TCPV4 and a gso_size.
LARGE = 1 | 1 << 8 | 1400 << 32
#: num_buffers in the second word.
ONE, TWO = 1 << 16, 2 << 16


def replied(
    device: int, vq: int, used: int, features: int = 0, *, readable: int = 0, **words: int
) -> Make:
    """Return a maker of logs of chains, of which it is known what the device wrote first."""

    def make() -> Log:
        log = chain(device, vq, readable, max(used, 1), used, features)()
        for event in log.of("used"):
            values = {"first": 0, "second": 0, "third": 0, **words}
            log.insert(event, "reply", **values, head=event["id"], got=min(used, 24))
        return log

    return make


PACKET = replied(bits.NET_ID, 0, 64, second=ONE)
SPREAD = replied(bits.NET_ID, 0, 64, MERGED, second=ONE)
SEGMENTED = replied(bits.NET_ID, 0, 64, CSUM | TSO, first=LARGE, second=ONE)
ACK = replied(bits.NET_ID, 2, 1, CONTROL, readable=3)
RESPONSE = replied(bits.SCSI_ID, 2, 108, readable=51)
#: PORT_OPEN with the value 1, of port 1.
MESSAGE = replied(bits.CONSOLE_ID, 2, 8, PORTS, first=1 | 6 << 32 | 1 << 48)
SOCKET = replied(bits.VSOCK_ID, 0, 44, first=2, second=3)
FUSE = replied(bits.FS_ID, 1, 80, readable=56, first=80)
NINEP = replied(bits.NINEP_ID, 0, 20, readable=24, first=20)


@case("NT-DE-03", clean=PACKET)
def checksum_is_left_to_the_driver(log: Log) -> None:
    """A received packet has NEEDS_CSUM, and GUEST_CSUM was not negotiated."""
    last(log, "reply")["first"] = 1


@case("NT-DE-03", clean=PACKET)
def segments_are_left_to_the_driver(log: Log) -> None:
    """A received packet is to be segmented, and no such feature was negotiated."""
    last(log, "reply")["first"] = LARGE


@case("NT-DE-03", clean=SEGMENTED)
def segments_have_no_size(log: Log) -> None:
    """A received packet is to be segmented, and does not say into what."""
    last(log, "reply")["first"] = 1 | 1 << 8


@case("NT-DE-03", clean=SEGMENTED)
def congestion_was_not_negotiated(log: Log) -> None:
    """A received packet has the bit ECN, and GUEST_ECN was not negotiated."""
    last(log, "reply")["first"] |= 0x80 << 8


@case("NT-DE-04", clean=PACKET)
@case("NT-DE-04", clean=SPREAD)
def packet_is_in_no_buffer(log: Log) -> None:
    """num_buffers of a received packet is 0."""
    last(log, "reply")["second"] = 0


@case("NT-DE-04", clean=PACKET)
def packet_is_in_two_buffers(log: Log) -> None:
    """num_buffers is 2 without MRG_RXBUF."""
    last(log, "reply")["second"] = TWO


@case("NT-DE-04", clean=SPREAD)
def first_buffer_is_not_full(log: Log) -> None:
    """A packet is in two buffers, of which the first is not full."""
    log.of("reply")[0]["second"] = TWO
    log.of("used")[0]["len"] = 40


@case("NT-DE-05", clean=ACK)
def ack_is_undefined(log: Log) -> None:
    """A control command ends with 2."""
    last(log, "reply")["first"] = 2


@case("SC-DE-03", clean=RESPONSE)
def response_is_undefined(log: Log) -> None:
    """A request ends with response 200."""
    last(log, "reply")["second"] = 200 << 24


@case("SC-DE-03", clean=RESPONSE)
def sense_data_have_no_room(log: Log) -> None:
    """A response claims 97 bytes of sense data."""
    last(log, "reply")["first"] = 97


@case("CO-DE-02", clean=MESSAGE)
def message_is_the_drivers(log: Log) -> None:
    """The device sends PORT_READY."""
    last(log, "reply")["first"] = 1 | 3 << 32


@case("VK-DE-02", clean=SOCKET)
def context_id_is_wide(log: Log) -> None:
    """A packet is from a context id above 32 bits."""
    last(log, "reply")["first"] = 1 << 32


@case("FU-DE-02", clean=FUSE)
def fuse_reply_is_longer_than_used(log: Log) -> None:
    """A reply says that it has more bytes than the used len."""
    last(log, "reply")["first"] = 96


@case("FU-DE-02", clean=FUSE)
def fuse_error_is_positive(log: Log) -> None:
    """The error of a reply is 2."""
    last(log, "reply")["first"] = 80 | 2 << 32


@case("NP-DE-02", clean=NINEP)
def ninep_reply_is_longer_than_used(log: Log) -> None:
    """A reply says that it has more bytes than the used len."""
    last(log, "reply")["first"] = 24


def ports() -> Log:
    """Return a log of a console of four ports that adds three of them."""
    log = replied(bits.CONSOLE_ID, 2, 8, PORTS)()
    place = {"dev": 1, "life": 0, "cpu": 0, "pid": 7}
    log.insert(log.one("queue"), "config", after=False, **place, value=4, offset=4, len=4, write=0)
    for port, event in enumerate(log.of("reply"), 1):
        event["first"] = port | 1 << 32 | 1 << 48
    return log


@case("DX-100", clean=ports)
def port_is_added_twice(log: Log) -> None:
    """A port is added that is there."""
    last(log, "reply")["first"] -= 1


@case("DX-100", clean=ports)
def port_beyond_the_last(log: Log) -> None:
    """Port 5 of a console of four is added."""
    last(log, "reply")["first"] += 2


@case("DX-100", clean=ports)
def port_goes_that_was_not_there(log: Log) -> None:
    """A port is removed that was never added."""
    last(log, "reply")["first"] += 1 << 32


def sized() -> Log:
    """Return a log of a driver that reads the sizes of a SCSI host."""
    log = bare(id=bits.SCSI_ID, offered=MODERN, acked=MODERN)
    place = {"dev": 1, "life": 0, "cpu": 0, "pid": 7}
    for offset, value in ((20, 96), (24, 32)):
        log.add("config", **place, offset=offset, len=4, value=value, write=0)
    return log


@case("DX-101", clean=sized)
def sense_data_is_short(log: Log) -> None:
    """sense_size is 18 after a reset."""
    log.one("config")["value"] = 18
