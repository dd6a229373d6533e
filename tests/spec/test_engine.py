# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts: lost events, missing observers, waivers and evidence."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from pykit import spec, trace
from pykit.errors import UsageError
from pykit.report import finding
from pykit.report.view import view_of
from pykit.spec import bits
from pykit.spec.engine import VERDICTS, judge
from pykit.spec.model import Result, Rule, Violation
from pykit.spec.waivers import Waiver, read
from pykit.trace.capture import Plug
from pykit.trace.kinds import KINDS
from tests.spec import cases, deviations
from tests.spec.disk import Disk
from tests.spec.log import Log
from tests.spec.machine import OFFERED, run

DATA = Path(__file__).parent.parent / "data"


def test_clean_run() -> None:
    verdicts = spec.check(run().build())
    summary = verdicts.summary()
    assert set(summary) == set(VERDICTS)
    assert sum(summary.values()) == len(spec.rules()) == len(verdicts.rules)
    assert summary["fail"] == 0
    assert summary["pass"] >= 70
    for entry in verdicts.rules:
        assert entry.message
        assert (entry.checked > 0) == (entry.verdict == "pass")


def test_real_capture(tmp_path: Path) -> None:
    shutil.unpack_archive(DATA / "capture-6.12.tar.xz", tmp_path)
    info = next(tmp_path.rglob("capture.json"))
    verdicts = spec.check(trace.load(info.parent))
    assert verdicts.having("fail") == ()
    assert verdicts.summary()["pass"] >= 60


def test_the_probe_is_judged_as_the_driver_would_be() -> None:
    log = run()
    own = spec.check(log.build())
    for event in log.events:
        event["source"] = "probe" if event["source"] == "driver" else event["source"]
    assert spec.check(log.build()).as_json() == own.as_json()


def test_of_two_accounts_the_drivers_own_is_judged() -> None:
    log = run()
    own = log.build()
    second = Log(events=[event | {"source": "probe"} for event in log.of(*KINDS, source="driver")])
    cases.split.steps_by_two(second)
    log.events += second.events
    verdicts = spec.check(log.build())
    assert verdicts.having("fail") == ()
    assert [v.checked for v in verdicts.rules] == [v.checked for v in spec.check(own).rules]


def test_the_legacy_interface_is_not_judged_by_the_modern_clauses() -> None:
    log = run(offered=OFFERED & ~(1 << bits.VERSION_1))
    assert "RF-DE-01" in spec.check(log.build()).having("fail")
    log.legacy = True
    # A read where the modern interface has the generation says nothing there.
    cases.config.generation_stands_still(log)
    verdicts = spec.check(log.build())
    assert verdicts.having("fail") == ()
    for name in ("RF-DE-01", "PM-DE-06", "CF-DR-03"):
        assert verdicts.of(name).verdict == "not-applicable", name


def test_channel_io_has_no_generation() -> None:
    log = run()
    cases.config.no_generation_at_all(log)
    assert spec.check(log.build()).of("CF-DR-03").verdict == "fail"
    log.device_type = "virtio-blk-ccw"
    assert spec.check(log.build()).of("CF-DR-03").verdict == "not-applicable"


def test_channel_io_has_no_registers() -> None:
    log = run()
    log.device_type = "virtio-blk-ccw"
    verdicts = spec.check(log.build())
    for name in ("PM-DE-17", "MR-DR-01", "PX-DE-01", "DX-34"):
        assert verdicts.of(name).verdict == "not-applicable", name
        assert "channel I/O" in verdicts.of(name).message
    # A clause of all transports that only registers show.
    assert verdicts.of("FB-DR-03").verdict == "inconclusive"


def test_whether_an_unnamed_transport_has_a_generation_is_not_known() -> None:
    log = run()
    log.device_type, log.outcome = "", "recorded"
    assert spec.check(log.build()).of("CF-DR-03").verdict == "pass"
    cases.config.no_generation_at_all(log)
    verdict = spec.check(log.build()).of("CF-DR-03")
    assert (verdict.verdict, verdict.violations) == ("inconclusive", 0)
    assert "channel I/O" in verdict.message


