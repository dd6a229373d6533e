# SPDX-License-Identifier: GPL-2.0-only
"""Job definitions for CI systems: the shards of a plan, as a runner here would run them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, assert_never

import yaml

from pykit.errors import UsageError
from pykit.matrix.results.view import STATUSES, CellStatus

System = Literal["github", "lava"]

#: Minutes for set-up and kernels at most, and for a cell on a slow machine.
_BEGIN_MIN = 45
_CELL_MIN = 0.5
#: GitHub ends a job after that, LAVA's administrators have their own limits.
_LONGEST_MIN = 360

_HEAD = """\
# SPDX-License-Identifier: GPL-2.0-only
# Made by pykit export-jobs: do not edit.
"""


@dataclass(frozen=True)
class CiJobs:
    """The commands that CI jobs run.

    Attributes:
        arguments: of `pykit matrix`, without the shard: --only, --tag, --kernel.
        cells: how many there are in all shards together.
        repository, revision: where machines that have nothing get pykit; GitHub's have it.
    """

    arguments: Sequence[str]
    cells: int
    shards: int
    repository: str = ""
    revision: str = ""

    def minutes(self) -> int:
        """A deadline for a shard."""
        each = -(-self.cells // self.shards)
        return min(_LONGEST_MIN, round(_BEGIN_MIN + _CELL_MIN * each))

    def command(self, shard: str, to: str) -> str:
        """Run a shard, as a line of shell; ``shard`` may be an expression of the CI system's."""
        return f".venv/bin/pykit matrix {shlex.join(self.arguments)} --shard {shard} --to {to}"


def export(jobs: CiJobs, system: System) -> dict[str, str]:
    """The files' texts by name.

    Raises UsageError for more shards than cells, or where the system needs further settings.
    """
    if not 1 <= jobs.shards <= jobs.cells:
        raise UsageError(f"{jobs.cells} cells make 1 to {jobs.cells} shards, not {jobs.shards}")
    match system:
        case "github":
            return {"pykit.yml": _yaml(github(jobs))}
        case "lava":
            if not jobs.repository or not jobs.revision:
                raise UsageError("LAVA's machines fetch pykit: say --repository and --revision")
            shards = range(1, jobs.shards + 1)
            return {
                f"pykit-{i}-of-{jobs.shards}.yaml": _yaml(lava(jobs, i)) for i in shards
            }  # fmt: skip
        case _:
            assert_never(system)


def github(jobs: CiJobs) -> dict[str, Any]:
    """A workflow of GitHub Actions, for the repository that pykit is in.

    A job a shard, and one that merges them and decides: it alone sees whether cells are missing.
    """
    setup = [
        {"uses": "actions/checkout@v4"},
        {"run": "make setup"},
    ]
    cache = {
        "uses": "actions/cache@v4",
        "with": {"path": "~/.cache/pykit", "key": "pykit-${{ hashFiles('pykit/kernels/**') }}"},
    }
    # 4: all that the shard has is impossible or inconclusive, which the whole need not be.
    run = jobs.command(f"${{{{ matrix.shard }}}}/{jobs.shards}", "shard")
    shard = {
        "runs-on": "ubuntu-latest",
        "timeout-minutes": jobs.minutes(),
        "strategy": {
            "fail-fast": False,
            "matrix": {"shard": list(range(1, jobs.shards + 1))},
        },
        "steps": [
            *setup,
            cache,
            {"run": f"{run} || test $? -eq 4"},
            {
                "if": "always()",
                "uses": "actions/upload-artifact@v4",
                "with": {"name": "shard-${{ matrix.shard }}", "path": "shard"},
            },
        ],
    }
    merge = {
        "needs": "shard",
        "if": "${{ !cancelled() }}",
        "runs-on": "ubuntu-latest",
        "timeout-minutes": _BEGIN_MIN,
        "permissions": {"contents": "read", "security-events": "write"},
        "steps": [
            *setup,
            {
                "uses": "actions/download-artifact@v4",
                "with": {"pattern": "shard-*", "path": "shards"},
            },
            {"run": ".venv/bin/pykit merge shards/* --to matrix"},
            {
                "if": "always()",
                "uses": "actions/upload-artifact@v4",
                "with": {"name": "matrix", "path": "matrix"},
            },
            {
                "if": "always()",
                "uses": "github/codeql-action/upload-sarif@v3",
                "with": {"sarif_file": "matrix/sarif.json"},
            },
        ],
    }
    return {
        "name": "pykit",
        "on": {"workflow_dispatch": {}, "pull_request": {}},
        "permissions": {"contents": "read"},
        "jobs": {"shard": shard, "merge": merge},
    }


def lava_result(status: CellStatus) -> Literal["pass", "fail", "skip", "unknown"]:
    """A cell's status as LAVA has it."""
    match status:
        case "held":
            return "pass"
        case "failed":
            return "fail"
        case "inconclusive" | "impossible":
            return "skip"
        case "error" | "missing":
            return "unknown"
        case _:
            assert_never(status)


def lava(jobs: CiJobs, i: int) -> dict[str, Any]:
    """A job for LAVA: a container, in which a shard is run; a test case a cell.

    Guests are emulated, so that any machine that has containers will do.
    """
    name = f"pykit-{i}-of-{jobs.shards}"
    minutes = {"minutes": jobs.minutes()}
    words = {status: lava_result(status) for status in STATUSES}
    list_results = (
        f"import json; words = {words}; "
        "[print(cell['name'].replace('/', '.'), words[cell['status']]) "
        "for cell in json.load(open('shard/matrix.json'))['cells']]"
    )
    steps = [
        "set -e",
        "apt-get update",
        "apt-get install -y git make python3",
        shlex.join(["git", "clone", jobs.repository, "pykit"]),
        "cd pykit",
        shlex.join(["git", "checkout", jobs.revision]),
        "make setup",
        f'{jobs.command(f"{i}/{jobs.shards}", "shard")} || echo "pykit ended with $?"',
        f".venv/bin/python -c {shlex.quote(list_results)} >cells",
        'while read -r name result; do lava-test-case "$name" --result "$result"; done <cells',
    ]
    definition = {
        "metadata": {
            "format": "Lava-Test Test Definition 1.0",
            "name": name,
            "description": f"pykit, shard {i} of {jobs.shards}",
        },
        "run": {"steps": steps},
    }
    test = {
        "timeout": minutes,
        "definitions": [
            {
                "from": "inline",
                "name": name,
                "path": f"inline/{name}.yaml",
                "repository": definition,
            }
        ],
    }
    return {
        "job_name": name,
        "device_type": "docker",
        "priority": "medium",
        "visibility": "public",
        "timeouts": {
            "job": {"minutes": jobs.minutes() + 15},
            "action": {"minutes": 10},
            "connection": {"minutes": 5},
        },
        "actions": [
            {"deploy": {"to": "docker", "os": "debian", "image": "debian:12"}},
            {"boot": {"method": "docker", "command": "bash", "prompts": ["root@lava:"]}},
            {"test": test},
        ],
    }


def _yaml(data: dict[str, Any]) -> str:
    text: str = yaml.safe_dump(data, sort_keys=False, width=1000)
    return _HEAD + text
