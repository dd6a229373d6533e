# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pykit.trace.errors import CaptureError, UnknownSchemaError
from pykit.trace.registers import looks_at_slots
from pykit.trace.survey import Survey, read_survey
from tests.pci import MODERN

REGIONS = [
    {"bar": 1, "size": 4096, "io": False, "wide": False, "prefetchable": False},
    {"bar": 4, "size": 16384, "io": False, "wide": True, "prefetchable": True},
    {"bar": 6, "size": 262144, "io": False, "wide": False, "prefetchable": False},
]
PCI = {
    "device": "vd0", "at": "end", "begin_ns": 1_000_000_000, "end_ns": 1_000_900_000,
    "transport": "pci", "place": "01:00.0", "config": MODERN.hex(), "regions": REGIONS,
    "reads": [["common", 0x12, 2, 1], ["common", 0x14, 1, 15]],
}  # fmt: skip
MMIO = {
    "device": "vd1", "at": "plug", "begin_ns": 5, "end_ns": 9,
    "transport": "mmio", "address": 0xFEB00000, "reads": [["mmio", 0, 4, 0x74726976]],
}  # fmt: skip


def survey(folder: Path, *readings: dict[str, Any], **reported: Any) -> Survey:
    whole = {"schema": 1, "readings": list(readings), "missed": [], **reported}
    (folder / "survey.json").write_text(json.dumps(whole))
    read = read_survey(folder)
    assert read is not None
    return read


def test_none(tmp_path: Path) -> None:
    assert read_survey(tmp_path) is None


def test_storage(tmp_path: Path) -> None:
    look = {"device": "vd0", "at": "plug", "begin_ns": 7, "length": 4096, "allocated": 512}
    rows = survey(tmp_path, storage=[look]).rows({"vd0": 3})
    seen = rows.select("kind", "source", "ts", "dev", "state", "length", "allocated").rows()
    assert seen == [("survey_storage", "survey", 7, 3, "plug", 4096, 512)]
    with pytest.raises(CaptureError):
        survey(tmp_path, storage=[look | {"allocated": -1}]).rows({})


def test_rows(tmp_path: Path) -> None:
    missed = [{"device": "vd2", "at": "end", "why": "it is gone"}]
    read = survey(tmp_path, PCI, MMIO, missed=missed)
    assert read.missed == ("vd2: it is gone",)
    rows = read.rows({"vd0": 3})
    assert set(rows["source"]) == {"survey"}
    heads = rows.filter(kind="survey_pci").rows(named=True)
    assert [(r["dev"], r["reading"], r["vendor_id"], r["device_id"]) for r in heads] == [
        (3, 0, 0x1AF4, 0x1042)
    ]
    assert heads[0]["problem"] is None
    assert rows.filter(kind="survey_bar").select("bar", "start", "length", "wide").rows() == [
        (1, 0xFE400000, 4096, 0),
        (4, 0x1FE800000, 16384, 1),
    ]
    caps = rows.filter(kind="survey_cap")
    columns = ("pos", "cfg_type", "bar", "start", "length", "multiplier", "vectors")
    assert caps.select(columns).rows()[:2] == [
        (0x40, None, 1, 0, 32, None, 2),
        (0x50, 2, 4, 0x3000, 0x1000, 4, None),
    ]
    registers = rows.filter(kind="survey_register")
    assert registers.select("dev", "reading", "region", "offset", "len", "value").rows() == [
        (3, 0, "common", 0x12, 2, 1),
        (3, 0, "common", 0x14, 1, 15),
        (None, 1, "mmio", 0, 4, 0x74726976),
    ]
    assert rows.filter(kind="survey_mmio")["start"].to_list() == [0xFEB00000]


EMPTY = {
    "device": "", "at": "end", "begin_ns": 5, "end_ns": 9, "transport": "mmio-empty",
    "address": 0xFEB00E00, "device_id": 0, "errors": 2, "reads": [],
}  # fmt: skip


@pytest.mark.parametrize(
    ("looks", "found"), [(None, None), ({}, 0), ({0xFEB00E00: 3, 0xFEB00000: 1}, 3)]
)
def test_slots_without_a_device(
    tmp_path: Path, looks: dict[int, int] | None, found: int | None
) -> None:
    read = survey(tmp_path, EMPTY)
    rows = read.rows({"": 1, "vd0": 3}, looks).filter(kind="survey_slot")
    columns = ("reading", "state", "start", "id", "errors", "looks")
    assert rows.select(columns).rows() == [(0, "end", 0xFEB00E00, 0, 2, found)]
    assert not list(read.places())


