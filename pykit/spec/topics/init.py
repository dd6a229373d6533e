# SPDX-License-Identifier: GPL-2.0-only
"""Device initialization (section 3.1)."""

from __future__ import annotations

import polars as pl

from pykit.spec import bits
from pykit.spec.lives import Life, Status
from pykit.spec.model import Result, Violation, rule
from pykit.spec.topics.status import STEPS, writes
from pykit.spec.view import View

_ORDER = [bit for bit, _ in STEPS]


@rule("IN-DR-01", needs="qemu:dev_status|driver:status")
def steps_in_order(view: View) -> Result:
    checked = 0
    found: list[Violation] = []
    for life in view.lives.values():
        if life.written and life.modern is not None:
            checked += 1
            found += _outside(life)
        if life.first_write(bits.DRIVER_OK) or life.first_write(bits.FEATURES_OK):
            checked += 1
            found += _inside(view, life)
    return Result(checked, tuple(found), why="no driver's initialization was seen")


def _outside(life: Life) -> list[Violation]:
    """The whole sequence, as QEMU saw it; each step is a write of its own."""
    found = []
    order = [bit for bit in _ORDER if life.modern or bit != bits.FEATURES_OK]
    before = life.written[0].value
    started = life.written[0].op == bits.STATUS_RESET
    for now in life.written[1:] if started else life.written:
        new = [bit for bit in order if now.value & bit & ~before]
        names = " and ".join(name for bit, name in STEPS if bit in new)
        skipped = (
            [bit for bit in order[: order.index(new[-1])] if not now.value & bit] if new else []
        )
        if started and len(new) > 1:
            # Firmware, most often.
            who = "" if life.stages else ", by a driver that was not traced"
            found.append(Violation((now.row,), f"{life.name}: {names} in one write{who}"))
        if skipped:
            lacks = " and ".join(name for bit, name in STEPS if bit in skipped)
            found.append(Violation((now.row,), f"{life.name}: {names} without {lacks}"))
        if now.value and before & bits.DRIVER and not now.value & bits.DRIVER:
            text = f"{life.name}: initialization begins again ({now.value:#x}) without a reset"
            found.append(Violation((now.row,), text))
        before = now.value
    return found


def _inside(view: View, life: Life) -> list[Violation]:
    """What the driver itself shows: from the end of the negotiation on."""
    found = []
    agreed = life.first_write(bits.FEATURES_OK)
    ready = life.first_write(bits.DRIVER_OK)
    if ready and life.has(bits.VERSION_1) and (agreed is None or agreed.row > ready.row):
        found.append(Violation((ready.row,), f"{life.name}: DRIVER_OK without FEATURES_OK"))
    setups = view.keep("setups", _setups).get((life.dev, life.number), [])
    found += [
        Violation((row,), f"{life.name}: queue {vq} is set up before FEATURES_OK")
        for row, vq in setups
        if agreed and row < agreed.row
    ]
    return found


def _setups(view: View) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """By life, (row, vq) of each set-up of a queue."""
    setups: dict[tuple[int, int], list[tuple[int, int]]] = {}
    found = view.of("queue").filter(op=0)
    for dev, life, row, vq in found.select("dev", "life", "row", "vq").iter_rows():
        setups.setdefault((dev, life), []).append((row, vq))
    return setups


@rule("IN-DR-03", needs="driver:status")
def no_config_write_in_negotiation(view: View) -> Result:
    checked = 0
    found: list[Violation] = []
    for life in view.lives.values():
        agreed = life.first_write(bits.FEATURES_OK)
        if agreed is None:
            continue
        checked += 1
        early = [a for a in life.config if a.write and a.row < agreed.row]
        found += [
            Violation((a.row,), f"{life.name}: {a.len} bytes at {a.offset} of the config written")
            for a in early
        ]
    return Result(checked, tuple(found), why="no negotiation was seen")


