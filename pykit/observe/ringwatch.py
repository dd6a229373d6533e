# SPDX-License-Identifier: GPL-2.0-only
"""The ring watcher: avail and used rings looked at in the guest's memory, many times a second.

QEMU's log says when a device is set up or reset, QMP then where its rings are. An entry stays in
its ring until the index is one ring further, so looks between which it moves less miss nothing;
what may have been missed all the same is counted and said.
"""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from pykit.guests.channel import GuestEndedError
from pykit.guests.locate import look_patiently
from pykit.guests.monitor import Monitor
from pykit.qemu import program
from pykit.qemu.accel import Accelerator

_ENTRIES, _ACCOUNT = "rings.npy", "rings.json"
_PAUSE_S = 100e-6
#: The longest time in which no index can have come back to where it was: 2^16 requests, of which
#: each takes a guest 3 µs at least, and 15 where its instructions are translated.
_WRAP_NS: dict[Accelerator, int] = {"kvm": 200_000_000, "tcg": 1_000_000_000}
_COUNT = 1 << 16
_DRIVER_OK = 4
_STATUS = re.compile(rb"^[0-9]+@([0-9]+)\.([0-9]{6}):virtio_set_status vdev (\S+) val ([0-9]+)\r?$")

#: Entries as they are saved. ``before`` and ``ts`` (ns, the host's wall clock) are the last look
#: without it and the first one with it, ``index`` is its number in its queue modulo 2^16.
ENTRY = np.dtype(
    [
        ("before", "<i8"), ("ts", "<i8"), ("id", "<u4"), ("len", "<u4"),
        ("watch", "<u2"), ("index", "<u2"), ("used", "u1"),
    ]
)  # fmt: skip
_USED = np.dtype([("id", "<u4"), ("len", "<u4")])

Bytes = npt.NDArray[np.uint8]


@dataclass
class MissedEntries:
    """Entries of a watch that may have been missed: how many at least, and why."""

    watch: int
    count: int
    why: str


class RingWatch:
    """One split virtqueue from its set-up to its reset.

    ``ring`` has the addresses and the size, see ``where.look``; ``memory`` is the guest's. Set up
    at ``now``; ``wrap_ns`` is how long it may go unseen.
    """

    def __init__(
        self, number: int, ring: dict[str, dict[str, Any]], memory: Bytes, now: int, wrap_ns: int
    ) -> None:
        self._wrap_ns = wrap_ns
        self._number = number
        avail, used = ring["avail"], ring["used"]
        self.size: int = avail["size"]
        #: Reset at this time, so that what a later look shows may be anybody's; 0: not yet.
        self.ended = 0
        self.lost: list[MissedEntries] = []
        self.entries: list[npt.NDArray[Any]] = []
        self._before = now
        self._seen = [0, 0]
        end = 4 + 2 * self.size, 4 + 8 * self.size
        areas = [memory[a["address"] :][:n] for a, n in zip((avail, used), end, strict=True)]
        self._heads = areas[0].view("<u2")
        self._index = self._heads[1:2], areas[1][:4].view("<u2")[1:2]
        self._returned = areas[1][4:].view(_USED)

    def look(self) -> None:
        """Take what is new in both rings."""
        now = time.time_ns()
        moved = [
            (int(index[0]) - seen) % _COUNT
            # Used first: then it is not ahead of avail.
            for index, seen in zip(reversed(self._index), reversed(self._seen), strict=True)
        ]
        if any(moved):
            if now - self._before > self._wrap_ns:
                late = (now - self._before) // 1_000_000
                self.lost.append(MissedEntries(self._number, 1, f"not looked at for {late} ms"))
            used, avail = (self._seen[1], moved[0]), (self._seen[0], moved[1])
            seen = time.time_ns()
            self._take(1, *used, seen)
            self._take(0, *avail, seen)
        self._before = now

    def _take(self, side: int, first: int, count: int, seen: int) -> None:
        numbers = np.arange(first, first + count)
        entries = np.zeros(count, ENTRY)
        slots = numbers % self.size
        if side:
            for name in ("id", "len"):
                entries[name] = self._returned[name][slots]
        else:
            entries["id"] = self._heads[2:][slots]
        # What was written over while it was read: an entry of avail may be filled before its
        # index says so, one of used only where there is a chain for it.
        added = self._seen[0] + (int(self._index[0][0]) - self._seen[0]) % _COUNT
        whole = added <= numbers + self.size - (1 - side)
        missed = count - int(whole.sum())
        if missed:
            ring = "used" if side else "avail"
            self.lost.append(
                MissedEntries(self._number, missed, f"{ring} ring written over before a look")
            )
        entries["before"], entries["ts"] = self._before, seen
        entries["watch"], entries["used"] = self._number, side
        entries["index"] = numbers % _COUNT
        self.entries.append(entries[whole])
        self._seen[side] = first + count


