# SPDX-License-Identifier: GPL-2.0-only
"""The device status field (section 2.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

from pykit.spec import bits
from pykit.spec.lives import Life, Status, ends_within, needs_reset
from pykit.spec.model import Result, Violation, rule
from pykit.spec.rows import Tally
from pykit.spec.timing import OTHER_SIDE
from pykit.spec.view import View
from pykit.trace.asked import feature_bits
from pykit.trace.capture import STATUS_QUERY, QmpAnswer

STEPS = (
    (bits.ACKNOWLEDGE, "ACKNOWLEDGE"),
    (bits.DRIVER, "DRIVER"),
    (bits.FEATURES_OK, "FEATURES_OK"),
    (bits.DRIVER_OK, "DRIVER_OK"),
)
_ALL_STEPS = bits.ACKNOWLEDGE | bits.DRIVER | bits.FEATURES_OK | bits.DRIVER_OK


def steps_of(life: Life) -> list[tuple[int, str]]:
    """Return the status bits of an initialization in order; FEATURES_OK is not a legacy one's."""
    return [step for step in STEPS if life.modern or step[0] != bits.FEATURES_OK]


def writes(seen: list[Status]) -> list[Status]:
    """Return writes and resets, without reads."""
    return [s for s in seen if s.op != bits.STATUS_READ]


def _changes(seen: list[Status]) -> Iterator[tuple[int, Status]]:
    """Return each write that is no reset with the bits set before it, from the second write on.

    A bit that the driver wrote and then did not read back was not set: the device refused it.
    """
    before: int | None = None
    for status in seen:
        if status.op == bits.STATUS_READ:
            before = None if before is None else before & status.value
            continue
        reset = status.op == bits.STATUS_RESET or not status.value
        if before is not None and not reset:
            yield before, status
        before = 0 if reset else status.value


@rule("ST-DR-01", needs="qemu:dev_status")
def each_step_sets_its_bit(view: View) -> Result:
    """Section 2.1.1: the driver sets a status bit for each initialization step it has done.

    Checked: each life with a status write that has DRIVER_OK, and each in which the driver used
    a queue or ended its probe() without an error, by all status writes of the life; QEMU logs
    every one.

    - A life is left out where it is unknown whether the driver uses the legacy interface, which
      has no FEATURES_OK.
    - The order of the writes is not looked at: IN-DR-01 does that.
    """
    tally = Tally(none="no driver finished its initialization")
    used = {name: int(rows["row"][0]) for name, rows in view.columns("dev_kick").by_life().items()}
    for life in view.lives.values():
        ready = next((s.row for s in life.written if s.value & bits.DRIVER_OK), None)
        if ready is None and life.written:
            probed = life.stage(bits.PROBED)
            began = probed.row if probed and not probed.err else None
            ready = used.get((life.dev, life.number), began)
        if ready is None or life.modern is None:
            continue
        ever = 0
        for status in life.written:
            ever |= status.value
        lacks = [name for bit, name in steps_of(life) if not ever & bit]
        tally.check(not lacks, ready, f"{life.name}: never written: {', '.join(lacks)}")
    return tally.result()


@rule("ST-DR-02", needs="qemu:dev_status|driver:status")
def bits_are_only_added(view: View) -> Result:
    """Section 2.1.1: the driver clears no status bit, except all of them by a reset.

    Checked: each status write that is no reset, from the second one of a life on, against the
    value written before; in the guest's trace and in QEMU's log, each on its own.

    - DEVICE_NEEDS_RESET may vanish: the device sets it, and a driver need not write it back.
    - A bit that the driver wrote and read back as 0 was not set: the device refused it, as it may
      refuse FEATURES_OK. In QEMU's log, which has no reads, the reads of the guest's trace
      count, and without these FEATURES_OK may be gone where FAILED is written (undecided).
    - Undecided: DRIVER_OK alone vanishes in QEMU's log, and the guest's trace has no write of
      that value. QEMU clears the bit by itself, with the same log line, when the guest switches
      the PCI function's bus mastering off.
    """
    tally = Tally(
        none="no status was written",
        doubt="DRIVER_OK alone vanished, which switching bus mastering off looks like",
    )
    for life in view.lives.values():
        by_driver = {s.value for s in life.status if s.op == bits.STATUS_WRITE}
        reads = [s for s in life.status if s.op == bits.STATUS_READ]
        refused = any(s.value and not s.value & bits.FEATURES_OK for s in _answers(life.status))
        for seen, outside in ((life.status, False), (life.written, True)):
            for before, now in _changes(seen):
                cleared = before & ~now.value & ~bits.NEEDS_RESET
                gives_up = outside and bool(now.value & bits.FAILED)
                if gives_up and cleared == bits.FEATURES_OK and (refused or not reads):
                    if refused:
                        tally.check(True, now.row, "")
                    else:
                        tally.undecided(doubt="the device may have refused FEATURES_OK")
                    continue
                if outside and cleared == bits.DRIVER_OK and now.value not in by_driver:
                    tally.undecided()
                    continue
                text = f"{life.name}: status {before:#x} becomes {now.value:#x}"
                tally.check(not cleared, now.row, text)
    return tally.result()


