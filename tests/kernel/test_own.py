# SPDX-License-Identifier: GPL-2.0-only
"""Somebody's own guest: an image, a command line, and a QEMU that runs already."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pykit import steps
from pykit.errors import Exit, GuestError, InfraError, UsageError
from pykit.guests import firmware
from pykit.guests.monitor import REGISTER_EVENTS, TRACE_EVENTS, Monitor
from pykit.qemu import program
from pykit.scenario.model import Device

pytestmark = pytest.mark.slow


def say(line: str) -> None:
    print(line)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A disk with our boot sector, which reads and writes it by SeaBIOS's driver."""
    firmware.device_options(Device("vd0", "virtio-blk-pci", 1, {}), tmp_path)
    return tmp_path / "vd0.img"


def test_image(image: Path, tmp_path: Path) -> None:
    before = hashlib.sha256(image.read_bytes()).hexdigest()
    result = steps.run_own(image=image, seconds=5, to=tmp_path / "run", say=say)
    waived = ("IN-DR-01", "PM-DR-05", "RS-DR-01")
    assert (result.exit_code, result.verdicts.having("waived")) == (Exit.OK, waived)
    assert result.verdicts.of("XC-01").verdict == "pass"
    assert "pykit: done" in (tmp_path / "run" / "console.log").read_text()
    assert hashlib.sha256(image.read_bytes()).hexdigest() == before


def test_arguments_that_qemu_refuses(tmp_path: Path) -> None:
    with pytest.raises(GuestError, match="bogus"):
        steps.run_own(arguments="-bogus", seconds=5, to=tmp_path / "run", say=say)


@pytest.mark.parametrize("wrong", [{"image": Path("/nowhere.img")}, {"arguments": "-name 'x"}])
def test_what_cannot_be_booted(tmp_path: Path, wrong: dict[str, Path]) -> None:
    with pytest.raises(UsageError):
        steps.run_own(**wrong, seconds=1, to=tmp_path / "run", say=say)  # type: ignore[arg-type]


#: Around the instructions of a boot sector.
_SECTOR = """
.code16
.globl _start
_start: xorw %ax, %ax
movw %ax, %ds
movw %ax, %es
movw $0x7c00, %sp
{}
.org 510
.word 0xaa55
"""
#: A boot sector that reads the first disk by the BIOS, then the second one, and powers off (q35).
BOTH_AND_OFF = """
movb $0x80, %dl
again: movw $0x0201, %ax
movw $0x0002, %cx
movb $0, %dh
movw $0x8000, %bx
int $0x13
incb %dl
cmpb $0x82, %dl
jne again
movw $0x604, %dx
movw $0x2000, %ax
outw %ax, %dx
hlt
"""


def sector(folder: Path, source: str) -> Path:
    """Assemble the instructions of a boot sector, as a disk of 1 MiB."""
    text, disk = folder / "sector.S", folder / "sector.img"
    text.write_text(_SECTOR.format(source))
    flags = ["-Wl,--oformat=binary", "-Wl,-Ttext=0x7c00", "-Wl,--build-id=none"]
    subprocess.run(["gcc", "-m32", "-nostdlib", "-static", *flags, "-o", disk, text], check=True)
    with disk.open("r+b") as file:
        file.truncate(1 << 20)
    return disk


def test_two_disks_of_a_guest_that_powers_off(tmp_path: Path) -> None:
    """It is looked at once it has ended, and each disk has its own rings."""
    disk = sector(tmp_path, BOTH_AND_OFF)
    words = "-M q35 -nodefaults -display none"
    for name in ("one", "other"):
        words += f" -drive if=none,id={name},format=raw,snapshot=on,file={disk}"
        words += f" -device virtio-blk-pci,drive={name},id=the-{name}"
    result = steps.run_own(
        arguments=words, seconds=60, observe=["access"], to=tmp_path / "run", say=say
    )
    assert (result.exit_code, result.outcome.message) == (Exit.OK, "the guest ended by itself")
    assert result.events.devices == {"the-one": 0, "the-other": 1}
    assert set(result.events.of("add")["dev"]) == {0, 1}
    # The transport survey has been taken.
    assert result.verdicts.of("PQ-DE-01").checked


#: A boot sector that reads the disk by the BIOS, again and again.
LOOP = """
movb %dl, disk
again: movw $0x0201, %ax
movw $0x0002, %cx
movb $0, %dh
movb disk, %dl
movw $0x8000, %bx
int $0x13
jmp again
disk: .byte 0
"""


