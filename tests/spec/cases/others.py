# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/others.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import Make, bare, case
from tests.spec.log import Event, Log

MODERN = 1 << bits.VERSION_1


def chain(device: int, vq: int, readable: int, writable: int, used: int, features: int = 0) -> Make:
    """Return a maker of logs in which one chain is made available and used, three times."""

    def make() -> Log:
        log = bare(id=device, offered=MODERN | features, acked=MODERN | features)
        place = {"dev": 1, "life": 0, "cpu": 0, "pid": 7, "vq": vq}
        state = {"desc": 0x10000, "avail": 0x11000, "used": 0x12000, "size": 64, "num_queues": 3}
        state |= {"avail_flags": 0, "avail_idx": 0, "used_flags": 0, "used_idx": 0}
        log.add("queue", **place, **state, layout=0, op=0)
        for n in range(3):
            sizes = {"before": 0, "readable": readable, "writable": writable, "chain": 2}
            sizes |= {"num_free": 60, "avail_idx": n + 1, "slots": 2, "indirect": 0}
            log.add("add", **place, **sizes, head=n)
            entry = {"index": n, "used_idx": n + 1, "accepted": 1}
            log.add("used", **place, id=n, len=used, **entry)
        return log

    return make


def last(log: Log, kind: str) -> Event:
    """Return the last event of a kind."""
    return log.of(kind)[-1]


@case("SC-DR-01", clean=chain(bits.SCSI_ID, 2, 51, 108, 108))
def scsi_response_without_room(log: Log) -> None:
    """A SCSI request has room for 96 bytes of response."""
    last(log, "add")["writable"] = 96


@case("SC-DR-02", clean=chain(bits.SCSI_ID, 1, 0, 16, 16))
def scsi_event_without_room(log: Log) -> None:
    """An event buffer has 8 bytes."""
    last(log, "add")["writable"] = 8


@case("SC-DE-01", clean=chain(bits.SCSI_ID, 2, 51, 108, 108))
def scsi_response_is_missing(log: Log) -> None:
    """A SCSI request comes back with a used len of 0."""
    last(log, "used")["len"] = 0


@case("SC-DE-02", clean=chain(bits.SCSI_ID, 1, 0, 16, 16))
def half_a_scsi_event(log: Log) -> None:
    """An event comes with a used len of 8."""
    last(log, "used")["len"] = 8


@case("CO-DR-01", clean=chain(bits.CONSOLE_ID, 0, 0, 4096, 5))
def console_receives_what_it_reads(log: Log) -> None:
    """A buffer of a receive queue has something for the device to read."""
    last(log, "add")["readable"] = 1


@case("CO-DE-01", clean=chain(bits.CONSOLE_ID, 2, 0, 4096, 8, 1 << 1))
def half_a_console_message(log: Log) -> None:
    """A control message comes with a used len of 4."""
    last(log, "used")["len"] = 4


@case("BL-DR-01", clean=chain(bits.BALLOON_ID, 0, 1024, 0, 0))
def half_a_page_number(log: Log) -> None:
    """Two bytes of a page's number are missing."""
    last(log, "add")["readable"] = 1022


@case("BL-DR-02", clean=chain(bits.BALLOON_ID, 2, 100, 0, 0, 1 << 1))
def statistics_twice(log: Log) -> None:
    """A second buffer of statistics is made available before the first was used."""
    add, used = log.of("add")[-1], log.of("used")[-2]
    log.events.remove(add)
    log.events.insert(log.events.index(used), add)
    log.renumber()


@case("IP-DR-01", clean=chain(bits.INPUT_ID, 0, 0, 8, 8))
def input_event_without_room(log: Log) -> None:
    """An event buffer has 4 bytes."""
    last(log, "add")["writable"] = 4


@case("IP-DE-01", clean=chain(bits.INPUT_ID, 0, 0, 8, 8))
def input_event_without_length(log: Log) -> None:
    """An event comes with a used len of 0."""
    last(log, "used")["len"] = 0


@case("RN-DR-01", clean=chain(bits.ENTROPY_ID, 0, 0, 64, 64))
def entropy_is_read(log: Log) -> None:
    """A buffer for random bytes has something for the device to read."""
    last(log, "add")["readable"] = 8


@case("RN-DE-01", clean=chain(bits.ENTROPY_ID, 0, 0, 64, 64))
def entropy_is_missing(log: Log) -> None:
    """A buffer comes back without a random byte."""
    last(log, "used")["len"] = 0


@case("VK-DR-01", clean=chain(bits.VSOCK_ID, 1, 144, 0, 0))
def socket_packet_without_header(log: Log) -> None:
    """A packet to send has 40 bytes."""
    last(log, "add")["readable"] = 40


@case("VK-DE-01", clean=chain(bits.VSOCK_ID, 0, 0, 4096, 44))
def socket_packet_is_cut(log: Log) -> None:
    """A packet is received with a used len of 40."""
    last(log, "used")["len"] = 40


@case("FU-DR-01", clean=chain(bits.FS_ID, 1, 56, 4096, 80))
def fuse_reply_without_room(log: Log) -> None:
    """A FUSE request has room for 8 bytes of reply."""
    last(log, "add")["writable"] = 8


@case("FU-DE-01", clean=chain(bits.FS_ID, 1, 56, 4096, 80))
def fuse_reply_without_length(log: Log) -> None:
    """A FUSE request comes back with a used len of 0."""
    last(log, "used")["len"] = 0


@case("NP-DE-01", clean=chain(bits.NINEP_ID, 0, 24, 4096, 20))
def ninep_reply_without_length(log: Log) -> None:
    """A 9P request comes back with a used len of 0."""
    last(log, "used")["len"] = 0