class RingWatcher:
    """Looks from a thread, from before QEMU starts until it has ended.

    ``ram`` is the guest's address of its memory.
    """

    def __init__(self, folder: Path, capture: Path, accelerator: Accelerator, ram: int = 0) -> None:
        self._ram = ram
        self._wrap_ns = _WRAP_NS[accelerator]
        self._folder, self._capture = folder, capture
        self._account: list[dict[str, Any]] = []
        self._lost: list[MissedEntries] = []
        self._watches: list[RingWatch] = []
        #: The watches of a device, by QEMU's pointer to it.
        self._live: dict[bytes, list[RingWatch]] = {}
        self._ids: dict[bytes, str] = {}
        self._end = threading.Event()

    def options(self) -> list[str]:
        """QEMU's options for it."""
        return program.monitor_options(self._folder / "qmp-rings")

    def __enter__(self) -> Self:
        self._memory = np.memmap(self._folder / program.MEMORY, np.uint8, "r")
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        none = np.zeros(0, ENTRY)
        entries = [part for watch in self._watches for part in watch.entries]
        for account, watch in zip(self._account, self._watches, strict=True):
            account["ended_ns"] = watch.ended
        lost = [*self._lost, *(lost for watch in self._watches for lost in watch.lost)]
        summary = {"watches": self._account, "lost": [asdict(one) for one in lost]}
        np.save(self._capture / _ENTRIES, np.concatenate([none, *entries]))
        (self._capture / _ACCOUNT).write_text(json.dumps(summary, indent=1) + "\n")

    def _watch(self) -> None:
        log = self._capture / "qemu.log"
        while not log.exists() and not self._end.is_set():
            time.sleep(0.01)
        if self._end.is_set():
            return
        rest, monitor = b"", None
        with log.open("rb", buffering=0) as source:
            while True:
                over = self._end.is_set()
                for watches in list(self._live.values()):
                    for watch in watches:
                        watch.look()
                data = source.read(1 << 20) or b""
                *lines, rest = (rest + data).split(b"\n")
                for said in filter(None, map(_STATUS.match, lines)):
                    seconds, micros, vdev, status = said.groups()
                    at = int(seconds) * 1_000_000_000 + int(micros) * 1000
                    if not int(status):
                        for watch in self._live.pop(vdev, ()):
                            watch.ended = at
                    elif int(status) & _DRIVER_OK and vdev not in self._live:
                        try:
                            monitor = monitor or Monitor(self._folder / "qmp-rings")
                            self._begin(vdev, at, look_patiently(monitor))
                        except GuestEndedError:
                            self._lost.append(
                                MissedEntries(-1, 1, "QEMU ended while a device was set up")
                            )
                if over and not data:
                    break
                if not data:
                    time.sleep(_PAUSE_S)
        if monitor is not None:
            monitor.close()

    def _begin(self, vdev: bytes, at: int, located: dict[str, Any]) -> None:
        """RingWatch the queues of the one device that is live and was not watched yet."""
        watched = {self._ids[pointer] for pointer in self._live}
        queues: dict[str, dict[int, dict[str, Any]]] = {}
        for area in located["rings"]:
            if area["device"] not in watched:
                queue = queues.setdefault(area["device"], {}).setdefault(area["queue"], {})
                queue[area["area"]] = area | {"address": area["address"] - self._ram}
        if len(queues) != 1:
            names = ", ".join(queues) or "it was gone"
            self._lost.append(
                MissedEntries(-1, 1, f"a device was set up, and when QMP was asked: {names}")
            )
            return
        [(device, rings)] = queues.items()
        self._ids[vdev], self._live[vdev] = device, []
        for number, ring in rings.items():
            end = max(area["address"] + area["bytes"] for area in ring.values())
            if ring["desc"]["packed"] or end > len(self._memory):
                why = "packed" if ring["desc"]["packed"] else "above the memory that is shared"
                self._lost.append(MissedEntries(-1, 1, f"queue {number} of {device} is {why}"))
                continue
            watch = RingWatch(len(self._watches), ring, self._memory, at, self._wrap_ns)
            self._account.append(
                {"device": device, "queue": number, "size": watch.size, "set_up_ns": at}
            )
            self._watches.append(watch)
            self._live[vdev].append(watch)
