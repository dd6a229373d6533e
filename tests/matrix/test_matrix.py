# SPDX-License-Identifier: GPL-2.0-only
"""Plans, and running them: with a stand-in for pykit, whose commands take no time."""

from __future__ import annotations

import io
import json
import re
import sys
import textwrap
import time
from pathlib import Path

import pytest
from rich.console import Console

from pykit import matrix
from pykit.errors import Exit, UsageError
from pykit.matrix.jobs import Job, work
from pykit.scenario import load_scenario, on_transport, under_driver, with_ring
from pykit.scenario.model import SCENARIOS

KBUILD = Path(__file__).parents[2] / "Kbuild"

#: What `python -m pykit.cli …` is replaced by: it does as the kernel's name says.
PYKIT = """\
#!{python}
import json, os, pathlib, sys, time
words = sys.argv[3:]
kernel = words[words.index("--kernel") + 1]
if words[0] == "build":
    print("pykit: cc: no such compiler" if kernel == "unbuilt" else "pykit_trace.ko")
    sys.exit(3 if kernel == "unbuilt" else 0)
if kernel == "endless":
    print(os.getpid(), flush=True)
    time.sleep(1000)
if kernel == "bare":
    print("pykit: no QEMU has the machine microvm")
    sys.exit(3)
if kernel == "small" and "vduse" in words[1]:
    print("pykit: kernel small has no module vduse (CONFIG_VDPA_USER is not set)")
    sys.exit(4)
directory = pathlib.Path(words[words.index("--to") + 1])
directory.mkdir()
broken = kernel == "broken" and "mmio" in words
summary = {{"pass": 5, "fail": int(broken), "inconclusive": 1, "not-applicable": 2, "waived": 0}}
rules = [{{"id": "XX-DR-01", "verdict": "fail" if broken else "pass"}}]
run = {{"outcome": {{"kind": "clean", "message": "done"}}, "kernel": {{"release": "6.99"}}}}
(directory / "run.json").write_text(json.dumps(run))
(directory / "verdicts.json").write_text(json.dumps({{"summary": summary, "rules": rules}}))
sys.exit(int(broken))
"""


@pytest.fixture(autouse=True)
def pykit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "pykit"
    script.write_text(textwrap.dedent(PYKIT.format(python=sys.executable)))
    script.chmod(0o755)
    monkeypatch.setattr("pykit.matrix.jobs.sys.executable", str(script))


def run(tmp_path: Path, *kernels: str, only: str = "*") -> matrix.Matrix:
    return run_plan(tmp_path, matrix.plan_kernels(kernels).only(only))


def run_plan(tmp_path: Path, plan: matrix.Plan) -> matrix.Matrix:
    return matrix.run_plan(plan, tmp_path / "out", lambda _: None)


def shown(done: matrix.Matrix) -> str:
    console = Console(file=io.StringIO(), width=80)
    for part in matrix.table(done):
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_every_cell_of_the_plan_can_be_asked_for() -> None:
    cells = matrix.plan_kernels(matrix.KERNELS).cells
    assert len({cell.name for cell in cells}) == len(cells) == 3 * (2 * 5 + 4)
    assert {cell.kernel for cell in cells} == {"debian-6.1", "debian-6.12", "debian-7.2"}
    for cell in cells:
        scenario = load_scenario(cell.scenario)
        if cell.options:
            scenario = under_driver(scenario, cell.option("driver"))
            scenario = on_transport(scenario, cell.option("transport"))
            with_ring(scenario, cell.option("ring", "split"))


def test_every_module_is_in_the_plan() -> None:
    ours = set(re.findall(r"^(pykit_\w+)-y :=", KBUILD.read_text(), re.MULTILINE))
    used = {"pykit_trace"}
    for cell in matrix.plan_kernels(["k"]).cells:
        scenario = load_scenario(cell.scenario)
        if cell.options:
            scenario = under_driver(scenario, cell.option("driver"))
        used |= set(scenario.modules)
    assert used == ours


def test_every_loopback_scenario_is_in_its_plan() -> None:
    plan = matrix.plan_loopback(matrix.KERNELS)
    assert len({cell.name for cell in plan.cells}) == len(plan.cells)
    there = {path.stem for path in SCENARIOS.glob("loop-*.toml")}
    for kernel in matrix.KERNELS:
        assert {cell.scenario for cell in plan.cells if cell.kernel == kernel} == there
    for cell in plan.cells:
        scenario = load_scenario(cell.scenario)
        driver = cell.option("driver", str(scenario.driver))
        assert under_driver(scenario, driver).driver == driver
        assert ("probe" in cell.modules) == (not driver.startswith("pykit_"))


def test_only_some() -> None:
    plan = matrix.plan_kernels(["k"]).only("*-virtio_blk-mmio")
    assert [cell.name for cell in plan.cells] == ["k-blk-virtio_blk-mmio"]
    with pytest.raises(UsageError, match="no cell is called nothing"):
        matrix.plan_kernels(["k"]).only("nothing")


