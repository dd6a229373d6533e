# SPDX-License-Identifier: GPL-2.0-only
"""A side is not accused of what the other one did, and not cleared by its own word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from pykit import spec
from pykit.errors import Exit
from pykit.guests import EXIT_CODES
from pykit.spec import bits
from pykit.spec.blkconfig import MAX_ZEROES_SEG, SEG_MAX
from pykit.trace import CapturedStep
from pykit.trace.capture import DRIVER
from tests.spec import cases
from tests.spec.cases.canary import marked
from tests.spec.cases.served import served
from tests.spec.log import Log
from tests.spec.machine import OFFERED, run
from tests.spec.registers import pci
from tests.spec.survey import surveyed

EITHER = "either side may be to blame"
#: What a log fills in by itself.
LABELS = ("kind", "source", "ts", "time", "seq")


def verdicts(log: Log) -> spec.Verdicts:
    return spec.check(log.build())


def leaps(log: Log) -> None:
    """The driver moves the available index over entries that it has not filled."""
    for event in log.of("add", vq=0)[3:]:
        event["avail_idx"] += 5


def reads_beyond(log: Log) -> None:
    """The device uses what stands there: heads that are not outstanding."""
    log.of("used", vq=0)[9]["id"] = log.of("used", vq=0)[8]["id"]


def runs_ahead(log: Log) -> None:
    """The device's index covers the entries that the driver did not fill."""
    for event in log.of("used", "callback", "interrupt", vq=0)[20:]:
        event["used_idx"] += 14


@pytest.mark.parametrize(
    ("rules", "device"),
    [(("DX-01", "DX-02"), reads_beyond), (("DX-03",), runs_ahead)],
)
def test_the_driver_broke_the_ring(rules: tuple[str, ...], device: Callable[[Log], None]) -> None:
    log = run()
    device(log)
    assert {*rules} <= {*verdicts(log).having("fail")}
    leaps(log)
    found = verdicts(log)
    assert found.of("SA-DR-01").verdict == "fail"
    for name in rules:
        row = found.of(name)
        assert row.verdict == "inconclusive"
        assert EITHER in row.message


def test_an_index_that_goes_back_is_the_devices() -> None:
    log = run()
    leaps(log)
    seen = [e for e in log.of("callback", "used", vq=0) if e.get("enable", 1)]
    next(b for a, b in pairwise(seen[20:]) if a["used_idx"] == b["used_idx"])["used_idx"] -= 1
    assert verdicts(log).of("DX-03").verdict == "fail"


def test_a_broken_device_owes_no_interrupt() -> None:
    """It returned requests, and then met a chain of the driver's that it cannot read."""
    log = run()
    cases.interrupts.never_interrupts(log)
    assert {"DX-15", "NU-DE-05"} <= {*verdicts(log).having("fail")}
    log.qmp.extend(cases.status.broken_by_qmp().qmp)
    assert not {"DX-15", "NU-DE-05"} & {*verdicts(log).having("fail")}


def test_a_driver_may_have_written_over_needs_reset() -> None:
    """The device broke while it was initialized: its status has what the driver wrote since."""
    log = cases.status.broken_by_qmp()
    cases.status.broken_without_a_word(log)
    last = max(e["life"] for e in log.of("add"))
    log.drop([e for e in log.of("used", "dev_pop") if e["life"] == last])
    assert verdicts(log).of("ST-DE-03").verdict == "inconclusive"


def test_callbacks_are_disabled_without_the_lock() -> None:
    """virtio_net's handler reads an entry whose index another CPU's older event has not yet."""
    log = run()
    next(e for e in log.of("callback", vq=0) if not e["enable"])["used_idx"] += 1
    assert verdicts(log).of("DX-03").verdict == "pass"


def test_the_probe_saw_the_beginning_of_a_chain() -> None:
    """What it took for the request is none: SI-DR-03 alone reports the chain."""
    log = run()
    chain = next(
        c for c in cases.base.chains(log, 0) if c[-1]["type"] == bits.T_OUT and c[1]["table"] == 0
    )
    last = chain[-2]
    assert last["kind"] == "desc"
    # The probe ends its walk two descriptors behind the queue's size.
    last["flags"] |= bits.NEXT
    last["next"] = 15
    chain[0]["chain"] = 18
    chain[-1]["bytes"] -= 100
    end = cases.block.end_of(log, chain[-1])
    end |= {"status": 77, "len": 99}
    assert not {"BO-DR-06", "DX-23", "DX-25", "DX-19", "BO-DR-02"} & {*verdicts(log).having("fail")}


