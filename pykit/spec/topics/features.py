# SPDX-License-Identifier: GPL-2.0-only
"""Feature negotiation and the reserved feature bits (sections 2.2 and 6)."""

from __future__ import annotations

from collections.abc import Callable

from pykit.spec import bits
from pykit.spec.lives import Features, Life
from pykit.spec.model import Check, Result, Violation, rule
from pykit.spec.view import View

NOT_SEEN = "no negotiation was seen"


def _every(view: View, judge: Callable[[Life, Features], str | None]) -> Result:
    """Judge each state of the negotiation; a judgement is what is wrong, or None."""
    checked = 0
    found: list[Violation] = []
    for life in view.lives.values():
        for seen in life.features:
            checked += 1
            wrong = judge(life, seen)
            if wrong:
                found.append(Violation((seen.row,), f"{life.name}: {wrong}"))
    return Result(checked, tuple(found), why=NOT_SEEN)


@rule("FB-DR-01", needs="driver:features", local=True)
def only_what_is_offered(view: View) -> Result:
    def judge(_: Life, seen: Features) -> str | None:
        extra = seen.acked & ~seen.offered
        return f"accepted though not offered: bits {bits.names_of(extra)}" if extra else None

    return _every(view, judge)


def _closed(view: View, *, device: bool) -> Result:
    """Features of types that have prerequisites, and whether these are there too."""
    checked = 0
    found: list[Violation] = []
    for life in view.lives.values():
        requires = bits.REQUIRES.get(life.id or 0)
        for seen in life.features if requires else []:
            value = seen.offered if device else seen.acked
            for bit, groups in (requires or {}).items():
                if not value >> bit & 1:
                    continue
                checked += 1
                lacks = [g for g in groups if not any(value >> other & 1 for other in g)]
                if lacks:
                    text = f"{life.name}: bit {bit} without {' or '.join(map(str, lacks[0]))}"
                    found.append(Violation((seen.row,), text))
    why = "no feature that has a prerequisite was there"
    return Result(checked, tuple(found), why=why)


@rule("FB-DR-02", needs="driver:features", local=True)
def accepted_with_prerequisites(view: View) -> Result:
    return _closed(view, device=False)


@rule("FB-DE-01", needs="driver:features", local=True)
def offered_with_prerequisites(view: View) -> Result:
    return _closed(view, device=True)


@rule("FB-DR-05", needs="driver:features", local=True)
def nothing_undescribed(view: View) -> Result:
    known = bits.COMMON_BITS | bits.RESERVED_BITS | bits.DEVICE_BITS | {42}

    def judge(_: Life, seen: Features) -> str | None:
        extra = seen.acked & ~bits.mask(known)
        return f"accepted, and described nowhere: bits {bits.names_of(extra)}" if extra else None

    return _every(view, judge)


@rule("FB-DR-06", needs="driver:features", local=True)
def nothing_reserved(view: View) -> Result:
    def judge(_: Life, seen: Features) -> str | None:
        extra = seen.acked & bits.mask(bits.RESERVED_BITS)
        return f"accepted, and reserved: bits {bits.names_of(extra)}" if extra else None

    return _every(view, judge)


def _by_life(view: View, judge: Callable[[Life, Features], str | None], why: str) -> Result:
    """Judge what each life's negotiation ended with; an empty judgement is a pass."""
    checked = 0
    found: list[Violation] = []
    for life in view.lives.values():
        last = life.negotiated
        wrong = judge(life, last) if last else None
        checked += wrong is not None
        if last and wrong:
            found.append(Violation((last.row,), f"{life.name}: {wrong}"))
    return Result(checked, tuple(found), why=why)


@rule("FB-DR-07", needs="driver:features", local=True)
def nothing_of_another_transport(view: View) -> Result:
    def judge(life: Life, seen: Features) -> str | None:
        if life.transport is None:
            return None
        extra = 0 if life.transport == "pci" else seen.acked & bits.mask(bits.PCI_BITS)
        return f"accepted, and only for PCI: bits {bits.names_of(extra)}" if extra else ""

    return _by_life(view, judge, "the transport is not known")


def _undescribed(life: Life, value: int) -> int | None:
    """Bits of the device type's range that the type does not describe; None: unknown type."""
    described = bits.TYPE_BITS.get(life.id or 0)
    return None if described is None else value & bits.mask(bits.DEVICE_BITS - described)


@rule("FB-DR-08", needs="driver:features", local=True)
def nothing_of_another_type(view: View) -> Result:
    def judge(life: Life, seen: Features) -> str | None:
        extra = _undescribed(life, seen.acked)
        if extra is None:
            return None
        return f"accepted, and not of this type: bits {bits.names_of(extra)}" if extra else ""

    return _by_life(view, judge, "features of this device type are not known to the kit")


@rule("FB-DE-04", needs="driver:features", local=True)
def nothing_that_cannot_be_kept(view: View) -> Result:
    common = bits.mask(bits.RESERVED_BITS | {25, 26, 31})

    def judge(life: Life, seen: Features) -> str | None:
        extra = seen.offered & common | (_undescribed(life, seen.offered) or 0)
        if life.transport not in (None, "pci"):
            extra |= seen.offered & bits.mask(bits.PCI_BITS)
        names = bits.names_of(extra)
        return f"offered, and not described by version 1.4: bits {names}" if extra else ""

    return _by_life(view, judge, NOT_SEEN)


