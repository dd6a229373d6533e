# SPDX-License-Identifier: GPL-2.0-only
"""Talk to the agent over the guest's second serial port, with an eye on the guest itself."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from pykit.guests import outcome

_POLL_S = 0.05
#: Of a console: so much at a time is looked at, and so much at all is taken.
_CHUNK, _MOST_CONSOLE_BYTES = 1 << 20, 256 << 20
#: For a step beside one that did not come to its end.
_BESIDE_S = 60.0


class GuestEndedError(Exception):
    """The guest is gone, or will never answer."""

    def __init__(self, kind: outcome.Kind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


class _Console:
    """What a guest's kernel prints, looked at for a panic as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._end = b""
        self._found = False

    def panicked(self) -> bool:
        """Return whether the kernel has panicked by now; raises GuestEndedError for a flood."""
        mark = outcome.PANIC.encode()
        with self._path.open("rb") as file:
            file.seek(self._read)
            while data := file.read(_CHUNK):
                self._read += len(data)
                self._found = self._found or mark in self._end + data
                self._end = (self._end + data)[1 - len(mark) :]
                if self._read > _MOST_CONSOLE_BYTES:
                    raise GuestEndedError(
                        "workload-failed",
                        f"the guest printed over {_MOST_CONSOLE_BYTES >> 20} MiB on its console",
                    )
        return self._found

    def text(self) -> str:
        return self._path.read_text(errors="replace")


class GuestChannel:
    """A booting or running guest: its process, its console, and the agent in it.

    Every wait ends: with the agent's line, with a panic on the console, with the end of
    the process, or at the deadline.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        folder: Path,
        console: Path,
        nonce: str,
        deadline: float,
    ) -> None:
        self._process = process
        self._folder = folder
        self._console = _Console(console)
        self._nonce = nonce
        #: time.monotonic() at which the guest has to be done.
        self.deadline = deadline
        #: The guest's clock when it last finished a step, to 10 ms, rounded down.
        self.clock_ns = 0
        self._socket: socket.socket | None = None
        self._pending = b""
        self._booted = False

    def connect(self) -> None:
        """Connect to the serial port and wait for the agent's first word."""
        self.open()
        while self._line() != "hello":
            pass
        self._booted = True

    def resume(self) -> None:
        """Its agent waits for a step: the guest is a copy of one that has come so far."""
        self.open()
        self._booted = True

    def receive(self) -> None:
        """Have a copy of a guest take what its run brings (guest/agent/init.sh)."""
        self._send(f"receive {int(time.time())}")

    def open(self) -> None:
        """Connect to the serial port, which is there as soon as QEMU is."""
        while self._socket is None:
            self._check()
            attempt = socket.socket(socket.AF_UNIX)
            try:
                attempt.connect(str(self._folder / "agent"))
            except OSError:
                attempt.close()
                time.sleep(_POLL_S)
                continue
            attempt.settimeout(_POLL_S)
            self._socket = attempt

    def run(
        self,
        step: str,
        variables: Mapping[str, str] = MappingProxyType({}),
        ready: Callable[[], None] = lambda: None,
    ) -> tuple[int, str]:
        """Have the agent run a step; exit code, and the last lines of its output.

        ``variables`` are in the step's environment, their values without white space.
        ``ready`` is called whenever the step says so, while it goes on.
        """
        return self._run("step", step, variables, ready)

    def beside(self, step: str, variables: Mapping[str, str]) -> tuple[int, str]:
        """Have a step run beside one that does not end, when the deadline has passed."""
        self.deadline = time.monotonic() + _BESIDE_S
        return self._run("beside", step, variables, lambda: None)

    def _run(
        self, how: str, step: str, variables: Mapping[str, str], ready: Callable[[], None]
    ) -> tuple[int, str]:
        given = [f"{name}={value}" for name, value in variables.items()]
        assert all(len(word.split()) == 1 for word in given), given
        self._send(" ".join([how, step, *given]))
        output: list[str] = []
        while True:
            word, _, rest = self._line().partition(" ")
            if word == "ready":
                ready()
            elif word == "out":
                output.append(rest)
            elif word == "done":
                name, code, uptime = rest.split(" ")
                if name == step:
                    self.clock_ns = int(float(uptime) * 1e9)
                    return int(code), "\n".join(output)

    def off(self) -> None:
        """Let the agent end, and the guest with it; wait until it is gone."""
        self._send("off")
        while self._process.poll() is None:
            if time.monotonic() > self.deadline:
                raise GuestEndedError("hang", "the guest did not power off")
            time.sleep(0.01)

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()

    def _send(self, text: str) -> None:
        assert self._socket is not None
        try:
            self._socket.sendall(f"{self._nonce} {text}\n".encode())
        except OSError:
            self._gone()

    def _line(self) -> str:
        """The next line of the agent, without the nonce; others are not ours."""
        prefix = f"{self._nonce} "
        while True:
            line, found, rest = self._pending.partition(b"\n")
            if found:
                self._pending = rest
                text = line.decode(errors="replace").rstrip("\r")
                if text.startswith(prefix):
                    return text[len(prefix) :]
                continue
            assert self._socket is not None
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                self._check()
                continue
            except OSError:
                data = b""
            if not data:
                self._gone()
            self._pending += data

    def _check(self) -> None:
        self._panicked()
        if self._process.poll() is not None:
            self._gone()
        if time.monotonic() > self.deadline:
            if not self._booted:
                raise GuestEndedError("never-booted", "agent did not start before the deadline")
            raise GuestEndedError(
                "hang", "timed out: guest still running at the scenario's deadline"
            )

    def _panicked(self) -> None:
        said = outcome.panic(self._console.text()) if self._console.panicked() else None
        if said is None:
            return
        if not self._booted:
            # Nothing that is tested was there yet: this says nothing about it.
            raise GuestEndedError(
                "never-booted", f"the kernel panicked before the agent's first word: {said}"
            )
        raise GuestEndedError("panic", f"the guest's kernel panicked: {said}")

    def _gone(self) -> None:
        """The other end closed: say why, as the console has it."""
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            raise GuestEndedError("qemu-died", "QEMU closed the agent's port") from None
        self._panicked()
        lines = self._console.text().splitlines()
        last = next((line for line in reversed(lines) if line.strip()), "")
        words = f"QEMU ended with {self._process.returncode}"
        if last:
            words += f", the last line of the console: {last.strip()[:200]}"
        raise GuestEndedError("qemu-died" if self._booted else "never-booted", words)
