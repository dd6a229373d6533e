# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/vhost.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import case
from tests.spec.log import Log


def vhost(dev: int = 0, event_idx: int = 1) -> Log:
    """Return a log of pairs of chains, returned in reverse; every fourth signal is suppressed."""
    log = Log()
    place = {"dev": dev, "life": 0, "vq": 0, "cpu": 0, "pid": 9}
    log.add("vhost_queue", **place, features=0, size=16, avail_idx=0, used_idx=0)
    for number in range(200):
        pair = [(number * 2 + n) % 16 for n in (0, 1)]
        for n, head in enumerate(pair):
            got = {"readable": 16, "out": 1, "in": 2, "head": head, "avail_idx": number * 2 + n}
            log.add("vhost_get", **place, **got, writable=513)
        for n, head in enumerate(reversed(pair), 1):
            kind = bits.T_IN if n == 1 else bits.T_OUT
            log.add("vhost_blk", **place, sector=0, type=kind, len=513, head=head, status=0)
            both = {"used_idx": number * 2 + n, "avail_idx": number * 2 + 2}
            log.add("vhost_used", **place, id=head, len=513, **both)
        asked = number % 4 != 3
        # The entry before the new ones is not among them, the first one is.
        event = number * 2 - (not asked) if event_idx else int(not asked)
        said = {"event": event % 65536, "event_idx": event_idx, "valid": int(number > 0)}
        sent = int(asked or not number)
        log.add("vhost_signal", **place, old=number * 2, new=number * 2 + 2, **said, sent=sent)
    return log


def vhost_flags() -> Log:
    """Return such a log of a device without EVENT_IDX."""
    return vhost(event_idx=0)


@case("DX-01", "DX-02", clean=vhost)
def vhost_returns_twice(log: Log) -> None:
    """Two used entries in a row return the same chain."""
    first, second = log.of("vhost_used")[6:8]
    second["id"] = first["id"]


@case("DX-01", "DX-38", clean=vhost)
def vhost_returns_what_it_never_got(log: Log) -> None:
    """A used entry has an id that the back-end never got."""
    log.of("vhost_used")[6]["id"] = 99


@case("DX-03", clean=vhost)
def vhost_used_idx_runs_ahead(log: Log) -> None:
    """The used index moves by two for one entry."""
    for used in log.of("vhost_used")[40:]:
        used["used_idx"] += 1


@case("DX-06", clean=vhost)
def vhost_used_len_is_too_long(log: Log) -> None:
    """The used len of a write is larger than its writable bytes."""
    log.of("vhost_used")[7]["len"] = 514


@case("DX-25", clean=vhost)
def vhost_used_len_is_too_short(log: Log) -> None:
    """The used len of a read leaves the status out."""
    log.of("vhost_used")[6]["len"] = 512


@case("DX-38", clean=vhost)
def vhost_drops_a_completion(log: Log) -> None:
    """One chain is taken and never returned."""
    log.drop([log.of("vhost_used")[60]])


@case("DX-23", clean=vhost)
def vhost_status_is_undefined(log: Log) -> None:
    """A request ends with status 77."""
    log.one("vhost_blk")["status"] = 77


@case("NU-DE-05", "DX-15", clean=vhost)
@case("NU-DE-03", "DX-15", clean=vhost_flags)
def vhost_misses_a_signal(log: Log) -> None:
    """A signal that the driver requested is not sent."""
    log.of("vhost_signal", sent=1)[9]["sent"] = 0


@case("NU-DE-06", clean=vhost)
@case("NU-DE-02", clean=vhost_flags)
def vhost_signals_for_nothing(log: Log) -> None:
    """A signal is sent that the driver suppressed."""
    log.of("vhost_signal", sent=0)[9]["sent"] = 1


@case("NU-DE-05", "DX-15", clean=vhost)
def vhost_misses_a_signal_by_its_own_account(log: Log) -> None:
    """A requested signal is not sent, and the back-end claims that only its last entry was new."""
    signal = log.of("vhost_signal", sent=1)[9]
    signal |= {"sent": 0, "old": signal["new"] - 1}


@case("NU-DE-06", clean=vhost)
def vhost_signals_by_its_own_account(log: Log) -> None:
    """A suppressed signal is sent, and the back-end claims to have returned more."""
    signal = log.of("vhost_signal", sent=0)[9]
    signal |= {"sent": 1, "old": signal["old"] - 2}


@case("NU-DE-06", clean=vhost)
def vhost_claims_to_begin(log: Log) -> None:
    """A suppressed signal is sent by a back-end that claims to have sent none before."""
    log.of("vhost_signal", sent=0)[9] |= {"sent": 1, "valid": 0}
