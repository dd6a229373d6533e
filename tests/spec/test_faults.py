# SPDX-License-Identifier: GPL-2.0-only
"""The driver's deliberate bugs, as its tracepoints show them: exactly their rules fail."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pykit import spec
from pykit.mutants.catalog import real_bugs
from pykit.spec import bits
from tests.spec import cases
from tests.spec.log import Log
from tests.spec.machine import run


def _withhold(log: Log) -> None:
    """Every tenth required notification is sent by another task."""
    for kick in [k for k in log.of("kick", needed=1) if k["pid"]][::10]:
        notification = log.after(kick, lambda e: e["kind"] == "notify")
        notification["pid"] = 4_000


def _acknowledge(log: Log) -> None:
    first = log.one("features")
    extra = first["acked"] | 1 << bits.BLK_SECURE_ERASE
    wrong = {"offered": first["offered"], "driver": first["driver"], "acked": extra, "stage": 1}
    log.insert(
        log.insert(first, "features", **wrong), "features", **wrong | {"acked": first["acked"]}
    )


def _take_again(log: Log) -> None:
    for used in log.of("used")[3::7]:
        fields = {k: v for k, v in used.items() if k not in ("kind", "source", "ts", "seq")}
        log.insert(used, "used", **fields)


ACTS: dict[str, Callable[[Log], None]] = {
    "feature-not-offered": _acknowledge,
    "kick-withheld": _withhold,
    "descriptor-loop": cases.split.loops,
    "head-reuse": cases.split.reuse_head,
    "avail-idx-step": cases.split.steps_by_two,
    "status-not-last": cases.block.status_not_last,
    "used-twice": _take_again,
    "features-ok-skipped": cases.status.features_ok_is_skipped,
    "kick-before-driver-ok": cases.init.notifies_before_driver_ok,
    "write-before-header": cases.framing.writable_first,
}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("declined", [0, 1 << bits.EVENT_IDX], ids=["event", "flags"])
@pytest.mark.parametrize("name", sorted(ACTS))
def test_exactly_its_rules_fail(name: str, declined: int, seed: int) -> None:
    log = run(declined=declined, seed=seed)
    ACTS[name](log)
    failed = set(spec.check(log.build()).having("fail"))
    assert spec.faults()[name].explains(failed), failed


def _complete_twice(log: Log) -> None:
    """The entry is there again, and both sides go on behind both."""
    used = log.of("vhost_used", dev=0)[6]
    for signal in log.of("vhost_signal", dev=0)[4:]:
        signal["event"] += 1
    for later in log.of("vhost_used", dev=0)[7:]:
        later["used_idx"] += 1
    fields = {k: v for k, v in used.items() if k not in ("kind", "source", "ts", "seq")}
    log.insert(used, "vhost_used", **fields | {"used_idx": used["used_idx"] + 1})
    for number, event in enumerate((e for e in log.events if e["dev"] == 0), 1):
        event["seq"] = number


def _late(log: Log) -> None:
    for event in log.events[100:]:
        event["ts"] += 20_000_000


def _in_both(act: Callable[[Log], None]) -> Callable[[Log], None]:
    """With and without event index: the second device's events are moved to the front."""

    def both(log: Log) -> None:
        act(log)
        log.events.sort(key=lambda e: -e["dev"])
        act(log)

    return both


DEVICE_ACTS: dict[str, Callable[[Log], None]] = {
    "wrong-id": cases.vhost.vhost_returns_what_it_never_got,
    "length-too-long": cases.vhost.vhost_used_len_is_too_long,
    "length-too-short": cases.vhost.vhost_used_len_is_too_short,
    "completed-twice": _complete_twice,
    "used-idx-jump": cases.vhost.vhost_used_idx_runs_ahead,
    "signal-missed": _in_both(cases.vhost.vhost_misses_a_signal),
    "signal-spurious": _in_both(cases.vhost.vhost_signals_for_nothing),
    "completion-dropped": cases.vhost.vhost_drops_a_completion,
    "status-withheld": cases.vhost.vhost_status_is_undefined,
    # Every clean log of a device has this.
    "reordered": lambda log: None,
    "delayed": _late,
}


@pytest.mark.parametrize("name", sorted(DEVICE_ACTS))
def test_exactly_its_rules_fail_for_a_device(name: str) -> None:
    log = cases.vhost.vhost()
    log.events += cases.vhost.vhost(dev=1, event_idx=0).events
    DEVICE_ACTS[name](log)
    verdicts = spec.check(log.build())
    failed = set(verdicts.having("fail"))
    assert spec.faults("device")[name].explains(failed), failed
    assert len(verdicts.having("pass")) + len(failed) == 12


def test_faults_name_rules() -> None:
    known = {rule.id for rule in spec.rules()}
    for fault in (*spec.faults().values(), *spec.faults("device").values()):
        assert {*fault.rules, *fault.either, *fault.packed} <= known
        assert fault.what
        assert {*fault.bugs} <= real_bugs().keys()


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        (cases.block.too_many_discards, bits.T_DISCARD),
        (cases.block.half_a_segment, bits.T_DISCARD),
        (cases.block.too_many_zeroes, bits.T_WRITE_ZEROES),
        (cases.block.flush_with_data, bits.T_FLUSH),
    ],
)
def test_more_than_is_allowed_may_be_refused(act: Callable[[Log], None], kind: int) -> None:
    log = run()
    act(log)
    cases.block.end_of(log, cases.block.request(log, kind))["status"] = bits.S_UNSUPP
    failed = [v.rule for v in spec.check(log.build()).rules if v.verdict == "fail"]
    assert {rule.side for rule in failed} == {"driver"}, failed


def test_refused_entry_may_be_passed() -> None:
    """The device returns what it does not have; the driver refuses the entry and goes on."""
    log = run()
    used = log.of("used", vq=0)[5]
    used["accepted"], used["id"] = 0, 0xFFFF
    failed = set(spec.check(log.build()).having("fail"))
    assert "DX-01" in failed
    assert "DX-37" not in failed
