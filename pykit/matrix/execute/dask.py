# SPDX-License-Identifier: GPL-2.0-only
"""Workers of a Dask scheduler, on this machine or others: each needs pykit and QEMU.

A bundle is a plugin of the scheduler's, which every worker gets once, those that join later
too. Workers report cells by events as they end, so that the death of a worker loses no result;
the scheduler gives its batch to another, who asks what was done already.
"""

from __future__ import annotations

import io
import os
import secrets
import tarfile
import tempfile
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import zstandard
from distributed import Client, get_client, get_worker
from distributed.diagnostics.plugin import WorkerPlugin

from pykit import __version__
from pykit.errors import InfraError, UsageError
from pykit.guests.bundle import folder_of
from pykit.matrix.execute.batch import GuestBatch, run_batch
from pykit.matrix.execute.spool import Spool
from pykit.matrix.record import CellRecord
from pykit.paths import used

_CONNECT_S = 15


class Dask:
    """An executor; records come into the spool of ``directory`` by the scheduler's events."""

    def __init__(self, directory: Path, address: str) -> None:
        """Raises UsageError where no scheduler answers, or its workers are another pykit's."""
        try:
            self._client = Client(address, timeout=_CONNECT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise UsageError(f"{address}: no Dask scheduler answers: {error}") from error
        versions = self._client.run(_version)
        if not versions:
            raise UsageError(f"{address} has no workers: start some with dask worker {address}")
        for worker, version in versions.items():
            if version != __version__:
                raise UsageError(f"worker {worker} has pykit {version}, and this is {__version__}")
        self._spool = Spool(directory)
        self._topic = f"pykit-{secrets.token_hex(8)}"
        self._client.subscribe_topic(self._topic, self._received)
        self._executor = self._client.get_executor(pure=False)
        self._sent: set[str] = set()

    @property
    def workers(self) -> int:
        """Threads of all workers that are there now."""
        return sum(self._client.nthreads().values())

    def submit(self, batch: GuestBatch) -> Future[None]:
        """Run it on a worker; its records are in the spool before the future is done."""
        key = batch.bundle.key if batch.bundle else None
        if key is not None and key not in self._sent:
            self._client.register_plugin(_BundlePlugin(key), name=f"pykit-bundle-{key}")
            self._sent.add(key)
        done: Future[None] = Future()
        inner = self._executor.submit(_run, batch, self._topic)
        inner.add_done_callback(lambda future: self._ended(future, done))
        return done

    def close(self) -> None:
        """Cancel batches that have not begun, and disconnect from the scheduler."""
        self._executor.shutdown(wait=False)
        self._client.close()

    def _ended(self, inner: Future[list[dict[str, Any]]], done: Future[None]) -> None:
        error = inner.exception()
        if error is not None:
            done.set_exception(error)
            return
        for message in inner.result():
            _into(self._spool, message)
        done.set_result(None)

    def _received(self, event: tuple[float, Any]) -> None:
        _into(self._spool, event[1])


def _into(spool: Spool, message: dict[str, Any]) -> None:
    """Put a worker's message into the spool, as a local worker would have."""
    if "begun" in message:
        spool.begin(message["begun"])
        return
    record = CellRecord.from_json(message["record"], "a worker's record")
    with tempfile.TemporaryDirectory() as temporary:
        run = None
        if message["run"] is not None:
            run = Path(temporary) / "run"
            _unpack(message["run"], run)
        spool.finish(record, run)


class _Events:
    """A worker's Exchange: the scheduler's events."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self.messages: list[dict[str, Any]] = []

    def done(self) -> set[str]:
        """Names of cells that earlier workers of this batch have finished."""
        events = get_client().get_events(f"{self._topic}-done")
        return {str(cell) for _, cell in events}

    def begin(self, cell: str) -> None:
        """See Exchange."""
        get_worker().log_event(self._topic, {"begun": cell})

    def finish(self, record: CellRecord, run: Path | None) -> None:
        """See Exchange."""
        message = {"record": record.to_json(), "run": _pack(run) if run and run.is_dir() else None}
        self.messages.append(message)
        worker = get_worker()
        worker.log_event(self._topic, message)
        worker.log_event(f"{self._topic}-done", record.cell)


def _run(batch: GuestBatch, topic: str) -> list[dict[str, Any]]:
    """A batch, on a worker. Its records come back as well: an event may be under way still."""
    exchange = _Events(topic)
    run_batch(batch, exchange)
    return exchange.messages


def _version() -> str:
    return __version__


class _BundlePlugin(WorkerPlugin):
    """Puts a bundle into a worker's cache."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.data = _pack(folder_of(key))

    def setup(self, worker: object) -> None:
        """Dask calls it in every worker."""
        del worker
        folder = folder_of(self.key)
        if folder.exists():
            used(folder)
            return
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as temporary:
            new = Path(temporary) / "bundle"
            _unpack(self.data, new)
            os.utime(new)  # the archive has the time when it was made
            try:
                new.replace(folder)
            except OSError as error:
                if not folder.exists():  # else another worker of this machine was faster
                    raise InfraError(f"{folder}: cannot be made: {error}") from error


def _pack(folder: Path) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(folder, arcname=".")
    return zstandard.compress(packed.getvalue())


def _unpack(data: bytes, folder: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(zstandard.decompress(data))) as archive:
        archive.extractall(folder, filter="data")
