# SPDX-License-Identifier: GPL-2.0-only
"""The verb `baseline`, and the option of the same name."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pykit.cli.options import JsonOption
from pykit.cli.terminal import dump, echo, say, write
from pykit.errors import Exit

if TYPE_CHECKING:
    from pykit.baseline import BaselineFile, Examined

#: The file where no other is named.
DEFAULT = Path("pykit-baseline.toml")

BaselineOption = Annotated[
    Path | None,
    typer.Option(
        "--baseline",
        metavar="FILE",
        help="Expect the failures of this file (pykit baseline); fail for others, for those that "
        "held and for lines that name nothing.",
    ),
]


def baseline(
    directories: Annotated[
        list[Path], typer.Argument(help="Name directories of runs, matrices and drives.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="Write to this file.")
    ] = DEFAULT,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Put this reason to failures that are new.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Write what failed to a file of known failures, each with a reason.

    Entries that are in the file already keep their reasons; those that held are dropped.

    Example: pykit baseline runs/20260102-030405-drive --reason 'issue 12'
    """
    from pykit import baseline as known
    from pykit.paths import write_atomically

    before = known.read(output) if output.exists() else known.BaselineFile()
    examined = [one for directory in directories for one in known.of_directory(directory)]
    entries, found = known.renewed(before, examined, reason)
    write_atomically(output, known.render(entries).encode())
    if as_json:
        dump(found.as_json())
        return
    for title, changed in (("added", found.new), ("dropped", (*found.passed, *found.stale))):
        for entry in changed:
            echo(f"{title}: {entry.where}: {entry.what}")
    echo(f"{output}: {len(entries)} known failures")


def summary(
    directories: Annotated[
        list[Path], typer.Argument(help="Name directories of runs, matrices and drives.")
    ],
    baseline: BaselineOption = None,
    annotate: Annotated[
        bool, typer.Option("--annotate", help="Print annotations for GitHub's workflows instead.")
    ] = False,
) -> None:
    """Print results in Markdown, for a pull request: new failures with their clauses first.

    Example: pykit summary runs/20260102-030405-drive --baseline pykit-baseline.toml
    """
    from pykit import baseline as known

    examined = [one for directory in directories for one in known.of_directory(directory)]
    found = known.compare(read_baseline(baseline) or known.BaselineFile(), examined)
    text = "".join(f"{line}\n" for line in known.workflow_errors(found))
    write(text if annotate else known.markdown(examined, found))


def read_baseline(path: Path | None) -> BaselineFile | None:
    """Read the file of --baseline before the work begins; raises UsageError."""
    if path is None:
        return None
    from pykit import baseline as known

    return known.read(path)


def held_to(
    baseline: BaselineFile | None,
    examined: Iterable[Examined],
    directory: Path | None,
    *,
    as_json: bool,
) -> Exit | None:
    """Compare with a baseline, print how they differ; the exit code, None without a baseline.

    ``baseline.json`` in the results' directory has the same for programs; its junit.xml and
    sarif.json then have known failures as skipped and suppressed.
    """
    if baseline is None:
        return None
    from pykit import baseline as known
    from pykit.paths import write_atomically

    results = list(examined)
    found = known.compare(baseline, results)
    for line in found.lines():
        # Standard output is one JSON document.
        (say if as_json else echo)(line)
    if directory is not None:
        text = json.dumps(found.as_json(), indent=1) + "\n"
        write_atomically(directory / "baseline.json", text.encode())
        known.mark(directory, results, found)
    return found.exit_code
