# SPDX-License-Identifier: GPL-2.0-only
"""Verbs that boot a guest or judge its capture: run, check, bisect."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from pykit.cli.baseline import BaselineOption, held_to, read_baseline
from pykit.cli.matrix import run_cells
from pykit.cli.options import (
    BISECT,
    ArchOption,
    JsonOption,
    KernelOption,
    VerboseOption,
    scenario_names,
)
from pykit.cli.terminal import dump, echo, out, progress, say
from pykit.errors import Exit, UsageError

if TYPE_CHECKING:
    from pykit.baseline import BaselineFile
    from pykit.steps import RunResult


class Observer(StrEnum):
    """Observers from outside, beside QEMU's trace."""

    ACCESS = "access"
    RINGS = "rings"
    TAP = "tap"


class Boot(StrEnum):
    """Ways to boot a guest."""

    VNG = "vng"
    DIRECT = "direct"


#: Options that cells of a matrix take, and those that one's own guest does.
_ALWAYS = {"to", "baseline", "as_json", "for_git"}
_CELLS = {"scenario", "kernel", "arch", *_ALWAYS}
_OWN = {"guest", "qemu_args", "attach", "seconds", "observe", "verbose", *_ALWAYS}


def run(
    context: typer.Context,
    scenario: Annotated[
        str,
        typer.Argument(
            autocompletion=scenario_names,
            help="Name a scenario of scenarios/, a file, or cells of matrices/: 'io/*packed*'.",
        ),
    ] = "blk",
    kernel: KernelOption = None,
    arch: ArchOption = None,
    boot: Annotated[
        Boot | None,
        typer.Option(
            help="Boot by virtme-ng (default), or directly by QEMU with an initramfs (default with "
            "--module, --replace and kernels of other architectures)."
        ),
    ] = None,
    transport: Annotated[
        str | None,
        typer.Option(
            metavar="T",
            help="Use this transport: pci, pci-legacy, pci-iommu (behind an IOMMU), mmio or "
            "mmio-legacy, and of s390x ccw, its default, or pci (default: pci).",
        ),
    ] = None,
    ring: Annotated[
        str, typer.Option(metavar="R", help="Use this ring layout: split or packed.")
    ] = "split",
    observe: Annotated[
        list[Observer] | None,
        typer.Option(
            help="Add an observer outside the guest (repeatable): access, a TCG plugin that "
            "records each access to rings and registers, rings, which reads the avail and "
            "used rings in guest memory, or tap, which stands before vhost-user devices."
        ),
    ] = None,
    driver: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Use this driver: pykit_virtio_blk, or one of the kernel's own such as "
            "virtio_blk, which the probe then observes.",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="BACK-END",
            help="Use this vhost-user back-end for the disk: vhost-user:PATH, its socket, or "
            "'cmd:COMMAND', which starts it, with {socket} where the socket's path goes.",
        ),
    ] = None,
    driver_fault: Annotated[
        str | None, typer.Option(metavar="NAME", help="Boot a driver with this deliberate bug.")
    ] = None,
    device_fault: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Boot a vhost back-end with this deliberate bug."),
    ] = None,
    module: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Load this .ko and use its driver, of the module's name unless --driver names "
            "another (repeatable: first what the last one needs).",
        ),
    ] = None,
    replace: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODULE=FILE",
            help="Load this .ko in place of the kernel's own module, such as "
            "virtio_ring=virtio_ring.ko (repeatable).",
        ),
    ] = None,
    guest: Annotated[
        Path | None,
        typer.Option(metavar="IMAGE", help="Boot this disk image and observe it from outside."),
    ] = None,
    qemu_args: Annotated[
        str,
        typer.Option(
            "--qemu-args",
            metavar="'…'",
            help="Boot QEMU with these arguments and observe it from outside.",
        ),
    ] = "",
    attach: Annotated[
        Path | None,
        typer.Option(metavar="SOCKET", help="Observe a running QEMU by its QMP socket."),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(
            min=0.1, help="Observe a guest given by --guest, --qemu-args or --attach this long."
        ),
    ] = 60,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIR", help="Write the run to this new directory."),
    ] = None,
    baseline: BaselineOption = None,
    verbose: VerboseOption = False,
    as_json: JsonOption = False,
    for_git: Annotated[
        bool, typer.Option(BISECT, help="Exit with the codes that git bisect run expects.")
    ] = False,
) -> None:
    """Boot a guest, run a scenario and check each clause of the specification.

    Example: pykit run blk --kernel debian-6.12 --boot direct
    """
    from pykit import kernels, steps
    from pykit.arch import AMD64
    from pykit.matrix.plan.names import is_pattern
    from pykit.modules import BroughtModules

    del for_git  # main() sees to it, for errors have exit codes as well.
    known = read_baseline(baseline)
    if guest or qemu_args or attach:
        _require_only(context, _OWN, "a guest given by --guest, --qemu-args or --attach")
        with progress() as say:
            own = steps.run_own(
                image=guest,
                arguments=qemu_args,
                attach=attach,
                seconds=seconds,
                observe=[observer.value for observer in observe or []],
                to=to,
                say=say,
            )
        _present(own, verbose, as_json, known)
    kernel = kernels.on_arch(kernel, arch)
    if is_pattern(scenario):
        _require_only(context, _CELLS, "cells of a matrix")
        run_cells([scenario], on=kernel, keep=True, to=to, known=known, as_json=as_json)
    brought = BroughtModules(dict(map(_replacement, replace or [])), tuple(module or ()))
    direct = bool(brought) or kernels.arch_of(kernel) != AMD64
    with progress() as say:
        result = steps.run(
            scenario,
            kernel_name=kernel,
            runner=boot or (Boot.DIRECT if direct else Boot.VNG),
            transport=transport,
            driver=driver,
            ring=ring,
            observe=[observer.value for observer in observe or []],
            fault=driver_fault,
            device_fault=device_fault,
            brought=brought,
            device=device,
            to=to,
            say=say,
        )
    _present(result, verbose, as_json, known)


