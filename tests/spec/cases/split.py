# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/split.py."""

from __future__ import annotations

from itertools import pairwise

from pykit.spec import bits
from tests.spec.cases.base import case, chains, like
from tests.spec.log import Event, Log
from tests.spec.machine import run


@case("VQ-DR-01")
def misaligned(log: Log) -> None:
    """A used ring starts at no multiple of 4."""
    log.one("queue", op=0)["used"] += 2


@case("NA-DR-01")
def used_flags_not_zero(log: Log) -> None:
    """A queue is set up with used flags of 1."""
    log.one("queue", op=0)["used_flags"] = 1


@case("DX-29")
def index_not_zero(log: Log) -> None:
    """A queue is set up with a used index of 5."""
    log.one("queue", op=0)["used_idx"] = 5


@case("SA-DR-01")
def steps_by_two(log: Log) -> None:
    """The available index moves by two for one chain."""
    log.one("add")["avail_idx"] += 1


@case("SA-DR-01")
def goes_back(log: Log) -> None:
    """The available index goes back by one."""
    log.of("add", vq=1)[9]["avail_idx"] -= 2


@case("SA-DR-01", clean=like(start=65500, requests=200))
def steps_over_the_wrap(log: Log) -> None:
    """The available index moves by two where it wraps around."""
    event = next(e for e in log.of("add", vq=0) if e["avail_idx"] == 0)
    event["avail_idx"] = 1


@case("DX-04")
def too_many_outstanding(log: Log) -> None:
    """The driver goes on making chains available and takes none back."""
    taken = [*log.of("used", vq=0), *log.of("blk_done", vq=0)]
    log.drop(taken)


@case("DX-05")
def head_outside(log: Log) -> None:
    """An available entry names a descriptor beyond the table's end."""
    log.one("add")["head"] = 16


def direct(log: Log) -> Event:
    """Return a descriptor in the ring that leads to another one."""
    return next(e for e in log.of("desc", table=0) if e["flags"] & bits.NEXT)


@case("DX-05")
def link_outside(log: Log) -> None:
    """A descriptor of the ring leads beyond the table's end."""
    direct(log)["next"] = 16


@case("DX-05", "DX-08")
def link_outside_a_table(log: Log) -> None:
    """An entry of an indirect table leads beyond the table's end."""
    next(e for e in log.of("desc", table=1) if e["flags"] & bits.NEXT)["next"] = 40


def reuse_head(log: Log) -> None:
    """An available entry names the head of a chain that is outstanding."""
    every = [*chains(log, 0), *chains(log, 1)]
    place = {id(event): n for n, event in enumerate(log.events)}
    for first, second in pairwise(every):
        span = log.events[place[id(first[0])] : place[id(second[0])]]
        if any(e["kind"] == "used" for e in span) or first[0]["vq"] != second[0]["vq"]:
            continue
        if len(first) > len(second):
            continue
        for mine, other in zip(second, [*first[:-1], second[-1]], strict=False):
            if mine["kind"] == other["kind"] == "desc":
                mine |= {k: other[k] for k in ("addr", "len", "slot", "flags", "next", "table")}
            mine["head"] = first[0]["head"]
        log.drop(second[len(first) - 1 : -1])
        second[-1]["head"] = first[0]["head"]
        return
    raise AssertionError("no two chains are outstanding together")


case("DX-07")(reuse_head)


@case("DX-07")
def slot_of_another(log: Log) -> None:
    """A chain uses a descriptor of another one that is outstanding."""
    place = {id(event): n for n, event in enumerate(log.events)}
    rings = [c for c in chains(log, 0) if not c[1]["flags"] & bits.INDIRECT and len(c) > 4]
    for first, second in pairwise(rings):
        span = log.events[place[id(first[0])] : place[id(second[0])]]
        if not any(e["kind"] == "used" and e["id"] == first[0]["head"] for e in span):
            second[3]["slot"] = first[3]["slot"]
            second[2]["next"] = first[3]["slot"]
            return
    raise AssertionError("no two chains are outstanding together")


@case("DX-37")
def chain_is_not_known(log: Log) -> None:
    """The driver refuses an entry with the id of a chain that is outstanding."""
    refused = log.of("used", vq=0, accepted=1)[20]
    refused["accepted"] = 0
    place = log.events.index(refused)
    gone = ("used", "callback", "interrupt", "blk_done", "add", "kick", "notify")
    log.drop(e for e in log.events[place + 1 :] if e["kind"] in gone and e.get("vq") == 0)


@case("DX-37")
def takes_twice(log: Log) -> None:
    """The driver takes a used entry twice."""
    used = log.of("used")[7]
    again = {k: v for k, v in used.items() if k not in ("kind", "source", "ts", "seq")}
    log.insert(used, "used", **again)


@case("DX-37")
def leaves_one_out(log: Log) -> None:
    """The driver skips a used entry."""
    for event in log.of("used", vq=0)[5:]:
        event["index"] += 1


