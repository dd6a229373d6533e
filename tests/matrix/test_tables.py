# SPDX-License-Identifier: GPL-2.0-only
"""The matrices in matrices/: their names, and that they leave no module and no scenario out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pykit.arch import AMD64
from pykit.errors import UsageError
from pykit.kernels.catalog import FLAVOURS
from pykit.matrix.execute.runnable import RunnableCell, runnable
from pykit.matrix.plan import matrixfile
from pykit.matrix.plan.names import slug
from pykit.matrix.plan.select import select
from pykit.scenario.model import SCENARIOS

KBUILD = Path(__file__).parents[2] / "Kbuild"
#: Matrices run on the host's own architecture.
KERNELS = {flavour.name for flavour in FLAVOURS if flavour.arch == AMD64}


def entries(name: str) -> list[RunnableCell]:
    return [runnable(cell) for cell in matrixfile.load(name).cells]


def test_no_two_cells_can_be_confused() -> None:
    cells = [cell for name in matrixfile.names() for cell in matrixfile.load(name).cells]
    assert len({cell.name for cell in cells}) == len({slug(cell.name) for cell in cells})
    assert len(cells) == len({cell.name for cell in cells})
    scenarios = {path.stem for path in SCENARIOS.glob("*.toml")}
    for cell in cells:
        assert cell.matrix not in scenarios or cell.scenario == cell.matrix


def test_a_matrix_named_like_another_scenario_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "blk.toml"
    path.write_text('summary = "s"\nscenario = "io"\naxes.ring = ["split"]\n')
    with pytest.raises(UsageError, match=r"blk\.toml:3: .* another scenario is called blk"):
        matrixfile.load(str(path))


def test_two_files_of_one_name(tmp_path: Path) -> None:
    path = tmp_path / "loop.toml"
    path.write_text('summary = "s"\nscenario = "io"\naxes.ring = ["split"]\n')
    with pytest.raises(UsageError, match="are both matrix loop: rename one"):
        select([str(path), "loop"])


def test_kernels_has_every_kernel_module_and_transport() -> None:
    found = entries("kernels")
    # 6.1 has no zones of virtio-blk.
    assert len(found) == 3 * (2 * 5 + 4) + 2
    assert {entry.kernel for entry in found} == KERNELS
    assert all(entry.strict for entry in found)
    ours = set(re.findall(r"^(pykit_\w+)-y :=", KBUILD.read_text(), re.MULTILINE))
    used = {"pykit_trace"}.union(*(entry.scenario.modules for entry in found))
    assert used == ours


def test_loopback_has_every_loopback_scenario_on_every_kernel() -> None:
    found = entries("loopback")
    there = {path.stem for path in SCENARIOS.glob("loop-*.toml")}
    for kernel in KERNELS:
        assert {entry.scenario.name for entry in found if entry.kernel == kernel} == there
    assert len(found) == 3 * 12


def test_conformance_has_drivers_and_devices() -> None:
    cells = matrixfile.load("conformance").cells
    subjects = [subject for cell in cells for subject in cell.subjects]
    assert len({(s.name, s.side) for s in subjects}) == len(subjects) == 28
    assert all(cell.subjects for cell in cells)
    own = {entry.cell.name for entry in entries("conformance") if not entry.shareable}
    assert own == {
        f"conformance/{name}"
        for name in (
            "seabios", "ovmf", "u-boot", "u-boot-legacy", "ipxe", "linux-6.12-mmio", "qemu-10",
            "qemu-10-bad-sector", "u-boot-arm64", "u-boot-arm64-mmio", "aavmf",
            "u-boot-riscv64", "u-boot-riscv64-mmio",
        )
    }  # fmt: skip


def test_only_some_of_a_matrix() -> None:
    found = select(["kernels"], within=["blk-virtio_blk-mmio"])
    assert [cell.name for cell in found] == ["kernels/blk-virtio_blk-mmio"]
    assert {cell.axes["transport"] for cell in select(["kernels"], within=["*-mmio"])} == {"mmio"}
    with pytest.raises(UsageError, match="no cell is called nothing: the names are kernels/blk, "):
        select(["kernels"], within=["nothing"])


def test_a_kernel_that_no_cell_names_takes_the_place_of_the_first() -> None:
    found = select(["kernels"], kernels=["debug-6.12"], within=["vhost*"])
    assert [(cell.name, cell.axes["kernel"]) for cell in found] == [
        ("kernels/vhost-debug-6.12", "debug-6.12")
    ]
    assert found[0].command == "pykit run kernels/vhost --kernel debug-6.12"
    both = select(["kernels"], kernels=["debian-6.1", "debug-6.12"], within=["vhost*"])
    assert [cell.axes["kernel"] for cell in both] == ["debian-6.1", "debug-6.12"]


LISTS = """summary = "s"
tags = ["t"]
requires = "strict-build"
[[group]]
scenario = "blk"
axes.transport = ["pci", "mmio"]
[[group]]
name = "alone"
scenario = "vhost"
isolate = true
[[cell]]
name = "tcg"
scenario = "blk"
axes.observe = "access"
axes.runner = "direct"
change.cpus = 1
[[cell.subject]]
name = "x"
side = "driver"
seen = "y"
"""


def test_groups_and_cells(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(LISTS)
    cells = matrixfile.load(str(path)).cells
    assert [cell.name for cell in cells] == ["mine/blk", "mine/blk-mmio", "mine/alone", "mine/tcg"]
    found = [runnable(cell) for cell in cells]
    assert [entry.shareable for entry in found] == [True, True, False, False]
    assert all(entry.strict and entry.cell.tags == ("t",) for entry in found)
    assert (found[3].scenario.cpus, found[3].scenario.observe) == (1, ("access",))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            '"pci", "mmio"',
            '"pci", "mmoi"',
            "mine.toml:6: group[0].axes.transport[1]: unknown tra",
        ),
        ('name = "alone"', 'naem = "alone"', "mine.toml:8: group[1].naem: unknown key 'naem' (did"),
        ('name = "alone"', 'name = "blk"\naxes.ring = ["split"]', "would both be called mine/blk"),
        ('"vhost"', '"vhots"', "mine.toml:9: group[1].scenario: unknown scenario 'vh"),
        ("axes.runner", "axes.runnner", "mine.toml:15: cell[0].axes.runnner: unknown axis of"),
        ('"access"', '"acess"', "mine.toml:14: cell[0].axes.observe: unknown observe 'ac"),
        ("cpus = 1", "cpu = 1", "mine.toml:16: cell[0].change.cpu: unknown key 'cpu' ("),
        ('side = "driver"', 'side = "both"', "mine.toml:19: cell[0].subject[0].side: Input should"),
        ('seen = "y"', "", "mine.toml:17: cell[0].subject[0]: seen is missing"),
        ('"strict-build"', '"strict"', "mine.toml:3: requires: Input should be"),
        ('name = "tcg"', 'name = "../x"', "mine.toml:12: cell[0].name: 'mine/../x' cannot name"),
    ],
)
def test_mistakes_in_groups_and_cells(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in LISTS
    path = tmp_path / "mine.toml"
    path.write_text(LISTS.replace(old, new))
    with pytest.raises(UsageError) as raised:
        matrixfile.load(str(path))
    assert words in str(raised.value)


def test_a_name_that_no_matrix_can_have(tmp_path: Path) -> None:
    path = tmp_path / "a.b.toml"
    path.write_text(LISTS)
    with pytest.raises(UsageError, match=r"'a\.b' cannot name a matrix: rename the file"):
        matrixfile.load(str(path))


@pytest.mark.parametrize("expand", ["product", "pairwise"])
def test_a_product_without_end_is_refused(tmp_path: Path, expand: str) -> None:
    axes = [f"[axes.a{n}]\n" + "\n".join(f"v{m} = {{}}" for m in range(60)) for n in range(12)]
    path = tmp_path / "mine.toml"
    head = f'summary = "s"\nscenario = "io"\nexpand = "{expand}"\n'
    path.write_text(head + "\n".join(axes))
    what = "combinations" if expand == "product" else "237600 pairs of values"
    with pytest.raises(UsageError, match=rf"mine\.toml:1: axes: .*{what}, and a group may have"):
        matrixfile.load(str(path))


def test_nesting_without_end_is_an_error_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("a = " + "[" * 100_000)
    with pytest.raises(UsageError, match=r"mine\.toml"):
        matrixfile.load(str(path))


def test_firmware_takes_no_kernel(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    cell = '[[cell]]\nname = "x"\nscenario = "seabios"\naxes.kernel = "debian-6.1"\n'
    path.write_text(f'summary = "s"\n{cell}')
    with pytest.raises(UsageError, match=r"mine/x: scenario seabios boots seabios"):
        runnable(matrixfile.load(str(path)).cells[0])
