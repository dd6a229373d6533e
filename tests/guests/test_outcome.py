# SPDX-License-Identifier: GPL-2.0-only
"""What a console says of a guest."""

from __future__ import annotations

from typing import get_args

import pytest

from pykit.guests import EXIT_CODES, Kind
from pykit.guests.outcome import panic, splats, trouble


def test_every_kind_has_an_exit_code() -> None:
    assert set(EXIT_CODES) == set(get_args(Kind))
    assert EXIT_CODES["clean"] == 0


@pytest.mark.parametrize(
    "line",
    [
        "[   12.345678] Kernel panic - not syncing: sysrq triggered crash",
        "Kernel panic - not syncing: sysrq triggered crash",
        "[   12.345678][    T1] Kernel panic - not syncing: sysrq triggered crash\r",
    ],
)
def test_panic(line: str) -> None:
    assert panic(f"booting\n{line}\nCPU: 0\n") == "sysrq triggered crash"


def test_a_panic_names_the_oops_that_led_to_it() -> None:
    console = (
        "[   20.1] BUG: kernel NULL pointer dereference, address: 0000000000000008\n"
        "[   20.2] Oops: 0002 [#1] PREEMPT SMP NOPTI\n"
        "[   20.3] Kernel panic - not syncing: Fatal exception\n"
    )
    assert panic(console) == (
        "Fatal exception, after: BUG: kernel NULL pointer dereference, address: 0000000000000008"
    )


def test_a_program_that_prints_of_a_panic_is_none() -> None:
    assert panic("grep: Kernel panic - not syncing: found in a file\n") is None


@pytest.mark.parametrize(
    "line",
    [
        "WARNING: CPU: 1 PID: 77 at drivers/virtio/virtio_ring.c:123 foo+0x1/0x2",
        "BUG: KASAN: slab-use-after-free in virtblk_done+0x12/0x34",
        "BUG: kernel NULL pointer dereference, address: 0000000000000008",
        "Oops: 0002 [#1] PREEMPT SMP NOPTI",
        "UBSAN: shift-out-of-bounds in drivers/vhost/vhost.c:1:2",
        "INFO: task dd:123 blocked for more than 120 seconds.",
        "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
        "watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [fio:99]",
        "kernel BUG at mm/slub.c:1!",
        "general protection fault, probably for non-canonical address 0xdead0000: 0000 [#1]",
        "BUG: sleeping function called from invalid context at kernel/locking/mutex.c:580",
        "WARNING: possible circular locking dependency detected",
        "WARNING: suspicious RCU usage",
        "INFO: trying to register non-static key.",
        "INFO: rcu_preempt detected stalls on CPUs/tasks:",
        "rcu: INFO: rcu_preempt self-detected stall on CPU",
        "kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
        "list_del corruption. prev->next should be ffff, but was 0000",
        "divide error: 0000 [#1] PREEMPT(voluntary) SMP NOPTI",
        "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000008",
        "Internal error: Oops: 0000000096000004 [#1] SMP",
        "Internal error: Oops - BUG: 00000000f2000800 [#1] PREEMPT SMP",
        "Internal error: aarch64 BRK: 00000000f2000800 [#2] SMP",
        "SError Interrupt on CPU1, code 0x00000000be000011 -- SError",
        "Unable to handle kernel pointer dereference in virtual kernel address space",
        "specification exception: 0006 ilc:2 [#1] SMP ",
        "illegal operation: 0001 ilc:1 [#1] SMP",
        "Oops: 0004 ilc:2 [#1] SMP",
        "Oops - illegal instruction [#1]",
        "Kernel BUG [#1]",
        "CPU 0 Unable to handle kernel paging request at virtual address 0000000000000008",
        "Oops[#1]:",
        "Oops: Kernel access of bad area, sig: 11 [#1]",
        "LE PAGE_SIZE=64K MMU=Radix SMP NR_CPUS=2048 NUMA pSeries [#1]",
    ],
)
@pytest.mark.parametrize("stamp", ["", "[   42.123456] ", "[   42.123456][  T211] "])
def test_splat(line: str, stamp: str) -> None:
    assert splats(f"[    1.000000] ok\n{stamp}{line}\r\n") == [line]


def test_harmless_lines_are_no_splats() -> None:
    console = (
        "[    0.1] mtrr: your CPUs had inconsistent MTRRdefType settings\n"
        "[    0.2] PCI: Using host bridge windows; if necessary, report a bug\n"
        "[    0.3] pykit_trace: loading out-of-tree module taints kernel.\n"
        "echo WARNING: not of the kernel\n"
        "[    0.4] acpi PNP0A08:00: [Firmware Info]: [#1] of 3 tables\n"
    )
    assert splats(console) == []