# With this seed some interrupts come for nothing.
@case("DX-37", "NU-DR-05", clean=like(seed=3))
def takes_what_is_not_there(log: Log) -> None:
    """After an interrupt for nothing the driver takes an entry all the same."""
    idle = next(e for e in log.of("interrupt") if e["used_idx"] == e["last_used"])
    fields = {"id": 0, "len": 1, "index": idle["used_idx"], "used_idx": idle["used_idx"]}
    log.insert(idle, "used", **fields, accepted=1)


@case("DX-01", "DX-02")
def returned_twice(log: Log) -> None:
    """Two used entries in a row return the same chain."""
    first, second = log.of("used", vq=0)[8:10]
    second["id"] = first["id"]


@case("DX-01")
def returned_out_of_nowhere(log: Log) -> None:
    """A used entry has an id that the queue is too small for."""
    log.of("used", vq=0)[3] |= {"id": 70_000, "accepted": 0}


@case("DX-03")
def used_idx_runs_ahead(log: Log) -> None:
    """The used index covers chains that were not made available."""
    log.of("used", vq=0)[3]["used_idx"] += 14


@case("DX-03")
def used_idx_goes_back(log: Log) -> None:
    """The used index goes back by one."""
    # Who disables callbacks may read the index without the queue's lock.
    seen = [e for e in log.of("callback", "used", vq=0) if e.get("enable", 1)]
    next(b for a, b in pairwise(seen) if a["used_idx"] == b["used_idx"] > 1)["used_idx"] -= 1


@case("DX-03")
def used_idx_begins_with_one(log: Log) -> None:
    """The used index is 1 before a chain was made available."""
    log.of("add", vq=0)[0]["used_idx"] += 1


@case("DX-06")
def more_than_there_is(log: Log) -> None:
    """A used entry's len is larger than the chain's writable bytes."""
    used = next(e for e in log.of("used") if e["len"] > 1)
    used["len"] += 1


@case("RF-DE-05", clean=like(in_order=True))
def out_of_order(log: Log) -> None:
    """Two chains of a queue with IN_ORDER are returned in the other order."""
    used = log.of("used", vq=0)
    for first, second in pairwise(used):
        if second["used_idx"] == first["used_idx"]:
            first["id"], second["id"] = second["id"], first["id"]


def batched() -> Log:
    """Return a log of a disk that returns two chains by one entry, with IN_ORDER."""
    log = run(in_order=True)
    first, second = next(
        (first, second)
        for first, second in pairwise(log.of("used", vq=0))
        if second["used_idx"] == first["used_idx"]
    )
    first["id"] = second["id"]
    return log


@case("RF-DE-05", clean=batched)
def batch_is_named_by_its_first(log: Log) -> None:
    """The device returns two chains by one entry, with the id of the first of them."""
    first, second = _batch(log)
    first["id"] = log.of("add", vq=0)[first["index"]]["head"]
    second["id"] = 60


@case("RF-DE-05", clean=batched)
def batch_is_longer_than_the_index_moves(log: Log) -> None:
    """The device returns two chains by one entry, and moves the used index by one."""
    first, _ = _batch(log)
    first["used_idx"] = first["index"] + 1


def _batch(log: Log) -> tuple[Event, Event]:
    """Return the two entries of the batch."""
    return next((a, b) for a, b in pairwise(log.of("used", vq=0)) if a["id"] == b["id"])


@case("SD-DR-01")
def loops(log: Log) -> None:
    """A chain's last descriptor leads to itself."""
    chain = next(c for c in chains(log, 0) if c[1]["table"] == 0)
    descs = [e for e in chain if e["kind"] == "desc"]
    descs[-1]["flags"] |= bits.NEXT
    descs[-1]["next"] = descs[-1]["slot"]
    at = descs[-1]
    for pos in range(len(descs), 17):
        fields = {k: at[k] for k in ("addr", "len", "slot", "flags", "next", "table", "head")}
        at = log.insert(at, "desc", **fields, pos=pos)


@case("SD-DR-01")
def too_long_in_bytes(log: Log) -> None:
    """A descriptor's len takes its chain beyond 2^32 bytes."""
    log.one("desc", flags=bits.NEXT)["len"] = (1 << 32) - 1


@case("SD-DR-02", clean=like(in_order=True, seed=3))
def last_link_wraps(log: Log) -> None:
    """With IN_ORDER the table's last descriptor leads to another one than the first."""
    event = next(e for e in log.of("desc", table=0, slot=15) if e["flags"] & bits.NEXT)
    event["next"] = 3


@case("SD-DR-03", clean=like(in_order=True))
def link_jumps(log: Log) -> None:
    """With IN_ORDER a descriptor leads past its neighbour."""
    event = next(e for e in log.of("desc", table=0) if e["flags"] & bits.NEXT and e["slot"] < 9)
    event["next"] += 2


@case("DX-37")
def queue_is_given_up(log: Log) -> None:
    """The driver's adds fail with EIO, though it has taken all used entries."""
    log.of("add_failed")[-1]["err"] = -5
