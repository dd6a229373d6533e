# SPDX-License-Identifier: GPL-2.0-only
"""The bundle of pykit record: one static program, and a page on its use."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from pykit.errors import UsageError
from pykit.paths import ROOT
from pykit.record import make_bundle


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("clang"):
        pytest.skip("clang is not installed")
    return make_bundle(tmp_path_factory.mktemp("bundle") / "recorder")


def test_the_program_needs_no_library(program: Path) -> None:
    with program.open("rb") as file:
        assert not any(
            segment["p_type"] == "PT_INTERP" for segment in ELFFile(file).iter_segments()
        )
    assert program.stat().st_size < 2_000_000
    assert "pykit check FILE" in (program.parent / "README").read_text()


def test_it_says_what_it_takes(program: Path) -> None:
    helped = subprocess.run([program, "-h"], capture_output=True, text=True, check=False)
    assert (helped.returncode, helped.stdout.splitlines()[0]) == (
        0,
        "usage: pykit-record [-o FILE] [-b MIB] [--watch] [COMMAND...]",
    )
    odd = subprocess.run([program, "-b", "3"], capture_output=True, text=True, check=False)
    assert (odd.returncode, odd.stdout) == (2, "")


def test_a_directory_with_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="not an empty directory"):
        make_bundle(tmp_path)


#: Ten chains by one notification, back by one interrupt after 1 ms; nothing for a second; and
#: one that is not back.
WATCHED = """
#include "watch.h"

int main(void)
{
	struct ev_add add = { .dev = 1, .vq = 2 };
	struct ev_used used = { .dev = 1, .vq = 2, .accepted = 1 };
	struct ev_notify notify = { .dev = 1, .vq = 2 };
	struct ev_interrupt interrupt = { .dev = 1, .vq = 2 };
	u64 second = 1000000000;

	watch_print(second);
	for (add.head = 0; add.head < 10; add.head++)
		watch_chain(second, &add);
	watch_event(second, KIND_notify, &notify);
	watch_event(second, KIND_interrupt, &interrupt);
	for (used.id = 0; used.id < 10; used.id++)
		watch_event(second + 1000000, KIND_used, &used);
	watch_print(2 * second);
	watch_print(3 * second);
	watch_chain(4 * second, &add);
	watch_print(4 * second);
	return 0;
}
"""


def test_the_live_table(tmp_path: Path) -> None:
    (tmp_path / "watched.c").write_text(WATCHED)
    program, record = tmp_path / "watched", ROOT / "record"
    command = ["gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", f"-I{record}", "-o", program]
    subprocess.run([*command, tmp_path / "watched.c", record / "watch.c"], check=True)
    said = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in said.splitlines() if line.startswith("1.2 ")]
    assert rows == [
        ["1.2", "10", "10", "0.10", "0.10", "10.00", "10.00", "5.50", "≤", "10", *["1000"] * 3],
        ["1.2", "0", "0", "-", "-", "-", "-", "1.00", "≤", "1", "-", "-", "-"],
    ]
