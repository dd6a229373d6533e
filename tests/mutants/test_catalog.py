# SPDX-License-Identifier: GPL-2.0-only
"""Heads of the semantic patches, and that each patch is understood by Coccinelle."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pykit import spec
from pykit.errors import UsageError
from pykit.matrix.plan.matrixfile import load
from pykit.mutants import load_mutants, survivors
from pykit.mutants.catalog import MUTANTS, Mutant

ALL = load_mutants(spec.CLAUSES)
HEAD = """\
// SPDX-License-Identifier: GPL-2.0-only
// title: The driver does something wrong.
// must: NA-DR-06
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
@@
 f(...) { ... }
"""


@pytest.mark.parametrize("mutant", ALL, ids=lambda mutant: mutant.name)
def test_patch_holds_its_own_marker_alone(mutant: Mutant) -> None:
    text = mutant.path.read_text()
    assert f"PYKIT_MUTANT({mutant.marker})" in text
    assert text.count("PYKIT_MUTANT(") == text.count(f"PYKIT_MUTANT({mutant.marker})")
    if not shutil.which("spatch"):
        pytest.skip("coccinelle is not installed")
    done = subprocess.run(
        ["spatch", "--parse-cocci", mutant.path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("// must: NA-DR-06", "// must: NA-DR-66", r"bad\.cocci:3: .*NA-DR-66"),
        ("// ring: split", "// rings: split", r"bad\.cocci:4: .*rings"),
        ("// ring: split", "// ring: square", r"bad\.cocci: .*square"),
        ("// count: 1", "// count: one", r"bad\.cocci: count is not a number: one"),
        ("// count: 1\n", "", r"bad\.cocci: the head has no '// count"),
        ("// count: 1", "count 1", r"bad\.cocci:6: expected"),
        ("// count: 1", "// count: 1\n// bug: B999", r"bad\.cocci: .*B999"),
        ("// count: 1", "// count: 1\n// side: both", r"bad\.cocci: .*both"),
    ],
)
def test_mistakes_in_a_head(tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "bad.cocci").write_text(HEAD.replace(old, new))
    with pytest.raises(UsageError, match=message):
        load_mutants(spec.CLAUSES, tmp_path)


def test_head_is_read(tmp_path: Path) -> None:
    (tmp_path / "good-one.cocci").write_text(HEAD)
    (mutant,) = load_mutants(spec.CLAUSES, tmp_path)
    assert (mutant.marker, mutant.must, mutant.count) == ("good_one", ("NA-DR-06",), 1)


def test_folder_has_mutants() -> None:
    assert len(ALL) >= 40
    assert all(mutant.path.parent == MUTANTS for mutant in ALL)


@pytest.mark.parametrize(
    ("scenario", "axes", "fits"),
    [
        ("mutant", {"ring": "split"}, True),
        ("mutant", {}, True),
        ("mutant", {"ring": "packed"}, False),
        ("mutant", {"ring": "split", "transport": "mmio"}, False),
        ("mutant", {"ring": "split", "features": "no-event-idx"}, False),
        ("mutant", {"ring": "split", "observe": "access"}, False),
        ("io", {"ring": "split"}, False),
    ],
)
def test_a_mutant_runs_where_its_code_does(
    tmp_path: Path, scenario: str, axes: dict[str, str], fits: bool
) -> None:
    (tmp_path / "one.cocci").write_text(HEAD)
    (mutant,) = load_mutants(spec.CLAUSES, tmp_path)
    assert mutant.fits(scenario, axes) is fits


def test_every_mutant_has_cells_and_every_survivor_is_a_mutant() -> None:
    wanted = {cell.axes["mutant"] for cell in load("mutants").cells}
    assert wanted == {"none", *(mutant.name for mutant in ALL)}
    assert {*survivors()} <= {mutant.name for mutant in ALL}


def test_a_survivor_needs_a_reason(tmp_path: Path) -> None:
    (tmp_path / "survivors.toml").write_text("nothing = 'a race'\n")
    with pytest.raises(UsageError, match=r"survivors\.toml:1: nothing: "):
        survivors(tmp_path)
