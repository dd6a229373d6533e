# SPDX-License-Identifier: GPL-2.0-only
"""The command line: verbs, their options, and errors as one line. The work is done elsewhere."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.markup import escape
from rich.table import Table

from pykit import __version__, memory
from pykit.bisect import code_for_git
from pykit.cli_matrix import matrix_app, run_cells
from pykit.cli_results import app as results_app
from pykit.errors import Exit, PykitError, UsageError
from pykit.families.names import is_pattern
from pykit.terminal import JsonOption, KernelOption, dump, err, out, say

if TYPE_CHECKING:
    from pykit import analysis

app = typer.Typer(
    name="pykit",
    help="Build and test kit for virtio on Linux: verdicts, clause by clause.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
kernel_app = typer.Typer(help="Get, list and describe kernels.", no_args_is_help=True)
bench_app = typer.Typer(help="Measure, beside a named peer in the same run.", no_args_is_help=True)
app.add_typer(kernel_app, name="kernel")
app.add_typer(matrix_app, name="matrix")
app.add_typer(bench_app, name="bench")


class Observer(StrEnum):
    """Observers from outside, beside QEMU's trace."""

    ACCESS = "access"
    RINGS = "rings"


class Boot(StrEnum):
    """How the guest is booted."""

    VNG = "vng"
    DIRECT = "direct"


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """What this machine has and lacks, with the command that mends each lack.

    Example: pykit doctor
    """
    from pykit import doctor as examination

    findings = examination.examine()
    mine = examination.distribution()
    if as_json:
        dump([vars(finding) for finding in findings])
    else:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("", "what", "found", "for"):
            table.add_column(column, overflow="fold")
        for finding in findings:
            mark = "[green]ok[/]" if finding.ok else "[red]lacks[/]"
            table.add_row(mark, finding.name, escape(finding.found), escape(finding.purpose))
        out.print(table)
        for finding in findings:
            if not finding.ok and finding.mend:
                wanted = [mine] if mine else list(finding.mend)
                commands = dict.fromkeys(finding.mend[family] for family in wanted)
                out.print(f"{finding.name}: {escape(' | '.join(commands))}", soft_wrap=True)
    if any(finding.required and not finding.ok for finding in findings):
        raise typer.Exit(Exit.INFRA)


@app.command()
def config(
    profile: Annotated[str, typer.Argument(help="A profile of configs/profiles, such as minimal.")],
    kernel: KernelOption = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Where to write the full .config.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only check the kernel's own .config.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the output.")] = False,
) -> None:
    """Resolve a profile against a kernel's Kconfig tree, or check a kernel against it.

    Example: pykit config minimal --kernel debian-6.12 -o .config
    """
    from pykit import steps

    if check:
        steps.check_config(profile, kernel, say)
        out.print(f"the kernel's .config holds all that profile {profile} asks for")
        return
    if output is None:
        raise UsageError("say where to write the .config: -o FILE (or --check, to write nothing)")
    for line in steps.write_config(profile, kernel, output, force=force, say=say):
        out.print(line, soft_wrap=True)


@kernel_app.command("list")
def kernel_list(as_json: JsonOption = False) -> None:
    """The kernels that can be named: cached, installed, and to be fetched.

    Example: pykit kernel list
    """
    from pykit import kernels

    known = kernels.list_known()
    if as_json:
        dump([vars(kernel) for kernel in known])
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("name", "release", "state", "what"):
        table.add_column(column, overflow="fold")
    for kernel in known:
        table.add_row(kernel.name, kernel.release or "", kernel.state, escape(kernel.summary))
    out.print(table)


@kernel_app.command("get")
def kernel_get(
    name: Annotated[str, typer.Argument(help="debian-6.12, -6.1, -7.2 or an exact release.")],
) -> None:
    """Fetch a kernel, or a newer build of it, into the cache.

    Example: pykit kernel get debian-6.1
    """
    from pykit import kernels

    out.print(kernels.get(name, refresh=True, progress=say).release)


