# SPDX-License-Identifier: GPL-2.0-only
"""The same data in every legal shape: lives of all settings, requests cut at random places.

A block device gets blocks written and reads them back in other shapes; other devices get their
own good request. All of it is written down and judged by the rules.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from pykit.drive.carriers import PeerGoneError
from pykit.drive.driver import Completion, Shape
from pykit.drive.lives import DrivenDevice
from pykit.drive.memory import CANARIES
from pykit.drive.outcome import FLOOD
from pykit.drive.requests import DriverRequest, blk_request
from pykit.drive.ring import Ring
from pykit.spec import bits

#: Requests of a life, and the most in flight at once.
_REQUESTS, _DEPTH = 24, 4
#: Requests of a long life, on each queue: a device may serve only so many.
_LONG = 110
#: Sectors of the disk that are written.
_SECTORS = 64
#: How long an interrupt may come after its used buffer, in seconds.
_LATE = 1.0
_LONGEST = 8 * bits.SECTOR
_UNANNOUNCED = "used buffers without the interrupt that was asked for"


@dataclass(frozen=True)
class Deviation:
    """A legal request that did not do what it has to.

    Attributes:
        setting: layout, features and size of the life.
        shape: how the request was laid into descriptors.
        what: what came of it.
    """

    setting: str
    shape: str
    what: str


@dataclass(frozen=True)
class _Sent:
    """A request that is in flight; ``written`` are the sectors that it changes."""

    shape: str
    written: dict[int, bytes]


def settings(packed: bool) -> Iterator[Shape]:
    """The lives of one layout: features on and off, small and large queues."""
    sizes = (4, 16, 128)
    for size, indirect, event_idx in product(sizes, (False, True), (False, True)):
        yield Shape(packed, indirect, event_idx, size)


class Conforming:
    """Drives one device as a correct driver would.

    Args:
        device: driver and process.
        seed: decides all cuts, lengths and orders.
        in_sequence: the descriptors of each table stand in the order of their chain.
    """

    def __init__(self, device: DrivenDevice, seed: int, in_sequence: bool = False) -> None:
        self._device, self._driver, self._in_sequence = device, device.driver, in_sequence
        self._random = random.Random(seed)
        self._disk: dict[int, bytes] = {}
        self._busy: set[int] = set()
        self.requests = 0

    def run(
        self, progress: Callable[[str], None], wanted: Sequence[Shape] = ()
    ) -> Iterator[Deviation]:
        """Run the lives that are wanted, or all that the device has the features for.

        Raises:
            PeerGoneError: the device cannot be reached at all.
        """
        driver = self._driver
        self._device.begin(Shape())
        offered = driver.carrier.offered()
        size = driver.carrier.size
        queue = driver.kind.queue
        allowed = {shape.size: size(queue, shape.size) for shape in (*wanted, *settings(True))}
        driver.end()
        layouts = (False, True) if offered >> bits.RING_PACKED & 1 else (False,)
        shapes = wanted or [shape for packed in layouts for shape in settings(packed)]
        shapes = list(dict.fromkeys(replace(s, size=allowed[s.size]) for s in shapes))
        for number, shape in enumerate(shapes):
            name = _name(shape)
            progress(f"conforming requests, {name}")
            shape = replace(shape, canary=CANARIES[number % len(CANARIES)])
            yield from self._life(shape, name)
        for packed in () if wanted else layouts:
            progress(f"conforming requests, {_LONG} on each queue")
            yield from self.long_life(Shape(packed))
        # The queues are still there, and nothing is in them.
        if self._device.peer is not None:
            self._device.peer.observe_idle()

    def _life(self, shape: Shape, name: str) -> Iterator[Deviation]:
        driver, logged = self._driver, self._device.logged
        try:
            self._device.begin(shape)
            lost = False
            for deviation in self._work(name):
                lost = True
                yield deviation
            # What a life has written is hardly all read by it.
            yield from () if lost else self._read_back(name)
        except PeerGoneError as error:
            yield Deviation(name, "", str(error))
        if spans := driver.memory.trespasses():
            yield Deviation(name, "", f"{spans[0].length} bytes written at {spans[0].address:#x}")
        if (logged := self._device.logged - logged) > FLOOD:
            yield Deviation(name, "", f"{logged} bytes of log for at most {_REQUESTS} requests")
        driver.end()

    def _work(self, name: str) -> Iterator[Deviation]:
        driver, queue = self._driver, self._driver.kind.queue
        ring = driver.rings[queue]
        left = _REQUESTS
        while left > 0 and driver.memory.room > 4 * _LONGEST:
            flying: dict[int, _Sent] = {}
            # Requests in flight may be done in any order, so they do not share sectors.
            self._busy = set()
            for _ in range(min(self._random.randint(1, _DEPTH), left)):
                sent = self._send(queue, ring, flying)
                if sent is None:
                    break
                left -= 1
            done, came = driver.announced(queue, len(flying), _LATE)
            if done and not came:
                yield Deviation(name, "", _UNANNOUNCED)
            self.requests += len(flying)
            for completion in done:
                found = flying.pop(completion.entry.id, None)
                what = _wrong(completion)
                if found is not None and not what:
                    self._disk |= found.written
                if what:
                    yield Deviation(name, found.shape if found else "", what)
            for sent in flying.values():
                yield Deviation(name, sent.shape, "did not come back")
            if flying:
                return

    def long_life(self, shape: Shape) -> Iterator[Deviation]:
        """Have more requests served than any queue has descriptors, on each queue that takes them.

        Raises:
            PeerGoneError: the device cannot be reached at all.
        """
        driver, name = self._driver, _name(shape)
        self._device.begin(shape)
        for queue in (queue for queue in driver.kind.alike if queue in driver.rings):
            for number in range(1, _LONG + 1):
                if driver.memory.room < 2 * _LONGEST:
                    break
                self.requests += 1
                try:
                    driver.submit(queue, driver.kind.request(driver.memory, number))
                    done, came = driver.announced(queue, 1, _LATE)
                except PeerGoneError as error:
                    what = str(error)
                else:
                    what = _wrong(done[0]) if done else "did not come back"
                    what = what or ("" if came else _UNANNOUNCED)
                if what:
                    yield Deviation(name, f"request {number} on queue {queue}", what)
                    return
        driver.end()

    def _read_back(self, name: str) -> Iterator[Deviation]:
        """Read all that is known of the disk, in long requests."""
        driver, memory = self._driver, self._driver.memory
        most = _LONGEST // bits.SECTOR
        sectors = sorted(self._disk)
        while sectors and memory.room > 2 * _LONGEST:
            first = sectors[0]
            run = [s for number, s in enumerate(sectors[:most]) if s == first + number]
            sectors = sectors[len(run) :]
            data = b"".join(self._disk[sector] for sector in run)
            request = blk_request(memory, bits.T_IN, first, len(data), expected=data)
            done = driver.serve(driver.kind.queue, request)
            self.requests += 1
            what = "did not come back" if done is None else _wrong(done)
            if what:
                yield Deviation(name, f"read of {len(run)} sectors at the end", what)
                return

    def _send(self, queue: int, ring: Ring, flying: dict[int, _Sent]) -> _Sent | None:
        """Expose a request in a shape that fits; None where the queue has no room."""
        driver = self._driver
        if ring.free < min(ring.size, 8):
            return None
        request, shape, written = self._request(ring)
        # What a write leaves is not known until it has come back.
        for sector in written:
            self._disk.pop(sector, None)
        indirect = bool(driver.features >> bits.INDIRECT_DESC & 1) and self._random.random() < 0.5
        draft = ring.draft(request.buffers, indirect)
        # With IN_ORDER tables are in sequence (section 2.7.5.3), those of packed rings always.
        in_order = driver.features >> bits.IN_ORDER & 1
        linked = not ring.layout and not in_order and not self._in_sequence
        draft.backward = indirect and linked and self._random.random() < 0.5
        driver.expose(queue, draft, request)
        shape += ", in a table" if indirect else ", in the ring"
        shape += " from its end on" if draft.backward else ""
        sent = flying[draft.head] = _Sent(shape, written)
        return sent

    def _request(self, ring: Ring) -> tuple[DriverRequest, str, dict[int, bytes]]:
        """Make a request that the ring has room for; its shape, and the sectors that it writes."""
        driver = self._driver
        if driver.kind.name != "blk":
            return driver.kind.request(driver.memory, self.requests), "its own request", {}
        # Two descriptors are the header's and the status byte's.
        room = max(min(ring.size, 8) - 2, 1)
        count = self._random.randint(1, 4)
        sector = self._free_sector(count)
        cuts = self._cuts(count * bits.SECTOR, self._random.randint(1, room) - 1)
        shape = f"{count} sectors cut at {list(cuts)}" if cuts else f"{count} sectors"
        blocks = [self._disk.get(sector + i) for i in range(count)]
        if self._writable and self._random.random() < 0.5:
            data = self._random.randbytes(count * bits.SECTOR)
            written = {
                sector + i: data[i * bits.SECTOR : (i + 1) * bits.SECTOR] for i in range(count)
            }
            request = blk_request(driver.memory, bits.T_OUT, sector, data, cuts)
            return request, f"write of {shape}", written
        known = b"".join(block for block in blocks if block is not None)
        expected = known if all(block is not None for block in blocks) else None
        length = count * bits.SECTOR
        request = blk_request(driver.memory, bits.T_IN, sector, length, cuts, expected)
        return request, f"read of {shape}", {}

    def _free_sector(self, count: int) -> int:
        """The first of ``count`` sectors that no request in flight uses."""
        choices = [
            first
            for first in range(_SECTORS - count)
            if self._busy.isdisjoint(range(first, first + count))
        ]
        sector = self._random.choice(choices)
        self._busy.update(range(sector, sector + count))
        return sector

    @property
    def _writable(self) -> bool:
        return not self._driver.carrier.offered() >> bits.BLK_RO & 1

    def _cuts(self, length: int, count: int) -> tuple[int, ...]:
        """Lengths of ``count`` pieces, without the last one."""
        places = sorted(self._random.sample(range(1, length), count)) if count else []
        return tuple(b - a for a, b in zip([0, *places], places, strict=False))


def _wrong(completion: Completion) -> str:
    """What is wrong with a completion; empty if all is right."""
    if completion.draft is None:
        return f"used entry with id {completion.entry.id}, which is not outstanding"
    if completion.served == "error":
        return "ended with an error"
    if completion.served == "wrong-data":
        return "came back with other data than were written"
    return ""


def _name(shape: Shape) -> str:
    words = ["packed" if shape.packed else "split", f"size {shape.size}"]
    words += ["indirect"] if shape.indirect else []
    words += ["event index"] if shape.event_idx else []
    return ", ".join(words)
