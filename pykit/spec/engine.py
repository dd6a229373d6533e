# SPDX-License-Identifier: GPL-2.0-only
"""From rules to verdicts: a verdict is never better than its evidence."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import polars as pl

from pykit.spec.clauses import CLAUSES
from pykit.spec.core import RunTrouble, troubles, unlooked
from pykit.spec.model import EITHER_SIDE, Result, Rule, Violation
from pykit.spec.view import View
from pykit.spec.waivers import SeenDeviation, Waiver, find
from pykit.trace import Events
from pykit.trace.capture import RECORDED
from pykit.trace.kinds import INSIDE, REGISTERS, tracepoint

SCHEMA = 1
VERDICTS = ("pass", "fail", "inconclusive", "not-applicable", "waived")
#: How many events a verdict shows at most, and of how many violations.
EVIDENCE = 20
SHOWN = 3
OBSERVERS = {
    "driver": "the driver's tracepoints",
    "vhost": "the vhost driver's tracepoints",
    "qemu": "QEMU's log",
    "probe": "the probe",
    "record": "the recorder",
    "core": "the virtio core's trace events",
    "access": "the access tracer",
    "rings": "the ring watcher",
    "registers": "QEMU's log of register accesses",
    "qmp": "QMP",
    "survey": "the transport survey",
}
#: Sections about PCI and MMIO, by name and by number, and why their rules do not apply where all
#: devices are on channel I/O.
_OTHERS = re.compile(r"Virtio Over (?:PCI|MMIO)|^4\.[12]\.")
_CHANNEL_IO = "all devices are on channel I/O, which has commands in place of registers"
#: Parts of QEMU's names of vhost devices, by virtio device id.
_VHOST = {1: "net", 8: "scsi", 19: "vsock"}
#: The driver's events on a queue, which are numbered anew when it is set up or joined.
_OF_QUEUES = frozenset(
    ("driver", kind)
    for kind in (
        *("add", "desc", "slot", "add_failed", "kick", "notify", "interrupt", "stray", "used"),
        *("callback", "detach", "opening", "reply", "blk_start", "blk_range", "blk_answer"),
        *("blk_zone", "blk_wrote", "blk_done", "blk_passed"),
    )
)


@dataclass(frozen=True)
class Verdict:
    """The verdict on one rule.

    Attributes:
        verdict: one of VERDICTS.
        checked: how many candidates were decided, for or against.
        violations: how many of them break the rule.
        message: the first violation, the reason of another verdict, or the count.
        evidence: events around the first violations, as their non-null fields.
        contested: how many look wrong, where either side may be to blame.
        rows: of the event table, those that show the violation of the message.
        known: of a waived rule, where its waiver says that the deviation was seen.
    """

    rule: Rule
    verdict: str
    checked: int
    violations: int
    message: str
    evidence: tuple[dict[str, Any], ...] = ()
    contested: int = 0
    rows: tuple[int, ...] = ()
    known: str = ""

    def as_json(self) -> dict[str, Any]:
        """One entry of verdicts.json."""
        return {
            "id": self.rule.id,
            "clauses": list(self.rule.clauses),
            "side": self.rule.side,
            "strength": self.rule.strength,
            "verdict": self.verdict,
            "checked": self.checked,
            "violations": self.violations,
            "evidence": list(self.evidence),
            "message": self.message,
        }


@dataclass(frozen=True)
class Verdicts:
    """All rules' verdicts on one capture, by topic and id.

    Attributes:
        total, lost: events in the table, and those that are known to be missing.
        troubles: what broke, whatever the rules say.
        unlooked: core rules that checked nothing, a line each.
    """

    rules: tuple[Verdict, ...]
    total: int
    lost: int
    troubles: tuple[RunTrouble, ...] = ()
    unlooked: tuple[str, ...] = ()

    def summary(self) -> dict[str, int]:
        """Return how many rules have each of VERDICTS."""
        counts = dict.fromkeys(VERDICTS, 0)
        for entry in self.rules:
            counts[entry.verdict] += 1
        return counts

    def of(self, name: str) -> Verdict:
        """Return the verdict of the rule with this id; KeyError if there is none."""
        for entry in self.rules:
            if entry.rule.id == name:
                return entry
        raise KeyError(name)

    def having(self, verdict: str) -> tuple[str, ...]:
        """Return the ids of the rules with this verdict."""
        return tuple(entry.rule.id for entry in self.rules if entry.verdict == verdict)

    def as_json(self) -> dict[str, Any]:
        """The contents of verdicts.json."""
        return {
            "schema": SCHEMA,
            "summary": self.summary(),
            "events": {"total": self.total, "lost": self.lost},
            "troubles": [trouble.as_json() for trouble in self.troubles],
            "unlooked": list(self.unlooked),
            "rules": [entry.as_json() for entry in self.rules],
        }


def judge(events: Events, rules: Iterable[Rule], waivers: Iterable[Waiver]) -> Verdicts:
    """Judge a capture's events by every rule."""
    view = View(events)
    known = tuple(waivers)
    verdicts = tuple(_verdict(view, rule, known) for rule in rules)
    checked = {entry.rule.id: entry.checked for entry in verdicts}
    # A rule that fails says what broke; without one the run must not look like a success. Our own
    # driver does wrong on purpose.
    driven = events.capture.driven
    counted = [entry for entry in verdicts if not (driven and entry.rule.side == "driver")]
    failed = any(entry.verdict == "fail" for entry in counted)
    contested = () if failed else tuple(entry.rule.id for entry in counted if entry.contested)
    broken = troubles(view, contested)
    return Verdicts(verdicts, events.base.height, events.lost, broken, unlooked(view, checked))


