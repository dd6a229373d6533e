# SPDX-License-Identifier: GPL-2.0-only
"""For every rule: a log in which it holds, and ways to break it.

Logs come from a machine that keeps to the specification; what breaks a rule is done to its
events, as another driver or device would have done it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pykit.spec import bits
from tests.spec.log import Event, Log
from tests.spec.machine import OFFERED, run

Break = Callable[[Log], None]
Make = Callable[[], Log]


@dataclass(frozen=True)
class Case:
    """What breaks a rule, and a maker of logs in which it holds."""

    rule: str
    clean: Make
    act: Break


CASES: list[Case] = []


def case(*names: str, clean: Make = run) -> Callable[[Break], Break]:
    """Say that a function breaks these rules in a log like ``clean``'s."""

    def register(function: Break) -> Break:
        CASES.extend(Case(name, clean, function) for name in names)
        return function

    return register


def like(**setting: Any) -> Make:
    """A maker of logs of one kind of machine."""
    return lambda: run(**setting)


def later(log: Log, seconds: float = 20) -> None:
    """The trace goes on: everybody has had the time to do what was to be done."""
    log.now += int(seconds * 1e9)
    log.add("status", dev=1, life=None, cpu=0, pid=1, status=1, op=1)
    log.add("dev_config_signal", dev=1, life=None, pid=1)


def bare(**features: int) -> Log:
    """A driver that negotiates, and no more; ``features``: offered, acked and its kind."""
    log = Log()
    place = {"dev": 1, "life": 0, "cpu": 0, "pid": 7}
    offered = features.get("offered", OFFERED)
    acked = features.get("acked", offered)
    for status in (0, 1, 3, 0x0B):
        log.add("dev_status", dev=1, life=0, pid=1, status=status)
    log.add("driver", **place, id=features.get("id", 2), err=0, stage=0)
    log.add("features", **place, offered=offered, driver=acked, acked=acked, stage=0)
    log.add("status", **place, status=3, op=1)
    log.add("status", **place, status=0x0B, op=0)
    log.add("status", **place, status=0x0B, op=1)
    log.add("features", **place, offered=offered, driver=acked, acked=acked, stage=2)
    return log


def set_bits(log: Log, *, offered: int = 0, acked: int = 0) -> None:
    for event in log.of("features"):
        event["offered"] |= offered
        event["acked"] |= acked


def clear_bits(log: Log, *, offered: int = 0, acked: int = 0) -> None:
    for event in log.of("features"):
        event["offered"] &= ~offered
        event["acked"] &= ~acked


# Status.


@case("ST-DR-01", "IN-DR-01")
def features_ok_is_skipped(log: Log) -> None:
    log.drop([*log.of("status", status=0x0B), *log.of("dev_status", status=0x0B)])
    for event in [*log.of("status", status=0x0F), *log.of("dev_status", status=0x0F)]:
        event["status"] = 0x07


@case("ST-DR-02")
def driver_bit_vanishes(log: Log) -> None:
    log.one("dev_status", status=0x0F)["status"] = 0x0D
    log.one("status", status=0x0F, op=0)["status"] = 0x0D


def with_failure() -> Log:
    log = bare()
    place = {"dev": 1, "life": 0, "cpu": 0, "pid": 7}
    log.add("driver", **place, id=2, err=-22, stage=2)
    log.add("status", **place, status=0x8B, op=0)
    log.add("dev_status", dev=1, life=0, pid=1, status=0x8B)
    later(log)
    return log


@case("ST-DR-03", clean=with_failure)
def begins_again_after_failed(log: Log) -> None:
    log.insert(log.one("dev_status", status=0x8B), "dev_status", status=0x8F)


@case("IN-DR-06", clean=with_failure)
def failed_is_not_written(log: Log) -> None:
    log.drop([*log.of("status", status=0x8B), *log.of("dev_status", status=0x8B)])


@case("IN-DR-07", clean=with_failure)
def goes_on_after_failure(log: Log) -> None:
    log.insert(log.one("driver", stage=2), "status", status=0x0F, op=0)


def to_front(log: Log, kind: str) -> None:
    """Move the first such event before DRIVER_OK in QEMU's log."""
    event = log.one(kind)
    log.events.remove(event)
    ready = log.one("dev_status", status=0x0F)
    log.events.insert(log.events.index(ready), event)


@case("ST-DE-01")
def pops_too_early(log: Log) -> None:
    to_front(log, "dev_pop")


@case("ST-DE-02")
def interrupts_too_early(log: Log) -> None:
    to_front(log, "dev_signal")


def broken_device() -> Log:
    log = run()
    place = {"dev": 1, "cpu": 0, "pid": 7}
    at = log.one("driver", stage=1)
    at = log.insert(at, "status", **place, status=0x4F, op=1)
    log.insert(at, "config_change", **place, status=0x4F)
    later(log)
    log.drop(log.of("dev_config_signal"))
    return log


@case("ST-DE-04", clean=broken_device)
def trouble_is_not_announced(log: Log) -> None:
    log.drop(log.of("config_change"))


# Initialization.


