# SPDX-License-Identifier: GPL-2.0-only
"""What a block device's storage shows of it: the regular file behind it (section 5.2).

Where the kit makes a disk's file, ``survey_storage`` has how much of it was allocated when the kit
looked. What happens between two looks shows what deallocates: ``pykit drive`` writes looks down
among the events of its driver. In the table of a guest's run they stand behind all of those.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pykit.spec import bits
from pykit.spec import blkconfig as cfg
from pykit.spec.arrays import Bools, Ints
from pykit.spec.lives import block_lives
from pykit.spec.model import Result, rule
from pykit.spec.rows import Rows, Tally
from pykit.spec.topics.answers import not_the_devices
from pykit.spec.topics.block import ranges_of
from pykit.spec.topics.block_data import altered_queues
from pykit.spec.view import View
from pykit.spec.zones import histories

_STORAGE = "survey:survey_storage"
_NEEDS = (
    *("driver:blk_start", "driver:blk_range", "driver:blk_done", "driver:add", "driver:used"),
    *("driver:features", "driver:config"),
)
#: Requests beside those that zero which deallocate nothing.
_HARMLESS = (bits.T_IN, bits.T_OUT, bits.T_FLUSH, bits.T_GET_ID, bits.T_GET_LIFETIME)
_SEQUENTIAL = (bits.ZT_SEQUENTIAL_REQUIRED, bits.ZT_SEQUENTIAL_PREFERRED)
#: A file system may free blocks of its own, which have a file's extents (bytes).
_OWN = 16 << 10
_NEVER = np.iinfo(np.int64).max


class _Look(NamedTuple):
    row: int
    length: int
    allocated: int


def _looks(view: View) -> dict[int, list[_Look]]:
    """Looks at the file behind each device, in order."""
    found: dict[int, list[_Look]] = {}
    columns = view.of("survey_storage").select("dev", "row", "length", "allocated")
    for dev, *fields in columns.drop_nulls().iter_rows():
        found.setdefault(dev, []).append(_Look(*fields))
    return found


@rule("BI-DE-05", needs=("driver:features", _STORAGE))
def plain_files_are_not_zoned(view: View) -> Result:
    """Section 5.2.5.2: a device that is not zoned does not offer ZONED.

    Judged are disks whose data are in a regular file, which is not zoned inside: their device is
    zoned if it divides the disk into zones itself, and shows that.

    Checked: each life of such a device: ZONED is not offered, or it is accepted and the model
    reads host-managed or host-aware. A device with the model NONE that reports zones which have a
    write pointer is BI-DE-09's.

    Undecided: ZONED was declined, so that the model reads 0 whatever it is, or no model was read.
    """
    known = _looks(view)
    tally = Tally(
        none="the file behind the disk is not known",
        doubt="ZONED was declined, or the model not read",
    )
    zoned = {
        history.life.dev
        for history in histories(view)
        for request in history.requests
        for zone in request.report
        if zone.kind in _SEQUENTIAL
    }
    for life in block_lives(view, tally):
        last = life.negotiated
        if not last or life.dev not in known:
            continue
        if not last.offered >> bits.BLK_ZONED & 1:
            tally.check(True, last.row, "")
            continue
        fields = life.reads(cfg.ZONE_MODEL.offset, cfg.ZONE_MODEL.width)
        model = next(fields, None) if life.has(bits.BLK_ZONED) else None
        if model and model[1] in (bits.Z_HOST_MANAGED, bits.Z_HOST_AWARE):
            tally.check(True, model[0].row, "")
        elif model and model[1] == bits.Z_NONE and life.dev not in zoned:
            text = f"{life.name}: ZONED is offered by a device with a plain file and no zone model"
            tally.check(False, (last.row, model[0].row, known[life.dev][0].row), text)
        else:
            tally.undecided()
    return tally.result()


@dataclass
class _Requests:
    """Requests of one device: the rows in which they begin and end, and what they are about.

    Attributes:
        life: of each.
        wrong: the driver broke its life, or something in it was altered.
        chains: where each chain was made available, with a request in it or not.
        restarts: where the process that serves the device was started anew.
    """

    number: Ints
    type: Ints
    status: Ints
    begin: Ints
    end: Ints
    life: Ints
    wrong: Bools
    chains: Ints
    restarts: Ints


def _requests(view: View, dev: int) -> _Requests:
    all_ = view.requests
    devices = np.array([name[0] for name in view.rings.queue], dtype=np.int64)
    lives = np.array([name[1] for name in view.rings.queue], dtype=np.int64)
    rows = Rows.of(view.rings, all_)
    wrong = not_the_devices(view, rows, np.arange(len(rows))) | altered_queues(view)[all_.q]
    wrong |= ~all_.sound
    broken = np.isin(lives[all_.q], lives[all_.q][wrong & (devices[all_.q] == dev)])
    mine = np.flatnonzero(devices[all_.q] == dev)
    done, life = all_.done[mine], lives[all_.q[mine]]
    end = np.where(done >= 0, done, _NEVER)
    chains = devices[view.adds.q] == dev
    begun = view.adds.row[chains]
    # What a reset has ended is over when the next life makes chains available. What changes the
    # storage may go on.
    order = np.argsort(lives[view.adds.q][chains], kind="stable")
    later = np.searchsorted(lives[view.adds.q][chains][order], life, "right")
    after = np.append(begun[order], _NEVER)[later]
    end = np.where((done < 0) & np.isin(all_.type[mine], _HARMLESS), after, end)
    return _Requests(
        number=mine,
        type=all_.type[mine],
        status=all_.status[mine],
        begin=all_.row[mine],
        end=end,
        life=life,
        wrong=broken[mine],
        chains=begun,
        restarts=view.of("restarted")["row"].to_numpy(),
    )


def _spans(view: View, requests: _Requests, chosen: Bools) -> list[tuple[int, int]]:
    """Sectors that the ranges of some requests cover: the first, and the one behind the last."""
    ranges = ranges_of(view)
    mine = np.isin(ranges["request"], requests.number[chosen])
    first = ranges["sector"][mine].astype(np.int64)
    return list(zip(first.tolist(), (first + ranges["sectors"][mine]).tolist(), strict=True))


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for first, end in sorted(spans):
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((first, end))
    return found


def _written(view: View, requests: _Requests, before: int) -> list[tuple[int, int]]:
    """Sectors that were written by then, since anything began that may have deallocated some."""
    other = ~np.isin(requests.type, _HARMLESS) & (requests.begin < before)
    since = int(requests.end[other].max(initial=-1))
    chosen = (requests.type == bits.T_OUT) & (requests.status == bits.S_OK)
    chosen &= (requests.begin > since) & (requests.end < before)
    sector = view.requests.sector[requests.number[chosen]]
    end = sector + view.requests.bytes[requests.number[chosen]] // bits.SECTOR
    return _joined(list(zip(sector.tolist(), end.tolist(), strict=True)))


def _may_unmap(view: View, dev: int, lives: Ints) -> Iterator[tuple[int, int]]:
    """Rows and values of the reads of write_zeroes_may_unmap in some lives."""
    for number in np.unique(lives).tolist():
        field = cfg.MAY_UNMAP
        for access, value in view.life(dev, number).reads(field.offset, field.width):
            yield access.row, value


@rule("BO-DE-10", needs=(*_NEEDS, _STORAGE))
def may_unmap_says_what_zeroing_does(view: View) -> Result:
    """Section 5.2.6.2: write_zeroes_may_unmap is 0 exactly where a write-zeroes request can never
    lead to deallocation.

    Judged are disks in a regular file, by how much of it is allocated before and after such
    requests. That a device never deallocates is not visible: one that has 1 in the field is only
    seen to be right.

    Checked: each pair of successive looks at the file with a write-zeroes request between them that
    ended with OK, all of one life, in which the field was read, always with one value; no request
    that may deallocate for another reason was made before the second look. Less is allocated by
    more than a file system has for itself, and not by more than was zeroed: the field is not 0.
    Where the field is 0, less is not allocated, though all that was zeroed had been written before,
    and nothing was written since.

    Undecided: less is not allocated, in any other case, as writes may have made up for it; the
    field was not read; the driver broke a ring or a request; the device's process was started anew.
    """
    tally = Tally(
        none="nothing was zeroed between two looks at the file behind a disk",
        doubt="nothing shows whether write-zeroes has deallocated",
    )
    for dev, looks in _looks(view).items():
        requests = _requests(view, dev)
        for before, after in pairwise(looks):
            _judge(view, tally, dev, requests, before, after)
    return tally.result()


def _judge(
    view: View, tally: Tally, dev: int, requests: _Requests, before: _Look, after: _Look
) -> None:
    """Judge what happened between two looks."""
    between = (requests.begin < after.row) & (requests.end > before.row)
    zeroing = between & (requests.type == bits.T_WRITE_ZEROES)
    done = zeroing & (requests.status == bits.S_OK)
    if not done.any():
        return
    # What a device deallocates it may deallocate later than it says.
    earlier = requests.begin < after.row
    fields = list(_may_unmap(view, dev, requests.life[zeroing]))
    begun = (requests.begin > before.row) & (requests.begin < after.row)
    chains = (requests.chains > before.row) & (requests.chains < after.row)
    if (
        len({value for _, value in fields}) != 1
        or len(np.unique(requests.life[zeroing])) != 1
        or before.length != after.length
        or requests.wrong[between].any()
        # A chain whose request is not known may have any.
        or chains.sum() != begun.sum()
        or not np.isin(requests.type[earlier], (*_HARMLESS, bits.T_WRITE_ZEROES)).all()
        or ((requests.restarts > before.row) & (requests.restarts < after.row)).any()
        or (requests.end[zeroing] > after.row).any()
        or (requests.begin[zeroing] < before.row).any()
    ):
        tally.undecided()
        return
    row, value = fields[0]
    zeroed = _joined(_spans(view, requests, zeroing))
    less = before.allocated - after.allocated
    rows = (row, before.row, int(requests.begin[done][0]), after.row)
    name = f"device {dev}: write_zeroes_may_unmap is {value}"
    if _OWN < less <= sum(end - first for first, end in zeroed) * bits.SECTOR + _OWN:
        tally.check(value != 0, rows, f"{name}, and write-zeroes deallocated {less} bytes")
        return
    wrote = (between & (requests.type == bits.T_OUT)).any()
    written = _written(view, requests, before.row)
    covered = all(any(a <= first and end <= b for a, b in written) for first, end in zeroed)
    enough = sum(end - first for first, end in zeroed) * bits.SECTOR > 2 * _OWN
    if value == 0 and less <= _OWN and not wrote and covered and enough:
        tally.check(True, rows, "")
    else:
        tally.undecided()
