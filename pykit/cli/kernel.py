# SPDX-License-Identifier: GPL-2.0-only
"""Verbs for kernels, their configuration and the modules built for them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from pykit.cli.options import ArchOption, JsonOption, KernelOption
from pykit.cli.terminal import dump, echo, err, print_table, say
from pykit.errors import Exit, UsageError

kernel_app = typer.Typer(help="Download, build, list and describe kernels.", no_args_is_help=True)


def config(
    profile: Annotated[
        str, typer.Argument(help="Name a profile of configs/profiles, such as minimal.")
    ],
    kernel: KernelOption = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the full .config to this file.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Check the kernel's own .config, write nothing.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the output file.")] = False,
) -> None:
    """Resolve a profile against a kernel's Kconfig tree, or check a kernel against it.

    Example: pykit config minimal --kernel debian-6.12 -o .config
    """
    from pykit import steps

    if check:
        steps.check_config(profile, kernel, say)
        echo(f"the kernel's .config satisfies profile {profile}")
        return
    if output is None:
        raise UsageError("no output file: add -o FILE, or --check to write nothing")
    for line in steps.write_config(profile, kernel, output, force=force, say=say):
        echo(line)


@kernel_app.command("list")
def kernel_list(as_json: JsonOption = False) -> None:
    """List the kernels that --kernel can name: cached, installed and downloadable.

    Example: pykit kernel list
    """
    from pykit import kernels

    known = kernels.list_known()
    if as_json:
        dump([vars(kernel) for kernel in known])
        return
    print_table(
        ("name", "release", "state", "description"),
        ((kernel.name, kernel.release or "", kernel.state, kernel.summary) for kernel in known),
    )


@kernel_app.command("get")
def kernel_get(
    name: Annotated[str, typer.Argument(help="Name debian-6.12, -6.1, -7.2 or an exact release.")],
    arch: ArchOption = None,
) -> None:
    """Download a kernel, or a newer build of it, into the cache.

    Example: pykit kernel get debian-6.1 --arch arm64
    """
    from pykit import kernels

    spec = kernels.on_arch(name, arch)
    echo(kernels.get(spec, refresh=True, progress=say).release)


@kernel_app.command("build")
def kernel_build(
    profile: Annotated[str, typer.Argument(help="Name a profile: minimal, debug, kcsan, vdpa, …")],
    source: Annotated[
        str | None,
        typer.Option(
            metavar="S", help="Build debian-6.12 (default), -6.1, -7.2, or a source tree."
        ),
    ] = None,
) -> None:
    """Build a kernel from source with a profile of configs/profiles and print its name.

    Example: pykit kernel build debug --source debian-6.1
    """
    from rich import progress

    from pykit import kernels

    columns = (
        progress.BarColumn(),
        progress.TextColumn("{task.completed:,} of about {task.total:,} objects"),
        progress.TimeElapsedColumn(),
        progress.TextColumn("{task.description}", markup=False),
    )
    with progress.Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=None, visible=False)

        def step(done: int, about: int, what: str) -> None:
            bar.update(task, completed=done, total=about, description=what, visible=True)

        kernel = kernels.build(profile, source, progress=say, step=step)
    echo(kernel.name)


@kernel_app.command("patches")
def kernel_patches(
    source: Annotated[
        str, typer.Argument(help="Name debian-7.2 or the directory of a source tree.")
    ],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Write to this new directory.")],
) -> None:
    """Write the patches that give a kernel's virtio core trace events, for its source tree.

    Example: pykit kernel patches linux --to patches
    """
    from pykit import kernels, upstream

    tree = Path(source)
    if not tree.is_dir():
        tree = kernels.source_tree(kernels.resolve(source, progress=say), progress=say)
    for path in upstream.write_series(tree, to):
        echo(str(path))


@kernel_app.command("show")
def kernel_show(
    name: Annotated[str, typer.Argument(help="Name a kernel as --kernel does.")] = "default",
    source: Annotated[
        bool, typer.Option("--source", help="Download the source too and print its directory.")
    ] = False,
) -> None:
    """Print where a kernel's image, modules and build directory are, as JSON.

    Example: pykit kernel show default --source
    """
    from pykit import kernels

    kernel = kernels.resolve(name, progress=say)
    data: dict[str, Any] = vars(kernel) | {"arch": kernel.arch.name}
    if source:
        data["source"] = kernels.source_tree(kernel, progress=say)
    dump(data)


def build(
    kernel: KernelOption = None,
    arch: ArchOption = None,
    fault: Annotated[
        bool, typer.Option("--fault", help="Build the modules that have deliberate bugs.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Build with W=1 C=1 and fail on any warning.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Build the kernel modules for a kernel and inspect each of them.

    Example: pykit build --kernel debian-6.1
    """
    from pykit import kernels, modules

    target = kernels.resolve(kernels.on_arch(kernel, arch), progress=say)
    built = modules.build(target, fault=fault, progress=say)
    inspections = [modules.inspect(path, target) for path in built.modules]
    if as_json:
        dump([inspection.as_dict() for inspection in inspections])
    else:
        for inspection in inspections:
            echo(inspection.summary())
    complaints = modules.complaints(target, fault=fault, progress=say) if strict else []
    for line in complaints:
        err.print(Text(line), soft_wrap=True)
    if complaints:
        raise typer.Exit(Exit.FAILED)
