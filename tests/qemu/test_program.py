# SPDX-License-Identifier: GPL-2.0-only
"""What QEMU has, and what a guest sees of the host."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pykit.errors import InfraError
from pykit.qemu import program, tsc
from pykit.scenario.transport import TRANSPORTS


def test_a_machine_that_this_qemu_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "find", lambda *_: ("/opt/qemu", (7, 2)))
    monkeypatch.setattr(program, "_machines", lambda _: frozenset({"none", "q35"}))
    program.require_machine(TRANSPORTS["pci"].machine[1])
    with pytest.raises(InfraError, match="/opt/qemu has no machine microvm"):
        program.require_machine(TRANSPORTS["mmio"].machine[1])


def test_what_a_program_says_of_itself_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    own = tmp_path / "qemu"
    shutil.copy("/bin/echo", own)
    assert program._asked(str(own), "a").stdout == "a\n"
    with monkeypatch.context() as without:
        without.setattr(subprocess, "run", lambda *_, **__: pytest.fail("asked again"))
        assert program._asked(str(own), "a").stdout == "a\n"
    # A script may run another program tomorrow.
    own.write_text("#!/bin/sh\necho script\n")
    assert program._asked(str(own), "a").stdout == "script\n"
    own.write_text("#!/bin/sh\necho other\n")
    assert program._asked(str(own), "a").stdout == "other\n"
    with pytest.raises(FileNotFoundError):
        program._asked(str(tmp_path / "none"), "a")


def test_the_counters_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    tsc.khz.cache_clear()
    first = tsc.khz()
    tsc.khz.cache_clear()
    second = tsc.khz()
    assert first
    assert second
    assert abs(first - second) < first / 1000
    tsc.khz.cache_clear()
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert tsc.khz() is None
    tsc.khz.cache_clear()


def test_a_comma_in_a_path_ends_no_option() -> None:
    folder = Path("/a,b:c d")
    options = [*program.kit_options(folder, folder / "log"), *program.monitor_options(folder / "x")]
    for option in options:
        if "/a" in option and option != "/a,b:c d/log":
            assert "/a,,b:c d/" in option
            assert ",b" not in option.replace(",,", "")


def test_the_monitor_answers_where_the_agent_does() -> None:
    # QEMU opens sockets in the order of its options, and pykit waits for the agent's alone.
    options = program.talk_options(Path("/f"), Path("/f/log"))
    sockets = [option for option in options if "server=on" in option]
    assert ["/f/qmp" in option for option in sockets] == [True, False]
