# SPDX-License-Identifier: GPL-2.0-only
"""Deliberate faults of block requests: data, status, and how a chain is read."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from dataclasses import replace

from pykit.device.faults import FAULTS, DeviceFault, Returning, fault
from pykit.device.queue import Chain, Queue, SplitQueue
from pykit.spec import bits, blkconfig

_RANGE = struct.Struct("<QII")
#: Each so many requests is treated otherwise than the others.
_SELDOM = 8
_writes, _all = itertools.count(1), itertools.count(1)


@fault("write-dropped", "report each eighth write as done, and keep nothing of it")
def _write_dropped(step: Returning) -> None:
    size = sum(length for _, length in step.chain.readable) - bits.HEADER_BYTES
    if step.is_done(bits.T_OUT) and not next(_writes) % _SELDOM:
        step.disk.put(step.sector, bytes(size))


@fault("sector-off", "read from the sector behind")
def _sector_off(step: Returning) -> None:
    if step.is_done(bits.T_IN):
        size = sum(len(data) for _, data in step.writes[:-1])
        step.lay(step.disk.get(step.sector + 1, size).ljust(size, b"\0"))


@fault("read-short", "read half of the data, report OK and the length of that half")
def _read_short(step: Returning) -> None:
    if step.is_done(bits.T_IN) and len(step.writes) > 1:
        *pieces, status = step.writes
        half = pieces[: (len(pieces) + 1) // 2]
        view, data = half[-1]
        half[-1] = (view, data[: (len(data) + 1) // 2])
        step.length = sum(len(data) for _, data in half) + 1
        step.writes = [*half, status]


@fault("status-first", "write the status into the first writable byte")
def _status_first(step: Returning) -> None:
    if step.writes and step.chain.writable:
        address, _ = step.chain.writable[0]
        *pieces, (_, status) = step.writes
        step.writes = [*pieces, (step.memory.at(address, 1), status)]


@fault("flush-unsupported", "offer FLUSH, and answer each with UNSUPP")
def _flush_unsupported(step: Returning) -> None:
    if step.kind == bits.T_FLUSH:
        step.status = bits.S_UNSUPP


@fault("unknown-accepted", "report requests of unknown types as done")
def _unknown_accepted(step: Returning) -> None:
    if step.status == bits.S_UNSUPP and step.kind not in bits.RANGE_TYPES:
        step.status = bits.S_OK


@fault("unmap-accepted", "report discards with UNMAP, or unknown flags, as done")
def _unmap_accepted(step: Returning) -> None:
    if step.status == bits.S_UNSUPP and step.kind in bits.RANGE_TYPES:
        step.status = bits.S_OK


@fault("serial-garbled", "give an id string with bytes that are no ASCII")
def _serial_garbled(step: Returning) -> None:
    if step.kind == bits.T_GET_ID and len(step.writes) > 1:
        view, data = step.writes[0]
        step.writes[0] = (view, b"\xff\xfe" + data[2:])


@fault("beyond-end", "report reads and writes behind the end of the disk as done")
def _beyond_end(step: Returning) -> None:
    if step.kind in (bits.T_IN, bits.T_OUT) and step.status == bits.S_IOERR:
        step.status = bits.S_OK
        if step.kind == bits.T_IN:
            step.length = step.chain.capacity


@fault("zeroes-kept", "report WRITE_ZEROES as done, and leave other bytes there")
def _zeroes_kept(step: Returning) -> None:
    if step.is_done(bits.T_WRITE_ZEROES):
        data = step.sent
        for sector, count, _ in _RANGE.iter_unpack(data[bits.HEADER_BYTES :]):
            step.disk.put(sector, b"\xa5" * (count * bits.SECTOR))


@fault("zeroes-refused", "offer WRITE_ZEROES, and answer each with UNSUPP")
def _zeroes_refused(step: Returning) -> None:
    if step.kind == bits.T_WRITE_ZEROES:
        step.status = bits.S_UNSUPP


@fault("discard-refused", "offer DISCARD, and answer each with UNSUPP")
def _discard_refused(step: Returning) -> None:
    if step.kind == bits.T_DISCARD:
        step.status = bits.S_UNSUPP


@fault("serial-short", "return the id string without its last ten bytes")
def _serial_short(step: Returning) -> None:
    if step.kind == bits.T_GET_ID and len(step.writes) > 1:
        view, data = step.writes[0]
        step.writes[0] = (view, data[: bits.ID_BYTES // 2])


@fault("status-of-zones", "report done requests by a status of zoned disks")
def _status_of_zones(step: Returning) -> None:
    if step.status == bits.S_OK:
        step.status = bits.S_UNALIGNED_WP


@fault("reads-fail", "fail each read, as a broken disk does")
def _reads_fail(step: Returning) -> None:
    if step.kind == bits.T_IN and step.writes:
        step.writes = [(step.writes[-1][0], bytes((bits.S_IOERR,)))]
        step.length = 0


@fault("fails-seldom", "fail each eighth request, as a broken disk does")
def _fails_seldom(step: Returning) -> None:
    if step.writes and not next(_all) % _SELDOM:
        step.writes = [(step.writes[-1][0], bytes((bits.S_IOERR,)))]
        step.length = 0 if step.chain.capacity > 1 else 1


@fault("sector-missing", "leave the second sector of each read unwritten")
def _sector_missing(step: Returning) -> None:
    if step.kind != bits.T_IN or len(step.writes) < 2:
        return
    view, data = step.writes[0]
    if len(data) >= 2 * bits.SECTOR:
        rest = 2 * bits.SECTOR
        step.writes[0:1] = [
            (view[: bits.SECTOR], data[: bits.SECTOR]),
            (view[rest:], data[rest:]),
        ]


@fault("write-cut", "keep the first sector of a write, and zeroes behind it")
def _write_cut(step: Returning) -> None:
    size = sum(length for _, length in step.chain.readable) - bits.HEADER_BYTES
    if step.is_done(bits.T_OUT) and size > bits.SECTOR:
        step.disk.put(step.sector + 1, bytes(size - bits.SECTOR))


@fault("id-length-1", "return a used length of 1 with the id string")
def _id_length_1(step: Returning) -> None:
    if step.kind == bits.T_GET_ID:
        step.length = 1


@fault("write-length-0", "return a used length of 0 for writes and flushes")
def _write_length_0(step: Returning) -> None:
    if step.kind in (bits.T_OUT, bits.T_FLUSH):
        step.length = 0


def _lifetime(*values: int) -> Callable[[Returning], None]:
    """Answer GET_LIFETIME by these: end of life, and the two estimates of wear."""

    def change(step: Returning) -> None:
        answer = struct.pack("<HHH", *values)
        if step.kind == bits.T_GET_LIFETIME and step.writes:
            address, room = step.chain.writable[0]
            data = answer[:room].ljust(room, b"\0")
            step.writes.insert(0, (step.memory.at(address, room), data))
            step.status, step.length = bits.S_OK, step.chain.capacity

    return change


def _with_lifetime(offered: int) -> int:
    return offered | 1 << bits.BLK_LIFETIME


def _last_missed(chain: Chain) -> Chain:
    """Leave out the last of several buffers with data to be written."""
    if len(chain.readable) > 2:
        return replace(chain, readable=chain.readable[:-1])
    return chain


def _swapped(chain: Chain) -> Chain:
    head, *data = chain.readable or ((0, 0),)
    return replace(chain, readable=(head, *reversed(data))) if data else chain


def _header_alone(chain: Chain) -> Chain:
    """Take the first buffer for the header, whatever its length."""
    if not chain.readable:
        return chain
    (address, length), *data = chain.readable
    return replace(chain, readable=((address, min(length, bits.HEADER_BYTES)), *data))


def _data_merged(chain: Chain) -> Chain:
    """Take the last writable buffer for the status alone, whatever its length."""
    if not chain.writable:
        return chain
    *data, (address, length) = chain.writable
    return replace(chain, writable=(*data, (address + length - 1, 1)))


def _any_direction(chain: Chain) -> Chain:
    """Take all buffers between a lone header and the status for data to read."""
    if len(chain.readable) != 1 or len(chain.writable) < 2:
        return chain
    return replace(chain, readable=(*chain.readable, *chain.writable[:-1]))


def _status_missed(chain: Chain) -> Chain:
    """Leave out the last of several writable buffers, which is the status's."""
    return replace(chain, writable=chain.writable[:-1]) if len(chain.writable) > 1 else chain


