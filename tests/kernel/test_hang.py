# SPDX-License-Identifier: GPL-2.0-only
"""A guest whose driver waits for ever: what led there comes out, and who waits where."""

from __future__ import annotations

from pathlib import Path

import pytest

from pykit import kernels, modules, spec, trace
from pykit.guests.bundle import bundle
from pykit.run.shared import SharedGuest
from pykit.scenario import load_scenario

from .conftest import say

SCENARIO = """
summary = "a read whose completion is not signalled"
deadline = 20
driver = "virtio_blk"
modules = ["pykit_probe", "pykit_loopback", "pykit_vhost"]
kernel-modules = ["virtio_blk"]
guest-programs = ["loopback"]

[[step]]
name = "read"
guest = '''
join transport blk mib=1
disk=$(disk) || die "no disk appeared"
# What cannot be killed is the step itself, not a child of it.
read -r line <$disk
'''
"""


@pytest.mark.parametrize(
    ("fault", "rules"),
    [
        ("wrong-id", {"DX-01"}),
        pytest.param("signal-missed", {"DX-15", "NU-DE-05"}, marks=pytest.mark.slow),
    ],
)
def test_what_led_to_a_hang(
    tmp_path: Path, kernel: kernels.Kernel, fault: str, rules: set[str]
) -> None:
    path = tmp_path / "hangs.toml"
    path.write_text(SCENARIO)
    scenario = load_scenario(str(path))
    built = modules.build(kernel, fault=True, progress=say)
    with SharedGuest(bundle(kernel, built.modules, [scenario])) as guest:
        outcome = guest.run(scenario, tmp_path / "run", {"pykit_vhost": fault})
        assert not guest.sound
    assert outcome.kind == "hang"
    assert "step read: " in outcome.message
    assert "sh (state D) in " in outcome.message
    events = trace.load(tmp_path / "run/capture")
    assert not events.lost
    found = spec.check(events)
    # The chain that waits is a second violation once it has waited long enough.
    assert set(found.having("fail")) - {"DX-39"} == rules
    (still,) = [t.sentence for t in found.troubles if t.kind == "standstill"]
    assert "the device's turn" in still