def test_lost_events_decide_nothing() -> None:
    log = run()
    log.lost = 3
    assert {entry.verdict for entry in spec.check(log.build()).rules} == {"inconclusive"}
    cases.split.steps_by_two(log)
    assert spec.check(log.build()).of("SA-DR-01").verdict == "inconclusive"


def test_a_single_event_proves_in_spite_of_loss() -> None:
    log = run()
    log.lost = 3
    cases.block.half_a_sector(log)
    verdicts = spec.check(log.build())
    assert verdicts.having("fail") == ("BO-DR-06",)


def test_missing_observers_are_named() -> None:
    outside = run()
    outside.drop([e for e in outside.events if e["source"] != "qemu"])
    entry = spec.check(outside.build()).of("SA-DR-01")
    assert entry.verdict == "inconclusive"
    assert "driver's tracepoints" in entry.message
    entry = spec.check(run(outside=False).build()).of("XC-03")
    assert entry.verdict == "inconclusive"
    assert "QEMU's log" in entry.message
    # Either observer is enough here.
    assert spec.check(run(outside=False).build()).of("ST-DR-02").verdict == "pass"


def test_nothing_at_all() -> None:
    verdicts = spec.check(Log().build())
    assert verdicts.summary()["inconclusive"] == len(spec.rules())


def test_not_applicable_says_why() -> None:
    entry = spec.check(run().build()).of("RF-DE-05")
    assert (entry.verdict, entry.checked) == ("not-applicable", 0)
    assert "IN_ORDER" in entry.message


def test_evidence_is_of_the_same_queue() -> None:
    log = run()
    cases.split.steps_by_two(log)
    wrong = log.one("add")
    (entry,) = (e for e in spec.check(log.build()).rules if e.verdict == "fail")
    assert len(entry.evidence) <= 20
    rows = [event["row"] for event in entry.evidence]
    assert rows == sorted(rows)
    assert {event["vq"] for event in entry.evidence} == {wrong["vq"]}
    assert any(event["ts"] == wrong["ts"] for event in entry.evidence)
    assert all(value is not None for event in entry.evidence for value in event.values())


def test_evidence_stays_small() -> None:
    many = tuple(Violation((n, n + 1), "x") for n in range(0, 60, 2))
    loud = Rule("X", "x", (), "both", "MUST", "x", (), False, lambda _: Result(30, many))
    (entry,) = judge(run().build(), [loud], ()).rules
    assert (entry.verdict, entry.violations) == ("fail", 30)
    assert len(entry.evidence) <= 20
    assert entry.message == "x (and 29 more)"


def test_json_is_as_promised() -> None:
    log = run()
    cases.split.returned_twice(log)
    events = log.build()
    data = json.loads(json.dumps(spec.check(events).as_json()))
    assert data["schema"] == 1
    assert data["events"] == {"total": events.table.height, "lost": 0}
    assert sum(data["summary"].values()) == len(data["rules"])
    wanted = {"id", "clauses", "side", "strength", "verdict", "checked", "violations"}
    for entry in data["rules"]:
        assert set(entry) == wanted | {"evidence", "message"}
        assert set(entry["clauses"]) <= set(spec.CLAUSES)
    assert data == json.loads(json.dumps(spec.check(events).as_json()))


def test_strength_is_the_clauses() -> None:
    for rule in spec.rules():
        assert rule.strength in ("MUST", "MUST NOT", "SHOULD", "SHOULD NOT")
        assert rule.side in ("driver", "device", "both")
        assert rule.needs
        assert rule.title
        assert rule.as_dict()["id"] == rule.id
    assert {rule.id: rule.strength for rule in spec.rules()}["NA-DR-07"] == "SHOULD NOT"