def _verdict(view: View, rule: Rule, waivers: tuple[Waiver, ...]) -> Verdict:
    if _of_another_transport(view, rule):
        return Verdict(rule, "not-applicable", 0, 0, _CHANNEL_IO)
    absent = _absent(view, rule)
    if absent:
        return Verdict(rule, "inconclusive", 0, 0, f"not seen: {absent} (missing observer)")
    unrecorded = _unrecorded(view, rule)
    if unrecorded:
        names = " ".join(unrecorded)
        record = " ".join(f"-e pykit:{name}" for name in unrecorded)
        message = f"not recorded: {names} (record in addition: {record})"
        return Verdict(rule, "inconclusive", 0, 0, message)
    result = rule.check(view)
    if rule.contents:
        result = result.contesting(lambda found: view.by_either(found.rows))
    lost = view.events.lost
    wrong = len(result.violations)
    if lost and not (rule.local and wrong):
        message = f"{lost} events lost: {result.checked} checked, {wrong} looked wrong"
        return Verdict(rule, "inconclusive", result.checked, wrong, message)
    if wrong:
        return _breach(view, rule, result, waivers)
    if result.contested:
        message = f"{result.contested} looked wrong, {result.checked} held: {EITHER_SIDE}"
        return Verdict(rule, "inconclusive", result.checked, 0, message, contested=result.contested)
    if not result.checked:
        if result.undecided:
            return Verdict(
                rule, "inconclusive", 0, 0, f"{result.undecided} undecided: {result.doubt}"
            )
        return Verdict(rule, "not-applicable", 0, 0, result.why or _missing_kinds(view, rule))
    message = f"held {result.checked} times"
    if result.undecided:
        message += f", {result.undecided} undecided ({result.doubt})"
    return Verdict(rule, "pass", result.checked, 0, message)