@rule("FB-DE-02", needs=("driver:features", "driver:status"))
def valid_subset_is_accepted(view: View) -> Result:
    checked = 0
    found: list[Violation] = []
    for life in view.lives.values():
        kept = _kept(life)
        if kept is None or not _valid(life):
            continue
        checked += 1
        if not kept[1]:
            text = f"{life.name}: a valid subset of the offer was refused"
            found.append(Violation((kept[0],), text))
    return Result(checked, tuple(found), why="no FEATURES_OK was read back")


@rule("FB-DE-05", needs=("driver:features", "driver:status"))
def accepted_before_accepted_again(view: View) -> Result:
    checked = 0
    found: list[Violation] = []
    good: dict[int, set[tuple[int, int]]] = {}
    for life in view.lives.values():
        kept, last = _kept(life), life.negotiated
        if kept is None or last is None:
            continue
        # The offer may change with the device behind it; then it is another negotiation.
        known, asked = good.setdefault(life.dev, set()), (last.offered, last.acked)
        if asked in known:
            checked += 1
            if not kept[1]:
                text = f"{life.name}: features that were accepted before are refused"
                found.append(Violation((kept[0],), text))
        if kept[1]:
            known.add(asked)
    return Result(checked, tuple(found), why="no set of features was negotiated twice")


def _kept(life: Life) -> tuple[int, bool] | None:
    """The reading of the status after FEATURES_OK was written: its row, and whether it stood."""
    agreed = life.first_write(bits.FEATURES_OK)
    if agreed is None or not life.features:
        return None
    for status in life.status:
        if status.row > agreed.row:
            if status.op == bits.STATUS_READ:
                return status.row, bool(status.value & bits.FEATURES_OK)
            return None
    return None


def _valid(life: Life) -> bool:
    last = life.negotiated
    if last is None or last.acked & ~last.offered or not life.has(bits.VERSION_1):
        return False
    requires = bits.REQUIRES.get(life.id or 0, {})
    # A device may insist on these.
    insists = 1 << bits.ACCESS_PLATFORM | 1 << bits.ORDER_PLATFORM
    if last.offered & ~last.acked & insists:
        return False
    if life.id == bits.BLK_ID and last.offered & ~last.acked & 1 << bits.BLK_ZONED:
        return False
    return all(
        any(last.acked >> other & 1 for other in group)
        for bit, groups in requires.items()
        if last.acked >> bit & 1
        for group in groups
    )


def _accepts(bit: int, name: str) -> Check:
    def check(view: View) -> Result:
        def judge(_: Life, seen: Features) -> str | None:
            if not seen.offered >> bit & 1:
                return None
            return "" if seen.acked >> bit & 1 else f"{name} is offered, and was not accepted"

        return _by_life(view, judge, f"{name} was not offered")

    return check


rule("RF-DR-01", needs="driver:features")(_accepts(bits.VERSION_1, "VERSION_1"))
rule("RF-DR-03", needs="driver:features")(_accepts(bits.ACCESS_PLATFORM, "ACCESS_PLATFORM"))
rule("RF-DR-06", needs="driver:features")(_accepts(bits.RING_PACKED, "RING_PACKED"))
rule("RF-DR-07", needs="driver:features")(_accepts(bits.ORDER_PLATFORM, "ORDER_PLATFORM"))
rule("RF-DR-13", needs="driver:features")(_accepts(bits.NOTIF_CONFIG_DATA, "NOTIF_CONFIG_DATA"))


@rule("BO-DR-03", needs="driver:features")
def read_only_is_accepted(view: View) -> Result:
    def judge(life: Life, seen: Features) -> str | None:
        if life.id != bits.BLK_ID or not seen.offered >> bits.BLK_RO & 1:
            return None
        return "" if seen.acked >> bits.BLK_RO & 1 else "RO is offered, and was not accepted"

    return _by_life(view, judge, "RO was not offered")


@rule("RF-DE-01", needs="driver:features", local=True)
def version_1_is_offered(view: View) -> Result:
    def judge(life: Life, seen: Features) -> str | None:
        if life.legacy:
            return None
        return "" if seen.offered >> bits.VERSION_1 & 1 else "VERSION_1 is not offered"

    return _by_life(view, judge, "no negotiation was seen that is not the legacy interface's")


def _sr_iov(view: View, *, device: bool) -> Result:
    def judge(life: Life, seen: Features) -> str | None:
        if life.transport in (None, "pci"):
            return None
        value = seen.offered if device else seen.acked
        return "SR_IOV on a device that is not PCI" if value >> bits.SR_IOV & 1 else ""

    return _by_life(view, judge, "only PCI devices, whose SR-IOV capability the events do not show")


@rule("RF-DE-10", needs="driver:features", local=True)
def sr_iov_is_not_offered(view: View) -> Result:
    return _sr_iov(view, device=True)


@rule("RF-DR-10", needs="driver:features", local=True)
def sr_iov_is_not_accepted(view: View) -> Result:
    return _sr_iov(view, device=False)
