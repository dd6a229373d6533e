# SPDX-License-Identifier: GPL-2.0-only
"""capture.json and qmp.json as frozen dataclasses."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from pykit.trace.errors import (
    BadJsonError,
    MissingCaptureJsonError,
    NotACaptureError,
    UnknownSchemaError,
)

SCHEMA = 1

#: How a guest ended whose trace came from elsewhere.
RECORDED = "recorded"

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """How the run ended: ``kind`` is ``clean`` or what went wrong."""

    kind: str
    message: str


@dataclass(frozen=True)
class Device:
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

    ``guest_ns`` is of the guest's clock and precedes all of its events, ``host_ns`` of the
    host's wall clock. Guests number a device like one that has gone, and QEMU puts it in
    the same memory: only the times tell them apart.
    """

    device: str
    guest_ns: int
    host_ns: int


@dataclass(frozen=True)
class Step:
    """One step of the workload: exit code, duration, last lines of output."""

    name: str
    rc: int
    seconds: float
    output: str


@dataclass(frozen=True)
class QmpAnswer:
    """One QMP query's answer; ``at`` says in which state of the run it was asked.

    ``time_ns`` is the host's wall clock, as in QEMU's log; None where nobody noted it.
    """

    at: str
    device: str
    query: str
    queue: int | None
    answer: dict[str, Any]
    time_ns: int | None = None


@dataclass(frozen=True)
class Ended:
    """The host's clock when the guest was told to end its trace, and the guest's when it had."""

    host_ns: int
    guest_ns: int


@dataclass(frozen=True)
class CaptureInfo:
    """What was run and how it ended, as the capture itself says."""

    complete: bool
    clock: str
    cpus: int
    kernel: str
    qemu: str
    outcome: Outcome
    devices: tuple[Device, ...]
    steps: tuple[Step, ...]
    qmp: tuple[QmpAnswer, ...]
    plugs: tuple[Plug, ...] = ()
    #: When the guest's own trace ended, where that is known.
    ended: Ended | None = None
    #: What the observers could not see, a line each.
    unseen: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Everything as one JSON text that ``from_json`` reads back."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, where: str) -> CaptureInfo:
        """Read back what ``to_json`` wrote; ``where`` names the file in errors."""
        data = _object(_parse(text, where), where)
        return _info(data, _list(data, "qmp", where), "answer", where)


def recorded(path: Path, clock: str, cpus: int, kernel: str) -> CaptureInfo:
    """What can be said of a trace that pykit did not capture."""
    return CaptureInfo(
        complete=True,
        clock=clock,
        cpus=cpus,
        kernel=kernel,
        qemu="",
        outcome=Outcome(RECORDED, f"by somebody else, in {path}"),
        devices=(),
        steps=(),
        qmp=(),
    )


def read_info(capture: Path) -> CaptureInfo:
    """Read ``capture.json`` and, where it is there, ``qmp.json``.

    Raises:
        NotACaptureError, MissingCaptureJsonError, BadJsonError, UnknownSchemaError.
    """
    path = capture / "capture.json"
    if not capture.is_dir():
        raise NotACaptureError(f"{capture}: not a directory; name the capture/ of a run")
    if not path.is_file():
        if (capture / "tracing").is_dir() or (capture / "qemu.log").is_file():
            raise MissingCaptureJsonError(
                f"{capture}: capture.json is missing; the run did not finish writing, run it again"
            )
        raise NotACaptureError(f"{capture}: not a capture (no capture.json); name a run's capture/")
    data = _object(_load(path), str(path))
    qmp_path = capture / "qmp.json"
    answers = _load(qmp_path) if qmp_path.is_file() else []
    if not isinstance(answers, list):
        raise BadJsonError(f"{qmp_path}: not a list")
    return _info(data, answers, "return", str(path), str(qmp_path))


