# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pykit.errors import InfraError, UsageError
from pykit.qemu import fetch, program


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    for cached in (program.choice, program.find):
        cached.cache_clear()
    yield
    for cached in (program.choice, program.find):
        cached.cache_clear()


def fake_program(path: Path, says: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{says}\n")
    path.chmod(0o755)
    return path


def test_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fake_program(tmp_path / "qemu", "echo QEMU emulator version 11.2.3")
    monkeypatch.setenv("PYKIT_QEMU", str(path))
    assert program.find() == (str(path), (11, 2, 3))


def test_a_path_to_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYKIT_QEMU", str(tmp_path / "none"))
    with pytest.raises(InfraError, match="none"):
        program.find()


def test_no_such_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYKIT_QEMU", "debian-1")
    with pytest.raises(UsageError, match=r"debian-1[01]"):
        program.find()


def test_it_finds_its_own_modules(tmp_path: Path) -> None:
    root, final = tmp_path / "root", tmp_path / "a b"
    fake_program(root / "usr/bin/qemu-system-x86_64", 'echo "$QEMU_MODULE_DIR $*"')
    (root / "usr/lib/x86_64-linux-gnu/qemu").mkdir(parents=True)
    fetch._make_runnable(root, final)
    root.rename(final)
    done = subprocess.run(
        [final / "usr/bin/qemu-system-x86_64", "-M", "q35"], capture_output=True, text=True
    )
    assert done.stdout == f"{final}/usr/lib/x86_64-linux-gnu/qemu -M q35\n"


def test_modules_of_the_machine_are_kept_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unpacked QEMU that finds another build's module ends, so it must not find any."""
    final, others = tmp_path / "final", tmp_path / "others"
    monkeypatch.setattr(fetch, "_NETWORK_ROMS", others)
    own = final / "usr/lib/x86_64-linux-gnu/qemu"
    for folder in (own, others, final / "usr/bin", final / "usr/share/qemu"):
        folder.mkdir(parents=True)
    (own / "ui-curses.so").write_text("its own")
    for name in ("ui-curses.so", "chardev-spice.so"):
        (others / name).write_text("another build's")
    program = final / "usr/bin/qemu-system-x86_64"
    program.write_text('#!/bin/sh\nexec elf "$@"\n')
    for _ in range(2):
        assert fetch._kept_apart(program, final, others) == program
        assert (own / "ui-curses.so").read_text() == "its own"
        with pytest.raises(OSError, match="Too many levels of symbolic links"):
            (own / "chardev-spice.so").read_text()
        begin = f"#!/bin/sh\nQEMU_MODULE_DIR={own} exec elf"
        assert program.read_text() == f'{begin} -L {final}/usr/share/qemu -L {others} "$@"\n'
    assert sorted(path.name for path in others.iterdir()) == ["chardev-spice.so", "ui-curses.so"]
