# SPDX-License-Identifier: GPL-2.0-only
"""The faults that are made in the registers of QEMU's devices, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pykit import pci
from pykit.proof.between import WINDOW, Edit, Reads, RegisterFault, RegisterState, Writes
from pykit.spec import bits

#: Devices: one with an interface of each kind, and the modern one alone.
BOTH = "virtio-blk-pci"
MODERN = "virtio-blk-pci,disable-legacy=on"
MMIO = "virtio-blk-device"
PACKED = "virtio-blk-pci,packed=on"
LEGACY = "virtio-blk-pci,disable-modern=on,disable-legacy=off"
_SUSPEND = 16
#: The bit of the ISR status that a change of the configuration sets.
_CONFIG = 2
LEGACY_MMIO = "virtio-blk-device,force-legacy=on"


@dataclass(frozen=True)
class FaultyRegisters:
    """A fault of a device's registers, and what shows it.

    Attributes:
        does: what the device does.
        rules: ids of the rules that fail for it.
        device: the device of QEMU's that has it.
        rows: of cases/, which access the registers that it is in.
        bugs: real bugs that it repeats, keys of mutants/real-bugs.toml.
        waits: seconds after which the device is used once more: what has not come is missing then.
    """

    does: str
    rules: tuple[str, ...]
    fault: RegisterFault
    device: str = BOTH
    rows: tuple[str, ...] = ()
    bugs: tuple[str, ...] = ()
    waits: float = 0


# What registers read.


def always(value: int) -> Reads:
    """Return a value that is read, whatever was written."""
    return lambda _, state: value


def _with(mask: int) -> Reads:
    return lambda value, state: value | mask


def _without(mask: int) -> Reads:
    return lambda value, state: value & ~mask


def offering(*features: int) -> Reads:
    """Return what the offer reads with these features in it."""
    offer = bits.mask(frozenset(features))

    def read(value: int, state: RegisterState) -> int:
        return value | offer >> 32 * min(state.of("device_feature_select"), 2) & 0xFFFFFFFF

    return read


def keeping(*features: int) -> Writes:
    """Return what is written of the features accepted, without these: the device behind does not
    know them."""
    accepted = bits.mask(frozenset(features))

    def write(value: int, state: RegisterState) -> int:
        return value & ~(accepted >> 32 * min(state.of("driver_feature_select"), 2))

    return write


def _after_reset(value: int) -> Reads:
    """A value that is there until the driver has accepted features in this life, but the first."""

    def read(found: int, state: RegisterState) -> int:
        fresh = ("driver_feature", -1) not in state.written
        return value if fresh and state.resets > 1 else found

    return read


def second(change: Reads) -> Reads:
    """Each second read is another one."""
    count = [0]

    def read(value: int, state: RegisterState) -> int:
        count[0] += 1
        return change(value, state) if not count[0] % 2 else value

    return read


def _status_again(value: int, state: RegisterState) -> int:
    """The status of before, at the second read after a reset."""
    return bits.ACKNOWLEDGE if state.resets and state.reads["status"] == 2 else value


def _lingering(value: int, state: RegisterState) -> int:
    """Read 0 once, and then 1 again, after the reset of a queue."""
    reset = state.of("queue_reset", state.queue)
    return int(state.reads["queue_reset"] == 2) if reset else value


def _acknowledged(value: int, state: RegisterState) -> int:
    """Count reads of the interrupt status anew."""
    state.reads["isr"] = 0
    return value


#: What is kept of a suspension: it was asked for, or it was shown.
_ASKED, _SHOWN = 1, 2
_STATE = ("suspension", -1)


def _staying(value: int, state: RegisterState) -> int | None:
    """Take note of a suspension, which nothing but a reset ends."""
    if value & _SUSPEND:
        state.written[_STATE] = _ASKED
    return None if value & _SUSPEND else value


def _suspending(value: int, state: RegisterState) -> int | None:
    """Suspend and resume, and leave the device behind as it is meanwhile (section 3.4)."""
    now = state.written.get(_STATE, 0)
    if (now == _SHOWN and value & bits.DRIVER_OK) or not value & _SUSPEND:
        now = 0
    elif not now:
        now = _ASKED
    state.written[_STATE] = now
    return None if value & _SUSPEND else value


def _suspended(value: int, state: RegisterState) -> int:
    """SUSPEND without DRIVER_OK while it is suspended."""
    if not state.written.get(_STATE):
        return value & ~_SUSPEND
    state.written[_STATE] = _SHOWN
    return value & ~bits.DRIVER_OK | _SUSPEND


def suspending(
    reads: Mapping[str, Reads] = MappingProxyType({}),
    writes: Mapping[str, Writes] = MappingProxyType({}),
) -> RegisterFault:
    """A device that can be suspended, as far as its status and these registers go."""
    return RegisterFault(
        {"device_feature": offering(bits.SUSPEND), "status": _suspended, **reads},
        {"driver_feature": keeping(bits.SUSPEND), "status": _suspending, **writes},
    )


def _unless_suspended(value: int, state: RegisterState) -> int | None:
    return None if state.written.get(_STATE) else value


def suspended_well() -> RegisterFault:
    """The same with a configuration that is left alone, and announced as section 3.4.2 has it."""
    late = ("late", -1)

    def isr(value: int, state: RegisterState) -> int:
        if state.written.get(_STATE) and value & _CONFIG:
            state.written[late] = value
            return 0
        return value if state.written.get(_STATE) else value | state.written.pop(late, 0)

    return suspending({"isr": isr}, {"config+32": _unless_suspended})


# What PCI's configuration space has.


def _place(space: bytearray, kind: int) -> int:
    """Where virtio's first capability of a type is."""
    for capability in pci.capabilities(bytes(space))[0]:
        if capability.id == pci.VENDOR_SPECIFIC and pci.virtio(capability).cfg_type == kind:
            return capability.pos
    raise ValueError(f"no capability of type {kind}")


