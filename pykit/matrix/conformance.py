# SPDX-License-Identifier: GPL-2.0-only
"""Who conforms: drivers and devices of several makes, each judged by its own side's rules."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pykit.errors import Exit, InfraError
from pykit.matrix.jobs import Done, Job, work
from pykit.spec.engine import VERDICTS
from pykit.spec.model import Rule

SCHEMA = 1
Say = Callable[[str], None]
Side = Literal["driver", "device"]
#: How a verdict is written in the table of all rules.
_MARKS = {
    "pass": "✓",
    "fail": "**✗**",
    "waived": "**w**",
    "inconclusive": "?",
    "not-applicable": "·",
}
#: Numbers that differ from run to run, in messages.
_MINE = ("checked", "message", "verdict", "violations")


@dataclass(frozen=True)
class Subject:
    """A driver or a device, and the run that shows it."""

    name: str
    side: Side
    #: Its peer on the other side, and how it is looked at.
    seen: str
    scenario: str
    #: Further arguments of `pykit run`.
    options: tuple[str, ...] = ()
    #: Another QEMU than ours, as PYKIT_QEMU names it.
    qemu: str = ""

    @property
    def slug(self) -> str:
        """Names its files."""
        return re.sub(r"[^a-z0-9.]+", "-", self.name.lower()).strip("-")


_PROBE = ("--boot", "direct", "--driver", "virtio_blk")
_DIRECT = ("--boot", "direct")
_OUTSIDE = "QEMU's virtio-blk; from outside"
_OURS = "our driver"
_NEXT = "debian-10"

SUBJECTS = (
    Subject("SeaBIOS", "driver", _OUTSIDE, "seabios"),
    Subject("OVMF", "driver", _OUTSIDE, "ovmf"),
    Subject("U-Boot", "driver", _OUTSIDE, "u-boot"),
    Subject("U-Boot, legacy", "driver", _OUTSIDE, "u-boot", ("--transport", "pci-legacy")),
    Subject("iPXE", "driver", "QEMU's virtio-net; from outside", "ipxe"),
    *(
        Subject(f"Linux {version} virtio_blk", "driver", "QEMU's virtio-blk; probe and QEMU's log",
                "blk", (*_PROBE, "--kernel", f"debian-{version}"))
        for version in ("6.1", "6.12", "7.2")
    ),
    Subject("Linux 6.12 virtio_blk, MMIO", "driver",
            "QEMU's virtio-blk; probe and access tracer", "blk",
            (*_PROBE, "--transport", "mmio", "--observe", "access")),
    Subject("QEMU virtio-blk", "device", _OURS, "blk", _DIRECT),
    Subject("QEMU virtio-blk, bad sector", "device", _OURS, "read-error", _DIRECT),
    Subject("QEMU virtio-blk, I/O thread", "device", _OURS, "iothread", _DIRECT),
    Subject("QEMU virtio-blk, MMIO", "device", _OURS, "blk", (*_DIRECT, "--transport", "mmio")),
    Subject("QEMU 10 virtio-blk", "device", _OURS, "blk", _DIRECT, _NEXT),
    Subject("QEMU 10 virtio-blk, bad sector", "device", _OURS, "read-error", _DIRECT, _NEXT),
    Subject("QEMU virtio-scsi, -net, -console, -balloon, …", "device", "Linux's own and the probe",
            "others", _DIRECT),
    Subject("QEMU virtio-net", "device", "iPXE; from outside", "ipxe"),
    Subject("vhost-user-blk, qemu-storage-daemon", "device", _OURS, "vhost-user", _DIRECT),
    Subject("VDUSE, qemu-storage-daemon", "device", _OURS, "vduse", _DIRECT),
    Subject("vdpa_sim_blk", "device", _OURS, "vdpa-sim", (*_DIRECT, "--kernel", "vdpa-6.12")),
    Subject("pykit_vhost", "device", _OURS, "loop-blk", _DIRECT),
    Subject("vhost_scsi", "device", "Linux's virtio_scsi and the probe", "loop-scsi", _DIRECT),
    Subject("vhost_net", "device", "Linux's virtio_net and the probe", "loop-net", _DIRECT),
)  # fmt: skip


#: What was seen in runs and breaks no clause: why it is not among the deviations.
_NO_DEVIATION = (
    "",
    "## What is no deviation",
    "",
    "* Linux's virtio_blk takes what a device returns on trust: a used length of 0 or of 2",
    "  GiB it does not look at, a used id that does not exist it logs and its request",
    "  hangs, as it does for an interrupt that is withheld, and a chain that is returned",
    "  twice ends in EIO. No clause says what a driver has to make of a device that is",
    "  broken. That the device is, its own rules say (DX-06; DX-01, DX-02, DX-03 of a chain",
    "  that is returned twice), and the outcome of the run says what became of the driver:",
    "  `pykit run loop-blk --boot direct --driver virtio_blk --device-fault length-too-long`,",
    "  or `completed-twice`. With `wrong-id` (DX-01) and `signal-missed` (DX-15, NU-DE-05) the",
    "  outcome is `hang`, and its message says who waits where.",
    "* Drivers and devices notify when the event index lies anywhere in what is new, though",
    "  nothing was at that index when they looked. Read word by word the clauses ask for",
    "  the one entry at the index; who looked at that one alone would sleep for ever after",
    "  a batch. So the rules take the whole range (DX-15, DX-16), and so do all that are",
    "  listed here.",
)


def run_conformance(
    directory: Path, say: Say, subjects: Sequence[Subject] = SUBJECTS
) -> dict[str, Any]:
    """Run what shows each subject, once where two share a run, and gather their own verdicts.

    ``directory`` gets a run directory and a log a run. A run that judged nothing is an error.
    """
    directory.mkdir(parents=True, exist_ok=True)
    runs = {_run_of(s): s.slug for s in reversed(subjects)}
    jobs = [
        Job(
            slug,
            ("run", scenario, *options, "--to", str(directory / slug)),
            directory / f"{slug}.log",
            qemu,
        )
        for (scenario, options, qemu), slug in reversed(runs.items())
    ]
    with contextlib.closing(work(jobs, lambda job: say(f"{job.name}: begun"))) as ended:
        for done in ended:
            say(f"{done.job.name}: exit code {done.exit_code}, {done.seconds:.0f} s")
            _require_judged(done, directory)
    return {
        "schema": SCHEMA,
        "subjects": [_entry(s, directory / runs[_run_of(s)]) for s in subjects],
    }


def _run_of(subject: Subject) -> tuple[str, tuple[str, ...], str]:
    """What is to be run, which several subjects may share."""
    return subject.scenario, subject.options, subject.qemu


def _require_judged(done: Done, directory: Path) -> None:
    if not (directory / done.job.name / "verdicts.json").is_file():
        raise InfraError(f"{done.job.name} judged nothing: {done.last_words} (see {done.job.log})")


def _entry(subject: Subject, run: Path) -> dict[str, Any]:
    about = json.loads((run / "run.json").read_text())
    rules = json.loads((run / "verdicts.json").read_text())["rules"]
    kernel = about.get("kernel", {}).get("release", "")
    return {
        **{name: value for name, value in asdict(subject).items() if name != "qemu"},
        "asked": subject.qemu,
        "qemu": about["qemu"],
        "kernel": kernel,
        "outcome": about["outcome"]["kind"],
        "rules": {
            rule["id"]: {name: rule[name] for name in _MINE}
            for rule in rules
            if rule["side"] in (subject.side, "both")
        },
    }


def exit_code(data: dict[str, Any]) -> Exit:
    """Whether any subject did what no waiver names."""
    failed = any(
        entry["verdict"] == "fail" for s in data["subjects"] for entry in s["rules"].values()
    )
    return Exit.FAILED if failed else Exit.OK


def as_markdown(data: dict[str, Any], rules: Iterable[Rule]) -> str:
    """The data as docs/conformance.md."""
    known = {rule.id: rule for rule in rules}
    parts = (_head(), _summaries(data), _deviations(data, known), _NO_DEVIATION, _all(data, known))
    return "\n".join(line for part in parts for line in part) + "\n"


def _head() -> list[str]:
    return [
        "<!-- SPDX-License-Identifier: GPL-2.0-only -->",
        "<!-- Generated by `pykit matrix conformance`: do not edit. -->",
        "# Who conforms",
        "",
        "Each driver and each device is judged by the rules for its own side, in a run that can be",
        "repeated. *Open* are rules that what looked on cannot decide: from outside nobody sees",
        "the memory of a ring, and of a device that another process serves QEMU sees no ring. Such",
        "a rule is never counted as kept. *n/a*: the situation did not arise, or the feature was",
        "not negotiated. *Waived* are deviations that are known, with their evidence in",
        "`pykit/spec/data/waivers.toml`.",
    ]


def _summaries(data: dict[str, Any]) -> Iterator[str]:
    for side, title in (("driver", "Drivers"), ("device", "Devices")):
        yield from ("", f"## {title}", "")
        yield f"| {side} | opposite | kept | failed | waived | open | n/a | run |"
        yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |"
        for subject in _of(data, side):
            counts = dict.fromkeys(VERDICTS, 0)
            for entry in subject["rules"].values():
                counts[entry["verdict"]] += 1
            order = ("pass", "fail", "waived", "inconclusive", "not-applicable")
            numbers = " | ".join(str(counts[name]) for name in order)
            command = " ".join(["pykit run", subject["scenario"], *subject["options"]])
            if subject["asked"]:
                command = f"PYKIT_QEMU={subject['asked']} {command}"
            yield f"| {subject['name']} | {subject['seen']} | {numbers} | `{command}` |"
    yield ""
    versions = sorted({subject["qemu"] for subject in data["subjects"]})
    kernels = sorted({subject["kernel"] for subject in data["subjects"]} - {""})
    yield f"QEMU {', '.join(versions)}; kernels {', '.join(kernels)}."


def _deviations(data: dict[str, Any], known: dict[str, Rule]) -> Iterator[str]:
    yield from ("", "## Deviations found", "")
    for subject in data["subjects"]:
        for name, entry in subject["rules"].items():
            if entry["verdict"] in ("fail", "waived"):
                rule = known[name]
                yield (
                    f"* **{subject['name']}**, {name} ({rule.strength}, {entry['verdict']}): "
                    f"{rule.title} Seen {entry['violations']} times: {entry['message']}."
                )


def _all(data: dict[str, Any], known: dict[str, Rule]) -> Iterator[str]:
    yield from ("", "## Rule by rule", "")
    yield "✓ kept, **✗** failed, **w** waived, ? open, · nothing to look at."
    for side in ("driver", "device"):
        subjects = list(_of(data, side))
        yield ""
        yield f"| rule | {' | '.join(subject['name'] for subject in subjects)} | what |"
        yield f"| --- |{' :-: |' * len(subjects)} --- |"
        for name, rule in known.items():
            if rule.side in (side, "both"):
                marks = (_mark(subject["rules"].get(name)) for subject in subjects)
                yield f"| {name} | {' | '.join(marks)} | {rule.title} |"


def _mark(entry: dict[str, Any] | None) -> str:
    return _MARKS[entry["verdict"]] if entry else " "


def _of(data: dict[str, Any], side: str) -> Iterator[dict[str, Any]]:
    return (subject for subject in data["subjects"] if subject["side"] == side)