@kernel_app.command("build")
def kernel_build(
    profile: Annotated[str, typer.Argument(help="minimal, debug, kcsan, vdpa, …")],
    source: Annotated[
        str | None,
        typer.Option(metavar="S", help="debian-6.12 (default), -6.1, -7.2, or a source tree."),
    ] = None,
) -> None:
    """Build a kernel from source with a profile of configs/profiles; prints its name.

    Example: pykit kernel build debug --source debian-6.1
    """
    from rich import progress

    from pykit import kernels

    columns = (
        progress.BarColumn(),
        progress.TextColumn("{task.completed:,} of about {task.total:,} objects"),
        progress.TimeElapsedColumn(),
        progress.TextColumn("{task.description}"),
    )
    with progress.Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=None, visible=False)

        def step(done: int, about: int, what: str) -> None:
            what = escape(what)
            bar.update(task, completed=done, total=about, description=what, visible=True)

        kernel = kernels.build(profile, source, progress=say, step=step)
    out.print(kernel.name)


@kernel_app.command("show")
def kernel_show(
    name: Annotated[str, typer.Argument()] = "default",
    source: Annotated[
        bool, typer.Option("--source", help="Fetch and name its source too.")
    ] = False,
) -> None:
    """Where a kernel's image, modules, build directory and (on demand) source are, as JSON.

    Example: pykit kernel show default --source
    """
    from pykit import kernels

    kernel = kernels.resolve(name, progress=say)
    data: dict[str, Any] = dict(vars(kernel))
    if source:
        data["source"] = kernels.source_tree(kernel, progress=say)
    dump(data)


