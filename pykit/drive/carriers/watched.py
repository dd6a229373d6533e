# SPDX-License-Identifier: GPL-2.0-only
"""A bus whose accesses to a device's registers are reported, in the driver's own order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from pykit.drive.carriers import PeerGoneError
from pykit.drive.carriers.registers import Bus, BusAccess, RegisterSpan
from pykit.drive.record import Recorder, SeenAccess

#: Takes an access, and its time, 0 for now.
Report = Callable[[SeenAccess, int], None]


class Machine(Bus, Protocol):
    """Memory space with the I/O ports beside it, whose writes can be sent together."""

    @property
    def ports(self) -> Bus:
        """The I/O ports."""

    def together(self) -> AbstractContextManager[None]:
        """Send the writes that are made within this at once."""

    def watch(self, spans: tuple[RegisterSpan, ...]) -> None:
        """Take note of where the device's registers are."""


class _Watched:
    """One address space of the two."""

    def __init__(self, inner: Bus, spans: list[RegisterSpan]) -> None:
        self._inner, self._spans = inner, spans
        self.report: Report | None = None

    def read(self, address: int, width: int) -> int:
        """Read, and report it."""
        value = self._inner.read(address, width)
        self._seen(address, width, value, write=False)
        return value

    def write(self, address: int, value: int, width: int) -> None:
        """Write, and report it."""
        self._seen(address, width, value, write=True)
        self._inner.write(address, value, width)

    def do(self, accesses: Sequence[BusAccess]) -> list[int]:
        """Make accesses, and report them in their order.

        Those up to the last write have the time before all, so that nothing that the device does
        about a write is earlier than that.
        """
        last = max((i for i, access in enumerate(accesses) if access.value is not None), default=-1)
        begun = Recorder.now()
        try:
            found = self._inner.do(accesses)
        except PeerGoneError:
            # What led to the device's end was made; what was to be read is not known.
            for address, width, value in accesses:
                if value is not None:
                    self._seen(address, width, value, write=True, at=begun)
            raise
        values = iter(found)
        for i, (address, width, value) in enumerate(accesses):
            moved = next(values) if value is None else value
            at = begun if i <= last else 0
            self._seen(address, width, moved, write=value is not None, at=at)
        return found

    def _seen(self, address: int, width: int, value: int, *, write: bool, at: int = 0) -> None:
        if self.report is None:
            return
        for span in self._spans:
            if span.base <= address < span.base + span.length:
                where = span.structure, address - span.base
                self.report(SeenAccess(*where, width, value, write), at)
                return


class WatchedMachine(_Watched):
    """Memory space and ports of a machine; reports accesses to the spans once they are known.

    Args:
        inner: what does the accesses.
        report: is called in order for each access, with its time if that was before; a write by
            itself is reported before it is made.
    """

    def __init__(self, inner: Machine, report: Report) -> None:
        self._memory_spans: list[RegisterSpan] = []
        self._port_spans: list[RegisterSpan] = []
        super().__init__(inner, self._memory_spans)
        self.report = report
        self._machine = inner
        self.ports = _Watched(inner.ports, self._port_spans)
        self.ports.report = report

    def watch(self, spans: tuple[RegisterSpan, ...]) -> None:
        """Report accesses to these spans, and to no others."""
        self._memory_spans[:] = [span for span in spans if not span.ports]
        self._port_spans[:] = [span for span in spans if span.ports]
        self._machine.watch(spans)

    def together(self) -> AbstractContextManager[None]:
        """Send the writes that are made within this at once."""
        return self._machine.together()
