# SPDX-License-Identifier: GPL-2.0-only
"""Steps of rows of block requests: one request, or several of one notification, each."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pykit.drive.memory import SharedMemory
from pykit.drive.requests import DriverRequest, Joined, blk_request
from pykit.spec import bits

TYPES = {
    "in": bits.T_IN,
    "out": bits.T_OUT,
    "flush": bits.T_FLUSH,
    "get-id": bits.T_GET_ID,
    "get-lifetime": bits.T_GET_LIFETIME,
    "discard": bits.T_DISCARD,
    "write-zeroes": bits.T_WRITE_ZEROES,
    "secure-erase": bits.T_SECURE_ERASE,
    "zone-append": bits.T_ZONE_APPEND,
    "zone-report": bits.T_ZONE_REPORT,
    "zone-open": bits.T_ZONE_OPEN,
    "zone-close": bits.T_ZONE_CLOSE,
    "zone-finish": bits.T_ZONE_FINISH,
    "zone-reset": bits.T_ZONE_RESET,
    "zone-reset-all": bits.T_ZONE_RESET_ALL,
}
STATUSES = {
    "ok": {bits.S_OK},
    "ioerr": {bits.S_IOERR},
    "unsupp": {bits.S_UNSUPP},
    "failed": {bits.S_IOERR, bits.S_UNSUPP},
    "invalid-cmd": {bits.S_INVALID_CMD},
    "unaligned-wp": {bits.S_UNALIGNED_WP},
    "open-resource": {bits.S_OPEN_RESOURCE},
    "refused": set(range(bits.S_IOERR, bits.S_ZONED_LAST + 1)),
}
#: Types whose data the device reads.
_OUT = (bits.T_OUT, *bits.RANGE_TYPES)
#: Fields of the configuration (section 5.2.4) that steps name: offset and width.
FIELDS = {
    "capacity": (0, 8), "seg-max": (12, 4), "discard-most": (36, 4), "discard-segments": (40, 4),
    "zeroes-most": (48, 4), "zeroes-segments": (52, 4), "erase-most": (60, 4),
    "erase-segments": (64, 4), "zone": (72, 4), "open-most": (76, 4), "append-most": (84, 4),
}  # fmt: skip
GREATEST = "greatest"
_SECTOR_AND_STATUS = 9
_JOINED = (("joined", "header"), ("joined", "status"))
_NUMBER = r"0x[0-9a-f]+|\d+"
_VALUE = re.compile(
    rf"(?:(?:(?P<times>\d+)\*)?(?P<name>[a-z-]*[a-z])(?P<more>[+-](?:{_NUMBER}))?|(?P<number>{_NUMBER}))"
)
_RANGE = struct.Struct("<QII")


class WrongStepError(ValueError):
    """A step cannot be read."""


@dataclass(frozen=True)
class BlkStep:
    """One request of a step; what may name a field of the configuration is text.

    Attributes:
        kind: type of the request.
        sector: of its header.
        length: bytes of data.
        segments: of discard, write zeroes and secure erase: sector, count, flags.
        prio: the header's second field.
        header, room: bytes of header and status.
        queue: number of the queue.
        pieces: how many buffers the data are cut into.
        times: how often the segments, ``count``: how often the request is made.
        joined: what shares a buffer with the data.
        turned: the data have the wrong direction.
        same: the data are in the buffers of the request before.
        fill: the byte that all data have.
        allowed: status bytes that are right; None for any, or none.
    """

    kind: int
    sector: str = "0"
    length: str = "0"
    segments: tuple[tuple[str, str, str], ...] = ()
    prio: int = 0
    header: int = bits.HEADER_BYTES
    room: int = 1
    queue: int = 0
    pieces: str = "1"
    times: str = "1"
    count: str = "1"
    joined: Joined = ""
    turned: bool = False
    same: bool = False
    fill: int = 0xA5
    allowed: frozenset[int] | None = None

    @property
    def out(self) -> bool:
        """Whether the device reads the data."""
        return (self.kind in _OUT or self.kind == bits.T_ZONE_APPEND) != self.turned


def parse(step: str) -> list[BlkStep]:
    """Read a step; requests of one notification stand between ``&``.

    Raises:
        WrongStepError: it has an unknown word.
    """
    return [_request(part.strip()) for part in step.split("&")]


def _request(text: str) -> BlkStep:
    call, _, wanted = text.partition(" is ")
    words = call.split()
    if wanted and wanted not in STATUSES:
        raise WrongStepError(f"unknown status {wanted!r} in {text!r}")
    plain = [word for word in words if "=" not in word]
    if not plain or len(plain) > 3:
        raise WrongStepError(f"write 'TYPE SECTOR LENGTH [NAME=VALUE …] [is STATUS]': {text!r}")
    try:
        kind = TYPES[plain[0]] if plain[0] in TYPES else int(plain[0], 0)
    except ValueError:
        raise WrongStepError(f"unknown type {plain[0]!r} in {text!r}") from None
    found = BlkStep(kind, allowed=frozenset(STATUSES[wanted]) if wanted else None)
    if kind == bits.T_ZONE_APPEND:
        # Where the data went comes back before the status (section 5.2.6).
        found = replace(found, room=_SECTOR_AND_STATUS)
    place: dict[str, Any] = dict(zip(("sector", "length"), plain[1:], strict=False))
    found = replace(found, **place)
    for word in words:
        if "=" in word:
            name, _, value = word.partition("=")
            found = replace(found, **_option(name, value, text))
    for number in (found.sector, found.length, found.pieces, found.times, found.count):
        _parts(number)
    return found


def _option(name: str, value: str, text: str) -> dict[str, Any]:
    """The change that a word ``name=value`` makes."""
    if name == "segments":
        parts = [tuple(part.split(":")) for part in value.split(",")]
        if any(len(part) != 3 for part in parts):
            raise WrongStepError(f"a segment is SECTOR:COUNT:FLAGS: {text!r}")
        return {name: tuple(parts)}
    if name in ("prio", "header", "room", "queue", "fill"):
        return {name: int(value, 0)}
    if name in ("turned", "same"):
        return {name: value == "yes"}
    if name in ("pieces", "times", "count") or (name, value) in _JOINED:
        return {name: value}
    raise WrongStepError(f"unknown word {name!r} in {text!r}")


def _parts(text: str) -> tuple[int, str, int]:
    """A value's factor, field of the configuration, and distance from it."""
    match = _VALUE.fullmatch(text)
    if match is None or (match["name"] and match["name"] not in (*FIELDS, GREATEST)):
        raise WrongStepError(f"unknown value {text!r}")
    number = match["number"] or match["more"] or "0"
    return int(match["times"] or 1), match["name"] or "", int(number, 0)