@pytest.mark.parametrize("packed", [False, True])
def test_a_refused_entry_is_judged(packed: bool) -> None:
    """The driver does not accept the id, and looks at the entry again and again."""
    log = run(packed=packed, requests=40)
    entry = log.of("used", vq=0)[7]
    again = {k: v for k, v in entry.items() if k not in ("kind", "source", "ts", "seq", "vq")}
    again |= {"id": 12_345, "accepted": 0}
    gone = log.events[log.events.index(entry) :]
    log.drop([e for e in gone if e.get("vq") == 0 and e["source"] == "driver"])
    last = log.of("callback", vq=0)[-1]
    for _ in range(3):
        last = log.insert(last, "used", **again)
    row = verdicts(log).of("DX-09" if packed else "DX-01")
    assert (row.verdict, row.violations) == ("fail", 1)


def test_a_queue_that_breaks_before_its_notification_does_not_accuse_the_driver() -> None:
    """An interrupt comes between decision and notification, and takes an entry that is wrong."""
    log = run()
    cases.notify.withholds_notification(log)
    assert "NA-DR-06" in verdicts(log).having("fail")
    late = log.one("notify", pid=55)
    kicks = log.of("kick", needed=1, pid=100, vq=late["vq"])
    kick = [k for k in kicks if k["seq"] < late["seq"]][-1]
    before = log.of("used", vq=kick["vq"])[0]
    wrong = {k: v for k, v in before.items() if k not in (*LABELS, "vq", "source")}
    log.insert(kick, "used", **wrong | {"id": 12_345, "accepted": 0, "pid": kick["pid"]})
    assert not {"NA-DR-06", "DX-16"} & {*verdicts(log).having("fail")}


@pytest.mark.parametrize(("name", "packed"), [("DX-37", False), ("DX-67", True)])
def test_an_entry_that_changes_while_it_is_refused_accuses_neither_side(
    name: str, packed: bool
) -> None:
    """A device that alters used entries all the time lets the driver read another id."""
    log = run(packed=packed, cut=True, queues=1)
    entry = log.of("used")[-1]
    entry["accepted"] = 0
    cases.liveness.stopped(log, entry)
    assert verdicts(log).of(name).verdict == "fail"
    entry["accepted"] = 2
    found = verdicts(log)
    assert (found.of(name).verdict, found.of(name).contested) == ("inconclusive", 1)
    (still,) = [t.sentence for t in found.troubles if t.kind == "standstill"]
    assert "unknown" in still or "refused a used entry" in still


def test_a_refused_length_is_judged() -> None:
    log = run(packed=True)
    entry = next(e for e in log.of("used") if e["len"] > 1)
    entry |= {"len": entry["len"] + 1, "accepted": 0}
    assert verdicts(log).of("DX-06").verdict == "fail"


def test_a_malformed_ring_does_not_accuse_the_back_end() -> None:
    log = served()
    for event in log.of("vhost_used", vq=0):
        event |= {"used_idx": 0, "avail_idx": 16}
    last = log.of("vhost_used", vq=0)[-1]
    last["avail_idx"] = 41_244
    row = verdicts(log).of("DX-03")
    assert row.verdict == "inconclusive"
    assert EITHER in row.message
    last |= {"avail_idx": 16, "used_idx": 17}
    assert verdicts(log).of("DX-03").verdict == "fail"


def test_a_chain_that_was_lost_gives_no_size() -> None:
    """The descriptors of a chain whose add is missing are not those of the chain before."""
    log = run()
    first, second = next(
        (a, b)
        for a, b in pairwise(cases.base.chains(log, 0))
        if a[1]["table"] == 0 and a[1]["flags"] & bits.INDIRECT and len(b) > 5
    )
    table = [e for e in second if e["kind"] == "desc" and e["flags"] & bits.NEXT]
    for event in second:
        if "head" in event:
            event["head"] = first[0]["head"]
    assert table
    log.events.remove(second[0])
    events = replace(log.build(), lost=1)
    assert spec.check(events).of("DX-05").verdict == "inconclusive"


