# SPDX-License-Identifier: GPL-2.0-only
"""Device configuration space (section 2.5), and the block device's (5.2.4, 5.2.5)."""

from __future__ import annotations

from collections.abc import Iterator

from pykit.spec import bits
from pykit.spec.blkconfig import CAPACITY, FIELDS, NUM_QUEUES, UNUSED0, UNUSED1, WRITEBACK
from pykit.spec.lives import Access, Life
from pykit.spec.model import Result, Violation, rule
from pykit.spec.view import View

#: What comes so long after an event cannot be on its way any more, ns.
LONG = 5_000_000_000


def _block(view: View) -> Iterator[Life]:
    return (life for life in view.lives.values() if life.id == bits.BLK_ID)


@rule("CF-DR-03", needs=("driver:config", "driver:features"))
def wide_reads_are_bracketed(view: View) -> Result:
    checked = 0
    found: list[Violation] = []
    for life in view.lives.values():
        # The legacy interface has no generation.
        if not life.has(bits.VERSION_1):
            continue
        tasks: dict[int | None, list[Access]] = {}
        for access in life.config:
            tasks.setdefault(access.pid, []).append(access)
        for mine in tasks.values():
            for i, access in enumerate(mine):
                if access.len <= 4 or access.write:
                    continue
                wrong = _bracket(mine, i)
                checked += wrong is not None
                if wrong:
                    text = f"{life.name}: {access.len} bytes at {access.offset} read {wrong}"
                    found.append(Violation((access.row,), text))
    return Result(checked, tuple(found), why="no field wider than 32 bits was read")


def _bracket(mine: list[Access], i: int) -> str | None:
    """What is wrong with a wide read's bracket: "" nothing, None where the trace ends."""
    # Several reads may share one bracket.
    before = next((a for a in reversed(mine[:i]) if not a.len), None)
    behind = next((n for n in range(i + 1, len(mine)) if not mine[n].len), None)
    if behind is None and i + 1 == len(mine):
        return None
    if before is None:
        return "without looking at the generation before"
    if behind is None:
        return "without looking at the generation after"
    again = any(a.offset == mine[i].offset and a.len for a in mine[behind + 1 :])
    if mine[behind].value != before.value and not again:
        # A retry that the end of the trace hides is not to be told from none.
        return "once, though the generation changed" if behind + 1 < len(mine) else None
    return ""


@rule("CF-DR-04", needs=("driver:config", "driver:features"))
def gated_fields(view: View) -> Result:
    checked = 0
    found: list[Violation] = []
    for life in _block(view):
        offered = life.negotiated.offered if life.negotiated else None
        for access in life.config:
            if offered is None or not access.len:
                continue
            end = access.offset + access.len
            gates = [
                f
                for f in FIELDS
                if f.feature is not None and access.offset < f.offset + f.width and f.offset < end
            ]
            checked += bool(gates)
            found += [
                Violation(
                    (access.row,), f"{life.name}: {f.name} is read, bit {f.feature} is not on offer"
                )
                for f in gates
                if f.feature is not None and not offered >> f.feature & 1
            ]
    return Result(checked, tuple(found), why="no field that a feature brings was touched")


@rule("CF-DE-01", needs=("driver:config", "driver:status"))
def readable_before_features_ok(view: View) -> Result:
    checked = 0
    found: list[Violation] = []
    for life in _block(view):
        agreed = life.first_write(bits.FEATURES_OK)
        if agreed is None or life.changes:
            continue
        for field in FIELDS:
            if field in (CAPACITY, WRITEBACK):
                # These change by themselves.
                continue
            values = list(life.reads(field.offset, field.width))
            early = [(a, v) for a, v in values if a.row < agreed.row]
            late = [v for a, v in values if a.row > agreed.row]
            if not early or not late:
                continue
            checked += 1
            if early[-1][1] != late[0]:
                values_read = f"{early[-1][1]} before FEATURES_OK, {late[0]} after"
                text = f"{life.name}: {field.name} reads {values_read}"
                found.append(Violation((early[-1][0].row,), text))
    return Result(checked, tuple(found), why="no field was read before and after FEATURES_OK")


@rule("PM-DE-06", needs=("driver:config", "driver:generation"), also=("MR-DE-07",))
def generation_follows_changes(view: View) -> Result:
    checked = 0
    found: list[Violation] = []
    for life in view.lives.values():
        # What a driver reads there of a legacy device is not a generation.
        if life.legacy:
            continue
        seen: dict[tuple[int, int], tuple[int, int, int]] = {}
        generation: int | None = None
        for i, access in enumerate(life.config):
            if not access.len:
                generation = access.value
            elif access.write:
                # What the driver changes itself needs no generation.
                seen.clear()
            elif generation is not None:
                place = (access.offset, access.len)
                after = next((a.value for a in life.config[i + 1 :] if not a.len), None)
                if after != generation:
                    seen.pop(place, None)
                    continue
                before = seen.get(place)
                if before and before[0] != access.value:
                    checked += 1
                    if before[1] == generation:
                        text = (
                            f"{life.name}: offset {access.offset} changed, the generation did not"
                        )
                        found.append(Violation((before[2], access.row), text))
                seen[place] = (access.value, generation, access.row)
    return Result(checked, tuple(found), why="no field changed between two reads")