def test_a_device_that_does_not_answer_may_be_reset_with_requests() -> None:
    log = run()
    cases.cleanup.suspended_with_requests(log)
    assert spec.check(log.build()).of("DX-28").verdict == "fail"
    log.one("driver", stage=bits.FREEZE)["err"] = -110
    assert spec.check(log.build()).of("DX-28").verdict == "pass"


# Waivers.


def firmware() -> Log:
    log = run(lives=2)
    cases.init.two_steps_in_one(log)
    log.drop([e for e in log.events if e["source"] == "driver" and e.get("life") == 0])
    return log


def u_boot(log: str = "legacy") -> trace.Events:
    """U-Boot's log, of a legacy disk or one on MMIO."""
    events = trace.load_log(DATA / f"qemu-7.2-uboot-{log}.log")
    return replace(events, capture=replace(events.capture, kernel="U-Boot"))


def sea_bios() -> trace.Events:
    """SeaBIOS's log."""
    events = trace.load_log(DATA / "qemu-7.2-seabios.log")
    return replace(events, capture=replace(events.capture, qemu="7.2.22"))


def statistics_come_early() -> Log:
    """The third queue is notified, and served, before DRIVER_OK."""
    log = run(queues=3)
    log.device_type, log.driver = "virtio-balloon-pci", "virtio_balloon"
    log.insert(log.one("status", status=0x0F, op=0), "notify", after=False, vq=2)
    pop = log.one("dev_pop", vq=2)
    log.events.remove(pop)
    log.events.insert(log.events.index(log.one("dev_status", status=0x0F)), pop)
    return log


def data_counts() -> Log:
    """The device counts what it read: the response has 108 bytes."""
    log = run()
    log.device_type = "virtio-scsi-pci"
    used = next(e for e in log.of("used") if e["len"] > 1)
    chain = next(c for c in cases.base.chains(log, used["vq"]) if c[0]["head"] == used["id"])
    add = chain[0]
    log.drop(event for event in chain if event["kind"] == "desc")
    add["writable"], used["len"] = 108, 108 + 512
    return log


def status_event_counts() -> Log:
    """The device counts what it read: a status event has no room for an answer."""
    log = run()
    log.device_type, log.qemu = "virtio-keyboard-pci", "QEMU 7.2.22 -device virtio-keyboard-pci"
    used = next(e for e in log.of("used") if e["len"] > 1)
    chain = next(c for c in cases.base.chains(log, used["vq"]) if c[0]["head"] == used["id"])
    log.drop(event for event in chain if event["kind"] == "desc")
    chain[0]["writable"], used["len"] = 0, 8
    return log


def acknowledged_too_early() -> Log:
    """As Linux does it."""
    log = cases.mmio.on_mmio()
    cases.mmio.acknowledged_too_early(log)
    log.kernel = "6.12.0"
    return log


def failed_adds_notify() -> Log:
    """As Linux does it."""
    log = cases.notify.crowded()()
    cases.notify.failed_adds_notify(log)
    log.kernel = "6.12.0"
    return log


def used_event_is_always_written() -> Log:
    """As Linux does it."""
    log = cases.stores.without_event_idx()
    cases.stores.event_field_without_the_feature(log)
    log.kernel = "6.12.0"
    return log


def edk_does_not_wait() -> Log:
    """As EDK II does it."""
    log = cases.reset.of_registers()
    cases.reset.reset_is_not_read_back(log)
    log.kernel = "OVMF"
    return log


def mmio_does_not_wait() -> Log:
    """As Linux does it."""
    log = cases.reset.of_registers()
    cases.reset.queues_go_before_the_status_is_read(log)
    log.device_type, log.kernel = "virtio-blk-device", "6.12.0"
    return log


def id_is_counted_whole() -> Log:
    """As QEMU does it."""
    return Disk().ask(bits.T_GET_ID, size=20, wrote={"written": 0}, length=21).log