def test_the_device_wrote_into_the_available_ring() -> None:
    """Flags that come and go behind the same operations of the driver."""
    log = run()
    for event in log.of("callback", vq=0)[9:]:
        event["avail_flags"] = 0x5555
    row = verdicts(log).of("NU-DR-03")
    assert row.verdict == "inconclusive"
    assert EITHER in row.message


def test_avail_flags_that_stay_whatever_the_driver_does() -> None:
    log = run()
    for event in log.of("callback", vq=0):
        event["avail_flags"] = 1
    row = verdicts(log).of("NU-DR-03")
    assert row.verdict == "inconclusive"
    assert EITHER in row.message
    # Before anything is used the device has no reason to write there.
    early = dict.fromkeys(("used_event", "last_used", "used_idx", "enable", "pending"), 0)
    first = log.one("add", vq=0)
    log.insert(first, "callback", after=False, avail_flags=1, event_idx=1, **early)
    assert verdicts(log).of("NU-DR-03").violations == 1


@pytest.mark.parametrize(("value", "verdict"), [(0, "inconclusive"), (1, "fail")])
def test_the_access_tracer_shows_who_wrote(value: int, verdict: str) -> None:
    log = run()
    for event in log.of("callback", vq=0):
        event["avail_flags"] = 1
    place = {"dev": 1, "life": 0, "cpu": 0, "vq": 0, "size": 2, "write": 1}
    log.add("acc_ring", **place, area="avail", field="flags", value=value, symbol="add+1")
    assert verdicts(log).of("NU-DR-03").verdict == verdict


def test_a_queue_may_be_reset_alone() -> None:
    log = run(offered=OFFERED | 1 << bits.RING_RESET)
    log.drop(log.of("status", op=bits.STATUS_RESET))
    for name in ("CL-DR-02", "DX-28"):
        assert verdicts(log).of(name).verdict == "inconclusive"


def test_a_status_without_a_place() -> None:
    """The driver does not let the device write the status: what stands there is not its word."""
    log = run()
    chain = next(c for c in cases.base.chains(log, 0) if c[-1]["type"] == bits.T_OUT)
    chain[-2]["flags"] &= ~bits.WRITE
    end = cases.block.end_of(log, chain[-1])
    end |= {"status": 255, "len": 0}
    found = verdicts(log)
    assert found.of("DX-19").verdict == "fail"
    row = found.of("DX-23")
    assert row.verdict == "inconclusive"
    assert EITHER in row.message


def test_the_driver_gave_the_queue_up() -> None:
    """It refused an entry, and so takes none any more: that is no lost wake-up of its own."""
    log = run()
    enabled = [e for e in log.of("callback", vq=0, enable=1) if not e["pending"]][-1]
    enabled["used_idx"] = (enabled["last_used"] + 1) % 65536
    place = log.events.index(enabled)
    log.drop(e for e in log.events[place + 1 :] if e.get("vq") == 0 and e["source"] == "driver")
    log.outcome = "hang"
    assert "DX-17" in verdicts(log).having("fail")
    log.of("used", vq=0)[-1] |= {"accepted": 0, "id": 15}
    found = verdicts(log)
    assert "DX-17" not in found.having("fail")
    assert found.having("fail")


def test_entries_that_were_there_before_the_driver_asked_need_no_interrupt() -> None:
    log = run(queues=1, cut=True)
    place = next(
        place
        for place, event in enumerate(log.events)
        if event["kind"] == "callback" and event["enable"] and event["last_used"] >= 8
    )
    enabled, later = log.events[place], log.events[place + 1 :]
    entry = enabled["last_used"]
    enabled |= {"used_event": entry, "used_idx": (entry + 1) % 65536}
    log.drop(e for e in later if e["source"] == "driver" or e["kind"] == "dev_signal")
    log.outcome = "hang"
    cases.base.later(log)
    found = verdicts(log)
    assert "DX-40" in found.having("fail")
    assert "DX-39" not in found.having("fail")
    # The next entry is the one that the driver asked for.
    enabled["used_idx"] = entry
    assert "DX-39" in verdicts(log).having("fail")


@pytest.mark.parametrize("packed", [False, True])
def test_a_driver_that_refused_a_wrong_entry_is_not_waited_for(packed: bool) -> None:
    log = run(packed=packed, cut=True, queues=1)
    entry = log.of("used")[-1]
    entry |= {"id": 12_345, "accepted": 0}
    cases.liveness.stopped(log, entry)
    found = verdicts(log)
    assert ("DX-09" if packed else "DX-01") in found.having("fail")
    assert "DX-40" not in found.having("fail")
    (still,) = [t.sentence for t in found.troubles if t.kind == "standstill"]
    assert "the device's turn: it returned id 12345 instead" in still


