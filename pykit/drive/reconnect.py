# SPDX-License-Identifier: GPL-2.0-only
"""Cases of a connection that ends with queues in use, and another that goes on with them.

What a back-end has left of its work stands in the record of chains in flight, where it has that
(QEMU, docs/interop/vhost-user.rst, Inflight I/O tracking). Rows: cases/reconnect.toml.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field, model_validator

from pykit.drive.inflight import FIELDS
from pykit.drive.rows import Layout, TableRow

#: How far the back-end came with the last chain: recorded as the next to return; returned, and not
#: recorded so; all done.
Progressed = Literal["", "returning", "returned", "done"]


class ReconnectRow(TableRow):
    """A row of the table of reconnections; ``clause`` names a message, as its document has no ids.

    Attributes:
        rings: for which layouts.
        before: good requests in the life until then.
        in_flight: chains that the back-end has taken and not returned.
        last: how far it came with one more.
        killed: its process is killed with chains that it may have taken; nothing is made up.
        inflight: the row is about the record.
        record: fields that are changed in the record, as ``NAME VALUE``; those of states in all.
    """

    rings: list[Layout] = Field(default=["split", "packed"])
    before: int = 3
    in_flight: int = 0
    last: Progressed = ""
    killed: bool = False
    inflight: bool = True
    record: list[str] = Field(default=[])

    @property
    def changes(self) -> tuple[tuple[str, int], ...]:
        """The fields that are changed, with their values."""
        pairs = (change.split() for change in self.record)
        return tuple((name, int(value, 0)) for name, value in pairs)

    @model_validator(mode="after")
    def _record(self) -> ReconnectRow:
        for name, _ in self.changes:
            for ring in self.rings:
                if name not in FIELDS[ring]:
                    raise ValueError(f"a {ring} queue's record has no field {name!r}")
        return self


@dataclass(frozen=True)
class ReconnectCase:
    """A row in one layout."""

    row: ReconnectRow
    ring: Layout

    @property
    def name(self) -> str:
        """Row and layout, such as ``flight-one/reconnect/split``."""
        return f"{self.row.name}/reconnect/{self.ring}"