def test_all_held(tmp_path: Path) -> None:
    done = run(tmp_path, "good")
    assert done.exit_code == Exit.OK
    assert len(done.results) == 14
    data = json.loads((tmp_path / "out" / "matrix.json").read_text())
    assert data == json.loads(json.dumps(done.as_json()))
    assert data["complete"]
    assert {cell["release"] for cell in data["cells"]} == {"6.99"}
    for cell in data["cells"]:
        assert (tmp_path / "out" / cell["directory"] / "run.json").exists()
    assert matrix.reasons(done)[0] == "14 of 14 cells held"


def test_a_rule_that_failed_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, "broken", only="*pykit_virtio_blk-*")
    assert done.exit_code == Exit.FAILED
    assert matrix.reasons(done)[:2] == [
        "broken-blk-pykit_virtio_blk-mmio: rules failed: XX-DR-01",
        "4 of 5 cells held",
    ]
    # In the order of the plan, whoever was done first.
    assert [result.cell.attached for result in done.results] == [
        "pci", "pci-legacy", "mmio", "mmio-legacy", "pci, packed",
    ]  # fmt: skip


def test_what_cannot_be_run_says_why(tmp_path: Path) -> None:
    done = run(tmp_path, "bare", only="*-mmio")
    assert done.exit_code == Exit.INFRA
    assert {result.message for result in done.results} == {"no QEMU has the machine microvm"}
    assert "not run" in shown(done)


def test_what_is_impossible_on_a_kernel_is_no_failure(tmp_path: Path) -> None:
    done = run_plan(tmp_path, matrix.plan_loopback(["small"]))
    assert done.exit_code == Exit.OK
    *lines, count, _ = matrix.reasons(done)
    reason = "kernel small has no module vduse (CONFIG_VDPA_USER is not set)"
    assert lines == [
        f"small-loop-vduse-pykit_virtio_blk: {reason}",
        f"small-loop-vduse-virtio_blk: {reason}",
        f"small-loop-vduse-net: {reason}",
    ]
    assert count == f"{len(done.results) - 3} of {len(done.results)} cells held, 3 are impossible"
    data = json.loads((tmp_path / "out" / "matrix.json").read_text())
    assert data["plan"] == "loopback"
    assert {cell["message"] for cell in data["cells"] if cell["exit_code"] == 4} == {reason}


def test_a_plan_that_is_impossible_was_skipped(tmp_path: Path) -> None:
    done = run_plan(tmp_path, matrix.plan_loopback(["small"]).only("*vduse*"))
    assert done.exit_code == Exit.SKIP
    assert matrix.reasons(done)[-2] == "0 of 3 cells held, 3 are impossible"


def test_without_modules_nothing_is_run(tmp_path: Path) -> None:
    done = run(tmp_path, "unbuilt", "good", only="*-mmio")
    assert done.exit_code == Exit.INFRA
    assert [result.outcome for result in done.results] == ["not run"] * 2 + ["clean"] * 2
    assert done.results[0].message == "its modules were not built: cc: no such compiler"
    assert "cc: no such compiler" in shown(done)


@pytest.mark.parametrize(
    ("plan", "rows"),
    [
        (
            matrix.plan_kernels(["debian-6.12"]),
            (
                "kernel modules transport guest pass fail waived open n/a",
                "debian-6.12 pykit_virtio_blk mmio-legacy clean 5 0 0 1 2",
            ),
        ),
        (
            matrix.plan_loopback(["debian-6.12"]),
            (
                "kernel driver back-end guest pass fail waived open n/a",
                "debian-6.12 virtio_blk (probe) pykit, killed clean 5 0 0 1 2",
            ),
        ),
    ],
)
def test_the_table_fits_a_terminal(
    tmp_path: Path, plan: matrix.Plan, rows: tuple[str, ...]
) -> None:
    lines = shown(run_plan(tmp_path, plan)).splitlines()
    assert all(len(line) <= 80 for line in lines)
    # Without the last column, the seconds, which are those of this machine.
    assert set(rows) <= {" ".join(line.split()[:-1]) for line in lines}


def test_two_at_a_time(tmp_path: Path) -> None:
    jobs = [Job(f"{n}", ("build", "--kernel", "good"), tmp_path / f"{n}.log") for n in range(5)]
    running: set[str] = set()
    most = 0

    def started(job: Job) -> None:
        nonlocal most
        running.add(job.name)
        most = max(most, len(running))

    for done in work(jobs, started):
        running.remove(done.job.name)
        assert (done.exit_code, done.last_words) == (0, "pykit_trace.ko")
    assert (most, running) == (2, set())


def test_leaving_ends_what_is_running(tmp_path: Path) -> None:
    endless = Job("endless", ("run", "--kernel", "endless"), tmp_path / "endless.log")
    short = Job("short", ("build", "--kernel", "good"), tmp_path / "short.log")
    ended = work([endless, short], lambda job: None)
    assert next(ended).job == short
    while not endless.log.read_text():
        time.sleep(0.01)
    process = Path("/proc") / endless.log.read_text().strip()
    assert process.exists()
    ended.close()
    assert not process.exists()
