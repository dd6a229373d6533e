# SPDX-License-Identifier: GPL-2.0-only
"""The queues of a run in progress, by QEMU's growing log."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from pykit.analysis.live import Follower
from pykit.analysis.why import Found, QueueState, Why, explain
from pykit.errors import UsageError
from pykit.top.look import STUCK_S, QueueLine, TopLook
from pykit.trace import load_log
from pykit.trace.capture import Ended

_HALF = "p50"


class RunInProgress:
    """A run's directory, looked at until its capture is complete."""

    def __init__(self, capture: Path, log: BinaryIO) -> None:
        self._capture, self._log = capture, log
        self._follower = Follower(log)
        #: The last line of each queue, by its name DEV.VQ.
        self._lines: dict[str, QueueLine] = {}

    def look(self) -> TopLook:
        """Read what the log has by now; queues that hold chains for long are explained."""
        over = (self._capture / "capture.json").is_file()
        rates: dict[str, tuple[float | None, float | None]] = {}
        more = True
        while more:
            seen, more = self._follower.look()
            for row in seen.queues.iter_rows(named=True):
                rate = row["requests"] / seen.seconds if seen.seconds else None
                rates[row["queue"]] = rate, row[_HALF]
        under_way = self._follower.under_way()
        now = time.time_ns()
        late = any(now - since >= STUCK_S * 1e9 for _, since in under_way.values())
        why = self._explained(now) if late and not over else None
        states = {} if why is None else {f"{s.dev}.{s.vq}": s for s in why.queues}
        for name in rates.keys() | under_way.keys() | self._lines.keys():
            count, _ = under_way.get(name, (0, 0))
            rate, ns = rates.get(name, (0.0, None))
            self._lines[name] = _line(name, count, rate, ns, states.get(name))
        lines = [self._lines[name] for name in sorted(self._lines, key=_order)]
        ended = "the run has ended: pykit show and pykit why have the whole" if over else ""
        return TopLook(tuple(lines), () if why is None else why.broken, ended)

    def _explained(self, now: int) -> Why:
        """Explain the queues as of now: a log in which nothing moves does not grow."""
        with tempfile.TemporaryDirectory(prefix="pykit-top-") as folder:
            log = Path(folder) / "qemu.log"
            text = (self._capture / "qemu.log").read_bytes()
            # QEMU may be about to write the rest of the last line.
            log.write_bytes(text[: text.rfind(b"\n") + 1])
            events = load_log(log)
        ended = Ended(host_ns=now, guest_ns=0)
        events = replace(events, capture=replace(events.capture, ended=ended))
        return explain(events, limit_ns=int(STUCK_S * 1e9))


@contextlib.contextmanager
def watched_run(run: Path) -> Iterator[RunInProgress]:
    """Open the log of a run in progress; raises UsageError where there is none."""
    capture = run / "capture" if (run / "capture").is_dir() else run
    if (capture / "capture.json").is_file():
        raise UsageError(f"{run}: the run has ended: see pykit why {run} and pykit show {run}")
    log = capture / "qemu.log"
    if not log.is_file():
        raise UsageError(f"{run}: no qemu.log: name the directory of a run in progress")
    with log.open("rb") as file:
        yield RunInProgress(capture, file)


def _line(
    name: str, count: int, rate: float | None, ns: float | None, state: QueueState | None
) -> QueueLine:
    dev, _, vq = name.partition(".")
    found: Found = "moves" if rate else "idle"
    spoken = False
    if state is not None and not rate:
        found = state.found
        spoken = found in ("stuck", "unknown")
    return QueueLine(
        f"device {dev}",
        int(vq),
        depth=count,
        rate=rate,
        ns=ns,
        found=found,
        turn=(state.turn or "") if state is not None and spoken else "",
        sentence=state.sentence if state is not None and spoken else "",
    )


def _order(name: str) -> tuple[int, int]:
    dev, _, vq = name.partition(".")
    return int(dev), int(vq)
