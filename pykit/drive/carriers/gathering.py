# SPDX-License-Identifier: GPL-2.0-only
"""Commands to the other end of a line, which are sent together where nothing is read between."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pykit.drive.carriers.registers import BusAccess


class Gathering(ABC):
    """A line with commands that wait for the next one that is answered."""

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._gathering = False

    @contextmanager
    def together(self) -> Iterator[None]:
        """Send the writes that are made within this at once: at the next read, or at its end.

        The other end does them in order; only the driver waits less often.

        Raises:
            PeerGoneError: as ``ask``.
        """
        self._gathering = True
        try:
            yield
            self._exchange()
        finally:
            self._gathering = False
            self._waiting.clear()

    def ask(self, command: str) -> str:
        """Send a command and return its answer.

        Raises:
            PeerGoneError: the other end is gone, is silent, or refuses the command.
        """
        self._waiting.append(command)
        return self._exchange()[-1]

    def ask_all(self, commands: Sequence[str]) -> list[str]:
        """Send commands at once and return their answers.

        Raises:
            PeerGoneError: as ``ask``.
        """
        self._waiting += commands
        return self._exchange()[-len(commands) :] if commands else []

    def do_all(
        self, accesses: Sequence[BusAccess], command: Callable[[int, int, int | None], str]
    ) -> list[str]:
        """Send accesses at once, each by its command; return the answers of those that read.

        Raises:
            PeerGoneError: as ``ask``.
        """
        answers = self.ask_all([command(*access) for access in accesses])
        found = zip(accesses, answers, strict=True)
        return [answer for access, answer in found if access.value is None]

    def post(self, command: str) -> None:
        """Send a command that has no value; later, where commands are sent together.

        Raises:
            PeerGoneError: as ``ask``.
        """
        self._waiting.append(command)
        if not self._gathering:
            self._exchange()

    @abstractmethod
    def _exchange(self) -> list[str]:
        """Send the commands that wait; return their answers, which may stand behind others."""