@rule("IN-DR-04", needs=("driver:features", "driver:status"))
def features_are_frozen(view: View) -> Result:
    checked = 0
    found: list[Violation] = []
    for life in view.lives.values():
        agreed = life.first_write(bits.FEATURES_OK)
        before = [f for f in life.features if agreed and f.row < agreed.row]
        if not before:
            continue
        for now in (f for f in life.features if agreed and f.row > agreed.row):
            checked += 1
            new = now.acked & ~before[-1].acked
            if new:
                text = f"{life.name}: accepted after FEATURES_OK: bits {bits.names_of(new)}"
                found.append(Violation((now.row,), text))
    return Result(checked, tuple(found), why="features were not seen before and after FEATURES_OK")


@rule("IN-DR-05", needs="driver:status")
def features_ok_is_read_back(view: View) -> Result:
    checked = 0
    found: list[Violation] = []
    for life in view.lives.values():
        agreed = life.first_write(bits.FEATURES_OK)
        if agreed is None:
            continue
        later = [s for s in life.status if s.row > agreed.row]
        read = next((s for s in later if s.op == bits.STATUS_READ), None)
        ready = next((s for s in later if s.value & bits.DRIVER_OK and _is_write(s)), None)
        if read is None and ready is None:
            continue
        checked += 1
        if ready and (read is None or read.row > ready.row):
            text = f"{life.name}: DRIVER_OK is written, the status was not read before"
            found.append(Violation((ready.row,), text))
        elif ready and read and not read.value & bits.FEATURES_OK:
            text = f"{life.name}: the device did not keep FEATURES_OK, the driver goes on"
            found.append(Violation((read.row, ready.row), text))
    return Result(checked, tuple(found), why="FEATURES_OK was not written")


def _is_write(status: Status) -> bool:
    return status.op == bits.STATUS_WRITE


@rule("IN-DR-06", needs=("driver:driver", "driver:status|qemu:dev_status"))
def failure_is_shown(view: View) -> Result:
    checked, undecided = 0, 0
    found: list[Violation] = []
    for life in view.lives.values():
        failed = life.stage(bits.PROBE_FAILED)
        if failed is None:
            continue
        every = writes(life.status) + life.written
        if any(s.value & bits.FAILED for s in every):
            checked += 1
        elif failed.ts is not None and view.end[0] - failed.ts < 1_000_000_000:
            # The trace may end before the write.
            undecided += 1
        else:
            checked += 1
            text = f"{life.name}: probe failed ({failed.err}), FAILED was not written"
            found.append(Violation((failed.row,), text))
    return Result(checked, tuple(found), undecided, "no driver failed to initialize a device")


@rule("IN-DR-07", needs=("driver:driver", "driver:status"))
def failure_is_the_end(view: View) -> Result:
    checked = 0
    found: list[Violation] = []
    for life in view.lives.values():
        failed = life.stage(bits.PROBE_FAILED)
        if failed is None:
            continue
        checked += 1
        later = [s for s in life.status if s.row > failed.row and _is_write(s)]
        found += [
            Violation((failed.row, s.row), f"{life.name}: DRIVER_OK after probe failed")
            for s in later
            if s.value & bits.DRIVER_OK
        ]
    return Result(checked, tuple(found), why="no driver failed to initialize a device")


@rule("IN-DR-08", needs=("driver:notify|qemu:dev_kick", "driver:status|qemu:dev_status"))
def no_kick_before_driver_ok(view: View) -> Result:
    checked = 0
    found: list[Violation] = []
    inside = "driver" in view.sources
    bells = view.of("notify" if inside else "dev_kick").filter(pl.col("life").is_not_null())
    rung = bells.group_by("dev", "life", maintain_order=True).agg(
        pl.len().alias("count"), pl.col("row").min().alias("first")
    )
    for dev, number, count, first in rung.iter_rows():
        life = view.life(dev, number)
        if not life.modern:
            continue
        seen = life.status if inside else life.written
        ready = next((s.row for s in seen if _is_write(s) and s.value & bits.DRIVER_OK), None)
        if not any(_is_write(s) for s in seen):
            continue
        checked += count
        if ready is not None and ready <= first:
            continue
        early = bells.filter(dev=dev, life=number)
        early = early if ready is None else early.filter(pl.col("row") < ready)
        found += [
            Violation((row,), f"{life.name}, queue {vq}: doorbell before DRIVER_OK")
            for row, vq in early.select("row", "vq").iter_rows()
        ]
    return Result(checked, tuple(found), why="no modern device's doorbell was rung")
