# SPDX-License-Identifier: GPL-2.0-only
"""What a run as a whole comes to, beyond the verdict of each rule.

A run may be broken although every rule holds: the device asked for a reset, requests were lost,
a queue stands still. And a run may show less than it seems to: where the rules that have something
to check in every sound run checked nothing, the rest proves little.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pykit.scenario import Trouble
from pykit.spec import bits
from pykit.spec.lives import ends_within
from pykit.spec.owed import carries_requests
from pykit.spec.reclaimed import renewals
from pykit.spec.rings import PACKED, SPLIT
from pykit.spec.standing import standstills
from pykit.spec.standstill import Standstill, name_of
from pykit.spec.timing import ONE_SIDE, PREEMPTED_TASK
from pykit.spec.undecided import first_adds
from pykit.spec.view import View
from pykit.trace.capture import STATUS_QUERY
from pykit.trace.kinds import BROKEN, DELETED, JOINED

#: A stage of a driver that its observer joined (see pykit_driver).
_JOINED_STAGE = 7
#: In a guest that hangs a queue need not be still for long to be the reason.
_HANG = "hang"


@dataclass(frozen=True)
class RunTrouble:
    """Something that broke in a run.

    Attributes:
        kind: the word that a scenario's ``expects`` has for it.
        sentence: what happened, to which device and queue.
        expected: the scenario provokes it on purpose.
    """

    kind: Trouble
    sentence: str
    expected: bool

    def as_json(self) -> dict[str, object]:
        """One entry of ``troubles`` in verdicts.json."""
        return {"kind": self.kind, "sentence": self.sentence, "expected": self.expected}


def troubles(view: View, contested: Sequence[str] = ()) -> tuple[RunTrouble, ...]:
    """Return what broke in a run, in order of what leads to what.

    ``contested`` are rules that look violated, where no rule fails.
    """
    expects = view.events.capture.expects
    found = [*_refused(view), *_resets_needed(view), *_lost(view), *_still(view)]
    if contested:
        words = f"{', '.join(contested)} look violated: either side may be to blame"
        found.append(("contested", words))
    return tuple(RunTrouble(kind, words, kind in expects) for kind, words in found)


_Found = Iterator[tuple[Trouble, str]]


def _refused(view: View) -> _Found:
    used = view.used
    refused = used.accepted == 0
    for q in sorted(set(used.q[refused].tolist())):
        mine = refused & (used.q == q)
        dev, _, vq = view.rings.queue[q]
        yield (
            "refused-used",
            f"the driver refused {int(mine.sum())} used entries of queue {vq} of "
            f"{name_of(view, dev)}, the first with id {int(used.id[mine][0])}",
        )


def _resets_needed(view: View) -> _Found:
    for life in view.lives.values():
        if life.needs_reset:
            yield "needs-reset", f"{name_of(view, life.dev)} set DEVICE_NEEDS_RESET"
    reported = set()
    for answer in view.events.capture.qmp:
        if answer.query != STATUS_QUERY or answer.device in reported:
            continue
        names = answer.answer.get("status", {}).get("statuses", [])
        asks = any("NEEDS_RESET" in str(name) for name in names)
        if asks or answer.answer.get("broken") is True:
            reported.add(answer.device)
            yield "needs-reset", f"{answer.device} is broken and waits for a reset, by QMP"


def _lost(view: View) -> _Found:
    """Requests that the driver took back; on other queues that is how buffers end.

    A driver that resets a queue alone and sets it up again takes back what it has outstanding.
    """
    rings = view.rings
    renewed = {before for before, _ in renewals(view)}
    queues = rings.of("queue")
    broken = set(queues["q"][queues["op"] == BROKEN].tolist())
    detached = rings.of("detach")["q"].tolist()
    for q in sorted(set(detached) - (renewed - broken)):
        dev, life, vq = rings.queue[q]
        count = detached.count(q)
        if carries_requests(view.life(dev, life).id, vq):
            why = " after the queue broke" if q in broken else ""
            yield (
                "lost-requests",
                f"the driver took {count} requests of queue {vq} of {name_of(view, dev)} back "
                f"unanswered{why}",
            )


def _still(view: View) -> _Found:
    for entry in standing_still(view):
        yield "standstill", entry.sentence


def still_limit(view: View, limit_ns: int | None = None) -> int:
    """Return for how long a queue has to be still: see ``standing_still``."""
    hangs = view.events.capture.outcome.kind == _HANG
    return limit_ns or (ONE_SIDE if hangs else PREEMPTED_TASK)


def standing_still(view: View, limit_ns: int | None = None) -> tuple[Standstill, ...]:
    """Return the queues that stand still for longer than a sound run has any for.

    That is 10 s, or 1 s in a guest that hangs, unless ``limit_ns`` is given. Where events were
    lost, a chain that seems to wait may be back: only QMP's own indices count.
    """
    limit = still_limit(view, limit_ns)
    return tuple(
        entry
        for entry in standstills(view)
        if entry.ns >= limit
        and (entry.requests or entry.state == "published")
        and (not view.events.lost or not entry.rows)
    )


# Core rules.


@dataclass(frozen=True)
class _Need:
    """Rules of which each checks something in any run of a kind."""

    what: str
    rules: tuple[str, ...]


#: Of a driver that is traced from its start on, with the modern or only with the legacy interface.
_BEGUN = (
    _Need("status", ("IN-DR-01", "ST-DR-02")),
    _Need("features", ("FB-DR-01", "FB-DR-05", "FB-DR-06")),
)
_BEGUN_MODERN = (
    _Need("status", ("IN-DR-03", "IN-DR-05")),
    _Need("features", ("IN-DR-04", "RF-DR-01")),
)
#: Of queues that are traced from their set-up on.
_SET_UP = {
    SPLIT: (_Need("queue set-up", ("VQ-DR-01", "DX-29", "NA-DR-01")),),
    PACKED: (),
}
#: Of queues that carry anything.
_CARRIED = {
    SPLIT: (_Need("chains", ("DX-01", "DX-02", "DX-03", "DX-07", "DX-37")),),
    PACKED: (_Need("chains", ("DX-09",)),),
}
_NOTIFIED = (_Need("notifications", ("IN-DR-08",)),)
_LIVE = (_Need("liveness", ("DX-40",)),)
_LIVE_REQUESTS = (_Need("liveness", ("DX-39",)),)
_VHOST = (_Need("chains", ("DX-01", "DX-02", "DX-03", "DX-38")),)
#: Of a driver that only its register accesses show, and of one that only QEMU's log shows.
_REGISTERS = (
    _Need("status", ("IN-DR-01", "ST-DR-02")),
    _Need("features", ("FB-DR-01", "FB-DR-05", "FB-DR-06")),
)
_LOG = (_Need("status", ("ST-DR-01", "ST-DR-02")),)
_QMP = (_Need("features", ("FB-DR-01",)),)


def unlooked(view: View, checked: Mapping[str, int]) -> tuple[str, ...]:
    """Return, a line each, which core rules checked nothing in a run, and which queues they missed.

    ``checked`` has for each rule that was asked how many things it decided, or could not decide
    for a reason that its verdict gives. Core rules are those that check something in every sound
    run in which there is what they look at: a driver that begins, a queue that is set up, chains.
    Whether there is, other events tell than those that the rules need.
    """
    silent: dict[str, list[str]] = {}
    for need in _needs(view):
        for name in need.rules:
            if checked.get(name) == 0:
                silent.setdefault(need.what, []).append(name)
    lines = (f"{what}: {', '.join(names)} checked nothing" for what, names in silent.items())
    return (*lines, *_undecided(view))


def _undecided(view: View) -> Iterator[str]:
    """Name queues that were in use for 1 s, or up to their end, without a decision to notify."""
    if not view.recorded("add", "kick", "notify"):
        return
    rings, adds = view.rings, view.adds
    queues = rings.of("queue")
    ended = set(queues["q"][queues["op"] == DELETED].tolist())
    for i in first_adds(view).tolist():
        ts, q = int(view.base("ts")[int(adds.row[i])]), int(adds.q[i])
        if q in ended or not ends_within(ts, ONE_SIDE, view.end[0]):
            yield f"notifications: {rings.name(q)} has chains, and no decision about them"


def _needs(view: View) -> Iterator[_Need]:
    inside = view.kinds & {"driver", "queue", "add", "kick", "used", "notify"}
    if inside:
        yield from _inside_needs(view)
    elif "vhost_get" in view.kinds:
        yield from _VHOST
    elif _attached(view):
        yield from _QMP
    elif "status" in view.kinds:
        yield from _REGISTERS
    elif "dev_status" in view.kinds:
        yield from _LOG
    elif "qmp" in view.sources:
        yield from _QMP
    if not inside and _requests_seen(view):
        yield from _LIVE_REQUESTS


def _inside_needs(view: View) -> Iterator[_Need]:
    rings, adds = view.rings, view.adds
    modern = _modern(view)
    if not _joined_late(view):
        yield from _BEGUN
        if modern:
            yield from _BEGUN_MODERN
    carrying = set(adds.q.tolist())
    for layout in sorted({int(rings.layout[q]) for q in carrying}):
        if any(rings.whole[q] and rings.layout[q] == layout for q in carrying):
            yield from _SET_UP.get(layout, ())
        yield from _CARRIED.get(layout, ())
    if carrying:
        yield from (*(_NOTIFIED if modern and view.recorded("status") else ()), *_LIVE)
    if any(
        carries_requests(view.life(*rings.queue[q][:2]).id, rings.queue[q][2]) for q in carrying
    ):
        yield from _LIVE_REQUESTS


def _modern(view: View) -> bool:
    """Return whether any life may be of a device that is not used as a legacy one."""
    devices = view.events.capture.devices
    if devices and all(device.legacy for device in devices):
        return False
    return not view.lives or any(
        life.has(bits.VERSION_1) is not False for life in view.lives.values()
    )


def _joined_late(view: View) -> bool:
    """Return whether observers say that they joined drivers at work, and saw none begin."""
    stages = {stage.stage for life in view.lives.values() for stage in life.stages}
    if bits.BEGIN in stages:
        return False
    queues = view.of("queue")
    return _JOINED_STAGE in stages or bool((queues["op"] == JOINED).any())


def _attached(view: View) -> bool:
    """Return whether the guest ran already when it was first looked at: drivers had begun."""
    return any(answer.at == "begin" for answer in view.events.capture.qmp)


def _requests_seen(view: View) -> bool:
    queues = view.of("dev_fill").select("dev", "life", "vq").unique().drop_nulls()
    return any(
        carries_requests(view.life(dev, life).id, vq) for dev, life, vq in queues.iter_rows()
    )