VHOST_SCSI = """\
[   40.244590] WARNING: possible circular locking dependency detected
[   40.249305] 6.12.117-debug #1 Tainted: G           O
[   40.249772] ------------------------------------------------------
[   40.250002] loopback/92 is trying to acquire lock:
[   40.250254] ffff8880005c4f88 (&i_mutex_key#8){++++}-{3:3}, at: configfs_depend_item+0x5f/0x410
[   40.251437] \n\
[   40.251437] but task is already holding lock:
[   40.251688] ffff888009352088 (&tpg->tv_tpg_mutex){+.+.}-{3:3}, at: vhost_scsi_ioctl+0x6f5/0x1520
"""


VDUSE = """\
[   25.643087] WARNING: inconsistent lock state
[   25.643594] 6.12.117-debug #1 Tainted: G           O
[   25.644345] --------------------------------
[   25.644504] inconsistent {SOFTIRQ-ON-W} -> {IN-SOFTIRQ-W} usage.
[   25.644712] kworker/0:1H/42 [HC0[0]:SC1[3]:HE1:SE0] takes:
[   25.644938] ffff888010590440 (&dev->vqs[i]->kick_lock){+.?.}-{2:2}, at: vduse_vq_kick+0x18/0xf0
"""


def test_what_lockdep_says_of_the_kernels_own_locks_is_known_by_them() -> None:
    assert splats(VHOST_SCSI + VDUSE) == []
    other = VHOST_SCSI.replace("&tpg->tv_tpg_mutex", "&l->lock")
    assert splats(other) == ["WARNING: possible circular locking dependency detected"]
    other = VDUSE.replace("vduse_vq_kick", "notify")
    assert splats(other) == ["WARNING: inconsistent lock state"]
    # The complaint before one that is known is none of it.
    assert splats("WARNING: of something else\n" + VHOST_SCSI) == ["WARNING: of something else"]


@pytest.mark.parametrize(
    "pair",
    [
        "ktime_get_mono_fast_ns / timekeeping_update",
        "inode_needs_update_time / inode_update_timestamps",
        "inode_update_timestamps / inode_update_timestamps",
        "__tmigr_cpu_activate / tmigr_handle_remote",
        "bio_first_folio / lru_add",
    ],
)
def test_the_kernels_own_known_races_are_not_complained_of(pair: str) -> None:
    line = f"[   15.905701] BUG: KCSAN: data-race in {pair}"
    ours = "[   15.905701] BUG: KCSAN: data-race in queue_rqs / pykit_blk_vq_done"
    assert splats(f"{line}\n{ours}\n") == [ours.partition("] ")[2]]


@pytest.mark.parametrize(
    ("kind", "line", "words"),
    [
        ("io-errors", "[   10.5] I/O error, dev pykit0, sector 2048 op 0x0:(READ) flags 0x0", ""),
        ("io-errors", "critical target error, dev vda, sector 8 op 0x1:(WRITE) flags 0x800", ""),
        ("io-errors", "[   10.5][  T77] Buffer I/O error on dev vdb, logical block 7, async", ""),
        ("io-errors", "[   10.5] virtio_blk virtio3: req.0:id 5 is not a head!\r", ""),
        ("io-errors", "pykit_virtio_blk virtio0: req.1:id 256 out of range", ""),
        ("io-errors", "[    4.0] virtio_net virtio1: virtio: device refuses features: 0", ""),
        (
            "qemu-errors",
            "[  1.0] half a line2026-11-29T05:15:00.1Z qemu-system-x86_64: virtio: zero sized "
            "buffers are not allowed",
            "virtio: zero sized buffers are not allowed",
        ),
        (
            "back-end-gone",
            "qemu-system-x86_64: Failed to read msg header. Read 0 instead of 12.",
            "Failed to read msg header. Read 0 instead of 12.",
        ),
    ],
)
def test_trouble(kind: Kind, line: str, words: str) -> None:
    found = trouble(f"booted\n{line}\nand on\n", ())
    assert found is not None
    assert found[0] == kind
    assert (words or line.rstrip("\r").rpartition("] ")[2]) in found[1]
    assert trouble(line, (kind,)) is None


def test_the_words_of_others_are_no_trouble() -> None:
    console = (
        "[   10.5] I/O error, dev nvme0n1, sector 8 op 0x0:(READ) flags 0x0\n"
        "[   10.6] virtio_blk virtio3: [vda] 32768 512-byte logical blocks\n"
        "dd: error reading '/dev/vda': Input/output error\n"
        "qemu-system-x86_64: terminating on signal 15 from pid 7 (pykit)\n"
        "qemu-system-x86_64: warning: TCG doesn't support requested feature: virtio\n"
    )
    assert trouble(console, ()) is None
