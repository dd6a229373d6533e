# SPDX-License-Identifier: GPL-2.0-only
"""Faults of a driver that show with a device of a certain kind alone.

The device has what the driver does not go along with: it offers a feature, or has a limit, and
conforms otherwise. A row of cases/ has the driver's fault, or its conforming requests have: it
leaves features alone that a driver should accept.
"""

from __future__ import annotations

from dataclasses import dataclass

from pykit import pci
from pykit.proof.between import Reads, RegisterFault, RegisterState, Writes
from pykit.proof.registers import BOTH, LEGACY, LENGTH, MMIO, capability, keeping, offering
from pykit.spec import bits

_SUSPEND = 16


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
    """

    does: str
    rules: tuple[str, ...]
    qemu: str = ""
    arguments: tuple[str, ...] = ()
    row: str = ""
    registers: RegisterFault | None = None
    bugs: tuple[str, ...] = ()


def _offered(*features: int, **reads: Reads) -> RegisterFault:
    """Have features that the device behind does not know."""
    found = {"device_feature": offering(*features), **reads}
    return RegisterFault(found, {"driver_feature": keeping(*features)})


def _suspended(value: int, state: RegisterState) -> int:
    """SUSPEND without DRIVER_OK, where that was written last."""
    asked = state.of("status") & _SUSPEND
    return value & ~bits.DRIVER_OK | _SUSPEND if asked else value & ~_SUSPEND


def _running(value: int, state: RegisterState) -> int | None:
    """Leave the device behind as it is while it is suspended."""
    return None if value & _SUSPEND else value


def _suspending() -> RegisterFault:
    """A device that can be suspended, as far as its status goes."""
    writes: dict[str, Writes] = {"driver_feature": keeping(bits.SUSPEND), "status": _running}
    return RegisterFault({"device_feature": offering(bits.SUSPEND), "status": _suspended}, writes)


def _declines(feature: int, rule: str, name: str, qemu: str = BOTH) -> DriverFault:
    registers = RegisterFault({"device_feature": offering(feature)})
    return DriverFault(f"leave {name} alone, which is offered", (rule,), qemu, registers=registers)


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
        row="suspend-not-awaited", registers=_suspending(),
    ),
    "suspend-config-written": DriverFault(
        "write the configuration of a suspended device", ("DS-DR-05",), BOTH,
        row="suspend-config-written", registers=_suspending(),
    ),
    "suspend-notified": DriverFault(
        "notify a suspended device", ("DS-DR-04",), BOTH, row="suspend-notified",
        registers=_suspending(),
    ),
    "resume-not-awaited": DriverFault(
        "use a device before it is resumed", ("DS-DR-06",), BOTH, row="suspend-resume-not-awaited",
        registers=_suspending(),
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
