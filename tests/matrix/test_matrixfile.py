# SPDX-License-Identifier: GPL-2.0-only
"""Matrix files: what their files say, and every mistake with its file, line and what was meant."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from pykit.errors import UsageError
from pykit.matrix.execute.runnable import runnable
from pykit.matrix.plan import matrixfile
from pykit.matrix.plan.select import select
from pykit.paths import ROOT

GOOD = """summary = "s"
scenario = "io"
tags = ["all"]
[axes]
ring = ["split", "packed"]
transport = ["pci", "pci-legacy"]
[axes.queues]
1 = {}
2 = { options = { num-queues = 2 }, cpus = 2 }
[[exclude]]
ring = "packed"
transport = "pci-legacy"
why = "legacy has none"
[[tag]]
name = "small"
queues = "1"
"""


@pytest.fixture
def write(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    return path


def changed(path: Path, old: str, new: str) -> str:
    assert old in GOOD
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(UsageError) as raised:
        matrixfile.load(str(path))
    assert "\n" not in str(raised.value)
    return str(raised.value).removeprefix(str(path.parent) + "/")


def test_names_have_what_is_not_first(write: Path) -> None:
    found = matrixfile.load(str(write)).cells
    assert [cell.name for cell in found] == [
        "mine/default",
        "mine/queues2",
        "mine/pci-legacy",
        "mine/pci-legacy-queues2",
        "mine/packed",
        "mine/packed-queues2",
    ]
    assert [cell.tags for cell in found][:2] == [("all", "small"), ("all",)]


def test_a_patch_changes_all_devices(write: Path) -> None:
    cell = next(c for c in matrixfile.load(str(write)).cells if c.name == "mine/packed-queues2")
    made = runnable(cell).scenario
    assert made.cpus == 2
    assert [d.options["num-queues"] for d in made.devices] == [2]
    assert all(d.options["packed"] for d in made.devices)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"io"', '"blkk"', "mine.toml:2: scenario: unknown scenario 'blkk' (did you mean 'blk'?)"),
        ('scenario = "io"\n', "", "mine.toml:1: scenario is missing"),
        (
            'tags = ["all"]', "tagss = 3",
            "mine.toml:3: tagss: unknown key 'tagss' (did you mean 'tags'?)",
        ),
        (
            '"packed"]', '"paked"]',
            "mine.toml:5: axes.ring[1]: unknown ring 'paked' (did you mean 'packed'?)",
        ),
        ('"packed"]', '"split"]', "mine.toml:5: axes.ring[0]: split is there twice"),
        (
            "ring = [", "rings = [",
            "mine.toml:5: axes.rings: unknown axis of `pykit run` 'rings' (did",
        ),
        ("[axes.queues]", "[axes.kernel]", "mine.toml:7: axes.kernel: write a list of values"),
        ("cpus = 2", "cpus = 0", "mine.toml:9: axes.queues.2.cpus: Input should be greater"),
        (
            "cpus = 2", "cpu = 2",
            "mine.toml:9: axes.queues.2.cpu: unknown key 'cpu' (did you mean 'cpus'?)",
        ),
        ("cpus = 2", 'backing = "fil"', "mine.toml:9: axes.queues.2.backing: Input should be 'f"),
        (
            "num-queues = 2",
            "num-queue = 2",
            "mine.toml:9: axes.queues.2.options.num-queue: unknown option of "
            "virtio-blk-pci 'num-queue' (did you mean 'num-queues'?)",
        ),
        (
            "cpus = 2", 'type = "virtio-blc-pci"',
            "mine.toml:9: axes.queues.2.type: unknown device of",
        ),
        (
            "cpus = 2",
            "parameters = { pykit_virtio_blk = { indirekt = 0 } }",
            "mine.toml:9: axes.queues.2.parameters.pykit_virtio_blk.indirekt: unknown parameter of",
        ),
        ('ring = "p', 'rink = "p', "mine.toml:11: exclude[0].rink: unknown axis 'rink' (did you"),
        (
            '= "packed"', '= "pakd"',
            "mine.toml:11: exclude[0].ring: unknown value of ring 'pakd' (did you",
        ),
        ('why = "legacy has none"', "", "mine.toml:10: exclude[0]: why is missing"),
        (
            'queues = "1"', 'queues = "3"',
            "mine.toml:16: tag[0].queues: unknown value of queues '3'",
        ),
        ('queues = "1"', "", "mine.toml:14: tag[0]: name at least one axis"),
        ("[[tag]]", "[[tag]", "mine.toml:14: "),
        ('ring = "packed"\ntransport = "pci-legacy"', 'queues = ["1", "2"]', "nothing is left"),
        ('"pci-legacy"]', '"packed"]', "unknown transport 'packed'"),
    ],
)  # fmt: skip
def test_mistakes(write: Path, old: str, new: str, words: str) -> None:
    assert words in changed(write, old, new)


def test_all_matrix_files_are_right() -> None:
    for name in matrixfile.names():
        found = matrixfile.load(name)
        for cell in found.cells:
            runnable(cell)
        assert len({cell.name for cell in found.cells}) == len(found.cells)


def test_plans(write: Path) -> None:
    every = select([str(write)])
    assert len(every) == 6
    assert [c.name for c in select([str(write)], tags=["small"])] == [
        c.name for c in every if c.axes["queues"] == "1"
    ]
    with pytest.raises(UsageError, match="no cell is left: their tags are all, small"):
        select([str(write)], tags=["smoke"])
    with pytest.raises(
        UsageError, match=r"matrix io: unknown cell 'iothraed' \(did you mean 'iothread"
    ):
        select(["io/iothraed"])
    with pytest.raises(UsageError, match=r"unknown matrix 'looop' \(did you mean 'loop'"):
        select(["looop/x"])


def test_the_guide_to_compare_kernels_has_a_matrix(tmp_path: Path) -> None:
    guide = (ROOT / "docs/how-to/compare-kernels.md").read_text()
    (block,) = re.findall(r"^ *```toml\n(.*?)^ *```", guide, re.M | re.S)
    path = tmp_path / "update.toml"
    path.write_text(textwrap.dedent(block))
    cells = select([str(path)], kernels=["debian-7.2"])
    assert [cell.axes["kernel"] for cell in cells] == ["debian-7.2"] * 6
    assert {cell.scenario for cell in cells} == {"blk", "others"}
