# SPDX-License-Identifier: GPL-2.0-only
"""The modules build for the oldest and the newest patch level of each series that Debian serves."""

from __future__ import annotations

import sys

import pytest

from pykit import kernels, modules
from pykit.kernels import debian, store
from pykit.kernels.catalog import FLAVOURS, Candidate, Flavour

PLACES = [
    pytest.param(flavour, candidate, id=f"{flavour.name} of {candidate.suite}")
    for flavour in FLAVOURS
    for candidate in flavour.candidates
]


def say(line: str) -> None:
    print(line, file=sys.stderr)


@pytest.mark.slow
@pytest.mark.parametrize(("flavour", "candidate"), PLACES)
def test_they_build(flavour: Flavour, candidate: Candidate) -> None:
    place = store.kernels_dir()
    with (
        store.locked(place, say),
        debian.archive(candidate.suite, place, say, flavour.arch) as apt,
    ):
        release = debian.newest(apt, flavour, candidate) if apt else None
    if release is None:
        pytest.skip(f"{candidate.suite} has no {flavour.name}")
    kernel = kernels.resolve(release, progress=say)
    built = modules.build(kernel, progress=say)
    assert {path.stem for path in built.modules} >= {
        "pykit_trace", "pykit_virtio_blk", "pykit_probe", "pykit_vhost", "pykit_vhost_probe",
    }  # fmt: skip