def test_a_chain_that_is_too_long_as_seg_max_allows() -> None:
    log = run()
    cases.indirect.longer_than_the_queue(log)
    assert not verdicts(log).of("SI-DR-03").message.endswith("allows")
    log.one("config", offset=SEG_MAX.offset)["value"] = 40
    found = verdicts(log)
    assert found.of("DX-24").verdict == "fail"
    assert ", as the device's seg_max allows" in found.of("SI-DR-03").message


def test_buffers_for_events_may_lie_where_they_are() -> None:
    log = cases.survival.notified_of_nothing()
    cases.survival.stops_after_a_notification_of_nothing(log)
    assert verdicts(log).of("NA-DE-05").verdict == "fail"
    for event in log.of("driver"):
        event["id"] = bits.NET_ID
    assert verdicts(log).of("NA-DE-05").verdict == "inconclusive"


def test_buffers_that_no_one_needs_yet_do_not_show_a_sleeping_device() -> None:
    log = cases.liveness.two_for_one_notification()
    cases.liveness.sleeps(log)
    for event in log.of("driver"):
        event["id"] = bits.NET_ID
    assert "DX-18" not in verdicts(log).having("fail")


def test_what_either_side_may_have_done_is_no_success() -> None:
    log = run()
    for event in log.of("callback", vq=0)[9:]:
        event["avail_flags"] = 0x5555
    found = verdicts(log)
    assert not found.having("fail")
    assert [(t.kind, t.sentence, t.expected) for t in found.troubles] == [
        ("contested", "NU-DR-03 look violated: either side may be to blame", False)
    ]
    assert EXIT_CODES["contested"] == Exit.SKIP
    # Our own driver does wrong on purpose.
    log.driver = DRIVER
    assert not verdicts(log).troubles
    log.driver = "pykit"
    # A rule that fails says it already.
    leaps(log)
    found = verdicts(log)
    assert found.having("fail")
    assert "contested" not in {trouble.kind for trouble in found.troubles}


def test_a_driver_that_reads_the_offer_wrong_does_not_accuse_the_device() -> None:
    log = cases.mmio_registers.on_mmio()
    for event in log.of("features"):
        event["offered"] = event["offered"] & ~(1 << bits.VERSION_1) | 1 << 45
    assert {"RF-DE-01", "FB-DE-04"} <= {*verdicts(log).having("fail")}
    cases.mmio_registers.offer_not_selected(log)
    found = verdicts(log)
    assert "MR-DR-14" in found.having("fail")
    for name in ("RF-DE-01", "FB-DE-04"):
        assert EITHER in found.of(name).message


@pytest.mark.parametrize(("size", "verdict"), [(4, "fail"), (1, "inconclusive")])
def test_a_status_in_another_width_is_not_refused(size: int, verdict: str) -> None:
    log = run()
    agreed = next(e for e in log.of("status") if e["op"] == 0 and e["status"] & 8)
    log.after(agreed, lambda e: e["kind"] == "status" and e["op"] == 1)["status"] = 3
    log.insert(agreed, "register", source="registers", dev=1, life=agreed["life"], structure="mmio",
               register="status", offset=0x70, value=0x0B, size=size, write=1)  # fmt: skip
    log.insert(agreed, "register", source="registers", dev=1, life=agreed["life"], structure="mmio",
               register="status", offset=0x70, value=3, size=4, write=0)  # fmt: skip
    assert verdicts(log).of("FB-DE-02").verdict == verdict


def test_chains_that_the_core_takes_back_leave_no_event() -> None:
    """Linux's core returns them to their driver within the reset of a queue."""
    log = cases.renewed.renewed()
    log.drop(log.of("detach"))
    assert verdicts(log).of("DX-27").verdict == "inconclusive"


def test_a_device_may_have_written_what_was_seen() -> None:
    """A descriptor that no device can serve, of a chain that came back: it stood there later."""
    log = run()
    log.one("desc", 5)["addr"] |= 1 << 62
    row = verdicts(log).of("RF-DR-05")
    assert (row.verdict, row.violations) == ("inconclusive", 0)
    assert EITHER in row.message