def value(text: str, fields: Mapping[str, int]) -> int:
    """A number of a step: one as it is, or a field of the configuration and a distance."""
    factor, name, distance = _parts(text)
    base = (1 << 64) - 1 if name == GREATEST else fields[name] if name else 0
    return factor * base + distance


def names(steps: list[BlkStep]) -> set[str]:
    """The fields of the configuration that requests name."""
    texts = [
        text
        for step in steps
        for text in (
            step.sector, step.length, step.pieces, step.times, step.count,
            *(part for segment in step.segments for part in segment),
        )
    ]  # fmt: skip
    return {name for _, name, _ in map(_parts, texts)} & FIELDS.keys()


def build(memory: SharedMemory, step: BlkStep, fields: Mapping[str, int]) -> DriverRequest:
    """Make the request of a step in guest memory."""
    sector = value(step.sector, fields)
    length = value(step.length, fields)
    data = bytes((step.fill,)) * length
    if step.segments:
        one = b"".join(
            _RANGE.pack(*(value(part, fields) for part in segment)) for segment in step.segments
        )
        data = one * value(step.times, fields)
        data = data[: length or len(data)]
    head = struct.pack("<IIQ", step.kind, step.prio, sector).ljust(step.header, b"\0")
    count = max(value(step.pieces, fields), 1)
    cut = len(data) // count
    # Data that the device is not to read are there all the same.
    unreadable = step.turned and not step.out
    request = blk_request(
        memory,
        step.kind,
        sector,
        data if step.out or unreadable else len(data),
        (cut,) * (count - 1),
        header=head[: step.header],
        room=step.room,
        joined=step.joined,
    )
    if unreadable:
        request.buffers[1:-1] = [replace(one, write=True) for one in request.buffers[1:-1]]
    return request
