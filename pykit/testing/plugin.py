# SPDX-License-Identifier: GPL-2.0-only
"""Provide pytest fixtures for tests against a live guest: see docs/testing.md.

Tests of a session that ask for the same kernel, transport and number of CPUs share a guest; each
test gets its own trace. All names start with ``pykit_``: the fixtures exist in every project
whose environment has pykit. ::

    @pytest.mark.virtio(kernel="debian-6.1", driver="virtio_blk")
    def test_reads(pykit_guest, pykit_virtio_blk, pykit_verdicts):
        pykit_guest.run(f"dd if={pykit_virtio_blk} of=/dev/null bs=4k count=100 iflag=direct")
        assert not pykit_verdicts().having("fail")
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pykit.errors import MissingConfigError, UsageError

if TYPE_CHECKING:
    from pykit import spec, trace
    from pykit.run.shared import SharedGuest
    from pykit.scenario import Scenario
    from pykit.testing.live import Disk, LiveGuest

_MARK = (
    "virtio(kernel='default', driver='pykit_virtio_blk', transport='pci', ring='split', "
    "options={}, size_mib=16, cpus=1): the guest and the disk of a test; kernel may be a list"
)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker ``virtio``."""
    config.addinivalue_line("markers", _MARK)


@dataclass(frozen=True)
class _Wanted:
    """The arguments of a test's marker, with their defaults."""

    kernel: str | list[str] = "default"
    driver: str = "pykit_virtio_blk"
    transport: str = "pci"
    ring: str = "split"
    options: dict[str, Any] = field(default_factory=dict)
    size_mib: int = 16
    cpus: int = 1


def _wanted(node: pytest.Item) -> _Wanted:
    given: dict[str, Any] = {}
    for mark in reversed(list(node.iter_markers("virtio"))):
        given |= mark.kwargs
    try:
        return _Wanted(**given)
    except TypeError as error:
        raise UsageError(f"{node.nodeid}: pytest.mark.virtio: {error}: {_MARK}") from None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once on each kernel that its marker lists."""
    if "_pykit_kernel" not in metafunc.fixturenames:
        return
    kernel = _wanted(metafunc.definition).kernel
    names = [kernel] if isinstance(kernel, str) else list(kernel)
    metafunc.parametrize("_pykit_kernel", names, indirect=True, scope="session")


@pytest.fixture(scope="session")
def _pykit_kernel(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class _Guests:
    """The guests of a session; one that crashed or hangs is replaced."""

    def __init__(self) -> None:
        self._stacks: dict[tuple[str, str, int], contextlib.ExitStack] = {}
        self._guests: dict[tuple[str, str, int], SharedGuest] = {}

    def one(self, kernel: str, scenario: Scenario) -> SharedGuest:
        """Return a guest that can run the scenario; boot one where there is none."""
        from pykit.run.shared import SharedGuest
        from pykit.testing import live

        if not scenario.transport.hot_plug:
            raise UsageError(f"{scenario.transport.name} has no hot-plug: use pci or pci-legacy")
        key = (kernel, scenario.transport.name, scenario.cpus)
        guest = self._guests.get(key)
        if guest is None or not guest.sound:
            self.drop(key)
            stack = self._stacks[key] = contextlib.ExitStack()
            bundle = live.bundle_of(kernel, scenario, _say)
            guest = stack.enter_context(SharedGuest(bundle))
            self._guests[key] = guest
        return guest

    def drop(self, key: tuple[str, str, int]) -> None:
        """Power a guest off."""
        self._guests.pop(key, None)
        self._stacks.pop(key, contextlib.ExitStack()).close()

    def close(self) -> None:
        """Power all guests off."""
        for key in list(self._stacks):
            self.drop(key)


def _say(line: str) -> None:
    print(line, file=sys.stderr)


@pytest.fixture(scope="session")
def _pykit_guests() -> Iterator[_Guests]:
    guests = _Guests()
    yield guests
    guests.close()


@pytest.fixture
def pykit_guest(
    request: pytest.FixtureRequest,
    _pykit_guests: _Guests,
    _pykit_kernel: str,
    tmp_path: Path,
) -> Iterator[LiveGuest]:
    """Boot or reuse a guest with the marker's kernel and driver, and trace it for this test."""
    from pykit.testing import live

    wanted = _wanted(request.node)
    made = live.scenario(
        wanted.driver, wanted.transport, wanted.ring, wanted.options, wanted.size_mib
    )
    made = replace(made, cpus=wanted.cpus)
    try:
        shared = _pykit_guests.one(_pykit_kernel, made)
    except MissingConfigError as error:
        pytest.skip(str(error))
    test = live.LiveGuest(shared, made, tmp_path / "pykit")
    yield test
    test.end()


@pytest.fixture
def pykit_virtio_blk(pykit_guest: LiveGuest) -> Disk:
    """Plug the disk of the test's marker; ``str()`` gives its node in the guest."""
    return pykit_guest.plug()


@pytest.fixture
def pykit_capture(pykit_guest: LiveGuest) -> Callable[[], Path]:
    """Return a function that ends the trace and returns the capture's folder."""
    return pykit_guest.end


@pytest.fixture
def pykit_events(pykit_guest: LiveGuest) -> Callable[[], trace.Events]:
    """Return a function that ends the trace and returns its events."""
    return pykit_guest.events


@pytest.fixture
def pykit_verdicts(pykit_guest: LiveGuest) -> Callable[[], spec.Verdicts]:
    """Return a function that ends the trace and returns the verdict of every rule."""
    return pykit_guest.verdicts
