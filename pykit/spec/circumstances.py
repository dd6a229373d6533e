# SPDX-License-Identifier: GPL-2.0-only
"""What keeps a device, or the whole guest, from going on at the end of a trace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from pykit.spec import bits
from pykit.spec.standstill import Turn, host_end, name_of
from pykit.spec.timing import ONE_SIDE
from pykit.trace.capture import BACK_END, INTERRUPTS, MACHINE_QUERY, STATUS_QUERY

if TYPE_CHECKING:
    from pykit.spec.lives import Life
    from pykit.spec.view import View


@dataclass(frozen=True)
class Circumstance:
    """Why nothing moves, whatever the rings say.

    Attributes:
        dev: the device; None for the whole guest.
        turn: the side that has to act.
        words: what was seen.
    """

    dev: int | None
    turn: Turn
    words: str


def circumstances(view: View) -> tuple[Circumstance, ...]:
    """Return what QMP's last answers, and the device's last life, show of the end of a trace."""
    return view.keep("circumstances", lambda view: tuple(_find(view)))


def needs_reset(view: View, dev: int) -> bool:
    """Return whether a device waits for a reset at the end of a trace."""
    return any(found.dev == dev and found.turn == "driver" for found in circumstances(view))


def shows_needs_reset(answer: Mapping[str, Any]) -> bool:
    """Return whether the status of QMP's answer on a device has DEVICE_NEEDS_RESET."""
    return "NEEDS_RESET" in str(answer.get("status", {}).get("statuses", []))


def masked_interrupt(view: View, dev: int) -> str:
    """Say which interrupt of a device is masked and pending at each look; empty if none is."""
    looks = [
        answer.answer
        for answer in view.events.capture.qmp
        if answer.query == INTERRUPTS and view.events.devices.get(answer.device) == dev
    ]
    if not looks:
        return ""
    last = looks[-1]
    if last.get("kind") == "intx":
        held = all(look.get("masked") and look.get("pending") for look in looks)
        return "its INTx interrupt is pending, and disabled in the command register" if held else ""
    waiting = set.intersection(*(set(look.get("pending-vectors", ())) for look in looks))
    if not waiting:
        return ""
    vectors = ", ".join(map(str, sorted(waiting)))
    if last.get("masked"):
        return f"vector {vectors} is pending, and all of MSI-X is masked"
    masked = waiting & set(last.get("masked-vectors", ()))
    return f"vector {vectors} is pending, and masked in the MSI-X table" if masked else ""


def _find(view: View) -> Iterator[Circumstance]:
    last = {(answer.device, answer.query): answer for answer in view.events.capture.qmp}
    broken = set()
    for (name, query), answer in last.items():
        if query == MACHINE_QUERY and answer.answer.get("running") is False:
            why = answer.answer.get("status", "stopped")
            yield Circumstance(None, "host", f"the guest is stopped (QEMU's state: {why})")
        dev = view.events.devices.get(name)
        if dev is None:
            continue
        if query == BACK_END and answer.answer.get("connected") is False:
            yield Circumstance(dev, "device", "the process that serves it has closed its socket")
        is_broken = shows_needs_reset(answer.answer) or answer.answer.get("broken") is True
        if query == STATUS_QUERY and is_broken:
            broken.add(dev)
    lives = {life.dev: life for life in sorted(view.lives.values(), key=lambda life: life.number)}
    broken |= {dev for dev, life in lives.items() if _waits_for_reset(life)}
    for dev in sorted(broken):
        yield Circumstance(
            dev, "driver", f"{name_of(view, dev)} needs a reset (DEVICE_NEEDS_RESET), none came"
        )
    for dev in sorted({*_reset_by_others(view), *_reset_while_enabled(view)} - broken):
        words = (
            f"{name_of(view, dev)} was reset by another than its driver, which has not begun anew"
        )
        yield Circumstance(dev, "driver", words)


def _reset_while_enabled(view: View) -> set[int]:
    """Return the devices without a status at the last look whose MSI-X is enabled.

    A driver enables it behind its first status bits, and disables it at once when it has reset a
    device: so the device has been without a status from the first look on, or for a second.
    """
    statuses: dict[int, list[bool]] = {}
    kinds: dict[int, str] = {}
    for answer in view.events.capture.qmp:
        dev = view.events.devices.get(answer.device)
        if dev is not None and answer.query == STATUS_QUERY:
            statuses.setdefault(dev, []).append(_no_status(answer.answer))
        elif dev is not None and answer.query == INTERRUPTS:
            kinds[dev] = str(answer.answer.get("kind"))
    last = view.of("dev_status").group_by("dev").agg(pl.col("ts").max())
    logged = dict(last.drop_nulls().iter_rows())
    return {
        dev
        for dev, found in statuses.items()
        if found[-1]
        and len(found) > 1
        and kinds.get(dev) == "msi-x"
        and (found[0] or host_end(view) - logged.get(dev, host_end(view)) >= ONE_SIDE)
    }


def _reset_by_others(view: View) -> set[int]:
    """Return the devices without a status at the end, by log or QMP, whose driver reset them not.

    Only a driver that is traced in the guest is known not to have.
    """
    lives = {life.dev: life for life in sorted(view.lives.values(), key=lambda life: life.number)}
    logged = view.of("dev_status").drop_nulls("dev").sort("row")
    last = logged.group_by("dev", maintain_order=True).agg(pl.col("status").last())
    reset = set(last.filter(status=0)["dev"])
    for answer in view.events.capture.qmp:
        if answer.query == STATUS_QUERY and answer.answer.get("status") is not None:
            dev = view.events.devices.get(answer.device, -1)
            (reset.add if _no_status(answer.answer) else reset.discard)(dev)
    return {
        dev
        for dev, life in lives.items()
        if dev in reset
        and life.status
        and life.status[-1].op != bits.STATUS_RESET
        and not life.stage(bits.REMOVE)
    }


def _no_status(answer: Mapping[str, Any]) -> bool:
    """Return whether QMP's answer shows a device with a status of 0."""
    status = answer.get("status")
    return status is not None and not any(status.values())


def _waits_for_reset(life: Life) -> bool:
    """Return whether a device had declared itself broken, and its driver went on or went away."""
    if not life.needs_reset or life.stage(bits.REMOVE):
        return False
    return not life.status or life.status[-1].op != bits.STATUS_RESET
