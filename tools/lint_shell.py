# SPDX-License-Identifier: GPL-2.0-only
"""Lint the shell code with shellcheck: scripts, and the guest's lines in scenarios.

Run as ``python -m tools.lint_shell``; any warning is a failure.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from pykit.paths import ROOT
from pykit.scenario import load_scenario
from pykit.scenario.model import SCENARIOS

SCRIPTS = (".ci/*", "dkms.conf", "guest/*/*.sh", "tools/*.sh")
#: Steps share one shell library, and later steps read what earlier ones set: shellcheck sees
#: one step alone. Splitting of $(…) is meant: names in sysfs and /dev have no white space.
EXCLUDED = {
    "SC2034": "a variable is set and not used",
    "SC2154": "a variable is used and not set",
    "SC2046": "a command's output is split into words",
}


def scripts(root: Path = ROOT) -> list[Path]:
    """Return the shell scripts of the checkout."""
    found = (path for pattern in SCRIPTS for path in root.glob(pattern))
    return sorted(path for path in found if path.suffix != ".yml")


def complaints(paths: Iterable[Path], folder: Path, *options: str) -> list[str]:
    """Return what shellcheck warns of, a line each, with paths relative to ``folder``."""
    names = [path.relative_to(folder) for path in paths]
    command = ["shellcheck", "--severity=warning", "--format=gcc", *options, *names]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).splitlines()


def step_complaints(scenarios: Path = SCENARIOS) -> list[str]:
    """Return what shellcheck warns of in the steps of scenarios: scenario, step, line of it."""
    with tempfile.TemporaryDirectory(prefix="pykit-lint-") as temporary:
        folder = Path(temporary)
        for path in scenarios.glob("*.toml"):
            scenario = load_scenario(str(path) if scenarios != SCENARIOS else path.stem)
            for step in scenario.steps:
                if step.guest:
                    (folder / f"{path.name}: step {step.name}").write_text(step.guest)
        options = ("--shell=dash", f"--exclude={','.join(EXCLUDED)}")
        found = complaints(sorted(folder.iterdir()), folder, *options)
    return [f"scenarios/{line}" for line in found]


def main() -> int:
    """Print every warning; return 0 where there is none."""
    found = [*complaints(scripts(), ROOT), *step_complaints()]
    print(f"shellcheck: {'clean' if not found else f'{len(found)} warnings'}")
    for line in found:
        print(f"  {line}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
