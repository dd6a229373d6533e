# SPDX-License-Identifier: GPL-2.0-only
"""Kinds of events, their observers and their columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

Dtype = type[pl.DataType]

SOURCES = (
    "driver", "vhost", "qemu", "probe", "access", "registers", "rings", "qmp", "survey", "tap",
    "record", "core",
)  # fmt: skip
SOURCE_TYPE = pl.Enum(SOURCES)

#: Observers in the guest on the driver's side.
INSIDE = ("driver", "probe", "record", "core")

#: Observers on the host, by the host's wall clock.
OUTSIDE = ("qemu", "access", "registers", "rings", "qmp", "survey", "tap")

#: A driver's kinds that its register accesses show as well, without code in the guest.
REGISTERS = ("status", "features", "config", "generation")

#: Observers of other drivers by the field ``by`` of their events: the probe (enum pykit_by,
#: trace/events/pykit.h), and the recorder, which has no module (record/events.h).
BY = {1: "probe", 2: "record"}

#: Values of the field ``op`` of the event ``queue`` (enum pykit_queue_op).
SET_UP, DELETED, JOINED, LEFT, BROKEN, UNBROKEN = range(6)
#: The field ``differs`` of the event ``add`` where each descriptor is that of its buffer
#: (PYKIT_DIFFERS_NONE); 0 where they were not compared.
DIFFERS_NONE = 0xFFFF

#: Columns of all rows; null where they do not apply.
BASE: dict[str, Dtype] = {
    "row": pl.UInt32,
    "ts": pl.Int64,
    "time": pl.Int64,
    "cpu": pl.UInt16,
    "pid": pl.Int32,
    "dev": pl.UInt32,
    "life": pl.UInt32,
    "vq": pl.UInt16,
    "seq": pl.UInt32,
}

_TYPES: dict[str, Dtype] = {
    "u8": pl.UInt8,
    "u16": pl.UInt16,
    "u32": pl.UInt32,
    "u64": pl.UInt64,
    "s32": pl.Int32,
    "str": pl.String,
}


def _fields(text: str) -> dict[str, Dtype]:
    """``"u64: a b, u8: c"`` as a mapping of names to types."""
    result: dict[str, Dtype] = {}
    for part in filter(None, text.split(", ")):
        kind, names = part.split(": ")
        result.update((name, _TYPES[kind]) for name in names.split())
    return result


#: Fields of each kind beside the base columns. Kinds of the guest are the
#: tracepoints' names without "pykit_", but for ``RENAMED``; kinds that begin with dev_ are QEMU's,
#: those that begin with acc_ the access tracer's, with ring_ the ring watcher's, with survey_
#: the transport survey's; ``register`` is of QEMU's log of register accesses.
KINDS: dict[str, dict[str, Dtype]] = {
    kind: _fields(text)
    for kind, text in {
        "driver": "u32: id, s32: err, u8: stage",
        "features": "u64: offered driver acked, u8: stage",
        "status": "u8: status op",
        "config": "u64: value, u32: offset len, u8: write",
        "generation": "u32: generation",
        "config_change": "u8: status",
        "queue": "u64: desc avail used, u32: size,"
        " u16: num_queues avail_flags avail_idx used_flags used_idx, u8: layout op",
        "add": "u64: before readable writable, u32: chain num_free,"
        " u16: head avail_idx slots used_idx differs, u8: indirect",
        "desc": "u64: addr, u32: len, u16: head slot flags next pos, u8: table",
        "slot": "u64: addr, u32: len, u16: head slot id flags pos",
        "add_failed": "s32: err, u32: chain num_free,"
        " u16: slots old new event event_after flags flags_after, u8: event_idx notified",
        "kick": "u16: old new event event_after flags flags_after, u8: event_idx needed",
        "notify": "",
        "interrupt": "u32: irq, u16: used_idx last_used",
        "stray": "u32: irq, u16: used_idx last_used",
        "used": "u32: id len, u16: index used_idx flags event event_flags, u8: accepted",
        "compared": "u32: id len, u16: index head changed driver_area slot,"
        " u8: header behind table between",
        "callback": "u16: avail_flags used_event last_used used_idx, u8: event_idx enable pending",
        "detach": "u32: num_free, u16: slots",
        "quiet": "u16: used_idx used_after",
        "opening": "u64: first second third, u16: head got",
        "reply": "u64: first second third, u16: head got",
        "blk_start": "u64: sector status_addr bytes, u32: type, u16: head segments",
        "blk_range": "u64: sector, u32: sectors flags, u16: head pos",
        "blk_answer": "u64: first second third, u32: type, u16: head got",
        "blk_zone": "u64: start capacity wp, u16: head pos, u8: z_type z_state",
        "blk_wrote": "u64: bytes written touched, u32: type sum, u16: head known other,"
        " u8: header zero behind",
        "blk_sector": "u64: sector, u32: sum, u16: head, u8: write",
        "blk_done": "u64: sector, u32: type len, u16: head, u8: status",
        "blk_passed": "u64: passed, u32: type len, u16: head, u8: error",
        "returned": "u32: id len, u16: index head changed",
        "beyond": "u32: size, u16: looked stored slot",
        "restarted": "",
        "queue_vector": "u16: vector",
        "config_vector": "u16: vector",
        "line": "u16: pci_status, u8: isr raised",
        "vhost_attach": "u32: serves, u8: ended",
        "vhost_queue": "u64: features, u32: size, u16: avail_idx used_idx",
        "vhost_get": "u64: readable writable, u32: out in, u16: head avail_idx",
        "vhost_used": "u32: id len, u16: used_idx avail_idx",
        "vhost_signal": "u16: old new event, u8: event_idx valid sent",
        "vhost_notify": "u16: avail_idx, u8: enable pending",
        "vhost_blk": "u64: sector, u32: type len, u16: head, u8: status",
        "dev_status": "u8: status",
        "dev_kick": "",
        "dev_pop": "u64: elem, u32: in_num out_num, u16: avail_idx",
        "dev_fill": "u64: elem, u32: len, u16: index",
        "dev_flush": "u32: count",
        "dev_signal": "",
        "dev_config_signal": "",
        "dev_blk_start": "u64: elem sector, u32: sectors type",
        "dev_blk_done": "u64: elem, u8: status",
        "dev_command": "u32: number, u8: command",
        "dev_pci_config": "u64: value, u32: offset, u8: write, str: place",
        "dev_translation": "u8: enabled, str: place",
        "dev_dma_fault": "u64: addr, u8: write, str: place",
        "dev_structure": "u64: value, u32: offset, u16: pos, u8: cfg_type size write",
        "acc_ring": "u64: insns pc address value, u32: offset, u16: slot,"
        " u8: size write, str: area field symbol",
        "acc_register": "u64: insns pc address value, u32: offset, u8: size write,"
        " str: symbol structure register",
        "register": "u64: value, u32: offset, u8: size write, str: structure register",
        "ring_avail": "u64: before, u16: head avail_idx",
        "ring_used": "u64: before, u32: id len, u16: index",
        "survey_pci": "u32: class_code, u16: reading vendor_id device_id subsystem_vendor_id"
        " subsystem_id command pci_status, u8: revision_id header_type interrupt_pin,"
        " str: state place problem",
        "survey_bar": "u64: start length, u16: reading, u8: bar io wide",
        "survey_cap": "u64: start length, u32: multiplier, u16: reading pos vendor_id vectors,"
        " u8: cap_id cap_next cap_len cfg_type bar sub_id enabled",
        "survey_ext": "u16: reading pos ext_id, u8: version",
        "survey_map": "u64: start length, u32: page, u16: reading, u8: bar, str: symbol",
        "survey_mmio": "u64: start, u16: reading, str: state",
        "survey_slot": "u64: start, u32: id errors looks, u16: reading, str: state",
        "survey_storage": "u64: length allocated, str: state",
        "survey_register": "u64: value, u32: offset len, u16: reading, str: region",
    }.items()
}


#: Kinds of captures from before a tracepoint was renamed, by its name then.
RENAMED = {"refused": "add_failed", "vhost_serves": "vhost_attach"}

#: Columns of fields that had another name, by kind and that name.
RENAMED_FIELDS = {("add_failed", "rang"): "notified"}


def tracepoint(kind: str) -> str:
    """Return the name of a guest kind's tracepoint."""
    return f"pykit_{kind}"


