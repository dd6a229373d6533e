# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures of pytest: ``guest``, ``virtio_blk``, ``capture``, ``events``, ``verdicts``.

Guests are shared between the tests of a session that ask for the same kernel, transport and
number of CPUs, and each test has a trace of its own::

    @pytest.mark.virtio(kernel="debian-6.1", driver="virtio_blk")
    def test_reads(guest, virtio_blk, verdicts):
        guest.run(f"dd if={virtio_blk} of=/dev/null bs=4k count=100 iflag=direct")
        assert not verdicts().having("fail")
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
    """Make the marker known."""
    config.addinivalue_line("markers", _MARK)


@dataclass(frozen=True)
class _Wanted:
    """What a test's marker says."""

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
    """A test is run once on each kernel that its marker lists."""
    if "_virtio_kernel" not in metafunc.fixturenames:
        return
    kernel = _wanted(metafunc.definition).kernel
    names = [kernel] if isinstance(kernel, str) else list(kernel)
    metafunc.parametrize("_virtio_kernel", names, indirect=True, scope="session")


@pytest.fixture(scope="session")
def _virtio_kernel(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class _Guests:
    """The session's guests; one that is not sound any more is replaced."""

    def __init__(self) -> None:
        self._stacks: dict[tuple[str, str, int], contextlib.ExitStack] = {}
        self._guests: dict[tuple[str, str, int], SharedGuest] = {}

    def one(self, kernel: str, scenario: Scenario) -> SharedGuest:
        """A guest that can run the scenario."""
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
        """End a guest."""
        self._guests.pop(key, None)
        self._stacks.pop(key, contextlib.ExitStack()).close()

    def close(self) -> None:
        """End all."""
        for key in list(self._stacks):
            self.drop(key)


def _say(line: str) -> None:
    print(line, file=sys.stderr)


@pytest.fixture(scope="session")
def _virtio_guests() -> Iterator[_Guests]:
    guests = _Guests()
    yield guests
    guests.close()


@pytest.fixture
def guest(
    request: pytest.FixtureRequest,
    _virtio_guests: _Guests,
    _virtio_kernel: str,
    tmp_path: Path,
) -> Iterator[LiveGuest]:
    """A live guest with the kernel and the driver of the test's marker; traced for this test."""
    from pykit.testing import live

    wanted = _wanted(request.node)
    made = live.scenario(
        wanted.driver, wanted.transport, wanted.ring, wanted.options, wanted.size_mib
    )
    made = replace(made, cpus=wanted.cpus)
    try:
        shared = _virtio_guests.one(_virtio_kernel, made)
    except MissingConfigError as error:
        pytest.skip(str(error))
    test = live.LiveGuest(shared, made, tmp_path / "pykit")
    yield test
    test.end()


@pytest.fixture
def virtio_blk(guest: LiveGuest) -> Disk:
    """The disk of the test's marker, plugged; as text it is its node in the guest."""
    return guest.plug()


@pytest.fixture
def capture(guest: LiveGuest) -> Callable[[], Path]:
    """Ends the test's trace; the folder of its capture."""
    return guest.end


@pytest.fixture
def events(guest: LiveGuest) -> Callable[[], trace.Events]:
    """Ends the test's trace; its events."""
    return guest.events


@pytest.fixture
def verdicts(guest: LiveGuest) -> Callable[[], spec.Verdicts]:
    """Ends the test's trace; what the rules say."""
    return guest.verdicts
