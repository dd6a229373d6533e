# SPDX-License-Identifier: GPL-2.0-only
"""Device initialization (section 3.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import are
from pykit.spec.lives import Life, Status, ends_within, logged_features, negotiated_lives
from pykit.spec.model import Result, Violation, rule
from pykit.spec.rows import Tally
from pykit.spec.timing import ONE_SIDE
from pykit.spec.topics.queue_registers import enabled_late, enabled_never
from pykit.spec.topics.reset import never_reset
from pykit.spec.topics.status import check_after_driver_ok, steps_of, writes
from pykit.spec.view import View
from pykit.trace.kinds import SET_UP


@rule("IN-DR-01", needs="qemu:dev_status|driver:status")
def steps_in_order(view: View) -> Result:
    """Section 3.1.1: the driver initializes a device step by step in the order that is given there.

    Checked: each life of which QEMU logged status writes, and each of which the guest's trace has
    a write of FEATURES_OK or DRIVER_OK.

    - In QEMU's log: after a reset each write adds one of ACKNOWLEDGE, DRIVER, FEATURES_OK and
      DRIVER_OK, none before those that precede it, and DRIVER does not vanish without a reset.
      Legacy drivers have no FEATURES_OK; a life where it is unknown which interface the driver
      uses is left out.
    - Bits that come together are wrong only if the life's reset was logged: otherwise the writes
      between may have come before the log began.
    - In the guest's trace, which only begins with the negotiation: a modern driver sets
      FEATURES_OK before DRIVER_OK, and sets its queues up after FEATURES_OK and before
      DRIVER_OK; with RING_RESET it may set them up again later.
    - In the register accesses: no queue is enabled for the first time after DRIVER_OK, and each
      whose addresses were written is enabled by then. Where the log begins with the device, a
      driver resets it before it writes DRIVER.
    - When the driver looks at the offer and accepts a part of it is not looked at here: IN-DR-04
      and IN-DR-05 have what follows from that.
    """
    tally = Tally(none="no driver's initialization was seen")
    _check_steps(view, tally, view.lives.values())
    tally.check_together(0, enabled_late(view))
    tally.check_together(0, enabled_never(view))
    tally.check_together(0, never_reset(view))
    return tally.result()


@rule("MI-DR-06", needs="qemu:dev_status|driver:status")
def steps_in_order_on_mmio(view: View) -> Result:
    """Section 4.2.3.1: behind the checks of its own, a driver of an MMIO device initializes it in
    the general order.

    Checked: as for IN-DR-01, status writes and set-ups of queues of MMIO devices alone.
    """
    tally = Tally(none="no initialization of an MMIO device was seen")
    _check_steps(view, tally, (e for e in view.lives.values() if e.transport == "mmio"))
    return tally.result()


def _check_steps(view: View, tally: Tally, lives: Iterable[Life]) -> None:
    """Check the order of status writes and set-ups of queues in these lives."""
    for life in lives:
        if life.written and life.modern is not None:
            tally.check_together(1, _wrong_outside(life))
        if life.first_write(bits.DRIVER_OK) or life.first_write(bits.FEATURES_OK):
            tally.check_together(1, _wrong_inside(view, life))


def _wrong_outside(life: Life) -> Iterator[Violation]:
    """Report breaks of the whole sequence, as QEMU logged it."""
    steps = steps_of(life)
    from_reset = life.written[0].op == bits.STATUS_RESET
    before = life.written[0].value
    for now in life.written[1:] if from_reset else life.written:
        new = [number for number, (bit, _) in enumerate(steps) if now.value & bit & ~before]
        names = " and ".join(steps[number][1] for number in new)
        if from_reset and len(new) > 1:
            # Firmware, in most cases.
            driver = "" if life.stages else ", by a driver that was not traced"
            yield Violation((now.row,), f"{life.name}: {names} in one write{driver}")
        skipped = [name for bit, name in steps[: new[-1]] if not now.value & bit] if new else []
        if skipped:
            text = f"{life.name}: {names} without {' and '.join(skipped)}"
            yield Violation((now.row,), text)
        if now.value and before & bits.DRIVER and not now.value & bits.DRIVER:
            text = f"{life.name}: initialization begins again ({now.value:#x}) without a reset"
            yield Violation((now.row,), text)
        before = now.value


def _wrong_inside(view: View, life: Life) -> Iterator[Violation]:
    """Report breaks of the part of the sequence that the guest's trace has."""
    agreed = life.first_write(bits.FEATURES_OK)
    ready = life.first_write(bits.DRIVER_OK)
    if ready and life.has(bits.VERSION_1) and (agreed is None or agreed.row > ready.row):
        yield Violation((ready.row,), f"{life.name}: DRIVER_OK without FEATURES_OK")
    setups = view.keep("setups", _setups).get((life.dev, life.number), [])
    for row, vq in setups:
        if agreed and row < agreed.row:
            yield Violation((row,), f"{life.name}: queue {vq} is set up before FEATURES_OK")
        if ready and row > ready.row and life.has(bits.RING_RESET) is False:
            yield Violation((row,), f"{life.name}: queue {vq} is set up after DRIVER_OK")


