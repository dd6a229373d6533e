# SPDX-License-Identifier: GPL-2.0-only
"""Read capture.json and qmp.json into frozen dataclasses."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pykit.files import exists
from pykit.seal import SealedFile, broken
from pykit.trace.errors import (
    BadJsonError,
    MissingCaptureJsonError,
    NotACaptureError,
    UnknownSchemaError,
)
from pykit.trace.values import as_list, as_object, get, integer, load_json, number, objects, parse

SCHEMA = 1

#: QMP's queries of a device and of one of its queues.
STATUS_QUERY = "x-query-virtio-status"
QUEUE_QUERY = "x-query-virtio-queue-status"
#: The same of a queue that another process or the host's kernel serves: its addresses alone.
VHOST_QUEUE_QUERY = "x-query-virtio-vhost-queue-status"
#: What a ring held in the guest's memory, read beside the query of the queue.
RING_MEMORY = "ring-memory"
#: Whether the machine runs, whether the process behind a device is there, and which interrupts
#: of a PCI function are masked and pending.
MACHINE_QUERY, BACK_END, INTERRUPTS = "query-status", "back-end", "interrupts"

_OWN_INDICES = {"last-avail-idx", "inuse", "shadow-avail-idx", "signalled-used"}
#: Of the memory of a packed ring whose guest hung, by descriptor.
_DESCRIPTORS = {"ids", "flags"}

#: The outcome of a trace that pykit did not capture.
RECORDED = "recorded"
#: The driver of captures that ``pykit drive`` made, which does wrong on purpose.
DRIVER = "pykit-drive"


@dataclass(frozen=True)
class CapturedOutcome:
    """How the run ended: ``kind`` is ``clean`` or what went wrong."""

    kind: str
    message: str


@dataclass(frozen=True)
class CapturedDevice:
    """One device, in the order of device_add.

    ``type`` is QEMU's device name, ``options`` its properties, ``driver`` the
    guest driver that was to bind to it. ``legacy``: it has the legacy interface alone.
    """

    id: str
    type: str
    options: dict[str, Any]
    driver: str
    legacy: bool = False


@dataclass(frozen=True)
class Plug:
    """A device_add: shortly after these times the device ``device`` appeared.

    ``guest_ns`` is of the guest's clock and precedes all of the device's events, ``host_ns`` of
    the host's wall clock. A guest reuses the number of an unplugged device, and QEMU its memory:
    only the times distinguish them.
    """

    device: str
    guest_ns: int
    host_ns: int


@dataclass(frozen=True)
class CapturedStep:
    """One step of the workload: exit code, duration, last lines of output."""

    name: str
    rc: int
    seconds: float
    output: str


@dataclass(frozen=True)
class QmpAnswer:
    """One QMP query's answer; ``at`` is the state of the run at that time.

    ``time_ns`` is the host's wall clock, as in QEMU's log; None if unknown.
    """

    at: str
    device: str
    query: str
    queue: int | None
    answer: dict[str, Any]
    time_ns: int | None = None


@dataclass(frozen=True)
class Ended:
    """The host's clock when it requested the end of the trace, the guest's when it ended."""

    host_ns: int
    guest_ns: int


@dataclass(frozen=True)
class Seal:
    """What a run wrote: a number that only it has, the recorders that ran, its files by name."""

    run: str
    observers: tuple[str, ...]
    files: dict[str, SealedFile]


@dataclass(frozen=True)
class CaptureInfo:
    """The run that made a capture, and how it ended."""

    complete: bool
    clock: str
    cpus: int
    kernel: str
    qemu: str
    outcome: CapturedOutcome
    devices: tuple[CapturedDevice, ...]
    steps: tuple[CapturedStep, ...]
    qmp: tuple[QmpAnswer, ...]
    plugs: tuple[Plug, ...] = ()
    #: When the guest's own trace ended, where that is known.
    ended: Ended | None = None
    #: Blind spots of the observers, a line each.
    unseen: tuple[str, ...] = ()
    #: Troubles that the scenario provokes on purpose (pykit.scenario.model.Trouble).
    expects: tuple[str, ...] = ()
    #: None for a capture that an older pykit or another program made.
    seal: Seal | None = None

    @property
    def driven(self) -> bool:
        """Whether ``pykit drive`` made it: what its driver did wrong says nothing."""
        return any(device.driver == DRIVER for device in self.devices)

    def to_json(self) -> str:
        """Everything as one JSON text that ``from_json`` reads back."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, where: str) -> CaptureInfo:
        """Read back what ``to_json`` wrote; ``where`` names the file in errors."""
        data = as_object(parse(text, where), where)
        return _info(data, get(data, "qmp", list, where), "answer", where)


