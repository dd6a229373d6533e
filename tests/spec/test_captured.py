# SPDX-License-Identifier: GPL-2.0-only
"""Captures of faulty drivers and devices: the rule that names the fault fails, and no other."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from pykit import spec, trace
from pykit.trace.kinds import JOINED, LEFT
from tests.spec.machine import run

DATA = Path(__file__).parents[1] / "data"


@pytest.mark.parametrize(
    ("name", "rule", "also", "message"),
    [
        ("used-len-zero", "DX-25", (), "used len 0, written are 1 bytes"),
        # Without its header, what is left of the data is no whole sectors.
        (
            "zero-length-descriptor", "DX-19", ("BO-DR-06",),
            "the device can read 2560 bytes, not 2576",
        ),
    ],
)  # fmt: skip
def test_named(tmp_path: Path, name: str, rule: str, also: tuple[str, ...], message: str) -> None:
    shutil.unpack_archive(DATA / f"{name}.tar.xz", tmp_path)
    verdicts = spec.check(trace.load(tmp_path / "capture"))
    assert message in verdicts.of(rule).message
    assert verdicts.having("fail") == (*also, rule)


def without(events: trace.Events, kind: str) -> trace.Events:
    """The same trace, recorded with one of the guest's tracepoints switched off."""
    inside = pl.col("source").is_in(("driver", "probe", "vhost"))
    left = events.table.filter(~inside | (pl.col("kind") != kind))
    numbered = left.with_columns(pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"))
    kinds = events.table.filter(inside)["kind"].unique().cast(pl.String)
    recorded = events.recorded if events.recorded is not None else frozenset(kinds)
    return replace(events.with_table(numbered), recorded=recorded - {kind})


@pytest.mark.parametrize("name", ["capture-6.12", "used-len-zero", "one-chain-a-kick"])
def test_a_tracepoint_switched_off_makes_no_rule_fail(tmp_path: Path, name: str) -> None:
    shutil.unpack_archive(DATA / f"{name}.tar.xz", tmp_path)
    folder = tmp_path / "capture"
    events = trace.load(folder if folder.is_dir() else tmp_path)
    failed = set(spec.check(events).having("fail"))
    inside = events.table.filter(pl.col("source").is_in(("driver", "probe", "vhost")))
    for kind in inside["kind"].unique().cast(pl.String):
        now = spec.check(without(events, kind))
        assert set(now.having("fail")) <= failed, kind


def test_a_tracepoint_of_a_packed_ring_switched_off_makes_no_rule_fail() -> None:
    events = run(packed=True, requests=15, queues=1, pulled=True).build()
    for kind in ("add", "kick", "notify", "interrupt", "used", "callback", "slot", "queue"):
        assert not spec.check(without(events, kind)).having("fail"), kind


def test_without_the_event_queue_nobody_knows_where_a_queue_begins() -> None:
    """A probe that left a queue and joined it again, in a trace without the events of that."""
    log = run(queues=1, requests=40, size=8)
    first, again = log.of("add")[5], log.of("add")[25]
    for at, op in ((first, LEFT), (again, JOINED)):
        log.insert(at, "queue", vq=0, op=op, layout=0, size=8)
    missed = slice(log.events.index(first), log.events.index(again))
    log.drop(event for event in log.events[missed] if event["source"] == "driver")
    assert not spec.check(without(log.build(), "queue")).having("fail")


def test_a_big_endian_guest_on_channel_io(tmp_path: Path) -> None:
    shutil.unpack_archive(DATA / "capture-s390x.tar.xz", tmp_path)
    verdicts = spec.check(trace.load(tmp_path))
    assert verdicts.having("fail") == ()
    assert (verdicts.lost, len(verdicts.having("pass"))) == (0, 93)
    # Rings, indices and requests are little-endian in it; its trace is not.
    for name in ("SA-DR-01", "DX-06", "BO-DR-06", "XC-01", "CV-DR-02"):
        assert verdicts.of(name).verdict == "pass", name
    for name in ("CF-DR-03", "PM-DE-17"):
        assert verdicts.of(name).verdict == "not-applicable", name