def test_what_the_driver_gave_to_another_chain_the_device_did_not_alter() -> None:
    """Of two chains that share a descriptor the first is not as it was when it comes back."""
    log = run()
    slots = {id(event): event["slot"] for event in log.of("desc")}
    cases.split.slot_of_another(log)
    shared = next(event for event in log.of("desc") if slots[id(event)] != event["slot"])
    place = {"vq": shared["vq"], "slot": shared["slot"]}
    owner = next(e for e in log.of("desc", **place) if e["head"] != shared["head"])
    back = log.after(owner, lambda e: e["kind"] == "used" and e["id"] == owner["head"])
    entry = {"id": back["id"], "len": back["len"], "index": back["index"], "head": back["id"]}
    kept = dict.fromkeys(("driver_area", "header", "behind", "table", "between", "slot"), 0)
    log.insert(back, "compared", after=False, **entry, **kept, changed=1)
    assert verdicts(log).of("DX-07").verdict == "fail"


def test_an_answer_with_another_id_is_not_forgotten() -> None:
    """The device returns an id that is not outstanding, and the driver takes it for a request's."""
    log = cases.liveness.reclaimed()
    forgotten = log.of("detach")[0]
    log.drop([forgotten])
    assert verdicts(log).of("DX-36").verdict == "fail"
    log.of("used", vq=forgotten["vq"])[-1]["id"] = 900
    found = verdicts(log)
    assert found.of("DX-01").verdict == "fail"
    # Of the other queue all were answered or taken back.
    assert found.of("DX-36").verdict == "pass"


def test_a_driver_that_leaves_interrupts_disabled_gets_none() -> None:
    """Its event index did not move with the entry that it took, as memory shows."""
    log = cases.liveness.two_for_one_notification()
    log.drop(log.of("dev_pop", "dev_fill", "dev_flush", "used"))
    place = {"dev": 1, "life": 0, "vq": 0, "cpu": 0, "pid": 7}
    second = log.events[log.events.index(log.one("add", 1)) :]
    log.drop(second)
    for index in (0, 1):
        log.add("dev_pop", dev=1, life=0, vq=0, pid=1, elem=index, in_num=0, out_num=1,
                avail_idx=index + 1)  # fmt: skip
        log.add("dev_fill", dev=1, life=0, vq=0, pid=1, elem=index, len=1, index=index)
        log.add("dev_flush", dev=1, life=0, vq=0, pid=1, count=1)
        if index:
            break
        log.add("dev_signal", dev=1, life=0, vq=0, pid=1)
        log.add("interrupt", **place, used_idx=1, last_used=0)
        log.add("callback", **place, avail_flags=0, used_event=0, last_used=0, used_idx=1,
                event_idx=1, enable=0, pending=0)  # fmt: skip
        log.add("used", **place, id=0, len=1, index=0, used_idx=1, accepted=1, flags=0, event=0,
                event_flags=0)  # fmt: skip
        for event in second:
            log.add(event["kind"], **{k: v for k, v in event.items() if k not in LABELS})
    cases.base.later(log)
    found = verdicts(log)
    assert "DX-40" in found.having("fail")
    assert not {"NU-DE-05", "DX-15"} & {*found.having("fail")}


def test_a_configuration_change_without_a_vector_is_not_logged() -> None:
    log = cases.pci_registers.without_msix()
    reads = log.of("register", register="isr")
    reads[1]["value"] = 1
    assert verdicts(log).of("PR-DE-05").verdict == "fail"
    reads[1]["value"] = 3
    assert verdicts(log).of("PR-DE-05").verdict != "fail"


def test_a_status_that_was_written_too_wide_is_no_remainder_of_a_reset() -> None:
    log = pci().log
    log.one("register", 1, register="status", write=1)["size"] = 2
    log.add("register", dev=1, life=0, structure="common", register="status", offset=20, size=1,
            value=1, write=0)  # fmt: skip
    found = verdicts(log)
    assert "PL-DR-01" in found.having("fail")
    assert "PM-DE-08" not in found.having("fail")


def test_more_segments_than_one_may_be_too_many_where_the_limit_was_not_read() -> None:
    log = run()
    start = cases.block.request(log, bits.T_WRITE_ZEROES)
    start |= {"segments": 2, "bytes": 32}
    cases.block.end_of(log, start)["status"] = bits.S_UNSUPP
    log.drop(log.of("config", offset=MAX_ZEROES_SEG.offset))
    assert "FB-DE-04" not in verdicts(log).having("fail")