def failed_read_is_counted_whole() -> Log:
    """As QEMU before 10.1 does it."""
    disk = Disk().ask(bits.T_IN, 0, 8, bits.S_IOERR, wrote={"written": 0}, length=4097)
    return disk.log


def interrupts_at_the_end_of_the_ring() -> Log:
    """As QEMU does it: one more interrupt where used descriptors pass a packed ring's end."""
    size = 8
    log = run(packed=True, size=size, queues=1)
    adds, place = iter(log.of("add", vq=0)), 0
    slots = {pop["avail_idx"]: next(adds)["slots"] for pop in log.of("dev_pop", vq=0)}
    elems: dict[int, int] = {}
    chosen = None
    for event in log.of("dev_pop", "dev_fill", "dev_signal", vq=0):
        if event["kind"] == "dev_pop":
            elems[event["elem"]] = slots[event["avail_idx"]]
        elif event["kind"] == "dev_fill":
            end = place + elems[event["elem"]]
            passes, place = place // size != end // size, end
            suppressed = log.after(event, lambda e: e["kind"].startswith("dev_"))["kind"]
            if passes and suppressed not in ("dev_signal", "dev_fill"):
                chosen = event
    assert chosen is not None
    log.insert(chosen, "dev_signal", vq=0)
    return log


def one_vector_as_asked() -> Log:
    """As QEMU does it."""
    log = cases.pci_capabilities.surveyed()
    cases.pci_capabilities.one_vector(log)
    log.options = {"vectors": 1}
    return log


def vectors_to_spare_as_asked() -> Log:
    """As a disk of QEMU's is with vectors=3 and one queue."""
    log = cases.pci_capabilities.surveyed()
    cases.pci_capabilities.vectors_to_spare(log)
    log.options = {"vectors": 3}
    return log


def network_offer_by_halfwords() -> Log:
    """As iPXE does it."""
    log = cases.pci_registers.on_pci()
    log.one("register", register="device_feature")["size"] = 2
    log.device_type = "virtio-net-pci"
    return log


def legacy_of(kernel: str) -> Log:
    """As drivers of the legacy interface do it: no ANY_LAYOUT, the capacity once."""
    log = cases.legacy.on_pci()
    cases.legacy.any_layout_is_declined(log)
    cases.legacy.capacity_is_read_once(log)
    log.kernel = kernel
    return log


def network_accepts_its_address() -> Log:
    """As iPXE does it."""
    log = legacy_of("")
    log.one("register", register="driver_feature")["value"] = 0x20
    log.device_type = "virtio-net-pci"
    return log