def recorded(path: Path, clock: str, cpus: int, kernel: str) -> CaptureInfo:
    """Return the capture information of a trace that pykit did not capture."""
    return CaptureInfo(
        complete=True,
        clock=clock,
        cpus=cpus,
        kernel=kernel,
        qemu="",
        outcome=CapturedOutcome(RECORDED, f"recorded elsewhere: {path}"),
        devices=(),
        steps=(),
        qmp=(),
    )


def changed_files(capture: Path) -> tuple[str, ...]:
    """Return a line for each file of a sealed capture that is not as the run wrote it.

    Raises: as ``read_info``.
    """
    about = read_info(capture).seal
    return tuple(entry.line for entry in broken(capture, about.files)) if about else ()


def read_info(capture: Path) -> CaptureInfo:
    """Read ``capture.json`` and, where it is there, ``qmp.json``.

    Raises:
        NotACaptureError, MissingCaptureJsonError, BadJsonError, UnknownSchemaError.
    """
    path = capture / "capture.json"
    if not capture.is_dir():
        raise NotACaptureError(f"{capture}: not a directory; name the capture/ of a run")
    if not exists(path):
        if (capture / "tracing").is_dir() or (capture / "qemu.log").is_file():
            raise MissingCaptureJsonError(
                f"{capture}: capture.json is missing; the run did not finish writing, run it again"
            )
        raise NotACaptureError(f"{capture}: not a capture (no capture.json); name a run's capture/")
    data = as_object(load_json(path, capture), str(path))
    qmp_path = capture / "qmp.json"
    answers: list[Any] = []
    if exists(qmp_path):
        answers = as_list(load_json(qmp_path, capture), str(qmp_path))
    return _info(data, answers, "return", str(path), str(qmp_path))


def _info(
    data: dict[str, Any], answers: list[Any], key: str, where: str, qmp_where: str = ""
) -> CaptureInfo:
    if data.get("schema") != SCHEMA:
        raise UnknownSchemaError(
            f"{where}: schema {data.get('schema')!r} is not known (this pykit reads {SCHEMA});"
            " use the pykit that wrote it"
        )
    outcome = as_object(data.get("outcome"), f"{where}: outcome")
    devices = tuple(_device(d, f"{where}: devices") for d in get(data, "devices", list, where))
    if len({device.id for device in devices}) < len(devices):
        raise BadJsonError(f"{where}: two devices have the same id")
    return CaptureInfo(
        complete=get(data, "complete", bool, where),
        clock=get(data, "clock", str, where),
        cpus=integer(data, "cpus", where),
        kernel=get(data, "kernel", str, where),
        qemu=get(data, "qemu", str, where),
        outcome=CapturedOutcome(
            get(outcome, "kind", str, where), get(outcome, "message", str, where)
        ),
        devices=devices,
        steps=tuple(_step(s, f"{where}: steps") for s in get(data, "steps", list, where)),
        qmp=tuple(_answer(a, key, qmp_where or f"{where}: qmp") for a in answers),
        plugs=_plugs(data, {device.id for device in devices}, where),
        ended=_ended(data, where),
        unseen=_texts(data, "unseen", where),
        expects=_texts(data, "expects", where),
        seal=_seal(data, where),
    )


