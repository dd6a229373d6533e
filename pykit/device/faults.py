# SPDX-License-Identifier: GPL-2.0-only
"""Deliberate faults of the device: each changes one step of how a chain is served."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from pykit.device.memory import GuestMemory
from pykit.device.queue import Chain, Queue

Writes = list[tuple[memoryview, bytes]]


@dataclass
class Returning:
    """A chain that is about to be returned; a fault changes what will be done.

    Attributes:
        writes: what goes into its buffers.
        length: the used length.
        times: how often it is returned.
        interrupt: True: always, False: never, None: as the driver wants.
        late: writes that follow when the chain was returned.
    """

    queue: Queue
    memory: GuestMemory
    chain: Chain
    writes: Writes
    length: int
    times: int = 1
    interrupt: bool | None = None
    late: Writes | None = None


@dataclass(frozen=True)
class DeviceFault:
    """A fault: what it does, the class that ``pykit drive`` has to give it, and the step."""

    name: str
    does: str
    change: Callable[[Returning], None]


FAULTS: dict[str, DeviceFault] = {}


def _fault(
    name: str, does: str
) -> Callable[[Callable[[Returning], None]], Callable[[Returning], None]]:
    def register(change: Callable[[Returning], None]) -> Callable[[Returning], None]:
        FAULTS[name] = DeviceFault(name, does, change)
        return change

    return register


@_fault("data-wrong", "flip a bit of what it writes first")
def _data_wrong(step: Returning) -> None:
    if step.writes:
        view, data = step.writes[0]
        step.writes[0] = (view, bytes((data[0] ^ 1,)) + data[1:])


@_fault("data-short", "leave the last half of the first buffer unwritten")
def _data_short(step: Returning) -> None:
    if step.writes:
        view, data = step.writes[0]
        step.writes[0] = (view, data[: len(data) // 2])


@_fault("status-unwritten", "leave the status byte unwritten")
def _status_unwritten(step: Returning) -> None:
    step.writes = step.writes[:-1]


@_fault("length-zero", "return a used length of 0")
def _length_zero(step: Returning) -> None:
    step.length = 0


@_fault("length-greater", "return a used length beyond the writable buffers")
def _length_greater(step: Returning) -> None:
    step.length = step.chain.capacity + 1


@_fault("id-wrong", "return the next id")
def _id_wrong(step: Returning) -> None:
    step.chain = replace(step.chain, id=(step.chain.id + 1) % step.queue.size)


@_fault("id-outside", "return an id that is no descriptor")
def _id_outside(step: Returning) -> None:
    step.chain = replace(step.chain, id=step.queue.size)


@_fault("returned-twice", "return each chain twice")
def _returned_twice(step: Returning) -> None:
    step.times = 2


@_fault("swallowed", "never return a chain")
def _swallowed(step: Returning) -> None:
    step.times = 0


@_fault("interrupt-missing", "never interrupt")
def _interrupt_missing(step: Returning) -> None:
    step.interrupt = False


@_fault("interrupt-always", "interrupt for each chain, wanted or not")
def _interrupt_always(step: Returning) -> None:
    step.interrupt = True


@_fault("writes-readable", "write into a buffer that it may only read")
def _writes_readable(step: Returning) -> None:
    if step.chain.readable:
        address, _ = step.chain.readable[0]
        step.writes.append((step.memory.at(address, 1), b"\xa5"))


@_fault("writes-behind", "write a byte behind the last buffer")
def _writes_behind(step: Returning) -> None:
    if step.chain.writable:
        address, length = step.chain.writable[-1]
        step.writes.append((step.memory.at(address + length, 1), b"\xa5"))


@_fault("writes-driver-area", "write into the driver area")
def _writes_driver_area(step: Returning) -> None:
    step.writes.append((step.queue.driver[:2], b"\xa5\xa5"))


@_fault("writes-late", "write the first buffer once more when its chain was returned")
def _writes_late(step: Returning) -> None:
    if step.writes:
        view, data = step.writes[0]
        step.late = [(view, bytes(byte ^ 0xFF for byte in data))]


@_fault("spins", "never stop working at a chain")
def _spins(step: Returning) -> None:
    while True:
        pass


@_fault("sleeps", "take a second for each chain")
def _sleeps(step: Returning) -> None:
    time.sleep(1)


@_fault("dies", "end by a signal at the first chain")
def _dies(step: Returning) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)
