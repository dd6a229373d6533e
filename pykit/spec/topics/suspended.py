# SPDX-License-Identifier: GPL-2.0-only
"""Suspending a device by its status: the device (section 3.4.2 of the draft of version 1.4).

What a suspension is: pykit/spec/suspensions.py. It is judged by register accesses and QEMU's log.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pykit.spec.arrays import NEVER, Ints
from pykit.spec.model import Result, rule
from pykit.spec.registers import MMIO, Registers, registers
from pykit.spec.rows import Tally
from pykit.spec.suspensions import NO_SUSPENSION, SUSPEND, Suspension, suspensions
from pykit.spec.timing import ONE_SIDE
from pykit.spec.topics.pci_registers import SEEN
from pykit.spec.view import View

LOGGED = ("registers:register", "qemu:dev_status")
#: The bit of the ISR status that a change of the configuration sets.
_CHANGED = 2
_UNREAD = "the bytes were not read before and after the write"
_NOT_LOGGED = "QEMU's log does not have the device's registers"


@rule("DS-DE-01", needs=SEEN)
def early_suspend_is_ignored(view: View) -> Result:
    """Section 3.4.2: the device ignores SUSPEND before it is initialized completely.

    Checked: each status read after a write of SUSPEND without DRIVER_OK: it has no SUSPEND.
    """
    tally = Tally(none="no driver set SUSPEND before DRIVER_OK")
    for one in suspensions(view):
        for row, value in one.early:
            text = f"{one.name}: SUSPEND shows ({value:#x}) before DRIVER_OK"
            tally.check(not value & SUSPEND, (one.asked, row), text)
    return tally.result()


def _logged(view: View, tally: Tally) -> Iterator[Suspension]:
    """Yield suspensions that a read in QEMU's log has shown; others are undecided."""
    logged = set(view.of("register")["row"].to_list())
    for one in suspensions(view):
        if one.shown in logged:
            yield one
        elif one.shown >= 0:
            tally.undecided()


def _silent(view: View, kinds: tuple[str, ...], text: str) -> Result:
    """Check that QEMU's log has no such event while a device is suspended."""
    tally = Tally(none=NO_SUSPENSION, doubt=_NOT_LOGGED)
    events = view.columns(*kinds)
    for one in _logged(view, tally):
        mine = events["row"][events["dev"] == one.dev]
        wrong = mine[(mine > one.shown) & (mine < one.silent_until)]
        tally.check(not len(wrong), (one.shown, *wrong[:2].tolist()), f"{one.name}: {text}")
    return tally.result()


@rule("DS-DE-02", needs=SEEN)
def suspended_config_stays(view: View) -> Result:
    """Section 3.4.2: a suspended device ignores writes to its configuration.

    Checked: each write to the configuration of a device that a read has shown to be suspended, of
    another value than the driver read there last: the next read of the same bytes does not have
    what was written. Undecided: the bytes were not read before and after the write, with no other
    write to the configuration in between.
    """
    regs = registers(view)
    tally = Tally(none="no configuration was written while its device was suspended", doubt=_UNREAD)
    for one in suspensions(view):
        if one.shown < 0:
            continue
        mine = np.flatnonzero(regs.on("config") & regs.known & (regs.dev == one.dev))
        written = mine[regs.write[mine]]
        silent = (regs.row[written] > one.shown) & (regs.row[written] < one.silent_until)
        for at in written[silent].tolist():
            same = (regs.offset[mine] == regs.offset[at]) & (regs.size[mine] == regs.size[at])
            reads = mine[same & ~regs.write[mine]]
            before, after = _last(reads[reads < at]), _first(reads[reads > at])
            others = written[(written > before) & (written < after) & (written != at)]
            if before < 0 or after >= NEVER or len(others) or regs.row[after] > one.end:
                tally.undecided()
            elif (value := int(regs.value[at])) != regs.value[before]:
                tally.check(
                    regs.value[after] != value,
                    regs.row[[before, at, after]].tolist(),
                    f"{one.name}: suspended, and takes {value:#x} at {regs.offset[at]} of the "
                    "configuration",
                )
    return tally.result()


