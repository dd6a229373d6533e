# SPDX-License-Identifier: GPL-2.0-only
"""References and links of the documents match the sources."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


def test_every_shell_function_is_documented() -> None:
    source = next(ROOT.glob("guest/**/lib.sh")).read_text()
    functions = set(re.findall(r"^([a-z_]+)\(\)", source, re.MULTILINE))
    table = (ROOT / "docs/reference/lib-sh.md").read_text()
    documented = set(re.findall(r"^\| `([a-z_]+)[ `]", table, re.MULTILINE))
    assert functions <= documented, sorted(functions - documented)
    assert documented <= functions | {"ready"}


def test_every_scenario_key_is_documented() -> None:
    reference = (ROOT / "docs/reference/scenario.md").read_text()
    documented = set(re.findall(r"`([a-z-]+)`", reference))
    used: set[str] = set()
    for scenario in ROOT.glob("scenarios/*.toml"):
        used |= set(re.findall(r"^([a-z-]+) = ", scenario.read_text(), re.MULTILINE))
    # Keys below [parameters.…] are those of modules.
    parameters = {key for key in used if "_" in key}
    assert used - parameters - documented <= _values_of_tables(), sorted(used - documented)


def _values_of_tables() -> set[str]:
    """Keys that stand in tables whose names are the user's: parameters, options, files."""
    keys: set[str] = set()
    for scenario in ROOT.glob("scenarios/*.toml"):
        table = ""
        for line in scenario.read_text().splitlines():
            if line.startswith("["):
                table = line.strip("[]")
            elif table.startswith("parameters") or table.endswith((".options", ".files")):
                keys |= set(re.findall(r"^([a-z-]+) = ", line))
    return keys


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)", text):
        if not target.startswith(("https://", "mailto:")):
            assert (document.parent / target).exists(), f"{document}: {target}"


def test_every_measured_path_is_in_the_tables() -> None:
    from pykit.bench.io_guest import PATHS

    text = (ROOT / "docs/io-paths.md").read_text()
    for path in PATHS:
        assert text.count(f"\n| {path.name} | ") == 2, path.name