def _info(
    data: dict[str, Any], answers: list[Any], key: str, where: str, qmp_where: str = ""
) -> CaptureInfo:
    if data.get("schema") != SCHEMA:
        raise UnknownSchemaError(
            f"{where}: schema {data.get('schema')!r} is not known (this pykit reads {SCHEMA});"
            " use the pykit that wrote it"
        )
    outcome = _object(data.get("outcome"), f"{where}: outcome")
    devices = tuple(_device(d, f"{where}: devices") for d in _list(data, "devices", where))
    if len({device.id for device in devices}) < len(devices):
        raise BadJsonError(f"{where}: two devices have the same id")
    return CaptureInfo(
        complete=_get(data, "complete", bool, where),
        clock=_get(data, "clock", str, where),
        cpus=_get(data, "cpus", int, where),
        kernel=_get(data, "kernel", str, where),
        qemu=_get(data, "qemu", str, where),
        outcome=Outcome(_get(outcome, "kind", str, where), _get(outcome, "message", str, where)),
        devices=devices,
        steps=tuple(_step(s, f"{where}: steps") for s in _list(data, "steps", where)),
        qmp=tuple(_answer(a, key, qmp_where or f"{where}: qmp") for a in answers),
        plugs=_plugs(data, {device.id for device in devices}, where),
        ended=_ended(data, where),
        unseen=tuple(map(str, _list(data, "unseen", where) if "unseen" in data else ())),
    )


def _ended(data: dict[str, Any], where: str) -> Ended | None:
    if data.get("ended") is None:
        return None
    entry, where = _object(data["ended"], f"{where}: ended"), f"{where}: ended"
    return Ended(
        host_ns=_get(entry, "host_ns", int, where), guest_ns=_get(entry, "guest_ns", int, where)
    )


def _plugs(data: dict[str, Any], known: set[str], where: str) -> tuple[Plug, ...]:
    if "plugs" not in data:
        return ()
    entries = [_object(entry, f"{where}: plugs") for entry in _list(data, "plugs", where)]
    plugs = tuple(
        Plug(
            device=_get(entry, "device", str, f"{where}: plugs"),
            guest_ns=_get(entry, "guest_ns", int, f"{where}: plugs"),
            host_ns=_get(entry, "host_ns", int, f"{where}: plugs"),
        )
        for entry in entries
    )
    if stranger := next((plug.device for plug in plugs if plug.device not in known), None):
        raise BadJsonError(f"{where}: plugs: {stranger!r} is none of the devices")
    if len({plug.device for plug in plugs}) < len(plugs):
        raise BadJsonError(f"{where}: a device is plugged twice")
    return plugs


def _device(value: Any, where: str) -> Device:
    data = _object(value, where)
    return Device(
        id=_get(data, "id", str, where),
        type=_get(data, "type", str, where),
        options=_object(data.get("options", {}), f"{where}: options"),
        driver=_get(data, "driver", str, where),
        legacy=_get(data, "legacy", bool, where) if "legacy" in data else False,
    )


def _step(value: Any, where: str) -> Step:
    data = _object(value, where)
    seconds = data.get("seconds")
    if not isinstance(seconds, int | float):
        raise BadJsonError(f"{where}: seconds is {seconds!r}, not a number")
    return Step(
        name=_get(data, "name", str, where),
        rc=_get(data, "rc", int, where),
        seconds=float(seconds),
        output=_get(data, "output", str, where),
    )


def _answer(value: Any, key: str, where: str) -> QmpAnswer:
    data = _object(value, where)
    queue = data.get("queue")
    if queue is not None and not isinstance(queue, int):
        raise BadJsonError(f"{where}: queue is {queue!r}, not a number or null")
    return QmpAnswer(
        at=_get(data, "at", str, where),
        device=_get(data, "device", str, where),
        query=_get(data, "query", str, where),
        queue=queue,
        answer=_object(data.get(key), f"{where}: {key}"),
        time_ns=_get(data, "time_ns", int, where) if data.get("time_ns") is not None else None,
    )


def _load(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadJsonError(f"{path}: cannot be read: {error}") from error
    return _parse(text, str(path))


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadJsonError(
            f"{where}: not JSON ({error}); the capture is damaged, run it again"
        ) from (error)


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadJsonError(f"{where}: not a JSON object")
    return value


def _list(data: dict[str, Any], key: str, where: str) -> list[Any]:
    return _get(data, key, list, where)


def _get(data: dict[str, Any], key: str, kind: type[T], where: str) -> T:
    value = data.get(key)
    # bool is an int to Python; a count that says "true" is still wrong.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise BadJsonError(f"{where}: {key} is {value!r}, not {kind.__name__}")
    return value