def _texts(data: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
    return tuple(map(str, get(data, key, list, where) if key in data else ()))


def _seal(data: dict[str, Any], where: str) -> Seal | None:
    if data.get("seal") is None:
        return None
    where = f"{where}: seal"
    entry = as_object(data["seal"], where)
    files = as_object(entry.get("files"), f"{where}: files")
    return Seal(
        run=get(entry, "run", str, where),
        observers=_texts(entry, "observers", where),
        files={name: _sealed(value, f"{where}: {name}") for name, value in files.items()},
    )


def _sealed(value: Any, where: str) -> SealedFile:
    data = as_object(value, where)
    lines = integer(data, "lines", where, 0) if data.get("lines") is not None else None
    return SealedFile(integer(data, "bytes", where, 0), get(data, "sha256", str, where), lines)


def _ended(data: dict[str, Any], where: str) -> Ended | None:
    if data.get("ended") is None:
        return None
    where = f"{where}: ended"
    entry = as_object(data["ended"], where)
    return Ended(integer(entry, "host_ns", where), integer(entry, "guest_ns", where))


def _plugs(data: dict[str, Any], known: set[str], where: str) -> tuple[Plug, ...]:
    if "plugs" not in data:
        return ()
    plugs = tuple(
        Plug(
            device=get(entry, "device", str, f"{where}: plugs"),
            guest_ns=integer(entry, "guest_ns", f"{where}: plugs"),
            host_ns=integer(entry, "host_ns", f"{where}: plugs"),
        )
        for entry in objects(data, "plugs", where)
    )
    if stranger := next((plug.device for plug in plugs if plug.device not in known), None):
        raise BadJsonError(f"{where}: plugs: {stranger!r} is none of the devices")
    if len({plug.device for plug in plugs}) < len(plugs):
        raise BadJsonError(f"{where}: a device is plugged twice")
    return plugs


def _device(value: Any, where: str) -> CapturedDevice:
    data = as_object(value, where)
    return CapturedDevice(
        id=get(data, "id", str, where),
        type=get(data, "type", str, where),
        options=as_object(data.get("options", {}), f"{where}: options"),
        driver=get(data, "driver", str, where),
        legacy=get(data, "legacy", bool, where) if "legacy" in data else False,
    )


def _step(value: Any, where: str) -> CapturedStep:
    data = as_object(value, where)
    return CapturedStep(
        name=get(data, "name", str, where),
        rc=integer(data, "rc", where),
        seconds=number(data, "seconds", where),
        output=get(data, "output", str, where),
    )


def _answer(value: Any, key: str, where: str) -> QmpAnswer:
    data = as_object(value, where)
    query = get(data, "query", str, where)
    answer = as_object(data.get(key), f"{where}: {key}")
    _check_answer(query, answer, f"{where}: {query}")
    return QmpAnswer(
        at=get(data, "at", str, where),
        device=get(data, "device", str, where),
        query=query,
        queue=integer(data, "queue", where) if data.get("queue") is not None else None,
        answer=answer,
        time_ns=integer(data, "time_ns", where) if data.get("time_ns") is not None else None,
    )


def _check_answer(query: str, answer: dict[str, Any], where: str) -> None:
    """Check the parts of QEMU's answers that rules read (qapi/virtio.json)."""
    if query == STATUS_QUERY:
        get(as_object(answer.get("status"), f"{where}: status"), "statuses", list, where)
        for side in ("host-features", "guest-features"):
            if side in answer:
                features = as_object(answer[side], f"{where}: {side}")
                for key in {"dev-features", "transports"} & features.keys():
                    get(features, key, list, f"{where}: {side}")
                if "unknown-dev-features" in features:
                    # All 64 bits of a device's features.
                    integer(features, "unknown-dev-features", f"{where}: {side}", 0, (1 << 64) - 1)
    elif query == QUEUE_QUERY:
        integer(answer, "used-idx", where, 0, 0xFFFF)
        integer(answer, "vring-num", where, 0) if "vring-num" in answer else None
        for key in _OWN_INDICES & answer.keys():
            integer(answer, key, where, 0, 0xFFFF)
    elif query == VHOST_QUEUE_QUERY:
        integer(answer, "num", where, 0)
    elif query == RING_MEMORY:
        lists = _DESCRIPTORS & answer.keys()
        for key in answer.keys() - lists:
            integer(answer, key, where, 0, 0xFFFF)
        for key in lists:
            for word in get(answer, key, list, where):
                integer({key: word}, key, where, 0, 0xFFFF)
    elif query == INTERRUPTS:
        for key in {"masked-vectors", "pending-vectors"} & answer.keys():
            get(answer, key, list, where)
