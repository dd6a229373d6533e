# SPDX-License-Identifier: GPL-2.0-only
"""How commands end: exit codes, interrupts, closed pipes, internal errors, and what they print."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pykit.cli import ending, terminal
from pykit.cli.terminal import SafeConsole
from pykit.errors import Exit

from ..trace.encode import write_capture
from ..trace.test_load import life, page_of
from .command import pykit
from .test_errors import one_line

#: A title, a cleared screen, a bell, a C1 sequence, a direction override.
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egpj"


def fails_with(error: BaseException) -> object:
    def app(*_arguments: object, **_options: object) -> None:
        raise error

    return app


@pytest.mark.parametrize(
    "error",
    [ValueError("embedded null byte"), KeyError("x"), MemoryError(), RecursionError("deep")],
)
def test_an_internal_error_ends_with_3(
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(ending, "app", fails_with(error))
    # The handlers of a whole process.
    monkeypatch.setattr(ending.signal, "signal", lambda *_: None)
    monkeypatch.setattr(ending.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(terminal, "err", SafeConsole(stderr=True, width=300))
    assert ending.run_to_end(["rules"]) == Exit.INFRA
    (line,) = capsys.readouterr().err.splitlines()
    (trace,) = tmp_path.iterdir()
    assert line.startswith(f"pykit: internal error: {type(error).__name__}: ")
    assert line.endswith(f"report it with {trace}")
    assert "Traceback" in trace.read_text()
    assert ending.run_to_end(["run", "--bisect"]) == 125

    monkeypatch.setenv("PYKIT_TRACEBACK", "1")
    assert ending.run_to_end(["rules"]) == Exit.INFRA
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("tty", [False, True])
def test_no_escape_sequence_is_printed(tty: bool) -> None:
    stream = io.StringIO()
    console = SafeConsole(file=stream, force_terminal=tty, color_system=None, width=200)
    table = Table(HOSTILE)
    table.add_row(HOSTILE)
    console.print(HOSTILE, Text(HOSTILE), table)
    console.print(f"a line\n{HOSTILE}", soft_wrap=True)
    with Live(Text(HOSTILE), console=console, auto_refresh=False) as live:
        live.refresh()
    text = stream.getvalue()
    assert text.count("owned") >= 5
    assert "]0;" not in text.replace("\\x1b]0;", "")
    assert not {"\x07", "\x9b", "\u202e"} & set(text)
    assert "\x1b[2J" not in text
    if not tty:
        assert "\x1b" not in text


def test_a_captures_words_reach_no_terminal(tmp_path: Path) -> None:
    capture = write_capture(tmp_path / "capture", [page_of(*life(0))])
    about = json.loads((capture / "capture.json").read_text())
    about["outcome"] = {"kind": "panic", "message": HOSTILE}
    (capture / "capture.json").write_text(json.dumps(about))
    done = pykit("check", tmp_path, "--to", tmp_path / "out", cwd=tmp_path)
    assert "owned" in done.stdout
    texts = [done.stdout, done.stderr]
    for name in ("report.html", "results.ktap", "junit.xml"):
        texts.append((tmp_path / "out" / name).read_text())
        assert "owned" in texts[-1]
    for text in texts:
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(text)


def test_a_reader_that_closes_changes_no_exit_code(tmp_path: Path) -> None:
    for arguments in ("rules", "rules --json", "rules --markdown"):
        command = f"set -o pipefail; {sys.executable} -m pykit.cli {arguments} | head -1"
        done = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert len(done.stdout.splitlines()) == 1


def test_a_terminal_of_no_columns_has_80(tmp_path: Path) -> None:
    done = pykit("rules", cwd=tmp_path, COLUMNS="0")
    assert done.returncode == 0
    assert 60 < max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_imports_is_silent(tmp_path: Path, number: signal.Signals) -> None:
    # A package whose import takes long stands before the real ones.
    (tmp_path / "typer.py").write_text("import time\nprint('here', flush=True)\ntime.sleep(30)\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "pykit.cli", "rules"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    begun = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (130, "")
    assert time.monotonic() - begun < 10


def test_the_entry_point_imports_only_the_standard_library() -> None:
    code = "import sys, pykit.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"typer", "rich", "polars", "numpy"} & set(done.stdout.split())


@pytest.mark.parametrize("name", ["run.json", "verdicts.json"])
@pytest.mark.parametrize("text", ["[" * 200_000, '{"rules": [], "x": ' + "[" * 200_000])
def test_json_nested_too_deep(tmp_path: Path, name: str, text: str) -> None:
    for run in ("a", "b"):
        (tmp_path / run).mkdir()
        for file in ("run.json", "verdicts.json"):
            (tmp_path / run / file).write_text(text if file == name else "{}")
    assert name in one_line(pykit("diff", "a", "b", cwd=tmp_path), 2)


def test_toml_nested_too_deep(tmp_path: Path) -> None:
    (tmp_path / "deep.toml").write_text("a = " + "[" * 100_000)
    message = one_line(pykit("run", "./deep.toml", cwd=tmp_path), 2)
    assert "deep.toml" in message