def source_of(kind: str) -> str:
    """Return the observer of a kind; ``driver`` stands for all that are ``INSIDE`` (see ``BY``)."""
    if kind.startswith("dev_"):
        return "qemu"
    if kind.startswith("acc_"):
        return "access"
    if kind == "register":
        return "registers"
    if kind.startswith("ring_"):
        return "rings"
    if kind.startswith("survey_"):
        return "survey"
    return "vhost" if kind.startswith("vhost_") else "driver"


#: Kinds that only the driver outside of a guest writes (pykit/drive).
DRIVEN = (
    "beyond", "blk_sector", "restarted", "returned", "queue_vector", "config_vector", "line",
)  # fmt: skip

#: The kinds that are tracepoints of our modules.
TRACEPOINTS = {
    kind: fields
    for kind, fields in KINDS.items()
    if source_of(kind) not in OUTSIDE and kind not in DRIVEN
}


def kind_type(extra: Iterable[str]) -> pl.Enum:
    """The type of the ``kind`` column: all known kinds, then the capture's others by name."""
    return pl.Enum([*KINDS, *sorted(set(extra) - set(KINDS))])


def widest(types: Iterable[Dtype]) -> Dtype:
    """The narrowest integer type that holds all values of ``types`` (all signed or none)."""
    return max(types, key=lambda kind: int("".join(filter(str.isdigit, kind.__name__))))


def columns_of(kinds: Iterable[str], extra: Mapping[str, Mapping[str, Dtype]]) -> dict[str, Dtype]:
    """The union of the kinds' fields, in the kinds' order, without the base columns.

    ``extra`` holds fields that a capture has beyond ``KINDS``, by kind. A
    field that two kinds have in different widths gets the wider one.
    """
    union: dict[str, Dtype] = {}
    for kind in kinds:
        for fields in (KINDS.get(kind, {}), extra.get(kind, {})):
            for name, dtype in fields.items():
                if name not in BASE:
                    other = union.get(name, dtype)
                    union[name] = dtype if other is dtype else widest((other, dtype))
    return union
