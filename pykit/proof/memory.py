# SPDX-License-Identifier: GPL-2.0-only
"""Faults of what a device returns, made in the memory that its driver reads.

For device types of which there is no faulty back-end: what stands in the used ring is changed on
its way to the driver, as if the device had written it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from pykit.drive.chain import Draft
from pykit.drive.memory import SharedMemory
from pykit.drive.packed import AVAIL, USED, PackedRing
from pykit.drive.ring import STORED, Ring
from pykit.drive.split import SplitRing
from pykit.proof.registers import BOTH, PACKED
from pykit.spec.bits import DESC_BYTES

_USED = struct.Struct("<II")
#: Where a packed descriptor has its flags, and those that say whose it is.
_FLAGS, _ROUND = 14, AVAIL | USED
#: The available index that a device goes no further than.
_FROZEN = 2


def areas(ring: Ring) -> Iterator[tuple[str, int, int]]:
    """The areas of a queue as the tracer names them: first address and bytes."""
    yield "desc", ring.desc, DESC_BYTES * ring.size
    yield "avail", ring.driver, 4 if ring.layout else 6 + 2 * ring.size
    yield "used", ring.device, 4 if ring.layout else 6 + 8 * ring.size


class FaultyMemory(SharedMemory):
    """Memory in which a driver finds other used lengths than the device wrote (split rings).

    Attributes:
        length: what each used length becomes.
        rings: returns the rings that are in it.
    """

    length: Callable[[int], int] = int
    rings: Callable[[], Mapping[int, Ring]] = dict

    def load(self, address: int, length: int) -> bytes:
        """Read bytes as the driver: eight at once are a used element."""
        data = super().load(address, length)
        if length != _USED.size:
            return data
        number, written = _USED.unpack(data)
        return _USED.pack(number, self.length(written))


class EmptyAnswers(FaultyMemory):
    """Every used length is 0."""

    length = staticmethod(lambda written: 0)


class ShortAnswers(FaultyMemory):
    """Every used length is at most 4 bytes."""

    length = staticmethod(lambda written: min(written, 4))


class OtherReplies(FaultyMemory):
    """What devices write has other bytes: a mask by offset, which is added to what is there."""

    at: Mapping[int, int] = MappingProxyType({})

    def load(self, address: int, length: int) -> bytes:
        """Read bytes as the driver; rings are as they are."""
        data = super().load(address, length)
        for ring in self.rings().values():
            if any(base <= address < base + size for _, base, size in areas(ring)):
                return data
        found = bytearray(data)
        for offset, mask in self.at.items():
            if offset < length:
                found[offset] |= mask
        return bytes(found)


def _reply(name: str, least: int = 0, **masks: int) -> type[OtherReplies]:
    """Make such a memory: masks by offsets (``at0=1``), and the least used length."""
    at = {int(offset.removeprefix("at")): mask for offset, mask in masks.items()}
    length = staticmethod(lambda written: max(written, least))
    return type(name, (OtherReplies,), {"at": at, "length": length})


class FlaggedMemory(FaultyMemory):
    """In each life the device wants no notification behind the first one (split rings)."""

    _looks = 0

    def fill(self, canary: int) -> None:
        """Begin anew: a notification is wanted."""
        super().fill(canary)
        self._looks = 0

    def load16(self, address: int) -> int:
        """Read two bytes as the driver: the used ring's flags are 1 but for the first time."""
        found = super().load16(address)
        if all(address != ring.device for ring in self.rings().values()):
            return found
        self._looks += 1
        return found | int(self._looks > 1)


class FrozenIndex(FaultyMemory):
    """The device finds the available index as it was at the first two chains (split rings)."""

    def store(self, address: int, data: bytes) -> None:
        """Write bytes as the driver, and an available index as the device finds it."""
        split = (ring for ring in self.rings().values() if isinstance(ring, SplitRing))
        later = int.from_bytes(data, "little") > _FROZEN
        if not later or all(address != ring.driver + 2 for ring in split):
            super().store(address, data)
            return
        super().store(address, _FROZEN.to_bytes(2, "little"))
        at = address - self.base
        self._shadow[at : at + 2] = np.frombuffer(data, np.uint8)