@rule("BI-DR-04", needs=("driver:config", "driver:status"))
def writeback_after_features_ok(view: View) -> Result:
    checked = 0
    found: list[Violation] = []
    for life in _block(view):
        agreed = life.first_write(bits.FEATURES_OK)
        # Where it was never written, that is what is wrong, and told by another rule.
        for access, _ in life.reads(WRITEBACK.offset, WRITEBACK.width) if agreed else ():
            checked += 1
            if agreed and access.row < agreed.row:
                text = f"{life.name}: writeback is read before FEATURES_OK is written"
                found.append(Violation((access.row,), text))
    return Result(checked, tuple(found), why="writeback was not read")


@rule("BI-DE-01", needs="driver:features")
def flush_is_offered(view: View) -> Result:
    checked = 0
    found: list[Violation] = []
    for life in _block(view):
        last = life.negotiated
        if last:
            checked += 1
            if not last.offered >> bits.BLK_FLUSH & 1:
                found.append(Violation((last.row,), f"{life.name}: FLUSH is not offered"))
    return Result(checked, tuple(found), why="no block device's features were seen")


@rule("BI-DE-02", needs="driver:features", local=True)
def cache_control_needs_flush(view: View) -> Result:
    checked = 0
    found: list[Violation] = []
    for life in _block(view):
        last = life.negotiated
        if last and last.offered >> bits.BLK_CONFIG_WCE & 1:
            checked += 1
            if not last.offered >> bits.BLK_FLUSH & 1:
                text = f"{life.name}: CONFIG_WCE is offered without FLUSH"
                found.append(Violation((last.row,), text))
    return Result(checked, tuple(found), why="CONFIG_WCE was not offered")


@rule("BI-DE-03", needs=("driver:config", "driver:features"))
def writeback_starts_at_zero(view: View) -> Result:
    checked = 0
    found: list[Violation] = []
    for life in _block(view):
        if not life.has(bits.BLK_CONFIG_WCE) or life.has(bits.BLK_FLUSH):
            continue
        first = next(life.reads(WRITEBACK.offset, WRITEBACK.width), None)
        written = [a.row for a in life.config if a.write and a.offset == WRITEBACK.offset]
        if first is None or (written and min(written) < first[0].row):
            continue
        checked += 1
        if first[1]:
            text = f"{life.name}: writeback starts at {first[1]}, without FLUSH"
            found.append(Violation((first[0].row,), text))
    return Result(checked, tuple(found), why="CONFIG_WCE without FLUSH was not negotiated")


@rule("BI-DE-04", needs="driver:config", local=True)
def padding_is_zero(view: View) -> Result:
    checked = 0
    found: list[Violation] = []
    for life in _block(view):
        padding = [f.offset + n for f in (UNUSED0, UNUSED1) for n in range(f.width)]
        for offset in padding:
            for access, value in life.reads(offset, 1):
                checked += 1
                if value:
                    text = f"{life.name}: padding at {offset} reads {value:#x}"
                    found.append(Violation((access.row,), text))
    return Result(checked, tuple(found), why="the padding was not read")


@rule("DX-24", needs="driver:config")
def queues_and_segments(view: View) -> Result:
    checked = 0
    found: list[Violation] = []
    for life in _block(view):
        if not life.has(bits.BLK_MQ):
            continue
        for access, count in life.reads(NUM_QUEUES.offset, NUM_QUEUES.width):
            checked += 1
            if not count:
                found.append(Violation((access.row,), f"{life.name}: num_queues is 0"))
    return Result(checked, tuple(found), why="num_queues was not read")


@rule("BO-DR-01", needs=("driver:config_change", "driver:config"))
def capacity_is_read_again(view: View) -> Result:
    checked, undecided = 0, 0
    found: list[Violation] = []
    for life in _block(view):
        reads = [access.row for access, _ in life.reads(CAPACITY.offset, CAPACITY.width)]
        gone = life.stage(bits.REMOVE, bits.FREEZE)
        end = gone.ts if gone and gone.ts is not None else view.end[0]
        for change in life.changes:
            if any(row > change.row for row in reads):
                checked += 1
            elif change.ts is None or end - change.ts < LONG:
                undecided += 1
            else:
                checked += 1
                text = f"{life.name}: capacity was not read after a configuration change"
                found.append(Violation((change.row,), text))
    return Result(checked, tuple(found), undecided, "no configuration change was announced")


@rule("BO-DE-02", needs="driver:config")
def capacity_change_is_announced(view: View) -> Result:
    checked, undecided = 0, 0
    found: list[Violation] = []
    for life in _block(view):
        before: tuple[Access, int] | None = None
        for access, capacity in life.reads(CAPACITY.offset, CAPACITY.width):
            if before and before[1] != capacity:
                told = [c for c in life.changes if c.row > before[0].row]
                if told:
                    checked += 1
                elif access.ts is None or view.end[0] - access.ts < LONG:
                    undecided += 1
                else:
                    checked += 1
                    text = f"{life.name}: capacity {before[1]} became {capacity} unannounced"
                    found.append(Violation((before[0].row, access.row), text))
            before = (access, capacity)
    return Result(checked, tuple(found), undecided, "the capacity did not change")