@case("IN-DR-01")
def two_steps_in_one(log: Log) -> None:
    log.drop(log.of("dev_status", status=1)[:1])


@case("IN-DR-01")
def begins_again_without_reset(log: Log) -> None:
    log.insert(log.one("dev_status", status=0x0F), "dev_status", status=1)


@case("IN-DR-01")
def queues_before_features(log: Log) -> None:
    queue = log.one("queue", op=0)
    log.events.remove(queue)
    log.events.insert(log.events.index(log.one("status", op=0)), queue)


@case("IN-DR-03")
def config_is_written_too_early(log: Log) -> None:
    log.insert(log.one("status", op=0), "config", after=False, offset=32, len=1, value=1, write=1)


@case("IN-DR-04")
def features_grow(log: Log) -> None:
    log.one("features", stage=2)["acked"] |= 1 << bits.BLK_GEOMETRY


@case("IN-DR-05")
def status_is_not_read_back(log: Log) -> None:
    log.drop(log.of("status", op=1, life=0))


@case("IN-DR-05", "FB-DE-02")
def refusal_is_overlooked(log: Log) -> None:
    agreed = log.one("status", op=0)
    log.after(agreed, lambda event: event["kind"] == "status")["status"] = 3


@case("IN-DR-08")
def doorbell_before_driver_ok(log: Log) -> None:
    log.insert(log.one("status", status=0x0F, op=0), "notify", after=False, vq=0)


@case("IN-DR-08")
def driver_ok_is_never_written(log: Log) -> None:
    log.drop([*log.of("status", status=0x0F), *log.of("dev_status", status=0x0F)])


# Features.


@case("FB-DR-01")
def accepts_what_is_not_offered(log: Log) -> None:
    log.one("features")["acked"] |= 1 << bits.BLK_LIFETIME


def net() -> Log:
    value = sum(1 << bit for bit in (0, 1, 7, 11, 17, 22, 32))
    return bare(id=1, offered=value, acked=value)


@case("FB-DR-02", clean=net)
def accepts_without_prerequisite(log: Log) -> None:
    clear_bits(log, acked=1 << 17)


@case("FB-DE-01", clean=net)
def offers_without_prerequisite(log: Log) -> None:
    clear_bits(log, offered=1 << 0)


@case("FB-DR-05")
def accepts_the_undescribed(log: Log) -> None:
    set_bits(log, offered=1 << 31, acked=1 << 31)


@case("FB-DR-06", "FB-DE-04")
def accepts_the_reserved(log: Log) -> None:
    set_bits(log, offered=1 << 45, acked=1 << 45)


@case("FB-DR-07", clean=lambda: mmio())
def accepts_of_other_transport(log: Log) -> None:
    set_bits(log, offered=1 << bits.ADMIN_VQ, acked=1 << bits.ADMIN_VQ)


@case("FB-DR-08", "FB-DE-04")
def accepts_of_other_type(log: Log) -> None:
    set_bits(log, offered=1 << 20, acked=1 << 20)


@case("FB-DE-05", clean=like(lives=2))
def refuses_what_it_had_accepted(log: Log) -> None:
    agreed = log.one("status", op=0, status=0x0B, life=1)
    log.after(agreed, lambda event: event["kind"] == "status")["status"] = 3


def mmio() -> Log:
    log = run()
    log.device_type = "virtio-blk-device"
    return log


@case("RF-DE-10", "RF-DR-10", clean=mmio)
def sr_iov_without_pci(log: Log) -> None:
    set_bits(log, offered=1 << bits.SR_IOV, acked=1 << bits.SR_IOV)


@case("RF-DE-01")
def version_1_is_not_offered(log: Log) -> None:
    clear_bits(log, offered=1 << bits.VERSION_1, acked=1 << bits.VERSION_1)


@case("RF-DR-01")
def version_1_is_declined(log: Log) -> None:
    clear_bits(log, acked=1 << bits.VERSION_1)


def _declines(name: str, bit: int) -> None:
    @case(name, clean=like(offered=OFFERED | 1 << bit))
    def declines(log: Log) -> None:
        clear_bits(log, acked=1 << bit)


_declines("RF-DR-03", bits.ACCESS_PLATFORM)
_declines("RF-DR-06", bits.RING_PACKED)
_declines("RF-DR-07", bits.ORDER_PLATFORM)
_declines("RF-DR-13", bits.NOTIF_CONFIG_DATA)
_declines("BO-DR-03", bits.BLK_RO)


# Configuration.


def config_change(log: Log, *, announced: bool = True, generation: int = 8) -> None:
    """The disk grows while it is in use, long before the trace ends."""
    at = log.one("driver", stage=1)
    parts: list[tuple[str, dict[str, Any]]] = [
        ("generation", {"generation": generation}),
        ("config", {"offset": 0, "len": 8, "value": 1 << 21, "write": 0}),
        ("generation", {"generation": generation}),
    ]
    if announced:
        parts.insert(0, ("config_change", {"status": 0x0F}))
    for kind, fields in parts:
        at = log.insert(at, kind, **fields)


