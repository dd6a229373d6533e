# SPDX-License-Identifier: GPL-2.0-only
"""Events of both sides as the steps of a sequence diagram: around a moment, and a negotiation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from pykit.analysis.evidence import STATUS_BITS, bits_of
from pykit.analysis.requests import QUEUE
from pykit.analysis.ring.common import position
from pykit.analysis.transport import features_of, short_name
from pykit.spec import bits
from pykit.spec.packed import STRAY
from pykit.spec.view import View

Side = Literal["driver", "device"]

#: Steps of a diagram at most, and those behind the moment.
_STEPS, _AFTER = 18, 5
#: Steps of a negotiation at most.
_NEGOTIATION = 26

#: What an event is in a few words; ``{…}`` are its fields.
_WORDS = {
    "queue": "sets up queue {vq}, size {size}",
    "add": "adds head {head}, avail at {avail_idx}",
    "add_failed": "an add fails ({err})",
    "kick": "decides: {old} to {new}",
    "notify": "notifies",
    "interrupt": "interrupt, used at {used_idx}",
    "used": "takes id {id}, len {len}",
    "callback": "asks for interrupts",
    "detach": "takes a chain back",
    "desc": "descriptor {slot} of head {head}",
    "blk_start": "request of head {head} at sector {sector}",
    "blk_done": "request of head {head} ends, len {len}",
    "slot": "writes slot {slot}, id {id}, len {len}",
    "vhost_get": "takes head {head}",
    "vhost_used": "returns id {id}, len {len}",
    "vhost_signal": "decides: {old} to {new}",
    "vhost_notify": "asks for notifications",
    "dev_kick": "is notified",
    "dev_pop": "takes chain {avail_idx}",
    "dev_fill": "returns a chain, len {len}",
    "dev_flush": "publishes {count}",
    "dev_signal": "interrupts",
    "generation": "reads the generation",
    "config_change": "configuration changed",
}
#: Fields that have a wrap counter on packed rings.
_OFFSETS = ("old", "new", "avail_idx", "used_idx", "last_used")
#: Events of which a chain has many: steps only where a violation is about them.
_PARTS = frozenset({"desc", "slot", "blk_start", "blk_done"})
#: Values that turn one of the words around: field, and the words for 0.
_NEGATED = {
    "callback": ("enable", "asks for no interrupts"),
    "vhost_notify": ("enable", "asks for no notifications"),
}
_DECISIONS = {"kick": "needed", "vhost_signal": "sent"}
#: Events that cross over to the other side, whose step is the side that causes them.
_CROSSING = {"notify": "driver", "dev_signal": "device"}
_STAGES = {
    bits.BEGIN: "driver begins", bits.PROBED: "driver has probed", bits.PROBE_FAILED: "probe fails",
    bits.REMOVE: "driver removes", bits.REMOVED: "driver is removed", bits.FREEZE: "suspend",
    bits.RESTORE: "resume",
}  # fmt: skip


@dataclass(frozen=True)
class DiagramStep:
    """One step: the side that acts, in a few words.

    Attributes:
        time: ns on the guest's clock, None where it is not known.
        crosses: it reaches the other side: a notification, an interrupt, a register access.
        marked: a violation is about this event.
        row: of the event table.
    """

    side: Side
    text: str
    time: int | None
    crosses: bool
    marked: bool
    row: int


@dataclass(frozen=True)
class Negotiation:
    """How one life of a device began.

    Attributes:
        name: device and life.
        accepted, refused: features by name: offered and accepted, offered only.
        unoffered: accepted, though not offered.
    """

    dev: int
    life: int
    name: str
    steps: tuple[DiagramStep, ...]
    accepted: tuple[str, ...]
    refused: tuple[str, ...]
    unoffered: tuple[str, ...]


def around(view: View, rows: tuple[int, ...]) -> tuple[DiagramStep, ...]:
    """Return the steps of both sides around the last of some events, on the guest's clock."""
    if not rows:
        return ()
    centre = view.events.base.row(rows[-1], named=True)
    if centre["vq"] is None:
        return ()
    here = pl.all_horizontal(pl.col(name).eq_missing(centre[name]) for name in QUEUE)
    known = pl.col("kind").is_in([*_WORDS.keys() - _PARTS])
    near = view.events.base.filter(here & (known | pl.col("row").is_in([*rows])))
    if centre["time"] is None:
        near = near.filter(pl.col("source") == centre["source"])
    else:
        near = near.filter(pl.col("time").is_not_null()).sort("time", "row")
    place = near["row"].index_of(centre["row"])
    if place is None:
        return ()
    low = max(place - _STEPS + _AFTER, 0)
    chosen = near["row"][low : low + _STEPS].to_list()
    events = {event["row"]: event for event in view.events.frames.rows_as_dicts(chosen)}
    marked = frozenset(rows)
    life = view.life(centre["dev"], centre["life"])
    if life.has(bits.RING_PACKED):
        events = {row: _placed(event) for row, event in events.items()}
    return tuple(_step(events[row], marked) for row in chosen)


