# SPDX-License-Identifier: GPL-2.0-only
"""What the transport survey and QMP saw of each device, for `pykit show`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pykit import pci
from pykit.spec.survey import NUM_QUEUES, Function, Look, functions, slots
from pykit.spec.view import View
from pykit.trace import Events
from pykit.trace.asked import NAMES
from pykit.trace.capture import QUEUE_QUERY
from pykit.trace.kinds import SET_UP

_GENERATION, _VECTOR = (0x15, 1), (0x1A, 2)
_SELECTED, _NO_VECTOR = (0x16, 2), 0xFFFF
_MMIO = {"magic": 0x00, "version": 0x04, "device": 0x08, "vendor": 0x0C, "generation": 0xFC}
#: Names of bits that all devices share; those of a type depend on it.
_COMMON = {bit: name for name, bit in NAMES.items() if name.startswith(("VIRTIO_F", "VIRTIO_RING"))}
_BY_TYPE = {"-blk": "VIRTIO_BLK_F_", "-net": "VIRTIO_NET_F_"}


def devices(events: Events) -> list[dict[str, Any]]:
    """Return one entry a surveyed device: its last look, its queues and its features."""
    view = View(events)
    last: dict[Any, Look] = {}
    for look in (*functions(view), *slots(view)):
        last[look.row if look.dev is None else look.dev] = look
    found = []
    for look in sorted(last.values(), key=lambda look: look.row):
        known = _function(look) if isinstance(look, Function) else _slot(look)
        found.append({"dev": look.dev, **_named(events, look.dev), **known, **_used(view, look)})
    return found


def _named(events: Events, dev: int | None) -> dict[str, Any]:
    """Return a device's id and type, by its number."""
    names = {name for name, number in events.devices.items() if number == dev}
    for device in events.capture.devices:
        if device.id in names:
            return {"id": device.id, "type": device.type}
    return {"id": None, "type": ""}


def _function(look: Function) -> dict[str, Any]:
    head = look.head
    names = (
        "place", "vendor_id", "device_id", "subsystem_vendor_id", "subsystem_id", "revision_id",
    )  # fmt: skip
    return {
        "transport": "pci-legacy" if look.legacy else "pci",
        **{name: head[name] for name in names},
        "problem": head["problem"],
        "bars": [
            {"bar": n, "start": bar.start, "length": bar.length, "io": bar.io}
            for n, bar in sorted(look.bars.items())
        ],
        "capabilities": [
            {
                "pos": cap.pos,
                "name": pci.CFG_TYPES.get(-1 if cap.cfg_type is None else cap.cfg_type, "other"),
                "bar": cap.bar,
                "offset": cap.start,
                "length": cap.length,
                "multiplier": cap.multiplier,
            }
            for cap in look.virtio
        ],
        "vectors": next((cap.vectors for cap in look.caps if cap.vectors is not None), None),
        "queues": look.value("common", NUM_QUEUES),
        "generation": look.value("common", _GENERATION),
        "selected": look.value("common", _SELECTED),
        "selected_vector": look.value("common", _VECTOR),
    }


def _slot(look: Look) -> dict[str, Any]:
    values = {name: look.value("mmio", (offset, 4)) for name, offset in _MMIO.items()}
    legacy = values["version"] == 1
    return {"transport": "mmio-legacy" if legacy else "mmio", **values}


def _used(view: View, look: Look) -> dict[str, Any]:
    """Return the sizes of a device's queues, and its features as last negotiated."""
    events = view.events
    named = _named(events, look.dev)
    set_up = view.of("queue").filter(op=SET_UP, dev=look.dev) if look.dev is not None else None
    sizes = {} if set_up is None else dict(set_up.select("vq", "size").iter_rows())
    sizes |= {
        answer.queue: answer.answer["vring-num"]
        for answer in events.capture.qmp
        if answer.query == QUEUE_QUERY
        and answer.queue is not None
        and answer.device == named["id"]
        and isinstance(answer.answer.get("vring-num"), int)
    }
    lives = [life for life in view.lives.values() if life.dev == look.dev and life.negotiated]
    features = None
    if look.dev is not None and lives and lives[-1].negotiated:
        last = lives[-1].negotiated
        features = list(features_of(last.offered, last.acked, named["type"]))
    vectors = _vectors(view, look.dev)
    return {
        "virtqueues": [
            {"queue": q, "size": sizes.get(q), "vector": vectors.get(q)}
            for q in sorted(sizes.keys() | vectors.keys())
        ],
        "features": features,
    }