def grown() -> Log:
    log = run()
    config_change(log)
    for event in log.of("driver", stage=3):
        event["ts"] += 20_000_000_000
    later(log)
    return log


@case("BO-DR-01", clean=grown)
def change_is_ignored(log: Log) -> None:
    change = log.one("config_change")
    read = log.after(change, lambda event: event["kind"] == "config")
    log.drop([read])


@case("BO-DE-02", clean=grown)
def change_is_not_announced(log: Log) -> None:
    log.drop(log.of("config_change"))


@case("PM-DE-06", clean=grown)
def generation_stands_still(log: Log) -> None:
    for event in log.of("generation"):
        event["generation"] = 7


@case("CF-DR-03")
def no_generation_after(log: Log) -> None:
    wide = log.one("config", len=8)
    log.drop([log.after(wide, lambda event: event["kind"] == "generation")])
    log.insert(wide, "config", offset=8, len=4, value=1 << 16, write=0)


@case("CF-DR-03")
def no_generation_at_all(log: Log) -> None:
    log.insert(log.one("config", len=8), "config", offset=8, len=4, value=1 << 16, write=0)
    log.drop(log.of("generation"))


@case("CF-DR-03")
def torn_read_is_kept(log: Log) -> None:
    wide = log.one("config", len=8)
    after = log.after(wide, lambda event: event["kind"] == "generation")
    after["generation"] += 1
    log.insert(after, "config", offset=8, len=4, value=1 << 16, write=0)


@case("CF-DR-04")
def field_without_its_feature(log: Log) -> None:
    log.insert(log.one("config"), "config", offset=60, len=4, value=0, write=0)


def read_early() -> Log:
    log = run()
    agreed = log.one("status", op=0)
    log.insert(agreed, "config", after=False, offset=12, len=4, value=6, write=0)
    return log


@case("CF-DE-01", clean=read_early)
def not_readable_early(log: Log) -> None:
    log.one("config", offset=12)["value"] = 0


@case("BI-DR-04")
def writeback_is_read_early(log: Log) -> None:
    agreed = log.one("status", op=0)
    log.insert(agreed, "config", after=False, offset=32, len=1, value=1, write=0)


@case("BI-DE-01")
def flush_is_not_offered(log: Log) -> None:
    flush = 1 << bits.BLK_FLUSH
    clear_bits(log, offered=flush, acked=flush)


@case("BI-DE-02")
def cache_control_without_flush(log: Log) -> None:
    flush_is_not_offered(log)


def write_through() -> Log:
    log = run(declined=1 << bits.BLK_FLUSH, kinds=(0, 1))
    log.one("config", offset=32)["value"] = 0
    return log


@case("BI-DE-03", clean=write_through)
def writeback_starts_at_one(log: Log) -> None:
    log.one("config", offset=32)["value"] = 1


def padding() -> Log:
    log = run()
    log.insert(log.one("config"), "config", offset=33, len=1, value=0, write=0)
    return log


@case("BI-DE-04", clean=padding)
def padding_is_not_zero(log: Log) -> None:
    log.one("config", offset=33)["value"] = 3


@case("DX-24")
def no_queues(log: Log) -> None:
    log.one("config", offset=34)["value"] = 0


# Reset and cleanup.


@case("RS-DE-01")
def status_comes_back(log: Log) -> None:
    read = log.one("status", op=1, status=0)
    log.insert(read, "status", status=0x0F, op=1)


@case("RS-DR-01")
def reset_is_not_waited_for(log: Log) -> None:
    log.one("status", op=1, status=0)["status"] = 0x0F


@case("RS-DE-02")
def interrupt_after_reset(log: Log) -> None:
    log.add("dev_signal", dev=1, life=None, pid=1, vq=0)


@case("RS-DE-03")
def pop_after_reset(log: Log) -> None:
    log.add("dev_pop", dev=1, life=None, pid=1, vq=0, elem=1, in_num=1, out_num=1, avail_idx=1)


@case("DX-28")
def queues_go_without_reset(log: Log) -> None:
    log.drop(log.of("status", op=2))


@case("CL-DR-02", clean=like(pulled=True))
def live_queue_goes(log: Log) -> None:
    log.drop(log.of("status", op=2))


@case("DX-28")
def suspended_with_requests(log: Log) -> None:
    log.one("driver", stage=3)["stage"] = 5
    end = log.of("used", vq=0)[-1]
    log.drop([end])


# Split rings.


@case("VQ-DR-01")
def misaligned(log: Log) -> None:
    log.one("queue", op=0)["used"] += 2


@case("NA-DR-01")
def used_flags_not_zero(log: Log) -> None:
    log.one("queue", op=0)["used_flags"] = 1


@case("DX-29")
def index_not_zero(log: Log) -> None:
    log.one("queue", op=0)["used_idx"] = 5


@case("SA-DR-01")
def steps_by_two(log: Log) -> None:
    log.one("add")["avail_idx"] += 1


@case("SA-DR-01")
def goes_back(log: Log) -> None:
    log.of("add", vq=1)[9]["avail_idx"] -= 2