#: As many as there are waivers: each is met by something.
WAIVED: list[tuple[str, Callable[[], trace.Events]]] = [
    ("SU-DE-02", lambda: id_is_counted_whole().build()),
    ("SU-DE-02", lambda: failed_read_is_counted_whole().build()),
    ("NT-DE-04", lambda: deviations.number_of_buffers_is_left_out().build()),
    ("DX-79", lambda: deviations.write_is_left_out().build()),
    ("DX-26", lambda: deviations.acceptance_is_kept().build()),
    ("IN-DR-01", lambda: firmware().build()),
    ("IN-DR-01", u_boot),
    ("RS-DR-01", sea_bios),
    ("PM-DR-05", sea_bios),
    ("RS-DR-01", lambda: edk_does_not_wait().build()),
    ("PM-DR-05", lambda: edk_does_not_wait().build()),
    ("RS-DR-01", lambda: mmio_does_not_wait().build()),
    ("ST-DR-01", u_boot),
    ("IN-DR-08", lambda: statistics_come_early().build()),
    ("ST-DE-01", lambda: statistics_come_early().build()),
    ("RS-DE-03", lambda: statistics_come_early().build()),
    ("DX-06", lambda: data_counts().build()),
    ("DX-06", lambda: status_event_counts().build()),
    ("MN-DR-03", lambda: acknowledged_too_early().build()),
    ("NA-DR-07", lambda: failed_adds_notify().build()),
    ("DX-32", lambda: used_event_is_always_written().build()),
    ("PQ-DE-01", lambda: one_vector_as_asked().build()),
    ("PQ-DE-03", lambda: vectors_to_spare_as_asked().build()),
    ("PL-DR-03", lambda: network_offer_by_halfwords().build()),
    ("LG-RD-01", lambda: legacy_of("U-Boot").build()),
    ("LG-RD-01", lambda: network_accepts_its_address().build()),
    ("LG-CD-01", lambda: legacy_of("U-Boot").build()),
    ("DX-65", lambda: interrupts_at_the_end_of_the_ring().build()),
    ("DX-65", lambda: deviations.strays(packed=True, event_idx=True, count=500).build()),
    ("LG-RD-01", lambda: legacy_of("6.1.0").build()),
    ("IN-DR-01", lambda: deviations.legacy_ipxe().build()),
    ("ST-DR-01", lambda: deviations.legacy_ipxe().build()),
    ("CF-DR-04", lambda: deviations.legacy_sea_bios().build()),
    ("CF-DR-03", lambda: deviations.vsock_driver().build()),
    ("SC-DE-01", lambda: deviations.vhost_scsi().build()),
    ("DX-24", lambda: deviations.seg_max_not_adjusted().build()),
    ("DX-33", lambda: deviations.edk_reads_early().build()),
    ("DX-20", lambda: deviations.size_max_below_a_page().build()),
    ("SI-DR-03", lambda: deviations.chains_as_long_as_seg_max().build()),
    ("SI-DE-02", lambda: deviations.table_behind_buffers().build()),
    ("MI-DR-06", lambda: u_boot("mmio")),
    ("BI-DE-03", lambda: deviations.cache_stays_on().build()),
    ("FB-DE-01", lambda: deviations.ecn_without_segmentation().build()),
    ("RF-DR-06", lambda: deviations.sea_bios_declines_packed_rings().build()),
    ("RF-DR-03", lambda: deviations.balloon_gives_frame_numbers().build()),
    ("SU-DR-01", lambda: deviations.lengths_are_not_looked_at().build()),
    ("SU-DR-02", lambda: deviations.lengths_are_not_looked_at().build()),
    ("ST-DR-04", lambda: deviations.broken_device_is_waited_for().build()),
]


@pytest.mark.parametrize(
    ("waiver", "name", "seen"),
    [(waiver, *met) for waiver, met in zip(spec.waivers(), WAIVED, strict=True)],
)
def test_waived_with_evidence(waiver: Waiver, name: str, seen: Callable[[], trace.Events]) -> None:
    events = seen()
    verdicts = spec.check(events)
    entry = verdicts.of(name)
    assert entry.verdict == "waived", entry.message
    assert entry.violations > 0
    assert entry.evidence
    assert entry.known == waiver.evidence
    made = {"command": ["pykit", "run", "blk"], "qemu": "7.2.22", "pykit": "0.2.0"}
    text = finding.render(view_of(verdicts, events, made, ""), name)
    for part in (
        *(clause.text for clause in map(spec.CLAUSES.get, entry.rule.clauses) if clause),
        finding.plain(waiver.reason),
        finding.plain(waiver.evidence),
        *(device.type for device in events.capture.devices),
        finding.plain(events.capture.kernel),
        "- QEMU: 7.2.22",
        f"pykit run blk   # {name}: waived",
    ):
        assert part in text, part
    quoted = {int(row) for row in re.findall(r"^ *(\d+) ", text.partition("## Events")[2], re.M)}
    assert quoted == {event["row"] for event in entry.evidence}
    assert quoted & {*entry.rows}


def test_waiver_covers_no_other_version() -> None:
    log = data_counts()
    log.qemu = "12.0.0"
    assert spec.check(log.build()).of("DX-06").verdict == "fail"


def test_waiver_covers_no_other_violation() -> None:
    log = data_counts()
    other = [e for e in log.of("used") if e["len"] > 1][-1]
    other["len"] += 1
    entry = spec.check(log.build()).of("DX-06")
    assert entry.verdict == "fail"
    assert "writable 108 bytes" not in entry.message


