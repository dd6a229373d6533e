# SPDX-License-Identifier: GPL-2.0-only
"""Faults of what a device returns, made in the memory that its driver reads.

For device types of which there is no faulty back-end: what stands in the used ring is changed on
its way to the driver, as if the device had written it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from pykit.drive.memory import SharedMemory

_USED = struct.Struct("<II")


class FaultyMemory(SharedMemory):
    """Memory in which a driver finds other used lengths than the device wrote (split rings).

    Attributes:
        length: what each used length becomes.
    """

    length: Callable[[int], int] = int

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


@dataclass(frozen=True)
class AnswerFault:
    """A fault of one device type: what it does, the rules that fail, and rows that show it.

    Attributes:
        qemu: the device of QEMU's, where it is another than that of most runs of the type.
    """

    kind: str
    does: str
    rules: tuple[str, ...]
    memory: Callable[..., FaultyMemory] | None = EmptyAnswers
    rows: tuple[str, ...] = ()
    qemu: str = ""


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
    "net-empty": AnswerFault(
        "net", "return received packets without their header", ("NT-DE-01",), EmptyAnswers,
        ("net-received",),
    ),
    "9p-empty": AnswerFault(
        "9p", "return requests without a reply", ("NP-DE-01",), qemu="virtio-9p-pci"
    ),
    # A disk that stands where another device should.
    "disk-for-fs": AnswerFault("fs", "answer FUSE as a disk does", ("FU-DE-01",), None),
    "disk-for-vsock": AnswerFault(
        "vsock", "take buffers for packets as a disk does", ("VK-DE-01",), None,
        ("vsock-received",),
    ),
}  # fmt: skip
