# SPDX-License-Identifier: GPL-2.0-only
"""A virtio driver: one life of a device after the other, each step written down."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal

from pykit.drive.blk_events import note_end, note_fields, note_start
from pykit.drive.carriers import Carrier, PeerGoneError
from pykit.drive.carriers.qtest import QtestCarrier
from pykit.drive.chain import Draft, UsedEntry
from pykit.drive.features import names
from pykit.drive.kinds import Kind
from pykit.drive.memory import CANARIES, SharedMemory
from pykit.drive.packed import PackedRing
from pykit.drive.record import Recorder, SeenAccess, first_words
from pykit.drive.requests import DriverRequest, Served
from pykit.drive.ring import Ring, RingFeatures
from pykit.drive.split import SplitRing
from pykit.errors import UsageError
from pykit.spec import bits
from pykit.trace.kinds import DELETED

#: How long to wait for an interrupt before asking whether the device still works, in seconds.
GLANCE = 0.005
#: How long a device may take for a request that it has to serve, in seconds.
PATIENCE = 5.0

#: Bytes that are written down of a reply, at most.
_FIRST = 24

#: How far a device is brought up.
Stage = Literal["driver", "features-ok", "ready", "live"]


@dataclass(frozen=True)
class Shape:
    """How a life uses the device's queues.

    Attributes:
        packed, indirect, event_idx: features that are accepted if they are offered.
        size: descriptors of each queue.
        canary: what memory is filled with.
        more: features that have to be offered, and are accepted beside the usual ones.
        fewer: features that are not accepted.
        start: the index that split rings begin with, where the carrier hands one over.
        early: the fields of a disk are read before FEATURES_OK, too.
    """

    packed: bool = False
    indirect: bool = True
    event_idx: bool = True
    size: int = 16
    canary: int = CANARIES[0]
    more: int = 0
    fewer: int = 0
    start: int = 0
    early: bool = False


@dataclass(frozen=True)
class Completion:
    """A used entry, the chain that it returned, and what became of the request."""

    entry: UsedEntry
    draft: Draft | None
    served: Served | None
    written: int


class VirtioDriver:
    """Drives one device through a carrier.

    Attributes:
        rings: the queues of the current life, by number.
        features: what was accepted.
        interrupts: how many used buffer notifications came in all lives, without those that came
            with nothing used since the one before: too early, or for another queue.
    """

    def __init__(
        self, carrier: Carrier, kind: Kind, memory: SharedMemory, recorder: Recorder
    ) -> None:
        self.carrier, self.kind, self.memory, self.recorder = carrier, kind, memory, recorder
        self.rings: dict[int, Ring] = {}
        self.features = self.interrupts = 0
        self.shape = Shape()
        self._requests: dict[tuple[int, int], DriverRequest] = {}
        self._announced: dict[int, int] = {}
        if isinstance(carrier, QtestCarrier):
            carrier.report, carrier.surveyed = self._note_access, self._note_survey
            carrier.configured = self._note_configuration

    def _note_access(self, access: SeenAccess, at: int) -> None:
        self.recorder.access(access, at)

    def _note_status(self, status: int, op: int = bits.STATUS_WRITE) -> None:
        """Write down an access to the status that no register shows."""
        if not isinstance(self.carrier, QtestCarrier):
            self.recorder.event("status", status=status, op=op)

    def _note_survey(self, reading: dict[str, Any]) -> None:
        self.recorder.survey(reading)

    def _note_configuration(self, offset: int, value: int, write: bool) -> None:
        self.recorder.configuration(offset, value, write)

    def bring_up(self, shape: Shape, until: Stage = "live") -> None:
        """Begin a life: reset, features, queues, DRIVER_OK (section 3.1.1).

        Args:
            shape: of its queues.
            until: stop after DRIVER was written, features were accepted, queues were set up.

        Raises:
            PeerGoneError: the device is not there.
            UsageError: it does not offer the ring layout that is wanted.
        """
        self.shape, self.rings, self._requests = shape, {}, {}
        self.recorder.begin()
        note = self.recorder.event
        self._note_status(0, bits.STATUS_RESET)
        self.carrier.reset(self.memory)
        self.recorder.legacy, self.recorder.deaf = self.carrier.legacy, self.carrier.deaf
        # Until here the device may still have written what the life before allowed it to.
        self.memory.fill(shape.canary)
        self._note_status(bits.ACKNOWLEDGE)
        self._note_status(bits.ACKNOWLEDGE | bits.DRIVER)
        note("driver", id=self.kind.id, err=0, stage=bits.BEGIN)
        if until == "driver":
            return
        offered = self.carrier.offered()
        if shape.packed and not offered >> bits.RING_PACKED & 1:
            raise UsageError("the device does not offer packed rings: drive it with split ones")
        if lacking := shape.more & ~offered:
            raise UsageError(f"the device does not offer {names(lacking)}: drive another one")
        known = self._known(shape)
        self.features = offered & known
        chosen = {"offered": offered, "driver": known, "acked": self.features}
        note("features", **chosen, stage=1)
        if shape.early:
            note_fields(self.recorder, self.carrier, self.features)
        kept = self.carrier.accept(self.features)
        status = bits.ACKNOWLEDGE | bits.DRIVER
        if not self.carrier.legacy:
            status |= bits.FEATURES_OK
            found = status if kept else status & ~bits.FEATURES_OK
            self._note_status(status)
            self._note_status(found, bits.STATUS_READ)
        if not kept:
            raise PeerGoneError("device does not accept a subset of the features that it offers")
        note("features", **chosen, stage=2)
        if self.kind.name == "blk":
            note_fields(self.recorder, self.carrier, self.features)
        if until == "features-ok":
            return
        self._set_up_queues(shape)
        if until == "ready":
            return
        self.carrier.driver_ok()
        self._note_status(status | bits.DRIVER_OK)
        note("driver", id=self.kind.id, err=0, stage=bits.PROBED)
        self.prime()

    def prime(self, patience: float = PATIENCE) -> None:
        """Make the requests that have to be served before any other of this type."""
        for make in self.kind.prime:
            self.serve(self.kind.queue, make(self.memory, 0), patience=patience)

    def _known(self, shape: Shape) -> int:
        """The features that the driver accepts where they are offered."""
        wanted = self.kind.features | 1 << bits.VERSION_1 | 1 << bits.ACCESS_PLATFORM
        # Only legacy devices offer it: requests are cut anywhere.
        wanted |= 1 << bits.ANY_LAYOUT
        wanted |= shape.packed << bits.RING_PACKED
        wanted |= shape.indirect << bits.INDIRECT_DESC | shape.event_idx << bits.EVENT_IDX
        return (wanted | shape.more) & ~shape.fewer

    def _set_up_queues(self, shape: Shape) -> None:
        # A back-end without MQ does not report how many it has: its type decides.
        for index in range(max(self.kind.queues, min(2, self.carrier.queues))):
            self.set_up(index, shape.size)

    @property
    def ring_features(self) -> RingFeatures:
        """What was negotiated about queues."""
        return RingFeatures(
            indirect=bool(self.features >> bits.INDIRECT_DESC & 1),
            event_idx=bool(self.features >> bits.EVENT_IDX & 1),
            legacy=self.carrier.legacy,
        )

    def set_up(self, index: int, wanted: int) -> None:
        """Lay out a queue, of this size where the device allows it, and hand it over."""
        features = self.ring_features
        make = PackedRing if self.shape.packed else SplitRing
        size = self.carrier.size(index, wanted)
        if not size and index >= self.kind.queues:
            # The device counts a queue that it has not got.
            return
        ring = make(self.memory, self.recorder, index, size, features)
        if self.shape.start:
            if self.carrier.name != "vhost-user":
                raise UsageError("the device begins with index 0: drive a vhost-user back-end")
            ring.start = self.shape.start
        self.hand_over(ring)

    def hand_over(self, ring: Ring) -> None:
        """Lay out a ring, and hand it over."""
        index = ring.index
        ring.lay_out()
        self.carrier.set_up(ring)
        self.rings[index] = ring
        self._announced[index] = ring.used_position
        for other in self.rings.values():
            if other is not ring:
                ring.neighbour, other.neighbour = other, ring

    def renew(self, queue: int) -> bool:
        """Reset a queue alone and set it up anew (section 2.6.1); False where that is not agreed.

        Raises:
            PeerGoneError: the device does not end the queue's reset.
        """
        if not self.features >> bits.RING_RESET & 1 or not self.carrier.reset_queue(queue):
            return False
        self.take_away(self.rings[queue])
        self.set_up(queue, self.shape.size)
        return True

    def take_away(self, ring: Ring, most: int | None = None) -> None:
        """Delete a queue, and take back the chains in it, or so many of them."""
        self._give_up(ring, most)
        self.recorder.event("queue", ring.index, size=ring.size, layout=ring.layout, op=DELETED)

    def _give_up(self, ring: Ring, most: int | None = None) -> None:
        """Take back what the device has not used."""
        ring.look_again()
        for _ in list(ring.outstanding)[:most]:
            self.recorder.event("detach", ring.index, num_free=ring.free, slots=1)
        ring.outstanding.clear()

    def submit(
        self,
        queue: int,
        request: DriverRequest,
        indirect: bool = False,
        kick: bool = True,
    ) -> Draft:
        """Expose a good request, and notify the device if it wants to be."""
        draft = self.rings[queue].draft(request.buffers, indirect)
        self.expose(queue, draft, request, kick)
        return draft

    def expose(
        self,
        queue: int,
        draft: Draft,
        request: DriverRequest,
        kick: bool = True,
        before: int | None = None,
    ) -> None:
        """Expose a draft of a request, good or not, and notify the device if it wants to be."""
        ring = self.rings[queue]
        ring.expose(draft, before)
        if request.note:
            note_start(self.recorder, queue, draft.head & 0xFFFF, request)
        self._requests[queue, draft.head] = request
        if kick and ring.kick_needed():
            self.notify(queue)

    def notify(self, queue: int) -> None:
        """Notify the device of available buffers."""
        self.recorder.event("notify", queue)
        data = self.features >> bits.NOTIFICATION_DATA & 1
        self.carrier.notify(queue, self.rings[queue].position if data else None)

    def collect(self, queue: int) -> list[Completion]:
        """Take what the device has used, and ask for the next interrupt.

        More may have come before that was asked for, so the ring is looked at again.
        """
        found: list[Completion] = []
        while entries := self.take(queue):
            found += entries
            self.rings[queue].request_interrupt()
        return found

    def take(self, queue: int) -> list[Completion]:
        """Take what the device has used, and leave what asks for interrupts as it is."""
        ring = self.rings[queue]
        return [self._complete(queue, ring, entry) for entry in ring.take()]

    def _complete(self, queue: int, ring: Ring, entry: UsedEntry) -> Completion:
        request = self._requests.pop((queue, entry.id), None)
        draft = ring.outstanding.get(entry.id)
        written, served = 0, None
        if request is not None and draft is not None:
            written = self._written(request)
            served = request.outcome(entry)
        ring.settle(entry)
        if request is not None and request.note:
            note_end(self.recorder, self.memory, queue, request, entry)
        elif request is not None and draft is not None:
            self._note_reply(queue, entry, request)
        return Completion(entry, draft, served, written)

    def _note_reply(self, queue: int, entry: UsedEntry, request: DriverRequest) -> None:
        """Write down what the device says that it wrote first."""
        first = next((buffer for buffer in request.buffers if buffer.write), None)
        if first is None or not entry.length:
            return
        got = min(first.length, entry.length, _FIRST)
        words = first_words(self.memory.load(first.address, got))
        self.recorder.event("reply", queue, **words, head=entry.id & 0xFFFF, got=got)

    def _written(self, request: DriverRequest) -> int:
        """Bytes from the first writable one up to the last that the device wrote."""
        before = found = 0
        for buffer in request.buffers:
            if buffer.write:
                part = self.memory.written(buffer.address, buffer.length)
                found = before + part if part else found
                before += buffer.length
        return found

    def listen(self, queue: int, seconds: float) -> None:
        """Wait for a used buffer notification at most this long, and write down what came."""
        self.carrier.listen(queue, seconds)
        self._interrupted(queue)

    def _interrupted(self, queue: int) -> None:
        """Write down the notifications that came, of used buffers and of configuration changes."""
        ring, count = self.rings[queue], self.carrier.interrupts(queue)
        used = ring.used_position
        if count and used != self._announced[queue]:
            self.interrupts += count
            self._announced[queue] = used
        for _ in range(min(count, ring.size)):
            self.recorder.event(
                "interrupt", queue, used_idx=ring.used_position, last_used=ring.taken_position
            )
        if count and isinstance(ring, PackedRing):
            ring.note_stray()
        if isinstance(self.carrier, QtestCarrier):
            for _ in range(self.carrier.config_changes()):
                self.recorder.event("config_change", status=bits.DRIVER_OK)
                of = self.carrier.device.registers
                # Either shows what was announced.
                if "generation" in of:
                    of.do(of.reading("status"), of.reading("generation"))

    def serve(
        self, queue: int, request: DriverRequest, indirect: bool = False, patience: float = PATIENCE
    ) -> Completion | None:
        """Expose a request and wait for it; None if the device does not return it.

        Raises:
            PeerGoneError: the device went away.
        """
        self.submit(queue, request, indirect)
        done = self.wait(queue, 1, patience)
        return done[0] if done else None

    def wait(
        self, queue: int, count: int, patience: float = PATIENCE, ask: bool = True
    ) -> list[Completion]:
        """Take used entries until there are so many, or the device does nothing any more.

        Args:
            queue: whose entries.
            count: how many.
            patience: how long at most, in seconds.
            ask: for the next interrupt, behind each look that found some.

        Raises:
            PeerGoneError: the device went away.
        """
        look = self.collect if ask else self.take
        found: list[Completion] = []
        deadline = time.monotonic() + patience
        while True:
            found += look(queue)
            if len(found) >= count or time.monotonic() > deadline:
                return found
            self.listen(queue, GLANCE)
            found += look(queue)
            if len(found) < count and self.carrier.quiet():
                # What it did last may have come after the look above.
                found += look(queue)
                ring = self.rings[queue]
                if len(found) < count and isinstance(ring, PackedRing):
                    ring.note_stray()
                return found

    def announced(self, queue: int, count: int, late: float) -> tuple[list[Completion], bool]:
        """Take so many used entries, and wait for an interrupt before the next is asked for.

        What is asked for next may keep the device from the interrupt for these, as it looks there
        behind its write of the used index.

        Args:
            queue: whose entries.
            count: how many.
            late: how long the interrupt may come after them, in seconds.

        Returns:
            What ``wait`` returns, and whether an interrupt came, or none can be seen.
        """
        before = self.interrupts
        done = self.wait(queue, count, ask=False)
        # It may have come before the used entries were seen: then nothing more does.
        for seconds in (0, late):
            if done and self.interrupts == before and not self.carrier.deaf:
                self.listen(queue, seconds)
        came = self.interrupts != before or self.carrier.deaf
        self.rings[queue].request_interrupt()
        return [*done, *self.collect(queue)], came

    def end(self) -> None:
        """End the life; chains that are outstanding come back unused."""
        for ring in self.rings.values():
            self._give_up(ring)
        self.recorder.event("driver", id=self.kind.id, err=0, stage=bits.REMOVED)
