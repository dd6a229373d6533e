# SPDX-License-Identifier: GPL-2.0-only
"""Run rows of block requests: each request by itself is laid out well, and asks what it wants."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from pykit.drive.blk_events import note_field
from pykit.drive.blk_rows import BlkCase
from pykit.drive.blk_steps import FIELDS, BlkStep, build, names, parse, value
from pykit.drive.carriers import PeerGoneError
from pykit.drive.driver import Shape
from pykit.drive.features import mask
from pykit.drive.lives import DrivenDevice
from pykit.drive.memory import CANARIES
from pykit.drive.outcome import CaseOutcome, Effect
from pykit.drive.requests import DriverRequest
from pykit.drive.runner import MALFORMED, CaseResult, CaseRunner
from pykit.errors import UsageError
from pykit.spec import bits
from pykit.spec.blkconfig import SEG_MAX

#: Sectors of a range that are remembered to be zero.
_ZEROED = 4096
_CHANGING = (bits.T_OUT, *bits.RANGE_TYPES)


@dataclass(frozen=True)
class _Sent:
    step: BlkStep
    request: DriverRequest
    sectors: range


class BlkSession(CaseRunner[BlkCase]):
    """Runs rows of block requests, each in a life of its own.

    What was written is remembered, and has to be read back, by whatever row.
    """

    def __init__(self, device: DrivenDevice) -> None:
        super().__init__(device)
        self._disk: dict[int, bytes] = {}
        self._fields: dict[str, int] = {}

    def _once(self, case: BlkCase) -> CaseResult:
        begun = time.monotonic()
        if self._driver.kind.name != "blk":
            return CaseResult(case, None, skipped="not a block device")
        self._number += 1
        shape = Shape(
            packed=case.ring == "packed",
            size=case.size,
            canary=CANARIES[self._number % len(CANARIES)],
            more=mask(case.row.accept),
            fewer=mask(case.row.refuse),
        )
        steps = [parse(step) for step in case.row.steps]
        try:
            try:
                self._device.begin(shape)
            except PeerGoneError:
                if not case.row.refuse:
                    raise
                why = f"the device is not driven without {', '.join(case.row.refuse)}"
                return CaseResult(case, None, skipped=why)
            if reason := self._lacking(case, steps):
                return CaseResult(case, None, skipped=reason)
            outcome = self._outcome(case, steps)
        except UsageError as error:
            return CaseResult(case, None, skipped=str(error))
        except PeerGoneError as error:
            outcome = self._ended(str(error))
        return CaseResult(case, replace(outcome, seconds=time.monotonic() - begun))

    def _lacking(self, case: BlkCase, steps: list[list[BlkStep]]) -> str:
        """Why a row cannot be run on the device; empty where it can."""
        driver = self._driver
        if case.table == "indirect" and not driver.features >> bits.INDIRECT_DESC & 1:
            return "the device does not offer INDIRECT_DESC"
        read_only = driver.carrier.offered() >> bits.BLK_RO & 1 and "blk-ro" not in case.row.accept
        if read_only and any(step.kind in _CHANGING for batch in steps for step in batch):
            return "the disk cannot be written"
        if any(step.queue not in driver.rings for batch in steps for step in batch):
            return f"the device has {len(driver.rings)} queues"
        if driver.rings[0].size != case.size:
            return "the device does not allow that queue size"
        wanted = {name: FIELDS[name] for batch in steps for name in names(batch)}
        end = max((at + width for at, width in wanted.values()), default=0)
        config = driver.carrier.config(0, end) if end else b""
        if len(config) < end:
            return f"the configuration has less than {end} bytes"
        if "seg-max" in wanted:
            # The other fields were read when the life began.
            note_field(driver.recorder, driver.carrier, SEG_MAX)
        self._fields = {
            name: int.from_bytes(config[at : at + width], "little")
            for name, (at, width) in wanted.items()
        }
        return ""

    def _outcome(self, case: BlkCase, steps: list[list[BlkStep]]) -> CaseOutcome:
        effect: Effect = "served"
        wrong = ""
        for text, batch in zip(case.row.steps, steps, strict=True):
            found, what = self._batch(batch, case.table == "indirect")
            wrong = wrong or (what and f"{text}: {what}")
            effect = found if effect == "served" else effect
            if found == "swallowed":
                break
        return self._aftermath("wrong-data" if wrong else effect, 0, wrong)

    def _batch(self, batch: list[BlkStep], indirect: bool) -> tuple[Effect, str]:
        """Make requests with one notification a queue; what came of them, and what is wrong."""
        driver = self._driver
        sent: dict[tuple[int, int], _Sent] = {}
        before: DriverRequest | None = None
        for step in batch:
            for _ in range(value(step.count, self._fields)):
                request = build(driver.memory, step, self._fields)
                if step.same and before is not None:
                    request.buffers[1:-1] = before.buffers[1:-1]
                    for ring in driver.rings.values():
                        # What one request has given back is still the other one's.
                        ring.lenient = True
                draft = driver.submit(step.queue, request, indirect, kick=False)
                sent[step.queue, draft.head] = _Sent(step, request, self._sectors(step))
                before = request
        queues = sorted({queue for queue, _ in sent})
        for queue in queues:
            driver.rings[queue].kick_needed()
            driver.notify(queue)
        effects: list[Effect] = []
        wrong = ""
        # Of requests that are under way together none says what another one finds.
        alone = len(sent) == 1
        for queue in queues:
            many = sum(where == queue for where, _ in sent)
            patience = MALFORMED if batch[0].allowed is None else 5.0
            for done in driver.wait(queue, many, patience):
                one = sent.pop((queue, done.entry.id), None)
                if one is None:
                    continue
                status = driver.memory.load(one.request.status_at, 1)[0]
                allowed = one.step.allowed
                good = status in allowed if allowed is not None else status == bits.S_OK
                effects.append("served" if good else "error")
                if allowed is not None and not good:
                    wrong = wrong or f"status {status}"
                wrong = wrong or self._data(one, status, alone)
        if sent:
            return "swallowed", wrong
        return ("error" if "error" in effects else "served"), wrong

    def _sectors(self, step: BlkStep) -> range:
        first, length = value(step.sector, self._fields), value(step.length, self._fields)
        return range(first, first + -(-length // bits.SECTOR))

    def _data(self, one: _Sent, status: int, alone: bool) -> str:
        """Compare what was read, and remember what was written."""
        step, request, memory = one.step, one.request, self._driver.memory
        found = b"".join(memory.load(b.address, b.length) for b in request.buffers if b.write)
        good = status == bits.S_OK
        if step.kind == bits.T_IN and good and alone and not step.turned:
            for number, sector in enumerate(one.sectors):
                data = found[number * bits.SECTOR :][: bits.SECTOR]
                if len(data) == bits.SECTOR and data != self._disk.get(sector, data):
                    return f"other data in sector {sector}"
        elif step.kind == bits.T_GET_ID and good and step.allowed is not None:
            text = found[: bits.ID_BYTES].split(b"\0")[0]
            if not all(0x20 <= byte < 0x7F for byte in text):
                return f"an id that is no text: {text!r}"
        elif step.kind not in (bits.T_IN, bits.T_FLUSH, bits.T_GET_ID):
            self._remember(one, good and alone)
        return ""

    def _remember(self, one: _Sent, sure: bool) -> None:
        step = one.step
        ranges = [one.sectors]
        for first, count, _ in step.segments:
            begin = value(first, self._fields)
            ranges.append(range(begin, begin + value(count, self._fields)))
        kept = {s: data for s, data in self._disk.items() if not any(s in part for part in ranges)}
        whole = not value(step.length, self._fields) % bits.SECTOR
        if sure and step.kind == bits.T_OUT and whole and not step.turned:
            kept |= dict.fromkeys(one.sectors, bytes((step.fill,)) * bits.SECTOR)
        elif sure and step.kind == bits.T_WRITE_ZEROES:
            # Of a range that is longer the first sectors are enough.
            zeroed = (sector for part in ranges[1:] for sector in part[:_ZEROED])
            kept |= dict.fromkeys(zeroed, bytes(bits.SECTOR))
        self._disk = kept
