# SPDX-License-Identifier: GPL-2.0-only
"""A virtio core with trace events of its own, built, booted and recorded beside the probe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from pykit import kernels, steps
from pykit.errors import UsageError
from pykit.modules import BroughtModules
from pykit.spec import check
from pykit.trace import load
from pykit.upstream import CORE, build_core

from .conftest import say
from .test_record import OWN, RACED, Both, rows

Run = Callable[..., steps.RunResult]

pytestmark = pytest.mark.slow

#: Its core is modular.
KERNEL = "mutants-7.2"
SCENARIO = """
summary = "the core's own events beside the probe's"
deadline = 200
modules = ["pykit_probe"]
kernel-modules = ["virtio_blk"]
programs = ["trace-cmd"]

[[device]]
id = "vd0"
type = "virtio-blk-pci"
size-mib = 16
driver = "virtio_blk"
options = {{ num-queues = 2{options} }}

[[step]]
name = "start"
guest = '''
cd /tmp
trace-cmd record -B core -C mono -e virtio_ring -o /tmp/record.dat >/tmp/record.log 2>&1 &
echo $! >/tmp/record.pid
waited 'grep -q 1 $TRACING/instances/core/events/virtio_ring/enable' || die "$(cat /tmp/record.log)"
'''

[[step]]
name = "plug"
do = "plug"
device = "vd0"

[[step]]
name = "work"
guest = '''
disk=$(disk) || die "no disk appeared"
dd if=$disk of=/dev/null bs=4k count=60 iflag=direct 2>/dev/null &
dd if=/dev/zero of=$disk bs=256k count=8 seek=8 oflag=direct 2>/dev/null || die "dd failed"
wait
rebind || die "no second life"
dd if=$disk of=/dev/null bs=64k count=8 iflag=direct 2>/dev/null || die "dd failed"
'''

[[step]]
name = "unplug"
do = "unplug"
device = "vd0"

[[step]]
name = "stop"
guest = '''
kill -INT $(cat /tmp/record.pid)
waited '! kill -0 $(cat /tmp/record.pid) 2>/dev/null' || die "$(cat /tmp/record.log)"
'''
"""


@pytest.fixture(scope="module")
def core() -> Path:
    """The core's module with trace events."""
    try:
        target = kernels.resolve(KERNEL)
    except UsageError as error:
        pytest.skip(str(error))
    return build_core(target, say)


@pytest.fixture(scope="module", params=["", ", packed = true"], ids=["split", "packed"])
def both(
    request: pytest.FixtureRequest, run: Run, core: Path, tmp_path_factory: pytest.TempPathFactory
) -> Both:
    """A run with the probe, and what trace-cmd recorded of the core."""
    path = tmp_path_factory.mktemp("upstream") / "core.toml"
    path.write_text(SCENARIO.format(options=request.param))
    brought = BroughtModules(replaced={CORE: core})
    return Both(run(str(path), kernel_name=KERNEL, driver="virtio_blk", brought=brought))


@pytest.mark.parametrize("kind", ["add", "desc", "kick", "notify", "interrupt", "used", "callback"])
def test_the_core_has_what_the_probe_has(both: Both, kind: str) -> None:
    mine, other = rows(both.record, kind), rows(both.other, kind)
    if not mine.height:
        # Descriptors of packed rings.
        assert kind == "desc"
        return
    raced = OWN | RACED.get(kind, set())
    fields = [name for name in other.columns if name in mine.columns and name not in raced]
    assert_frame_equal(mine.select(fields), other.select(fields))


def test_the_file_is_judged(both: Both) -> None:
    events = load(both.path)
    verdicts = check(events)
    assert set(events.table["source"].unique()) == {"core"}
    assert events.lost == 0
    assert verdicts.having("fail") == ()
    assert len(verdicts.having("pass")) >= 15
