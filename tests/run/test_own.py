# SPDX-License-Identifier: GPL-2.0-only
"""Images that may be booted as they are, and those that lead to other files."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from pykit.arch import AMD64, ARM64, Arch
from pykit.errors import UsageError
from pykit.guests.tracelog import TraceLog
from pykit.observe.access import memory_mib
from pykit.qemu import program
from pykit.run import own


def header(version: int, backing: int, features: int) -> bytes:
    return struct.pack(">4sIQ56xQ", b"QFI\xfb", version, backing, features).ljust(512, b"\0")


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"", "raw"),
        (b"\xeb\x00".ljust(512, b"\0"), "raw"),
        (header(3, 0, 0), "qcow2"),
        # In version 2 there are no features: what stands there is not the header's.
        (header(2, 0, 4), "qcow2"),
    ],
)
def test_an_image_alone(tmp_path: Path, head: bytes, kind: str) -> None:
    image = tmp_path / "a,b.img"
    image.write_bytes(head)
    options = own.image_options(image)
    assert f"if=none,id=image,snapshot=on,format={kind},file={tmp_path}/a,,b.img" in options
    assert "user,id=network,restrict=on" in options


@pytest.mark.parametrize("head", [header(2, 112, 0), header(3, 112, 0), header(3, 0, 4)])
def test_an_image_that_names_another_file(tmp_path: Path, head: bytes) -> None:
    image = tmp_path / "image"
    image.write_bytes(head)
    with pytest.raises(UsageError, match="names another file"):
        own.image_options(image)


def test_a_guest_that_prints_for_ever_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own, "_MOST_BYTES", 1 << 20)
    console = tmp_path / "console.log"
    with (
        console.open("wb") as output,
        subprocess.Popen(["sleep", "60"], stdout=output) as process,
        TraceLog(tmp_path / "log", tmp_path / "qemu.log") as log,
    ):
        watch = own._watch_until
        files = (console, tmp_path / "qemu.log")
        assert watch(process, lambda: False, log, files, 0.2) == "watched for 0.2 s"
        assert watch(process, lambda: True, log, files, 60) == "the guest ended by itself"
        output.write(bytes(2 << 20))
        output.flush()
        words = watch(process, lambda: False, log, files, 60)
        process.kill()
    assert words == "watched until console.log had 1 MiB"


@pytest.mark.parametrize(
    ("arguments", "mib"), [("-M pc", 128), ("-m 64 -m 1G", 1024), ("-m size=512M", 512)]
)
def test_memory_that_the_access_tracer_brings(arguments: str, mib: int) -> None:
    assert memory_mib(arguments.split()) == mib


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("-accel kvm", "leave KVM out"),
        ("-object memory-backend-ram,id=m,size=1G", "leave memory-backend out"),
        ("-m 1G,slots=2,maxmem=4G", "a size alone"),
        ("-m 4G", "at most 2048 MiB"),
    ],
)
def test_memory_that_it_cannot_look_at(arguments: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        memory_mib(arguments.split())


def test_other_observers_need_a_guest_of_the_kit(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="leave --observe rings out"):
        own.boot(None, "-M pc", out=tmp_path / "run", seconds=1, observe=("rings",))


@pytest.mark.parametrize(
    ("qemu", "arguments", "name", "arch"),
    [
        ("qemu-system-x86_64", ["-M", "q35"], "pci", AMD64),
        ("qemu-system-x86_64", ["-M", "microvm"], "mmio", AMD64),
        ("qemu-system-aarch64", ["-M", "virt,gic-version=3"], "mmio", ARM64),
        ("qemu-system-aarch64", ["-machine", "type=virt-7.2"], "mmio", ARM64),
    ],
)
def test_where_the_tracer_looks(
    monkeypatch: pytest.MonkeyPatch, qemu: str, arguments: list[str], name: str, arch: Arch
) -> None:
    monkeypatch.setattr(program, "find", lambda *_: (f"/usr/bin/{qemu}", (7, 2)))
    found = own._machine(arguments)
    assert (found.name, found.arch) == (name, arch)


def test_memory_that_is_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "find", lambda *_: ("/usr/bin/qemu-system-aarch64", (7, 2)))
    with pytest.raises(UsageError, match="knows the machine virt alone: give -M virt"):
        own._machine(["-M", "raspi3b"])