def _replacement(text: str) -> tuple[str, Path]:
    """Parse MODULE=FILE."""
    name, equals, file = text.partition("=")
    if not (name and equals and file):
        raise UsageError(f"--replace {text}: write MODULE=FILE, such as virtio_ring=virtio_ring.ko")
    return name.replace("-", "_"), Path(file)


def _require_only(context: typer.Context, known: set[str], what: str) -> None:
    """Raise UsageError for arguments on the command line that would have no effect."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if name not in known and source is not None and source.name == "COMMANDLINE":
            raise UsageError(f"{name.replace('_', '-')} has no effect on {what}: leave it out")


def check(
    directory: Annotated[
        Path | None,
        typer.Argument(help="Name a run directory, its capture/, or a trace.dat of trace-cmd."),
    ] = None,
    qemu_log: Annotated[
        Path | None,
        typer.Option(
            "--qemu-log",
            metavar="FILE",
            help="Check a QEMU log instead (-msg timestamp=on -trace 'virtio_*' -trace "
            "'virtqueue_*', and 'memory_region_ops_*' for the driver's side).",
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIR", help="Write the reports to this new directory."),
    ] = None,
    baseline: BaselineOption = None,
    verbose: VerboseOption = False,
    as_json: JsonOption = False,
) -> None:
    """Check a capture again; write nothing without --to.

    Example: pykit check runs/20260102-030405-blk
    """
    from pykit import steps

    known = read_baseline(baseline)
    result = steps.check(directory, qemu_log=qemu_log, to=to)
    _present(result, verbose, as_json, known, origin=directory)


def bisect(
    run: Annotated[
        list[str],
        typer.Argument(
            help="Pass these arguments to pykit run: a scenario or a cell, options after a --."
        ),
    ],
    good: Annotated[str, typer.Option(metavar="REV", help="Name a revision where the run passes.")],
    bad: Annotated[str, typer.Option(metavar="REV", help="Name a later revision where it fails.")],
    source: Annotated[
        Path, typer.Option(metavar="TREE", help="Bisect this git tree of the kernel.")
    ],
    profile: Annotated[str, typer.Option(help="Build the kernels with this profile.")] = "minimal",
    as_json: JsonOption = False,
) -> NoReturn:
    """Find the commit of a kernel tree that broke a scenario, by git bisect run.

    Example: pykit bisect --good v6.12 --bad v6.13 --source linux -- blk --boot direct
    """
    from pykit.bisect import bisect as search

    found = search(source, good=good, bad=bad, profile=profile, run=run, say=say)
    if as_json:
        dump([vars(suspect) for suspect in found.suspects])
    elif found.exit_code == Exit.OK:
        (suspect,) = found.suspects
        echo(f"first bad commit: {suspect.commit} {suspect.subject}")
    else:
        echo("some commits could not be tested: the first bad one is among")
        for suspect in found.suspects:
            echo(f"  {suspect.commit} {suspect.subject}")
    raise typer.Exit(found.exit_code)


def _present(
    result: RunResult,
    verbose: bool,
    as_json: bool,
    known: BaselineFile | None,
    origin: Path | None = None,
) -> NoReturn:
    """Print a result and exit; ``origin`` is the run that was checked again."""
    from pykit import report

    if as_json:
        dump(result.verdicts.as_json())
    else:
        report.print_terminal(
            out, result.verdicts, result.events, result.closing(), verbose=verbose
        )
    code = None
    if known is not None:
        from pykit.baseline import of_run

        outcome = result.outcome.kind, result.outcome.message
        examined = of_run(result.verdicts.as_json(), outcome, origin or result.directory)
        code = held_to(known, [examined], result.directory, as_json=as_json)
    raise typer.Exit(result.exit_code if code is None else code)
