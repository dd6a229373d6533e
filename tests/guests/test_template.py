# SPDX-License-Identifier: GPL-2.0-only
"""Templates in the cache: made once, by one process, and no more of them than are of use."""

from __future__ import annotations

import collections
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pykit.arch import AMD64
from pykit.guests import template as templates
from pykit.guests.channel import GuestEndedError
from pykit.guests.template import Making
from pykit.qemu import program
from pykit.scenario import load_scenario, on_transport

Usage = collections.namedtuple("Usage", "total used free")
#: Make or find one, whose folder is returned.
Make = Callable[..., Path]


@pytest.fixture
def made() -> list[Path]:
    """The folders in which guests were booted."""
    return []


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: list[Path]) -> Make:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(program, "find", lambda _: (__file__, (7, 2)))

    def boot(making: Making) -> float:
        made.append(making.folder)
        (making.folder / "console.log").write_text("booted")
        (making.folder / "memory").write_bytes(b"booted")
        return 2.5

    def start(name: str = "a", boot: Callable[[Making], float] = boot, khz: int = 1) -> Path:
        command = ["qemu", "-append", f"quiet tsc_early_khz={khz}"]
        with templates.template(command, [name], boot, AMD64) as template:
            assert (template.boot_s, template.console) == (2.5, b"booted")
            return template.folder

    return start


def there(tmp_path: Path) -> set[str]:
    """Names of all entries but for locks."""
    folder = tmp_path / "pykit" / "templates"
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def test_one_is_made_once_for_each_key(make: Make, made: list[Path], tmp_path: Path) -> None:
    first = make()
    assert make(khz=2) == first
    assert make("b") != first
    assert len(made) == len(there(tmp_path)) == 2


def test_another_boot_of_the_machine_needs_another(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make()
    (tmp_path / "boot_id").write_text("another")
    monkeypatch.setattr(templates, "_BOOT_ID", tmp_path / "boot_id")
    assert make() != first


def test_others_wait_for_the_one_that_makes_it(make: Make, made: list[Path]) -> None:
    def slow(making: Making) -> float:
        time.sleep(0.2)
        made.append(making.folder)
        (making.folder / "console.log").write_text("booted")
        (making.folder / "memory").write_bytes(b"booted")
        return 2.5

    threads = [threading.Thread(target=make, args=("a", slow)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


@pytest.mark.parametrize("error", [GuestEndedError("never-booted", "x"), KeyboardInterrupt()])
def test_what_was_not_made_leaves_nothing(make: Make, tmp_path: Path, error: BaseException) -> None:
    def boot(making: Making) -> float:
        (making.folder / "memory").write_text("x")
        raise error

    with pytest.raises(type(error)):
        make("a", boot)
    assert there(tmp_path) == set()
    make()


def test_what_a_killed_process_left_goes(make: Make, tmp_path: Path) -> None:
    first = make()
    for left in (f".new-{first.name}", ".new-other"):
        (first.parent / left / "deep").mkdir(parents=True)
    make("b")
    assert not any(name.startswith(".new-") for name in there(tmp_path))


def test_one_whose_memory_was_written_to_is_made_anew(make: Make, made: list[Path]) -> None:
    """QEMU takes pages that a guest gives to a balloon out of the file."""
    folder = make()
    with (folder / "memory").open("r+b") as memory:
        memory.write(b"\0")
    os.utime(folder / "memory", ns=(0, 1))
    assert make() == folder
    assert len(made) == 2
    assert (folder / "memory").read_bytes() == b"booted"


def test_a_full_disk_is_said_before_the_boot(
    make: Make, made: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(1 << 40, 1 << 40, 10 << 20))
    with pytest.raises(GuestEndedError, match="10 MiB free") as raised:
        make()
    assert "free some space" in str(raised.value)
    assert made == []


def test_only_the_last_used_stay(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(templates, "_MOST", 2)
    first, second = make("a"), make("b")
    for ago, folder in ((20, first), (30, second)):
        os.utime(folder, (time.time() - ago, time.time() - ago))
    third = make("c")
    assert there(tmp_path) == {first.name, third.name}


def test_one_that_is_being_copied_stays(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "_MOST", 1)
    kept = []

    def boot(making: Making) -> float:
        (making.folder / "console.log").write_text("booted")
        (making.folder / "memory").write_bytes(b"booted")
        return 2.5

    with templates.template(["qemu", "-append", "quiet "], ["a"], boot, AMD64) as template:
        os.utime(template.folder, (1, time.time() - 9))
        kept = [template.folder, make("b")]
        assert all(folder.exists() for folder in kept)
    make("c")
    assert not any(folder.exists() for folder in kept)


@pytest.mark.parametrize(
    ("scenario", "transport", "accelerator", "expected"),
    [
        ("blk", "pci", "tcg", True),
        ("blk", "pci", "kvm", False),
        ("blk", "mmio", "tcg", False),
        ("vhost-user", "pci", "tcg", False),
        ("mutant-others", "pci", "tcg", False),
    ],
)
def test_what_can_be_copied(
    scenario: str, transport: str, accelerator: str, expected: bool
) -> None:
    found = on_transport(load_scenario(scenario), transport)
    assert templates.can_be_copied(found, accelerator) is expected
