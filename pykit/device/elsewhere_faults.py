# SPDX-License-Identifier: GPL-2.0-only
"""Deliberate faults of a device that reads or writes elsewhere than it should."""

from __future__ import annotations

import itertools
import struct

from pykit.device.faults import FAULTS, DeviceFault, Returning, fault
from pykit.device.queue import PackedQueue, SplitQueue
from pykit.spec import bits, blkconfig
from pykit.spec.bits import DESC_BYTES

_RANGE = struct.Struct("<QII")
_AVAIL_FLAG, _USED_FLAG = 1 << 7, 1 << 15
_STRAY = b"\xa5"
#: How often it interrupts for one chain.
_STORM = 8

#: What a sector held when it was read first, and what the read before was answered, by queue.
_first: dict[int, bytes] = {}
_last: dict[int, bytes] = {}
_serials = itertools.count(1)


@fault("data-shifted", "lay data that are read one byte too far")
def _data_shifted(step: Returning) -> None:
    if step.is_done(bits.T_IN):
        data = b"".join(part for _, part in step.writes[:-1])
        step.lay(_STRAY + data[:-1])


@fault("read-stale", "read from each sector what it held at first")
def _read_stale(step: Returning) -> None:
    if not step.is_done(bits.T_IN):
        return
    data = b"".join(part for _, part in step.writes[:-1])
    size, kept = bits.SECTOR, b""
    for n in range(len(data) // size):
        kept += _first.setdefault(step.sector + n, data[n * size : (n + 1) * size])
    step.lay(kept)


@fault("write-behind-sector", "write to the sector behind, too")
def _write_behind_sector(step: Returning) -> None:
    size = sum(length for _, length in step.chain.readable) - bits.HEADER_BYTES
    if step.is_done(bits.T_OUT):
        step.disk.put(step.sector + size // bits.SECTOR, _STRAY * bits.SECTOR)


@fault("zeroes-too-far", "zero one sector more than it should")
def _zeroes_too_far(step: Returning) -> None:
    if step.is_done(bits.T_WRITE_ZEROES):
        data = step.sent
        for sector, count, _ in _RANGE.iter_unpack(data[bits.HEADER_BYTES :]):
            step.disk.put(sector + count, bytes(bits.SECTOR))


@fault("data-behind", "write a byte behind the first buffer")
def _data_behind(step: Returning) -> None:
    if len(step.chain.writable) > 1:
        address, length = step.chain.writable[0]
        step.writes.append((step.memory.at(address + length, 1), _STRAY))


@fault("status-again", "write another status when the next chain is there")
def _status_again(step: Returning) -> None:
    if step.writes:
        step.late = [(step.writes[-1][0], bytes((bits.S_IOERR,)))]


@fault("gap-written", "write between the driver area and its own", ring="split")
def _gap_written(step: Returning) -> None:
    queue = step.queue
    if isinstance(queue, SplitQueue):
        view = step.memory.at_user(queue.areas[2], len(queue.driver) + 2)
        step.writes.append((view[-2:], _STRAY * 2))


@fault("free-descriptor-written", "write into a descriptor of no chain", ring="split")
def _free_descriptor_written(step: Returning) -> None:
    queue = step.queue
    if isinstance(queue, SplitQueue):
        at = DESC_BYTES * (queue.size - 1)
        step.writes.append((queue.desc[at : at + 1], _STRAY))


@fault("entry-ahead-written", "write into the next entry of the available ring", ring="split")
def _entry_ahead_written(step: Returning) -> None:
    queue = step.queue
    if isinstance(queue, SplitQueue) and not queue.more:
        at = 4 + 2 * ((queue.next + 1) % queue.size)
        step.writes.append((queue.driver[at : at + 2], _STRAY * 2))


@fault("used-taken-back", "make a used descriptor look available later", ring="packed")
def _used_taken_back(step: Returning) -> None:
    queue = step.queue
    if isinstance(queue, PackedQueue):
        at = DESC_BYTES * queue.used + 14
        flags = _AVAIL_FLAG if queue.used_wrap else _USED_FLAG
        step.late = [(queue.desc[at : at + 2], struct.pack("<H", flags))]


@fault("ring-ahead-written", "write into the descriptor farthest ahead", ring="packed")
def _ring_ahead_written(step: Returning) -> None:
    queue = step.queue
    if isinstance(queue, PackedQueue):
        at = DESC_BYTES * ((queue.next + queue.size // 2) % queue.size)
        step.writes.append((queue.desc[at : at + 1], _STRAY))


@fault("answers-crossed", "answer a read with the data of the one before")
def _answers_crossed(step: Returning) -> None:
    if not step.is_done(bits.T_IN):
        return
    data = b"".join(part for _, part in step.writes[:-1])
    before = _last.get(id(step.queue), data)
    _last[id(step.queue)] = data
    step.lay(before.ljust(len(data), _STRAY))


@fault("interrupt-storm", "interrupt eight times for each chain")
def _interrupt_storm(step: Returning) -> None:
    step.interrupt, step.interrupts = True, _STORM


@fault("serial-changes", "return another id string each time")
def _serial_changes(step: Returning) -> None:
    if step.kind == bits.T_GET_ID and len(step.writes) > 1:
        view, data = step.writes[0]
        step.writes[0] = (view, f"{next(_serials):020}".encode()[: len(data)])


def _with_size_max(offered: int) -> int:
    return offered | 1 << bits.BLK_SIZE_MAX


def _config(field: blkconfig.Field, value: int) -> DeviceFault:
    def change(config: bytes) -> bytes:
        data = value.to_bytes(field.width, "little")
        return config[: field.offset] + data + config[field.offset + field.width :]

    name = field.name.replace("_", "-")
    does = f"have {value} in {field.name}"
    return DeviceFault(f"{name}-{value}", does, features=_with_size_max, config=change)


for _more in (_config(blkconfig.SIZE_MAX, 0), _config(blkconfig.SIZE_MAX, 1)):
    FAULTS[_more.name] = _more
