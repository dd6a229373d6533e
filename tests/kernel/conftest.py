# SPDX-License-Identifier: GPL-2.0-only
"""What boot tests share: a kernel, its modules, and runs that several tests look at."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pykit import kernels, modules, steps
from pykit.matrix.execute.own_guest import NOTHING_BROUGHT
from pykit.scenario import Observer

Run = Callable[..., steps.RunResult]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here boots; where no QEMU can be had that is said, not hidden."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.boot)
            if shutil.which("qemu-system-x86_64") is None:
                item.add_marker(pytest.mark.skip(reason="no qemu-system-x86_64: make setup"))
    # Long files first: the many short ones then fill both workers to the end.
    items.sort(key=lambda item: item.get_closest_marker("boot") is None)


def say(line: str) -> None:
    print(line, file=sys.stderr)


def require_same_verdicts(one: steps.RunResult, other: steps.RunResult) -> None:
    """Both runs decided the same of what both have decided."""

    def decided(result: steps.RunResult) -> dict[str, str]:
        # What depends on timing (was an interrupt suppressed?) may be there or not.
        return {
            verdict.rule.id: verdict.verdict
            for verdict in result.verdicts.rules
            if verdict.verdict in ("pass", "fail")
        }

    first, second = decided(one), decided(other)
    both = first.keys() & second.keys()
    assert len(both) > 120
    assert {name: first[name] for name in both} == {name: second[name] for name in both}


@pytest.fixture(scope="session")
def kernel() -> kernels.Kernel:
    return kernels.resolve(progress=say)


@pytest.fixture(scope="session")
def plain(kernel: kernels.Kernel) -> modules.Build:
    return modules.build(kernel, progress=say)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a scenario as `pykit run` does, in a directory of its own."""

    def start(
        scenario: str = "blk",
        *,
        runner: str = "direct",
        kernel_name: str | None = None,
        fault: str | None = None,
        device_fault: str | None = None,
        transport: str = "pci",
        ring: str = "split",
        driver: str | None = None,
        observe: tuple[Observer, ...] = (),
        brought: modules.BroughtModules = NOTHING_BROUGHT,
        device: str | None = None,
    ) -> steps.RunResult:
        what = fault or device_fault or "clean"
        return steps.run(
            scenario,
            kernel_name=kernel_name,
            runner=runner,
            fault=fault,
            device_fault=device_fault,
            to=tmp_path_factory.mktemp(f"{Path(scenario).stem}-{runner}-{what}"),
            say=say,
            transport=transport,
            ring=ring,
            driver=driver,
            observe=observe,
            brought=brought,
            device=device,
        )

    return start


@pytest.fixture(scope="session")
def direct(run: Run) -> steps.RunResult:
    """The default scenario, booted directly: one boot for every test that only looks."""
    return run()


@pytest.fixture(scope="session")
def vng(run: Run) -> steps.RunResult:
    """The default scenario under virtme-ng."""
    return run(runner="vng")
