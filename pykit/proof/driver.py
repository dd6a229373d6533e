# SPDX-License-Identifier: GPL-2.0-only
"""Faults of a driver that show with a device of a certain kind alone.

The device has what the driver does not go along with: it offers a feature, or has a limit, and
conforms otherwise. A row of cases/ has the driver's fault, or its conforming requests have: it
leaves features alone that a driver should accept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from pykit import pci
from pykit.proof.between import Reads, RegisterFault, RegisterState
from pykit.proof.memory import FaultyMemory, FlaggedMemory
from pykit.proof.registers import (
    BOTH,
    LEGACY,
    LENGTH,
    MMIO,
    MODERN,
    PACKED,
    UNKNOWN,
    capability,
    keeping,
    offering,
    sr_iov,
    suspended_well,
    suspending,
)
from pykit.spec import bits

#: Where a driver leaves a device: when it was found, when its features were read, or when it has
#: written the status where such devices mostly have it.
Leaves = Literal["", "found", "offer", "assumed"]
_SECOND = 2
#: A feature and a bit of InterruptStatus that nothing defines.
_STRANGE, _STRANGE_INTERRUPT = 44, 4


@dataclass(frozen=True)
class DriverFault:
    """A driver's fault, and the device that it shows with.

    Attributes:
        does: what the driver does.
        rules: ids of the rules that fail for it.
        qemu: the device of QEMU's; without one that of `pykit device` with ``arguments``.
        row: name of the row of cases/ that has the fault; without one conforming requests do.
        registers: what the device has.
        bugs: real bugs that it repeats, keys of mutants/real-bugs.toml.
        memory: makes the memory that both share.
        ring: the layout of the rings.
        leaves: where the driver leaves the device for good, instead of using it.
    """

    does: str
    rules: tuple[str, ...]
    qemu: str = ""
    arguments: tuple[str, ...] = ()
    row: str = ""
    registers: RegisterFault | None = None
    bugs: tuple[str, ...] = ()
    memory: Callable[..., FaultyMemory] | None = None
    ring: Literal["split", "packed"] = "split"
    leaves: Leaves = ""


def _once(change: Reads) -> Reads:
    """A change in the second life of a device, which is that of a row."""
    return lambda value, state: change(value, state) if state.resets == _SECOND else value


def _offered(*features: int, **reads: Reads) -> RegisterFault:
    """Have features that the device behind does not know."""
    found = {"device_feature": offering(*features), **reads}
    return RegisterFault(found, {"driver_feature": keeping(*features)})


def _declines(feature: int, rule: str, name: str, qemu: str = BOTH) -> DriverFault:
    registers = RegisterFault({"device_feature": offering(feature)})
    return DriverFault(f"leave {name} alone, which is offered", (rule,), qemu, registers=registers)


def _torn(_: int, state: RegisterState) -> int:
    """The generation of a configuration that changes at each third read of it: each read of a
    field between two of these that is torn is whole when it is repeated."""
    return state.reads["generation"] // 3


def _without_capabilities(space: bytearray) -> None:
    """Have none of virtio's capabilities: null ones are in their places (PCI 6.7)."""
    for one in pci.capabilities(bytes(space))[0]:
        if one.id == pci.VENDOR_SPECIFIC:
            space[one.pos] = 0


def _odd(does: str, rule: str, name: str) -> DriverFault:
    device, registers = ODD[name]
    return DriverFault(does, (rule,), device, registers=registers, leaves="found")


#: What a device may be like that most are not, by name: a correct driver has no trouble with it.
ODD = {
    "reserved-type": (
        MODERN,
        RegisterFault(config=capability(pci.PCI_CFG, pci.CAP_TYPE, UNKNOWN, 1)),
    ),
    "capability-longer": (
        MODERN,
        RegisterFault(config=capability(pci.ISR_CFG, pci.CAP_LEN, 20, 1)),
    ),
    "reserved-bar": (
        "virtio-blk-pci,modern-pio-notify=on",
        RegisterFault(config=capability(pci.NOTIFY_CFG, pci.CAP_BAR, pci.BAR_COUNT, 1)),
    ),
    "no-capabilities": (MODERN, RegisterFault(config=_without_capabilities)),
    "generation-moves": (BOTH, RegisterFault({"generation": _torn})),
}

_WITH_FUNCTIONS = replace(_offered(bits.SR_IOV), config=sr_iov())
_ZONES = ("--zones", "--fault")
_NOTIFIED = (bits.NOTIFICATION_DATA, bits.NOTIF_CONFIG_DATA)
_ADMIN: dict[str, Reads] = {
    "admin_queue_index": lambda _, state: 2,
    "admin_queue_num": lambda _, state: 1,
}