def test_reads_of_device_ids_in_a_log() -> None:
    """A log without registers of MMIO does not show that nothing was read."""
    access = "memory_region_ops_{} cpu 0 mr 0x1 addr {:#x} value 0x0 size 4 name 'virtio-{}'"
    assert looks_at_slots([access.format("read", 0xFEB00E08, "pci")]) is None
    lines = [
        access.format("read", 0xFEB00E00, "mmio"),
        access.format("write", 0xFEB00E08, "mmio"),
        access.format("read", 0xFEB00C08, "mmio"),
        access.format("read", 0xFEB00C08, "mmio"),
    ]
    assert looks_at_slots(lines[:1]) == {}
    assert looks_at_slots(lines) == {0xFEB00C00: 2}


def test_mappings_of_bars(tmp_path: Path) -> None:
    """Mappings of other memory, and those that begin before a BAR, are none of the function's."""
    areas = [
        [0xF5000, 4096, "memremap"],
        [0x1FE7FF000, 8192, "before"],
        [0x1FE803000, 4096, "last"],
        [0x1FE804000, 4096, "behind"],
        [0xFE400000, 8192, "pci_iomap_range"],
    ]
    read = survey(tmp_path, PCI | {"mapped": {"page": 4096, "areas": areas}})
    rows = read.rows({"vd0": 3}).filter(kind="survey_map")
    columns = ("dev", "reading", "bar", "start", "length", "page", "symbol")
    assert rows.select(columns).rows() == [
        (3, 0, 4, 0x3000, 4096, 4096, "last"),
        (3, 0, 1, 0, 8192, 4096, "pci_iomap_range"),
    ]


@pytest.mark.parametrize(
    "mapped",
    [
        [],
        {"areas": []},
        {"page": 0, "areas": []},
        {"page": 4096},
        {"page": 4096, "areas": [[1, 2]]},
        {"page": 4096, "areas": [[1, 2, 3]]},
        {"page": 4096, "areas": [[-1, 2, "x"]]},
        {"page": 4096, "areas": [[1, 1 << 63, "x"]]},
    ],
)
def test_mappings_that_are_none(tmp_path: Path, mapped: object) -> None:
    with pytest.raises(CaptureError):
        survey(tmp_path, PCI | {"mapped": mapped}).rows({})


def test_own_accesses_leave_the_log(tmp_path: Path) -> None:
    """Only what had no CPU while the survey looked was the survey's."""
    read = survey(tmp_path, PCI)
    access = "memory_region_ops_read cpu {} mr 0x1 addr 0x2 value 0x0 size 4 name 'virtio-pci'"
    lines = [
        "7@1.000000:" + access.format(-1),
        "7@1.000500:" + access.format(-1),
        "7@1.000500:" + access.format(0),
        "7@1.000901:" + access.format(-1),
        access.format(-1),
    ]
    assert read.without_own(lines) == ["", "", *lines[2:]]


def test_another_schema(tmp_path: Path) -> None:
    with pytest.raises(UnknownSchemaError, match="schema 2"):
        survey(tmp_path, schema=2)


@pytest.mark.parametrize(
    "change",
    [
        {"config": "1af"}, {"config": "00" * 63}, {"config": "00" * 4097}, {"transport": "ccw"},
        {"reads": [["common", 0, 4]]}, {"reads": [["isr", 0, 1, 1]]}, {"reads": {}},
        {"reads": [["common", 0, 1, 256]]}, {"reads": [["common", -1, 1, 0]]},
        {"regions": [{"bar": 7, "size": 1, "io": False, "wide": False}]}, {"device": 1},
    ],
)  # fmt: skip
def test_damage_is_one_error(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(CaptureError):
        survey(tmp_path, {**PCI, **change}).rows({})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=64, max_size=400))
def test_any_configuration_space(tmp_path: Path, config: bytes) -> None:
    rows = survey(tmp_path, {**PCI, "config": config.hex()}).rows({"vd0": 0})
    assert rows.filter(kind="survey_pci").height == 1
