# SPDX-License-Identifier: GPL-2.0-only
"""The carrier to a guest kernel's back-ends: which ioctls are done, and what comes of refusals."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

import pytest

from pykit.drive.carriers import RefusedError
from pykit.drive.carriers.agent import AgentMemory
from pykit.drive.carriers.vhost import VHOST_DEVICES, VhostCarrier
from pykit.drive.driver import Shape, VirtioDriver
from pykit.drive.kinds import kind_of
from pykit.drive.named import chosen_target
from pykit.drive.record import Recorder
from pykit.errors import UsageError
from pykit.spec import bits
from pykit.vhost_user import LOG_ALL

from .test_agent import BASE, SIZE, USER, FakeAgent, listening

FEATURES = 1 << bits.VERSION_1 | 1 << bits.EVENT_IDX | 1 << LOG_ALL
_SET_FEATURES, _SET_ADDR, _CALL = 0x4008AF00, 0x4028AF11, 0x4008AF21
_SET_DISK = 0x4010AFE2


class KernelAgent(FakeAgent):
    """An agent in whose kernel every ioctl succeeds but those that are refused."""

    def __init__(self, *refused: int) -> None:
        super().__init__()
        self.refused = refused
        self.opened: dict[int, str] = {}
        self.done: list[tuple[str, int, bytes]] = []
        self.written: list[tuple[str, ...]] = []
        self.signals: dict[int, int] = {}
        self._next = 5

    def do(self, verb: str, *words: str) -> str:
        if verb in "abe":
            self._next += 1
            self.opened[self._next] = words[0] if verb == "a" else ""
            return f"{self._next:x}"
        if verb == "x":
            del self.opened[int(words[0], 16)]
            return ""
        if verb == "f":
            file, request = int(words[0], 16), int(words[1], 16)
            data = bytes.fromhex(words[2] if len(words) > 2 else "")
            self.done.append((self.opened[file], request, data))
            if request in self.refused:
                return f"{errno.EINVAL:x} {data.hex()}"
            return f"0 {(struct.pack('=Q', FEATURES) if request >> 30 == 2 else data).hex()}"
        if verb == "k":
            self.signals[int(words[0], 16)] = 1
            return ""
        if verb == "n":
            return f"{self.signals.pop(int(words[0], 16), 0):x}"
        if verb == "w":
            self.written.append(words)
            return ""
        return super().do(verb, *words)

    def of(self, request: int) -> list[bytes]:
        """Arguments of these ioctls."""
        return [data for _, found, data in self.done if found == request]


def live(agent: KernelAgent, folder: Path, device: str) -> None:
    """Two lives of a device, with a request in the second that nobody answers."""
    memory = AgentMemory()
    with listening(agent, folder) as path:
        carrier = VhostCarrier(path, device)
        kind = kind_of(VHOST_DEVICES[device])
        driver = VirtioDriver(carrier, kind, memory, Recorder(kind.type))
        try:
            driver.bring_up(Shape(size=16))
            driver.end()
            driver.bring_up(Shape(size=16))
            assert not driver.features >> LOG_ALL & 1
            driver.submit(kind.queue, kind.request(memory, 0))
            agent.signals[carrier._calls[kind.queue]] = 3
            assert carrier.interrupts(kind.queue) == 3
            assert not carrier.quiet()
            agent.signals[carrier._errors] = 1
            carrier.listen(kind.queue, 5)
            assert carrier.quiet(), "an error was reported"
        finally:
            carrier.stop()
            memory.close()


@pytest.mark.parametrize("device", VHOST_DEVICES)
def test_a_life_is_a_device_that_was_opened_anew(device: str, tmp_path: Path) -> None:
    agent = KernelAgent()
    live(agent, tmp_path, device)
    files = [path for path in agent.opened.values() if path]
    assert files[0] == f"/dev/{device}"
    assert len(files) == (2 if device == "vhost-net" else 1), "those of the first life are closed"
    assert agent.of(_SET_FEATURES)[0] == struct.pack("=Q", FEATURES & ~(1 << LOG_ALL))
    for data in agent.of(_SET_ADDR):
        index, flags, *areas, log = struct.unpack("=IIQQQQ", data)
        assert (index < 2, flags, log) == (True, 0, 0)
        assert all(USER <= area < USER + SIZE for area in areas)
    (table, *_) = [data for _, _, data in agent.done if len(data) == 40 and data[:4] == b"\1\0\0\0"]
    assert struct.unpack("=IIQQQQ", table)[2:] == (BASE, SIZE, USER, 0)
    names = {struct.unpack("=II", data)[1] for data in agent.of(_CALL)}
    assert len(names) == len(agent.of(_CALL)), "each queue has an eventfd of its own"
    assert bool(agent.written) == (device == "vhost-net")


def test_a_disk_keeps_its_data_from_life_to_life(tmp_path: Path) -> None:
    agent = KernelAgent()
    live(agent, tmp_path, "vhost-pykit")
    first, second = agent.of(_SET_DISK)
    assert first == second, "one file in the guest's memory for both"


def test_refused_features_are_no_features(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="does not accept a subset"):
        live(KernelAgent(_SET_FEATURES), tmp_path, "vhost-vsock")


def test_a_refusal_has_the_kernels_words(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=f"ioctl 0x11: {os.strerror(errno.EINVAL)}"):
        live(KernelAgent(_SET_ADDR), tmp_path, "vhost-vsock")


def test_a_kernels_device_needs_a_guest(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="add --guest"),
        chosen_target(tmp_path, None, None, None, "vhost-net", lambda _: None),
    ):
        pass
    with chosen_target(
        tmp_path, None, None, None, "vhost-vsock", lambda _: None, guest=True
    ) as target:
        assert (target.kind, target.vhost, str(target)) == ("vsock", "vhost-vsock", "vhost-vsock")
