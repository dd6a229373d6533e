# SPDX-License-Identifier: GPL-2.0-only
"""Write the results of a matrix for CI systems, for queries, and for people."""

from __future__ import annotations

import io
from pathlib import Path

from pykit.matrix.results import (
    conformance,
    dataset,
    junit,
    kcidb,
    ktap,
    page,
    reactions,
    sarif,
    summary,
)
from pykit.matrix.results.faults import Fate, FaultCell, FaultTable
from pykit.matrix.results.view import MatrixView, load
from pykit.paths import write_atomically

__all__ = ["Fate", "FaultCell", "FaultTable", "MatrixView", "load", "write_results"]


def write_results(directory: Path) -> MatrixView:
    """Write all results of a matrix directory anew, from its plan and its journal.

    They are results.ktap, junit.xml, kcidb.json, sarif.json, verdicts.parquet, matrix.json,
    conformance.md and index.html, of cells with deliberate faults faults.csv, and of those with a
    faulty `pykit device` reactions.md, each whole or not there. Unfinished cells are listed as
    missing.

    Raises: UsageError where it is no matrix directory; OSError where a file cannot be written.
    """
    view = load(directory)
    rows = io.BytesIO()
    dataset.frame(view).write_parquet(rows)
    files = {
        "results.ktap": ktap.render(view).encode(),
        "junit.xml": junit.render(view),
        "kcidb.json": kcidb.render(view).encode(),
        "sarif.json": sarif.render(view).encode(),
        "verdicts.parquet": rows.getvalue(),
        "matrix.json": summary.render(view).encode(),
        "conformance.md": conformance.render(view).encode(),
        "index.html": page.render(view).encode(),
    }
    if (table := FaultTable.of(view)).cells:
        files["faults.csv"] = table.to_csv().encode()
    if (reacted := reactions.reactions(view)).lines:
        releases = {cell.record.release for cell in view.cells if cell.record}
        text = reactions.to_markdown(reacted, sorted(filter(None, releases)), {})
        files["reactions.md"] = text.encode()
    for name, data in files.items():
        write_atomically(directory / name, data)
    return view
