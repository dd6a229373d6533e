# SPDX-License-Identifier: GPL-2.0-only
"""Guests that end badly: each has its own verdict, in time, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pykit import kernels, modules
from pykit.errors import Exit
from pykit.guests import Outcome, deadlines
from pykit.run import run_scenario
from pykit.scenario import load_scenario

#: Where this module's runs keep their files; others on this machine keep theirs elsewhere.
PRIVATE = Path(tempfile.gettempdir()) / f"pk-{os.getpid()}"
HEADER = 'summary = "x"\ndeadline = {deadline}\nmodules = ["pykit_virtio_blk"]\n'
Try = Callable[..., Outcome]


def guests() -> dict[int, str]:
    """Processes of our guests that are alive: QEMU and virtme-ng, by process id."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if f"{PRIVATE}/pykit-" in command and state != "Z" and int(entry.name) != os.getpid():
                found[int(entry.name)] = command.replace("\0", " ")
    return found


def folders() -> set[Path]:
    return set(PRIVATE.iterdir())


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    del tmp_path  # made first: pytest's own directories stay where they are
    PRIVATE.mkdir()
    monkeypatch.setenv("TMPDIR", str(PRIVATE))
    monkeypatch.setattr(tempfile, "tempdir", str(PRIVATE))
    try:
        yield
        end = time.monotonic() + 10
        while time.monotonic() < end and (guests() or folders()):
            time.sleep(0.1)
        assert not guests()
        assert not folders()
    finally:
        shutil.rmtree(PRIVATE)


@pytest.fixture
def attempt(tmp_path: Path, kernel: kernels.Kernel, plain: modules.Build) -> Try:
    """Boot with one step of the guest's; the run directory is tmp_path/run."""

    def start(
        guest: str,
        deadline: float = 60,
        built: tuple[Path, ...] = plain.modules,
        progress: Callable[[str], None] = lambda _: None,
    ) -> Outcome:
        path = tmp_path / "mine.toml"
        steps = (
            f"[[step]]\nname = 'first'\nguest = 'true'\n[[step]]\nname = 'it'\nguest = '{guest}'\n"
        )
        path.write_text(HEADER.format(deadline=deadline) + steps)
        started = time.monotonic()
        slow = 1.0

        def follow(line: str) -> None:
            nonlocal slow, started
            if up := re.match("guest is up after ([0-9.]+) s", line):
                how = "copy" if "copy" in line else "direct"
                slow = deadlines.slowness(float(up[1]), 1, how)
                started = time.monotonic() - float(up[1])
            progress(line)

        outcome = run_scenario(
            load_scenario(str(path)),
            kernel=kernel,
            modules=built,
            out=tmp_path / "run",
            runner="direct",
            progress=follow,
        )
        # A machine that boots slowly gets more time for the rest.
        assert time.monotonic() - started < deadline * slow + 15
        assert (tmp_path / "run" / "console.log").exists()
        assert (tmp_path / "run" / "capture" / "capture.json").exists()
        return outcome

    return start


def test_panic(attempt: Try) -> None:
    outcome = attempt("echo c > /proc/sysrq-trigger")
    assert (outcome.kind, outcome.exit_code) == ("panic", Exit.FAILED)
    assert "sysrq" in outcome.message


def test_hang(attempt: Try, tmp_path: Path) -> None:
    outcome = attempt("sleep 1000", deadline=20)
    assert (outcome.kind, outcome.exit_code) == ("hang", Exit.FAILED)
    assert "sleep (state S) in " in outcome.message
    capture = tmp_path / "run" / "capture"
    assert json.loads((capture / "capture.json").read_text())["complete"]
    assert (capture / "tracing" / "events" / "header_page").exists()


def test_workload_failed(attempt: Try) -> None:
    outcome = attempt("echo the reason; exit 7")
    assert (outcome.kind, outcome.exit_code) == ("workload-failed", Exit.FAILED)
    assert "it ended with 7: the reason" in outcome.message


def test_splat(attempt: Try) -> None:
    # The kernel's own words, said by the guest to its console as the kernel would.
    words = "WARNING: CPU: 0 PID: 1 at here.c:1 function+0x1/0x2"
    outcome = attempt(f'echo "<4>{words}" > /dev/kmsg')
    assert (outcome.kind, outcome.exit_code) == ("splat", Exit.FAILED)
    assert words in outcome.message


def test_qemu_killed(attempt: Try) -> None:
    def kill(line: str) -> None:
        if line.startswith("first"):
            for pid, command in guests().items():
                if "qemu-system" in command:
                    os.kill(pid, signal.SIGKILL)

    outcome = attempt("sleep 1000", progress=kill)
    assert (outcome.kind, outcome.exit_code) == ("qemu-died", Exit.INFRA)
    assert "-9" in outcome.message


def test_module_that_does_not_load(attempt: Try, plain: modules.Build, tmp_path: Path) -> None:
    broken = []
    for path in plain.modules:
        copy = tmp_path / path.name
        data = path.read_bytes()
        if path.stem == "pykit_virtio_blk":
            data = data.replace(b"vermagic=", b"vermagic=0.", 1)
            data = data.replace(b"vermagic=0.", b"vermagic=", 1).replace(b" SMP ", b" XMP ", 1)
        copy.write_bytes(data)
        broken.append(copy)
    outcome = attempt("true", built=tuple(broken))
    assert (outcome.kind, outcome.exit_code) == ("module-failed", Exit.INFRA)
    assert "pykit_virtio_blk" in outcome.message


def test_never_booted(tmp_path: Path, kernel: kernels.Kernel, plain: modules.Build) -> None:
    image = tmp_path / "vmlinuz"
    image.write_bytes(b"this is no kernel" * 1000)
    broken = kernels.Kernel(**{**vars(kernel), "image": image})
    outcome = run_scenario(
        load_scenario("blk"),
        kernel=broken,
        modules=plain.modules,
        out=tmp_path / "run",
        runner="direct",
    )
    assert (outcome.kind, outcome.exit_code) == ("never-booted", Exit.INFRA)


@pytest.mark.parametrize(
    ("runner", "number"),
    [
        ("direct", signal.SIGKILL),
        ("direct", signal.SIGTERM),
        ("direct", signal.SIGINT),
        ("vng", signal.SIGKILL),
        pytest.param("vng", signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("vng", signal.SIGINT, marks=pytest.mark.slow),
    ],
)
def test_killing_pykit_leaves_nothing(
    tmp_path: Path, plain: modules.Build, runner: str, number: signal.Signals
) -> None:
    command = [sys.executable, "-m", "pykit.cli", "run", "--boot", runner, "--to", tmp_path / "run"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, cwd=tmp_path) as process:
        end = time.monotonic() + 60
        while not any("qemu-system" in guest for guest in guests().values()):
            assert time.monotonic() < end
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(1)
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
        assert process.returncode == (130 if number != signal.SIGKILL else -signal.SIGKILL)
        assert b"Traceback" not in said
        if number != signal.SIGKILL:
            text = (tmp_path / "run" / "capture" / "capture.json").read_text()
            assert json.loads(text)["outcome"]["kind"] == "interrupted"