def _setups(view: View) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Return the row and queue of each set-up, by life."""
    setups: dict[tuple[int, int], list[tuple[int, int]]] = {}
    found = view.of("queue").filter(op=SET_UP)
    for dev, life, row, vq in found.select("dev", "life", "row", "vq").iter_rows():
        setups.setdefault((dev, life), []).append((row, vq))
    return setups


@rule("IN-DR-03", needs=("driver:status", "driver:config"))
def no_config_write_in_negotiation(view: View) -> Result:
    """Section 3.1.1: the driver may read the configuration while it negotiates, not write it.

    Checked: each life whose write of FEATURES_OK was traced: no configuration write comes before
    it. Where FEATURES_OK is missing, IN-DR-01 reports that.
    """
    tally = Tally(none="no negotiation was seen")
    for life, agreed in negotiated_lives(view):
        early = (a for a in life.config if a.write and a.row < agreed.row)
        tally.check_together(
            1,
            (
                Violation(
                    (a.row,), f"{life.name}: {a.len} bytes at {a.offset} of the config written"
                )
                for a in early
            ),
        )
    return tally.result()


@rule("IN-DR-04", needs=("driver:features", "driver:status"))
def features_are_frozen(view: View) -> Result:
    """Section 3.1.1: the features that the driver acknowledges stay as they were when it set
    FEATURES_OK.

    Checked: each traced state of the negotiation after the write of FEATURES_OK, against the one
    before it: no bit was added. None went away either, unless the state before was that of a
    driver which had not finished its choice: up to FEATURES_OK the core may drop bits. Where
    the registers' log has the same life, each write after FEATURES_OK leaves the features alone.

    Undecided: a life of which no state after FEATURES_OK, or none before it, was traced.
    """
    tally = Tally(
        none="no negotiation was seen", doubt="features were not seen before and after FEATURES_OK"
    )
    sources = view.events.base["source"]
    for life, agreed in negotiated_lives(view):
        before = [f for f in life.features if f.row < agreed.row]
        after = [f for f in life.features if f.row > agreed.row]
        if before and not after and sources[agreed.row] == "registers":
            # A register's log has each write: there was none.
            tally.check(True, agreed.row, "")
            continue
        if not before or not after:
            tally.undecided()
            continue
        for last, now in pairwise((before[-1], *after)):
            # A register's write is final; tracepoints say at which stage they were.
            final = last.stage > 0 or last is not before[-1]
            new = now.acked & ~last.acked
            gone = last.acked & ~now.acked if final else 0
            changed = f"acknowledged after FEATURES_OK: bits {bits.names_of(new)}"
            if not new:
                changed = f"withdrawn after FEATURES_OK: bits {bits.names_of(gone)}"
            tally.check(not new and not gone, now.row, f"{life.name}: {changed}")
    for life in view.lives.values():
        states = logged_features(view, life)
        for now in states[1:]:
            changed = bits.names_of(now.acked ^ states[0].acked)
            text = f"{life.name}: written differently after FEATURES_OK: bits {changed}"
            tally.check(now.acked == states[0].acked, (states[0].row, now.row), text)
    return tally.result()


@rule("IN-DR-05", needs=("driver:status", "driver:queue|qemu:dev_status"))
def features_ok_is_read_back(view: View) -> Result:
    """Section 3.1.1: the driver reads FEATURES_OK back, and gives up where the device cleared it.

    Checked: each life whose write of FEATURES_OK was traced and in which the driver went on: it
    set a queue up, wrote to the configuration, or wrote another status without FAILED. The status
    was read before the first of these, and it had FEATURES_OK. A later read does not
    count: drivers read the status for other reasons too, as Linux does for each of its writes.

    - The configuration may be read at any time.
    - A driver that goes no further than the read is right in either case. A life whose trace has
      neither a read nor one of these steps after FEATURES_OK is undecided.
    """
    tally = Tally(none="FEATURES_OK was not written")
    every = view.keep("setups", _setups)
    for life, agreed in negotiated_lives(view):
        later = [s for s in life.status if s.row > agreed.row]
        read = next((s for s in later if s.op == bits.STATUS_READ), None)
        steps = [row for row, _ in every.get((life.dev, life.number), ()) if row > agreed.row]
        steps += [a.row for a in life.config if a.write and a.row > agreed.row]
        steps += [s.row for s in later if s.op == bits.STATUS_WRITE and not s.value & bits.FAILED]
        step = min(steps, default=None)
        if step is None and read is None:
            tally.undecided()
        elif step is not None and (read is None or read.row > step):
            text = f"{life.name}: the driver goes on, and has not read the status back"
            tally.check(False, (agreed.row, step), text)
        elif read is not None:
            kept = bool(read.value & bits.FEATURES_OK)
            rows = (read.row,) if step is None else (read.row, step)
            text = f"{life.name}: the device cleared FEATURES_OK, and the driver goes on"
            tally.check(kept or step is None, rows, text)
    return tally.result()


@rule("IN-DR-06", needs=("driver:driver", "driver:status|qemu:dev_status"))
def failure_is_shown(view: View) -> Result:
    """Section 3.1.1: a driver that cannot initialize a device sets FAILED.

    Checked: each life whose probe() failed: FAILED is written, in the guest's trace or in QEMU's
    log, at any time.

    Undecided: nothing was written and the trace ends less than 1 s after probe() failed. The
    core writes FAILED in the function that called probe(), so that 1 s is ample.
    """
    tally = Tally(none="no driver failed to initialize a device")
    for life in view.lives.values():
        failed = life.stage(bits.PROBE_FAILED)
        if failed is None:
            continue
        shown = any(s.value & bits.FAILED for s in writes(life.status) + life.written)
        if not shown and ends_within(failed.ts, ONE_SIDE, view.end[0]):
            tally.undecided()
            continue
        text = f"{life.name}: probe failed ({failed.err}), but FAILED was not written"
        tally.check(shown, failed.row, text)
    return tally.result()


@rule("IN-DR-07", needs=("driver:driver", "driver:status"))
def failure_is_the_end(view: View) -> Result:
    """Section 3.1.1: a driver does not go on with an initialization of which a step failed.

    Checked: each life whose probe() failed: no write after that has DRIVER_OK. A new attempt
    begins with a reset, and thus with a new life.
    """
    tally = Tally(none="no driver failed to initialize a device")
    for life in view.lives.values():
        failed = life.stage(bits.PROBE_FAILED)
        if failed is None:
            continue
        went_on = (s for s in life.status if s.row > failed.row and s.sets(bits.DRIVER_OK))
        text = f"{life.name}: DRIVER_OK after probe failed"
        tally.check_together(1, (Violation((failed.row, s.row), text) for s in went_on))
    return tally.result()


@rule("IN-DR-08", needs=("driver:notify|qemu:dev_kick", "driver:status|qemu:dev_status"))
def no_notification_before_driver_ok(view: View) -> Result:
    """Section 3.1.1: the driver sends no available buffer notification before it sets DRIVER_OK.

    Checked: each notification of a modern device in the guest's trace, or in QEMU's log if the
    guest was not traced, in a life of which the same observer saw a status write. A reset takes
    DRIVER_OK back: a notification in the guest's trace after it is one too early as well, unless
    its task had decided to send it before the reset, which may be another CPU's, at the same time.

    Devices of the legacy interface are left out: their drivers may use queues before DRIVER_OK.
    """
    tally = Tally(none="no notification of a modern device was seen")
    inside = "driver" in view.sources

    def seen(life: Life) -> list[Status] | None:
        status = life.status if inside else life.written
        return status if any(s.op == bits.STATUS_WRITE for s in status) else None

    kind = "notify" if inside else "dev_kick"
    check_after_driver_ok(view, tally, (kind,), seen, "notified before DRIVER_OK")
    tally.check_together(0, _after_reset(view))
    return tally.result()


def _after_reset(view: View) -> Iterator[Violation]:
    """Report notifications of a device that was reset, and is without DRIVER_OK since."""
    pid, cpu = view.base("pid"), view.base("cpu").astype(np.int64)
    # Each CPU has an idle task of its own, and all are task 0.
    task_of = np.where(pid > 0, pid, -1 - cpu)
    for (dev, number), events in view.columns("kick", "add_failed", "notify").by_life().items():
        life = view.life(dev, number)
        steps = [s for s in life.status if s.op == bits.STATUS_RESET or s.sets(bits.DRIVER_OK)]
        if not life.modern or not any(s.sets(bits.DRIVER_OK) for s in steps):
            continue
        rows = np.array([s.row for s in steps])
        reset = np.array([s.op == bits.STATUS_RESET for s in steps])
        gone = reset & (np.cumsum(~reset) > 0)
        if not gone.any():
            continue
        last = np.searchsorted(rows, events["row"]) - 1
        sent = are(events, "notify")
        decided = (events["needed"] | events["notified"]) > 0
        task = task_of[events["row"]]
        for i in np.flatnonzero(sent & (last >= 0) & gone[last]).tolist():
            since, row, vq = int(rows[last[i]]), int(events["row"][i]), int(events["vq"][i])
            mine = (task == task[i]) & (events["vq"] == vq)
            before = np.count_nonzero(mine & decided & (events["row"] < since))
            if before <= np.count_nonzero(mine & sent & (events["row"] < row)):
                text = f"{life.name}, queue {vq}: notified after a reset, and before DRIVER_OK"
                yield Violation((since, row), text)