@case("SA-DR-01", clean=like(start=65500, requests=200))
def steps_over_the_wrap(log: Log) -> None:
    event = next(e for e in log.of("add", vq=0) if e["avail_idx"] == 0)
    event["avail_idx"] = 1


@case("DX-04")
def too_many_outstanding(log: Log) -> None:
    taken = [*log.of("used", vq=0), *log.of("blk_done", vq=0)]
    log.drop(taken)


@case("DX-05")
def head_outside(log: Log) -> None:
    log.one("add")["head"] = 16


def direct(log: Log) -> Event:
    """A descriptor in the ring that leads to another one."""
    return next(e for e in log.of("desc", table=0) if e["flags"] & bits.NEXT)


@case("DX-05")
def link_outside(log: Log) -> None:
    direct(log)["next"] = 16


@case("DX-05", "DX-08")
def link_outside_a_table(log: Log) -> None:
    next(e for e in log.of("desc", table=1) if e["flags"] & bits.NEXT)["next"] = 40


def chains(log: Log, vq: int) -> list[list[Event]]:
    """The add of each chain with its descriptors and its request."""
    found: list[list[Event]] = []
    for event in log.of("add", "desc", "blk_start", vq=vq):
        if event["kind"] == "add":
            found.append([])
        found[-1].append(event)
    return found


def reuse_head(log: Log) -> None:
    """The available entry of a chain names the one before, which is outstanding."""
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
def takes_twice(log: Log) -> None:
    used = log.of("used")[7]
    again = {k: v for k, v in used.items() if k not in ("kind", "source", "ts", "seq")}
    log.insert(used, "used", **again)


@case("DX-37")
def leaves_one_out(log: Log) -> None:
    for event in log.of("used", vq=0)[5:]:
        event["index"] += 1


@case("DX-37", "NU-DR-05", clean=like(seed=3))  # some interrupts of it come for nothing
def takes_what_is_not_there(log: Log) -> None:
    idle = next(e for e in log.of("interrupt") if e["used_idx"] == e["last_used"])
    fields = {"id": 0, "len": 1, "index": idle["used_idx"], "used_idx": idle["used_idx"]}
    log.insert(idle, "used", **fields, accepted=1)


@case("DX-01", "DX-02")
def returned_twice(log: Log) -> None:
    first, second = log.of("used", vq=0)[8:10]
    second["id"] = first["id"]


@case("DX-01")
def returned_out_of_nowhere(log: Log) -> None:
    log.of("used", vq=0)[3] |= {"id": 70_000, "accepted": 0}


@case("DX-03")
def used_idx_runs_ahead(log: Log) -> None:
    log.of("used", vq=0)[3]["used_idx"] += 14


@case("DX-03")
def used_idx_goes_back(log: Log) -> None:
    seen = log.of("callback", "used", vq=0)
    next(b for a, b in pairwise(seen) if a["used_idx"] == b["used_idx"] > 1)["used_idx"] -= 1


@case("DX-06")
def more_than_there_is(log: Log) -> None:
    used = next(e for e in log.of("used") if e["len"] > 1)
    used["len"] += 1


@case("RF-DE-05", clean=like(in_order=True))
def out_of_order(log: Log) -> None:
    used = log.of("used", vq=0)
    for first, second in pairwise(used):
        if second["used_idx"] == first["used_idx"]:
            first["id"], second["id"] = second["id"], first["id"]


@case("SD-DR-01")
def loops(log: Log) -> None:
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
    log.one("desc", flags=bits.NEXT)["len"] = (1 << 32) - 1


@case("SD-DR-02", clean=like(in_order=True, seed=3))
def last_link_wraps(log: Log) -> None:
    event = next(e for e in log.of("desc", table=0, slot=15) if e["flags"] & bits.NEXT)
    event["next"] = 3


@case("SD-DR-03", clean=like(in_order=True))
def link_jumps(log: Log) -> None:
    event = next(e for e in log.of("desc", table=0) if e["flags"] & bits.NEXT and e["slot"] < 9)
    event["next"] += 2


@case("SI-DR-01", clean=like(declined=1 << bits.INDIRECT_DESC))
def indirect_unasked(log: Log) -> None:
    log.of("desc")[-1]["flags"] |= bits.INDIRECT


@case("SI-DR-02")
def table_in_a_table(log: Log) -> None:
    log.one("desc", table=1)["flags"] |= bits.INDIRECT


@case("SI-DR-03")
def longer_than_the_queue(log: Log) -> None:
    at = next(e for e in log.of("desc", table=1) if not e["flags"] & bits.NEXT)
    log.one("desc", table=0, head=at["head"])["len"] = 16 * 40
    for slot in range(at["slot"] + 1, 20):
        at["flags"] |= bits.NEXT
        at["next"] = slot
        base = {"addr": 64 * slot, "len": 1, "slot": slot, "flags": bits.WRITE, "next": 0}
        at = log.insert(at, "desc", **base, table=1, head=at["head"], pos=slot + 1)


@case("SI-DR-04")
def table_and_next(log: Log) -> None:
    log.one("desc", flags=bits.INDIRECT)["flags"] |= bits.NEXT


