# SPDX-License-Identifier: GPL-2.0-only
"""The decoding bench: its generated trace is a sound one, and a short bench for real."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from pykit import bench, spec, trace
from pykit.bench.decode import COLUMNS, KBUFFER, PEER, VERDICTS, count
from pykit.bench.generated import generate
from pykit.errors import UsageError
from pykit.trace.batches import Decoder
from pykit.trace.tracing import read_tracing


def test_the_generated_trace_is_sound(tmp_path: Path) -> None:
    made = generate(tmp_path, 50_000)
    assert 50_000 <= made < 50_400
    decoder = Decoder(read_tracing(tmp_path / "tracing"), batch=7000)
    times = np.concatenate([batch.ts for batch in decoder])
    assert len(times) == made
    assert (np.diff(times) >= 0).all()
    assert not decoder.walk.damage
    assert count(tmp_path / "tracing") == made


def test_the_generated_requests_keep_the_rules(tmp_path: Path) -> None:
    # More than the 16-bit indices count.
    made = generate(tmp_path, 70_000 * 2 * 13)
    verdicts = spec.check(trace.load(tmp_path))
    assert (verdicts.total, verdicts.lost) == (made, 0)
    assert verdicts.having("fail") == ()
    assert len(verdicts.having("pass")) > 45


@pytest.mark.skipif(
    not (shutil.which("trace-cmd") and Path("/usr/include/traceevent/kbuffer.h").exists()),
    reason="trace-cmd or libtraceevent-dev is not installed",
)
def test_a_short_one() -> None:
    measured = bench.decode(None, events=[20_000], rounds=1)
    (read,) = measured.reads
    assert {timed.reader for timed in read.readers} == {KBUFFER, COLUMNS, PEER, VERDICTS}
    assert all(timed.cpu > 0 and timed.peak > 0 for timed in read.readers)
    assert read.ratio(PEER) == 1
    assert measured.as_json()["limits"]
    assert measured.table()


@pytest.mark.skipif(
    not (shutil.which("trace-cmd") and Path("/usr/include/traceevent/kbuffer.h").exists()),
    reason="trace-cmd or libtraceevent-dev is not installed",
)
def test_what_is_no_capture_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no per_cpu/cpu\*/trace_pipe_raw"):
        bench.decode(tmp_path, events=[], rounds=1)
