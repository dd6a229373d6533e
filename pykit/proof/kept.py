# SPDX-License-Identifier: GPL-2.0-only
"""Faults of registers that do not keep what they have to, or keep it over a reset, by name."""

from __future__ import annotations

from pykit.proof.between import Reads, RegisterFault, RegisterState
from pykit.proof.registers import (
    LEGACY,
    LEGACY_MMIO,
    MMIO,
    FaultyRegisters,
    always,
    keeping,
    offering,
    reading,
    second,
)
from pykit.spec import bits

_TWO = "virtio-blk-pci,num-queues=2"
_NET = "virtio-net-pci"
_MTU = 3


def _swapped(value: int, state: RegisterState) -> int:
    """Both bits of the interrupt status in each other's place."""
    return value & ~3 | (value & 1) << 1 | (value & 2) >> 1


def _as_queue(value: int, state: RegisterState) -> int:
    """The queue's bit for a change of the configuration, and nothing else."""
    return value >> 1 & 1


def _first() -> Reads:
    """What a queue's register had when it was read for the first time."""
    kept: dict[int, int] = {}
    return lambda value, state: kept.setdefault(state.queue, value)


def _fresh(name: str, change: Reads) -> Reads:
    """Another value behind a reset, until a queue's register is written."""

    def read(value: int, state: RegisterState) -> int:
        written = (name, state.queue) in state.written
        return value if written or state.resets < 2 else change(value, state)

    return read


def _dropped(value: int, state: RegisterState) -> int | None:
    """Nothing is written."""
    return None


def _of_all(name: str) -> RegisterFault:
    """One register for all queues: each reads what was written last."""
    kept: list[int] = []

    def write(value: int, state: RegisterState) -> int:
        kept.append(value)
        return value

    return RegisterFault({name: lambda value, state: kept[-1] if kept else value}, {name: write})


def _withdrawn(value: int, state: RegisterState) -> int:
    """FEATURES_OK at the first look alone."""
    late = state.reads["status"] > 1 or value & bits.DRIVER_OK
    return value & ~bits.FEATURES_OK if late else value