def _in_sequence(queue: Queue) -> None:
    if isinstance(queue, SplitQueue):
        queue.linked_tables = False


def _having(field: blkconfig.Field, value: int) -> DeviceFault:
    def change(config: bytes) -> bytes:
        data = value.to_bytes(field.width, "little")
        return config[: field.offset] + data + config[field.offset + field.width :]

    name = field.name.replace("_", "-")
    return DeviceFault(f"{name}-{value}", f"have {value} in {field.name}", config=change)


for _more in (
    DeviceFault("buffer-missed", "leave out the last buffer of data", takes=_last_missed),
    DeviceFault("buffers-swapped", "read buffers of data in the other order", takes=_swapped),
    DeviceFault("header-alone", "read no data from the header's buffer", takes=_header_alone),
    DeviceFault("status-alone", "write no data to the status's buffer", takes=_data_merged),
    DeviceFault("unreadable-read", "read data that it may only write", takes=_any_direction),
    DeviceFault("status-in-data", "write the status where the data ends", takes=_status_missed),
    DeviceFault(
        "tables-in-sequence",
        "read indirect tables by place, not by their links",
        ring="split",
        begins=_in_sequence,
    ),
    _having(blkconfig.NUM_QUEUES, 0),
    _having(blkconfig.SEG_MAX, 0xFFFF),
    _having(blkconfig.SEG_MAX, 0),
    _having(blkconfig.BLK_SIZE, 500),
    _having(blkconfig.UNUSED0, 1),
    _having(blkconfig.UNUSED1, 1),
    _having(blkconfig.MAX_DISCARD_SEG, 0),
    # What is zeroed with the flag unmap is deallocated all the same.
    _having(blkconfig.MAY_UNMAP, 0),
    DeviceFault(
        "lifetime-empty",
        "offer LIFETIME, and have no value of it",
        _lifetime(0, 0, 0),
        features=_with_lifetime,
    ),
    DeviceFault(
        "lifetime-reserved",
        "have a reserved value in the lifetime",
        _lifetime(7, 1, 1),
        features=_with_lifetime,
    ),
    DeviceFault("lifetime-withheld", "have a lifetime, and do not offer it", _lifetime(1, 3, 5)),
    DeviceFault(
        "refuses-later", "refuse in a second life what it accepted in the first", refuses="later"
    ),
):
    FAULTS[_more.name] = _more
