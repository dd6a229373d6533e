# SPDX-License-Identifier: GPL-2.0-only
"""Forms that a device has to serve and hardly any driver uses, each in a life of its own.

What comes of them is written down, and judged by the rules alone: a device may not survive some.
"""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from pykit.drive.blk_events import note_field
from pykit.drive.carriers import PeerGoneError, RefusedError
from pykit.drive.carriers.qtest import QtestCarrier
from pykit.drive.carriers.vhost_user import VhostUserCarrier
from pykit.drive.driver import GLANCE, PATIENCE, Shape
from pykit.drive.host import resize
from pykit.drive.lives import DrivenDevice
from pykit.drive.requests import DriverRequest, blk_request
from pykit.drive.split import SplitRing
from pykit.errors import UsageError
from pykit.spec import bits
from pykit.spec.bits import NEXT, WRITE
from pykit.spec.blkconfig import CAPACITY, FIELDS, SEG_MAX, WRITEBACK, ZONE_FIELDS, Field
from pykit.spec.optional import OPTIONAL
from pykit.spec.timing import OTHER_SIDE
from pykit.vhost_user import Protocol

#: Sectors that are written and read, in the plain form and in the rare one.
_SECTORS = 4
#: Requests of a life that is about interrupts, and how long one may come late, in seconds.
_ROUNDS, _LATE = 6, 1.0
#: The bit of the interrupt status that a change of the configuration sets.
_CHANGED = 2
#: Requests that are under way together.
_TOGETHER = 4
#: How long an interrupt is waited for that is not wanted, in seconds.
_SILENCE = 0.05
#: An event index that is far from any entry that is used in such a life.
_FAR_OFF = 0x4000
#: Requests of a life that watches the configuration, and how long it waits for the notification of
#: a change that it sees, in seconds: as long as rules do, and a moment.
_WATCHED, _ANNOUNCED = 32, OTHER_SIDE / 1e9 + 0.5
#: How many bytes a disk grows by, so that its configuration changes.
_STEP = 1 << 20
#: The largest queue that there is.
_LARGEST = 32768
#: Devices whose fields are read in a life of their own. A disk has more such lives.
_NUMBERED = (bits.NET_ID,)
#: Of an input device: its name, events of absolute axes, an axis, nothing, what is not defined.
_SELECTIONS = ((1, 0), (0x11, 3), (0x12, 0), (0, 0), (0x04, 0), (0x13, 1), (0x7F, 0), (0xFF, 0xFF))
_RANGE = struct.Struct("<QII")
#: Where sectors are zeroed, what is written there before: so many parts of so many bytes. It is
#: much for a file system, which frees whole blocks.
_ZEROED, _PARTS, _PART = 1024, 8, 16 << 10
#: The 64-bit field at the beginning of a disk's configuration: its capacity.
_HALVES = ((0, 4), (4, 0), (4, 4), (0, 0))