def _placed(event: dict[str, Any]) -> dict[str, Any]:
    """An event of a packed ring, its offsets with their wrap counter in words."""
    if str(event["kind"]).startswith(("dev_", "vhost_")):
        return event
    return event | {name: position(event[name]) for name in _OFFSETS if name in event}


def negotiations(view: View, marked: frozenset[int] = frozenset()) -> Iterator[Negotiation]:
    """Yield the beginning of each life of which status or features were seen."""
    kinds = ("driver", "features", "status", "config", "generation", "dev_status", "queue")
    events = view.of(*kinds)
    types = {
        number: device.type
        for device in view.events.capture.devices
        for number in [view.events.devices.get(device.id)]
    }
    for (dev, number), life in view.lives.items():
        mine = events.filter((pl.col("dev") == dev) & (pl.col("life") == number))
        mine = mine.sort("time", "row") if not mine["time"].null_count() else mine
        rows, codes = mine["row"].to_list(), mine["kind"].cast(pl.String).to_list()
        if not {*codes} - {"driver"}:
            continue
        # The fields of the configuration are many, and mostly read in one go.
        rows = [
            row
            for n, row in enumerate(rows)
            if row in marked or n == 0 or codes[n] != "config" or codes[n - 1] != "config"
        ]
        wanted = [row for row in rows if row in marked][-_NEGOTIATION:]
        chosen = sorted({*wanted, *rows[: _NEGOTIATION - len(wanted)]}, key=rows.index)
        dicts = {event["row"]: event for event in view.events.frames.rows_as_dicts(chosen)}
        steps = [_step(dicts[row], marked) for row in chosen]
        known = life.negotiated
        offered, acked = (known.offered, known.acked) if known else (0, 0)
        for stage in life.features:
            acked |= stage.acked & ~offered
        named = [
            (feature, short_name(feature["name"]) if feature["name"] else str(feature["bit"]))
            for feature in features_of(offered, acked, types.get(dev) or "")
        ]
        yield Negotiation(
            dev,
            number,
            life.name,
            tuple(steps),
            tuple(n for f, n in named if f["accepted"] and offered >> f["bit"] & 1),
            tuple(n for f, n in named if not f["accepted"]),
            tuple(n for f, n in named if not offered >> f["bit"] & 1),
        )


def _step(event: Mapping[str, Any], marked: frozenset[int]) -> DiagramStep:
    kind = str(event["kind"])
    # The driver reads such a slot; it is the device that wrote it.
    stray = kind == "slot" and event["pos"] == STRAY
    device = stray or kind.startswith(("dev_", "vhost_"))
    crosses = kind in _CROSSING or (kind == "vhost_signal" and bool(event.get("sent")))
    side: Side = "device" if device else "driver"
    text = _words(kind, event)
    if kind in ("status", "config", "generation", "features"):
        crosses = True
    return DiagramStep(side, text, event.get("time"), crosses, event["row"] in marked, event["row"])


def _words(kind: str, event: Mapping[str, Any]) -> str:
    if kind == "driver":
        return _STAGES.get(event.get("stage", -1), "driver joined")
    if kind in ("status", "dev_status"):
        return _status(kind, event)
    if kind == "features":
        offered, acked = event.get("offered", 0), event.get("acked", 0)
        text = f"accepts {(acked & offered).bit_count()} of {offered.bit_count()} features"
        extra = acked & ~offered
        return f"{text} and bits {bits.names_of(extra)}" if extra else text
    if kind == "config":
        verb = "writes" if event.get("write") else "reads"
        return f"{verb} the configuration at {event.get('offset', '?')}"
    if kind in _NEGATED and not event.get(_NEGATED[kind][0]):
        return _NEGATED[kind][1]
    if kind in _DECISIONS:
        needed = "notify" if kind == "kick" else "interrupt"
        verdict = needed if event.get(_DECISIONS[kind]) else f"do not {needed}"
        return f"{_WORDS[kind].format_map(_Known(event))}: {verdict}"
    return _WORDS.get(kind, kind).format_map(_Known(event))


def _status(kind: str, event: Mapping[str, Any]) -> str:
    value = event.get("status", 0)
    names = bits_of(value, STATUS_BITS).replace("|", " ")
    if kind == "dev_status":
        return f"status is {names}" if value else "is reset"
    if event.get("op") == bits.STATUS_RESET:
        return "resets the device"
    return f"{'reads' if event.get('op') == bits.STATUS_READ else 'writes'} {names}"


class _Known(dict[str, Any]):
    """An event's fields; a question mark for one that was not seen."""

    def __missing__(self, key: str) -> str:
        return "?"