def test_a_device_that_needs_a_reset_takes_nothing() -> None:
    log = cases.survival.notified_of_nothing()
    cases.survival.stops_after_a_notification_of_nothing(log)
    log.add("config_change", dev=1, life=0, cpu=0, pid=7, status=0x4F)
    assert verdicts(log).of("NA-DE-05").verdict == "inconclusive"


def test_a_vector_that_the_device_did_not_take_is_none() -> None:
    log = pci().log
    for event in log.of("register", register="queue_vector", write=0):
        event["value"] = bits.NO_VECTOR
    log.add("register", dev=1, life=0, structure="isr", register="isr", offset=0, size=1, value=0,
            write=0)  # fmt: skip
    assert "PR-DR-01" not in verdicts(log).having("fail")


@pytest.mark.parametrize("packed", [False, True])
def test_a_queue_is_given_up_for_a_reason(packed: bool) -> None:
    name = "DX-67" if packed else "DX-37"
    log = run(packed=packed)
    failed = log.of("add_failed")[-1]
    failed["err"] = -5
    assert name in verdicts(log).having("fail")
    log.insert(failed, "queue", after=False, vq=failed["vq"], op=4)
    assert name not in verdicts(log).having("fail")


def test_an_interrupt_of_an_earlier_entry_is_one() -> None:
    """The driver is to act, though the device sent none for the entries since."""
    log = run(cut=True, queues=1)
    signal = next(
        e
        for e in log.of("dev_signal")
        if log.after(e, lambda other: "vq" in other)["kind"] == "interrupt"
    )
    place = log.events.index(signal)
    later = [e for e in log.events[place + 1 :] if "vq" in e]
    log.drop(e for e in later if e["kind"] not in ("dev_fill", "dev_flush"))
    filled = [e for e in later if e["kind"] in ("dev_fill", "dev_flush")][:2]
    log.drop(e for e in later if e["kind"] in ("dev_fill", "dev_flush") and e not in filled)
    cases.liveness.stopped(log, filled[-1] if filled else signal)
    assert "DX-39" not in verdicts(log).having("fail")


def test_a_device_whose_event_index_the_driver_wrote_is_not_accused() -> None:
    log = cases.liveness.two_for_one_notification()
    cases.liveness.sleeps(log)
    assert "DX-18" in verdicts(log).having("fail")
    place = {"dev": 1, "life": 0, "vq": 0, "cpu": 0, "symbol": "add+1", "size": 2}
    for area, part in (("avail", "idx"), ("used", "event")):
        log.add("acc_ring", **place, area=area, field=part, value=1, write=1, offset=0)
    found = verdicts(log)
    assert "DX-73" in found.having("fail")
    assert not {"DX-18", "DX-39"} & {*found.having("fail")}


def test_the_tracer_sees_an_access_that_qemu_cut_in_two() -> None:
    log = pci().log
    log.add("acc_register", dev=1, life=0, cpu=0, structure="common", register="queue_desc_low",
            offset=32, size=8, write=1)  # fmt: skip
    log.add("acc_register", dev=1, life=0, cpu=0, structure="common", register="status",
            offset=20, size=1, write=0)  # fmt: skip
    assert "PL-DR-03" in verdicts(log).having("fail")


@pytest.mark.parametrize("size", [1, 2])
def test_offsets_of_a_device_that_was_not_surveyed_begin_at_its_structure(size: int) -> None:
    """The tracer counts them from the BAR's start, and QEMU gives each structure a page."""
    log = pci().log
    log.add("acc_register", dev=1, life=0, cpu=0, structure="isr", register="isr",
            offset=0x1000, size=size, write=0)  # fmt: skip
    log.add("acc_register", dev=1, life=0, cpu=0, structure="common", register="status",
            offset=20, size=1, write=1)  # fmt: skip
    assert ("PL-DR-01" in verdicts(log).having("fail")) == (size > 1)


def test_a_queue_whose_notification_failed_is_given_up_with_reason() -> None:
    log = run()
    cases.split.queue_is_given_up(log)
    assert "DX-37" in verdicts(log).having("fail")
    failed = log.of("add_failed")[-1]
    log.insert(failed, "notify", after=False)
    assert "DX-37" not in verdicts(log).having("fail")


