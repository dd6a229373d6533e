# SPDX-License-Identifier: GPL-2.0-only
"""What drivers of SCSI hosts, consoles, balloons and input devices owe them (sections 5.3, 5.5, 5.6
and 5.8): contents of their messages, what they begin with, and what they write of a configuration.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from pykit.spec import bits
from pykit.spec.lives import Life, ends_within
from pykit.spec.model import Result, rule
from pykit.spec.rows import Rows, Tally
from pykit.spec.timing import ONE_SIDE
from pykit.spec.topics.others import (
    CONSOLE_CONTROL,
    CONSOLE_MULTIPORT,
    DRIVER,
    chains,
    feature,
    followers,
)
from pykit.spec.view import View
from pykit.text import counted

#: First bytes of a lun field: of a target's unit, and of the well-known unit REPORT LUNS.
_OF_TARGET, _REPORT_LUNS = 0x01, 0x01C1
#: Control messages of a console's driver, and its queue.
_READY, _PORT_READY, _PORT_OPEN = 0, 3, 6
_CONTROL_QUEUE = 3
_STATS_VQ, _STATS_QUEUE, _PAGE_NUMBER = 1, 2, 4
#: Where a balloon's configuration has ``actual``.
_ACTUAL = (4, 4)
#: A driver that has made so many chains available is at work, and has to have written ``actual``.
_CHAINS = 8

#: What a driver may write of a configuration, by device: begin and end of each field.
_WRITABLE = {
    bits.CONSOLE_ID: ((8, 12),),
    bits.ENTROPY_ID: (),
    bits.BALLOON_ID: ((4, 8), (12, 16)),
    bits.SCSI_ID: ((20, 24), (24, 28)),
    bits.NINEP_ID: (),
    bits.INPUT_ID: ((0, 1), (1, 2), (0, 2)),
    bits.VSOCK_ID: (),
    bits.FS_ID: (),
}
#: Of an input device's configuration: selections, and where what was selected begins.
_SELECT, _SUBSEL, _SELECTED = 0, 1, 2


def _openings(view: View, device: int) -> Rows:
    """What chains of devices of a type give to read first, with ``vq`` and ``readable``."""
    return followers(view, device, "add", "opening", readable="readable")


@rule("DX-94", needs=(*DRIVER, "driver:opening"))
def scsi_units_are_addressed(view: View) -> Result:
    """Section 5.6.6.1: the field lun of a request begins with 1 and the target, and ends with four
    bytes of 0; or it is that of the well-known unit REPORT LUNS.

    Checked: each request of a request queue whose first eight bytes were traced.
    """
    rows = _openings(view, bits.SCSI_ID)
    rows = rows.where((rows["vq"] >= 2) & (rows["got"] >= 8))
    lun = rows["first"].view(np.uint64) if len(rows) else rows["first"]
    good = ((lun & 0xFF) == _OF_TARGET) & (lun >> 32 == 0)
    good |= lun == _REPORT_LUNS
    rows = rows.plus(begin=(lun & 0xFFFF).astype(np.int64))
    text = "{queue}: the lun field of a request begins with {begin:#x} (its first two bytes)"
    return rows.check(good, text, none="no SCSI request was seen")


@rule("DX-95", needs=(*DRIVER, "driver:opening", "driver:features"))
def control_messages_are_defined(view: View) -> Result:
    """Section 5.3.6.2: a control message of the driver has eight bytes, and is one it may send.

    Checked: with MULTIPORT each chain of the control transmit queue: there are eight bytes to read,
    and the event is DEVICE_READY, PORT_READY or PORT_OPEN, with a value of 0 or 1.
    """
    sent = chains(view, bits.CONSOLE_ID)
    sent = sent.where(
        (sent["vq"] == _CONTROL_QUEUE) & (feature(view, sent, CONSOLE_MULTIPORT) == 1)
    )
    whole = sent.check(
        sent["readable"] >= CONSOLE_CONTROL,
        "{queue}: a control message of {readable:byte}",
        none="no control message was sent",
    )
    rows = _openings(view, bits.CONSOLE_ID)
    rows = rows.where((rows["vq"] == _CONTROL_QUEUE) & (rows["got"] >= CONSOLE_CONTROL))
    rows = rows.where(feature(view, rows, CONSOLE_MULTIPORT) == 1)
    rows = rows.plus(event=rows["first"] >> 32 & 0xFFFF, value=rows["first"] >> 48 & 0xFFFF)
    return whole + rows.check(
        np.isin(rows["event"], (_READY, _PORT_READY, _PORT_OPEN)) & (rows["value"] <= 1),
        "{queue}: a control message with event {event} and value {value}",
    )


def _at_work(view: View, device: int, bit: int, tally: Tally) -> Iterator[Life]:
    """Yield lives of a device with a feature whose driver had a second behind DRIVER_OK, or made
    some chains available.
    """
    for life in view.lives.values():
        if life.id != device or not life.has(bit):
            continue
        ready = life.first_write(bits.DRIVER_OK)
        if ready is None or not life.stage(bits.BEGIN):
            continue
        gone = life.stage(bits.REMOVE, bits.FREEZE, bits.PROBE_FAILED)
        end = gone.ts if gone and gone.ts is not None else view.end[0]
        idle = view.of("add").filter(dev=life.dev, life=life.number).height < _CHAINS
        if idle and ends_within(ready.ts, ONE_SIDE, end):
            tally.undecided()
        else:
            yield life


@rule("DX-96", needs=(*DRIVER, "driver:opening", "driver:features", "driver:status"))
def devices_get_what_they_begin_with(view: View) -> Result:
    """Sections 5.3.5.1 and 5.5.5: the driver of a console with MULTIPORT sends DEVICE_READY, and
    that of a balloon with STATS_VQ makes a buffer of statistics available.

    Checked: each life of such a device: it has done so, at any time.

    Undecided: the life ends, or the trace does, less than a second after DRIVER_OK, and the driver
    made less than eight chains available; or messages of the console were not traced.
    """
    tally = Tally(
        none="no console with several ports, and no balloon with statistics",
        doubt="the life or the trace ends soon, or messages were not traced",
    )
    for life in _at_work(view, bits.CONSOLE_ID, CONSOLE_MULTIPORT, tally):
        messages = _of_queue(view, "opening", life, _CONTROL_QUEUE)
        if not messages.height and _of_queue(view, "add", life, _CONTROL_QUEUE).height:
            tally.undecided()
            continue
        whole = messages.filter(pl.col("got") >= CONSOLE_CONTROL)["first"].to_list()
        ready = any(first >> 32 & 0xFFFF == _READY for first in whole)
        last = life.negotiated
        text = f"{life.name}: MULTIPORT is negotiated, and DEVICE_READY was not sent"
        tally.check(ready, last.row if last else -1, text)
    for life in _at_work(view, bits.BALLOON_ID, _STATS_VQ, tally):
        last = life.negotiated
        text = (
            f"{life.name}: STATS_VQ is negotiated, and no buffer of statistics was made available"
        )
        good = _of_queue(view, "add", life, _STATS_QUEUE).height > 0
        tally.check(good, last.row if last else -1, text)
    return tally.result()


def _of_queue(view: View, kind: str, life: Life, vq: int) -> pl.DataFrame:
    """Return events of a kind of one queue in a life."""
    return view.of(kind).filter(dev=life.dev, life=life.number, vq=vq)


@rule("DX-97", needs=(*DRIVER, "driver:used", "driver:config"))
def balloons_have_their_size(view: View) -> Result:
    """Section 5.5.6: the driver writes to actual how many pages the balloon has.

    Checked: each life from its begin on in which pages were given or taken back:

    - When a chain is made available, what was written to actual last is how many pages the balloon
      had at one of the eight chains before. A driver that is removed need not write it each time.
    - Where the last chain came back a second or more before the life or the trace ended, it is how
      many pages the balloon has.
    """
    tally = Tally(
        none="no page was given or taken", doubt="the life or the trace ends with pages under way"
    )
    rows = chains(view, bits.BALLOON_ID)
    rows = rows.where(rows["vq"] <= 1)
    for life in view.lives.values():
        if life.id != bits.BALLOON_ID or not life.stage(bits.BEGIN):
            continue
        name = (life.dev, life.number)
        mine = [
            q for q, (*place, vq) in enumerate(view.rings.queue) if (*place,) == name and vq <= 1
        ]
        own = rows.where(np.isin(rows["q"], mine))
        if not len(own):
            continue
        # Chains that are not certain are left out.
        if np.count_nonzero(np.isin(view.adds.q, mine)) == len(own):
            _follow(view, life, own, tally)
        else:
            tally.undecided()
    return tally.result()


def _follow(view: View, life: Life, rows: Rows, tally: Tally) -> None:
    """Check what the driver of a balloon wrote to actual, by the chains of a life."""
    order = np.argsort(rows["row"])
    added, taken, readable, vq = (rows[key][order] for key in ("row", "taken", "readable", "vq"))
    pages = np.cumsum(readable // _PAGE_NUMBER * np.where(vq == 0, 1, -1))
    writes = [a for a in life.config if a.write and (a.offset, a.len) == _ACTUAL]
    number = np.searchsorted([access.row for access in writes], added)
    values = np.array([0, *(access.value for access in writes)])
    # A driver that goes takes all pages back at once.
    leaves = life.stage(bits.REMOVE, bits.FREEZE)
    working = np.count_nonzero(added < leaves.row) if leaves else len(added)
    for i in range(_CHAINS, int(working)):
        text = f"{life.name}: actual is {values[number[i]]}, the balloon has {pages[i - 1]} pages"
        had = pages[i - _CHAINS - 1 : i] if i > _CHAINS else np.append(pages[:i], 0)
        tally.check(bool((had == values[number[i]]).any()), int(added[i]), text)
    gone = life.stage(bits.REMOVED, bits.FREEZE)
    end = gone.ts if gone and gone.ts is not None else view.end[0]
    if (taken < 0).any() or ends_within(int(view.base("ts")[taken.max()]), ONE_SIDE, end):
        tally.undecided()
        return
    text = f"{life.name}: actual is {values[-1]}, the balloon has {counted(int(pages[-1]), 'page')}"
    tally.check(values[-1] == pages[-1], int(taken.max()), text)


@rule("DX-98", needs="driver:config")
def fields_of_devices_are_not_written(view: View) -> Result:
    """Sections 5.3.4, 5.5.4, 5.6.4 and 5.8.4: of a configuration the driver writes what it may.

    Checked: each access to the configuration of a console (emerg_wr), entropy device, balloon
    (actual and poison_val), SCSI host (sense_size and cdb_size), input device (select and subsel),
    socket or file system. DX-85 has disks, NT-DR-05 network devices.
    """
    tally = Tally(none="no driver accessed the configuration of such a device")
    for life in view.lives.values():
        if life.id not in _WRITABLE:
            continue
        for access in life.config:
            if access.len:
                place = (access.offset, access.offset + access.len)
                text = f"{life.name}: {counted(access.len, 'byte')} written at {access.offset}"
                tally.check(not access.write or place in _WRITABLE[life.id], access.row, text)
    return tally.result()


@rule("DX-99", needs="driver:config")
def input_queries_are_selected(view: View) -> Result:
    """Section 5.8.5.1: a driver sets both select and subsel when it asks an input device.

    Checked: each read of size behind a write to select or subsel: both were written since the
    driver read size or what follows it last.
    """
    tally = Tally(none="no input device was asked for anything")
    for life in view.lives.values():
        if life.id != bits.INPUT_ID:
            continue
        written: set[int] = set()
        for access in life.config:
            if access.write:
                written |= {*range(access.offset, access.offset + access.len)}
                continue
            if access.len and access.offset == _SELECTED and written:
                text = f"{life.name}: an answer is read, and select or subsel was not set"
                tally.check({_SELECT, _SUBSEL} <= written, access.row, text)
            if access.len and access.offset >= _SELECTED:
                written.clear()
    return tally.result()