@case("SI-DR-05", clean=like(in_order=True))
def table_in_disorder(log: Log) -> None:
    event = next(e for e in log.of("desc", table=1) if e["flags"] & bits.NEXT)
    event["next"] += 1


@case("DX-08")
def odd_table(log: Log) -> None:
    log.one("desc", flags=bits.INDIRECT)["len"] += 8


@case("DX-08")
def empty_table(log: Log) -> None:
    log.one("desc", flags=bits.INDIRECT)["len"] = 0


@case("MF-DR-01")
def writable_first(log: Log) -> None:
    chain = next(c for c in chains(log, 0) if c[-1]["type"] == bits.T_IN)
    descs = [e for e in chain if e["kind"] == "desc" and not e["flags"] & bits.INDIRECT]
    first, second = descs[0], next(e for e in descs if e["flags"] & bits.WRITE)
    for name in ("addr", "len"):
        first[name], second[name] = second[name], first[name]
    first["flags"] |= bits.WRITE
    second["flags"] &= ~bits.WRITE


# Packed rings.


@case("PV-DR-01", clean=like(packed=True))
def packed_misaligned(log: Log) -> None:
    log.one("queue", op=0)["avail"] += 2


@case("PS-DR-02", clean=like(packed=True))
def packed_longer_than_the_queue(log: Log) -> None:
    longer_than_the_queue(log)


@case("PS-DR-03", clean=like(packed=True))
def packed_writable_first(log: Log) -> None:
    writable_first(log)


@case("PI-DR-01", clean=like(packed=True, declined=1 << bits.INDIRECT_DESC))
def packed_indirect_unasked(log: Log) -> None:
    indirect_unasked(log)


@case("PI-DR-04", clean=like(packed=True))
def packed_table_and_next(log: Log) -> None:
    table_and_next(log)


@case("DX-09", clean=like(packed=True))
def packed_id_of_nobody(log: Log) -> None:
    log.of("used", vq=0)[3]["id"] = 900


@case("PI-DR-02", clean=like(packed=True))
def packed_table_in_a_table(log: Log) -> None:
    log.one("desc", table=1)["flags"] |= bits.INDIRECT


@case("DX-13", clean=like(packed=True, declined=1 << bits.EVENT_IDX))
def packed_driver_event_flags(log: Log) -> None:
    log.one("callback")["avail_flags"] = 2


@case("DX-14", clean=like(packed=True))
def packed_device_event_flags(log: Log) -> None:
    log.one("kick")["flags_after"] = 3


# Notifications.


def withhold(log: Log) -> None:
    """A needed doorbell is rung late, by somebody else."""
    for kick in log.of("kick", needed=1):
        if kick["pid"] == 100 and kick["event"] == kick["event_after"]:
            bell = log.after(kick, lambda e: e["kind"] == "notify" and e["pid"] == 100)
            bell |= {"pid": 55, "cpu": 1}
            return
    raise AssertionError("no doorbell")


case("NA-DR-06", "DX-16")(withhold)
case("NA-DR-04", clean=like(declined=1 << bits.EVENT_IDX))(withhold)


@case("NA-DR-06", "DX-16")
def only_the_last_entry_decides(log: Log) -> None:
    kick = next(
        k
        for k in log.of("kick", needed=1)
        if k["event"] == k["event_after"] != (k["new"] - 1) % 65536 and k["pid"] in (100, 101, 102)
    )
    kick["needed"] = 0
    log.drop([log.after(kick, lambda e: e["kind"] == "notify" and e["pid"] == kick["pid"])])


def flagged() -> Log:
    log = run()
    for kick in log.of("kick"):
        kick |= {"flags": 1, "flags_after": 1}
    return log


case("NA-DR-05", clean=flagged)(withhold)


def ring_unasked(log: Log) -> None:
    """A doorbell that nobody asked for."""
    kick = next(k for k in log.of("kick", needed=0) if k["event"] == k["event_after"])
    log.insert(kick, "notify")


case("NA-DR-07")(ring_unasked)
case("NA-DR-03", clean=like(declined=1 << bits.EVENT_IDX))(ring_unasked)


@case("NA-DR-03", clean=like(declined=1 << bits.EVENT_IDX))
def flag_is_ignored(log: Log) -> None:
    for kick in log.of("kick", needed=0):
        kick["needed"] = 1
        log.insert(kick, "notify")


def crowded(*, event_idx: bool = True) -> Make:
    """Rings that are full now and then."""
    return like(size=8, declined=0 if event_idx else 1 << bits.EVENT_IDX)


def unasked_refusals(log: Log) -> list[Event]:
    """Adds that failed while the device did not ask for what was new, and rang no doorbell."""
    found = []
    for event in log.of("refused", rang=0):
        if event["event"] != event["event_after"]:
            continue
        in_range = (event["new"] - event["event"] - 1) % 65536 < (
            event["new"] - event["old"]
        ) % 65536
        if not (in_range if event["event_idx"] else not event["event"] & 1):
            found.append(event)
    return found


