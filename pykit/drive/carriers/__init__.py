# SPDX-License-Identifier: GPL-2.0-only
"""Carriers move memory, registers, notifications and interrupts between driver and device."""

from __future__ import annotations

from typing import Protocol

from pykit.drive.activity import Activity
from pykit.drive.memory import SharedMemory
from pykit.drive.ring import Ring
from pykit.errors import PykitError
from pykit.vhost_user import PeerGoneError

__all__ = ["Carrier", "PeerGoneError", "RefusedError"]


class RefusedError(PykitError):
    """The device answered that it does not do what was asked."""


class Carrier(Protocol):
    """The way to one device.

    Attributes:
        name: vhost-user, qtest or guest.
        queues: how many virtqueues the device has.
    """

    name: str

    @property
    def queues(self) -> int:
        """How many virtqueues the device has."""

    @property
    def legacy(self) -> bool:
        """Whether the device is driven by the legacy interface, after the first ``reset``."""

    @property
    def deaf(self) -> bool:
        """Whether no interrupt of the device can be seen, after the first ``reset``."""

    def attend(self, activity: Activity) -> None:
        """Take the process that serves the device from here on."""

    def reset(self, memory: SharedMemory) -> None:
        """Bring the device to the state after a reset, with this guest memory.

        Raises:
            PeerGoneError: the device is not there any more.
        """

    def offered(self) -> int:
        """Return the features that the device offers."""

    def accept(self, features: int) -> bool:
        """Acknowledge features; return whether the device keeps FEATURES_OK."""

    def config(self, offset: int, length: int) -> bytes:
        """Read the configuration space; empty where the carrier cannot."""

    def size(self, queue: int, wanted: int) -> int:
        """Return the size that a queue gets: what is wanted, if the device allows it."""

    def set_up(self, ring: Ring) -> None:
        """Hand over a queue: size, addresses, and the means to notify."""

    def reset_queue(self, queue: int) -> bool:
        """Reset one queue alone; False where the carrier cannot.

        Raises:
            PeerGoneError: the device does not end that.
        """

    def driver_ok(self) -> None:
        """Let the device use its queues."""

    def notify(self, queue: int, position: int | None = None) -> None:
        """Notify the device of new available buffers.

        With NOTIFICATION_DATA ``position`` is where the ring goes on (section 2.9).
        """

    def interrupts(self, queue: int) -> int:
        """Return how many used buffer notifications came since the last call."""

    def listen(self, queue: int, seconds: float) -> None:
        """Wait for a used buffer notification, or for the device's end, at most this long."""

    def quiet(self) -> bool:
        """Whether the device has taken the notifications and does nothing any more."""

    def stop(self) -> None:
        """End the device's life."""
