# SPDX-License-Identifier: GPL-2.0-only
"""Device configuration space (section 2.5), and the block device's (5.2.4, 5.2.5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pykit.spec import bits
from pykit.spec.blkconfig import (
    CAPACITY,
    FIELDS,
    FRAME,
    NUM_QUEUES,
    SEG_MAX,
    UNUSED0,
    UNUSED1,
    WRITEBACK,
    Field,
)
from pykit.spec.lives import (
    Access,
    Life,
    block_lives,
    ends_within,
    lives_of,
    negotiated_lives,
)
from pykit.spec.model import Result, Violation, rule
from pykit.spec.optional import OPTIONAL, OptionalField
from pykit.spec.registers import MMIO, PCI, registers
from pykit.spec.rows import Tally
from pykit.spec.timing import ONE_SIDE, OTHER_SIDE
from pykit.spec.topics.config_registers import generations_made_up
from pykit.spec.view import View
from pykit.trace.capture import QUEUE_QUERY, RECORDED

#: Fewer fields are none that could be taken together.
_SEVERAL = 2


@rule(
    "CF-DR-03",
    needs=("driver:config", "driver:generation", "driver:features"),
    also=("CF-DR-01",),
)
def wide_reads_are_bracketed(view: View) -> Result:
    """Section 2.5.1: reads that are not atomic stand between two reads of the generation, and are
    repeated where it changed.

    Checked: each read of more than 32 bits in a life with VERSION_1, among the accesses of the
    same task: the generation is read before and after it, and where the two differ the field is
    read again. A driver that does not takes the read for an atomic one.

    - The legacy interface has no generation, nor has channel I/O, where one command reads the whole
      configuration (4.3.2.5). A trace that was recorded elsewhere does not name the transport: a
      driver that never reads the generation there may be on channel I/O.
    - Several reads may stand between the same two reads of the generation.
    - A read whose end of the bracket or whose repetition may come after the end of the trace is
      not counted: the trace ends less than 1 s after it, and the task did nothing more.
    - Reads of 32 bits or less are left out, also where a driver puts a wider field, or several
      fields, together from them.
    - Where the registers' log has the accesses of a life to the configuration, it has as many reads
      of the generation as the driver's trace: one that it lacks was made up.
    """
    tally = Tally(none="no field wider than 32 bits was read")
    elsewhere = view.events.capture.outcome.kind == RECORDED
    counted = {life.dev for life in view.lives.values() if any(not a.len for a in life.config)}
    for life in view.lives.values():
        if not life.has(bits.VERSION_1) or life.transport == "ccw":
            continue
        if elsewhere and life.transport is None and life.dev not in counted:
            for access in life.config:
                if access.len > 4 and not access.write:
                    tally.undecided(doubt="channel I/O has no generation, and may be the transport")
            continue
        for own in _by_task(life):
            for i, access in enumerate(own):
                if access.len <= 4 or access.write:
                    continue
                over = not ends_within(access.ts, ONE_SIDE, view.end[0])
                wrong = _wrong_bracket(own, i, over)
                if wrong is not None:
                    text = f"{life.name}: {access.len} bytes at {access.offset} read {wrong}"
                    tally.check(not wrong, access.row, text)
        if made_up := generations_made_up(view, life):
            rows, text = made_up
            tally.check(False, rows, f"{life.name}: {text}")
    return tally.result()


def _by_task(life: Life) -> Iterable[list[Access]]:
    """Return the accesses to the configuration of each task, in their order."""
    tasks: dict[int | None, list[Access]] = {}
    for access in life.config:
        tasks.setdefault(access.pid, []).append(access)
    return tasks.values()


def _wrong_bracket(own: list[Access], i: int, over: bool) -> str | None:
    """Describe what is wrong with a wide read's bracket: "" if nothing, None if undecided.

    ``over``: the trace goes on so long that what is missing will not come any more.
    """
    before = next((a for a in reversed(own[:i]) if not a.len), None)
    after = next((n for n in range(i + 1, len(own)) if not own[n].len), None)
    if after is None and i + 1 == len(own) and not over:
        return None
    if before is None:
        return "without reading the generation before"
    if after is None:
        return "without reading the generation after"
    again = any(a.offset == own[i].offset and a.len for a in own[after + 1 :])
    if own[after].value != before.value and not again:
        done = over or after + 1 < len(own)
        return "once, though the generation changed" if done else None
    return ""


@rule("CF-DR-02", needs=("driver:config", "driver:generation"))
def fields_are_no_snapshot(view: View) -> Result:
    """Section 2.5.1: the driver does not take reads of several fields for one atomic read.

    Checked: each pair of successive reads of the generation by one task with different values,
    between which it read two fields or more: it reads all of them again. That a driver puts fields
    together without looking at the generation is not visible.

    Undecided: the trace ends less than 1 s after the second of them, and the task did nothing more.
    """
    tally = Tally(none="the generation never changed between reads of several fields")
    for life in view.lives.values():
        for own in _by_task(life):
            looks = [at for at, access in enumerate(own) if not access.len]
            for one, other in pairwise(looks):
                between = {a.offset for a in own[one:other] if a.len and not a.write}
                if len(between) < _SEVERAL or own[one].value == own[other].value:
                    continue
                again = between <= {a.offset for a in own[other:] if a.len and not a.write}
                last = own[-1] is own[other]
                if not again and last and ends_within(own[other].ts, ONE_SIDE, view.end[0]):
                    tally.undecided()
                    continue
                places = ", ".join(map(str, sorted(between)))
                text = f"{life.name}: the fields at {places} read once, though the generation went"
                text += f" from {own[one].value} to {own[other].value}"
                tally.check(again, (own[one].row, own[other].row), text)
    return tally.result()


@rule("CF-DR-04", needs=("driver:config", "driver:features"))
def optional_fields_need_their_feature(view: View) -> Result:
    """Section 2.5.1: the driver accesses optional fields only where their feature is offered.

    Checked: each access to the configuration of a network, block, console or balloon device that
    touches fields which depend on a feature (5.1.4, 5.2.4, 5.3.4, 5.5.4), against the last traced
    offer. Offered is enough: the driver may look before it decides.
    """
    tally = Tally(none="no field that a feature brings was touched")
    for life in lives_of(view, OPTIONAL, tally):
        offered = life.negotiated.offered if life.negotiated else None
        for access in life.config:
            if offered is None or not access.len:
                continue
            end = access.offset + access.len
            touched = [
                field
                for field in OPTIONAL[life.id or 0]
                if access.offset < field.offset + field.width and field.offset < end
            ]
            tally.check_together(
                1 if touched else 0,
                (
                    Violation(
                        (access.row,), f"{life.name}: {field.name} is accessed, but {_bits(field)}"
                    )
                    for field in touched
                    if not any(offered >> bit & 1 for bit in field.features)
                ),
            )
    return tally.result()


def _bits(field: OptionalField) -> str:
    """Return that none of the features that bring a field is offered."""
    if len(field.features) == 1:
        return f"feature bit {field.features[0]} is not offered"
    return f"none of feature bits {', '.join(map(str, field.features))} is offered"


@rule("CF-DE-01", needs=("driver:config", "driver:status"))
def readable_before_features_ok(view: View) -> Result:
    """Section 2.5.2: each field of the configuration can be read before FEATURES_OK is set.

    Checked: each field of a block device that was read both before and after the driver wrote
    FEATURES_OK: the last read before has the value of the first one after, as no read shows by
    itself that the device let it through.

    Left out are capacity and writeback, which may change by themselves, and lives with a
    configuration change notification.
    """
    tally = Tally(none="no field was read before and after FEATURES_OK")
    for life, agreed in negotiated_lives(view):
        if life.id != bits.BLK_ID or life.changes:
            continue
        for field in FIELDS:
            if field in (CAPACITY, WRITEBACK):
                continue
            values = list(life.reads(field.offset, field.width))
            early = [(a.row, v) for a, v in values if a.row < agreed.row]
            late = [v for a, v in values if a.row > agreed.row]
            if early and late:
                row, value = early[-1]
                text = (
                    f"{life.name}: {field.name} reads {value} before FEATURES_OK, {late[0]} after"
                )
                tally.check(value == late[0], row, text)
    return tally.result()


class Reading(NamedTuple):
    """A read of a field, and the generation that holds before and after it."""

    offset: int
    value: int
    generation: int
    row: int


def read_twice(life: Life) -> Iterator[tuple[Reading, Reading]]:
    """Return successive reads of the same bytes between which the driver wrote nothing.

    A read is left out if the generation was not read before and after it, or changed over it.
    """
    last: dict[tuple[int, int], Reading] = {}
    generation: int | None = None
    for i, access in enumerate(life.config):
        if not access.len:
            generation = access.value
        elif access.write:
            last.clear()
        elif generation is not None:
            place = (access.offset, access.len)
            after = next((a.value for a in life.config[i + 1 :] if not a.len), None)
            if after != generation:
                last.pop(place, None)
                continue
            now = Reading(access.offset, access.value, generation, access.row)
            if place in last:
                yield last[place], now
            last[place] = now


@rule("PM-DE-06", needs=("driver:config", "driver:generation"), also=("MR-DE-07",))
def generation_follows_changes(view: View) -> Result:
    """Sections 4.1.4.3.1 and 4.2.2.1: the generation changes with each change of a field that the
    driver has read.

    Checked: each pair of successive reads of the same bytes with different values, each read
    between two reads of one and the same generation: the two generations differ.

    - Where the driver itself wrote to the configuration between, the device need not count it.
    - The legacy interface has no generation: what a driver reads there is something else.
    - Undecided: a life whose registers' log lacks reads of the generation that its driver's trace
      has. The driver made some up (CF-DR-03).
    """
    tally = Tally(none="no field changed between two reads", doubt="the driver made generations up")
    for life in view.lives.values():
        if life.legacy:
            continue
        if generations_made_up(view, life):
            tally.undecided(sum(b.value != n.value for b, n in read_twice(life)))
            continue
        for before, now in read_twice(life):
            if before.value != now.value:
                text = f"{life.name}: offset {now.offset} changed, but the generation did not"
                tally.check(before.generation != now.generation, (before.row, now.row), text)
    return tally.result()


@rule("BI-DR-04", needs=("driver:config", "driver:status"))
def writeback_after_features_ok(view: View) -> Result:
    """Section 5.2.5.1: the driver does not read writeback before it has set FEATURES_OK.

    Checked: each read of a block device's writeback in a life whose write of FEATURES_OK was
    traced. Where FEATURES_OK is missing, IN-DR-01 reports that.
    """
    tally = Tally(none="writeback was not read")
    for life, agreed in negotiated_lives(view):
        if life.id == bits.BLK_ID:
            for access, _ in life.reads(WRITEBACK.offset, WRITEBACK.width):
                text = f"{life.name}: writeback is read before FEATURES_OK is written"
                tally.check(access.row > agreed.row, access.row, text)
    return tally.result()


@rule("BI-DE-01", needs="driver:features")
def flush_is_offered(view: View) -> Result:
    """Section 5.2.5.2: a block device offers FLUSH.

    Checked: the last traced offer of each life of a block device.
    """
    tally = Tally(none="no block device's features were seen")
    for life in block_lives(view, tally):
        last = life.negotiated
        if last:
            offered = bool(last.offered >> bits.BLK_FLUSH & 1)
            tally.check(offered, last.row, f"{life.name}: FLUSH is not offered")
    return tally.result()


@rule("BI-DE-02", needs="driver:features", local=True)
def cache_control_needs_flush(view: View) -> Result:
    """Section 5.2.5.2: a block device that offers CONFIG_WCE offers FLUSH too.

    Checked: the last traced offer of each life of a block device that has CONFIG_WCE.
    """
    tally = Tally(none="CONFIG_WCE was not offered")
    for life in block_lives(view, tally):
        last = life.negotiated
        if last and last.offered >> bits.BLK_CONFIG_WCE & 1:
            offered = bool(last.offered >> bits.BLK_FLUSH & 1)
            tally.check(offered, last.row, f"{life.name}: CONFIG_WCE is offered without FLUSH")
    return tally.result()


@rule("BI-DE-03", needs=("driver:config", "driver:features"))
def writeback_starts_at_zero(view: View) -> Result:
    """Section 5.2.5.2: with CONFIG_WCE and without FLUSH, writeback is 0 to begin with.

    Checked: the first read of writeback in each life of a block device with CONFIG_WCE and
    without FLUSH, unless the driver wrote to the field before. Contested: the driver wrote other
    features than it uses, or wrote them again after FEATURES_OK.
    """
    tally = Tally(none="CONFIG_WCE without FLUSH was not negotiated")
    for life in block_lives(view, tally):
        if not life.has(bits.BLK_CONFIG_WCE) or life.has(bits.BLK_FLUSH):
            continue
        first = next(life.reads(WRITEBACK.offset, WRITEBACK.width), None)
        written = [a.row for a in life.config if a.write and a.offset == WRITEBACK.offset]
        if first is None or (written and min(written) < first[0].row):
            continue
        access, value = first
        if value and life.at_odds:
            tally.contested()
            continue
        tally.check(
            not value, access.row, f"{life.name}: writeback starts at {value}, without FLUSH"
        )
    return tally.result()


@rule("BI-DE-04", needs="driver:config", local=True)
def padding_is_zero(view: View) -> Result:
    """Section 5.2.5.2: the block device's padding, unused0 and unused1, reads 0.

    Checked: each byte of padding that a read covers.
    """
    tally = Tally(none="the padding was not read")
    padding = [f.offset + n for f in (UNUSED0, UNUSED1) for n in range(f.width)]
    for life in block_lives(view, tally):
        for offset in padding:
            for access, value in life.reads(offset, 1):
                text = f"{life.name}: padding at {offset} reads {value:#x}"
                tally.check(not value, access.row, text)
    return tally.result()


@rule("DX-24", needs=("driver:config", "driver:features"))
def limits_can_be_used(view: View) -> Result:
    """Section 5.2.4: a block device with MQ has one request queue or more, as many as it names;
    seg_max segments fit a chain, with header and status, that the queue can take.

    Checked: each read of num_queues in lives of block devices with MQ, on PCI also against the
    number of queues that the transport showed the driver in the same life; on MMIO each read of
    QueueSizeMax: it is 0 of a queue behind those that num_queues names, of which there is one where
    MQ is not offered; and each read of seg_max in lives with SEG_MAX, against the size of each
    queue that the driver set up. No chain may be longer than the queue, indirect descriptors
    included. A size_max of 0 is no limit to drivers.

    A queue counts only if it has the size that the device gave it, as far as QMP, the device's
    options or its registers say it: a driver may take less.
    """
    tally = Tally(none="neither num_queues nor seg_max was read")
    for life in block_lives(view, tally):
        if life.has(bits.BLK_MQ):
            most = _queues_there(view, life)
            for access, count in life.reads(NUM_QUEUES.offset, NUM_QUEUES.width):
                text = f"{life.name}: num_queues is {count}"
                text += f", and the transport has {most}" if most else ""
                tally.check(0 < count <= (most or count), access.row, text)
        size = _smallest_queue(view, life)
        if not life.has(bits.BLK_SEG_MAX) or not size:
            continue
        for access, most in life.reads(SEG_MAX.offset, SEG_MAX.width):
            text = f"{life.name}: seg_max is {most}, a chain has at most {size} descriptors"
            tally.check(most + FRAME <= size, access.row, text)
    return tally.result() + _queues_beyond(view)


def _queues_beyond(view: View) -> Result:
    """Check that queues of a disk on MMIO that its configuration does not name have no size."""
    if not {"register", "acc_register"} & view.kinds:
        return Result(0)
    regs = registers(view)
    counts = np.full(len(regs), 1 << 16)
    for life in view.lives.values():
        offered = life.negotiated.offered if life.negotiated else 1 << bits.BLK_MQ
        many = offered >> bits.BLK_MQ & 1
        named = [n for _, n in life.reads(NUM_QUEUES.offset, NUM_QUEUES.width)] if many else [1]
        if life.id == bits.BLK_ID and named:
            counts[(regs.dev == life.dev) & (regs.life == life.number)] = max(named)
    sizes = regs.of(MMIO) & regs.reads("queue_size_max") & (regs.vq >= counts)
    rows = regs.where(sizes, count=counts)
    text = "{place}: the size is {value}, and the device has {count} queues"
    return rows.check(rows["value"] == 0, text)


def _queues_there(view: View, life: Life) -> int:
    """Return how many queues the common structure of PCI has in a life, 0 if not known."""
    if not {"register", "acc_register"} & view.kinds:
        return 0
    regs = registers(view)
    mine = regs.of_life(life.dev, life.number)
    shown = regs.of(PCI) & regs.reads("num_queues")
    return int(regs.value[mine[shown[mine]]].max(initial=0))


def _smallest_queue(view: View, life: Life) -> int:
    """Return the size of a life's smallest queue, 0 if unknown or if the driver chose it."""
    rings = view.rings
    sizes = [int(rings.size[q]) for q in rings.of_life.get((life.dev, life.number), ())]
    size = min((size for size in sizes if size), default=0)
    given = set()
    for device in view.events.capture.devices:
        if view.events.devices.get(device.id) == life.dev and "queue-size" in device.options:
            given.add(int(device.options["queue-size"]))
    for answer in view.events.capture.qmp:
        if view.events.devices.get(answer.device) == life.dev and answer.query == QUEUE_QUERY:
            given.add(int(answer.answer.get("vring-num-default", size)))
    if {"register", "acc_register"} & view.kinds:
        regs = registers(view)
        mine = regs.of_life(life.dev, life.number)
        read = regs.reads("queue_size", "queue_size_max")
        given |= {*regs.value[mine[read[mine]]].tolist()} - {0}
    return size if given <= {size} else 0