def failed_adds_ring(log: Log) -> None:
    """As Linux does, but that this is not Linux."""
    log.kernel = "another"
    for event in unasked_refusals(log):
        event["rang"] = 1
        log.insert(event, "notify")


def driver_rings_behind_failed_adds(log: Log) -> None:
    """The driver itself does, without a decision; the add has rung or has not."""
    for n, event in enumerate(unasked_refusals(log)):
        event["rang"] = n % 2
        log.insert(event, "notify")
        if n % 2:
            log.insert(event, "notify")


for broken in (failed_adds_ring, driver_rings_behind_failed_adds):
    case("NA-DR-07", clean=crowded())(broken)
    case("NA-DR-03", clean=crowded(event_idx=False))(broken)


def only_a_failed_add_rings(log: Log) -> None:
    """A doorbell that was owed is left out; one comes of the same task's next add."""
    for kick in log.of("kick", needed=1):
        if kick["pid"] == 100 and kick["event"] == kick["event_after"]:
            bell = log.after(kick, lambda e: e["kind"] == "notify" and e["pid"] == 100)
            refused = {n: kick[n] for n in ("event", "event_after", "event_idx")}
            refused |= {"flags": 0, "flags_after": 0, "err": -28, "chain": 9, "slots": 9}
            refused |= {"num_free": 0, "old": kick["new"], "new": kick["new"], "rang": 1}
            log.insert(bell, "refused", after=False, **refused)
            return
    raise AssertionError("no doorbell")


case("NA-DR-06", "DX-16")(only_a_failed_add_rings)
case("NA-DR-04", clean=like(declined=1 << bits.EVENT_IDX))(only_a_failed_add_rings)


@case("NA-DE-01", clean=like(declined=1 << bits.EVENT_IDX))
def odd_used_flags(log: Log) -> None:
    log.one("kick")["event"] = 2


@case("NA-DE-03")
def used_flags_with_event_idx(log: Log) -> None:
    log.one("kick")["flags_after"] = 1


@case("NU-DR-01", clean=like(declined=1 << bits.EVENT_IDX))
def odd_avail_flags(log: Log) -> None:
    log.one("callback")["avail_flags"] = 3


@case("NU-DR-03")
def avail_flags_with_event_idx(log: Log) -> None:
    log.one("callback")["avail_flags"] = 1


@case("DX-17")
def sleeps_on_pending_work(log: Log) -> None:
    seen = log.of("callback", "interrupt", "used", vq=0)
    next(a for a, b in pairwise(seen) if b["kind"] == "interrupt")["pending"] = 1


@case("DX-17")
def asks_for_the_past(log: Log) -> None:
    for event in log.of("callback", enable=1):
        event["used_event"] = 0


def never_interrupts(log: Log) -> None:
    """The last entry is filled, the driver waits, and nothing comes."""
    last = log.of("dev_signal", vq=0)[-1]
    place = next(i for i, e in enumerate(log.events) if e is last)
    reset = log.one("dev_status", status=0, life=None)
    ours = {"interrupt", "callback", "used", "blk_done"}
    gone = [e for e in log.events[place:] if e["kind"] in ours and e.get("vq") == 0]
    log.drop([last, *gone])
    assert any(e is reset for e in log.events)


case("NU-DE-05", "DX-15")(never_interrupts)
case("NU-DE-03", clean=like(declined=1 << bits.EVENT_IDX))(never_interrupts)


def interrupt_unasked(log: Log) -> None:
    """The driver wants no interrupts any more, and polls; they keep coming."""
    for event in log.of("callback", vq=0)[-16:]:
        mode = event["event_idx"]
        event |= {"used_event": (event["used_idx"] + 999) % 65536, "avail_flags": int(not mode)}


case("NU-DE-06")(interrupt_unasked)
case("NU-DE-02", clean=like(declined=1 << bits.EVENT_IDX))(interrupt_unasked)


# A vhost device.


def vhost(dev: int = 0, event_idx: int = 1) -> Log:
    """Two chains at a time, returned in the other order; every fourth signal is not asked for."""
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
    return vhost(event_idx=0)


@case("DX-01", "DX-02", clean=vhost)
def vhost_returns_twice(log: Log) -> None:
    first, second = log.of("vhost_used")[6:8]
    second["id"] = first["id"]


@case("DX-01", "DX-38", clean=vhost)
def vhost_returns_what_it_never_got(log: Log) -> None:
    log.of("vhost_used")[6]["id"] = 99


@case("DX-03", clean=vhost)
def vhost_used_idx_runs_ahead(log: Log) -> None:
    for used in log.of("vhost_used")[40:]:
        used["used_idx"] += 1


@case("DX-06", clean=vhost)
def vhost_used_len_is_too_long(log: Log) -> None:
    # Of a write: a read has to be told of exactly.
    log.of("vhost_used")[7]["len"] = 514


@case("DX-25", clean=vhost)
def vhost_used_len_is_too_short(log: Log) -> None:
    log.of("vhost_used")[6]["len"] = 512