def _last(found: Ints) -> int:
    return int(found[-1]) if len(found) else -1


def _first(found: Ints) -> int:
    return int(found[0]) if len(found) else NEVER


@rule("DS-DE-03", needs=LOGGED)
def suspended_device_is_silent(view: View) -> Result:
    """Section 3.4.2: a suspended device accesses no queue and sends no notification for one.

    Checked: each suspension that a read has shown, by QEMU's log: no chain is taken or returned
    and no interrupt raised until it is resumed or reset. Whether the configuration changes is not
    judged: the same section says what follows if it does (DS-DE-05).
    """
    kinds = ("dev_pop", "dev_fill", "dev_flush", "dev_signal")
    return _silent(view, kinds, "a queue is used or an interrupt raised when suspended")


@rule("DS-DE-04", needs=SEEN)
def suspended_device_announces_nothing(view: View) -> Result:
    """Section 3.4.2: a suspended device sends no configuration change notification.

    Checked: each read of the ISR status, or of MMIO's InterruptStatus, of a device that a read has
    shown to be suspended, which follows one without bit 1 or that took it back: it has no bit 1.
    """
    regs = registers(view)
    tally = Tally(none="no ISR status was read twice while its device was suspended")
    for one in suspensions(view):
        if one.shown < 0:
            continue
        row, value = _isr(regs, one.dev, one.shown, one.silent_until)
        for before, then, shows in zip(row, row[1:], value[1:], strict=False):
            tally.check(
                not shows & _CHANGED,
                (one.shown, before, then),
                f"{one.name}: suspended, and announces a change of the configuration",
            )
    return tally.result()


@rule("DS-DE-05", needs=SEEN)
def changes_are_announced_at_last(view: View) -> Result:
    """Section 3.4.2: a change of the configuration of a suspended device is announced when it
    resumes.

    Checked: each suspension in which a field of the configuration was read, that had changed when
    it was read again, with no write to the configuration in between, and that ended by a resumption
    which a read has shown: a configuration change notification comes after that. It is bit 1 of the
    ISR status, or one that the driver's trace has. It is wrong if the driver still reads the ISR
    status without it 1 s later, and undecided if it stopped before.
    """
    regs = registers(view)
    changes = view.columns("config_change")
    tally = Tally(none="no configuration changed while its device was suspended")
    for one in suspensions(view):
        if one.running < 0 or not (change := _changed(regs, one)):
            continue
        row, value = _isr(regs, one.dev, one.resumed, one.end)
        announced = any(shows & _CHANGED for shows in value)
        mine = (changes["dev"] == one.dev) & (changes["life"] == one.life)
        announced |= bool(np.any(mine & (changes["row"] > one.resumed)))
        if not announced and not (row and _waited(view, one.running, row[-1])):
            tally.undecided()
            continue
        text = f"{one.name}: its configuration changed when it was suspended, and nothing says so"
        tally.check(announced, (*change, one.running, *row[-1:]), text)
    return tally.result()


def _isr(regs: Registers, dev: int, start: int, end: int) -> tuple[list[int], list[int]]:
    """Return rows and values of reads of a device's ISR status between two rows.

    A read that shows bit 1 on MMIO, which no acknowledgement precedes, is the same one again.
    """
    found = regs.reads("isr") | regs.writes("interrupt_ack")
    at = np.flatnonzero(found & (regs.dev == dev) & (regs.row > start) & (regs.row < end))
    on_mmio = regs.of(MMIO)
    rows: list[int] = []
    values: list[int] = []
    stands = False
    for i in at.tolist():
        if regs.write[i]:
            stands &= not regs.value[i] & _CHANGED
        elif not stands:
            rows.append(int(regs.row[i]))
            values.append(int(regs.value[i]))
            stands = bool(regs.value[i] & _CHANGED and on_mmio[i])
    return rows, values