DRIVER_FAULTS: dict[str, DriverFault] = {
    "order-platform-declined": _declines(bits.ORDER_PLATFORM, "RF-DR-07", "ORDER_PLATFORM"),
    "notif-config-declined": _declines(bits.NOTIF_CONFIG_DATA, "RF-DR-13", "NOTIF_CONFIG_DATA"),
    "read-only-declined": _declines(bits.BLK_RO, "BO-DR-03", "RO"),
    "access-platform-declined": DriverFault(
        "leave ACCESS_PLATFORM alone, which is offered", ("RF-DR-03",), BOTH,
        row="access-platform-refused",
        registers=RegisterFault({"device_feature": offering(bits.ACCESS_PLATFORM)}),
    ),
    "common-beyond": DriverFault(
        "access fields that the common structure is too short for", ("DX-34",), BOTH,
        row="queue-reset-read-back-beyond",
        registers=RegisterFault(config=capability(pci.COMMON_CFG, LENGTH, 56, 4)), bugs=("B10",),
    ),
    "any-layout-declined": DriverFault(
        "leave ANY_LAYOUT alone, which a legacy device offers", ("LG-RD-01",), LEGACY,
        row="any-layout-refused",
        registers=RegisterFault({"device_feature": offering(bits.ANY_LAYOUT)}),
    ),
    "sr-iov-accepted": DriverFault(
        "accept SR_IOV of a function without the capability", ("RF-DR-10",), BOTH,
        row="sr-iov-accepted", registers=_offered(bits.SR_IOV),
    ),
    "sr-iov-accepted-mmio": DriverFault(
        "accept SR_IOV of a device that is on no PCI bus", ("FB-DR-07", "RF-DR-10"), MMIO,
        row="sr-iov-accepted", registers=_offered(bits.SR_IOV),
    ),
    "notification-narrow": DriverFault(
        "notify by 16 bits with NOTIFICATION_DATA", ("PK-DR-02",), BOTH,
        row="notification-data-none", registers=_offered(bits.NOTIFICATION_DATA),
    ),
    "notification-other-queue": DriverFault(
        "notify another queue with NOTIFICATION_DATA", ("PK-DR-04",), BOTH,
        row="notification-data-other-queue", registers=_offered(bits.NOTIFICATION_DATA),
    ),
    "notification-by-number": DriverFault(
        "notify by the queue's number with NOTIF_CONFIG_DATA", ("PK-DR-05",), BOTH,
        row="notification-config-none",
        registers=_offered(bits.NOTIF_CONFIG_DATA, notif_config_data=lambda _, state: 0x55),
    ),
    "notification-by-number-with-data": DriverFault(
        "notify by the queue's number with both features", ("PK-DR-06",), BOTH,
        row="notification-both", registers=_offered(
            *_NOTIFIED, notif_config_data=lambda _, state: 0x55
        ),
    ),
    "admin-outside": DriverFault(
        "set up an administration queue that is not there", ("PM-DR-10",), BOTH,
        row="admin-set-up-beyond", registers=_offered(bits.ADMIN_VQ, **_ADMIN),
    ),
    "suspend-not-awaited": DriverFault(
        "resume a device before it is suspended", ("DS-DR-02",), BOTH,
        row="suspend-not-awaited", registers=suspending(),
    ),
    "suspend-config-written": DriverFault(
        "write the configuration of a suspended device", ("DS-DR-05",), BOTH,
        row="suspend-config-written", registers=suspending(),
    ),
    "suspend-buffer-added": DriverFault(
        "make a buffer available to a suspended device", ("DS-DR-03",), BOTH,
        row="suspend-notified", registers=suspending(),
    ),
    "suspend-notified": DriverFault(
        "notify a suspended device", ("DS-DR-04",), BOTH, row="suspend-notified",
        registers=suspending(),
    ),
    "resume-not-awaited": DriverFault(
        "use a device before it is resumed", ("DS-DR-06",), BOTH, row="suspend-resume-not-awaited",
        registers=suspending(),
    ),
    "kick-against-flag": DriverFault(
        "notify a device that wants no notification", ("NA-DR-03",), BOTH,
        row="kick-against-flag", memory=FlaggedMemory,
    ),
    "kick-by-flag": DriverFault(
        "go by the used ring's flag with EVENT_IDX, too", ("NA-DR-05",), BOTH,
        row="kick-by-flag", memory=FlaggedMemory,
    ),
    "list-awaited": DriverFault(
        "wait in the midst of a list for the device", ("PS-DR-04",), PACKED,
        row="list-awaited", ring="packed",
    ),
    "feature-missed": DriverFault(
        "give up where a feature is not offered that it works without elsewhere", ("FB-DR-09",),
        BOTH, row="gives-up",
        registers=RegisterFault({
            "device_feature": _once(lambda value, state: value & ~(
                0 if state.of("device_feature_select") else 1 << bits.BLK_BLK_SIZE
            ))
        }),
    ),
    "strange-feature": DriverFault(
        "give up where a feature is offered that it does not know", ("FB-DR-11",), BOTH,
        row="gives-up",
        registers=RegisterFault({"device_feature": _once(offering(_STRANGE))}),
    ),
    "offer-left": DriverFault(
        "read the offer, and leave the device without a word", ("FB-DR-10",), BOTH, leaves="offer"
    ),
    "left-alone": DriverFault(
        "leave a device with a modern id alone", ("PY-DR-01",), MODERN, leaves="found"
    ),
    "reserved-type-refused": _odd(
        "leave a device alone that has a capability of a reserved type", "PC-DR-01", "reserved-type"
    ),
    "capability-longer-refused": _odd(
        "leave a device alone that has a longer capability than specified", "PC-DR-03",
        "capability-longer",
    ),
    "reserved-bar-refused": _odd(
        "leave a device alone that has a structure in a reserved BAR", "PC-DR-04", "reserved-bar"
    ),
    "capabilities-assumed": DriverFault(
        "use a device that has none of virtio's capabilities", ("OX-PL-02",), MODERN,
        registers=ODD["no-capabilities"][1], leaves="assumed",
    ),
    "undefined-bits-acknowledged": DriverFault(
        "acknowledge undefined bits of InterruptStatus", ("MR-DR-20",), MMIO,
        row="interrupt-bits-returned",
        registers=RegisterFault({"isr": lambda value, state: value | _STRANGE_INTERRUPT}),
    ),
    "fields-together": DriverFault(
        "take two fields together though the generation changed", ("CF-DR-02",), BOTH,
        row="read-together",
        registers=ODD["generation-moves"][1],
    ),
    "left-alone-transitional": DriverFault(
        "leave a device with a transitional id alone", ("PY-DR-02",), BOTH, leaves="found"
    ),
    "zones-refused": DriverFault(
        "accept zones, and fail at the model, FEATURES_OK written and FAILED not",
        ("BI-DR-05", "BI-DR-08", "BI-DR-09"), BOTH, row="zones-refused",
        registers=_offered(
            bits.BLK_ZONED,
            **{"config+92": lambda _, state: bits.Z_HOST_MANAGED},
            **{f"config+{at}": lambda _, state: 0 for at in (93, 94, 95)},
        ),
    ),
    "decided-early": DriverFault(
        "decide on a notification before the chain is there", ("SN-DR-01",), BOTH,
        row="decided-early",
    ),
    "list-decided-early": DriverFault(
        "decide on a notification before the list is there", ("PN-DR-01",), PACKED,
        row="list-decided-early", ring="packed",
    ),
    "list-rewritten": DriverFault(
        "write descriptors of a list that is available", ("PF-DR-01",), PACKED,
        row="list-rewritten", ring="packed",
    ),
    "used-event-alone": DriverFault(
        "write the used event without EVENT_IDX", ("DX-32",), BOTH, row="used-event-alone"
    ),
    "notification-data-behind": DriverFault(
        "notify with the place of the last list, instead of that behind it", ("PD-DR-03",), PACKED,
        row="notification-data-behind", registers=_offered(bits.NOTIFICATION_DATA), ring="packed",
    ),
    "one-queue-looked-at": DriverFault(
        "look at one queue alone in an interrupt", ("MN-DR-02",), "virtio-blk-device,num-queues=2",
        row="one-queue-looked-at",
    ),
    "functions-early": DriverFault(
        "enable virtual functions before features are agreed on", ("RF-DR-11",), BOTH,
        row="functions-enabled", registers=_WITH_FUNCTIONS,
    ),
    "interfaces-mixed": DriverFault(
        "use both interfaces of a device at a time", ("LG-PD-01",), BOTH, row="interfaces-mixed"
    ),
    "zone-fields-read": DriverFault(
        "read fields of zones of a host-aware disk that it uses as a plain one", ("BI-DR-11",),
        arguments=(*_ZONES, "zone-model-aware"),
    ),
    "zones-discarded": DriverFault(
        "accept DISCARD beside host-managed zones", ("BI-DR-06",),
        arguments=(*_ZONES, "zones-with-discard"), row="zone-discard",
    ),
    "zones-not-aligned": DriverFault(
        "write parts of what a zoned disk writes at once", ("BO-DR-26", "BO-DR-27"),
        arguments=(*_ZONES, "zones-coarse"), row="zone-granularity",
    ),
}  # fmt: skip

#: Rows by which a driver conforms, with the device for them, and what QEMU's lacks.
CONFORMING = {
    "notification-data-next": (PACKED, _offered(bits.NOTIFICATION_DATA)),
    "functions-enabled-last": (BOTH, _WITH_FUNCTIONS),
    "suspend-config-written": (BOTH, suspended_well()),
    "suspend-grown": (BOTH, suspended_well()),
}
