# SPDX-License-Identifier: GPL-2.0-only
"""Events of block requests, and of the disk's configuration, that the driver writes down.

They are those of the kit's own driver in a guest (docs/events.md): the rules judge both alike.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence

from pykit.drive.carriers import Carrier
from pykit.drive.carriers.by_registers import WORD, ReadFields, RegisterCarrier, is_wide
from pykit.drive.chain import UsedEntry
from pykit.drive.memory import SharedMemory
from pykit.drive.record import Recorder, first_words
from pykit.drive.requests import MARK, DriverRequest, mark_ends
from pykit.spec import bits
from pykit.spec.blkconfig import CAPACITY, FIELDS, SEG_MAX, Field

_RANGE = struct.Struct("<QII")
_ZONE = struct.Struct("<QQQBB38x")
#: Where the zones of a report begin, and how many of them are written down.
_ZONES, _MOST_ZONES = 64, 256
#: Bytes of an answer that are written down, by the type of its request.
_ANSWERED = {
    bits.T_GET_ID: 24, bits.T_GET_LIFETIME: 24, bits.T_ZONE_REPORT: 8, bits.T_ZONE_APPEND: 8,
}  # fmt: skip


def note_start(recorder: Recorder, queue: int, head: int, request: DriverRequest) -> None:
    """Write down that a block request was made available."""
    recorder.event("blk_start", queue, head=head, **request.note)
    if request.note["type"] in bits.RANGE_TYPES:
        whole = len(request.sent) - len(request.sent) % _RANGE.size
        for pos, found in enumerate(_RANGE.iter_unpack(request.sent[:whole])):
            sector, sectors, flags = found
            place = {"head": head, "pos": pos}
            recorder.event("blk_range", queue, sector=sector, sectors=sectors, flags=flags, **place)


def note_end(
    recorder: Recorder, memory: SharedMemory, queue: int, request: DriverRequest, entry: UsedEntry
) -> None:
    """Write down how a block request ended, and what its sectors hold if it went well."""
    sector, kind = request.note["sector"], request.note["type"]
    head, status = entry.id & 0xFFFF, memory.load(request.status_at, 1)[0]
    # What was to be written is what stood there when the request was made available.
    data = request.sent or (request.data() if request.data is not None else b"")
    if status == bits.S_OK and kind in (bits.T_IN, bits.T_OUT):
        for at in range(0, len(data), bits.SECTOR):
            recorder.event(
                "blk_sector",
                queue,
                sector=sector + at // bits.SECTOR,
                sum=zlib.crc32(data[at : at + bits.SECTOR]),
                head=head,
                write=int(kind == bits.T_OUT),
            )
    if status == bits.S_OK and kind in _ANSWERED:
        _note_answer(recorder, queue, head, kind, request.answer())
    if request.marked:
        _note_marks(recorder, memory, queue, head, request, data)
    recorder.event(
        "blk_done", queue, sector=sector, type=kind, len=entry.length, head=head, status=status
    )


def _note_answer(recorder: Recorder, queue: int, head: int, kind: int, data: bytes) -> None:
    """Write down the beginning of an answer, and the zones of a report."""
    shown = data[: _ANSWERED[kind]]
    answer = {"type": kind, "head": head, "got": len(shown)}
    recorder.event("blk_answer", queue, **first_words(shown), **answer)
    if kind != bits.T_ZONE_REPORT:
        return
    for pos, zone in enumerate(_zones(data)):
        names = ("capacity", "start", "wp", "z_type", "z_state")
        recorder.event("blk_zone", queue, **dict(zip(names, zone, strict=True)), head=head, pos=pos)


def _zones(report: bytes) -> Iterator[tuple[int, ...]]:
    """The zones that a report has room for, of those that it claims to have."""
    claimed = int.from_bytes(report[:8], "little")
    room = max(len(report) - _ZONES, 0) // _ZONE.size
    for pos in range(min(claimed, room, _MOST_ZONES)):
        yield _ZONE.unpack_from(report, _ZONES + pos * _ZONE.size)


def _note_marks(
    recorder: Recorder,
    memory: SharedMemory,
    queue: int,
    head: int,
    request: DriverRequest,
    data: bytes,
) -> None:
    """Write down which of the marks in a request's buffers are left."""
    returns = request.note["type"] != bits.T_OUT
    ends = mark_ends(len(data)) if returns else ()
    gone = [data[end - len(MARK) : end] != MARK for end in ends]
    first = gone.index(False) if False in gone else len(gone)
    header = memory.load(request.buffers[0].address, len(request.header)) == request.header
    recorder.event(
        "blk_wrote",
        queue,
        bytes=len(data) if returns else 0,
        written=ends[first - 1] if first else 0,
        touched=max((end for end, one in zip(ends, gone, strict=True) if one), default=0),
        type=request.note["type"],
        sum=zlib.crc32(data) if returns else 0,
        head=head,
        header=int(header),
        zero=int(returns and not any(data)),
    )


