# SPDX-License-Identifier: GPL-2.0-only
"""A sealed capture: a file that is missing, cut, replaced or added is a loss with one line."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pykit.seal import write_sealed
from pykit.trace import CaptureError, load
from tests.trace.conftest import unpack

#: Files of a small capture that decoding reads.
EVIDENCE = (
    "qemu.log",
    "qmp.json",
    "tracing/events/pykit/pykit_kick/format",
    "tracing/events/header_page",
    "tracing/per_cpu/cpu0/trace_pipe_raw",
    "tracing/per_cpu/cpu1/stats",
)


def seal(capture: Path) -> Path:
    """Seal a capture that was made before there were seals."""
    about = json.loads((capture / "capture.json").read_text())
    write_sealed(capture, about, ("tracepoints", "qemu-log"))
    return capture


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return seal(unpack("capture-6.12.tar.xz", tmp_path_factory.mktemp("pristine")))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return seal(unpack("capture-7.2.tar.xz", tmp_path_factory.mktemp("other")))


@pytest.fixture
def sealed(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "capture"))


def losses(capture: Path) -> tuple[str, ...]:
    """What was lost; a capture that cannot be decoded any more is found out as well."""
    try:
        events = load(capture)
    except CaptureError as error:
        return (str(error),)
    assert (events.lost > 0) == bool(events.losses)
    return events.losses


def test_a_whole_capture_has_lost_nothing(sealed: Path) -> None:
    events = load(sealed)
    assert events.lost == 0
    assert events.capture.seal is not None
    assert events.capture.seal.observers == ("qemu-log", "tracepoints")


def test_an_old_capture_has_no_seal(tmp_path: Path) -> None:
    assert load(unpack("capture-6.12.tar.xz", tmp_path)).capture.seal is None


def test_the_seal_survives_the_saved_table(sealed: Path, tmp_path: Path) -> None:
    events = load(sealed)
    events.write_parquet(tmp_path / "events.parquet")
    assert events.read_parquet(tmp_path / "events.parquet").capture.seal == events.capture.seal


def remove(path: Path, _: Path) -> None:
    path.unlink()


def cut(path: Path, _: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path, _: Path) -> None:
    path.write_bytes(b"")


def replace(path: Path, other: Path) -> None:
    # Without the second the file would be the other kernel's same text.
    path.write_bytes(other.read_bytes() + b"\n")


def flip(path: Path, _: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def dangle(path: Path, _: Path) -> None:
    path.unlink()
    path.symlink_to("nothing")


def become_a_directory(path: Path, _: Path) -> None:
    path.unlink()
    path.mkdir()


MUTATIONS = (remove, cut, empty, replace, flip, dangle, become_a_directory)


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
@pytest.mark.parametrize("name", EVIDENCE)
def test_a_file_that_is_not_the_run_s(
    sealed: Path, other: Path, name: str, mutate: Callable[[Path, Path], None]
) -> None:
    mutate(sealed / name, other / name)
    assert any(name in line for line in losses(sealed))


@pytest.mark.parametrize("seed", range(6))
def test_lines_taken_out_of_the_log(sealed: Path, seed: int) -> None:
    log = sealed / "qemu.log"
    lines = log.read_bytes().splitlines(keepends=True)
    chosen = set(random.Random(seed).sample(range(len(lines)), 1 + seed * 3))
    log.write_bytes(b"".join(line for at, line in enumerate(lines) if at not in chosen))
    [line] = losses(sealed)
    assert line.startswith("qemu.log: cut, it has ")
    assert load(sealed).lost == len(chosen)


def test_a_capture_json_of_another_run(sealed: Path, other: Path) -> None:
    shutil.copy(other / "capture.json", sealed / "capture.json")
    assert any("not the file that the run wrote" in line for line in losses(sealed))


@pytest.mark.parametrize("name", ["access.bin", "rings.npy", "tracing/per_cpu/cpu7/stats"])
def test_a_file_that_was_added(sealed: Path, name: str) -> None:
    path = sealed / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    assert any(name in line or "access" in line for line in losses(sealed))


def test_notes_beside_the_evidence_are_no_loss(sealed: Path) -> None:
    (sealed / "notes.txt").write_text("seen on Monday\n")
    assert losses(sealed) == ()


@pytest.mark.parametrize(
    "seal", [[], {}, {"run": "1"}, {"run": "1", "files": {"qemu.log": 1}}, {"run": 1, "files": {}}]
)
def test_a_damaged_seal_is_refused(sealed: Path, seal: object) -> None:
    path = sealed / "capture.json"
    about = json.loads(path.read_text())
    path.write_text(json.dumps({**about, "seal": seal}))
    with pytest.raises(CaptureError):
        load(sealed)
