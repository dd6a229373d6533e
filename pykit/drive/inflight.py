# SPDX-License-Identifier: GPL-2.0-only
"""The record of chains in flight as its back-end writes it, for cases of what one has left.

Layout and order: QEMU, docs/interop/vhost-user.rst, Inflight I/O tracking. Only the part of the
first queue is written: where others begin is the back-end's choice.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass

from pykit.drive.chain import Draft, RingDescriptor
from pykit.drive.packed import AVAIL, PackedRing
from pykit.drive.ring import Ring
from pykit.vhost_user import INFLIGHT, PACKED_HEADER, PACKED_STATE, SPLIT_HEADER, SPLIT_STATE

#: Fields by name, offset and bytes: of the header, and of each state.
_COMMON = {"features": (0, 8), "version": (8, 2), "entries": (10, 2)}
FIELDS: dict[str, dict[str, tuple[int, int]]] = {
    "split": {
        **_COMMON,
        "batch": (12, 2), "used": (14, 2),
        "state.taken": (0, 1), "state.next": (6, 2), "state.order": (8, 8),
    },
    "packed": {
        **_COMMON,
        "free": (12, 2), "free-before": (14, 2), "used": (16, 2), "used-before": (18, 2),
        "wrap": (20, 1), "wrap-before": (21, 1),
        "state.taken": (0, 1), "state.next": (2, 2), "state.last": (4, 2),
        "state.count": (6, 2), "state.order": (8, 8), "state.id": (16, 2),
    },
}  # fmt: skip


@dataclass(frozen=True)
class SharedRecord:
    """The record of a device, as its back-end made it.

    Attributes:
        fd: its file, which is this object's.
        payload: what names it in messages.
    """

    fd: int
    payload: bytes

    def close(self) -> None:
        """Give it up."""
        os.close(self.fd)

    def part(self, ring: Ring) -> RecordPart | None:
        """The part of the first queue; None of another queue, or where the file is too short."""
        size, offset, _, _ = INFLIGHT.unpack_from(self.payload)
        packed = isinstance(ring, PackedRing)
        header, state = (PACKED_HEADER, PACKED_STATE) if packed else (SPLIT_HEADER, SPLIT_STATE)
        needed = header.size + state.size * ring.size
        if ring.index or size < needed or os.fstat(self.fd).st_size < offset + needed:
            return None
        view = memoryview(mmap.mmap(self.fd, offset + needed))[offset:]
        return RecordPart(view, "packed" if packed else "split", header.size, state.size)


class RecordPart:
    """A queue's part, field by field.

    Args:
        view: its bytes.
        layout: of its queue.
        header, state: bytes of the header, and of each state.
    """

    def __init__(self, view: memoryview, layout: str, header: int, state: int) -> None:
        self._view, self._layout, self._header, self._state = view, layout, header, state
        self._order = 0

    def get(self, name: str, state: int = 0) -> int:
        """Read a field, of a state or of the header."""
        at, size = self._place(name, state)
        return int.from_bytes(self._view[at : at + size], "little")

    def set(self, name: str, value: int, state: int = 0) -> None:
        """Write a field."""
        at, size = self._place(name, state)
        self._view[at : at + size] = (value & (1 << 8 * size) - 1).to_bytes(size, "little")

    def set_all(self, name: str, value: int) -> None:
        """Write a field of the header, or of all states."""
        count = (len(self._view) - self._header) // self._state
        for state in range(count if name.startswith("state.") else 1):
            self.set(name, value, state)

    def _place(self, name: str, state: int) -> tuple[int, int]:
        at, size = FIELDS[self._layout][name]
        return at + (self._header + self._state * state if "." in name else 0), size

    def take(self, draft: Draft) -> int:
        """Record a chain as taken; return the state that stands for it."""
        if self._layout == "split":
            head = draft.head
        else:
            head = at = self.get("free")
            for _, descriptor in draft.slots:
                last, at = at, self._copied(at, draft.head, descriptor)
            self.set("state.last", last, head)
            self.set("state.count", len(draft.slots), head)
            self.set("free", at)
            self.set("free-before", at)
        self.set("state.order", self._order, head)
        self._order += 1
        self.set("state.taken", 1, head)
        return head

    def _copied(self, at: int, number: int, descriptor: RingDescriptor) -> int:
        """Copy a descriptor into a state; return the next free one."""
        following = self.get("state.next", at)
        flags = descriptor.flags | AVAIL
        begin = self._header + self._state * at
        fields = (0, following, 0, 0, 0, number, flags, descriptor.length, descriptor.address)
        PACKED_STATE.pack_into(self._view, begin, *fields)
        return following

    def begin_return(self, head: int, draft: Draft, ring: Ring) -> None:
        """Record that a chain will come back next."""
        if not isinstance(ring, PackedRing):
            self.set("state.next", self.get("batch"), head)
            self.set("batch", head)
            return
        self.set("state.next", self.get("free"), self.get("state.last", head))
        self.set("free", head)
        slot, wrap = ring.used_slot + len(draft.slots), ring.used_wrap
        if slot >= ring.size:
            slot, wrap = slot - ring.size, not wrap
        self.set("used", slot)
        self.set("wrap", wrap)

    def end_return(self, head: int, ring: Ring) -> None:
        """Record that it came back."""
        self.set("state.taken", 0, head)
        if isinstance(ring, PackedRing):
            for name in ("free", "used", "wrap"):
                self.set(f"{name}-before", self.get(name))
        else:
            self.set("used", ring.used_position)
