# SPDX-License-Identifier: GPL-2.0-only
"""The guest of a single run as a copy: all that a booted one leaves, and no less is judged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pykit import kernels, modules, steps
from pykit.guests import template as templates
from pykit.guests.channel import GuestEndedError
from pykit.run import run_scenario, session
from pykit.scenario import load_scenario
from tests.kernel.conftest import Run, require_same_verdicts


def copied(command: Sequence[str]) -> bool:
    return "-incoming" in command


def booting(console: str) -> set[str]:
    """What the kernel prints before it has a module of ours, without times."""
    lines = console.partition("pykit_trace")[0].splitlines()[:-1]
    return {line.partition("] ")[2] for line in lines} - {""}


def test_a_copy_leaves_what_a_booted_guest_does(
    direct: steps.RunResult, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "can_be_copied", lambda *_: False)
    booted = run()
    assert [copied(one.outcome.command) for one in (direct, booted)] == [True, False]
    assert (direct.outcome.kind, direct.exit_code) == (booted.outcome.kind, booted.exit_code)
    require_same_verdicts(direct, booted)
    folders = [one.directory for one in (direct, booted) if one.directory is not None]
    files = [{path.relative_to(folder) for path in folder.rglob("*")} for folder in folders]
    assert files[0] == files[1]
    # Its boot is part of it; some lines depend on how busy the machine is.
    copy, other = (booting((folder / "console.log").read_text()) for folder in folders)
    assert copy & other


def test_copies_do_not_draw_the_same_random_numbers(
    tmp_path: Path, kernel: kernels.Kernel, plain: modules.Build
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        "summary = 'x'\ndeadline = 60\n[[step]]\nname = 'draw'\n"
        "guest = 'od -An -N8 -tx8 /dev/urandom; date +%Y; die x'\n"
    )
    found = []
    for number in range(2):
        outcome = run_scenario(
            load_scenario(str(path)),
            kernel=kernel,
            modules=plain.modules,
            out=tmp_path / f"{number}",
            runner="direct",
        )
        assert copied(outcome.command)
        found.append(outcome.message)
    assert found[0] != found[1]


def test_a_guest_that_cannot_be_copied_boots(
    tmp_path: Path,
    kernel: kernels.Kernel,
    plain: modules.Build,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def restore(*_: object) -> None:
        raise GuestEndedError("never-booted", "no state")

    monkeypatch.setattr(templates.Template, "restore", restore)
    path, said = tmp_path / "mine.toml", list[str]()
    path.write_text("summary = 'x'\ndeadline = 60\n[[step]]\nname = 'it'\nguest = 'true'\n")
    outcome = run_scenario(
        load_scenario(str(path)),
        kernel=kernel,
        modules=plain.modules,
        out=tmp_path / "run",
        runner="direct",
        progress=said.append,
    )
    assert (outcome.kind, copied(outcome.command)) == ("clean", False)
    assert "the guest boots, as it cannot be copied: no state" in said
