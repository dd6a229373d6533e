# SPDX-License-Identifier: GPL-2.0-only
"""The verb `drive`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pykit.cli.baseline import BaselineOption, held_to, read_baseline
from pykit.cli.options import DriveCommand, DriveDevice, DrivePeer, DriveSocket, JsonOption
from pykit.cli.terminal import dump, echo, print_table, progress
from pykit.errors import Exit

if TYPE_CHECKING:
    from pykit.baseline import BaselineFile
    from pykit.drive import Deviation, DrivenOne, DriveResult, EveryResult, TableRow


def drive(
    command: DriveCommand = None,
    socket: DriveSocket = None,
    peer: DrivePeer = None,
    qemu: Annotated[
        str | None,
        typer.Option(
            metavar="DEVICE",
            help="Drive this device of QEMU's without a guest: 'virtio-blk-pci,num-queues=2', or "
            "all that this QEMU has: all.",
        ),
    ] = None,
    guest: Annotated[
        bool,
        typer.Option(
            "--guest",
            help="Drive a device in a guest of pykit bundle: the socket is its serial line, the "
            "command the monitor that boots it. --device vhost-net, vhost-vsock or vhost-pykit "
            "names a device of its kernel.",
        ),
    ] = False,
    device: DriveDevice = "blk",
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--cases", metavar="FILE", help="Run the rows of this file, not those of cases/."
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN", help="Run only these cases: a row's name, or 'next-*/split/*'."
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Run one case of each row, to end within a minute.")
    ] = False,
    listing: Annotated[bool, typer.Option("--list", help="List the cases, and run none.")] = False,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Choose the shapes of conforming requests by N.")
    ] = 1,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIR", help="Write the run to this new directory."),
    ] = None,
    baseline: BaselineOption = None,
    as_json: JsonOption = False,
) -> None:
    """Drive a virtio device without a guest: conforming requests, then malformed ones.

    The device is a vhost-user back-end, one of QEMU's, or any monitor's (--guest); its disk is
    overwritten. The rules judge
    the conforming requests; each case gets a class: handled, rejected, stopped, exited,
    wedged, spinning, flooding, wrong-data, crashed or trespassed.

    Example: pykit drive --device blk --socket /tmp/vhost.sock
    """
    from pykit import drive as driving
    from pykit import paths

    known = read_baseline(baseline)
    tables = driving.read_tables(files or None)
    cases = list(driving.expand(tables, only or ()))
    if quick:
        cases = list({case.row.name: case for case in reversed(cases)}.values())[::-1]
    if listing:
        _print_rows(tables.rows, as_json)
        return
    directory = to or paths.fresh_directory("drive")
    if qemu == "all" and not (socket or peer or command):
        with progress() as say:
            every = driving.drive_every(cases, directory, seed=seed, progress=say)
        if as_json:
            dump(every.as_json())
        else:
            _print_every(every)
        raise typer.Exit(_code(every.exit_code, known, directory, as_json))
    with (
        progress() as say,
        driving.chosen_target(socket, peer, qemu, command, device, say, guest=guest) as target,
    ):
        result = driving.drive(target, cases, directory, seed=seed, progress=say)
        say("reports")
        driving.write_reports(result)
    if as_json:
        dump(result.as_json())
    else:
        _print_result(result)
    raise typer.Exit(_code(result.exit_code, known, directory, as_json))


def _code(code: Exit, known: BaselineFile | None, directory: Path, as_json: bool) -> Exit:
    """Return the exit code, by the baseline where there is one."""
    if known is None:
        return code
    from pykit.baseline import of_directory

    found = held_to(known, of_directory(directory), directory, as_json=as_json)
    return code if found is None else found


def _print_rows(rows: tuple[TableRow, ...], as_json: bool) -> None:
    if as_json:
        dump([row.model_dump() for row in rows])
        return
    print_table(
        ("row", "clause", "legal", "what the driver does"),
        ((row.name, row.clause, "yes" if row.legal else "no", row.does) for row in rows),
    )


def _by_kind(deviations: list[Deviation]) -> dict[str, list[Deviation]]:
    """Group deviations by what came of the request."""
    found: dict[str, list[Deviation]] = {}
    for deviation in deviations:
        found.setdefault(deviation.what, []).append(deviation)
    return found


def _print_every(every: EveryResult) -> None:
    driven = [one for one in every.devices if one.result or one.failure]
    print_table(
        ("device", "requests", "deviate", "cases", "classes", "fail"),
        (_row(one) for one in driven),
    )
    for one in every.devices:
        if one.obstacle:
            echo(f"not driven: {one.device}: {one.obstacle}")
    held = sum(one.exit_code == Exit.OK for one in driven)
    echo(f"{len(driven)} devices: {held} held; {every.seconds:.1f} s; details: {every.directory}")


def _row(one: DrivenOne) -> tuple[str, ...]:
    if one.result is None:
        return (one.device, "", "", "", "", one.failure)
    result = one.result
    classes = ", ".join(f"{count} {name}" for name, count in result.classes.most_common())
    wrong = dict.fromkeys(found.case.row.name for found in result.wrong)
    wrong |= dict.fromkeys(verdict.rule.id for verdict in result.failed_rules)
    return (
        one.device,
        str(result.requests),
        str(len(result.deviations)),
        str(sum(result.classes.values())),
        classes,
        ", ".join(wrong),
    )


def _print_result(result: DriveResult) -> None:
    for found in result.wrong:
        outcome = found.outcome
        assert outcome is not None
        row = found.case.row
        echo(f"FAIL {found.case.name}: {outcome.verdict} (right: {', '.join(row.accepted)})")
        echo(f"     {row.does}")
        facts = [f"chain: {outcome.effect}", f"afterwards works: {outcome.life}"]
        facts += [outcome.trespass, outcome.detail]
        facts += [f"{outcome.logged} bytes of log"] if outcome.verdict == "flooding" else []
        echo(f"     {'; '.join(fact for fact in facts if fact)}")
        if found.confirmed[1]:
            echo(f"     again in {found.confirmed[0]} of {found.confirmed[1]} new processes")
    for what, found_so in _by_kind(result.deviations).items():
        first = found_so[0]
        more = f" (and {len(found_so) - 1} more)" if found_so[1:] else ""
        echo(f"FAIL conforming request ({first.setting}): {first.shape}: {what}{more}")
    for verdict in result.failed_rules:
        echo(f"FAIL {verdict.rule.id} {verdict.rule.side} {verdict.message}")
    known = Counter(filter(None, map(result.known_as, result.cases)))
    for deviation, count in known.items():
        echo(f"known: {count} cases of {deviation.row}: {deviation.reason}")
    skipped = {found.skipped for found in result.cases if found.outcome is None}
    for why in sorted(skipped):
        count = sum(found.skipped == why for found in result.cases)
        echo(f"not decided: {count} cases: {why}")
    classes = ", ".join(f"{count} {name}" for name, count in result.classes.most_common())
    ran = sum(result.classes.values())
    echo(f"{ran} cases: {classes or 'none'}")
    if result.verdicts is not None:
        held = sum(v.verdict == "pass" for v in result.verdicts.rules if v.rule.side != "driver")
        echo(
            f"{result.requests} conforming requests: {len(result.deviations)} deviate; rules on "
            f"the device: {len(result.failed_rules)} fail, {held} pass"
        )
    echo(f"{result.seconds:.1f} s; details: {result.directory / 'report.html'}")
