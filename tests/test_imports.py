# SPDX-License-Identifier: GPL-2.0-only
"""Packages import only what is to their left, and what a package is used by is listed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

import pykit

ROOT = Path(pykit.__file__).parent

#: From left to right: each imports only from those before it.
ORDER = (
    "errors", "text", "files", "seal", "memory", "processes", "paths", "compiler", "spatch", "pci",
    "toml", "arch", "vhost_user", "kconfig", "kernels", "upstream", "modules", "qemu", "scenario",
    "guests", "observe", "run", "trace", "spec", "analysis", "top", "report", "mutants", "peers",
    "drive", "device", "tap", "matrix", "proof", "steps", "baseline", "bisect", "record", "doctor",
    "bench", "testing", "cli",
)  # fmt: skip

#: Modules that other packages import past the package's own entry, its __init__. The lists only
#: shrink: what a new user needs is exported there.
PAST_THE_ENTRY = {
    "scenario": {"available", "axes", "model", "transport"},
    "qemu": {"accel", "keeper", "program", "restorer", "tsc"},
    "guests": {
        "bundle", "bring_up", "carried", "channel", "deadlines", "device_args", "firmware", "hang",
        "kitsteps", "locate", "monitor", "outcome", "payload", "runners", "tracelog",
    },
    "observe": {"access", "blind_spots", "ringwatch", "survey"},
    "run": {"own", "outside", "shared"},
}  # fmt: skip


def names() -> dict[str, Path]:
    """All modules, by name."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports() -> list[tuple[str, str]]:
    """Pairs of a module and one of pykit's that it imports, at its top or in a function."""
    modules, found = names(), []
    for module, path in modules.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found += [(module, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{module} imports by a relative name"
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    found.append((module, whole if whole in modules else str(node.module)))
    return [(user, used) for user, used in found if used in modules]


def package(module: str) -> str:
    """The part of pykit that a module belongs to; empty for pykit itself."""
    return module.split(".")[1] if "." in module else ""


CROSSING = [
    (user, used) for user, used in imports() if "" != package(user) != package(used) != ""
]  # fmt: skip


def test_every_part_has_its_place() -> None:
    assert {package(module) for module in names()} - {""} <= set(ORDER)


def test_imports_go_to_the_left() -> None:
    wrong = {
        f"{user} imports {used}"
        for user, used in CROSSING
        if ORDER.index(package(used)) > ORDER.index(package(user))
    }
    assert not wrong


@pytest.mark.parametrize("name", PAST_THE_ENTRY)
def test_a_package_is_used_by_its_entry(name: str) -> None:
    past: dict[str, set[str]] = defaultdict(set)
    for user, used in CROSSING:
        if package(used) == name and used != f"pykit.{name}":
            past[used.removeprefix(f"pykit.{name}.")].add(user)
    new = {module: sorted(past[module]) for module in past.keys() - PAST_THE_ENTRY[name]}
    assert not new, f"export from pykit.{name} what these import"
    assert past.keys() == PAST_THE_ENTRY[name], "take what is past the entry no more off the list"


def test_the_verbs_load_nothing_that_computes() -> None:
    """Help, versions and errors of usage come at once: a verb imports what it needs when called."""
    command = "import sys, pykit.cli.ending; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", command], text=True).split()
    assert not {"numba", "numpy", "polars", "pydantic", "jinja2"} & set(loaded)


def test_a_run_boots_before_it_loads_what_judges() -> None:
    """That takes longer than all else before the boot, and is done while the guest comes up."""
    command = "import sys, pykit.steps; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", command], text=True).split()
    assert not {"numba", "polars", "jinja2", "pykit.trace", "pykit.report"} & set(loaded)
