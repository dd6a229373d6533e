# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/other_drivers.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import Make, bare, case, later
from tests.spec.cases.others import MODERN, chain, last
from tests.spec.log import Log

_PLACE = {"dev": 1, "life": 0, "cpu": 0, "pid": 7}
_LUN = 0x4001 << 16 | 0x0001
_READY = 0xFFFFFFFF | 1 << 48


def opened_by(
    device: int, vq: int, readable: int, room: int, features: int = 0, *, first: int
) -> Make:
    """Return a maker of logs of chains, of which it is known what the device reads first."""

    def make() -> Log:
        log = chain(device, vq, readable, room, room, features)()
        for event in log.of("add"):
            words = {"first": first, "second": 0, "third": 0}
            log.insert(event, "opening", **_PLACE, vq=vq, **words, head=event["head"], got=24)
        return log

    return make


@case("DX-94", clean=opened_by(bits.SCSI_ID, 2, 51, 108, first=_LUN))
def lun_of_no_target(log: Log) -> None:
    """A request's lun field begins with 0."""
    last(log, "opening")["first"] = _LUN & ~0xFF


@case("DX-94", clean=opened_by(bits.SCSI_ID, 2, 51, 108, first=0x01C1))
def lun_of_two_levels(log: Log) -> None:
    """A request's lun field has a second level."""
    last(log, "opening")["first"] = _LUN | 0x40 << 32


_CONTROL = opened_by(bits.CONSOLE_ID, 3, 8, 0, 1 << 1, first=_READY)


@case("DX-95", clean=_CONTROL)
def control_message_of_four_bytes(log: Log) -> None:
    """A control message has four bytes."""
    last(log, "add")["readable"] = 4


@case("DX-95", clean=_CONTROL)
def control_message_of_the_device(log: Log) -> None:
    """The driver sends PORT_ADD, which is for the device to send."""
    last(log, "opening")["first"] = 1 << 32 | 1 << 48


def _at_work(make: Make) -> Make:
    """Return a maker of the same logs with DRIVER_OK in front and time behind them."""

    def made() -> Log:
        log = make()
        log.insert(log.one("queue"), "status", **_PLACE, status=0x0F, op=0)
        later(log)
        return log

    return made


@case("DX-96", clean=_at_work(_CONTROL))
def console_is_not_ready(log: Log) -> None:
    """The driver sends PORT_OPEN alone."""
    for event in log.of("opening"):
        event["first"] |= 6 << 32


@case("DX-96", clean=_at_work(chain(bits.BALLOON_ID, 2, 40, 0, 0, 1 << 1)))
def no_statistics(log: Log) -> None:
    """The driver of a balloon puts nothing into the queue of statistics."""
    log.drop([*log.of("add"), *log.of("used")])
    log.one("queue")["vq"] = 0


def inflated() -> Log:
    """Return a log of a balloon that is given twelve pages."""
    log = chain(bits.BALLOON_ID, 0, 16, 0, 0)()
    log.add("config", **_PLACE, offset=4, len=4, value=12, write=1)
    later(log)
    return log


@case("DX-97", clean=inflated)
def size_is_not_written(log: Log) -> None:
    """The driver does not write how many pages the balloon has."""
    log.drop(log.of("config", write=1))


@case("DX-97", clean=inflated)
def size_of_another_balloon(log: Log) -> None:
    """The driver writes eight pages, and has given twelve."""
    log.one("config", write=1)["value"] = 8


@case("DX-98", clean=inflated)
def target_is_written(log: Log) -> None:
    """The driver of a balloon writes how many pages it is to have."""
    log.one("config", write=1)["offset"] = 0


def asking() -> Log:
    """Return a log of a driver that asks an input device twice."""
    log = bare(id=bits.INPUT_ID, offered=MODERN, acked=MODERN)
    for answer in (3, 2):
        for offset in (0, 1):
            log.add("config", **_PLACE, offset=offset, len=1, value=answer, write=1)
        log.add("config", **_PLACE, offset=2, len=1, value=answer, write=0)
        log.add("config", **_PLACE, offset=8, len=4, value=answer, write=0)
    return log


@case("DX-99", clean=asking)
def subsel_is_not_set(log: Log) -> None:
    """The second query leaves subsel as it is."""
    log.drop([log.one("config", 1, offset=1)])
