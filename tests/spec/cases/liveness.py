# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/liveness.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import bare, case, later, like
from tests.spec.log import Event, Log
from tests.spec.machine import OFFERED, run

#: A machine that is stopped at work, with one queue.
AT_WORK = like(cut=True, queues=1)


def stopped(log: Log, last: Event) -> None:
    """Nothing happens on the queue behind an event any more, on either side, for 20 s."""
    place = next(i for i, event in enumerate(log.events) if event is last)
    log.drop([event for event in log.events[place + 1 :] if "vq" in event])
    later(log)


def needed_kick(log: Log) -> Event:
    """The last decision to notify of chains of which the device has taken none by then."""
    popped, found = 0, None
    for event in log.of("dev_pop", "kick"):
        popped += event["kind"] == "dev_pop"
        stable = event["kind"] == "kick" and event["event"] == event["event_after"]
        if stable and event["needed"] and popped == event["old"]:
            found = event
    assert found is not None
    return found


def two_for_one_notification() -> Log:
    """The driver adds a chain and notifies, and adds another one while the device is awake."""
    log = bare()
    place = {"dev": 1, "life": 0, "vq": 0, "cpu": 0, "pid": 7}
    ring = {"avail_flags": 0, "avail_idx": 0, "used_flags": 0, "used_idx": 0}
    log.add("queue", **place, **ring, desc=4096, avail=8192, used=12288, size=8, num_queues=1,
            layout=0, op=0)  # fmt: skip
    log.add("status", dev=1, life=0, cpu=0, pid=7, status=0x0F, op=0)
    log.add("dev_status", dev=1, life=0, pid=1, status=0x0F)
    for head in (0, 1):
        log.add("add", **place, readable=16, writable=1, chain=2, num_free=6 - 2 * head, head=head,
                avail_idx=head + 1, slots=2, indirect=0)  # fmt: skip
        log.add("desc", **place, addr=4096, len=16, head=head, slot=head, flags=1, next=head + 4,
                pos=0, table=0)  # fmt: skip
        log.add("desc", **place, addr=4112, len=1, head=head, slot=head + 4, flags=2, next=0,
                pos=1, table=0)  # fmt: skip
        log.add("kick", **place, old=head, new=head + 1, event=0, event_after=0, flags=0,
                flags_after=0, event_idx=1, needed=1 - head)  # fmt: skip
        if not head:
            log.add("notify", **place)
    for head in (0, 1):
        log.add("dev_pop", dev=1, life=0, vq=0, pid=1, elem=head, in_num=0, out_num=1,
                avail_idx=head + 1)  # fmt: skip
        log.add("dev_fill", dev=1, life=0, vq=0, pid=1, elem=head, len=1, index=head)
        log.add("dev_flush", dev=1, life=0, vq=0, pid=1, count=1)
        log.add("used", **place, id=head, len=1, index=head, used_idx=head + 1, accepted=1)
    return log


@case("DX-39", clean=AT_WORK)
def keeps_chains(log: Log) -> None:
    """The device takes chains and does nothing more."""
    stopped(log, log.of("dev_pop")[-1])


@case("DX-40", clean=AT_WORK)
def index_is_not_moved(log: Log) -> None:
    """The driver notifies of a chain, and has not moved its available index over it."""
    place = log.events.index(needed_kick(log))
    reported = next(event for event in log.events[place:] if event["kind"] == "notify")
    log.drop(event for event in log.events[place:] if event["source"] == "qemu")
    taken = len(log.of("dev_pop"))
    for number, event in enumerate(log.of("add")):
        event["avail_idx"] = min(event["avail_idx"], taken) if number >= taken else number + 1
    stopped(log, reported)


@case("DX-39", clean=AT_WORK)
def ignores_notification(log: Log) -> None:
    """The device is notified and takes nothing."""
    place = log.events.index(needed_kick(log))
    reported = next(event for event in log.events[place:] if event["kind"] == "notify")
    log.drop(event for event in log.events[place:] if event["source"] == "qemu")
    stopped(log, reported)


@case("DX-39", clean=like(cut=True, queues=1, packed=True))
def keeps_chains_of_a_packed_ring(log: Log) -> None:
    """The device of a packed ring is notified and returns nothing."""
    stopped(log, log.of("notify")[-1])


@case("DX-39", clean=AT_WORK)
def sends_no_interrupt(log: Log) -> None:
    """The device returns a chain and sends no interrupt, though the driver asked for one."""
    flush = next(
        event
        for event in log.of("dev_flush")
        if log.after(event, lambda other: "vq" in other)["kind"] == "dev_signal"
    )
    stopped(log, flush)


@case("DX-18", clean=two_for_one_notification)
def sleeps(log: Log) -> None:
    """The device takes the entry that it was notified of, and sleeps with one behind it."""
    stopped(log, log.of("used")[0])