@case("DX-38", clean=vhost)
def vhost_drops_a_completion(log: Log) -> None:
    log.drop([log.of("vhost_used")[6]])


@case("DX-23", clean=vhost)
def vhost_status_is_undefined(log: Log) -> None:
    log.one("vhost_blk")["status"] = 77


@case("NU-DE-05", "DX-15", clean=vhost)
@case("NU-DE-03", "DX-15", clean=vhost_flags)
def vhost_misses_a_signal(log: Log) -> None:
    log.of("vhost_signal", sent=1)[9]["sent"] = 0


@case("NU-DE-06", clean=vhost)
@case("NU-DE-02", clean=vhost_flags)
def vhost_signals_for_nothing(log: Log) -> None:
    log.of("vhost_signal", sent=0)[9]["sent"] = 1


# Requests.


def request(log: Log, *kinds: int) -> Event:
    """The first request of one of these types."""
    return next(e for e in log.of("blk_start") if e["type"] in kinds)


def end_of(log: Log, start: Event) -> Event:
    """The end of a request."""
    return log.after(
        start,
        lambda e: e["kind"] == "blk_done" and e["head"] == start["head"] and e["vq"] == start["vq"],
    )


@case("BO-DR-02")
def beyond_the_end(log: Log) -> None:
    request(log, bits.T_IN)["sector"] = (1 << 20) - 1 + 8


@case("BO-DR-04")
def flush_with_sector(log: Log) -> None:
    request(log, bits.T_FLUSH)["sector"] = 8


@case("BO-DR-05")
def flush_with_data(log: Log) -> None:
    request(log, bits.T_FLUSH)["bytes"] = 512


@case("BO-DR-06")
def half_a_sector(log: Log) -> None:
    request(log, bits.T_OUT)["bytes"] -= 256


@case("BO-DR-07")
def half_a_segment(log: Log) -> None:
    request(log, bits.T_DISCARD)["bytes"] -= 8


@case("BO-DR-08")
def short_id(log: Log) -> None:
    request(log, bits.T_GET_ID)["bytes"] = 16


@case("BO-DR-09")
def too_many_discards(log: Log) -> None:
    request(log, bits.T_DISCARD)["segments"] = 5


erasing = like(offered=OFFERED | 1 << bits.BLK_SECURE_ERASE, kinds=(1, bits.T_SECURE_ERASE))


@case("BO-DR-10", clean=erasing)
def too_many_erases(log: Log) -> None:
    request(log, bits.T_SECURE_ERASE)["bytes"] = 16 * 5


@case("BO-DR-11")
def too_many_zeroes(log: Log) -> None:
    request(log, bits.T_WRITE_ZEROES)["segments"] = 5


@case("BO-DR-14")
def discard_unmaps(log: Log) -> None:
    start = request(log, bits.T_DISCARD)
    log.after(start, lambda e: e["kind"] == "blk_range")["flags"] = 1


@case("DX-19")
def status_not_last(log: Log) -> None:
    chain = next(c for c in chains(log, 0) if c[-1]["type"] == bits.T_GET_ID and len(c) < 6)
    data, status = chain[-3:-1]
    for name in ("addr", "len"):
        data[name], status[name] = status[name], data[name]


@case("DX-19")
def no_header(log: Log) -> None:
    chain = next(c for c in chains(log, 0) if c[-1]["type"] == bits.T_FLUSH)
    next(e for e in chain if e["kind"] == "desc" and e["len"] == 16)["len"] = 12


@case("DX-20")
def too_many_segments(log: Log) -> None:
    for event in log.of("config", offset=12):
        event["value"] = 2


@case("DX-20")
def too_long_a_segment(log: Log) -> None:
    for event in log.of("config", offset=8):
        event["value"] = 512


@case("DX-21")
def range_too_long(log: Log) -> None:
    log.one("blk_range")["sectors"] = 4097


@case("DX-21")
def range_beyond_the_end(log: Log) -> None:
    log.one("blk_range")["sector"] = (1 << 20) - 7


@case("DX-22")
def flush_not_negotiated(log: Log) -> None:
    clear_bits(log, acked=1 << bits.BLK_FLUSH)


@case("DX-22")
def unknown_type(log: Log) -> None:
    request(log, bits.T_FLUSH)["type"] = 99


@case("DX-23")
def undefined_status(log: Log) -> None:
    log.one("blk_done")["status"] = 3


@case("DX-25")
def short_read(log: Log) -> None:
    next(e for e in log.of("blk_done", status=0) if e["type"] == bits.T_IN)["len"] = 1


@case("SU-DE-02", clean=like(errors=0.3))
def failed_read_claims_data(log: Log) -> None:
    log.qemu = "9.2.0"
    for start in log.of("blk_start", type=bits.T_IN):
        end = end_of(log, start)
        if end["status"]:
            end["len"] = start["bytes"] + 1
            return


@case("BO-DE-03", clean=like(read_only=True))
def read_only_is_written(log: Log) -> None:
    log.one("blk_done", type=bits.T_OUT)["status"] = 0


