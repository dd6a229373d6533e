# SPDX-License-Identifier: GPL-2.0-only
"""Bad input ends in one line that says what to do, with the contract's exit code."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from .command import pykit


def one_line(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The message; fails where there is a traceback or more than one line."""
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, done.stderr
    # What it was doing until then stands above, and is none of the error.
    lines = [line for line in done.stderr.strip().splitlines() if "reading the index" not in line]
    assert len(lines) == 1, lines
    return lines[0]


def test_no_capture(tmp_path: Path) -> None:
    message = one_line(pykit("check", tmp_path, cwd=tmp_path), 2)
    assert str(tmp_path) in message


def test_no_directory(tmp_path: Path) -> None:
    assert "nothing-here" in one_line(pykit("check", tmp_path / "nothing-here", cwd=tmp_path), 2)


def test_empty_capture_json(tmp_path: Path) -> None:
    (tmp_path / "capture").mkdir()
    (tmp_path / "capture" / "capture.json").write_text("")
    assert "capture.json" in one_line(pykit("check", tmp_path, cwd=tmp_path), 2)


@pytest.mark.parametrize("name", ["no-such-kernel", "/nowhere/linux", "6.1.0-999-amd64"])
def test_unknown_kernel(tmp_path: Path, name: str) -> None:
    done = pykit("run", "--kernel", name, cwd=tmp_path, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert name in one_line(done, done.returncode)
    assert done.returncode in (2, 3)
    assert not (tmp_path / "runs").exists()


def test_unknown_scenario(tmp_path: Path) -> None:
    assert "nonsense" in one_line(pykit("run", "nonsense", cwd=tmp_path), 2)


def test_unknown_fault_names_the_known(tmp_path: Path) -> None:
    message = one_line(pykit("run", "--driver-fault", "nonsense", cwd=tmp_path), 2)
    assert "descriptor-loop" in message


def test_unknown_profile(tmp_path: Path) -> None:
    message = one_line(pykit("config", "nonsense", "-o", tmp_path / "c", cwd=tmp_path), 2)
    assert "nonsense" in message


def test_run_overwrites_nothing(tmp_path: Path) -> None:
    kept = tmp_path / "mine"
    kept.mkdir()
    (kept / "thesis.txt").write_text("precious")
    one_line(pykit("run", "--to", kept, cwd=tmp_path), 2)
    assert [path.name for path in kept.iterdir()] == ["thesis.txt"]


def test_check_overwrites_nothing(tmp_path: Path) -> None:
    kept = tmp_path / "mine"
    kept.mkdir()
    (kept / "thesis.txt").write_text("precious")
    one_line(pykit("check", tmp_path, "--to", kept, cwd=tmp_path), 2)
    assert [path.name for path in kept.iterdir()] == ["thesis.txt"]


def test_every_verb_has_help_with_an_example(tmp_path: Path) -> None:
    for verb in (
        ["doctor"], ["config"], ["kernel", "get"], ["kernel", "list"], ["kernel", "show"],
        ["build"], ["run"], ["check"], ["rules"], ["bench", "startup"],
    ):  # fmt: skip
        done = pykit(*verb, "--help", cwd=tmp_path)
        assert done.returncode == 0
        assert f"Example: pykit {' '.join(verb)}" in done.stdout


def test_wrong_option_is_usage(tmp_path: Path) -> None:
    done = pykit("run", "--no-such-option", cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "--transport", "isa"), "unknown transport 'isa'"),
        (("run", "--transport", "mmio"), "--boot direct"),
        (("run", "--boot", "direct", "unplug", "--transport", "mmio"), "no hot-plug"),
        (("run", "vhost", "--transport", "pci-legacy"), "no device"),
        (("run", "vhost", "--driver", "virtio_blk"), "no device"),
        (("run", "--ring", "round"), "unknown ring layout 'round'"),
        (("run", "--transport", "pci-legacy", "--ring", "packed"), "legacy interface"),
        (("run", "--driver", "virtio_blk", "--driver-fault", "x"), "x"),
        (("matrix", "kernels", "--only", "nothing"), "no cell is called nothing"),
    ],
)
def test_what_does_not_go_together(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    assert words in one_line(pykit(*arguments, cwd=tmp_path), 2)
    assert not (tmp_path / "runs").exists()


def test_a_log_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "trace.log").write_text("hello\n")
    message = one_line(pykit("check", "--qemu-log", "trace.log", cwd=tmp_path), 2)
    assert "-trace" in message
    assert "nowhere" in one_line(pykit("check", "--qemu-log", "/nowhere", cwd=tmp_path), 2)
    assert "--qemu-log" in one_line(pykit("check", cwd=tmp_path), 2)


@pytest.mark.parametrize("more", [["blk"], ["--kernel", "debian-6.1"]])
def test_what_does_nothing_for_ones_own_guest(tmp_path: Path, more: list[str]) -> None:
    message = one_line(pykit("run", *more, "--guest", tmp_path / "disk.img", cwd=tmp_path), 2)
    assert "leave it out" in message


def test_a_qemu_that_is_not_there_is_told_of_at_once(tmp_path: Path) -> None:
    done = pykit("run", cwd=tmp_path, PYKIT_QEMU="/nowhere/qemu", XDG_CACHE_HOME=str(tmp_path))
    assert "/nowhere/qemu" in one_line(done, 3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--arch", "arm"], "unknown architecture 'arm' (did you mean 'arm64'?)"),
        (["--arch", "arm64", "--kernel", "debian-7.2"], "kernel debian-7.2 is not of arm64"),
        (["--arch", "arm64", "--boot", "vng"], "a guest of arm64 needs --boot direct"),
        (["seabios", "--arch", "arm64"], "it takes no --kernel"),
        (["io", "--arch", "s390x", "--transport", "mmio"], "unknown transport 'mmio'"),
    ],
)
def test_architectures(tmp_path: Path, words: list[str], message: str) -> None:
    assert message in one_line(pykit("run", *words, cwd=tmp_path), 2)


@pytest.mark.parametrize(
    ("qemu", "message"),
    [
        ("/nowhere/qemu", "/nowhere/qemu is no program"),
        ("/usr/bin/qemu-system-x86_64", "has no machine virt: let PYKIT_QEMU name one for arm64"),
    ],
)
def test_no_qemu_for_an_architecture(tmp_path: Path, qemu: str, message: str) -> None:
    done = pykit("run", "io", "--arch", "arm64", cwd=tmp_path, PYKIT_QEMU=qemu)
    assert message in one_line(done, 3)
    assert not (tmp_path / "runs").exists()