@app.command()
def build(
    kernel: KernelOption = None,
    fault: Annotated[bool, typer.Option("--fault", help="The build with deliberate bugs.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="With W=1 C=1 too; any complaint is a failure.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Build the kernel modules for a kernel and inspect each of them.

    Example: pykit build --kernel debian-6.1
    """
    from pykit import kernels, modules

    target = kernels.resolve(kernel, progress=say)
    built = modules.build(target, fault=fault, progress=say)
    inspections = [modules.inspect(path, target) for path in built.modules]
    if as_json:
        dump([inspection.as_dict() for inspection in inspections])
    else:
        for inspection in inspections:
            out.print(inspection.summary(), soft_wrap=True)
    complaints = modules.complaints(target, fault=fault, progress=say) if strict else []
    for line in complaints:
        err.print(escape(line), soft_wrap=True)
    if complaints:
        raise typer.Exit(Exit.FAILED)


#: Options that cells of a family take, and those that one's own guest does.
_CELLS = {"scenario", "kernel", "to", "as_json", "for_git"}
_OWN = {"guest", "qemu_args", "attach", "seconds", "to", "as_json", "for_git"}

#: The option that has main() end with another exit code.
_BISECT = "--bisect"


@app.command()
def run(
    context: typer.Context,
    scenario: Annotated[
        str,
        typer.Argument(
            help="A scenario of scenarios/, a file, or cells of families/: 'blk/packed*'."
        ),
    ] = "blk",
    kernel: KernelOption = None,
    boot: Annotated[Boot, typer.Option(help="virtme-ng, or QEMU with an initramfs.")] = Boot.VNG,
    transport: Annotated[
        str, typer.Option(metavar="T", help="pci, pci-legacy, mmio or mmio-legacy.")
    ] = "pci",
    ring: Annotated[str, typer.Option(metavar="R", help="split or packed.")] = "split",
    observe: Annotated[
        list[Observer] | None,
        typer.Option(
            help="Who else looks on from outside: access, a TCG plugin that sees every "
            "access of the guest to rings and registers; rings, which reads avail and used "
            "rings in the guest's memory. May be given again."
        ),
    ] = None,
    driver: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What drives the devices: pykit_virtio_blk, or one of the kernel's own such as "
            "virtio_blk, which the probe then watches.",
        ),
    ] = None,
    driver_fault: Annotated[
        str | None, typer.Option(metavar="NAME", help="Boot a driver with this deliberate bug.")
    ] = None,
    device_fault: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Boot a vhost back-end with this deliberate bug."),
    ] = None,
    guest: Annotated[
        Path | None,
        typer.Option(metavar="IMAGE", help="Boot this disk image instead, seen from outside."),
    ] = None,
    qemu_args: Annotated[
        str,
        typer.Option("--qemu-args", metavar="'…'", help="Boot QEMU with these arguments instead."),
    ] = "",
    attach: Annotated[
        Path | None,
        typer.Option(metavar="SOCKET", help="Watch a QEMU that runs, by its QMP socket."),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.1, help="How long to watch one's own guest.")
    ] = 60,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="The run directory to make.")
    ] = None,
    as_json: JsonOption = False,
    for_git: Annotated[
        bool, typer.Option(_BISECT, help="End with the exit codes that git bisect run takes.")
    ] = False,
) -> None:
    """Boot a guest, run a scenario, and say clause by clause what held.

    Example: pykit run blk --kernel debian-6.12 --boot direct
    """
    from pykit import steps

    del for_git  # main() sees to it, for errors have exit codes as well.
    if guest or qemu_args or attach:
        _require_only(context, _OWN, "one's own guest")
        own = steps.run_own(
            image=guest,
            arguments=qemu_args,
            attach=attach,
            seconds=seconds,
            to=to,
            say=say,
        )
        _present(own, as_json)
    if is_pattern(scenario):
        _require_only(context, _CELLS, "cells of a family")
        run_cells([scenario], on=kernel, keep=True, to=to, as_json=as_json)
    result = steps.run(
        scenario,
        kernel_name=kernel,
        runner=boot.value,
        transport=transport,
        driver=driver,
        ring=ring,
        observe=[observer.value for observer in observe or []],
        fault=driver_fault,
        device_fault=device_fault,
        to=to,
        say=say,
    )
    _present(result, as_json)


def _require_only(context: typer.Context, known: set[str], what: str) -> None:
    """Raise UsageError for arguments on the command line that would change nothing."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if name not in known and source is not None and source.name == "COMMANDLINE":
            raise UsageError(f"{name.replace('_', '-')} does nothing for {what}: leave it out")


@app.command()
def check(
    directory: Annotated[
        Path | None,
        typer.Argument(help="A run directory, its capture/, or a trace.dat of trace-cmd's."),
    ] = None,
    qemu_log: Annotated[
        Path | None,
        typer.Option(
            "--qemu-log",
            metavar="FILE",
            help="A log of QEMU's instead (-msg timestamp=on -trace 'virtio_*' -trace "
            "'virtqueue_*', and 'memory_region_ops_*' for the driver's side).",
        ),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Write the reports here.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Judge a capture again. Writes nothing unless told where.

    Example: pykit check runs/20260102-030405-blk
    """
    from pykit import steps

    _present(steps.check(directory, qemu_log=qemu_log, to=to), as_json)


@app.command()
def show(
    run: Annotated[Path, typer.Argument(help="A run directory, its capture/, or a trace.dat.")],
    queue: Annotated[
        str | None, typer.Option("--queue", metavar="DEV.VQ", help="Only this queue.")
    ] = None,
    request: Annotated[
        int | None, typer.Option("--request", metavar="N", help="The life of one request.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Of a run that is going on: by the second.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """What each virtqueue was like, and where its requests' time went.

    Example: pykit show runs/20260102-030405-blk --queue 0.1
    """
    from pykit import analysis

    if follow:
        if request is not None:
            raise UsageError("requests are told of when the run has ended: leave --follow out")
        _follow(analysis.follow(run, queue=queue), as_json)
        return
    shown = analysis.show(run, queue=queue, request=request)
    if as_json:
        dump(shown.as_dict())
    else:
        shown.render(out)


def _follow(looks: Iterable[analysis.Look], as_json: bool) -> None:
    """Print each look when it is there; Ctrl-C ends it."""
    with contextlib.suppress(KeyboardInterrupt):
        for number, look in enumerate(looks):
            if as_json:
                print(json.dumps(look.as_dict()), flush=True)
                continue
            if not number:
                look.legend(out)
            look.render(out)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A run directory, its capture/, or a trace.dat.")],
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="FORMAT", help="parquet, csv, requests, chrome, perfetto, trace-cmd."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write.")],
) -> None:
    """Write a run's events or requests in another tool's format.

    Example: pykit export runs/20260102-030405-blk --to perfetto -o blk.pftrace
    """
    from pykit import analysis

    analysis.write(run, to, output)


def _present(result: Any, as_json: bool) -> NoReturn:
    from pykit import report

    if as_json:
        dump(result.verdicts.as_json())
    else:
        report.print_terminal(out, result.verdicts, result.events)
        for line in result.closing():
            out.print(escape(line), soft_wrap=True)
    raise typer.Exit(result.exit_code)


@app.command()
def rules(
    name: Annotated[
        str, typer.Argument(metavar="[ID]", help="Explain this rule, such as NA-DR-01.")
    ] = "",
    as_json: JsonOption = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the rule reference, docs/rules.md.")
    ] = False,
) -> None:
    """List the rules, or explain one: clause, section, reasons, and the cases that break it.

    Example: pykit rules
    """
    from pykit import spec

    if name:
        explanation = spec.explain(name)
        if as_json:
            dump(explanation.as_json())
        else:
            print(explanation.as_text(), end="")
        return
    if markdown:
        print(spec.describe(), end="")
        return
    listing = spec.rules()
    if as_json:
        dump([rule.as_dict() for rule in listing])
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("rule", "clauses", "side", "strength", "what"):
        table.add_column(column, overflow="fold")
    for rule in listing:
        table.add_row(rule.id, " ".join(rule.clauses), rule.side, rule.strength, escape(rule.title))
    out.print(table)


@bench_app.command("startup")
def bench_startup(
    kernel: KernelOption = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; the median counts.")] = 3,
    as_json: JsonOption = False,
) -> None:
    """A warm run under virtme-ng and directly, beside a bare `vng -- true`.

    Example: pykit bench startup
    """
    from pykit import bench

    measured = bench.startup(kernel, rounds=rounds, say=say)
    if as_json:
        dump(measured.as_json())
    else:
        out.print(measured.table())


@bench_app.command("driver")
def bench_driver(
    kernel: KernelOption = None,
    rounds: Annotated[int, typer.Option(min=2, help="Rounds; the median counts.")] = 7,
    as_json: JsonOption = False,
) -> None:
    """Our virtio-blk driver beside the kernel's own, and what an enabled event costs.

    Example: pykit bench driver --kernel debian-6.12
    """
    from pykit import bench

    measured = bench.driver(kernel, rounds=rounds, say=say)
    if as_json:
        dump(measured.as_json())
    else:
        out.print(measured.table())


@bench_app.command("decode")
def bench_decode(
    run: Annotated[
        Path | None,
        typer.Argument(help="A run directory or its capture/, as well."),
    ] = None,
    events: Annotated[
        list[int] | None,
        typer.Option("--events", min=1, help="Generate a trace of so many; may be given again."),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; the best counts.")] = 3,
    as_json: JsonOption = False,
) -> None:
    """Raw pages to columns and to verdicts, beside `trace-cmd report` and libtraceevent.

    Example: pykit bench decode runs/20260102-030405-blk --events 1000000 --events 20000000
    """
    from pykit import bench

    measured = bench.decode(run, events=events or [20_000_000], rounds=rounds, say=say)
    if as_json:
        dump(measured.as_json())
    else:
        out.print(measured.table())


@bench_app.command("observers")
def bench_observers(
    kernel: KernelOption = None,
    rounds: Annotated[int, typer.Option(min=1, help="Guests of each sort.")] = 2,
    as_json: JsonOption = False,
) -> None:
    """What each observer costs an I/O, beside the same guest that nobody looks at.

    Example: pykit bench observers --kernel debian-6.12
    """
    from pykit import bench

    measured = bench.observers(kernel, rounds=rounds, say=say)
    if as_json:
        dump(measured.as_json())
    else:
        out.print(measured.table())


@bench_app.command("matrix")
def bench_matrix(
    kernel: KernelOption = None,
    count: Annotated[int, typer.Option(min=1, help="So many scenarios.")] = 300,
    boots: Annotated[int, typer.Option(min=1, help="So many boots of the peer.")] = 6,
    as_json: JsonOption = False,
) -> None:
    """Scenarios a minute, captured and judged, beside one virtme-ng boot a scenario.

    Example: pykit bench matrix
    """
    from pykit import bench

    measured = bench.matrix(kernel, count=count, boots=boots, say=say)
    if as_json:
        dump(measured.as_json())
    else:
        out.print(measured.table())


@bench_app.command("soak")
def bench_soak(
    kernel: KernelOption = None,
    part: Annotated[
        list[str] | None, typer.Option("--part", help="Only this one; may be given again.")
    ] = None,
    scale: Annotated[
        float, typer.Option(min=0, help="How long, of the counts in the scenarios.")
    ] = 1.0,
    as_json: JsonOption = False,
) -> None:
    """Hours of use in bounded form; for kernels with sanitizers.

    Example: pykit bench soak --kernel debug-6.12 --part requests --scale 0.1
    """
    from pykit import bench

    done = bench.soak(kernel, parts=part or bench.PARTS, scale=scale, say=say)
    if as_json:
        dump(done.as_json())
    else:
        out.print(done.table())
    raise typer.Exit(Exit.OK if done.clean else Exit.FAILED)


app.add_typer(results_app)


def _version(value: bool) -> None:
    if value:
        out.print(f"pykit {__version__}")
        raise typer.Exit(Exit.OK)


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    # Called for the options of `pykit` itself; the verbs do the rest.
    del version


def _one_line(error: OSError) -> str:
    where = f" {error.filename}" if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"no space left on the device:{where or ' free some space'}, then run it again"
    return f"{os.strerror(error.errno) if error.errno else error}:{where}"


def _terminated(signum: int, frame: FrameType | None) -> None:
    del frame
    # As Ctrl-C: unwind, so that every guest is ended and every temporary file goes.
    signal.signal(signum, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> None:
    """Entry point: run a verb; end with the contract's exit codes and never a traceback
    for what a user can mend."""
    signal.signal(signal.SIGTERM, _terminated)
    signal.signal(signal.SIGHUP, _terminated)
    memory.keep_freed()
    try:
        code = app(standalone_mode=False)
    except PykitError as error:
        err.print(f"[red]pykit:[/] {escape(str(error))}", soft_wrap=True)
        code = error.exit_code
    except typer.Abort:
        code = 130
    except KeyboardInterrupt:
        err.print("[red]pykit:[/] interrupted")
        code = 130
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
        code = Exit.OK
    except OSError as error:
        err.print(f"[red]pykit:[/] {escape(_one_line(error))}", soft_wrap=True)
        code = Exit.INFRA
    except Exception as error:
        # Click's own: a wrong option or argument.
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        code = Exit.USAGE
    code = int(code) if isinstance(code, int) else Exit.OK
    sys.exit(code_for_git(code) if _BISECT in sys.argv[1:] else code)


if __name__ == "__main__":
    main()