def _set(space: bytearray, at: int, value: int, width: int) -> None:
    space[at : at + width] = value.to_bytes(width, "little")


def _header(at: int, value: int, width: int) -> Edit:
    return lambda space: _set(space, at, value, width)


def capability(kind: int, at: int, value: int, width: int) -> Edit:
    """Return what sets a field of virtio's first capability of a type."""
    return lambda space: _set(space, _place(space, kind) + at, value, width)


def _both(*edits: Edit) -> Edit:
    def edit(space: bytearray) -> None:
        for one in edits:
            one(space)

    return edit


#: An offset in the configuration space that no capability of QEMU's devices has.
_UNUSED = 0xC0


def sr_iov() -> Edit:
    """Add a capability of PCI Express, and an extended one for virtual functions."""

    def edit(space: bytearray) -> None:
        last = pci.capabilities(bytes(space))[0][-1]
        space[last.pos + 1] = _UNUSED
        _set(space, _UNUSED, pci.EXPRESS, 2)
        _set(space, pci.CONVENTIONAL, 1 << 16 | pci.SR_IOV, 4)

    return edit


def _vectors(count: int) -> Edit:
    """Set the number of vectors in MSI-X's Table Size."""

    def edit(space: bytearray) -> None:
        for capability in pci.capabilities(bytes(space))[0]:
            if capability.id == pci.MSI_X:
                _set(space, capability.pos + 2, count - 1, 2)

    return edit


#: Fields of a capability: its length, type, BAR, id, offset, length of the structure, multiplier.
_ID, _OFFSET, LENGTH, _MULTIPLIER = 5, 8, 12, 16
#: A type that virtio does not know.
UNKNOWN = 0x77
_DATA = (bits.NOTIFICATION_DATA,)


def _space(does: str, rules: str, edit: Edit, device: str = BOTH) -> FaultyRegisters:
    return FaultyRegisters(does, tuple(rules.split()), RegisterFault(config=edit), device)


def _data(does: str, rules: str, edit: Edit) -> FaultyRegisters:
    """A fault of a device that offers NOTIFICATION_DATA."""
    fault = RegisterFault({"device_feature": offering(*_DATA)}, config=edit)
    return FaultyRegisters(does, tuple(rules.split()), fault)


def reading(
    does: str, rules: str, name: str, change: Reads, rows: str = "", device: str = BOTH
) -> FaultyRegisters:
    """A fault of what one register reads, named by these rules with these rows."""
    fault = RegisterFault({name: change})
    return FaultyRegisters(does, tuple(rules.split()), fault, device, tuple(rows.split()))