@rule("ST-DR-03", needs="qemu:dev_status|driver:status")
def reset_after_failure(view: View) -> Result:
    """Section 2.1.1: after it set FAILED, the driver resets the device before a new attempt.

    Checked: each time that FAILED gets set, in the guest's trace and in QEMU's log, each on its
    own. A new attempt is a write that adds one of the four bits of initialization steps to those
    that were set with FAILED, without a reset between.
    """
    tally = Tally(none="no driver wrote FAILED")
    for life in view.lives.values():
        for seen in (life.status, life.written):
            failed: int | None = None
            for now in writes(seen):
                if now.op == bits.STATUS_RESET:
                    failed = None
                elif failed is not None and now.value & _ALL_STEPS & ~failed:
                    text = f"{life.name}: {now.value:#x} is written after FAILED, without a reset"
                    tally.check_together(0, (Violation((now.row,), text),))
                elif now.value & bits.FAILED:
                    tally.check_together(1 if failed is None else 0, ())
                    failed = now.value
    return tally.result()


def _answers(seen: list[Status]) -> Iterator[Status]:
    """Return the first read after each write of FEATURES_OK."""
    for status, following in pairwise(seen):
        if status.sets(bits.FEATURES_OK) and following.op == bits.STATUS_READ:
            yield following


def check_after_driver_ok(
    view: View,
    tally: Tally,
    kinds: tuple[str, ...],
    seen: Callable[[Life], list[Status] | None],
    text: str,
) -> None:
    """Check that events of modern devices come after the first DRIVER_OK in the status ``seen``.

    Events and status have to be from the same observer, as rows only have the order of its log.
    Lives whose status was not seen (None) are left out.
    """
    for (dev, number), events in view.columns(*kinds).by_life().items():
        life = view.life(dev, number)
        status = seen(life)
        if not life.modern or status is None:
            continue
        ready = next((s.row for s in status if s.sets(bits.DRIVER_OK)), None)
        early = events if ready is None else events.take(events["row"] < ready)
        tally.check_together(
            len(events),
            (
                Violation((event["row"],), f"{life.name}, queue {event['vq']}: {text}")
                for event in early.dicts("row", "vq")
            ),
        )


def _by_device(view: View, kinds: tuple[str, ...], text: str) -> Result:
    """Check that a modern device does this after DRIVER_OK only, by QEMU's log."""
    tally = Tally(none="QEMU's log has no such event of a modern device")
    check_after_driver_ok(view, tally, kinds, lambda life: life.written, text)
    return tally.result()


@rule("ST-DE-01", needs=("qemu:dev_status", "qemu:dev_pop"))
def no_buffer_before_driver_ok(view: View) -> Result:
    """Section 2.1.2: the device consumes no buffer before the driver sets DRIVER_OK.

    Checked: each buffer that a device popped from or filled into a ring, by QEMU's log, which has
    status writes in the same order. In a life without DRIVER_OK all of them are wrong.

    Devices of the legacy interface are left out: the clause is not written for them, and their
    drivers do use queues early.
    """
    return _by_device(view, ("dev_pop", "dev_fill"), "a buffer was used before DRIVER_OK")


@rule("ST-DE-02", needs=("qemu:dev_status", "qemu:dev_signal"))
def no_interrupt_before_driver_ok(view: View) -> Result:
    """Section 2.1.2: the device sends no used buffer notification before DRIVER_OK.

    Checked: each used buffer notification in QEMU's log, which has status writes in the same
    order. In a life without DRIVER_OK all of them are wrong.

    Devices of the legacy interface are left out, as for ST-DE-01.
    """
    return _by_device(view, ("dev_signal",), "an interrupt was sent before DRIVER_OK")


