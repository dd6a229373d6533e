# SPDX-License-Identifier: GPL-2.0-only
"""Decode ftrace data to typed columns: pages of all CPUs, merged by time, in batches.

Memory holds one window of pages of each CPU and one batch, however large the trace is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pykit.trace.columns import Extractor, Varying
from pykit.trace.errors import BadReferenceError
from pykit.trace.formats import EventField
from pykit.trace.pages import Array
from pykit.trace.records import SKIPPED
from pykit.trace.tracing import Tracing
from pykit.trace.walk import Walk

#: Records of a batch.
BATCH = 1 << 18


@dataclass(frozen=True)
class RecordBatch:
    """Records in the order of (time, CPU), a CPU's own in its order; arrays of one element each.

    Attributes:
        ts: i64, in the trace clock's unit.
        cpu: u16, number of the CPU.
        event: u16, id of the event.
        columns: by event id, the wanted fields by name: an array with an element for each of
            its records in the batch, in their order. Scalars have the field's own type; array
            fields a second dimension; __data_loc and __rel_loc are ``Varying``.
    """

    ts: npt.NDArray[np.int64]
    cpu: npt.NDArray[np.uint16]
    event: npt.NDArray[np.uint16]
    columns: dict[int, dict[str, Array | Varying]]


class Decoder:
    """The batches of a trace, once.

    Attributes:
        tracing: what is decoded.
        walk: knows what was wrong and what is lost, when all batches have been taken.
    """

    def __init__(
        self,
        tracing: Tracing,
        wanted: Mapping[int, Sequence[EventField]] | None = None,
        *,
        batch: int = BATCH,
    ) -> None:
        """Decode the events with the ids ``wanted``, and these fields of them; else all of all.

        Raises:
            CaptureError: a file cannot be read.
        """
        if wanted is None:
            wanted = {form.id: form.fields for form in tracing.formats.values()}
        self.tracing = tracing
        self.walk = Walk(tracing.files, tracing.layout, tracing.formats)
        self._ids = np.array(list(wanted), dtype=np.uint16)
        self._extractor = Extractor(list(wanted.values()), self.walk.windows.endian)
        self._cpus = np.array([file.cpu for file in tracing.files], dtype=np.uint16)
        self._batch = batch

    @property
    def seen(self) -> list[int]:
        """Records in each file so far, wanted or not."""
        return [int(count) for count in self.walk.windows.cursors["seen"]]

    def __iter__(self) -> Iterator[RecordBatch]:
        """Decode. Raises CaptureError where a file cannot be read."""
        slots = np.full(1 << 16, SKIPPED, dtype=np.int32)
        slots[self._ids] = np.arange(len(self._ids))
        windows = self.walk.windows
        for found in self.walk.records(slots, self._batch):
            columns, bad = self._extractor.columns(windows.buffer, found.at, found.size, found.slot)
            for at, detail in bad:
                self.walk.report(BadReferenceError(*windows.find(at), detail))
            yield RecordBatch(
                found.ts.copy(),
                self._cpus[found.owner],
                self._ids[found.slot],
                dict(zip(self._ids.tolist(), columns, strict=True)),
            )
