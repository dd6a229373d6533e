# SPDX-License-Identifier: GPL-2.0-only
"""Rows of requests of any device type, by the buffers that they are made of (cases/others.toml)."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict, Field

from pykit.drive.carriers import PeerGoneError
from pykit.drive.chain import Buffer
from pykit.drive.driver import Shape
from pykit.drive.host import HostAction, act
from pykit.drive.memory import CANARIES
from pykit.drive.outcome import CaseOutcome, Effect
from pykit.drive.requests import DriverRequest
from pykit.drive.rows import TableRow
from pykit.drive.runner import MALFORMED, CaseResult, CaseRunner
from pykit.errors import UsageError


class ShapedChain(BaseModel):
    """One chain: what the device reads, then what it may write.

    Attributes:
        queue: that it is made available in.
        data: bytes that the device reads, in hexadecimal digits.
        read: how many bytes of zeros it reads behind those.
        write: bytes of each buffer that it may write.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    queue: int
    data: str = Field("", pattern=r"^([0-9a-f]{2})*$")
    read: int = 0
    write: list[int] = Field([])


class ShapedRow(TableRow):
    """A row of the table of requests of other devices.

    Attributes:
        device: the type that it is for.
        chains: in their order.
        features: bits that the device has to offer.
        host: what happens at the host's side when the chains are there.
    """

    device: str
    chains: list[ShapedChain]
    features: list[int] = Field([])
    host: HostAction = ""


@dataclass(frozen=True)
class ShapedCase:
    """A row; all is in it."""

    row: ShapedRow

    @property
    def name(self) -> str:
        """Row and device type, such as ``net-header-short/net``."""
        return f"{self.row.name}/{self.row.device}"


class ShapedSession(CaseRunner[ShapedCase]):
    """Runs rows of requests by their buffers, each in a life of its own."""

    def _once(self, case: ShapedCase) -> CaseResult:
        begun = time.monotonic()
        driver, row = self._driver, case.row
        if row.device != driver.kind.name:
            return CaseResult(case, None, skipped=f"not for {driver.kind.name}")
        self._number += 1
        more = sum(1 << bit for bit in row.features)
        shape = Shape(canary=CANARIES[self._number % len(CANARIES)], more=more)
        kind = driver.kind
        last = max(chain.queue for chain in row.chains)
        driver.kind = replace(kind, queues=max(kind.queues, last + 1))
        try:
            self._device.begin(shape)
            outcome = self._outcome(row)
        except UsageError as error:
            return CaseResult(case, None, skipped=str(error))
        except PeerGoneError as error:
            outcome = self._ended(str(error))
        finally:
            driver.kind = kind
        return CaseResult(case, replace(outcome, seconds=time.monotonic() - begun))

    def _outcome(self, row: ShapedRow) -> CaseOutcome:
        driver = self._driver
        waiting = dict.fromkeys((chain.queue for chain in row.chains), 0)
        for chain in row.chains:
            driver.submit(chain.queue, self._made(chain))
            waiting[chain.queue] += 1
        if row.host and not act(self._device, row.host):
            raise UsageError("nothing can happen at the host's side: drive a device of QEMU's")
        patience = 5.0 if row.legal else MALFORMED
        came = [len(driver.wait(queue, count, patience)) for queue, count in waiting.items()]
        effect: Effect = "returned" if sum(came) == len(row.chains) else "swallowed"
        return self._aftermath("served" if row.legal else effect, driver.kind.queue, "")

    def _made(self, chain: ShapedChain) -> DriverRequest:
        memory = self._driver.memory
        data, buffers = bytes.fromhex(chain.data) + bytes(chain.read), []
        if data:
            at = memory.allocate(len(data))
            memory.store(at, data)
            buffers.append(Buffer(at, len(data)))
        buffers += [Buffer(memory.allocate(size), size, write=True) for size in chain.write]
        return DriverRequest(buffers, lambda _: "served")