def test_a_header_that_the_device_wrote_over_does_not_accuse_the_driver() -> None:
    """It may have done so before the driver traced its request."""
    log = marked()()
    request, wrote = log.one("blk_start"), log.one("blk_wrote")
    request["type"] = 165
    assert spec.check(log.build()).of("DX-22").verdict == "fail"
    wrote["header"] = 0
    verdicts = spec.check(log.build())
    assert verdicts.of("DX-22").verdict != "fail"
    assert verdicts.of("SD-DE-01").verdict == "fail"


def test_generations_that_the_driver_made_up_do_not_accuse_the_device() -> None:
    log = run()
    cases.config.config_change(log)
    cases.config.generation_stands_still(log)
    assert "PM-DE-06" in verdicts(log).having("fail")
    # The registers' log has reads of the configuration, and none of the generation.
    place = {"structure": "config", "register": "config", "offset": 0, "size": 4, "value": 0}
    for write in (0, 1):
        log.insert(log.one("config"), "register", **place, write=write)
    found = verdicts(log)
    assert "CF-DR-03" in found.having("fail")
    assert found.of("PM-DE-06").verdict == "inconclusive"


def test_a_driver_that_has_not_read_the_offer_may_not_agree_with_the_device() -> None:
    log = run(queues=1, cut=True)
    place = {"dev": 1, "life": 0, "structure": "common", "size": 4}
    first = log.events[0]
    for name, write, value in (
        ("status", 1, 0),
        ("status", 0, 0),
        ("device_feature_select", 1, 0),
        ("device_feature", 0, 1),
        ("driver_feature_select", 1, 0),
        ("driver_feature", 1, 1),
    ):
        fields = {"register": name, "offset": 0, "write": write, "value": value}
        log.insert(first, "register", after=False, **place, **fields)
    cases.liveness.stopped(log, log.of("dev_pop")[-1])
    assert "DX-39" in verdicts(log).having("fail")
    log.drop(log.of("register", register="device_feature"))
    found = verdicts(log)
    assert "FB-DR-03" in found.having("fail")
    assert "DX-39" not in found.having("fail")


def test_a_workload_that_waits_for_the_disk_shows_that_no_driver_took_it() -> None:
    log = surveyed()
    cases.pci_driver.nobody_takes_it(log)
    log.outcome = "hang"
    cases.base.later(log)
    assert "PY-DR-01" not in verdicts(log).having("fail")
    log.steps.append(CapturedStep("plug", 0, 0.1, ""))
    assert "PY-DR-01" in verdicts(log).having("fail")


def test_a_used_index_that_goes_back_does_not_accuse_the_driver() -> None:
    """It took the entry when the index was over it: nothing shows where it stood by then."""
    log = run(queues=1)
    log.of("used", vq=0)[0]["used_idx"] = 0xFFFF
    found = verdicts(log)
    assert "DX-37" not in found.having("fail")
    assert "DX-03" in found.having("fail")


@pytest.mark.parametrize(("device", "found"), [(bits.BLK_ID, "fail"), (bits.NET_ID, "pass")])
def test_a_chain_that_a_network_device_handed_back_is_popped_again(device: int, found: str) -> None:
    """QEMU's log has no line for that; other devices hand none back."""
    log = cases.packed_used.PACKED()
    for event in log.of("driver"):
        event["id"] = device
    pop = log.of("dev_pop", vq=0)[5]
    again = {name: value for name, value in pop.items() if name not in LABELS}
    log.insert(pop, "dev_pop", after=False, **{**again, "elem": pop["elem"] + 1})
    assert verdicts(log).of("PV-DE-02").verdict == found


def test_an_event_buffer_without_room_accuses_its_driver_alone() -> None:
    log = cases.others.chain(bits.INPUT_ID, 0, 0, 4, 4)()
    found = verdicts(log)
    assert (found.of("IP-DR-01").verdict, found.of("IP-DE-01").checked) == ("fail", 0)


def test_a_list_that_the_driver_may_have_written_over_accuses_nobody() -> None:
    """It breaks the ring behind the list, which the device has not returned by then."""
    log = run(packed=True)
    cases.packed_used.packed_taken_out_of_order(log)
    assert "PV-DE-01" in verdicts(log).having("fail")
    pops = log.of("dev_pop", vq=0)
    log.after(pops[1], lambda e: e["kind"] == "callback" and e["vq"] == 0)["avail_flags"] = 3
    found = verdicts(log).of("PV-DE-01")
    assert found.verdict == "inconclusive"
    assert EITHER in found.message
