# SPDX-License-Identifier: GPL-2.0-only
"""One virtqueue with its shadow: the front-end's device, and the back-end's driver.

What the front-end makes available is copied into the shadow ring, and what the back-end returns
there into the front-end's. Buffers stay where they are. The tap asks each side for a notification
of the next entry always, and notifies each side as that one asks for it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from time import monotonic_ns, time_ns

from pykit.device.memory import BadAddressError, GuestMemory
from pykit.spec.timing import OTHER_SIDE, PREEMPTED_TASK
from pykit.tap.chain import Element, TappedChain, read_request
from pykit.tap.faults import Injection, Offered, Returned
from pykit.tap.record import TapRecorder
from pykit.tap.shadow import ShadowMemory, fence
from pykit.trace.kinds import JOINED, LEFT, SET_UP
from pykit.trace.tapped_chains import CHAIN

#: Areas of a ring: descriptors, device area, driver area, as SET_VRING_ADDR has them.
Areas = tuple[int, int, int]
_LENGTH = attrgetter("length")


@dataclass(frozen=True)
class RingShape:
    """What a tapped ring is made of.

    Attributes:
        index, size: number and descriptors of the queue.
        areas: its three areas in the front-end.
        base: where it goes on, as SET_VRING_BASE has it.
        event_idx: whether EVENT_IDX was negotiated.
        requests: its chains are block requests.
        heals: used ids that are not outstanding are dropped.
    """

    index: int
    size: int
    areas: Areas
    base: int
    event_idx: bool
    requests: bool
    heals: bool = False


@dataclass
class _Awaited:
    """Entries for which a notification has to come: position before and after, since when (ns)."""

    old: int
    new: int
    since: int


class TappedRing(ABC):
    """Both rings of one queue, from its start to its stop.

    Raises:
        BadAddressError: an area is not in the front-end's memory.
    """

    #: As the column ``layout`` of the event ``queue``.
    layout = 0

    def __init__(
        self,
        shape: RingShape,
        memory: GuestMemory,
        shadow: ShadowMemory,
        recorder: TapRecorder,
        injection: Injection | None,
    ) -> None:
        self.shape, self.memory, self.recorder = shape, memory, recorder
        self.index, self.size, self.event_idx = shape.index, shape.size, shape.event_idx
        self.injection = injection
        self.outstanding: dict[int, TappedChain] = {}
        self.busy = self.chains = self.returned = 0
        self._looked = time_ns()
        # Positions up to which each side was asked, and what it owes since.
        self._asked_front: int | None = None
        self._asked_back: int | None = None
        self._kick_due: _Awaited | None = None
        self._call_due: _Awaited | None = None
        self._silent_kick = self._silent_call = False
        self._noted: list[tuple[int, str, Sequence[int], Sequence[Element]]] = []
        self._map(shadow)
        self._begin()
        self._note_set_up()

    @abstractmethod
    def _map(self, shadow: ShadowMemory) -> None:
        """Find the areas of both rings."""

    @abstractmethod
    def _begin(self) -> None:
        """Take up the positions."""

    @abstractmethod
    def _positions(self) -> tuple[int, int]:
        """Available position of the shadow ring and used one of the front-end's, as in events.

        Both are where the tap writes: what a fault adds or swallows counts.
        """

    @abstractmethod
    def _front_positions(self) -> tuple[int, int]:
        """Available and used position in the front-end's ring."""

    @abstractmethod
    def _offer(self) -> int:
        """Copy new chains into the shadow ring; return how many."""

    @abstractmethod
    def _collect(self) -> int:
        """Copy new used entries into the front-end's ring; return how many."""

    @abstractmethod
    def _ask_front(self) -> None:
        """Ask the front-end for a notification of its next chain."""

    @abstractmethod
    def _ask_back(self) -> None:
        """Ask the back-end for an interrupt of its next used entry."""

    @abstractmethod
    def _front_wants(self) -> bool:
        """Whether the front-end wants to be interrupted for what it got since the last time."""

    @abstractmethod
    def _back_wants(self) -> bool:
        """Whether the back-end wants to be notified of what it got since the last time."""

    @abstractmethod
    def base_of(self, base: int) -> int:
        """Return a base that the back-end gave as the front-end has to get it."""

    @abstractmethod
    def unfinished(self, base: int) -> bool:
        """Whether the back-end has taken chains up to its base that it did not return."""

    @abstractmethod
    def heal(self) -> int:
        """Make a new shadow ring with the outstanding chains; return its base."""

    # What happened is noted at once, and written down when both sides know of it.

    def _note(self, kind: str, *values: int) -> None:
        self._noted.append((time_ns(), kind, values, ()))

    def write_down(self) -> None:
        """Write down what was noted: the caller has notified the side that waits for it."""
        noted, self._noted = self._noted, []
        recorder, index = self.recorder, self.index
        for when, kind, values, elements in noted:
            if kind == CHAIN:
                recorder.chain(when, index, values, elements)
            else:
                recorder.event(when, kind, index, values)

    # Towards the back-end.

    def from_front(self, kicks: int) -> bool:
        """Carry chains to the back-end; return whether to notify it.

        Args:
            kicks: how many notifications of the front-end came.
        """
        if kicks or self._asked_front is None or self._kick_due:
            count = self._offer()
            self._account_front(kicks, count)
        elif not (count := self._offer()):
            return False
        else:
            self._account_front(0, count)
        total, more = count, count or self._asked_front is None
        while more:
            # What comes between the look and the question is found by another look.
            self._ask_front()
            fence()
            more = self._offer()
            total += more
        self._asked_front = self._positions()[0]
        fence()
        wanted = bool(total) and self._back_wants()
        silent, self._silent_kick = self._silent_kick, False
        return wanted and not silent

    def _account_front(self, kicks: int, count: int) -> None:
        """Note a notification that came, or one that did not."""
        now, old = monotonic_ns(), self._asked_front
        due, here = self._kick_due, self._positions()[0]
        if kicks:
            if due or (count and old is not None):
                self._note_kick(due.old if due else old or 0, here, True)
                self._kick_due = None
            elif count:
                self._note("notify")
        elif count and old is not None and due is None:
            self._kick_due = _Awaited(old, here, now)
        elif due and now - due.since > PREEMPTED_TASK:
            self._note_kick(due.old, due.new, False)
            self._kick_due = None

    def _note_kick(self, old: int, new: int, came: bool) -> None:
        event, flags = self._asked_for(old)
        self._note("kick", old, new, event, event, flags, flags, self.event_idx, came)
        if came:
            self._note("notify")

    def _asked_for(self, position: int) -> tuple[int, int]:
        """Event index and flags with which a notification of an entry was asked for."""
        return (position, 0) if self.event_idx else (0, 0)

    def _looked_now(self) -> None:
        self._looked = time_ns()

    def _spoilt(self, chain: TappedChain) -> Offered:
        """What becomes of a chain on its way to the back-end."""
        step = Offered(self.size, chain, [*chain.ring], [chain.head])
        injection = self.injection
        if injection is not None and injection.due("device"):
            assert injection.fault.offer is not None
            injection.fault.offer(step)
            self._silent_kick |= step.silent
        return step

    def _took(self, chain: TappedChain) -> None:
        """Remember a chain that was read; a head that is outstanding already is replaced."""
        if self.shape.requests:
            read_request(chain, self.memory)
        before = self.outstanding.pop(chain.head, None)
        self.busy += chain.slots - (before.slots if before else 0)
        self.outstanding[chain.head] = chain
        self.chains += 1

    def _note_chain(
        self, chain: TappedChain, ring: list[Element], head: int, position: int, before: int
    ) -> None:
        """Note a chain as the back-end gets it."""
        inner, request = chain.inner, chain.kind >= 0
        values = (
            before, max(self.size - self.busy, 0), head & 0xFFFF, position, len(ring),
            self._positions()[1], len(inner), request, chain.kind if request else 0, chain.sector,
            chain.status_at,
        )  # fmt: skip
        self._noted.append((time_ns(), CHAIN, values, [*ring, *inner]))

    # Towards the front-end.

    def from_back(self, calls: int) -> bool:
        """Carry used entries to the front-end; return whether to interrupt it.

        Args:
            calls: how many interrupts of the back-end came.
        """
        if calls:
            used = self._positions()[1]
            # Which interrupt the front-end makes of it is not known.
            self._note("interrupt", 0, used, used)
        count = self._collect()
        self._account_back(calls, count)
        total, more = count, count or self._asked_back is None
        while more:
            self._note_wish()
            self._ask_back()
            fence()
            more = self._collect()
            total += more
        self._asked_back = self._positions()[1]
        if not total:
            return False
        fence()
        silent, self._silent_call = self._silent_call, False
        return self._front_wants() and not silent

    def _account_back(self, calls: int, count: int) -> None:
        """Note an interrupt that came, or one that did not."""
        now, old = monotonic_ns(), self._asked_back
        due, here = self._call_due, self._positions()[1]
        if calls:
            if due or (count and old is not None):
                self._note_signal(due.old if due else old or 0, here, True)
                self._call_due = None
        elif count and old is not None and due is None:
            self._call_due = _Awaited(old, here, now)
        elif due and now - due.since > OTHER_SIDE:
            self._note_signal(due.old, due.new, False)
            self._call_due = None

    def _note_signal(self, old: int, new: int, came: bool) -> None:
        """Note the back-end's decision; the kind has no place for packed rings."""
        if not self.layout:
            event, _ = self._asked_for(old)
            self._note("vhost_signal", old, new, event, self.event_idx, 1, came)

    def _note_wish(self) -> None:
        used = self._positions()[1]
        event, flags = self._asked_for(used)
        self._note("callback", flags, event, used, used, self.event_idx, 1, 0)

    def _given(self, number: int, length: int) -> list[tuple[int, int]]:
        """What the front-end gets of a used entry: id and used length."""
        if self.shape.heals and number not in self.outstanding:
            return []
        injection = self.injection
        if injection is None or not injection.due("driver"):
            return [(number, length)]
        chain = self.outstanding.get(number)
        room = sum(map(_LENGTH, chain.buffers()[1])) if chain else 0
        step = Returned(self.size, [(number, length)], room)
        assert injection.fault.give is not None
        injection.fault.give(step)
        self._silent_call |= step.silent
        return step.entries

    def _returned(self, number: int) -> TappedChain | None:
        chain = self.outstanding.pop(number, None)
        if chain is not None:
            self.busy -= chain.slots
            self.returned += 1
        return chain

    def _note_used(
        self, number: int, length: int, index: int, used_idx: int, flags: int,
        chain: TappedChain | None,
    ) -> None:  # fmt: skip
        # Whether the driver accepts it does not show in the ring.
        self._note("used", number, length, index, used_idx, flags, 0, 0, 1)
        if chain is not None and chain.kind >= 0:
            try:
                status = self.memory.at(chain.status_at, 1)[0]
            except BadAddressError:
                return
            self._note("blk_done", chain.sector, chain.kind, length, number & 0xFFFF, status)

    # Beginning and end.

    #: The base of a ring that was never used.
    _fresh_base = 0

    def _note_set_up(self) -> None:
        avail, used = self._front_positions()
        joined = self.shape.base != self._fresh_base
        desc, device, driver = (self.memory.guest_address(a) for a in self.shape.areas)
        self._note(
            "queue", desc, driver, device, self.size, self.index + 1,
            0, avail, 0, used, self.layout, JOINED if joined else SET_UP,
        )  # fmt: skip

    def record_stop(self) -> None:
        """Write down that the queue is not looked at any more."""
        avail, used = self._front_positions()
        self._note(
            "queue", 0, 0, 0, self.size, self.index + 1,
            0, avail, 0, used, self.layout, LEFT,
        )  # fmt: skip
        self.write_down()