def _breach(view: View, rule: Rule, result: Result, waivers: tuple[Waiver, ...]) -> Verdict:
    wrong = len(result.violations)
    evidence = evidence_of(view.events, result.violations[:SHOWN])
    capture = view.events.capture
    # Few rules have waivers, and one that fails may do so thousands of times.
    mine = [waiver for waiver in waivers if waiver.rule == rule.id]
    excuses = [
        find(
            mine,
            rule.id,
            SeenDeviation(
                [capture.qemu], [capture.kernel], _types(view, v), _drivers(view, v), [v.message]
            ),
        )
        if mine
        else None
        for v in result.violations
    ]
    first = next(
        (v for v, excuse in zip(result.violations, excuses, strict=True) if not excuse), None
    )
    if first is None and excuses[0]:
        shown = result.violations[0]
        message = f"{shown.message}; {excuses[0].reason}"
        return Verdict(
            rule, "waived", result.checked, wrong, message, evidence,
            rows=shown.rows, known=excuses[0].evidence,
        )  # fmt: skip
    shown = first or result.violations[0]
    message = shown.message if wrong == 1 else f"{shown.message} (and {wrong - 1} more)"
    if first is not result.violations[0]:
        evidence = evidence_of(view.events, (shown,))
    return Verdict(rule, "fail", result.checked, wrong, message, evidence, rows=shown.rows)


def _types(view: View, violation: Violation) -> set[str]:
    """Return the types of a violation's devices; of all devices where its rows name none."""
    devices = view.events.capture.devices
    of = {view.events.devices.get(device.id): device.type for device in devices}
    numbers = view.events.base["dev"].gather(list(violation.rows)).drop_nulls().unique()
    types = {of.get(number) or _loopback(view, number) for number in numbers}
    return types or {device.type for device in devices}


def _drivers(view: View, violation: Violation) -> set[str]:
    """Return the drivers that used a violation's devices then, as the capture names them.

    Before the guest's own driver firmware may use a device that is there from power-on: the
    device's first life, where the guest traced others and not this one, or names no driver.
    """
    capture = view.events.capture
    named = {view.events.devices.get(device.id): device.driver for device in capture.devices}
    plugged = {view.events.devices.get(plug.device) for plug in capture.plugs}
    traced = view.sources & {*INSIDE} and not view.rebuilt
    place = view.events.base.select("dev", "life")[list(violation.rows)]
    found = set()
    # The reset that begins a life may come before the device has one.
    lives = place.drop_nulls("dev").group_by("dev").agg(pl.col("life").max())
    for dev, number in lives.iter_rows():
        life = view.lives.get((dev, number))
        first = number == 0 and dev not in plugged and not (life and life.stages)
        found.add("firmware" if first and (traced or not named.get(dev)) else named.get(dev, ""))
    return found


def _loopback(view: View, dev: int) -> str:
    """Return the type of a device that vhost serves in the guest, as QEMU names such; else ""."""
    if dev not in view.of("vhost_attach")["dev"]:
        return ""
    ids = {life.id for life in view.lives.values() if life.dev == dev}
    return next((f"vhost-{name}" for number, name in _VHOST.items() if number in ids), "")


def _of_another_transport(view: View, rule: Rule) -> bool:
    """Whether a rule is about PCI or MMIO, and all devices are on channel I/O."""
    devices = view.events.capture.devices
    if not devices or not all(device.type.endswith("-ccw") for device in devices):
        return False
    bases = [CLAUSES[name].basis for name in rule.clauses]
    return bool(bases) and all(map(_OTHERS.search, bases))


def _absent(view: View, rule: Rule) -> str:
    """Return the observers of which a rule needs one, and none was running; empty if all ran."""
    for need in rule.needs:
        choices = [choice.partition(":") for choice in need.split("|")]
        if not any(_seen(view, source, kind) for source, _, kind in choices):
            return " or ".join(OBSERVERS[source] for source in dict.fromkeys(c[0] for c in choices))
    return ""


