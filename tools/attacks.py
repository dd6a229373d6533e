# SPDX-License-Identifier: GPL-2.0-only
"""Add to a list of attacks the rows of cases that express them, the carriers and what came of them.

Usage: attacks.py LIST [drive.json …] > LIST.new. The list is a table whose first column, ``id``,
attacks.tsv relates to rows of cases. Results are those of the runs that are named.
"""

from __future__ import annotations

import csv
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from pykit.drive import Tables, read_tables

#: Cases that every run makes: legal requests in all shapes.
_CONFORMING = "conforming"
_COLUMNS = ("rows", "carriers", "ran", "outcome")


def related(tables: Tables) -> dict[str, list[str]]:
    """Return the rows of each attack.

    Raises:
        SystemExit: a row is not there.
    """
    found = defaultdict(list)
    known = {row.name for row in tables.rows} | {_CONFORMING}
    lines = Path(__file__).with_suffix(".tsv").read_text(encoding="utf-8").splitlines()
    for line in lines:
        if line.startswith(("#", "row\t")):
            continue
        row, ids = line.split("\t")
        if row not in known:
            sys.exit(f"attacks.tsv: no row is called {row!r}")
        for name in ids.split():
            found[name].append(row)
    return found


def carriers(tables: Tables) -> dict[str, tuple[str, ...]]:
    """Return which carriers take cases of each row to a device."""
    found = {row.name: ("vhost-user", "qtest") for row in (*tables.case, *tables.blk)}
    found[_CONFORMING] = ("vhost-user", "qtest")
    return (
        found
        | {row.name: ("qtest",) for row in tables.access}
        | {row.name: ("vhost-user",) for row in tables.message}
    )


def outcomes(runs: list[Path]) -> dict[tuple[str, str], set[str]]:
    """Return the classes of each row and ring layout in all runs; a wrong one is marked.

    Cases that have no layout of their own are those of split rings.
    """
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for path in runs:
        run: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        parts = [one.get("run") for one in run["devices"]] if "devices" in run else [run]
        for part in filter(None, parts):
            if part["requests"]:
                what = "deviates (wrong)" if part["deviations"] else "handled"
                # A device that takes cases of packed rings got conforming requests of both.
                ran = [case["case"].split("/") for case in part["cases"] if "class" in case]
                for layout in ("split", *({"packed"} if any("packed" in c for c in ran) else ())):
                    found[_CONFORMING, layout].add(what)
            for case in part["cases"]:
                if "class" in case:
                    wrong = "" if case["class"] in case["right"] else " (wrong)"
                    row, *axes = case["case"].split("/")
                    layout = "packed" if "packed" in axes else "split"
                    found[row, layout].add(case["class"] + wrong)
    return found


def main() -> None:
    """Write the list with its new columns to standard output, a summary to standard error."""
    if len(sys.argv) < 2:
        sys.exit("name the list: attacks.py LIST [drive.json …]")
    with Path(sys.argv[1]).open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        attacks, columns = list(reader), list(reader.fieldnames or ())
    tables = read_tables()
    rows, ways = related(tables), carriers(tables)
    results = outcomes([Path(name) for name in sys.argv[2:]])
    writer = csv.DictWriter(
        sys.stdout, [*columns, *_COLUMNS], delimiter="\t", quoting=csv.QUOTE_NONE,
        lineterminator="\n",
    )  # fmt: skip
    writer.writeheader()
    expressible = ran = 0
    for attack in attacks:
        own = rows.get(attack["id"], [])
        layout = "packed" if attack.get("area") == "ring-packed" else "split"
        seen = sorted(set().union(*(results.get((row, layout), set()) for row in own)))
        expressible, ran = expressible + bool(own), ran + bool(seen)
        added = (
            ",".join(own) or "-",
            ",".join(dict.fromkeys(c for row in own for c in ways[row])) or "-",
            "yes" if seen else "no",
            ",".join(seen) or "-",
        )
        writer.writerow(attack | dict(zip(_COLUMNS, added, strict=True)))
    print(f"{len(attacks)} attacks: {expressible} expressible, {ran} run", file=sys.stderr)


if __name__ == "__main__":
    main()