def _vectors(view: View, dev: int | None) -> dict[int, int]:
    """Return the MSI-X vector of each queue that a driver last read back, by queue.

    What it reads after it gave the vector back counts only where it never had one.
    """
    if dev is None:
        return {}
    reads = view.of("register").filter(register="queue_vector", write=0, dev=dev)
    pairs = reads.drop_nulls(["vq", "value"]).select("vq", "value").rows()
    return dict(pairs) | {vq: value for vq, value in pairs if value != _NO_VECTOR}


def features_of(offered: int, acked: int, kind: str) -> Iterator[dict[str, Any]]:
    """Yield features that are offered or accepted, by bit; ``kind``: the device's type."""
    prefix = next((prefix for part, prefix in _BY_TYPE.items() if part in kind), None)
    own = {bit: name for name, bit in NAMES.items() if prefix and name.startswith(prefix)}
    for bit in range(64):
        if (offered | acked) >> bit & 1:
            name = own.get(bit) or _COMMON.get(bit)
            yield {"bit": bit, "name": name, "accepted": bool(acked >> bit & 1)}


def lines(found: list[dict[str, Any]]) -> Iterator[str]:
    """Return the text of ``devices``, some lines for each."""
    for device in found:
        name = "" if device["dev"] is None else f"device {device['dev']}"
        title = " ".join(filter(None, (name, device["id"], device["type"])))
        if device["transport"].startswith("mmio"):
            yield f"{title}: {device['transport']}, {_registers(device)}"
        else:
            yield f"{title}: {device['transport']} at {device['place']}, {_ids(device)}"
            yield from _structures(device)
        yield from _negotiated(device)


def _registers(device: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {device[name]:#x}" for name in ("version", "device", "vendor", "generation")
        if device[name] is not None
    )  # fmt: skip


def _ids(device: dict[str, Any]) -> str:
    return (
        f"{device['vendor_id']:04x}:{device['device_id']:04x}"
        f" ({device['subsystem_vendor_id']:04x}:{device['subsystem_id']:04x})"
        f" revision {device['revision_id']}"
    )


def _structures(device: dict[str, Any]) -> Iterator[str]:
    if device["problem"]:
        yield f"  capability lists: {device['problem']}"
    for cap in device["capabilities"]:
        text = f"  {cap['name']:13} at {cap['pos']:#04x}"
        if cap["name"] != "pci" and cap["offset"] is not None and cap["length"] is not None:
            text += f": BAR {cap['bar']} offset {cap['offset']:#x} length {cap['length']:#x}"
        if cap["multiplier"] is not None:
            text += f" multiplier {cap['multiplier']}"
        yield text
    for bar in device["bars"]:
        yield (
            f"  BAR {bar['bar']}: {'ports' if bar['io'] else 'memory'} at {bar['start']:#x},"
            f" {bar['length']:,} bytes"
        )
    facts = [
        (device["vectors"], "MSI-X vectors: {}"),
        (device["queues"], "queues: {}"),
        (device["generation"], "configuration generation: {}"),
    ]
    if known := [text.format(value) for value, text in facts if value is not None]:
        yield f"  {', '.join(known)}"
    if device["selected"] is not None and device["selected_vector"] is not None:
        yield f"  queue {device['selected']} selected: {_vector(device['selected_vector'])}"


def _vector(number: int) -> str:
    return "no vector" if number == _NO_VECTOR else f"vector {number}"


def _negotiated(device: dict[str, Any]) -> Iterator[str]:
    for queue in device["virtqueues"]:
        size = "unknown size" if queue["size"] is None else f"size {queue['size']}"
        vector = "" if queue["vector"] is None else f", {_vector(queue['vector'])}"
        yield f"  queue {queue['queue']}: {size}{vector}"
    if device["features"] is None:
        return
    for accepted, title in ((True, "accepted"), (False, "only offered")):
        mine = [f for f in device["features"] if f["accepted"] == accepted]
        names = (short_name(f["name"]) if f["name"] else str(f["bit"]) for f in mine)
        yield f"  {title}: {' '.join(names) or 'nothing'}"


def short_name(name: str) -> str:
    """Return a feature's name without what all of them begin with."""
    return name.rpartition("_F_")[2]