@rule("BO-DR-01", needs=("driver:config_change", "driver:config"))
def capacity_is_read_again(view: View) -> Result:
    """Section 5.2.6.1: after a configuration change notification a block driver reads capacity.

    Checked: each configuration change notification: capacity is read at any time after it.

    Undecided: the driver was removed or suspended, or the trace ends, less than 5 s after the
    notification: a work item of the guest reads capacity, and may not have run yet. Or probe() has
    not ended: until then the core keeps changes from the driver.
    """
    tally = Tally(none="no configuration change was announced")
    for life in block_lives(view, tally):
        reads = [access.row for access, _ in life.reads(CAPACITY.offset, CAPACITY.width)]
        gone = life.stage(bits.REMOVE, bits.FREEZE)
        end = gone.ts if gone and gone.ts is not None else view.end[0]
        probing = bool(life.stage(bits.BEGIN)) and not life.stage(bits.PROBED, bits.PROBE_FAILED)
        for change in life.changes:
            read_again = any(row > change.row for row in reads)
            if not read_again and (probing or ends_within(change.ts, OTHER_SIDE, end)):
                tally.undecided()
                continue
            text = f"{life.name}: capacity was not read after a configuration change"
            tally.check(read_again, change.row, text)
    return tally.result()


@rule("BO-DE-02", needs=("driver:config", "driver:config_change"))
def capacity_change_is_announced(view: View) -> Result:
    """Section 5.2.6.2: a block device that changes its capacity announces that.

    Checked: each pair of successive reads of capacity with different values: a configuration
    change notification comes after the first of them. It may come after the second: the driver
    can read the new value before the interrupt arrives.

    Undecided: none came and the trace ends less than 5 s after the second read: it may have
    been on its way.
    """
    return changes_are_announced(view, CAPACITY, Tally(none="the capacity did not change"))


def changes_are_announced(view: View, field: Field, tally: Tally) -> Result:
    """Check that a notification follows the first of two reads of a field that differ."""
    for life in block_lives(view, tally):
        reads = list(life.reads(field.offset, field.width))
        for (first, before), (second, now) in pairwise(reads):
            if before == now:
                continue
            announced = any(change.row > first.row for change in life.changes)
            if not announced and ends_within(second.ts, OTHER_SIDE, view.end[0]):
                tally.undecided()
                continue
            text = f"{life.name}: {field.name} {before} became {now} unannounced"
            tally.check(announced, (first.row, second.row), text)
    return tally.result()
