# SPDX-License-Identifier: GPL-2.0-only
"""A program that does verified I/O by libblkio's vhost-user driver, and says how that went.

``python -m pykit.peers.blkio LIBRARY SOCKET``. It is a process of its own, because what a faulty
device makes of a driver may end it. Interface: libblkio's blkio.h.
"""

from __future__ import annotations

import ctypes
import errno
import sys

#: Exit codes: all was right; an error was reported; other data came back as if they were right;
#: a request did not come back. Python itself ends with 1 or 2.
RIGHT, ERROR, WRONG, HUNG = 0, 10, 11, 12
_BLOCK, _BLOCKS, _DEPTH, _ROUNDS = 4096, 64, 8, 3
#: How long a request may take, in seconds.
_PATIENCE = 3


class _MemoryRegion(ctypes.Structure):
    _fields_ = [
        ("addr", ctypes.c_void_p),
        ("iova", ctypes.c_uint64),
        ("len", ctypes.c_size_t),
        ("fd_offset", ctypes.c_int64),
        ("fd", ctypes.c_int),
        ("flags", ctypes.c_uint32),
    ]


class _Completion(ctypes.Structure):
    _fields_ = [
        ("user_data", ctypes.c_void_p),
        ("error_msg", ctypes.c_char_p),
        ("ret", ctypes.c_int),
        ("reserved", ctypes.c_uint8 * 12),
    ]


class _Time(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("ns", ctypes.c_long)]


class _FoundError(Exception):
    """How it went: exit code and words."""


class BlkioClient:
    """One connection to a device.

    Args:
        library: path of libblkio.so.
        socket: of the device.
    """

    def __init__(self, library: str, socket: str) -> None:
        self._lib = ctypes.CDLL(library)
        self._lib.blkio_get_error_msg.restype = ctypes.c_char_p
        self._lib.blkio_get_queue.restype = ctypes.c_void_p
        self._blkio = ctypes.c_void_p()
        self._call("blkio_create", b"virtio-blk-vhost-user", ctypes.byref(self._blkio))
        self._call("blkio_set_str", self._blkio, b"path", socket.encode())
        self._call("blkio_connect", self._blkio)
        self._call("blkio_set_int", self._blkio, b"num-queues", 1)
        self._call("blkio_start", self._blkio)
        region = _MemoryRegion()
        size = ctypes.c_size_t(_DEPTH * _BLOCK)
        self._call("blkio_alloc_mem_region", self._blkio, ctypes.byref(region), size)
        self._call("blkio_map_mem_region", self._blkio, ctypes.byref(region))
        self._memory = region.addr or 0
        self._queue = ctypes.c_void_p(self._lib.blkio_get_queue(self._blkio, 0))

    def _call(self, name: str, *arguments: object) -> None:
        if (code := getattr(self._lib, name)(*arguments)) < 0:
            said = (self._lib.blkio_get_error_msg() or b"").decode(errors="replace")
            raise _FoundError(ERROR, f"{name}: {said or code}")

    def run(self) -> None:
        """Write all blocks, flush, and read them back, in rounds; raises what was found."""
        for number in range(_ROUNDS):
            for begin in range(0, _BLOCKS, _DEPTH):
                for slot in range(_DEPTH):
                    ctypes.memmove(self._place(slot), _data(number, begin + slot), _BLOCK)
                    self._start("blkioq_write", begin + slot, slot)
                self._finish(_DEPTH)
            self._lib.blkioq_flush(self._queue, None, 0)
            self._finish(1)
            for begin in range(0, _BLOCKS, _DEPTH):
                for slot in range(_DEPTH):
                    ctypes.memset(self._place(slot), 0xEE, _BLOCK)
                    self._start("blkioq_read", begin + slot, slot)
                self._finish(_DEPTH)
                for slot in range(_DEPTH):
                    found = ctypes.string_at(self._place(slot), _BLOCK)
                    if found != _data(number, begin + slot):
                        raise _FoundError(WRONG, f"block {begin + slot} is not what was written")

    def _place(self, slot: int) -> int:
        return self._memory + slot * _BLOCK

    def _start(self, name: str, block: int, slot: int) -> None:
        getattr(self._lib, name)(
            self._queue, ctypes.c_uint64(block * _BLOCK), ctypes.c_void_p(self._place(slot)),
            ctypes.c_size_t(_BLOCK), ctypes.c_void_p(slot + 1), 0,
        )  # fmt: skip

    def _finish(self, count: int) -> None:
        done = 0
        while done < count:
            completions = (_Completion * count)()
            time = _Time(_PATIENCE, 0)
            found = self._lib.blkioq_do_io(
                self._queue, completions, 1, count - done, ctypes.byref(time)
            )
            if found < 0:
                said = (self._lib.blkio_get_error_msg() or b"").decode(errors="replace")
                late = found == -errno.ETIME
                raise _FoundError(HUNG if late else ERROR, f"{count - done} requests: {said}")
            for one in completions[:found]:
                if one.ret < 0:
                    raise _FoundError(ERROR, f"a request ended with {one.ret}")
            done += found


def _data(number: int, block: int) -> bytes:
    """What a block holds: no two are equal, nor are those of two rounds."""
    return b"".join(
        (number << 48 | block << 32 | at).to_bytes(8, "little") for at in range(_BLOCK // 8)
    )


def main() -> int:
    """Do the I/O that the command line names; print and return how it went."""
    try:
        BlkioClient(*sys.argv[1:3]).run()
    except _FoundError as found:
        code, words = found.args
        print(words)
        return int(code)
    print(f"{_ROUNDS * _BLOCKS} blocks verified")
    return RIGHT


if __name__ == "__main__":
    sys.exit(main())
