# SPDX-License-Identifier: GPL-2.0-only
"""The verb `mutants`: run deliberate faults of drivers and devices, and list what named them."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pykit.cli.matrix import run_plan
from pykit.cli.options import JsonOption, TagOption
from pykit.cli.terminal import dump, echo, print_table, progress, say
from pykit.errors import UsageError

if TYPE_CHECKING:
    from pykit.matrix.results import FaultCell, FaultTable
    from pykit.mutants import Mutant

#: Matrices of deliberate faults: of the kernel's own code, of our driver and of our back-end.
_MATRICES = ("mutants", "driver-faults", "device-faults")
#: How cells without a guest begin.
_DRIVEN = "driven/"


def mutants(
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Run only these cells: 'mutants/*kick*', or 'driven/*', which need no guest"
            " (repeatable).",
        ),
    ] = None,
    tag: TagOption = None,
    kernel: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KERNEL", help="Run on this kernel, such as debian-6.12 (default: debian-6.1)."
        ),
    ] = None,
    listed: Annotated[
        bool, typer.Option("--list", help="List the mutants and the faults, run nothing.")
    ] = False,
    build: Annotated[
        bool, typer.Option("--build", help="Build the mutated modules only, and print them.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the run directory of every cell.")] = (
        False
    ),
    workers: Annotated[
        int | None, typer.Option(min=1, help="Run at most this many guests in parallel.")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write to this directory; an interrupted matrix found there is resumed.",
        ),
    ] = None,
    kills: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Add to this list which rule named which fault (pykit/spec/data/kills.tsv).",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run deliberate faults of drivers and devices, and print which rules name them.

    Mutants of the kernel's own code are semantic patches (mutants/*.cocci) behind one switch; what
    begins with driven/ needs no guest. Ends with 1 if a fault that a rule is expected to name is
    not named, or a control without a fault does not hold.

    Example: pykit mutants --only 'mutants/*kick*' --to runs/mutants
    """
    from pykit import kernels, paths
    from pykit.matrix.plan.select import select
    from pykit.matrix.results import FaultTable
    from pykit.mutants import all_mutants, build_mutants
    from pykit.proof import driven_faults
    from pykit.spec.kills import read_kills, write_kills

    names = kernel or ["debian-6.1"]
    if listed:
        _list(all_mutants(), as_json)
        return
    found = [target for name in names for target in _targets(name)]
    if build:
        for target in found:
            built = build_mutants(kernels.resolve(target, progress=say), all_mutants(), say)
            if as_json:
                dump({**vars(built), "modules": {n: str(p) for n, p in built.modules.items()}})
                continue
            for name, reason in built.void.items():
                echo(f"void: {name}: {reason}")
            for home in sorted({*built.homes.values()}):
                echo(f"switch: /sys/module/{home}/parameters/pykit_mutant")
            for name, path in sorted(built.modules.items()):
                echo(f"--replace {name}={path}")
        return
    driven = [pattern for pattern in only or (f"{_DRIVEN}*",) if pattern.startswith(_DRIVEN)]
    guests = [pattern for pattern in only or _MATRICES if not pattern.startswith(_DRIVEN)]
    directory, table = to, FaultTable.of_cells(())
    if guests:
        chosen = select(guests, tag or [], found)
        view, directory = run_plan(chosen, to, keep=keep, workers=workers)
        table = FaultTable.of(view)
    if driven and not tag:
        directory = directory or paths.fresh_directory("mutants")
        table = FaultTable.of_cells((*table.cells, *_drive(driven, directory)))
        (directory / "faults.csv").write_text(table.to_csv())
    assert directory is not None
    if kills is not None:
        there = {(fault.source, fault.name, "", fault.ring) for fault in driven_faults()}
        known = read_kills(kills.read_text()) if kills.exists() else ()
        known = tuple(kill for kill in known if kill.kernel or kill[1:] in there)
        kills.write_text(write_kills(table.kills(known)))
    if as_json:
        dump(table.to_json())
    else:
        _print(table)
        echo(f"report: {directory / ('index.html' if guests else 'faults.csv')}")
    raise typer.Exit(table.exit_code)