#: All of them by name.
KEPT_FAULTS: dict[str, FaultyRegisters] = {
    # Queues.
    "size-not-taken": reading(
        "keep the size of a queue when the driver writes a smaller one", "DX-81", "queue_size",
        _first(), "queue-size-read-back",
    ),
    "size-not-taken-in-secret": FaultyRegisters(
        "use the size that a queue had, whatever the driver writes", ("DX-81", "DX-01", "DX-02"),
        RegisterFault({}, {"queue_size": _dropped}), MMIO,
    ),
    "size-taken-in-secret": reading(
        "use more slots than it shows, as the driver wrote", "DX-35", "queue_size",
        lambda value, state: min(value, 64), "queue-size-doubled", "virtio-blk-pci,queue-size=64",
    ),
    "size-after-reset": reading(
        "show a smaller size of a queue behind a reset", "DX-26", "queue_size",
        _fresh("queue_size", always(16)), "reset-keeps-limits",
    ),
    "mmio-size-after-reset": reading(
        "show half the largest size of a queue behind a reset", "DX-26", "queue_size_max",
        _fresh("queue_size_max", lambda value, state: value // 2), "reset-keeps-limits", MMIO,
    ),
    "mmio-size-of-no-queue": reading(
        "have a size for a queue that is not there", "DX-24", "queue_size_max",
        lambda value, state: value or 64, "queue-select-*", MMIO,
    ),
    "selects-garbled": FaultyRegisters(
        "read another queue and another window than are selected", ("DX-81",),
        RegisterFault({
            "queue_select": lambda value, state: value ^ 1, "device_feature_select": always(0),
        }),
        _TWO, ("selects-read-back",),
    ),
    "queue-reset-of-others": reading(
        "show the other queue as disabled when one is reset", "DX-81", "queue_enable",
        lambda value, state: 0 if state.of("queue_reset", 1 - state.queue) else value,
        "queue-reset-others-serve", _TWO,
    ),
    "vector-of-all": FaultyRegisters(
        "have one vector for all queues", ("PQ-DE-06",), _of_all("queue_vector"), _TWO,
        ("vectors-of-queues",),
    ),
    "notify-off-beyond": reading(
        "have the second queue's notification behind the structure", "PO-DE-05 PO-DE-06",
        "queue_notify_off", lambda value, state: 0x4000 if state.queue else value, device=_TWO,
    ),
    "notification-data-unsteady": FaultyRegisters(
        "want other data in a queue's notification at each second look", ("DX-87",),
        RegisterFault(
            {
                "device_feature": offering(bits.NOTIF_CONFIG_DATA),
                "notif_config_data": second(lambda value, state: value ^ 5),
            },
            {"driver_feature": keeping(bits.NOTIF_CONFIG_DATA)},
        ),
        rows=("notification-data-read-twice",),
    ),
    "legacy-page-forgotten": reading(
        "read 0 as the page of a legacy queue in use", "DX-81", "queue_pfn", always(0),
        "legacy-page-read-back", LEGACY,
    ),
    "legacy-page-after-reset": reading(
        "keep the page of a legacy queue over a reset", "DX-26", "queue_pfn",
        lambda value, state: value or (0x100 if state.resets > 1 else 0), "reset-clears-page",
        LEGACY_MMIO,
    ),
    # Status and features.
    "driver-ok-lost": reading(
        "never show DRIVER_OK", "DX-82", "status", lambda value, state: value & ~bits.DRIVER_OK
    ),
    "features-ok-withdrawn": reading(
        "take FEATURES_OK back once it was read", "DX-82", "status", _withdrawn,
        "common-read",
    ),
    "failed-lost": reading(
        "never show FAILED", "DX-82", "status", lambda value, state: value & ~bits.FAILED,
        "failed-then-begun",
    ),
    "needs-reset-hidden": reading(
        "break by what a driver does, and not show that a reset is needed", "ST-DE-03", "status",
        lambda value, state: value & ~bits.NEEDS_RESET, "needs-reset-shown",
    ),
    # Up to version 10 QEMU's own devices show what was accepted before the reset.
    "acceptance-after-reset": reading(
        "show all features as accepted behind a reset", "DX-26", "driver_feature",
        lambda value, state: value if ("driver_feature", -1) in state.written else 0xFFFFFFFF,
        "reset-clears-acceptance",
    ),
    "mmio-offer-unsteady": reading(
        "offer other features at each second look", "DX-87", "device_feature",
        second(lambda value, state: value ^ 1 << 9), "features-offered", MMIO,
    ),
    # Interrupts.
    "isr-swapped": reading(
        "have the bits of used buffers and of changes in each other's place", "PR-DE-03", "isr",
        _swapped,
    ),
    "legacy-isr-swapped": reading(
        "have the bits of used buffers and of changes in each other's place", "PR-DE-03", "isr",
        _swapped, device=LEGACY,
    ),
    "mmio-isr-swapped": reading(
        "have the bits of used buffers and of changes in each other's place", "DX-89", "isr",
        _swapped, device=MMIO,
    ),
    "isr-of-change": reading(
        "have the bit of used buffers for a change of the configuration", "PR-DE-02", "isr",
        _as_queue,
    ),
    "mmio-isr-of-change": reading(
        "have the bit of used buffers for a change of the configuration", "DX-89", "isr",
        _as_queue, device=MMIO,
    ),
    "isr-after-reset": reading(
        "have the bit of used buffers in the ISR status behind a reset", "DX-26", "isr",
        lambda value, state: value if ("status", -1) in state.written else value | 1,
        "reset-clears-isr",
    ),
    "acknowledged-kept": FaultyRegisters(
        "keep what was acknowledged in the interrupt status", ("DX-90",),
        RegisterFault({}, {"interrupt_ack": _dropped}), MMIO, ("isr-acknowledged",),
    ),
    # The configuration, and what is beside it.
    "writeback-not-taken": FaultyRegisters(
        "drop what is written to writeback", ("DX-88",),
        RegisterFault({}, {"config+32": _dropped}), rows=("blk-writeback",),
    ),
    "mmio-writeback-not-taken": FaultyRegisters(
        "drop what is written to writeback", ("DX-88",),
        RegisterFault({}, {"config+32": _dropped}), MMIO, ("blk-writeback",),
    ),
    "blocks-change-unannounced": reading(
        "double the size of blocks at the third look, and say nothing", "DX-31", "config+20",
        lambda value, state: value if state.reads["config+20"] < 3 else 2 * value,
    ),
    "read-only-taken": reading(
        "take what is written to the size of blocks", "DX-88", "config+20",
        lambda value, state: state.written.get(("config+20", -1), value), "blk-config-written",
    ),
    "shared-memory-there": FaultyRegisters(
        "have shared memory of 0 bytes where there is none", ("DX-92",),
        RegisterFault({"shm_len_low": always(0), "shm_len_high": always(0)}), MMIO,
        ("mmio-shared-memory-none",),
    ),
    "mtu-small": FaultyRegisters(
        "let packets of 60 bytes through, and no longer ones", ("DX-91",),
        RegisterFault(
            {"device_feature": offering(_MTU), "config+10": always(60)},
            {"driver_feature": keeping(_MTU)},
        ),
        _NET,
    ),
    "pairs-none": reading(
        "have no pair of queues", "DX-91", "config+8", always(0),
        device=f"{_NET},mq=on,vectors=10",
    ),
    "input-answers-all": reading(
        "answer by four bytes what it has nothing for", "IP-DE-02", "config+2",
        lambda value, state: value or 4, device="virtio-keyboard-pci",
    ),
    "sense-size-small": reading(
        "have a sense_size of 18 after a reset", "DX-101", "config+20", always(18),
        device="virtio-scsi-pci",
    ),
}  # fmt: skip