@pytest.mark.parametrize("name", ["IN-DR-01", "RS-DR-01", "PM-DR-05"])
def test_waiver_of_firmware_covers_no_later_life(name: str) -> None:
    """A driver of the guest's own deviates as SeaBIOS does, in the life after SeaBIOS's."""
    events = sea_bios()
    late = pl.when(pl.col("life") == 0).then(1).otherwise("life").cast(pl.UInt32).alias("life")
    frames = replace(events.frames, base=events.base.with_columns(late))
    assert spec.check(replace(events, frames=frames)).of(name).verdict == "fail"


@pytest.mark.parametrize("name", ["IN-DR-01", "RS-DR-01", "PM-DR-05"])
def test_waiver_of_firmware_covers_no_device_that_is_plugged(name: str) -> None:
    events = sea_bios()
    (device,) = events.capture.devices
    plugged = replace(events.capture, plugs=(Plug(device.id, 0, 0),))
    assert spec.check(replace(events, capture=plugged)).of(name).verdict == "fail"


def test_waiver_of_firmware_covers_no_traced_life() -> None:
    log = run(lives=2)
    cases.init.two_steps_in_one(log)
    assert spec.check(log.build()).of("IN-DR-01").verdict == "fail"


@pytest.mark.parametrize(
    ("name", "log"),
    [
        ("SI-DR-03", deviations.chains_as_long_as_seg_max),
        ("IN-DR-08", statistics_come_early),
    ],
)
def test_waiver_covers_no_other_driver(name: str, log: Callable[[], Log]) -> None:
    other = log()
    other.driver = "pykit_virtio_blk"
    assert spec.check(other.build()).of(name).verdict == "fail"


def test_a_read_that_failed_may_have_been_served() -> None:
    """Nothing shows that a device which reports IOERR has not written all of the data."""
    log = run(errors=0.3)
    cases.canary.failed_read_claims_data(log)
    for end in log.of("blk_done", status=bits.S_UNSUPP):
        end["status"] = bits.S_IOERR
    entry = spec.check(log.build()).of("SU-DE-02")
    assert entry.verdict == "pass"
    assert "1 undecided" in entry.message


def test_waiver_covers_no_notification_of_the_driver() -> None:
    """The driver notifies though suppressed, beside the core's own notification."""
    log = failed_adds_notify()
    for refused in log.of("add_failed", notified=1):
        log.insert(log.after(refused, lambda e: e["kind"] == "notify"), "notify")
    entry = spec.check(log.build()).of("NA-DR-07")
    assert entry.verdict == "fail"
    assert "without a decision" in entry.message
    log = failed_adds_notify()
    cases.notify.notifies_though_suppressed(log)
    entry = spec.check(log.build()).of("NA-DR-07")
    assert entry.verdict == "fail"
    assert ", which the device suppressed by avail_event " in entry.message


def test_a_failed_add_rings_for_what_was_added_before() -> None:
    """The next decision is about the same entries, of which the device has been notified."""
    log = run()
    kick = next(k for k in log.of("kick", needed=1) if k["event"] == k["event_after"] and k["pid"])
    log.drop([log.after(kick, lambda e: e["kind"] == "notify" and e["pid"] == kick["pid"])])
    assert spec.check(log.build()).of("DX-16").verdict == "fail"
    reported = {name: value for name, value in kick.items() if name in KINDS["add_failed"]}
    reported |= {"err": -28, "chain": 9, "slots": 9, "num_free": 0, "notified": 1}
    refused = log.insert(kick, "add_failed", after=False, **reported)
    log.insert(refused, "notify")
    verdicts = spec.check(log.build())
    assert [verdicts.of(name).verdict for name in ("DX-16", "NA-DR-06", "NA-DR-07")] == ["pass"] * 3
    refused["old"] = refused["new"] = (kick["new"] - 1) % (1 << 16)
    assert spec.check(log.build()).of("DX-16").verdict == "fail"


