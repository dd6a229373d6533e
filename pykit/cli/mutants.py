# SPDX-License-Identifier: GPL-2.0-only
"""The verb `mutants`."""

from __future__ import annotations

from typing import Annotated

import typer

from pykit.cli.options import JsonOption
from pykit.cli.terminal import dump, echo, print_table, say


def mutants(
    kernel: Annotated[
        str | None,
        typer.Option(
            metavar="KERNEL", help="Build the mutated modules for this kernel, such as debian-6.1."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List deliberate faults of the kernel's own virtio code, and build modules that have them.

    A mutant is switched on by writing its number to the parameter pykit_mutant.

    Example: pykit mutants
    """
    from pykit import kernels, spec
    from pykit.mutants import build_mutants, load_mutants

    found = load_mutants(spec.CLAUSES)
    built = build_mutants(kernels.resolve(kernel, progress=say), found, say) if kernel else None
    if as_json:
        dump(
            {
                "mutants": [
                    {
                        "name": mutant.name,
                        "title": mutant.title,
                        "must": list(mutant.must),
                        "may": list(mutant.may),
                        "ring": mutant.ring,
                        "number": built.numbers[mutant.name] if built else None,
                        "void": built.void.get(mutant.name) if built else None,
                    }
                    for mutant in found
                ],
                "home": built.home if built else None,
                "modules": {name: str(path) for name, path in sorted(built.modules.items())}
                if built
                else {},
            }
        )
        return
    columns = ["mutant", "ring", "clauses", "what the driver does"]
    rows = [[mutant.name, mutant.ring, " ".join(mutant.must), mutant.title] for mutant in found]
    if built:
        columns.append("number")
        for row in rows:
            row.append(built.void.get(row[0]) or str(built.numbers[row[0]]))
    print_table(columns, rows)
    if built:
        echo(f"switch: /sys/module/{built.home}/parameters/pykit_mutant")
        for name, path in sorted(built.modules.items()):
            echo(f"--replace {name}={path}")