class OtherSuppression(FaultyMemory):
    """The device finds other flags in the driver's event suppression than that wrote (packed).

    Attributes:
        flags: that it finds.
    """

    flags = 0

    def store(self, address: int, data: bytes) -> None:
        """Write bytes as the driver, and as the device finds them."""
        super().store(address, data)
        if self._suppresses(address, len(data)):
            at = address - self.base
            self._memory[at + 2] = self.flags

    def load(self, address: int, length: int) -> bytes:
        """Read bytes as the driver, which finds what it wrote."""
        if self._suppresses(address, length):
            at = address - self.base
            return self._shadow[at : at + length].tobytes()
        return super().load(address, length)

    def _suppresses(self, address: int, length: int) -> bool:
        return length == 4 and any(
            isinstance(ring, PackedRing) and ring.driver == address
            for ring in self.rings().values()
        )


class SuppressedAll(OtherSuppression):
    """The device finds that the driver wants no interrupt."""

    flags = 1


class SwappedIds(FaultyMemory):
    """Used descriptors come in another order than that in which the device is done (packed)."""

    def __init__(self, *arguments: int) -> None:
        super().__init__(*arguments)
        self._owed: dict[tuple[int, int], int] = {}

    def fill(self, canary: int) -> None:
        """Begin anew: nothing is owed."""
        super().fill(canary)
        self._owed.clear()

    def load(self, address: int, length: int) -> bytes:
        """Read bytes as the driver: a descriptor at once is one that was used."""
        data = super().load(address, length)
        for ring in self.rings().values():
            inside = ring.desc <= address < ring.desc + DESC_BYTES * ring.size
            if length == DESC_BYTES and inside:
                where, written, number, flags = STORED.unpack(data)
                return STORED.pack(where, written, self._swapped(ring, number), flags)
        return data

    def _swapped(self, ring: Ring, number: int) -> int:
        if (ring.index, number) in self._owed:
            return self._owed.pop((ring.index, number))
        other = next((name for name in ring.outstanding if name != number), number)
        if number in ring.outstanding and other != number:
            self._owed[ring.index, other] = number
        return other


class SwappedLists(FaultyMemory):
    """The device finds the second of two lists in front of the first one (packed rings).

    A list is kept from it until the next one is there.
    """

    def __init__(self, *arguments: int) -> None:
        super().__init__(*arguments)
        self._held: dict[int, tuple[Draft, bytes]] = {}

    def fill(self, canary: int) -> None:
        """Begin anew: nothing is kept."""
        super().fill(canary)
        self._held.clear()

    def store(self, address: int, data: bytes) -> None:
        """Write bytes as the driver: the flags of a list's head make it available."""
        for ring in self.rings().values():
            draft = next(reversed(ring.outstanding.values()), None)
            head = draft.slots[0][0] if draft is not None else -1
            if draft is not None and (address, len(data)) == (_flags_at(ring, head), 2):
                self._available(ring, draft, data)
                return
        super().store(address, data)

    def _available(self, ring: Ring, draft: Draft, flags: bytes) -> None:
        before = self._held.pop(ring.index, None)
        if before is None:
            self._held[ring.index] = draft, flags
            return
        first, kept = before
        places = [slot for one in (first, draft) for slot, _ in one.slots]
        order = [slot for one in (draft, first) for slot, _ in one.slots]
        found = {slot: self.load(ring.desc + DESC_BYTES * slot, DESC_BYTES) for slot in places}
        for one, own in ((first, kept), (draft, flags)):
            head = one.slots[0][0]
            found[head] = found[head][:_FLAGS] + own
        # The first slot becomes available last.
        for place, slot in reversed(list(zip(places, order, strict=True))):
            value = int.from_bytes(found[place][_FLAGS:], "little") & _ROUND
            value |= int.from_bytes(found[slot][_FLAGS:], "little") & ~_ROUND
            super().store(ring.desc + DESC_BYTES * place, found[slot][:_FLAGS])
            super().store(_flags_at(ring, place), value.to_bytes(2, "little"))


def _flags_at(ring: Ring, slot: int) -> int:
    return ring.desc + DESC_BYTES * slot + _FLAGS


@dataclass(frozen=True)
class AnswerFault:
    """A fault of one device type: what it does, the rules that fail, and rows that show it.

    Attributes:
        qemu: the device of QEMU's, where it is another than that of most runs of the type.
        ring: the layout of the rings.
        waits: seconds after which the device is used once more.
    """

    kind: str
    does: str
    rules: tuple[str, ...]
    memory: Callable[..., FaultyMemory] | None = EmptyAnswers
    rows: tuple[str, ...] = ()
    qemu: str = ""
    ring: Literal["split", "packed"] = "split"
    waits: float = 0