@pytest.mark.parametrize(("scsi", "verdict"), [(1, "waived"), (2, "fail")])
def test_waiver_covers_no_other_device_of_the_capture(scsi: int, verdict: str) -> None:
    """All events are of device 1, which is one of two."""
    built = data_counts().build()
    (device,) = built.capture.devices
    both = (replace(device, id="scsi"), replace(device, id="disk", type="virtio-blk-pci"))
    events = replace(
        built,
        capture=replace(built.capture, devices=both),
        devices={"scsi": scsi, "disk": 3 - scsi},
    )
    assert spec.check(events).of("DX-06").verdict == verdict


ENTRY = """
[[waiver]]
rule = "DX-01"
where = { qemu = "7" }
reason = "because"
evidence = "seen"
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ENTRY.replace("DX-01", "DX-99"), "unknown rule 'DX-99'"),
        (ENTRY.replace('evidence = "seen"', ""), "needs rule"),
        (ENTRY.replace("qemu", "weather"), "where takes"),
        (ENTRY.replace('"7"', '"("'), "regular expression"),
        ("[[waiver", "not TOML"),
    ],
)
def test_bad_waivers(text: str, message: str) -> None:
    assert len(read(ENTRY, {"DX-01"}, "file")) == 1
    with pytest.raises(UsageError, match=message) as caught:
        read(text, {"DX-01"}, "file")
    assert str(caught.value).startswith("file")
    assert "\n" not in str(caught.value)


# What is there.


def test_coverage() -> None:
    coverage = spec.coverage()
    assert len(coverage.ruled) >= 60
    assert not set(coverage.explained) & set(coverage.ruled)
    assert not set(coverage.open) & {*coverage.explained, *coverage.ruled}
    for name in coverage.ruled:
        assert spec.CLAUSES[name].strength != "MAY"
    topics = {spec.CLAUSES[name].topic for name in coverage.open}
    done = {"status", "features", "reserved-features", "split", "indirect", "framing", "block"}
    assert not topics & (done | {"config", "cleanup"})


def test_reference_names_everything() -> None:
    text = spec.describe()
    for rule in spec.rules():
        assert rule.id in text
        assert rule.title in text
    for name in (*spec.coverage().explained, *spec.faults()):
        assert name in text


def test_clause_data_is_whole() -> None:
    assert len(spec.CLAUSES) == 524 + 124
    assert spec.CLAUSES["DX-37"].side == "driver"


def test_what_qemu_cannot_see_is_not_its_silence() -> None:
    """A vhost-user device's rings are read by another process."""
    events = run().build()
    assert spec.check(events).of("RS-DE-03").verdict == "pass"
    device = replace(events.capture.devices[0], type="vhost-user-blk-pci")
    info = replace(events.capture, devices=(device, *events.capture.devices[1:]))
    table = events.table.filter(~pl.col("kind").is_in(["dev_pop", "dev_fill", "dev_flush"]))
    verdicts = spec.check(
        replace(events.with_table(table.drop("row").with_row_index("row")), capture=info)
    )
    assert verdicts.of("RS-DE-03").verdict == "not-applicable"
    assert verdicts.of("XC-03").verdict == "inconclusive"


@pytest.mark.parametrize(("flags", "verdict"), [(0, "pass"), (bits.WRITE, "fail")])
def test_a_reserved_length_is_not_judged(flags: int, verdict: str) -> None:
    """A packed used descriptor without WRITE returns a chain with nothing to be written."""
    log = cases.packed_used.PACKED()
    used = log.of("used", vq=0)[0]
    add = next(e for e in log.of("add", vq=0) if e["head"] == used["id"])
    add["writable"], used["len"] = 0, 72
    used["flags"] = used["flags"] & ~bits.WRITE | flags
    assert spec.check(log.build()).of("DX-06").verdict == verdict
