# SPDX-License-Identifier: GPL-2.0-only
"""A probe whose hooks have no effect says so, instead of tracing nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from pykit import kernels, modules
from pykit.kernels import kbuild, source_tree
from pykit.modules.build import copy_sources, make_arguments, sources
from pykit.run import run_scenario
from pykit.scenario import load_scenario, under_driver


@pytest.mark.slow
def test_the_probe_is_refused_where_calls_are_not_redirected(
    kernel: kernels.Kernel, plain: modules.Build, tmp_path: Path
) -> None:
    folder = tmp_path / "plain"
    copy_sources(folder, sources(), {})
    header = folder / "kernel/compat/ftrace.h"
    lines = header.read_text().splitlines()
    kept = [line for line in lines if "ip);" not in line]
    assert len(kept) == len(lines) - 3
    header.write_text("\n".join(kept) + "\n")
    log = tmp_path / "log"
    with log.open("w") as lock:
        arguments = make_arguments(kernel, folder, source_tree(kernel) / "drivers/vhost")
        assert kbuild.make(arguments, tmp_path / "make.log", lock.fileno()) == 0
    outcome = run_scenario(
        under_driver(load_scenario("io"), "virtio_blk"),
        kernel=kernel,
        modules=[folder / path.name for path in plain.modules],
        out=tmp_path / "run",
        runner="direct",
    )
    assert outcome.kind == "module-failed"
    assert "pykit_probe.ko" in outcome.message
    console = (tmp_path / "run/console.log").read_text()
    assert "pykit_probe: ftrace does not redirect calls on this kernel" in console
