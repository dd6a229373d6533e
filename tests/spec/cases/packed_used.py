# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/packed_used.py."""

from __future__ import annotations

from itertools import pairwise

from pykit.spec import bits
from tests.spec.cases.base import case, later, like
from tests.spec.log import Log

PACKED = like(packed=True)


@case("DX-09", clean=PACKED)
def packed_unknown_id(log: Log) -> None:
    """A used descriptor has an id that was never made available."""
    log.of("used", vq=0)[3]["id"] = 900


@case("DX-09", clean=PACKED)
def packed_unknown_id_refused(log: Log) -> None:
    """A used descriptor has an unknown id, and the driver refuses it."""
    log.of("used", vq=0)[3] |= {"id": 900, "accepted": 0}


@case("DX-68", clean=PACKED)
def packed_returned_twice(log: Log) -> None:
    """The device returns a list, and then the same one in place of the next."""
    used = log.of("used", vq=0)
    for first, second in pairwise(used):
        between = log.events[log.events.index(first) : log.events.index(second)]
        adds = [e["head"] for e in between if e["kind"] == "add" and e.get("vq") == 0]
        if first["id"] not in adds:
            second["id"] = first["id"]
            return
    raise AssertionError("each id is made available at once")


@case("PD-DE-03", clean=PACKED)
def packed_used_before_available(log: Log) -> None:
    """The device uses the next descriptor before the driver has made it available."""
    last = log.of("used", vq=0)[-1]
    end = log.of("add", vq=0)[-1]["avail_idx"]
    log.insert(last, "used", id=3, len=1, index=end, used_idx=end, accepted=0)


@case("DX-67", clean=PACKED)
def packed_entry_not_taken(log: Log) -> None:
    """The driver looks elsewhere in the ring, and takes a used descriptor late."""
    entry = log.of("used", vq=0)[5]
    log.insert(entry, "used", after=False, **{**_own(entry), "accepted": 0})


def _own(event: dict[str, object]) -> dict[str, object]:
    names = ("id", "len", "index", "used_idx", "flags", "event", "event_flags")
    return {name: event[name] for name in names}


@case("DX-10", clean=PACKED)
def packed_out_of_turn(log: Log) -> None:
    """The device writes a used descriptor one slot too far on, and the driver waits."""
    used = log.of("used", vq=0)
    entry = used[-1]
    ours = {"used", "callback", "blk_done", "interrupt"}
    place = next(i for i, e in enumerate(log.events) if e is entry)
    before = log.events[place - 1]
    gone = [e for e in log.events[place:] if e["kind"] in ours and e.get("vq") == 0]
    later(log)
    log.insert(
        before,
        "slot",
        vq=0,
        addr=0,
        len=1,
        head=0xFFFF,
        slot=1,
        id=entry["id"],
        flags=0x8080,
        pos=0xFFFF,
    )
    log.drop(gone)


@case("PV-DE-02", clean=PACKED)
def packed_completions_swapped(log: Log) -> None:
    """Two lists are returned in another order than they were completed."""
    used = log.of("used", vq=0)
    fills = log.of("dev_fill", vq=0)
    fills[4]["elem"], fills[5]["elem"] = fills[5]["elem"], fills[4]["elem"]
    assert len(used) == len(fills)


@case("PV-DE-01", clean=PACKED)
def packed_taken_out_of_order(log: Log) -> None:
    """The device takes the next list but one first."""
    pops = log.of("dev_pop", vq=0)
    first = next(
        n
        for n, (a, b) in enumerate(pairwise(pops))
        if a["in_num"] + a["out_num"] != b["in_num"] + b["out_num"]
    )
    names = ("in_num", "out_num", "elem")
    one, other = pops[first], pops[first + 1]
    for name in names:
        one[name], other[name] = other[name], one[name]


@case("DX-67", clean=PACKED)
def packed_stale_descriptor_taken(log: Log) -> None:
    """The driver takes a descriptor whose flags are those of the round before."""
    log.of("used", vq=0)[5]["flags"] ^= 0x8080


@case("DX-67", clean=like(packed=True))
def queue_is_given_up(log: Log) -> None:
    """The driver's adds fail with EIO, though it has taken all used descriptors."""
    log.of("add_failed")[-1]["err"] = -5


@case("DX-79", clean=like(packed=True))
def write_flag_is_left_out(log: Log) -> None:
    """A used descriptor has no WRITE, and the status of its request was written."""
    log.qemu = "6.2.0"
    log.of("used", vq=0)[5]["flags"] &= ~bits.WRITE
