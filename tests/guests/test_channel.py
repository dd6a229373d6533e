# SPDX-License-Identifier: GPL-2.0-only
"""Waiting for a guest: every wait ends, and with the right reason."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pykit.guests.channel import GuestChannel, GuestEndedError

NONCE = "c0ffee"
PANIC = "[    9.1] Kernel panic - not syncing: Fatal exception\n"
Agent = Callable[[socket.socket], None]
Start = Callable[..., GuestChannel]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A guest that is a sleeping process with an agent of the test's own."""
    with contextlib.ExitStack() as stack:

        def begin(agent: Agent, deadline: float = 10, console: str = "") -> GuestChannel:
            server = stack.enter_context(socket.socket(socket.AF_UNIX))
            server.bind(str(tmp_path / "agent"))
            server.listen()
            (tmp_path / "console").write_text(console)
            process = subprocess.Popen(["sleep", "60"])
            stack.callback(process.wait)
            stack.callback(process.kill)

            def serve() -> None:
                connection, _ = server.accept()
                with connection:
                    agent(connection)

            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            guest = GuestChannel(
                process, tmp_path, tmp_path / "console", NONCE, time.monotonic() + deadline
            )
            stack.callback(guest.close)
            guest.test_process = process  # type: ignore[attr-defined]
            return guest

        yield begin


def say(connection: socket.socket, *lines: str) -> None:
    for line in lines:
        connection.sendall(f"{NONCE} {line}\n".encode())


def heard(connection: socket.socket) -> str:
    return connection.recv(4096).decode()


def until_closed(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def ended(call: Callable[[], object]) -> GuestEndedError:
    with pytest.raises(GuestEndedError) as raised:
        call()
    return raised.value


def test_a_step_with_its_output(start: Start) -> None:
    asked: list[str] = []

    def agent(connection: socket.socket) -> None:
        say(connection, "hello")
        asked.append(heard(connection))
        say(connection, "out one", "out  two", "done s 7 12.50")

    guest = start(agent)
    guest.connect()
    assert guest.run("s") == (7, "one\n two")
    assert guest.clock_ns == 12_500_000_000
    assert asked == [f"{NONCE} step s\n"]


def test_ready_is_called_while_the_step_goes_on(start: Start) -> None:
    order: list[str] = []

    def agent(connection: socket.socket) -> None:
        say(connection, "hello")
        heard(connection)
        say(connection, "ready")
        say(connection, "done s 0 1.00")

    guest = start(agent)
    guest.connect()
    assert guest.run("s", ready=lambda: order.append("ready")) == (0, "")
    assert order == ["ready"]


def test_lines_of_others_are_not_ours(start: Start) -> None:
    def agent(connection: socket.socket) -> None:
        connection.sendall(b"hello\nbeef hello\n[    1.0] console\xff\n\n")
        connection.sendall(f"{NONCE} hel".encode())
        time.sleep(0.1)
        connection.sendall(b"lo\r\n")
        heard(connection)
        connection.sendall(
            f"beef done s 1 1.0\n{NONCE} done other 1 1.0\n{NONCE} done s 0 1.0\n".encode()
        )

    guest = start(agent)
    guest.connect()
    assert guest.run("s") == (0, "")


def test_no_word_before_the_deadline(start: Start) -> None:
    guest = start(until_closed, deadline=0.3)
    assert ended(guest.connect).kind == "never-booted"


def test_a_step_that_does_not_end(start: Start) -> None:
    def agent(connection: socket.socket) -> None:
        say(connection, "hello")
        until_closed(connection)

    guest = start(agent, deadline=0.5)
    guest.connect()
    assert ended(lambda: guest.run("s")).kind == "hang"


def test_a_step_beside_one_that_does_not_end(start: Start) -> None:
    asked: list[str] = []

    def agent(connection: socket.socket) -> None:
        say(connection, "hello")
        asked.extend((heard(connection), heard(connection)))
        say(connection, "out of the one that hung", "done s 1 1.00", "done other 0 2.00")

    guest = start(agent, deadline=0.5)
    guest.connect()
    assert ended(lambda: guest.run("s")).kind == "hang"
    assert guest.beside("other", {"A": "b"}) == (0, "of the one that hung")
    assert asked == [f"{NONCE} step s\n", f"{NONCE} beside other A=b\n"]


def test_a_panic_is_noticed_at_once(start: Start, tmp_path: Path) -> None:
    def agent(connection: socket.socket) -> None:
        say(connection, "hello")
        heard(connection)
        (tmp_path / "console").write_text(PANIC)
        until_closed(connection)

    guest = start(agent, deadline=60)
    guest.connect()
    started = time.monotonic()
    error = ended(lambda: guest.run("s"))
    assert (error.kind, "Fatal exception" in error.message) == ("panic", True)
    assert time.monotonic() - started < 5


def test_a_panic_before_the_agent_is_no_verdict_on_what_is_tested(start: Start) -> None:
    error = ended(start(until_closed, console=PANIC).connect)
    assert (error.kind, "Fatal exception" in error.message) == ("never-booted", True)


@pytest.mark.parametrize("booted", [False, True])
def test_qemu_that_is_killed(start: Start, booted: bool) -> None:
    def agent(connection: socket.socket) -> None:
        if booted:
            say(connection, "hello")
            heard(connection)
        guest.test_process.kill()  # type: ignore[attr-defined]

    guest = start(agent, deadline=60, console="[    1.0] the last words\n")
    if booted:
        guest.connect()
        error = ended(lambda: guest.run("s"))
    else:
        error = ended(guest.connect)
    assert error.kind == ("qemu-died" if booted else "never-booted")
    assert "-9" in error.message
    assert "the last words" in error.message


def test_a_flooded_console_ends_the_wait(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pykit.guests.channel._MOST_CONSOLE_BYTES", 1000)
    error = ended(start(until_closed, console="x" * 1001).connect)
    assert (error.kind, error.message) == (
        "workload-failed", "the guest printed over 0 MiB on its console",
    )  # fmt: skip


def test_a_panic_that_is_printed_in_pieces(start: Start, tmp_path: Path) -> None:
    guest = start(until_closed)

    def talk() -> None:
        for at in range(0, len(PANIC), 7):
            time.sleep(0.08)
            with (tmp_path / "console").open("a") as console:
                console.write(PANIC[at : at + 7])

    thread = threading.Thread(target=talk)
    thread.start()
    error = ended(guest.connect)
    thread.join()
    assert error.kind == "never-booted"
    assert "the kernel panicked" in error.message
