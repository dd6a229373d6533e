# SPDX-License-Identifier: GPL-2.0-only
"""A real capture of both sides: what one side says, the other must say as well."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from pykit.trace import Events, load
from pykit.trace.formats import EventField, Format
from pykit.trace.guest import kind_of, own_fields
from pykit.trace.kinds import BASE, KINDS, source_of
from pykit.trace.tracing import read_tracing

WIDTHS = {1: pl.UInt8, 2: pl.UInt16, 4: pl.UInt32, 8: pl.UInt64}


@pytest.fixture(scope="module")
def events(capture: Path) -> Events:
    return load(capture)


def test_nothing_is_lost(events: Events) -> None:
    assert (events.lost, events.losses) == (0, ())
    assert events.table.height == 2016
    assert events.table.filter(pl.col("source") == "driver").height == 1429


def test_older_formats_are_still_known(capture: Path) -> None:
    """Every tracepoint of a stored capture is a kind, its fields have their widths."""
    found = {}
    for form in read_tracing(capture / "tracing").formats.values():
        if form.system == "pykit":
            found[kind_of(form)] = {
                field.name: pl.Int32 if field.signed else WIDTHS[field.size]
                for field in own_fields(form)
            }
    assert set(found) <= {kind for kind in KINDS if source_of(kind) != "qemu"}
    for kind, fields in found.items():
        own = {name: dtype for name, dtype in fields.items() if name not in BASE}
        assert own.items() <= KINDS[kind].items(), kind
        assert all(fields[name] == BASE[name] for name in fields.keys() & BASE.keys())


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("pykit_add_failed", "add_failed"),
        ("pykit_refused", "add_failed"),
        ("pykit_vhost_attach", "vhost_attach"),
        ("pykit_vhost_serves", "vhost_attach"),
        ("pykit_add", "add"),
    ],
)
def test_a_renamed_tracepoint_keeps_its_kind(name: str, kind: str) -> None:
    assert kind_of(Format("pykit", name, 1, ())) == kind


def test_a_renamed_field_keeps_its_column() -> None:
    rang = EventField("rang", "u8 rang", 8, 1, signed=False, array=False, reference=None)
    for name in ("pykit_refused", "pykit_add_failed"):
        assert [field.name for field in own_fields(Format("pykit", name, 1, (rang,)))] == [
            "notified"
        ]
    assert [field.name for field in own_fields(Format("pykit", "pykit_add", 1, (rang,)))] == [
        "rang"
    ]


def test_lives_agree(events: Events) -> None:
    for driver, device in (("add", "dev_pop"), ("used", "dev_fill"), ("blk_done", "dev_blk_done")):
        ours = events.of(driver).group_by("life").len().sort("life").rows()
        assert ours == [(0, 41), (1, 41)]
        assert events.of(device).group_by("life").len().sort("life").rows() == ours


def test_every_chain_is_popped(events: Events) -> None:
    keys = ["dev", "life", "vq", "avail_idx"]
    pairs = events.of("add").join(events.of("dev_pop"), on=keys, how="inner", validate="1:1")
    assert pairs.height == 82
    assert (pairs["chain"] == pairs["in_num"] + pairs["out_num"]).all()


def test_every_used_entry_is_taken(events: Events) -> None:
    keys = ["dev", "life", "vq", "index"]
    pairs = events.of("used").join(events.of("dev_fill"), on=keys, how="inner", validate="1:1")
    assert pairs.height == 82
    assert (pairs["len"] == pairs["len_right"]).all()


def test_qmp_agrees(events: Events) -> None:
    last = events.table.filter(pl.col("life") == 1)
    for answer in events.capture.qmp:
        if answer.query == "x-query-virtio-queue-status":
            mine = last.filter(pl.col("vq") == answer.queue)
            added = mine.filter(pl.col("kind") == "add")["avail_idx"].max()
            assert answer.answer["last-avail-idx"] == added
            taken = mine.filter(pl.col("kind") == "used")["index"].max()
            assert isinstance(taken, int)
            assert answer.answer["used-idx"] == taken + 1
