# SPDX-License-Identifier: GPL-2.0-only
"""Decode the transport survey: what a device's transport showed, read once from outside.

``survey.json`` (pykit/observe/survey.py) has for each look at a device what was read as it was
read. Rows have the number of the look, ``reading``, in common:

- ``survey_pci``: the header of the configuration space, and what is wrong with its lists;
- ``survey_bar``, ``survey_cap``, ``survey_ext``: a BAR, an entry of the capability list with
  virtio's fields, an extended capability;
- ``survey_map``: memory of a BAR that the guest's kernel has mapped, where the guest was asked;
- ``survey_mmio``: the place of an MMIO device;
- ``survey_slot``: an MMIO slot without a device, and what the guest's kernel reported of it;
- ``survey_storage``: the regular file behind a disk; these rows have no ``reading``;
- ``survey_register``: one register, in its region (``common``, ``device``, ``legacy``, ``mmio``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pykit import pci
from pykit.files import exists
from pykit.trace.errors import BadJsonError, UnknownSchemaError
from pykit.trace.kinds import BASE, KINDS, Dtype, columns_of
from pykit.trace.values import as_list, as_object, get, integer, load_json, objects

FILE = "survey.json"
SCHEMA = 1
REGIONS = ("common", "device", "legacy", "mmio")
_MOST = (1 << 63) - 1
_FIELDS: dict[str, Dtype] = columns_of([kind for kind in KINDS if kind.startswith("survey_")], {})


#: Bytes of an MMIO device's registers.
_MMIO_BYTES = 0x200
#: A register access that no CPU of the guest made: the monitor's (or a test's over qtest).
OWN = " cpu -1 mr "
_STAMP = re.compile(r"[0-9]{0,9}@([0-9]{1,10})\.([0-9]{6}):memory_region_ops_")


@dataclass(frozen=True)
class Survey:
    """What was read in a capture.

    Attributes:
        readings: one entry a look, in their order; checked only where they are used.
        spans: beginning and end of each look, ns of the host's clock.
        missed: a line for each device that could not be read.
        storage: what was seen of the files behind disks, in its order.
        where: the file's name, for errors.
    """

    readings: tuple[dict[str, Any], ...]
    spans: tuple[tuple[int, int], ...]
    missed: tuple[str, ...]
    where: str
    storage: tuple[dict[str, Any], ...] = ()

    def rows(
        self, numbers: Mapping[str, int], looks: Mapping[int, int] | None = None
    ) -> pl.DataFrame:
        """Return the rows of all looks, see the module's text.

        ``numbers`` are the ``dev`` numbers by device id, ``looks`` the guest's reads of DeviceID
        by a slot's address, where QEMU logged them. Raises BadJsonError.
        """
        rows: list[dict[str, Any]] = []
        for number, (reading, span) in enumerate(zip(self.readings, self.spans, strict=True)):
            dev = numbers.get(get(reading, "device", str, self.where))
            place = {"ts": span[0], "dev": dev, "reading": number & 0xFFFF}
            rows += [place | row for row in rows_of(reading, f"{self.where}: reading {number}")]
        rows += [self._stored(entry, numbers) for entry in self.storage]
        if looks is not None:
            for row in rows:
                if row["kind"] == "survey_slot":
                    row["looks"] = looks.get(row["start"], 0)
        types: dict[str, Dtype] = {"ts": pl.Int64, "dev": BASE["dev"], "kind": pl.String}
        return pl.DataFrame(rows, schema=types | _FIELDS).with_columns(source=pl.lit("survey"))

    def _stored(self, entry: dict[str, Any], numbers: Mapping[str, int]) -> dict[str, Any]:
        where = f"{self.where}: storage"
        return {
            "kind": "survey_storage",
            "ts": integer(entry, "begin_ns", where, 0, _MOST),
            "dev": numbers.get(get(entry, "device", str, where)),
            "state": get(entry, "at", str, where),
            "length": integer(entry, "length", where, 0, _MOST),
            "allocated": integer(entry, "allocated", where, 0, _MOST),
        }

    def without_own(self, lines: Sequence[str]) -> list[str]:
        """Return a log's lines with those of the survey's own accesses empty.

        They are the ones without a CPU while it looked.
        """
        return ["" if OWN in line and self._within(line) else line for line in lines]

    def places(self) -> Iterator[tuple[range, str]]:
        """Yield where registers of the devices were, in the guest's addresses, and whose they are.

        Raises BadJsonError.
        """
        names = [get(reading, "device", str, self.where) for reading in self.readings]
        shown = self.rows({})
        of_bus = {"survey_bar": pl.col("length"), "survey_mmio": pl.lit(_MMIO_BYTES)}
        for kind, length in of_bus.items():
            # A BAR at 0 has no address yet.
            placed = (pl.col("kind") == kind) & (pl.col("start") > 0)
            found = shown.filter(placed).select("start", "reading", bytes=length)
            for start, reading, size in found.iter_rows():
                yield range(start, start + size), names[reading]

    def looked_at(self, ns: int) -> bool:
        """Return whether the survey looked at that time; QEMU's are cut to microseconds."""
        return any(begin - 1000 <= ns <= end for begin, end in self.spans)

    def _within(self, line: str) -> bool:
        stamp = _STAMP.match(line)
        return stamp is not None and self.looked_at(
            int(stamp[1]) * 1_000_000_000 + int(stamp[2]) * 1000
        )


