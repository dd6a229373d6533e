# SPDX-License-Identifier: GPL-2.0-only
"""One run of ``pykit tap``: connections one after the other, and the capture that comes of them."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pykit import vhost_user
from pykit.device.memory import GuestMemory
from pykit.drive import Kind
from pykit.errors import InfraError, UsageError
from pykit.paths import require_empty
from pykit.seal import write_sealed
from pykit.tap.faults import Injection
from pykit.tap.heal import heal
from pykit.tap.queues import Around
from pykit.tap.record import TapRecorder
from pykit.tap.relay import Relay
from pykit.tap.shadow import ShadowMemory
from pykit.tap.stream import Stream
from pykit.tap.watch import Watch
from pykit.trace.tapped import PREFIX
from pykit.vhost_user import PATIENCE, PeerGoneError

#: Back-ends in a row that may end without having returned a chain before the tap gives up.
_FRUITLESS = 3
#: How long a back-end may take to listen, in seconds: it may begin anew with each connection.
_DIALING, _PAUSE = 1.0, 0.02


@dataclass
class TapResult:
    """What a tap carried.

    Attributes:
        directory: the run directory.
        connections: of front-ends.
        chains: that front-ends made available.
        events: that were written down.
        heals: how often another back-end took over.
        unsettled: queues that the back-end stopped with chains in flight.
        injected: the fault was made.
        full: why not all was written down; empty where all was.
    """

    directory: Path
    connections: int = 0
    chains: int = 0
    events: int = 0
    heals: int = 0
    unsettled: int = 0
    injected: bool = False
    full: str = ""


class Tap:
    """Listens for front-ends, and connects each to the back-end.

    Args:
        listen: where front-ends connect; a socket there must not be.
        connect: where the back-end listens.
        kind: type of the device.
        directory: the run directory that is written.
        injection: a fault on the way.
        heals: replace a back-end that goes.
        device: name of the device in the capture.
        say: reports a line.

    Raises:
        UsageError: the socket or the directory cannot be made, or no back-end is there.
    """

    def __init__(
        self,
        listen: Path,
        connect: Path,
        kind: Kind,
        directory: Path,
        *,
        injection: Injection | None = None,
        heals: bool = False,
        device: str = "dev0",
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        if not connect.is_socket():
            raise UsageError(f"{connect}: no socket: start the back-end first")
        require_empty(directory)
        self._listen, self._connect, self._kind = listen, connect, kind
        self._injection, self._heals, self._device, self._say = injection, heals, device, say
        self.result = TapResult(directory)
        self._listener = vhost_user.listen(listen, 4)
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._watch = Watch()
        self._ended, self._ticked = False, 0.0
        try:
            self._recorder = TapRecorder(directory / "capture" / f"{PREFIX}{device}")
        except OSError as error:
            self._close()
            raise InfraError(f"{directory}: cannot be written: {error.strerror}") from None
        self._watch.add(self._wake, self._end)
        self._relay: Relay | None = None

    def stop(self) -> None:
        """Have ``run`` return; may be called from any thread."""
        os.eventfd_write(self._wake, 1)

    def _end(self) -> None:
        self._ended = True

    def run(self) -> TapResult:
        """Carry connections until ``stop`` is called, or the user interrupts; write the capture.

        Raises:
            PeerGoneError: the back-end took no connection at all.
        """
        try:
            with contextlib.suppress(KeyboardInterrupt):
                self._watch.add(self._listener.fileno(), self._accept)
                while not self._ended:
                    self._step()
        finally:
            self._leave()
            self._save()
            self._close()
        return self.result

    def _step(self) -> None:
        relay = self._relay
        if relay is None:
            self._watch.wait(-1)
            return
        try:
            patience = relay.patience
            self._watch.wait(patience)
            now = time.monotonic()
            if now - self._ticked >= patience:
                self._ticked = now
                self._guarded(relay, relay.tick)
        except FrontEndLeftError:
            self._leave()
        except PeerGoneError as error:
            self._say(str(error))
            self._leave()

    def _accept(self) -> None:
        sock, _ = self._listener.accept()
        if self._relay is not None:
            # A second front-end would take the rings of the first.
            sock.close()
            return
        sock.settimeout(PATIENCE)
        front = Stream(sock, "front-end", ended=FrontEndLeftError)
        try:
            back = self._dialled()
        except PeerGoneError as error:
            front.close()
            if not self.result.connections:
                raise
            self._say(str(error))
            return
        self.result.connections += 1
        around = Around(
            self._watch, GuestMemory(), ShadowMemory(), self._recorder, self._injection,
            self._kind.id, self._heals,
        )  # fmt: skip
        relay = self._relay = Relay(front, back, around, self._say)
        self._fruitless, self._carried = 0, 0

        def from_front() -> None:
            if (message := front.read()) is not None:
                self._guarded(relay, lambda: relay.from_front(message))

        self._watch.add(front.fileno(), from_front)
        self._watch_back(relay)

    def _watch_back(self, relay: Relay) -> None:
        back = relay.back

        def read() -> None:
            message = back.read()
            if message is not None:
                relay.from_back(message)

        self._watch.add(back.fileno(), lambda: self._guarded(relay, read))

    def _guarded(self, relay: Relay, act: Callable[[], None]) -> None:
        """Do something with the back-end; where it is gone, put another in its place."""
        try:
            act()
        except BackEndGoneError as error:
            if not self._heals:
                raise
            self._heal(relay, str(error))

    def _heal(self, relay: Relay, why: str) -> None:
        # What it returned before it went is done.
        for queue in relay.queues.values():
            queue.take_used(0)
        carried = relay.returned
        self._fruitless = 0 if carried > self._carried else self._fruitless + 1
        self._carried = carried
        if self._fruitless >= _FRUITLESS:
            raise PeerGoneError(f"{why}, {_FRUITLESS} times in a row: not healed again")
        self._watch.drop(relay.back.fileno())
        relay.back.close()
        heal(relay, self._dial)
        self.result.heals += 1
        self._watch_back(relay)
        self._say(f"{why}: another has taken over")

    def _dialled(self) -> Stream:
        end = time.monotonic() + _DIALING
        while True:
            try:
                return self._dial()
            except PeerGoneError:
                if time.monotonic() > end:
                    raise
                time.sleep(_PAUSE)

    def _dial(self) -> Stream:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(PATIENCE)
        try:
            sock.connect(str(self._connect))
        except OSError as error:
            sock.close()
            raise PeerGoneError(
                f"{self._connect}: no back-end takes a connection: {error.strerror}"
            ) from None
        return Stream(sock, "back-end", BackEndGoneError)

    def _leave(self) -> None:
        """End the connection that there is, with what its back-end has returned."""
        relay, self._relay = self._relay, None
        if relay is None:
            return
        for queue in relay.queues.values():
            queue.take_used(0)
        self.result.chains += relay.chains
        self.result.unsettled += relay.unsettled
        relay.close()
        relay.around.shadow.close()

    def _save(self) -> None:
        recorder, result = self._recorder, self.result
        recorder.close()
        result.events, result.full = recorder.events, recorder.full
        result.injected = self._injection is not None and self._injection.done
        words = [f"{result.chains} chains carried"]
        if self._injection is not None:
            fault = self._injection.fault
            made = "made" if result.injected else "not reached"
            words.append(f"the tap's fault {fault.name} at chain {self._injection.at}: {made}")
        if result.full:
            words.append(f"not all was written down: {result.full}")
        info = {
            "schema": 1,
            "complete": not result.full,
            "clock": "realtime",
            "cpus": 1,
            "kernel": "",
            "qemu": f"vhost-user back-end at {self._connect}",
            "outcome": {"kind": "clean", "message": "; ".join(words)},
            "devices": [
                {"id": self._device, "type": self._kind.type, "options": {}, "driver": "front-end"}
            ],
            "steps": [],
            "qmp": [],
        }
        path = result.directory / "capture" / "capture.json"
        try:
            write_sealed(path.parent, info, ("tap",))
        except OSError as error:
            raise InfraError(f"{path}: cannot be written: {error.strerror}") from None

    def _close(self) -> None:
        self._listener.close()
        self._listen.unlink(missing_ok=True)
        self._watch.end()
        os.close(self._wake)


class FrontEndLeftError(PeerGoneError):
    """The front-end has ended its connection."""


class BackEndGoneError(PeerGoneError):
    """The back-end ended the connection."""