#: How often a field is read while the generation changes.
_AGAIN = 8


def note_fields(recorder: Recorder, carrier: Carrier, features: int) -> None:
    """Read the fields of a disk that the accepted features bring, and write them down.

    seg_max is left out: queues are smaller here than what the device fits it to.
    """
    brought = [f for f in FIELDS if f.feature is not None and features >> f.feature & 1]
    fields = [CAPACITY, *(field for field in brought if field != SEG_MAX)]
    found = _note_groups(recorder, carrier, [(field,) for field in fields])
    for field, (_, same) in zip(fields, found, strict=True):
        if not same:
            note_field(recorder, carrier, field)


def note_field(recorder: Recorder, carrier: Carrier, field: Field) -> bytes:
    """Read one field in its own width, and write it down; return what was read.

    A wide field is read again while the generation changes (section 2.5.1), so often at most. What
    cannot be read, or is no number, is not written down.
    """
    for _ in range(_AGAIN):
        data, same = note_read(recorder, carrier, field)
        if same:
            break
    return data


def note_read(recorder: Recorder, carrier: Carrier, *fields: Field) -> tuple[bytes, bool]:
    """Read fields one time, a wide one or several between two reads of the generation.

    Returns:
        the last field's bytes, and whether the generation was the same before and after.
    """
    return _note_groups(recorder, carrier, [fields])[0]


def _note_groups(
    recorder: Recorder, carrier: Carrier, groups: Sequence[Sequence[Field]]
) -> list[tuple[bytes, bool]]:
    """Do as ``note_read`` for groups of fields, which are read together where the carrier can."""
    if isinstance(carrier, RegisterCarrier):
        places = [[(field.offset, field.width) for field in group] for group in groups]
        found = carrier.fields(places)
    else:
        found = [_by_message(recorder, carrier, group) for group in groups]
    for group, read in zip(groups, found, strict=True):
        _note_group(recorder, group, read)
    return [(read.data[-1], read.before == read.after) for read in found]


def _note_group(recorder: Recorder, fields: Sequence[Field], read: ReadFields) -> None:
    found = [
        {"offset": f.offset, "len": f.width, "value": int.from_bytes(data, "little"), "write": 0}
        for f, data in zip(fields, read.data, strict=True)
        if len(data) == f.width <= 2 * WORD
    ]
    if found and read.before is not None:
        recorder.event("generation", generation=read.before)
    for one in found:
        recorder.event("config", **one)
    if found and read.after is not None:
        recorder.event("generation", generation=read.after)


def _by_message(recorder: Recorder, carrier: Carrier, fields: Sequence[Field]) -> ReadFields:
    """Read fields by messages of vhost-user; what a message has not all of is empty."""
    data = []
    for field in fields:
        # Not from the field on: libvhost-user's vu_get_config() leaves the offset out of account.
        end = field.offset + field.width
        whole = carrier.config(0, end)
        data.append(whole[field.offset :] if len(whole) == end else b"")
    if not is_wide([field.width for field in fields]):
        return ReadFields(data)
    # A message has the configuration as it is at once: another value is another generation.
    generation = recorder.generation_of(b"".join(data))
    return ReadFields(data, generation, generation)