ANSWER_FAULTS: dict[str, AnswerFault] = {
    "rng-empty": AnswerFault("rng", "return buffers without random bytes", ("RN-DE-01",)),
    "scsi-response-short": AnswerFault(
        "scsi", "return requests with 4 bytes of response", ("SC-DE-01",), ShortAnswers
    ),
    "console-message-short": AnswerFault(
        "console", "return control messages of 4 bytes", ("CO-DE-01",), ShortAnswers,
        ("console-ready",),
    ),
    "net-no-ack": AnswerFault(
        "net", "return commands without an ack", ("NT-DE-02",), EmptyAnswers, ("net-command",)
    ),
    "net-checksum-left": AnswerFault(
        "net", "leave checksums to a driver that did not accept that", ("NT-DE-03",),
        _reply("ChecksumLeft", at0=1), ("net-received",),
    ),
    "net-segments-left": AnswerFault(
        "net", "leave segmentation to a driver that did not accept that", ("NT-DE-03",),
        _reply("SegmentsLeft", at1=4), ("net-received",),
    ),
    "net-buffers-more": AnswerFault(
        "net", "name more buffers than a packet is in", ("NT-DE-04",),
        _reply("BuffersMore", at10=2), ("net-received",),
    ),
    "net-ack-undefined": AnswerFault(
        "net", "end commands with what is not defined", ("NT-DE-05",),
        _reply("AckUndefined", at0=2), ("net-command",),
    ),
    "scsi-response-undefined": AnswerFault(
        "scsi", "end requests with a response that is not defined", ("SC-DE-03",),
        _reply("ResponseUndefined", at11=0xC0),
    ),
    "scsi-sense-long": AnswerFault(
        "scsi", "claim more sense data than there is room for", ("SC-DE-03",),
        _reply("SenseLong", at0=0x7F),
    ),
    "console-message-turned": AnswerFault(
        "console", "send a control message that is the driver's", ("CO-DE-02",),
        _reply("MessageTurned", at4=3), ("console-ready",),
    ),
    "9p-longer": AnswerFault(
        "9p", "say that replies are longer than they are", ("NP-DE-02",),
        _reply("NinepLonger", at1=1), qemu="virtio-9p-pci",
    ),
    "vsock-id-wide": AnswerFault(
        "vsock", "send packets from a context id above 32 bits", ("VK-DE-02",),
        _reply("IdWide", 44, at4=1), ("vsock-received",),
    ),
    "fs-longer": AnswerFault(
        "fs", "say that replies are longer than they are", ("FU-DE-02",),
        _reply("FuseLonger", 16, at1=1),
    ),
    "net-empty": AnswerFault(
        "net", "return received packets without their header", ("NT-DE-01",), EmptyAnswers,
        ("net-received",),
    ),
    "9p-empty": AnswerFault(
        "9p", "return requests without a reply", ("NP-DE-01",), qemu="virtio-9p-pci"
    ),
    "scsi-event-short": AnswerFault(
        "scsi", "return events of 4 bytes", ("SC-DE-02",), ShortAnswers, ("scsi-event",)
    ),
    "input-event-short": AnswerFault(
        "input", "return events of 4 bytes", ("IP-DE-01",), ShortAnswers, ("input-event",)
    ),
    "index-frozen": AnswerFault(
        "blk", "serve a queue no more that it was notified of for nothing", ("NA-DE-05",),
        FrozenIndex, ("notified-for-nothing",), BOTH, waits=10.5,
    ),
    "interrupts-withheld": AnswerFault(
        "blk", "interrupt for no used descriptor", ("DX-64",), SuppressedAll,
        ("used-behind-interrupt",), PACKED,
        ring="packed",
    ),
    "interrupts-for-all": AnswerFault(
        "blk", "interrupt for each used descriptor", ("DX-65",), OtherSuppression, qemu=PACKED,
        ring="packed",
    ),
    "lists-swapped": AnswerFault(
        "blk", "begin with the second of two lists", ("PV-DE-01",), SwappedLists,
        ("lists-of-two-lengths",), PACKED, ring="packed",
    ),
    "ids-swapped": AnswerFault(
        "blk", "return two lists in the other order", ("PV-DE-02",), SwappedIds, qemu=PACKED,
        ring="packed",
    ),
    # A disk that stands where another device should.
    "disk-for-fs": AnswerFault("fs", "answer FUSE as a disk does", ("FU-DE-01",), None),
    "disk-for-vsock": AnswerFault(
        "vsock", "take buffers for packets as a disk does", ("VK-DE-01",), None,
        ("vsock-received",),
    ),
}  # fmt: skip