class RareForms:
    """Drives one device in forms that it has to serve.

    Args:
        device: driver and process.
        seed: decides the data.
    """

    def __init__(self, device: DrivenDevice, seed: int) -> None:
        self._device, self._driver = device, device.driver
        self._random = random.Random(seed)

    def run(self, progress: Callable[[str], None]) -> None:
        """Run the lives for which the device and its carrier have what they need."""
        for name, shape, live in self._lives():
            progress(f"rare forms, {name}")
            try:
                self._device.begin(shape)
                live()
            except (PeerGoneError, RefusedError, UsageError):
                # The life ends there: the device is gone, or lacks what it takes.
                continue
            finally:
                self._driver.end()

    def _lives(self) -> Iterator[tuple[str, Shape, Callable[[], None]]]:
        silent = Shape(event_idx=False, indirect=False)
        yield "used_event without EVENT_IDX", silent, self._decoy_event
        yield "a flag beside used_event", Shape(indirect=False), self._decoy_flag
        if isinstance(self._driver.carrier, QtestCarrier):
            yield "a queue that is reset", Shape(more=1 << bits.RING_RESET), self._queue_reset
            yield "a queue without a vector", Shape(), self._no_vector
            yield "a line instead of messages", Shape(), self._line
        if isinstance(self._driver.carrier, QtestCarrier) and self._driver.kind.id in _NUMBERED:
            yield "all numbers", Shape(), self._numbers
        if isinstance(self._driver.carrier, QtestCarrier) and self._driver.kind.id == bits.SCSI_ID:
            yield "sizes of a SCSI host", Shape(), self._sizes
        if isinstance(self._driver.carrier, QtestCarrier) and self._driver.kind.id == bits.INPUT_ID:
            yield "selections of an input device", Shape(), self._selections
        if self._driver.kind.name == "blk":
            yield "a change without a vector", Shape(), self._silent_change
            yield "a change by the line", Shape(), self._line_change
            yield "halves of a field", Shape(), self._halves
            if isinstance(self._driver.carrier, QtestCarrier):
                yield "fields that stay", Shape(), self._steady
            yield "fields before FEATURES_OK", Shape(early=True), self._nothing
            # A queue that is smaller than the device allows would not fit its seg_max.
            largest = isinstance(self._driver.carrier, QtestCarrier)
            whole = Shape(size=_LARGEST) if largest else Shape()
            yield "all fields", whole, self._fields
            zeroes = replace(whole, more=1 << bits.BLK_WRITE_ZEROES)
            yield "fields of writes of zeroes", zeroes, self._fields
            without_ro = Shape(more=1 << bits.BLK_RO, fewer=1 << bits.BLK_RO)
            yield "a write to a disk that is read-only", without_ro, self._read_only
            alone = Shape(more=1 << bits.BLK_CONFIG_WCE, fewer=1 << bits.BLK_FLUSH)
            yield "a cache without FLUSH", alone, self._writeback
            yield "zones declined", Shape(fewer=1 << bits.BLK_ZONED), self._declined
            yield "chains in order", Shape(more=1 << bits.IN_ORDER), self._in_order
            yield "lists in order", Shape(packed=True, more=1 << bits.IN_ORDER), self._in_order
            yield "a writable table", Shape(event_idx=False), self._writable_table
            yield "a table behind buffers", Shape(event_idx=False), self._table_behind
            flushed = Shape(more=1 << bits.BLK_FLUSH)
            yield "flushed data behind a reset", flushed, self._flushed
            through = Shape(fewer=1 << bits.BLK_FLUSH)
            yield "data behind a reset, FLUSH declined", through, self._written
            if self._device.disk is not None:
                zeroing = Shape(more=1 << bits.BLK_WRITE_ZEROES, fewer=1 << bits.BLK_ZONED)
                yield "storage of zeroes", zeroing, self._zeroed
            carrier = self._driver.carrier
            if isinstance(carrier, VhostUserCarrier):
                yield "flushed data behind a connection", flushed, self._reconnected
                self._device.disconnect()
                carrier.drive_also(Protocol.BACKEND_REQ)
                yield "a configuration that may change", Shape(), self._watched
                carrier.drive_also()
                self._device.disconnect()

    def _request(self, number: int) -> DriverRequest:
        return self._driver.kind.request(self._driver.memory, number)

    def _decoy_event(self) -> None:
        """Let used_event point far off: without EVENT_IDX only the flags count (2.7.7.2)."""
        ring = self._driver.rings[self._driver.kind.queue]
        if isinstance(ring, SplitRing) and not ring.features.event_idx:
            ring.decoy_event = _FAR_OFF
            self._interrupts()

    def _decoy_flag(self) -> None:
        """Set the flag that suppresses: with EVENT_IDX only used_event counts (2.7.7.2)."""
        ring = self._driver.rings[self._driver.kind.queue]
        if isinstance(ring, SplitRing) and ring.features.event_idx:
            ring.decoy_flag = 1
            self._interrupts()

    def _interrupts(self) -> None:
        """Make requests one by one, and wait for the interrupt of each."""
        driver, queue = self._driver, self._driver.kind.queue
        for number in range(_ROUNDS):
            # Not before the interrupt: a slow device reads it when the entry was taken.
            driver.rings[queue].request_interrupt()
            before, deadline = driver.interrupts, time.monotonic() + PATIENCE
            driver.submit(queue, self._request(number))
            while not driver.take(queue):
                if time.monotonic() > deadline:
                    return
                driver.listen(queue, GLANCE)
            if driver.interrupts == before:
                driver.listen(queue, _LATE)

    def _queue_reset(self) -> None:
        """Reset a queue with a request outstanding, and use it again (2.6.1)."""
        driver, queue = self._driver, self._driver.kind.queue
        for number in range(_ROUNDS):
            driver.serve(queue, self._request(number))
        driver.submit(queue, self._request(_ROUNDS), kick=False)
        if driver.renew(queue):
            for number in range(_ROUNDS):
                driver.serve(queue, self._request(number))

    def _in_order(self) -> None:
        """Have several chains under way that come back in their order (2.7.8, 2.8)."""
        driver, queue = self._driver, self._driver.kind.queue
        if not driver.features >> bits.IN_ORDER & 1:
            return
        # Once: from a second time on, the links of a split ring are not in sequence.
        for number in range(1, _TOGETHER + 1):
            driver.submit(queue, self._request(number), kick=number == _TOGETHER)
        driver.wait(queue, _TOGETHER)

    def _no_vector(self) -> None:
        """Take a queue's vector away: no interrupt of it comes (4.1.5.1.3.1)."""
        driver, queue = self._driver, self._driver.kind.queue
        carrier = driver.carrier
        # Some devices interrupt at DRIVER_OK with nothing used: that is none of this life's.
        driver.listen(queue, _SILENCE)
        if isinstance(carrier, QtestCarrier) and carrier.unmap(queue):
            driver.recorder.event("queue_vector", queue, vector=bits.NO_VECTOR)
            for number in range(_ROUNDS):
                driver.serve(queue, self._request(number))
                driver.listen(queue, _SILENCE)

    def _line(self) -> None:
        """Use the interrupt line, and read what shows its state (4.1.4.5.1)."""
        driver, queue = self._driver, self._driver.kind.queue
        carrier = driver.carrier
        if not isinstance(carrier, QtestCarrier) or not carrier.use_line():
            return
        try:
            for number in range(_ROUNDS):
                driver.submit(queue, self._request(number))
                carrier.listen(queue, _LATE)
                # At first as the interrupt left it, then as reading the ISR status left it.
                for raised in (carrier.line_raised(), False):
                    self._note_line(raised)
                driver.collect(queue)
        finally:
            carrier.use_messages()

    def _silent_change(self) -> None:
        """Change the configuration while no vector is there for that (4.1.5.1.4.1)."""
        driver, carrier = self._driver, self._driver.carrier
        if not isinstance(carrier, QtestCarrier) or (vector := carrier.unmap_changes()) is None:
            return
        driver.recorder.event("config_vector", vector=vector)
        for _ in range(_ROUNDS):
            if not self._grow():
                return
            for queue in driver.rings:
                driver.listen(queue, _SILENCE)
            self._capacity()

    def _line_change(self) -> None:
        """Change the configuration, and read what shows the state of the line (4.1.4.5.1, 4.2.2).

        Devices without messages always use it.
        """
        carrier = self._driver.carrier
        if not isinstance(carrier, QtestCarrier):
            return
        silent = not carrier.device.messages
        if not silent and not carrier.use_line():
            return
        try:
            for _ in range(_ROUNDS):
                if not self._grow():
                    return
                carrier.listen(self._driver.kind.queue, _LATE)
                raised = carrier.line_raised()
                status = carrier.device.acknowledge() if silent else self._note_line(raised)
                if status & _CHANGED:
                    self._driver.recorder.event("config_change", status=bits.DRIVER_OK)
                self._capacity()
        finally:
            carrier.use_messages()

    def _note_line(self, raised: bool) -> int:
        """Read what shows the state of the line, and write it down; return the ISR status."""
        carrier = self._driver.carrier
        assert isinstance(carrier, QtestCarrier)
        status, isr = carrier.line_state()
        self._driver.recorder.event("line", pci_status=status, isr=isr, raised=int(raised))
        return isr

    def _grow(self) -> bool:
        """Read a disk's capacity, and let QEMU make it larger; False where it is not QEMU's."""
        if not isinstance(self._driver.carrier, QtestCarrier):
            return False
        return resize(self._device, self._capacity() * bits.SECTOR + _STEP)

    def _watched(self) -> None:
        """Read a disk's capacity before and after requests, and what announces a change (5.2.6.2).

        Where no change can be announced, none is looked for.
        """
        driver, queue, carrier = self._driver, self._driver.kind.queue, self._driver.carrier
        assert isinstance(carrier, VhostUserCarrier)
        if not carrier.speaks(Protocol.BACKEND_REQ):
            return
        driver.recorder.event("config_vector", vector=0)
        before = self._shown()
        for number in range(_WATCHED):
            if driver.serve(queue, self._request(number)) is None:
                return
        after = self._shown()
        deadline = time.monotonic() + (_ANNOUNCED if before != after else 0)
        while not (changes := carrier.config_changes()) and time.monotonic() < deadline:
            time.sleep(GLANCE)
        for _ in range(changes):
            driver.recorder.event("config_change", status=bits.DRIVER_OK)
        self._shown()

    def _steady(self) -> None:
        """Read a disk's fields before and after requests, and what announces a change (2.3)."""
        driver, queue, carrier = self._driver, self._driver.kind.queue, self._driver.carrier
        assert isinstance(carrier, QtestCarrier)
        if not carrier.announces:
            return
        driver.recorder.event("config_vector", vector=0)
        before, changes = self._shown(), driver.recorder.rows("config_change")
        for number in range(_WATCHED):
            if driver.serve(queue, self._request(number)) is None:
                return
        after, known = self._shown(), len(changes)
        deadline = time.monotonic() + (_ANNOUNCED if before != after else 0)
        while len(changes) == known and time.monotonic() < deadline:
            driver.listen(queue, GLANCE)

    def _shown(self) -> bytes:
        """Read the fields of a disk that the accepted features bring, but seg_max."""
        driver = self._driver
        brought = [f for f in FIELDS if f.feature is not None and driver.features >> f.feature & 1]
        fields = [CAPACITY, *(field for field in brought if field != SEG_MAX)]
        return b"".join(note_field(driver.recorder, driver.carrier, field) for field in fields)

    def _capacity(self) -> int:
        """Read the low half of a disk's capacity, and write that down."""
        carrier = self._driver.carrier
        assert isinstance(carrier, QtestCarrier)
        value = carrier.word(CAPACITY.offset)
        read = {"offset": CAPACITY.offset, "len": 4, "value": value}
        self._driver.recorder.event("config", **read, write=0)
        return value

    def _halves(self) -> None:
        """Read the halves of a 64-bit field in each order (4.1.3.1)."""
        carrier = self._driver.carrier
        if not isinstance(carrier, QtestCarrier):
            return
        for offset in chain.from_iterable(_HALVES):
            read = {"offset": offset, "len": 4, "value": carrier.word(offset)}
            self._driver.recorder.event("config", **read, write=0)

    def _fields(self) -> None:
        """Read the fields that there are by the features accepted (5.2.4)."""
        accepted = self._driver.features
        own = [f for f in FIELDS if f.feature is not None and accepted >> f.feature & 1]
        end = max((field.offset for field in own), default=0)
        for field in FIELDS:
            # Padding is there where a field follows.
            if field in own or (field.feature is None and field.offset < end):
                self._field(field)

    def _numbers(self) -> None:
        """Read the fields of another device that there are by the features offered (2.5.1)."""
        driver = self._driver
        offered = driver.carrier.offered()
        for field in OPTIONAL[driver.kind.id]:
            if any(offered >> bit & 1 for bit in field.features):
                place = Field(field.name, field.offset, field.width, field.features[0])
                note_field(driver.recorder, driver.carrier, place)

    def _sizes(self) -> None:
        """Read sense_size and cdb_size as they are after a reset (5.6.4)."""
        for name, offset in (("sense_size", 20), ("cdb_size", 24)):
            note_field(self._driver.recorder, self._driver.carrier, Field(name, offset, 4, None))

    def _selections(self) -> None:
        """Ask an input device for what it has, and for what there is not (5.8.5)."""
        carrier, note = self._driver.carrier, self._driver.recorder.event
        assert isinstance(carrier, QtestCarrier)
        space = carrier.device.space
        for pair in _SELECTIONS:
            for offset, value in enumerate(pair):
                space.bus.write(space.base + offset, value, 1)
                note("config", offset=offset, len=1, value=value, write=1)
            size = space.bus.read(space.base + len(pair), 1)
            note("config", offset=len(pair), len=1, value=size, write=0)

    def _field(self, field: Field) -> None:
        # A back-end has no part in how large the queues are.
        if field != SEG_MAX or isinstance(self._driver.carrier, QtestCarrier):
            note_field(self._driver.recorder, self._driver.carrier, field)

    def _read_only(self) -> None:
        """Write to a disk whose RO was not accepted, between two reads (5.2.6.2)."""
        driver, queue = self._driver, self._driver.kind.queue
        for kind in (bits.T_IN, bits.T_OUT, bits.T_IN):
            data = self._random.randbytes(bits.SECTOR) if kind == bits.T_OUT else bits.SECTOR
            if driver.serve(queue, blk_request(driver.memory, kind, 0, data)) is None:
                return

    def _flushed(self) -> None:
        """Write and flush, and read in a life behind a reset (5.2.6.2)."""
        self._outlast((bits.T_OUT, bits.T_IN, bits.T_FLUSH), lambda: None)

    def _written(self) -> None:
        """Write without FLUSH, so that each write is stable, and read behind a reset (5.2.6.2)."""
        self._outlast((bits.T_OUT, bits.T_IN), lambda: None)

    def _reconnected(self) -> None:
        """Write and flush, and read behind another connection."""
        self._outlast((bits.T_OUT, bits.T_IN, bits.T_FLUSH), self._device.disconnect)

    def _outlast(self, kinds: Sequence[int], leave: Callable[[], None]) -> None:
        """Make requests to the same sectors, leave the device, and read them in its next life."""
        driver, queue = self._driver, self._driver.kind.queue
        # What is written to zones has a place of its own.
        if (driver.carrier.offered() & 1 << bits.BLK_RO) or driver.features >> bits.BLK_ZONED & 1:
            return
        size = _SECTORS * bits.SECTOR
        for kind in kinds:
            data = {bits.T_OUT: self._random.randbytes(size), bits.T_FLUSH: b""}.get(kind, size)
            sector = 0 if kind == bits.T_FLUSH else _SECTORS
            if driver.serve(queue, blk_request(driver.memory, kind, sector, data)) is None:
                return
        driver.end()
        leave()
        self._device.begin(driver.shape)
        driver.serve(queue, blk_request(driver.memory, bits.T_IN, _SECTORS, size))

    def _zeroed(self) -> None:
        """Zero what was written, and look at the storage before and after that (5.2.6.2)."""
        driver, queue, memory = self._driver, self._driver.kind.queue, self._driver.memory
        if driver.carrier.offered() >> bits.BLK_RO & 1:
            return
        for flags in (bits.UNMAP, 0):
            for part in range(_PARTS):
                with memory.borrowing():
                    data = self._random.randbytes(_PART)
                    sector = _ZEROED + part * _PART // bits.SECTOR
                    if not driver.serve(queue, blk_request(memory, bits.T_OUT, sector, data)):
                        return
            self._device.look_at_storage("written")
            count = _PARTS * _PART // bits.SECTOR
            zeroes = blk_request(memory, bits.T_WRITE_ZEROES, 0, _RANGE.pack(_ZEROED, count, flags))
            if not driver.serve(queue, zeroes):
                return
            self._device.look_at_storage("zeroed")

    def _declined(self) -> None:
        """Read the fields of zones that were declined: all are 0 (5.2.5.2)."""
        if self._driver.carrier.offered() >> bits.BLK_ZONED & 1:
            for field in ZONE_FIELDS:
                self._field(field)

    def _nothing(self) -> None:
        """Leave the life as it begins."""

    def _writeback(self) -> None:
        """Read writeback with CONFIG_WCE and without FLUSH: it is 0 at first (5.2.5.2)."""
        self._field(WRITEBACK)

    def _writable_table(self) -> None:
        """Set WRITE beside INDIRECT, which a device ignores (2.7.5.3.2)."""
        self._forms(ahead=0, flags=WRITE)

    def _table_behind(self) -> None:
        """End a chain that begins in the ring by a table (2.7.5.3.2)."""
        self._forms(ahead=1, flags=0)

    def _forms(self, ahead: int, flags: int) -> None:
        """Write and read in the plain form, then read and write in the rare one."""
        driver = self._driver
        if not driver.features >> bits.INDIRECT_DESC & 1:
            return
        if driver.carrier.offered() >> bits.BLK_RO & 1:
            return
        queue, memory = driver.kind.queue, driver.memory
        ring = driver.rings[queue]
        half = bits.SECTOR // 2
        for rare, write, cuts in (
            (False, True, (bits.SECTOR,)),
            (False, False, (half, bits.SECTOR)),
            (True, False, (3 * half,)),
            (True, True, (half, half)),
            (False, False, ()),
        ):
            size = _SECTORS * bits.SECTOR
            kind = bits.T_OUT if write else bits.T_IN
            data = self._random.randbytes(size) if write else size
            request = blk_request(memory, kind, 0, data, cuts)
            draft = ring.draft(request.buffers, indirect=rare, ahead=ahead if rare else 0)
            if rare:
                slot, outer = draft.slots[-1]
                draft.slots[-1] = (slot, outer.having(flags=flags, without=NEXT))
            driver.expose(queue, draft, request)
            if not driver.wait(queue, 1):
                return