def read_survey(capture: Path) -> Survey | None:
    """Read ``survey.json`` of a capture, None where there is none.

    Raises:
        BadJsonError: it is damaged, UnknownSchemaError: it is of another version.
    """
    path = capture / FILE
    if not exists(path):
        return None
    where = str(path)
    data = as_object(load_json(path, capture), where)
    if data.get("schema") != SCHEMA:
        raise UnknownSchemaError(
            f"{where}: schema {data.get('schema')!r} is not known (this pykit reads {SCHEMA});"
            " use the pykit that wrote it"
        )
    readings = tuple(objects(data, "readings", where))
    times = ("begin_ns", "end_ns")
    return Survey(
        readings=readings,
        spans=tuple(
            (integer(r, times[0], where, 0, _MOST), integer(r, times[1], where, 0, _MOST))
            for r in readings
        ),
        missed=tuple(
            f"{get(entry, 'device', str, where)}: {get(entry, 'why', str, where)}"
            for entry in objects(data, "missed", where)
        ),
        where=where,
        # Captures from before the observer looked at storage have none.
        storage=tuple(objects(data, "storage", where) if "storage" in data else ()),
    )


def rows_of(reading: dict[str, Any], where: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of one look, each with its kind; ``where`` is named in errors.

    Raises:
        BadJsonError: the look is none that ``survey.json`` has.
    """
    transport = get(reading, "transport", str, where)
    at = get(reading, "at", str, where)
    if transport == "pci":
        yield from _function(reading, at, where)
    elif transport == "mmio":
        start = integer(reading, "address", where, 0, _MOST)
        yield {"kind": "survey_mmio", "state": at, "start": start}
    elif transport == "mmio-empty":
        yield {
            "kind": "survey_slot",
            "state": at,
            "start": integer(reading, "address", where, 0, _MOST),
            "id": integer(reading, "device_id", where, 0, (1 << 32) - 1),
            "errors": integer(reading, "errors", where, 0, (1 << 32) - 1),
        }
    else:
        raise BadJsonError(f"{where}: transport {transport[:40]!r} is not known")
    for entry in as_list(reading.get("reads"), f"{where}: reads"):
        yield _register(entry, f"{where}: reads")


def _register(entry: Any, where: str) -> dict[str, Any]:
    words = as_list(entry, where)
    if len(words) != 4 or words[0] not in REGIONS:
        raise BadJsonError(f"{where}: not region, offset, size and value")
    named = dict(zip(("offset", "size", "value"), words[1:], strict=True))
    size = integer(named, "size", where, 1, 4)
    return {
        "kind": "survey_register",
        "region": words[0],
        "offset": integer(named, "offset", where, 0, (1 << 32) - 1),
        "len": size,
        "value": integer(named, "value", where, 0, (1 << 8 * size) - 1),
    }


def _function(reading: dict[str, Any], at: str, where: str) -> Iterator[dict[str, Any]]:
    try:
        config = bytes.fromhex(get(reading, "config", str, where))
    except ValueError as error:
        raise BadJsonError(f"{where}: config is not hexadecimal") from error
    if not pci.HEADER <= len(config) <= pci.EXTENDED:
        raise BadJsonError(f"{where}: config has {len(config)} bytes, not 64 to 4096")
    found, problem = pci.capabilities(config)
    further, trouble = pci.extended(config)
    yield {
        "kind": "survey_pci",
        "state": at,
        "place": get(reading, "place", str, where),
        "vendor_id": pci.field(config, pci.VENDOR, 2),
        "device_id": pci.field(config, pci.DEVICE, 2),
        "subsystem_vendor_id": pci.field(config, pci.SUBSYSTEM_VENDOR, 2),
        "subsystem_id": pci.field(config, pci.SUBSYSTEM, 2),
        "revision_id": pci.field(config, pci.REVISION, 1),
        "class_code": pci.field(config, pci.CLASS, 3),
        "command": pci.field(config, pci.COMMAND, 2),
        "pci_status": pci.field(config, pci.STATUS, 2),
        "header_type": pci.field(config, pci.HEADER_TYPE, 1),
        "interrupt_pin": pci.field(config, pci.INTERRUPT_PIN, 1),
        "problem": "; ".join(filter(None, (problem, trouble))) or None,
    }
    yield from _bars(reading, config, where)
    for capability in found:
        yield {"kind": "survey_cap", **_capability(capability)}
    for pos, name, version in further:
        yield {"kind": "survey_ext", "pos": pos, "ext_id": name, "version": version}
    if "mapped" in reading:
        yield from _mapped(reading, config, where)


def _bars(reading: dict[str, Any], config: bytes, where: str) -> Iterator[dict[str, Any]]:
    """Yield the BARs that QEMU names, whose sizes no register shows, with the space's addresses."""
    known = {bar.number: bar for bar in pci.bars(config)}
    for region in objects(reading, "regions", where):
        number = integer(region, "bar", where, 0, 6)
        if number == pci.BAR_COUNT:
            # The expansion ROM.
            continue
        bar = known.get(number)
        yield {
            "kind": "survey_bar",
            "bar": number,
            "start": bar.address if bar else 0,
            "length": integer(region, "size", where, 0, _MOST),
            "io": int(get(region, "io", bool, where)),
            "wide": int(get(region, "wide", bool, where)),
        }


def _mapped(reading: dict[str, Any], config: bytes, where: str) -> Iterator[dict[str, Any]]:
    """Yield the mappings that begin in a memory BAR of the function."""
    found = as_object(reading["mapped"], f"{where}: mapped")
    page = integer(found, "page", where, 1, (1 << 32) - 1)
    sizes = {region.get("bar"): region for region in objects(reading, "regions", where)}
    bars = [
        (bar.number, bar.address, integer(sizes[bar.number], "size", where, 0, _MOST))
        for bar in pci.bars(config)
        if bar.address and not bar.io and bar.number in sizes
    ]
    for entry in as_list(found.get("areas"), f"{where}: areas"):
        words = as_list(entry, f"{where}: areas")
        if len(words) != 3 or not isinstance(words[2], str):
            raise BadJsonError(f"{where}: areas: not address, bytes and caller")
        named = dict(zip(("address", "bytes"), words[:2], strict=True))
        address = integer(named, "address", where, 0, _MOST)
        length = integer(named, "bytes", where, 0, _MOST)
        for number, start, size in bars:
            if start <= address < start + size:
                yield {
                    "kind": "survey_map",
                    "bar": number,
                    "start": address - start,
                    "length": length,
                    "page": page,
                    "symbol": words[2],
                }


def _capability(capability: pci.Capability) -> dict[str, Any]:
    row: dict[str, Any] = {
        "pos": capability.pos,
        "cap_id": capability.id,
        "cap_next": capability.next,
    }
    if capability.id == pci.VENDOR_SPECIFIC:
        fields = pci.virtio(capability)
        row |= {
            "cap_len": fields.cap_len,
            "cfg_type": fields.cfg_type,
            "bar": fields.bar,
            "sub_id": fields.id,
            "start": fields.offset,
            "length": fields.length,
            "multiplier": fields.multiplier,
            "vendor_id": fields.vendor,
        }
    elif capability.id == pci.MSI_X:
        control = capability.number(2, 2)
        if control is not None:
            # The field has the number of entries less one.
            row |= {"vectors": (control & 0x7FF) + 1, "enabled": control >> 15}
        table = capability.number(4, 4)
        if control is not None and table is not None:
            place = {"bar": table & 7, "start": table & ~7}
            row |= {**place, "length": row["vectors"] * pci.MSI_X_ENTRY}
    return row