def _admin(does: str, rules: str, index: int, number: int) -> FaultyRegisters:
    """A fault of a device with administration virtqueues, as far as their registers go."""
    reads = {
        "device_feature": offering(bits.ADMIN_VQ),
        "admin_queue_index": always(index),
        "admin_queue_num": always(number),
    }
    writes = {"driver_feature": keeping(bits.ADMIN_VQ)}
    return FaultyRegisters(
        does, tuple(rules.split()), RegisterFault(reads, writes), rows=("admin-index",)
    )


_RESETS = "queue-reset queue-reset-read-back queue-reset-busy"

#: All faults by name.
REGISTER_FAULTS: dict[str, FaultyRegisters] = {
    # The capability list.
    "common-absent": _space(
        "have no common configuration", "PM-DE-02",
        capability(pci.COMMON_CFG, pci.CAP_TYPE, UNKNOWN, 1),
    ),
    "notify-absent": _space(
        "have no notification structure", "PO-DE-01",
        capability(pci.NOTIFY_CFG, pci.CAP_TYPE, UNKNOWN, 1),
    ),
    "isr-absent": _space(
        "have no ISR status", "PR-DE-01", capability(pci.ISR_CFG, pci.CAP_TYPE, UNKNOWN, 1)
    ),
    "config-absent": _space(
        "have no device configuration", "OX-PD-01",
        capability(pci.DEVICE_CFG, pci.CAP_TYPE, UNKNOWN, 1),
    ),
    "window-absent": _space(
        "have no configuration access capability", "PX-DE-01",
        capability(pci.PCI_CFG, pci.CAP_TYPE, UNKNOWN, 1),
    ),
    "common-misaligned": _space(
        "have the common configuration at an odd offset", "PM-DE-01",
        capability(pci.COMMON_CFG, _OFFSET, 2, 4),
    ),
    "config-misaligned": _space(
        "have the device configuration at an odd offset", "PE-DE-01",
        capability(pci.DEVICE_CFG, _OFFSET, 0x2002, 4),
    ),
    "config-short": _space(
        "have 8 bytes of device configuration", "DX-30",
        capability(pci.DEVICE_CFG, LENGTH, 8, 4),
    ),
    "capability-short": _space(
        "leave the multiplier out of a capability's length", "PC-DE-01",
        capability(pci.NOTIFY_CFG, pci.CAP_LEN, 16, 1),
    ),
    "notify-odd": _space(
        "have the notification structure at an odd offset", "PO-DE-02",
        capability(pci.NOTIFY_CFG, _OFFSET, 0x3001, 4),
    ),
    "multiplier-odd": _space(
        "have 3 bytes from one queue's notification to the next", "PO-DE-03",
        capability(pci.NOTIFY_CFG, _MULTIPLIER, 3, 4),
    ),
    "notify-one-byte": _space(
        "have one byte for notifications", "PO-DE-04",
        capability(pci.NOTIFY_CFG, LENGTH, 1, 4),
    ),
    "notify-short": _space(
        "have room for the notification of one queue", "PO-DE-05 PO-DE-06",
        capability(pci.NOTIFY_CFG, LENGTH, 2, 4), "virtio-blk-pci,num-queues=2",
    ),
    "data-multiplier": _data(
        "offer NOTIFICATION_DATA with 2 bytes a notification", "PO-DE-07",
        capability(pci.NOTIFY_CFG, _MULTIPLIER, 2, 4),
    ),
    "data-misaligned": _data(
        "offer NOTIFICATION_DATA at an offset of 2", "PO-DE-08",
        capability(pci.NOTIFY_CFG, _OFFSET, 0x3002, 4),
    ),
    "data-short": _data(
        "offer NOTIFICATION_DATA with 2 bytes for all notifications", "PO-DE-09 PO-DE-10 PO-DE-11",
        capability(pci.NOTIFY_CFG, LENGTH, 2, 4),
    ),
    "vector-alone": _space("have one vector", "PQ-DE-01", _vectors(1)),
    "vectors-fewer": _space(
        "show another number of vectors than it has", "PQ-DE-02", _vectors(3),
        "virtio-blk-pci,vectors=4,num-queues=3",
    ),
    "vectors-idle": _space(
        "have five vectors for one queue", "PQ-DE-03", _vectors(5), "virtio-rng-pci"
    ),
    "vendor-data-own": _space(
        "have vendor data of virtio's vendor", "PZ-DE-01",
        _both(
            capability(pci.PCI_CFG, 4, 0x1AF4, 2),
            capability(pci.PCI_CFG, pci.CAP_TYPE, pci.VENDOR_CFG, 1),
        ),
    ),
    "vendor-data-odd": _space(
        "have vendor data of 18 bytes", "PZ-DE-02",
        _both(
            capability(pci.PCI_CFG, 4, 0x1234, 2),
            capability(pci.PCI_CFG, pci.CAP_LEN, 18, 1),
            capability(pci.PCI_CFG, pci.CAP_TYPE, pci.VENDOR_CFG, 1),
        ),
    ),
    "shared-outside": _space(
        "have shared memory behind the end of its BAR", "PH-DE-01",
        _both(
            capability(pci.PCI_CFG, pci.CAP_BAR, 4, 1),
            capability(pci.PCI_CFG, LENGTH, 1 << 30, 4),
            capability(pci.PCI_CFG, pci.CAP_TYPE, pci.SHARED_MEMORY_CFG, 1),
        ),
    ),
    "shared-same-id": _space(
        "have two regions of shared memory with one id", "PH-DE-02",
        _both(
            capability(pci.PCI_CFG, pci.CAP_TYPE, pci.SHARED_MEMORY_CFG, 1),
            capability(pci.DEVICE_CFG, pci.CAP_TYPE, pci.SHARED_MEMORY_CFG, 1),
        ),
    ),
    "window-kept": FaultyRegisters(
        "keep what is written through the window", ("PX-DE-02",),
        RegisterFault(writes={WINDOW: lambda value, state: None}), rows=("window-offer",),
    ),
    "window-garbled": FaultyRegisters(
        "read other bytes through the window than the register has", ("PX-DE-03",),
        RegisterFault({WINDOW: lambda value, state: value + 1}), rows=("window-queues",),
    ),
    # The header.
    "vendor-other": _space("have another vendor id", "PY-DE-01", _header(pci.VENDOR, 0x1AF5, 2)),
    "id-of-other-type": _space(
        "have the device id of a network card", "PY-DE-02", _header(pci.DEVICE, 0x1041, 2)
    ),
    "id-transitional": _space(
        "have a transitional device id and revision without a legacy interface",
        "PY-DE-04 PY-DE-05 LG-PE-04 OX-PN-01",
        _both(_header(pci.DEVICE, 0x1001, 2), _header(pci.REVISION, 0, 1)), MODERN,
    ),
    "subsystem-transitional": _space(
        "have a subsystem id that is transitional", "PY-DE-06",
        _header(pci.SUBSYSTEM, 2, 2), MODERN,
    ),
    "revision-modern": _space(
        "have revision 1 beside a legacy interface", "LG-PE-01", _header(pci.REVISION, 1, 1)
    ),
    "subsystem-other": _space(
        "have another type as subsystem id beside a legacy interface", "LG-PE-02",
        _header(pci.SUBSYSTEM, 1, 2),
    ),
    "id-modern": _space(
        "have a device id of the modern range beside a legacy interface", "LG-PE-03",
        _header(pci.DEVICE, 0x1042, 2),
    ),
    "header-of-bridge": _space(
        "have a bridge's header", "PB-DE-01", _header(pci.HEADER_TYPE, 1, 1)
    ),
    # Registers of PCI.
    "offer-unsteady": reading(
        "offer other features at each second look", "PM-DE-03", "device_feature",
        second(lambda value, state: value ^ 1 << 9), "features-offered",
    ),
    "acceptance-lost": reading(
        "read other features than were accepted", "PM-DE-04 FB-DE-03", "driver_feature",
        _without(1), "common-read",
    ),
    "status-kept": FaultyRegisters(
        "keep the status over a reset", ("RS-DE-01", "PM-DE-08"),
        RegisterFault({
            "status": lambda value, state: value if ("status", -1) in state.written
            or state.resets < 3 else bits.ACKNOWLEDGE | bits.DRIVER
        }),
        bugs=("B47",),
    ),
    "status-back": reading(
        "read a status again after a reset was over", "PM-DE-08 RS-DE-01", "status", _status_again,
        "reset-is-over",
    ),
    "enabled-after-reset": reading(
        "have queues enabled after a reset", "PM-DE-09", "queue_enable", always(1),
        "reset-clears-queues",
    ),
    "address-after-reset": reading(
        "keep a queue's address over a reset", "DX-26", "queue_desc_low", _after_reset(0x1000),
        "reset-clears-queues",
    ),
    "size-of-no-queue": reading(
        "have a size for a queue that is not there", "PM-DE-15", "queue_size",
        lambda value, state: value or 64, "queue-select-*",
    ),
    "size-odd": reading(
        "have a queue size that is no power of two", "PM-DE-16", "queue_size",
        lambda value, state: value and 100, "queue-size-offered",
    ),
    "vector-refused": reading(
        "map no event to a vector above 0", "PQ-DE-04", "queue_vector",
        lambda value, state: bits.NO_VECTOR, "vectors-*",
    ),
    "vector-kept": reading(
        "keep a vector that is taken away", "PQ-DE-05", "config_vector", always(0),
        "vector-read-back",
    ),
    "vector-other": reading(
        "show another vector than that in force", "PQ-DE-06", "config_vector",
        lambda value, state: value if value == bits.NO_VECTOR else value ^ 1, "vector-read-back",
    ),
    "vector-after-reset": reading(
        "map events to vectors at a reset", "PQ-DE-07", "config_vector", always(0),
        "vectors-after-reset",
    ),
    "isr-kept": reading(
        "keep the ISR status when it is read", "PR-DE-05", "isr", always(1),
    ),
    "isr-empty": reading(
        "have no bit in the ISR status for what raised the line", "PR-DE-02 PR-DE-03", "isr",
        always(0),
    ),
    # The common structure is out of reach, so that the legacy interface is used.
    "legacy-layout": FaultyRegisters(
        "offer no ANY_LAYOUT by the legacy interface", ("LG-RE-03",),
        RegisterFault(
            {"device_feature": _without(1 << bits.ANY_LAYOUT)},
            config=capability(pci.COMMON_CFG, pci.CAP_BAR, 7, 1),
        ),
    ),
    "sr-iov-not-offered": _space(
        "have a capability for virtual functions, and not offer SR_IOV", "RF-DE-09", sr_iov()
    ),
    "sr-iov-alone": reading(
        "offer SR_IOV without its capability", "RF-DE-10", "device_feature",
        offering(bits.SR_IOV),
    ),
    "admin-inside": _admin("have administration queues among the others", "PM-DE-17", 0, 1),
    "admin-beyond": _admin("have administration queues above 65535", "PM-DE-18", 0xFFFF, 2),
    "queue-reset-lingers": reading(
        "show a queue's reset as under way when it is over", "PM-DE-13", "queue_reset",
        _lingering, "queue-reset-is-over",
    ),
    "queue-reset-when-enabled": reading(
        "show a reset of a queue that is enabled", "PM-DE-11", "queue_reset",
        lambda value, state: value or int(state.of("queue_enable", state.queue) == 1
                                          and not state.of("queue_reset", state.queue)), _RESETS,
    ),
    "queue-reset-after-reset": reading(
        "show a queue's reset after that of the device", "PM-DE-10", "queue_reset",
        lambda value, state: value or int(not state.of("queue_enable", state.queue)),
        "queue-reset-fresh",
    ),
    "queue-reset-dropped": FaultyRegisters(
        "go on in a queue that was reset where it was", ("VR-DE-03",),
        RegisterFault({}, {"queue_reset": lambda value, state: None}), waits=1.5,
    ),
    "queue-reset-ignored": FaultyRegisters(
        "keep a queue enabled over its reset", ("PM-DE-12",),
        RegisterFault({"queue_enable": always(1)}), rows=tuple(_RESETS.split()),
    ),
    "size-kept-over-reset": FaultyRegisters(
        "keep the size of a queue that was reset", ("VE-DE-01",),
        RegisterFault({
            "queue_size": lambda value, state: 16 if state.of("queue_reset", state.queue) else value
        }),
        rows=("queue-reset-other-size", "queue-reset-size-read"),
    ),
    "generation-kept": FaultyRegisters(
        "keep the generation when the capacity changes", ("PM-DE-06",),
        RegisterFault({"config+0": lambda value, state: value - state.reads["config+0"]}),
        bugs=("B38",),
    ),
    "half-alone": reading(
        "have other bytes in the upper half of a field at each second read",
        "PL-DE-01", "config+4", second(lambda value, state: value ^ 1),
    ),
    "offer-not-closed": reading(
        "offer what the control queue is for, and not the queue", "FB-DE-01", "device_feature",
        lambda value, state: value if state.of("device_feature_select") else value & ~(1 << 17),
        device="virtio-net-pci",
    ),
    "status-of-line": _space(
        "show an interrupt in PCI's status where there is none", "PR-DE-04",
        lambda space: _set(space, pci.STATUS, space[pci.STATUS] | pci.INTERRUPT_STATUS, 1),
    ),
    "vector-kept-in-secret": FaultyRegisters(
        "interrupt by a vector that was taken away", ("PU-DE-01",),
        RegisterFault(
            {"queue_vector": lambda value, state: state.of("queue_vector", state.queue)},
            {"queue_vector": lambda value, state: None if value == bits.NO_VECTOR else value},
        ),
    ),
    "suspend-ignored": FaultyRegisters(
        "offer SUSPEND, and go on as before", ("DS-DE-06",),
        RegisterFault(
            {"device_feature": offering(bits.SUSPEND)}, {"driver_feature": keeping(bits.SUSPEND)}
        ),
        rows=("suspend-polled",),
    ),
    "resume-ignored": FaultyRegisters(
        "stay suspended when it is resumed", ("DS-DE-07",),
        RegisterFault(
            {
                "device_feature": offering(bits.SUSPEND),
                "status": _suspended,
            },
            {"driver_feature": keeping(bits.SUSPEND), "status": _staying},
        ),
        rows=("suspend-resume-polled",),
    ),
    "suspend-early": FaultyRegisters(
        "be suspended before DRIVER_OK", ("DS-DE-01",),
        RegisterFault(
            {
                "device_feature": offering(bits.SUSPEND),
                "status": lambda value, state: value & ~bits.DRIVER_OK | 16
                if state.of("status") & 16 else value,
            },
            {"driver_feature": keeping(bits.SUSPEND)},
        ),
        rows=("suspend-early",),
    ),
    "suspend-serving": FaultyRegisters(
        "show that it is suspended, and serve queues all the same", ("DS-DE-03",), suspending(),
        rows=("suspend-notified",),
    ),
    "suspend-config-taken": FaultyRegisters(
        "take what is written to its configuration while it is suspended", ("DS-DE-02",),
        suspending(), rows=("suspend-config-written",),
    ),
    "suspend-announcing": FaultyRegisters(
        "announce a change of the configuration while it is suspended", ("DS-DE-04",),
        suspending(), rows=("suspend-grown",),
    ),
    "suspend-change-silent": FaultyRegisters(
        "never announce a change that came while it was suspended", ("DS-DE-05",),
        suspending(
            {"isr": always(0), "config_vector": lambda value, state: state.of("config_vector")},
            {"config_vector": lambda value, state: None},
        ),
        rows=("suspend-grown",),
    ),
    "suspend-busy": FaultyRegisters(
        "show that it is suspended while it has a request", ("DS-DE-08",), suspending(),
        rows=("suspend-busy",),
    ),
    "queue-served-after-reset": FaultyRegisters(
        "show that a queue is reset, and serve it all the same", ("VR-DE-01", "VR-DE-02"),
        RegisterFault({}, {"queue_reset": lambda value, state: None}),
        rows=("queue-reset-notified",),
    ),
    # A row shows it: QEMU's own devices do so.
    "served-early": FaultyRegisters(
        "serve a queue that is notified before DRIVER_OK",
        ("RS-DE-02", "RS-DE-03", "ST-DE-01", "ST-DE-02"), RegisterFault(),
        rows=("no-interrupt-before-driver-ok",),
    ),
    "needs-reset-unannounced": FaultyRegisters(
        "need a reset, and announce no change", ("ST-DE-04",),
        RegisterFault({"status": lambda value, state: value | (
            bits.NEEDS_RESET if value & bits.DRIVER_OK else 0
        )}), waits=5.5,
    ),
    "may-unmap-unannounced": FaultyRegisters(
        "change write_zeroes_may_unmap, and announce no change", ("BO-DE-12",),
        RegisterFault({"config+56": second(lambda value, state: value ^ 1)}), waits=5.5,
    ),
    "config-hidden": reading(
        "hide the size of blocks until FEATURES_OK is set", "CF-DE-01", "config+20",
        lambda value, state: value if state.of("status") & bits.FEATURES_OK else 0,
    ),
    "changes-in-secret": FaultyRegisters(
        "interrupt for changes of the configuration by a vector that was taken away",
        ("PG-DE-01",),
        RegisterFault(
            {"config_vector": always(bits.NO_VECTOR)},
            {"config_vector": lambda value, state: 0 if value == bits.NO_VECTOR else value},
        ),
    ),
    # What a device keeps of what its driver wrote, and over a reset.
    "address-forgotten": reading(
        "read 0 as the driver area of a queue in use", "DX-81", "queue_driver_low", always(0),
        "common-read",
    ),
    "enable-forgotten": reading(
        "show a queue that was enabled as disabled", "DX-81", "queue_enable", always(0),
        "common-read",
    ),
    "offer-mirrored": reading(
        "offer the features of window 0 in window 16 again", "PM-DE-03", "device_feature",
        lambda value, state: 1 << bits.BLK_FLUSH
        if state.of("device_feature_select") > 1 else value, "feature-select-beyond",
    ),
    "status-strange": reading(
        "show a status bit that nothing defines from FEATURES_OK on", "DX-82", "status",
        lambda value, state: value | (32 if value & bits.FEATURES_OK else 0),
    ),
    "status-last-only": reading(
        "show ACKNOWLEDGE no more once DRIVER_OK is set", "DX-82", "status",
        lambda value, state: value & ~(bits.ACKNOWLEDGE if value & bits.DRIVER_OK else 0),
        "common-read",
    ),
    "driver-ok-early": reading(
        "show DRIVER_OK as soon as FEATURES_OK is set", "DX-82", "status",
        lambda value, state: value | (bits.DRIVER_OK if value & bits.FEATURES_OK else 0),
    ),
    "queues-more": reading(
        "name more queues in the configuration than there are", "DX-24", "config+34", always(8),
        device="virtio-blk-pci,num-queues=2",
    ),
    "queues-unsteady": reading(
        "have another number of queues at each second read", "DX-87", "num_queues",
        second(lambda value, state: value + 1), "common-read queue-select-*",
    ),
    "mmio-generation-kept": FaultyRegisters(
        "keep the generation when the capacity changes", ("PM-DE-06",),
        RegisterFault({"config+0": lambda value, state: value - state.reads["config+0"]}), MMIO,
    ),
    # Registers of MMIO.
    "served-unready": FaultyRegisters(
        "serve a queue that is not ready", ("MR-DE-08",), RegisterFault(), MMIO,
        ("notified-while-not-ready",),
    ),
    "magic-wrong": reading(
        "have another magic value", "MR-DE-01", "magic", always(0x74726977), device=MMIO
    ),
    "version-three": reading("have version 3", "MR-DE-02", "version", always(3), device=MMIO),
    "mmio-isr-lost": FaultyRegisters(
        "drop the interrupt status when it is read", ("MR-DE-03",),
        RegisterFault(
            {"isr": lambda value, state: value if state.reads["isr"] < 2 else 0},
            {"interrupt_ack": _acknowledged},
        ),
        MMIO, ("isr-stays",),
    ),
    "mmio-isr-undefined": reading(
        "have an undefined bit in the interrupt status", "MR-DE-04", "isr", _with(4), device=MMIO,
    ),
    "mmio-isr-config": reading(
        "have the bit of a changed configuration with each interrupt", "MR-DE-04", "isr",
        lambda value, state: value and value | _CONFIG, device=MMIO,
    ),
    "mmio-isr-after-reset": reading(
        "keep the interrupt status over a reset", "MR-DE-05", "isr", _with(1),
        "reset-clears-ready", MMIO,
    ),
    "mmio-ready-after-reset": reading(
        "keep queues ready over a reset", "MR-DE-06", "queue_enable", always(1),
        "reset-clears-ready", MMIO,
    ),
}  # fmt: skip