def _changed(regs: Registers, one: Suspension) -> tuple[int, ...]:
    """Return the rows of two reads of one field that differ, the first when it was suspended."""
    at = np.flatnonzero(regs.on("config") & regs.known & (regs.dev == one.dev))
    at = at[(regs.row[at] > one.shown) & (regs.row[at] < one.end)]
    seen: dict[tuple[int, int], int] = {}
    for i in at.tolist():
        field = (int(regs.offset[i]), int(regs.size[i]))
        if regs.write[i]:
            seen.clear()
        elif field in seen and regs.value[seen[field]] != regs.value[i]:
            return int(regs.row[seen[field]]), int(regs.row[i])
        elif regs.row[i] < one.silent_until:
            seen.setdefault(field, i)
    return ()


def _waited(view: View, start: int, end: int) -> bool:
    """Whether two rows are so far apart that the device had its time; not where that is unknown."""
    begun, ended = (view.events.base["ts"][row] for row in (start, end))
    return begun is not None and ended is not None and ended - begun > ONE_SIDE


def _answers(view: View, resumed: bool) -> Result:
    """Check that a request ends in the state that was asked for, or in DEVICE_NEEDS_RESET."""
    tally = Tally(none=NO_SUSPENSION, doubt="the driver did not wait")
    for one in suspensions(view):
        begun, done = (one.resumed, one.running) if resumed else (one.asked, one.shown)
        if begun < 0 or not one.initialized or one.negotiated != 1:
            continue
        if done >= 0 or one.failed >= 0:
            tally.check(True, begun, "")
            continue
        last = one.reads[-1][0] if one.reads else -1
        if not resumed and one.resumed >= 0:
            last = -1
        if last < 0 or not _waited(view, begun, last):
            tally.undecided()
            continue
        what = "resumed" if resumed else "suspended"
        text = f"{one.name}: neither {what} nor DEVICE_NEEDS_RESET, but {one.reads[-1][1]:#x}"
        tally.check(False, (begun, last), text)
    return tally.result()


@rule("DS-DE-06", needs=SEEN)
def suspends_or_fails(view: View) -> Result:
    """Section 3.4.2: the device suspends itself on request, or sets DEVICE_NEEDS_RESET.

    Checked: each write of SUSPEND to a running device: a later read shows one of the two. It is
    wrong if the driver still reads something else 1 s later, and undecided if it stopped before.
    """
    return _answers(view, resumed=False)


@rule("DS-DE-07", needs=SEEN)
def resumes_or_fails(view: View) -> Result:
    """Section 3.4.2: the device resumes on request, or sets DEVICE_NEEDS_RESET.

    Checked: each write of DRIVER_OK to a suspended device: a later read shows one of the two. It
    is wrong if the driver still reads something else 1 s later, and undecided if it stopped before.
    """
    return _answers(view, resumed=True)


@rule("DS-DE-08", needs=LOGGED)
def suspends_when_all_is_used(view: View) -> Result:
    """Section 3.4.2: before it shows that it is suspended, the device has used all buffers that it
    was processing.

    Checked: each queue of a suspended device that chains were taken from, by QEMU's log: no chain
    that was taken before the read that shows the suspension is returned after it. Undecided: one
    that is not returned at all, as a device may put a chain back. That the device takes no more,
    and that it interrupts for what it returned, is left to DS-DE-03 and to the rules on interrupts.
    """
    tally = Tally(
        none=NO_SUSPENSION, doubt=f"a chain was taken, and not returned, or {_NOT_LOGGED}"
    )
    events = view.columns("dev_pop", "dev_fill")
    for one in _logged(view, tally):
        mine = np.flatnonzero((events["dev"] == one.dev) & (events["life"] == one.life))
        for vq in np.unique(events["vq"][mine]).tolist():
            held: dict[int, int] = {}
            late: tuple[int, int] | None = None
            for at in mine[events["vq"][mine] == vq].tolist():
                row, elem = int(events["row"][at]), int(events["elem"][at])
                if not events.kind[at]:
                    held |= {elem: row} if row < one.shown else {}
                else:
                    taken = held.pop(elem, -1)
                    late = late or ((taken, row) if taken >= 0 and row > one.shown else None)
            if late is None and held:
                tally.undecided()
                continue
            tally.check(
                late is None,
                (late[0], one.shown, late[1]) if late else one.shown,
                f"{one.name}, queue {vq}: shows that it is suspended, and returns a chain after it",
            )
    return tally.result()