def odd_ranges(flags: int) -> Make:
    def make() -> Log:
        log = run(requests=80)
        for start in log.of("blk_start", type=bits.T_DISCARD):
            log.after(start, lambda e: e["kind"] == "blk_range")["flags"] = flags
            end_of(log, start)["status"] = bits.S_UNSUPP
        return log

    return make


@case("BO-DE-05", clean=odd_ranges(8))
def unknown_flag_is_accepted(log: Log) -> None:
    log.one("blk_done", type=bits.T_DISCARD)["status"] = 0


@case("BO-DE-06", clean=odd_ranges(1))
def unmap_is_accepted(log: Log) -> None:
    log.one("blk_done", type=bits.T_DISCARD)["status"] = 0


# The two observers.


@case("XC-01")
def qmp_has_other_features(log: Log) -> None:
    for answer in log.qmp[:1]:
        answer.answer["guest-features"]["unknown-dev-features"] ^= 1 << bits.BLK_FLUSH


@case("XC-02")
def qmp_has_another_index(log: Log) -> None:
    log.qmp[1].answer["used-idx"] += 1


@case("XC-02")
def qmp_has_another_size(log: Log) -> None:
    log.qmp[2].answer["vring-num"] = 32


@case("XC-03")
def a_pop_is_missing(log: Log) -> None:
    log.drop(log.of("dev_pop", vq=0)[4:5])


@case("XC-03")
def another_length(log: Log) -> None:
    log.of("dev_fill", vq=1)[4]["len"] += 1


@case("XC-03")
def a_fill_is_missing(log: Log) -> None:
    log.drop(log.of("dev_fill", vq=0)[-1:])


# A back-end of the same guest.


def served() -> Log:
    """A machine whose device is a vhost back-end that tells of everything."""
    log = run(outside=False)
    place = {"dev": 1, "life": 0, "cpu": 0, "pid": 9}
    log.add("vhost_serves", **place, serves=0, ended=0)
    acked = log.of("features")[-1]["acked"]
    for event in list(log.events):
        at = place | {"vq": event.get("vq")}
        match event["kind"]:
            case "queue" if event["op"] == 0:
                log.add("vhost_queue", **at, features=acked, size=event["size"])
            case "add":
                chain = {"out": event["chain"] - 1, "in": 1}
                same = {name: event[name] for name in ("head", "readable", "writable")}
                log.add("vhost_get", **at, **chain, **same, avail_idx=event["avail_idx"] - 1)
            case "used":
                log.add("vhost_used", **at, id=event["id"], len=event["len"])
    return log


@case("XC-04", clean=served)
def the_back_end_got_another_chain(log: Log) -> None:
    log.one("vhost_get", 5, vq=0)["head"] += 1


@case("XC-04", clean=served)
def the_back_end_got_more_bytes(log: Log) -> None:
    log.one("vhost_get", 5, vq=1)["writable"] += 1


@case("XC-04", clean=served)
def the_back_end_got_what_nobody_made_available(log: Log) -> None:
    last = log.of("vhost_get", vq=0)[-1]
    log.add(
        "vhost_get", **{k: v for k, v in last.items() if k not in ("kind", "ts", "seq", "source")}
    )


@case("XC-04", clean=served)
def the_driver_read_another_length(log: Log) -> None:
    log.one("vhost_used", 5, vq=0)["len"] += 1


@case("XC-04", clean=served)
def the_driver_took_what_nobody_returned(log: Log) -> None:
    log.drop(log.of("vhost_used", vq=1)[-1:])


@case("XC-04", clean=served)
def the_back_end_reads_another_ring(log: Log) -> None:
    log.one("vhost_queue", vq=0)["size"] *= 2


@case("XC-04", clean=served)
def the_back_end_has_other_features(log: Log) -> None:
    log.one("vhost_queue", vq=1)["features"] ^= 1 << bits.EVENT_IDX


def on_mmio() -> Log:
    """A driver that is seen to handle two interrupts of an MMIO transport, one of both kinds."""
    log = run()
    log.device_type, log.kernel = "virtio-blk-device", "of another make"
    place = {"dev": 1, "life": log.one("add")["life"], "cpu": 1}
    for why in (1, 3):
        log.add("acc_register", **place, offset=0x60, write=0, size=4, value=why)
        log.add("acc_ring", **place, vq=0, area="used", field="idx", write=0, size=2, value=1)
        log.add("acc_register", **place, offset=0x64, write=1, size=4, value=1)
        if why & 2:
            log.add("acc_register", **place, offset=0x64, write=1, size=4, value=2)
    return log


@case("MN-DR-01", clean=on_mmio)
def interrupt_is_not_asked_for(log: Log) -> None:
    log.drop(log.of("acc_register", offset=0x60)[:1])


@case("MN-DR-03", clean=on_mmio)
def acknowledged_too_early(log: Log) -> None:
    log.drop(log.of("acc_ring")[1:])
    last = log.of("acc_register", offset=0x64)[-1]
    place = {name: last[name] for name in ("dev", "life", "cpu")}
    log.add("acc_ring", **place, vq=0, area="used", field="idx", write=0, size=2, value=2)