@rule("ST-DE-04", needs=("driver:status", "driver:config_change|qemu:dev_config_signal"))
def needs_reset_is_announced(view: View) -> Result:
    """Section 2.1.2: a live device that sets DEVICE_NEEDS_RESET sends a configuration change
    notification.

    Checked: each life in which the driver read a status with both DEVICE_NEEDS_RESET and
    DRIVER_OK. A device whose driver never reads such a status is not looked at.

    - The trace does not show when the device set the bit, only when the driver read it: each
      configuration change notification of the life counts that came after the driver last
      read the status without the bit; in QEMU's log, each of the life.
    - Undecided: the trace ends less than 5 s after the driver read the status: the interrupt may
      still have been on its way through the guest.
    """
    tally = Tally(none="no device set DEVICE_NEEDS_RESET")
    signals = set(view.of("dev_config_signal").select("dev", "life").iter_rows())
    broken = bits.NEEDS_RESET | bits.DRIVER_OK
    for life in view.lives.values():
        reads = [s for s in life.status if s.op == bits.STATUS_READ]
        read = next((s for s in reads if s.value & broken == broken), None)
        if read is None:
            continue
        sound = [s.row for s in life.status if s.row < read.row and not s.value & bits.NEEDS_RESET]
        since = max(sound, default=-1)
        announced = any(change.row > since for change in life.changes)
        announced |= (life.dev, life.number) in signals
        if not announced and ends_within(read.ts, OTHER_SIDE, view.end[0]):
            tally.undecided()
            continue
        text = f"{life.name}: NEEDS_RESET is set, but no configuration change was announced"
        tally.check(announced, read.row, text)
    return tally.result()


@rule("ST-DE-03", needs="driver:status|qemu:dev_status|qmp:features", local=True)
def broken_device_asks_for_a_reset(view: View) -> Result:
    """Section 2.1.2: a device in which something is broken that only a reset mends sets
    DEVICE_NEEDS_RESET.

    Checked: each answer of QMP in which a device with VERSION_1 is broken: QEMU serves no queue of
    such a device until it is reset. The status in the same answer has DEVICE_NEEDS_RESET, and so
    has each status that `pykit drive`, which has QMP's clock, reads from then on, until it writes
    one. Other errors, and those of a back-end of its own process, do not show.

    Undecided:

    - An answer without the negotiated features, as the legacy interface has no such bit.
    - A device that is not known to have served a queue in its last life: it may have set the bit
      while it was initialized, and the driver have written over it.
    """
    tally = Tally(
        none="no answer of QMP has a broken device", doubt="QMP did not name the features"
    )
    for answer in view.events.capture.qmp:
        if answer.query != STATUS_QUERY or answer.answer.get("broken") is not True:
            continue
        named = answer.answer.get("guest-features")
        accepted = None if named is None else feature_bits(named)
        if accepted is None:
            tally.undecided()
        elif accepted >> bits.VERSION_1 & 1:
            names = str(answer.answer.get("status", {}).get("statuses", []))
            if "NEEDS_RESET" not in names and not _has_served(view, answer.device):
                tally.undecided(doubt="the driver may have written over DEVICE_NEEDS_RESET")
                continue
            text = f"{answer.device}: broken ({answer.at}), and DEVICE_NEEDS_RESET is not set"
            tally.check("NEEDS_RESET" in names, _last_status(view, answer.device), text)
            for status in _read_since(view, answer):
                text = f"{answer.device}: broken, and the status reads {status.value:#x}"
                tally.check(needs_reset(status.value), status.row, text)
    return tally.result()


def _read_since(view: View, answer: QmpAnswer) -> Iterator[Status]:
    """Yield what a driver with QMP's clock read of the status until it wrote one."""
    dev = view.events.devices.get(answer.device)
    if answer.time_ns is None or not view.in_one_order:
        return
    for life in view.lives.values():
        for status in life.status if life.dev == dev else ():
            if status.ts is None or status.ts < answer.time_ns:
                continue
            if status.op != bits.STATUS_READ:
                return
            yield status


def _has_served(view: View, device: str) -> bool:
    """Return whether a device served a queue in its last life."""
    dev = view.events.devices.get(device)
    last = max((life.number for life in view.lives.values() if life.dev == dev), default=-1)
    served = view.of("used", "dev_pop").filter(dev=dev, life=last)
    return not served.is_empty()


def _last_status(view: View, device: str) -> list[int]:
    """Return the row of the last access to a device's status, where one was traced."""
    dev = view.events.devices.get(device)
    rows = [life.status[-1].row for life in view.lives.values() if life.dev == dev and life.status]
    return rows[-1:]
