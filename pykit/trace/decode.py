# SPDX-License-Identifier: GPL-2.0-only
"""Decode a capture directory to its events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import polars as pl

from pykit.files import exists
from pykit.trace import driven, pciconfig, structures, tapped
from pykit.trace.access import read_accesses, read_answers, register_places
from pykit.trace.asked import asked_features
from pykit.trace.capture import CapturedDevice, CaptureInfo, read_info, recorded
from pykit.trace.errors import CaptureError, EmptyTraceError, MissingFormatsError
from pykit.trace.events import Events, join, one_clock
from pykit.trace.frames import Frames
from pykit.trace.guest import DecodedGuest, decode_guest
from pykit.trace.identity import number_guest
from pykit.trace.kinds import INSIDE, REGISTERS
from pykit.trace.lives import guest_lives
from pykit.trace.losses import Loss, gap_losses, seal_losses, total
from pykit.trace.placed import is_whole, with_registers
from pykit.trace.qemu import read_log
from pykit.trace.rebuilt import driver_events
from pykit.trace.registers import Named
from pykit.trace.rings import read_rings
from pykit.trace.serving import join_vhost
from pykit.trace.survey import read_survey
from pykit.trace.tracing import Tracing, read_tracing

_OUR_DRIVERS = "pykit_"


def load(capture: Path) -> Events:
    """Decode a capture directory, or a trace.dat of trace-cmd's.

    Damage inside the data does not raise: what can be decoded is kept, and ``losses`` has the
    rest. An incomplete capture is a loss as well.

    Raises:
        NotACaptureError, MissingCaptureJsonError, MissingFormatsError, BadJsonError,
        UnknownSchemaError, BadFormatError, BadDatError, EmptyTraceError: it cannot be used.
        DamageError: nothing at all could be decoded, and this is why.
    """
    tracing, log = capture / "tracing", capture / "qemu.log"
    saved: Tracing | None = None
    if capture.is_file():
        saved = read_tracing(capture)
        info = recorded(capture, saved.clock, len(saved.files), saved.release)
    else:
        info = read_info(capture)
        if tracing.is_dir():
            saved = read_tracing(tracing, capture)
        elif exists(capture / driven.FILE):
            return _driven(capture, info)
        elif tapped.folders(capture) and not exists(log):
            return _tapped(capture, info)
        elif not exists(log):
            raise MissingFormatsError(
                f"{capture}: neither tracing/ nor qemu.log; run the capture again"
            )
    losses: list[Loss] = []
    if info.seal is not None:
        losses += seal_losses(capture, info.seal.files)
    if not info.complete:
        losses.append(Loss(1, f"the capture is not complete: {info.outcome.message}"))
    guest: DecodedGuest | None = None
    inside: Frames | None = None
    outside: pl.DataFrame | None = None
    rebuilt: frozenset[str] | None = None
    if saved is not None:
        guest = decode_guest(saved)
        inside = number_guest(guest.frames, info.plugs)
        inside = replace(inside, base=inside.base.with_columns(guest_lives(inside)))
        losses += [*guest.losses, *gap_losses(inside)]
        inside = join_vhost(inside, guest.frames.base["dev"])
    surveyed = read_survey(capture) if capture.is_dir() else None
    devices = number_devices(info, guest.frames.base if guest else None)
    looks: dict[int, int] | None = None
    answers = read_answers(capture) if exists(capture / "access.bin") else None
    if exists(log):
        numbers = None if saved is None else list(devices.values())
        places = register_places(answers) if numbers is None and answers is not None else ()
        plugged = [plug.host_ns for plug in info.plugs]
        decoded = read_log(log, numbers, plugged, capture, surveyed, places)
        if numbers is None:
            info, devices = named_devices(info, decoded.devices)
        losses += decoded.losses
        outside, looks = decoded.rows, decoded.looks
        if numbers is None:
            asked = asked_features(info, devices, outside)
            outside = pl.concat([asked, outside], how="diagonal")
        if surveyed is not None:
            config = pciconfig.accesses(decoded.config, surveyed, devices, info.plugs)
            several = structures.accesses(decoded.structures, surveyed, devices, info.plugs)
            outside = pl.concat([outside, config, several], how="diagonal")
    if answers is not None:
        accesses = read_accesses(capture, devices, info.plugs, answers)
        losses += accesses.losses
        seen = [accesses.rows] if outside is None else [outside, accesses.rows]
        outside = pl.concat(seen, how="diagonal_relaxed")
        disks = frozenset(
            devices[d.id] for d in info.devices if "-blk" in d.type and d.id in devices
        )
        made = driver_events(accesses, disks, outside) if saved is None else None
        if made is not None and is_whole(made.rows, outside):
            outside, rebuilt = with_registers(made.rows, outside), made.kinds | {*REGISTERS}
    if exists(capture / "rings.npy") and outside is not None:
        watched = read_rings(capture, devices, outside)
        losses += watched.losses
        outside = pl.concat([outside, watched.rows], how="diagonal_relaxed")
    taps = tapped.folders(capture)
    also = tapped.BACK_END if taps else ()
    for name, folder in taps.items():
        if outside is None or name not in devices:
            raise CaptureError(f"{folder}: {name!r} is none of the capture's devices")
        carried, cut = tapped.read_tap(folder, devices[name])
        losses += cut
        carried = tapped.from_outside(carried, outside)
        outside = pl.concat([outside, carried], how="diagonal_relaxed")
    if surveyed is not None:
        shown = surveyed.rows(devices, looks)
        seen = [shown] if outside is None else [outside, shown]
        outside = pl.concat(seen, how="diagonal_relaxed")
    if outside is not None and info.ended is not None:
        # A busy guest still uses its devices after its own trace has ended.
        late = (pl.col("ts") > info.ended.host_ns).fill_null(False)
        outside = outside.filter(~late)
    frames, fields = join(inside, outside, guest.extra if guest else {})
    # A guest that ran already may have done nothing: what QMP answered is all there is to see.
    attached = saved is None and any(answer.at == "begin" for answer in info.qmp)
    if not attached and frames.base.filter(pl.col("source") != "survey").is_empty():
        if guest and guest.damage:
            raise guest.damage[0]
        raise EmptyTraceError(f"{capture}: no events; was tracing on while the workload ran?")
    frames, alignment = one_clock(frames, total(losses))
    if rebuilt is not None:
        # All observers have the host's clock.
        frames = replace(frames, base=frames.base.with_columns(pl.col("ts").alias("time")))
        alignment = "all seen from outside"
    return Events(
        frames=frames,
        lost=total(losses),
        losses=tuple(loss.line for loss in losses),
        capture=info,
        devices=devices,
        fields=fields,
        alignment=alignment,
        # A recorder saves the formats of those events that it switched on.
        recorded=frozenset((*guest.extra, *also)) if guest else rebuilt,
    )


def _driven(capture: Path, info: CaptureInfo) -> Events:
    """What a driver of the kit wrote down of one device, and what QEMU logged of it."""
    losses = list(seal_losses(capture, info.seal.files)) if info.seal is not None else []
    if not info.complete:
        losses.append(Loss(1, f"the capture is not complete: {info.outcome.message}"))
    logged: pl.DataFrame | None = None
    if exists(capture / driven.LOG):
        decoded = read_log(capture / driven.LOG, [0], within=capture)
        losses += decoded.losses
        logged = decoded.rows
    rows = driven.read_driven(capture, logged)
    if rows.base.is_empty():
        raise EmptyTraceError(f"{capture}: no events: drive the device again")
    return _one_clock_only(join(rows, None, {}), losses, info)


def _tapped(capture: Path, info: CaptureInfo) -> Events:
    """What a tap saw of one device, beside which there was no other observer."""
    ((name, folder), *_) = tapped.folders(capture).items()
    numbers = {device.id: number for number, device in enumerate(info.devices)}
    if name not in numbers:
        raise CaptureError(f"{folder}: {name!r} is none of the capture's devices")
    rows, losses = tapped.read_tap(folder, numbers[name])
    if info.seal is not None:
        losses = [*seal_losses(capture, info.seal.files), *losses]
    if rows.is_empty():
        raise EmptyTraceError(f"{capture}: no events: did a front-end start a queue?")
    if not info.complete:
        losses.append(Loss(1, f"the capture is not complete: {info.outcome.message}"))
    events = _one_clock_only(join(None, rows.drop("row"), {}), losses, info)
    return replace(events, recorded=frozenset(tapped.TAPPED))


def _one_clock_only(
    joined: tuple[Frames, dict[str, tuple[str, ...]]], losses: Sequence[Loss], info: CaptureInfo
) -> Events:
    """Return events of one observer, whose clock is the time."""
    frames, fields = joined
    frames = replace(frames, base=frames.base.with_columns(pl.col("ts").alias("time")))
    return Events(
        frames=frames,
        lost=total(losses),
        losses=tuple(loss.line for loss in losses),
        capture=info,
        devices={device.id: number for number, device in enumerate(info.devices)},
        fields=fields,
        alignment="one side only",
    )


def load_log(path: Path) -> Events:
    """Decode a QEMU trace log without a capture.

    Raises:
        CaptureError: it cannot be read, EmptyTraceError: it has none of QEMU's virtio events.
    """
    decoded = read_log(path, None)
    if decoded.rows.is_empty():
        raise EmptyTraceError(
            f"{path}: no virtio events of QEMU's: "
            "record it with -trace 'virtio_*' -trace 'virtqueue_*'"
        )
    info, devices = named_devices(recorded(path, "", 0, ""), decoded.devices)
    frames, fields = join(None, decoded.rows, {})
    return Events(
        frames=frames,
        lost=total(decoded.losses),
        losses=tuple(loss.line for loss in decoded.losses),
        capture=info,
        devices=devices,
        fields=fields,
        alignment="one side only",
    )


def named_devices(info: CaptureInfo, found: Sequence[Named]) -> tuple[CaptureInfo, dict[str, int]]:
    """Give the devices of a QEMU log the ids that the capture has for them.

    A device gets the id of the one in QEMU whose registers are at its place; else that of the
    only one of its type in the capture, if the log has only one as well. Any other is named after
    its type and number, as it could be any of several.
    """
    by_id = {device.id: device for device in info.devices}
    surveyed = {seen.id for seen in found} & by_id.keys()
    waiting = list(info.devices)
    named = []
    for number, seen in enumerate(found):
        kind = seen.type or "virtio"
        alike = [d for d in info.devices if d.type.startswith(kind) and d.id not in surveyed]
        others = [other for other in found if other.type == seen.type and other.id not in surveyed]
        known = by_id.get(seen.id or "")
        if known is not None and known in waiting:
            match = known
            waiting.remove(match)
        elif len(alike) == 1 and len(others) == 1:
            match = alike[0]
            waiting.remove(match)
        else:
            match = CapturedDevice(f"{kind}-{number}", kind + seen.transport, {}, "")
        named.append(replace(match, legacy=seen.legacy))
    # Devices that the log does not show, if all in the log have a known type.
    types = [seen.type for seen in found]
    silent = [d for d in waiting if not any(t is None or d.type.startswith(t) for t in types)]
    numbers = {device.id: number for number, device in enumerate((*named, *silent))}
    return replace(info, devices=(*named, *waiting)), numbers


def number_devices(info: CaptureInfo, guest: pl.DataFrame | None) -> dict[str, int]:
    """``dev`` of each device, by id, in the order in which they were added.

    Where the capture says when that was, they are numbered by it. Else the guest numbers
    its virtio devices itself, its own transport's among them: devices with one of our
    drivers take, in order, the numbers that the driver's events have, the others what is
    left, from 0.
    """
    if info.plugs:
        return {plug.device: number for number, plug in enumerate(info.plugs)}
    seen: list[int] = []
    if guest is not None:
        seen = sorted(guest.filter(pl.col("source").is_in(INSIDE))["dev"].drop_nulls().unique())
    ours = [device.id for device in info.devices if device.driver.startswith(_OUR_DRIVERS)]
    numbers = dict(zip(ours, seen, strict=False))
    free = (number for number in count() if number not in seen)
    return {
        device.id: numbers[device.id] if device.id in numbers else next(free)
        for device in info.devices
    }
