# SPDX-License-Identifier: GPL-2.0-only
"""The device status field (section 2.1)."""

from __future__ import annotations

from collections.abc import Iterator

from pykit.spec import bits
from pykit.spec.lives import Status
from pykit.spec.model import Result, Violation, rule
from pykit.spec.view import View

STEPS = (
    (bits.ACKNOWLEDGE, "ACKNOWLEDGE"),
    (bits.DRIVER, "DRIVER"),
    (bits.FEATURES_OK, "FEATURES_OK"),
    (bits.DRIVER_OK, "DRIVER_OK"),
)
#: An announcement that did not come so long after the status was read will not come, ns.
LONG = 5_000_000_000
_ALL = bits.ACKNOWLEDGE | bits.DRIVER | bits.FEATURES_OK | bits.DRIVER_OK


def writes(seen: list[Status]) -> list[Status]:
    """Writes and resets, without reads."""
    return [s for s in seen if s.op != bits.STATUS_READ]


def steps(seen: list[Status]) -> Iterator[tuple[int, Status]]:
    """Each write that is no reset, with the value before it; from the second one on."""
    before: int | None = None
    for status in writes(seen):
        reset = status.op == bits.STATUS_RESET or not status.value
        if before is not None and not reset:
            yield before, status
        before = 0 if reset else status.value


@rule("ST-DR-01", needs="qemu:dev_status")
def each_step_shows(view: View) -> Result:
    checked = 0
    found: list[Violation] = []
    for life in view.lives.values():
        last = next((s for s in life.written if s.value & bits.DRIVER_OK), None)
        if last is None or life.modern is None:
            continue
        checked += 1
        ever = 0
        for status in life.written:
            ever |= status.value
        lacks = [name for bit, name in STEPS if not ever & bit]
        if not life.modern:
            lacks = [name for name in lacks if name != "FEATURES_OK"]
        if lacks:
            text = f"{life.name}: never written: {', '.join(lacks)}"
            found.append(Violation((last.row,), text))
    return Result(checked, tuple(found), why="no driver finished its initialization")


@rule("ST-DR-02", needs="qemu:dev_status|driver:status")
def bits_are_only_added(view: View) -> Result:
    checked, undecided = 0, 0
    found: list[Violation] = []
    for life in view.lives.values():
        mine = {s.value for s in life.status if s.op == bits.STATUS_WRITE}
        for seen, outside in ((life.status, False), (life.written, True)):
            for before, now in steps(seen):
                # NEEDS_RESET is the device's.
                lost = before & ~now.value & ~bits.NEEDS_RESET
                if outside and lost == bits.DRIVER_OK and now.value not in mine:
                    # QEMU's log looks the same when bus mastering is switched off.
                    undecided += 1
                    continue
                checked += 1
                if lost:
                    text = f"{life.name}: status {before:#x} becomes {now.value:#x}"
                    found.append(Violation((now.row,), text))
    doubt = "DRIVER_OK alone vanished, which switching bus mastering off looks like"
    return Result(checked, tuple(found), undecided, "no status was written", doubt)


@rule("ST-DR-03", needs="qemu:dev_status|driver:status")
def reset_after_failure(view: View) -> Result:
    checked = 0
    found: list[Violation] = []
    for life in view.lives.values():
        for seen in (life.status, life.written):
            failed: int | None = None
            for now in writes(seen):
                if now.op == bits.STATUS_RESET:
                    failed = None
                elif failed is not None and now.value & _ALL & ~failed:
                    text = f"{life.name}: {now.value:#x} is written after FAILED, without a reset"
                    found.append(Violation((now.row,), text))
                elif now.value & bits.FAILED:
                    checked += failed is None
                    failed = now.value
    return Result(checked, tuple(found), why="no driver wrote FAILED")


def _early(view: View, kinds: tuple[str, ...], what: str) -> Result:
    """Doings of the device in a life before DRIVER_OK, in the order of QEMU's log."""
    checked = 0
    found: list[Violation] = []
    for (dev, number), rows in view.columns(*kinds).by_life().items():
        life = view.life(dev, number)
        ready = next((s.row for s in life.written if s.value & bits.DRIVER_OK), None)
        if not life.modern:
            continue
        early = rows if ready is None else rows.take(rows["row"] < ready)
        checked += len(rows)
        found += [
            Violation((event["row"],), f"{life.name}, queue {event['vq']}: {what} before DRIVER_OK")
            for event in early.dicts("row", "vq")
        ]
    return Result(checked, tuple(found), why="QEMU's log has no such event of a modern device")


@rule("ST-DE-01", needs=("qemu:dev_status", "qemu:dev_pop"))
def no_buffer_before_driver_ok(view: View) -> Result:
    return _early(view, ("dev_pop", "dev_fill"), "a buffer was used")


@rule("ST-DE-02", needs=("qemu:dev_status", "qemu:dev_signal"))
def no_interrupt_before_driver_ok(view: View) -> Result:
    return _early(view, ("dev_signal",), "an interrupt was sent")


@rule("ST-DE-04", needs="driver:status")
def needs_reset_is_announced(view: View) -> Result:
    checked, undecided = 0, 0
    found: list[Violation] = []
    signals = view.of("dev_config_signal")["dev"].to_list()
    for life in view.lives.values():
        broken = bits.NEEDS_RESET | bits.DRIVER_OK
        shown = next(
            (s for s in life.status if s.op == bits.STATUS_READ and s.value & broken == broken),
            None,
        )
        if shown is None:
            continue
        if life.changes or life.dev in signals:
            checked += 1
        elif shown.ts is None or view.end[0] - shown.ts < LONG:
            undecided += 1
        else:
            checked += 1
            text = f"{life.name}: NEEDS_RESET is set, and no configuration change was announced"
            found.append(Violation((shown.row,), text))
    return Result(checked, tuple(found), undecided, "no device asked for a reset")