class Theirs:
    """A QEMU of a user's, whose guest does nothing but read its disk, and its second monitor."""

    def __init__(self, folder: Path, monitor: Monitor, process: subprocess.Popen[bytes]) -> None:
        self.qmp, self.monitor, self.process = folder / "one", monitor, process
        self.said = folder / "said"

    def traced(self) -> list[str]:
        """Trace events that are on; QEMU answers, and its guest runs."""
        started = time.monotonic()
        assert self.monitor.ask("query-status")["running"] is True
        states = [
            state
            for name in (*TRACE_EVENTS, *REGISTER_EVENTS)
            for state in self.monitor.ask("trace-event-get-state", name=name)
        ]
        assert time.monotonic() - started < 2
        return [state["name"] for state in states if state["state"] == "enabled"]

    def logs(self) -> list[str]:
        """The files of pykit's that it has open."""
        files = Path(f"/proc/{self.process.pid}/fd").iterdir()
        links = [str(file.readlink()) for file in files if file.is_symlink()]
        return [link for link in links if "pykit-" in link and "socket" not in link]

    def as_it_was(self) -> bool:
        return (self.traced(), self.logs()) == ([], [])

    def wait(self, as_it_was: bool) -> None:
        end = time.monotonic() + 60
        while self.as_it_was() is not as_it_was:
            assert time.monotonic() < end
            time.sleep(0.05)

    def attach(self, to: Path, seconds: float = 300) -> subprocess.Popen[str]:
        """`pykit run --attach`, which logs when this returns."""
        process = subprocess.Popen(
            [
                Path(sys.executable).with_name("pykit"), "run", "--attach", self.qmp,
                "--seconds", str(seconds), "--to", to,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip
        self.wait(as_it_was=False)
        return process


@pytest.fixture
def theirs(tmp_path: Path) -> Iterator[Theirs]:
    disk = sector(tmp_path, LOOP)
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(
            [
                program.find()[0], "-nodefaults", "-display", "none", "-M", "q35", "-accel", "tcg",
                "-drive", f"if=none,id=d,format=raw,snapshot=on,file={disk}",
                "-device", "virtio-blk-pci,drive=d,id=mine",
                "-qmp", f"unix:{tmp_path}/one,server=on,wait=off",
                "-qmp", f"unix:{tmp_path}/two,server=on,wait=off",
            ],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )  # fmt: skip
    try:
        end = time.monotonic() + 20
        while not (tmp_path / "two").is_socket() and time.monotonic() < end:
            time.sleep(0.05)
        with contextlib.closing(Monitor(tmp_path / "two")) as monitor:
            yield Theirs(tmp_path, monitor, process)
    finally:
        process.kill()
        process.wait()


def test_a_running_qemu_is_left_as_it_was(theirs: Theirs, tmp_path: Path) -> None:
    theirs.monitor.ask("trace-event-set-state", name="virtqueue_pop", enable=True)
    for name in ("first", "second"):
        result = steps.run_own(attach=theirs.qmp, seconds=0.5, to=tmp_path / name, say=say)
        assert result.outcome.message.endswith("left running")
        assert result.events.lost == 0
        assert len(result.events.table)
        assert theirs.logs() == []
        # The one that was on goes on.
        assert theirs.traced() == ["virtqueue_pop"]
    said = theirs.said.stat().st_size
    time.sleep(1)
    assert theirs.said.stat().st_size > said
    assert theirs.process.poll() is None


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=300k", "none"]
    if subprocess.run(["mount", *options, folder], check=False, capture_output=True).returncode:
        pytest.skip("only root can mount a file system that is full soon")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_attached_with_a_full_disk(theirs: Theirs, small: Path) -> None:
    process = theirs.attach(small / "run")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == Exit.INFRA
    *_, last = output.strip().splitlines()
    assert "qemu.log: No space left on device" in last
    assert "Traceback" not in output
    assert theirs.as_it_was()


def test_attached_and_stopped(theirs: Theirs, tmp_path: Path) -> None:
    process = theirs.attach(tmp_path / "run", seconds=3)
    process.send_signal(signal.SIGSTOP)
    log = tmp_path / "run/capture/qemu.log"
    size = log.stat().st_size
    for _ in range(8):
        assert theirs.traced()
        time.sleep(0.5)
    assert log.stat().st_size == size
    process.send_signal(signal.SIGCONT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == Exit.OK, output
    assert theirs.as_it_was()
    assert log.stat().st_size > size


def test_attached_and_killed(theirs: Theirs, tmp_path: Path) -> None:
    process = theirs.attach(tmp_path / "run")
    process.kill()
    process.communicate()
    theirs.wait(as_it_was=True)
    steps.run_own(attach=theirs.qmp, seconds=0.5, to=tmp_path / "again", say=say)
    assert theirs.as_it_was()


def test_what_a_killed_restorer_left_is_not_taken_for_the_users(
    theirs: Theirs, tmp_path: Path
) -> None:
    process = theirs.attach(tmp_path / "run")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    (restorer,) = [
        int(child) for child in children
        if b"restorer.py" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]  # fmt: skip
    process.send_signal(signal.SIGSTOP)
    os.kill(restorer, signal.SIGKILL)
    process.kill()
    process.communicate()
    assert theirs.traced()
    said: list[str] = []
    steps.run_own(attach=theirs.qmp, seconds=0.5, to=tmp_path / "again", say=said.append)
    assert any("earlier pykit" in line for line in said)
    assert theirs.as_it_was()


def test_two_that_attach_to_one(theirs: Theirs, tmp_path: Path) -> None:
    process = theirs.attach(tmp_path / "run")
    theirs.monitor.close()
    with pytest.raises(UsageError, match="another pykit"):
        steps.run_own(attach=theirs.qmp.with_name("two"), seconds=1, to=tmp_path / "again", say=say)
    # Before it observes, Ctrl-C ends it as any other command.
    assert process.stdout is not None
    said = b""
    while b"Ctrl-C ends it" not in said:
        some = os.read(process.stdout.fileno(), 4096)
        assert some, said
        said += some
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == Exit.OK


def test_an_own_guest_on_a_full_disk(theirs: Theirs, small: Path, tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(InfraError, match=r"qemu\.log: No space left on device"):
        steps.run_own(image=tmp_path / "sector.img", seconds=300, to=small / "run", say=say)
    assert time.monotonic() - started < 60


def test_no_qmp_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no socket"):
        steps.run_own(attach=tmp_path / "qmp", seconds=1, to=tmp_path / "run", say=say)
