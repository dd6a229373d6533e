# SPDX-License-Identifier: GPL-2.0-only
"""Deliberate faults of zoned disks: what they show of their zones, and what they let pass."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable

from pykit.device.faults import FAULTS, DeviceFault, Returning
from pykit.device.zones import ZONE_SECTORS
from pykit.spec import bits, blkconfig

_ZONE = struct.Struct("<QQQBB")
#: Where the zones of a report begin, and how long each is.
_FIRST, _STEP = 64, 64
#: The zones that are reported as lost: read-only, and offline.
_READ_ONLY, _OFFLINE = 4, 5
#: Statuses by which requests for zones are refused.
_REFUSED = (bits.S_UNSUPP, *range(bits.S_INVALID_CMD, bits.S_ZONED_LAST + 1))

#: A zone of a report: capacity, start, write pointer, type, state.
ZoneFields = list[int]
_kept: dict[str, bytes] = {}


def _config(*values: tuple[blkconfig.Field, int]) -> Callable[[bytes], bytes]:
    def change(config: bytes) -> bytes:
        data = bytearray(config)
        for field, value in values:
            data[field.offset : field.offset + field.width] = value.to_bytes(field.width, "little")
        return bytes(data)

    return change


def _offers(*wanted: int, without: tuple[int, ...] = ()) -> Callable[[int], int]:
    added, gone = bits.mask(frozenset(wanted)), bits.mask(frozenset(without))
    return lambda offered: (offered | added) & ~gone


def _shows(change: Callable[[int, ZoneFields], None]) -> Callable[[Returning], None]:
    """Change each zone of a report, given its number."""

    def edit(step: Returning) -> None:
        if step.kind != bits.T_ZONE_REPORT or step.status != bits.S_OK:
            return
        view, old = step.writes[0]
        data = bytearray(old)
        for number, at in enumerate(range(_FIRST, len(data) - _STEP + 1, _STEP)):
            zone = list(_ZONE.unpack_from(data, at))
            change(number, zone)
            _ZONE.pack_into(data, at, *zone)
        step.writes[0] = (view, bytes(data))

    return edit


def _lost(number: int, zone: ZoneFields) -> None:
    if number in (_READ_ONLY, _OFFLINE):
        zone[4] = bits.ZS_READ_ONLY if number == _READ_ONLY else bits.ZS_OFFLINE


def _preferred(_: int, zone: ZoneFields) -> None:
    if zone[3] == bits.ZT_SEQUENTIAL_REQUIRED:
        zone[3] = bits.ZT_SEQUENTIAL_PREFERRED


def _undefined(number: int, zone: ZoneFields) -> None:
    if number == 1:
        zone[3] = 7


def _accepted(step: Returning) -> None:
    """Report what is refused as done."""
    ours = (bits.T_IN, bits.T_OUT, bits.T_SECURE_ERASE, *bits.ZONE_TYPES)
    if step.kind in ours and step.status in _REFUSED:
        step.status = bits.S_OK
        step.length = step.chain.capacity


def _stale(step: Returning) -> None:
    """Report zones as they were at first."""
    if step.kind == bits.T_ZONE_REPORT and step.status == bits.S_OK:
        view, data = step.writes[0]
        step.writes[0] = (
            view,
            _kept.setdefault("report", data)[: len(data)].ljust(len(data), b"\0"),
        )


def _elsewhere(step: Returning) -> None:
    """Say that an append went to the sector behind."""
    if step.kind == bits.T_ZONE_APPEND and step.status == bits.S_OK and len(step.writes) > 1:
        view, data = step.writes[0]
        at = int.from_bytes(data[:8], "little") + 1
        step.writes[0] = (view, at.to_bytes(8, "little") + data[8:])


def _unfilled(step: Returning) -> None:
    """Leave the buffer as it is where nothing was written to a sequential zone."""
    data = b"".join(found for _, found in step.writes[:-1])
    # The first zone is a conventional one.
    sequential = step.sector >= ZONE_SECTORS
    if step.kind == bits.T_IN and step.status == bits.S_OK and sequential and not any(data):
        step.writes = step.writes[-1:]


def _refuses_longer(status: int) -> Callable[[Returning], None]:
    """Refuse appends of more than a sector."""

    def change(step: Returning) -> None:
        size = sum(length for _, length in step.chain.readable) - bits.HEADER_BYTES
        if step.kind == bits.T_ZONE_APPEND and size > bits.SECTOR and step.writes:
            step.writes, step.length = step.writes[-1:], 0
            step.status = status

    return change


_SIZE_AND_SEGMENTS = ((blkconfig.SIZE_MAX, bits.SECTOR), (blkconfig.SEG_MAX, 1))


def _zone_faults() -> Iterable[DeviceFault]:
    yield DeviceFault(
        "zones-accepted", "report requests that zones forbid as done", _accepted, zoned=True
    )
    yield DeviceFault(
        "zones-lost", "report zones as read-only and offline, and serve them", _shows(_lost),
        zoned=True,
    )  # fmt: skip
    yield DeviceFault(
        "zones-preferred", "report zones of a host-aware disk", _shows(_preferred), zoned=True
    )
    yield DeviceFault("zone-undefined", "report a zone of no type", _shows(_undefined), zoned=True)
    yield DeviceFault("zones-stale", "report zones as they were at first", _stale, zoned=True)
    yield DeviceFault("append-elsewhere", "return the sector behind", _elsewhere, zoned=True)
    yield DeviceFault(
        "append-short", "refuse appends of two sectors as too long",
        _refuses_longer(bits.S_INVALID_CMD), zoned=True,
    )  # fmt: skip
    yield DeviceFault(
        "append-unaligned", "refuse appends of two sectors as not aligned",
        _refuses_longer(bits.S_UNALIGNED_WP), zoned=True,
    )  # fmt: skip
    yield DeviceFault("zones-unfilled", "leave buffers as they are", _unfilled, zoned=True)
    for name, does, *values in (
        ("zone-model-none", "have no zone model", (blkconfig.ZONE_MODEL, bits.Z_NONE)),
        ("zone-model-aware", "have a host-aware model", (blkconfig.ZONE_MODEL, bits.Z_HOST_AWARE)),
        ("zone-sectors-double", "have twice the size of a zone", (blkconfig.ZONE_SECTORS, 4096)),
        ("zones-open-fewer", "open more zones than the limit", (blkconfig.MAX_OPEN_ZONES, 1)),
        ("zones-active-fewer", "have more zones active", (blkconfig.MAX_ACTIVE_ZONES, 1)),
        ("append-more", "have a higher limit for appends", (blkconfig.MAX_APPEND_SECTORS, 256)),
        ("append-none", "take appends without support", (blkconfig.MAX_APPEND_SECTORS, 0)),
        ("unused2-1", "have 1 in unused2", (blkconfig.UNUSED2, 1)),
    ):
        yield DeviceFault(name, does, config=_config(*values), zoned=True)
    yield DeviceFault(
        "zones-legacy", "offer zones without VERSION_1",
        features=_offers(without=(bits.VERSION_1,)), zoned=True,
    )  # fmt: skip
    yield DeviceFault(
        "zones-declined", "be host-managed for a driver that knows no zones", lax=True, zoned=True
    )
    yield DeviceFault(
        "zones-shown", "show zones to a driver that declined them",
        features=_offers(bits.BLK_ZONED), config=_config((blkconfig.ZONE_SECTORS, 2048)),
    )  # fmt: skip
    yield DeviceFault("zones-none", "offer ZONED without a zone", features=_offers(bits.BLK_ZONED))
    # Two that are no faults: what a driver has to take into account.
    yield DeviceFault(
        "zones-with-discard", "offer DISCARD beside zones", zoned=True,
        features=_offers(bits.BLK_DISCARD), config=_config((blkconfig.MAX_DISCARD_SECTORS, 8)),
    )  # fmt: skip
    yield DeviceFault(
        "zones-coarse", "write eight sectors at once", zoned=True,
        config=_config((blkconfig.WRITE_GRANULARITY, 8 * bits.SECTOR)),
    )  # fmt: skip
    yield DeviceFault(
        "append-beyond-segments", "take longer appends than its segments allow",
        features=_offers(bits.BLK_SIZE_MAX), config=_config(*_SIZE_AND_SEGMENTS), zoned=True,
    )  # fmt: skip
    yield DeviceFault(
        "erase-beside-zones", "erase parts of zones, and reset none", _accepted,
        features=_offers(bits.BLK_SECURE_ERASE),
        config=_config(
            (blkconfig.ERASE_ALIGNMENT, 1), (blkconfig.MAX_ERASE_SECTORS, 1 << 15),
            (blkconfig.MAX_ERASE_SEG, 1),
        ),
        zoned=True,
    )  # fmt: skip


for _fault in _zone_faults():
    FAULTS[_fault.name] = _fault