def _seen(view: View, source: str, kind: str) -> bool:
    """Whether an observer was running that would have traced such events."""
    if source == "qemu" and view.events.capture.outcome.kind == RECORDED:
        # A QEMU that was not started by the kit logs an unknown choice of its events.
        return kind in view.kinds
    if source == "driver" and kind in REGISTERS and "registers" in view.sources:
        return True
    if source == "driver" and view.rebuilt and not view.recorded(kind):
        return kind in view.kinds
    if source == "driver" and kind == "features" and "qmp" in view.sources:
        return True
    if source == "survey" and not view.events.capture.devices:
        # Devices of the guest's own making have no registers that QEMU could read.
        return view.events.capture.outcome.kind != RECORDED
    return source in view.sources


def _unrecorded(view: View, rule: Rule) -> tuple[str, ...]:
    """Return the tracepoints that a rule needs and that were not switched on.

    That such an event is absent does not show that it did not happen.
    """
    absent: dict[str, None] = {}
    for need in rule.needs:
        choices = [choice.partition(":") for choice in need.split("|")]
        running = [(source, kind) for source, _, kind in choices if _seen(view, source, kind)]
        if not any(_recorded(view, source, kind) for source, kind in running):
            absent |= dict.fromkeys(tracepoint(kind) for _, kind in running)
        # Without it nobody knows where one queue ends and the next with its number begins.
        if any(choice in _OF_QUEUES for choice in running) and not view.recorded("queue"):
            absent[tracepoint("queue")] = None
    return tuple(absent)


def _recorded(view: View, source: str, kind: str) -> bool:
    """Whether a running observer had this kind of its events switched on."""
    recorded = view.events.recorded
    if source not in ("driver", "vhost") or recorded is None or kind in recorded:
        return True
    # A driver that only its registers show has events of other observers.
    return kind in view.kinds


def _missing_kinds(view: View, rule: Rule) -> str:
    for need in rule.needs:
        kinds = [choice.partition(":")[2] for choice in need.split("|")]
        if not any(kind in view.kinds for kind in kinds):
            return f"no event of kind {' or '.join(kinds)}"
    return "nothing to look at"


def evidence_of(events: Events, violations: Iterable[Violation]) -> tuple[dict[str, Any], ...]:
    """Return events around violations: their own, then neighbours of the same queue.

    At most EVIDENCE rows, in table order.
    """
    chosen: list[int] = []
    for violation in violations:
        chosen += [row for row in violation.rows if row not in chosen]
    centres = chosen[:EVIDENCE]
    chosen = list(centres)
    # The first violation gets most of the room: the others are mostly like it.
    spare = EVIDENCE - len(centres)
    few = min(3, spare // max(len(centres), 1))
    for number, row in enumerate(centres):
        share = few if number else spare - few * (len(centres) - 1)
        chosen += [other for other in _around(events, row, share) if other not in chosen]
    return tuple(events.frames.rows_as_dicts(chosen[:EVIDENCE]))


def _around(events: Events, row: int, count: int) -> list[int]:
    """Rows before and after one, of the same observer, life of a device and queue; nearest first.

    A driver's events that were made of registers stand behind all that was seen of these.
    """
    centre = events.base.row(row, named=True)
    same = pl.col("source") == centre["source"]
    for name in ("dev", "life"):
        same &= pl.col(name).eq_missing(centre[name])
    if centre["vq"] is None:
        same &= pl.col("vq").is_null()
    else:
        same &= pl.col("vq") == centre["vq"]
    near = events.base.lazy().filter(same).select("row", "ts")
    if centre["source"] == "registers":
        near = near.sort("ts", maintain_order=True)
    rows = near.collect()["row"]
    at = (rows == row).arg_max() or 0
    low = rows[max(at - count, 0) : at].to_list()
    high = rows[at + 1 : at + 1 + count].to_list()
    # Earlier events explain a violation better than later ones.
    after = high[: max(count // 3, 1, count - len(low))]
    before = low[-(count - len(after)) :] if count > len(after) else []
    return [*reversed(before), *after][:count]
