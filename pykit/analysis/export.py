# SPDX-License-Identifier: GPL-2.0-only
"""Export events and requests to the formats of other tools."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pykit.analysis.requests import requests
from pykit.analysis.timeline import TimelineSlice, depths, lanes
from pykit.errors import InfraError, UsageError
from pykit.toml import choice
from pykit.trace import Events
from pykit.trace.tracedat import write_dat
from pykit.trace.tracing import read_tracing

#: Lanes of a queue have numbers of their own in a viewer.
_LANES = 10_000


def export(events: Events, capture: Path, form: str, path: Path) -> None:
    """Write a run in one of FORMS to ``path``, which must not exist.

    ``capture`` is where the events came from: trace-cmd's format has the raw pages.

    Raises:
        UsageError: no such format, or the path is taken.
        InfraError: it cannot be written.
    """
    if form not in FORMS:
        raise UsageError(choice(form, FORMS, "format"))
    if path.exists():
        raise UsageError(f"{path} exists: name another, or remove it")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        FORMS[form](events, capture, temporary)
        temporary.replace(path)
    except OSError as error:
        raise InfraError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _parquet(events: Events, capture: Path, path: Path) -> None:
    events.write_parquet(path)


def _csv(events: Events, capture: Path, path: Path) -> None:
    events.table.write_csv(path)


def _requests(events: Events, capture: Path, path: Path) -> None:
    requests(events).write_parquet(path)


def _chrome(events: Events, capture: Path, path: Path) -> None:
    """Chrome's JSON, which Perfetto's viewer and chrome://tracing open; times in µs."""
    with path.open("w", encoding="utf-8") as file:
        file.write('{"displayTimeUnit": "ns", "traceEvents": [\n')
        for number, event in enumerate(_chrome_events(events)):
            file.write((",\n" if number else "") + json.dumps(event))
        file.write("\n]}\n")


def _chrome_events(events: Events) -> Iterator[dict[str, Any]]:
    table = requests(events)
    names = {number: name for name, number in events.devices.items()}
    for dev in table["dev"].unique().sort():
        label = f"{names.get(dev, 'device')} ({dev})"
        yield {"ph": "M", "name": "process_name", "pid": dev, "args": {"name": label}}
    for lane in lanes(table):
        place = {"pid": lane.dev, "tid": lane.vq * _LANES + lane.number}
        label = f"queue {lane.vq}" + (f", lane {lane.number}" if lane.number else "")
        yield {"ph": "M", "name": "thread_name", **place, "args": {"name": label}}
        for part in lane.slices:
            yield {
                "ph": "X", "name": part.name, **place, "ts": part.begin / 1000,
                "dur": (part.end - part.begin) / 1000, "args": part.args,
            }  # fmt: skip
    for depth in depths(table):
        for at, value in depth.steps:
            yield {
                "ph": "C", "name": f"depth of queue {depth.vq}", "pid": depth.dev,
                "ts": at / 1000, "args": {"requests": value},
            }  # fmt: skip


def _perfetto(events: Events, capture: Path, path: Path) -> None:
    """Perfetto's own protobuf, in ns."""
    # Half a megabyte of descriptors, which nothing else needs.
    from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as proto
    from perfetto.trace_builder.proto_builder import TraceProtoBuilder

    builder = TraceProtoBuilder()
    table = requests(events)
    names = {number: name for name, number in events.devices.items()}

    def track(uuid: int, parent: int | None, name: str, counter: bool = False) -> None:
        descriptor = builder.add_packet().track_descriptor
        descriptor.uuid = uuid
        descriptor.name = name
        if parent is not None:
            descriptor.parent_uuid = parent
        if counter:
            descriptor.counter.SetInParent()

    def mark(uuid: int, at: int, kind: int) -> Any:
        packet = builder.add_packet()
        packet.timestamp = at
        packet.trusted_packet_sequence_id = 1
        packet.track_event.type = kind
        packet.track_event.track_uuid = uuid
        return packet.track_event

    def draw(uuid: int, part: TimelineSlice) -> None:
        event = mark(uuid, part.begin, proto.TrackEvent.TYPE_SLICE_BEGIN)
        event.name = part.name
        for name, value in part.args.items():
            note = event.debug_annotations.add()
            note.name = name
            if isinstance(value, bool):
                note.bool_value = value
            else:
                note.uint_value = value

    def end(uuid: int, at: int) -> None:
        mark(uuid, at, proto.TrackEvent.TYPE_SLICE_END)

    def device(dev: int) -> int:
        return 1 + dev

    for dev in table["dev"].unique().sort():
        track(device(dev), None, f"{names.get(dev, 'device')} ({dev})")
    for lane in lanes(table):
        uuid = (lane.dev + 1) << 40 | (lane.vq + 1) << 16 | lane.number
        track(uuid, device(lane.dev), f"queue {lane.vq}")
        inside: int | None = None
        for part in lane.slices:
            if part.args:
                if inside is not None:
                    end(uuid, inside)
                draw(uuid, part)
                inside = part.end
            else:
                draw(uuid, part)
                end(uuid, part.end)
        if inside is not None:
            end(uuid, inside)
    for depth in depths(table):
        uuid = 1 << 60 | (depth.dev + 1) << 40 | (depth.vq + 1) << 16
        track(uuid, device(depth.dev), f"depth of queue {depth.vq}", counter=True)
        for at, value in depth.steps:
            mark(uuid, at, proto.TrackEvent.TYPE_COUNTER).counter_value = value
    path.write_bytes(builder.serialize())


def _trace_cmd(events: Events, capture: Path, path: Path) -> None:
    tracing = capture / "tracing"
    if not tracing.is_dir():
        raise UsageError(f"{capture}: no tracing/: there are no raw pages for a trace.dat")
    about = {"release": events.capture.kernel, "clock": events.capture.clock}
    write_dat(path, tracing, endian=read_tracing(tracing).endian, **about)


#: Each writes a file that does not exist yet.
FORMS: dict[str, Callable[[Events, Path, Path], None]] = {
    "parquet": _parquet,
    "csv": _csv,
    "requests": _requests,
    "chrome": _chrome,
    "perfetto": _perfetto,
    "trace-cmd": _trace_cmd,
}
