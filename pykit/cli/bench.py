# SPDX-License-Identifier: GPL-2.0-only
"""The verb `bench`: one command a measurement."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Protocol

import typer
from rich.console import RenderableType

from pykit.cli.options import JsonOption, KernelOption
from pykit.cli.terminal import dump, out, say
from pykit.errors import Exit

bench_app = typer.Typer(
    help="Measure speed relative to a peer in the same run.", no_args_is_help=True
)


class _Measured(Protocol):
    """What every measurement returns."""

    def as_json(self) -> Any: ...
    def table(self) -> RenderableType: ...


def _print(measured: _Measured, as_json: bool) -> None:
    if as_json:
        dump(measured.as_json())
    else:
        out.print(measured.table())


@bench_app.command("all")
def bench_all(
    kernel: KernelOption = None,
    part: Annotated[
        list[str] | None,
        typer.Option(
            "--part",
            help="Run only this part (repeatable): startup, matrix, drive, vhost-user, decode, "
            "observers or "
            "driver.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the kit in one go, store it below runs/bench and compare it with the last time.

    Example: pykit bench all --part startup --part drive
    """
    from pykit import bench

    measured = bench.every(kernel, parts=part or bench.ALL_PARTS, say=say)
    _print(measured, as_json)


@bench_app.command("startup")
def bench_startup(
    kernel: KernelOption = None,
    rounds: Annotated[int, typer.Option(min=1, help="Repeat this often; the median counts.")] = 3,
    as_json: JsonOption = False,
) -> None:
    """Measure a warm run under virtme-ng and booted directly, beside a bare `vng -- true`.

    Example: pykit bench startup
    """
    from pykit import bench

    measured = bench.startup(kernel, rounds=rounds, say=say)
    _print(measured, as_json)


@bench_app.command("driver")
def bench_driver(
    kernel: KernelOption = None,
    rounds: Annotated[int, typer.Option(min=2, help="Repeat this often; the median counts.")] = 7,
    as_json: JsonOption = False,
) -> None:
    """Measure our virtio-blk driver beside the kernel's own, and the cost of an event.

    Example: pykit bench driver --kernel debian-6.12
    """
    from pykit import bench

    measured = bench.driver(kernel, rounds=rounds, say=say)
    _print(measured, as_json)


@bench_app.command("drive")
def bench_drive(
    count: Annotated[int, typer.Option(min=1, help="Run this many cases by each carrier.")] = 1000,
    as_json: JsonOption = False,
) -> None:
    """Measure cases a minute of `pykit drive`, by vhost-user and by qtest.

    Example: pykit bench drive --count 200
    """
    from pykit import bench

    measured = bench.drive_rates(count, say=say)
    _print(measured, as_json)


@bench_app.command("vhost-user")
def bench_vhost_user(
    kernel: KernelOption = None,
    rounds: Annotated[int, typer.Option(min=1, help="Repeat this often; the median counts.")] = 7,
    as_json: JsonOption = False,
) -> None:
    """Measure reads through `pykit tap`, of `pykit device` and by `pykit drive`.

    Beside them is qemu-storage-daemon in the same guest, with no tap between.

    Example: pykit bench vhost-user --rounds 3
    """
    from pykit import bench

    measured = bench.vhost_user_rates(kernel, rounds=rounds, say=say)
    _print(measured, as_json)


@bench_app.command("decode")
def bench_decode(
    run: Annotated[
        Path | None,
        typer.Argument(help="Decode this run directory or its capture/ too."),
    ] = None,
    events: Annotated[
        list[int] | None,
        typer.Option("--events", min=1, help="Generate a trace of this many events (repeatable)."),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Repeat this often; the best counts.")] = 3,
    as_json: JsonOption = False,
) -> None:
    """Measure decoding and checking, beside `trace-cmd report` and libtraceevent.

    Example: pykit bench decode runs/20260102-030405-blk --events 1000000 --events 20000000
    """
    from pykit import bench

    measured = bench.decode(run, events=events or [20_000_000], rounds=rounds, say=say)
    _print(measured, as_json)


@bench_app.command("observers")
def bench_observers(
    kernel: KernelOption = None,
    rounds: Annotated[int, typer.Option(min=1, help="Boot this many guests of each kind.")] = 2,
    as_json: JsonOption = False,
) -> None:
    """Measure the cost of each observer per I/O, beside a guest without observers.

    Example: pykit bench observers --kernel debian-6.12
    """
    from pykit import bench

    measured = bench.observers(kernel, rounds=rounds, say=say)
    _print(measured, as_json)


@bench_app.command("io")
def bench_io(
    kernel: KernelOption = None,
    rounds: Annotated[int, typer.Option(min=1, help="Repeat this often; the median counts.")] = 3,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Write the tables as Markdown and plots (SVG) here as well."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare I/O paths from IDE to vhost-user: exits, interrupts, instructions, speed of a read.

    Example: pykit bench io --rounds 1
    """
    from pykit import bench

    measured = bench.io_paths(kernel, rounds=rounds, say=say)
    if to is not None:
        measured.write(to)
    _print(measured, as_json)


@bench_app.command("matrix")
def bench_matrix(
    kernel: KernelOption = None,
    count: Annotated[int, typer.Option(min=1, help="Run this many scenarios.")] = 300,
    boots: Annotated[int, typer.Option(min=1, help="Boot the peer this often.")] = 6,
    as_json: JsonOption = False,
) -> None:
    """Measure scenarios per minute, beside one virtme-ng boot for each scenario.

    Example: pykit bench matrix
    """
    from pykit import bench

    measured = bench.matrix(kernel, count=count, boots=boots, say=say)
    _print(measured, as_json)


@bench_app.command("soak")
def bench_soak(
    kernel: KernelOption = None,
    part: Annotated[
        list[str] | None, typer.Option("--part", help="Run only this part (repeatable).")
    ] = None,
    scale: Annotated[
        float, typer.Option(min=0, help="Multiply the counts in the scenarios by this.")
    ] = 1.0,
    as_json: JsonOption = False,
) -> None:
    """Run stress tests of bounded length, for kernels with sanitizers.

    Example: pykit bench soak --kernel debug-6.12 --part requests --scale 0.1
    """
    from pykit import bench

    done = bench.soak(kernel, parts=part or bench.PARTS, scale=scale, say=say)
    _print(done, as_json)
    raise typer.Exit(Exit.OK if done.clean else Exit.FAILED)