@case("DX-40", clean=AT_WORK)
def forgets_to_notify(log: Log) -> None:
    """The driver does not notify of an entry that the device asked for, and waits."""
    stopped(log, needed_kick(log))


@case("DX-40", clean=AT_WORK)
def ignores_interrupt(log: Log) -> None:
    """The driver is interrupted, disables interrupts, and does not look at the used ring."""
    off = next(
        event for event in log.of("callback", enable=0) if event["used_idx"] != event["last_used"]
    )
    stopped(log, off)


@case("DX-40", clean=AT_WORK)
def refuses_an_entry(log: Log) -> None:
    """The driver refuses a used entry whose id is outstanding, and takes nothing any more."""
    entry = log.of("used")[-1]
    entry["accepted"] = 0
    stopped(log, entry)


def on_mmio() -> Log:
    """A machine that is stopped at work, with the registers' log of its notifications."""
    log = run(cut=True, queues=1)
    for event in log.of("notify"):
        log.insert(event, "register", source="registers", dev=1, life=0, vq=0, structure="mmio",
                   register="queue_notify", offset=80, value=0, size=4, write=1)  # fmt: skip
    return log


@case("DX-40", clean=on_mmio)
def notifies_of_another_queue(log: Log) -> None:
    """The driver notifies, and writes the number of a queue that there is not."""
    ignores_notification(log)
    for event in log.of("register"):
        event |= {"vq": 1, "value": 1}


@case("DX-40", clean=on_mmio)
def notifies_by_half_a_register(log: Log) -> None:
    """The driver writes 16 of the 32 bits of QueueNotify, which the device ignores."""
    ignores_notification(log)
    for event in log.of("register"):
        event["size"] = 2


def reclaimed() -> Log:
    """A device that is pulled out: the driver takes back what it has not answered."""
    log = run(pulled=True)
    assert log.of("detach")
    return log


@case("DX-36", clean=reclaimed)
def forgets_a_request(log: Log) -> None:
    """The driver deletes a queue after a reset and forgets one of its requests."""
    log.drop(log.of("detach")[:1])


def _last_armed(log: Log) -> Event:
    """The last time that interrupts were enabled with nothing to take, before an entry is used."""
    found = None
    for event in log.of("callback", enable=1):
        if event["used_idx"] != event["last_used"] or event["pending"]:
            continue
        place = log.events.index(event)
        rest = [other for other in log.events[place + 1 :] if other.get("vq") == event["vq"]]
        kinds = [other["kind"] for other in rest]
        if "dev_fill" in kinds and "callback" not in kinds[: kinds.index("dev_fill")]:
            found = event
    assert found is not None
    return found


def _asked_for_nothing(log: Log, **wish: int) -> None:
    """The driver enables interrupts with these values; entries come, and no interrupt does."""
    armed = _last_armed(log)
    place = log.events.index(armed)
    armed |= wish
    of_queue = [event for event in log.events[place + 1 :] if "vq" in event]
    done = next(e for e in of_queue if e["kind"] in ("dev_flush", "dev_fill"))
    if armed["kind"] == "callback" and any(event["kind"] == "dev_flush" for event in of_queue):
        done = next(event for event in of_queue if event["kind"] == "dev_flush")
    last = log.events.index(done)
    log.drop([e for e in log.events[place + 1 : last] if e["kind"] not in ("dev_fill", "blk_done")])
    stopped(log, done)


@case("DX-40", clean=AT_WORK)
def asks_for_an_entry_that_never_comes(log: Log) -> None:
    """The driver's event index is ahead of all that it made available."""
    _asked_for_nothing(log, used_event=_last_armed(log)["last_used"] + 200)


@case("DX-40", clean=like(cut=True, queues=1, packed=True))
def asks_for_a_place_that_nothing_reaches(log: Log) -> None:
    """The driver of a packed ring names a place just behind it: the whole ring is before it."""
    armed = _last_armed(log)
    _asked_for_nothing(log, used_event=(armed["used_event"] - 1) & 0xFFFF)


@case(
    "DX-40", clean=like(cut=True, queues=1, packed=True, offered=OFFERED & ~(1 << bits.EVENT_IDX))
)
def leaves_packed_interrupts_disabled(log: Log) -> None:
    """The driver of a packed ring enables interrupts, and the flags still disable them."""
    _asked_for_nothing(log, avail_flags=1)


@case("DX-39", clean=like(cut=True, queues=1, packed=True))
def sends_no_interrupt_of_a_packed_ring(log: Log) -> None:
    """The device returns a list of a packed ring and sends no interrupt, as it did before."""
    armed = _last_armed(log)
    place = log.events.index(armed)
    fill = next(e for e in log.events[place:] if e["kind"] == "dev_fill")
    last = log.events.index(fill)
    log.drop([e for e in log.events[place + 1 : last] if "vq" in e])
    stopped(log, fill)