def _drive(patterns: list[str], directory: Path) -> list[FaultCell]:
    """Run the faults that need no guest and whose cells match one of the patterns.

    Raises:
        UsageError: a pattern matches none.
    """
    from pykit.proof import driven_faults, run_faults

    faults = list(driven_faults())
    for pattern in patterns:
        if not any(fnmatchcase(fault.cell, pattern) for fault in faults):
            raise UsageError(f"no cell matches {pattern!r}: `pykit mutants --list` has the faults")
    chosen = [f for f in faults if any(fnmatchcase(f.cell, pattern) for pattern in patterns)]
    with progress() as report:
        return list(run_faults(chosen, directory / "driven", report))


def _targets(name: str) -> list[str]:
    """The kernel, and its twin with a modular core where it has none and the twin is built."""
    from pykit import kernels
    from pykit.mutants import modular

    twin = modular(kernels.resolve(name, progress=say), name)
    if twin != name:
        try:
            kernels.resolve(twin)
        except UsageError as error:
            say(f"the virtio core is built into {name}, its mutants are left out: {error}")
            return [name]
    return list(dict.fromkeys([name, twin]))


def _list(found: tuple[Mutant, ...], as_json: bool) -> None:
    """Print mutants of the kernel's own code, then the faults of our driver and our back-end."""
    from pykit import spec
    from pykit.proof import driven_faults

    keys = ("name", "title", "side", "must", "may", "ring", "bug", "scenario", "needs")
    entries: list[dict[str, Any]] = [
        {"source": "kernel", **{key: getattr(mutant, key) for key in keys}} for mutant in found
    ]
    sides: tuple[spec.Side, ...] = ("driver", "device")
    entries += [
        {
            "source": f"{side}-fault",
            "name": fault.name,
            "title": fault.what,
            "side": side,
            "must": (*fault.rules, *fault.either),
            "packed": fault.packed,
            "ring": fault.ring,
            "bug": " ".join(fault.bugs),
        }
        for side in sides
        for fault in spec.faults(side).values()
    ]
    entries += [
        {
            "source": fault.source,
            "name": fault.name,
            "title": fault.does,
            "side": fault.side,
            "must": fault.rules,
            "ring": fault.ring,
            "bug": " ".join(fault.bugs),
        }
        for fault in driven_faults()
    ]
    if as_json:
        dump(entries)
        return
    columns = ["source", "mutant", "side", "ring", "bug", "clauses", "what it does"]
    names = ("source", "name", "side", "ring", "bug", "must", "title")
    rows = ([entry[name] for name in names] for entry in entries)
    print_table(columns, ([v if isinstance(v, str) else " ".join(v) for v in row] for row in rows))


def _print(table: FaultTable) -> None:
    """Print the matrix of faults and rules, then what needs attention."""
    columns = [
        "cell",
        "fate",
        "named by",
        "also failed",
        "other side",
        "reached",
        "guest",
        "reaction",
        "exit",
    ]
    rows = []
    for cell in table.cells:
        rules = (" ".join(cell.named), " ".join(cell.also), " ".join(cell.other))
        reached = "" if cell.reached is None else str(cell.reached)
        ended = (cell.outcome, cell.reaction, str(cell.exit))
        rows.append([cell.cell, cell.fate, *rules, reached, *ended])
    print_table(columns, rows)
    for title, cells in (
        ("named, and the other side was blamed as well", table.having("blamed")),
        ("only rules that were not expected failed", table.having("other-rule")),
        ("only rules of the other side failed", table.having("wrong-side")),
        ("executed, and no rule failed", table.having("survived")),
        ("not executed", table.having("unreached")),
        ("false alarms of the control", table.having("false-alarm")),
        ("could not be run", table.having("error", "void")),
        ("ended with exit code 0", table.silent),
        ("survive for a known reason", table.having("excused")),
        ("listed as survivors, and named: remove the entry", table.having("stale")),
    ):
        if cells:
            echo(f"{title}: {len(cells)}")
            for cell in cells:
                echo(f"  {cell.cell}: {cell.why}")
    if table.unbroken:
        echo(f"rules that no fault made fail: {len(table.unbroken)}")
        echo("  " + " ".join(table.unbroken))
    named, clean = len(table.having("named")), len(table.having("clean"))
    echo(f"{len(table.cells)} cells: {named} named, {clean} controls clean")
