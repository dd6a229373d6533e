# SPDX-License-Identifier: GPL-2.0-only
"""What became of a guest, as its own words and its console say.

Exit codes of QEMU and virtme-ng decide nothing: a guest that warned, oopsed or lost its
workload ends with 0 as well, and a panic looks like a QEMU that was killed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from pykit.errors import Exit
from pykit.scenario import Trouble

Kind = Literal[
    Trouble,
    "clean",
    "splat",
    "panic",
    "hang",
    "qemu-died",
    "never-booted",
    "module-failed",
    "workload-failed",
    "interrupted",
    "recorded",
]

#: What was tested failed (1), or it could not be tested at all (3).
EXIT_CODES: dict[Kind, Exit] = {
    "clean": Exit.OK,
    "splat": Exit.FAILED,
    "panic": Exit.FAILED,
    "hang": Exit.FAILED,
    "workload-failed": Exit.FAILED,
    "qemu-died": Exit.INFRA,
    "never-booted": Exit.INFRA,
    "module-failed": Exit.INFRA,
    "interrupted": Exit.SKIP,
    # A trace of another program does not say how its guest ended: the rules decide alone.
    "recorded": Exit.OK,
    # What a scenario that does not expect it must not end with.
    **dict.fromkeys(get_args(Trouble), Exit.FAILED),
    # Something is wrong, and nobody can say with whom.
    "contested": Exit.SKIP,
}
assert set(EXIT_CODES) == set(get_args(Kind))

_STAMP = r"^(?:\[\s*\d+\.\d+\](?:\[[ TC]*\d+\])? ?)?"
#: What the kernel prints as it panics, before its reason.
PANIC = "Kernel panic - not syncing: "
_PANIC = re.compile(_STAMP + PANIC + r"(.*)")
_SPLATS = tuple(
    re.compile(_STAMP + pattern)
    for pattern in (
        r"WARNING: .+",
        r"BUG: .+",
        r"kernel BUG at .+",
        r"Oops: .+",
        r"general protection fault.*",
        # Every architecture's die() counts, and has its own words: "illegal operation: 0001 ilc:1
        # [#1] SMP", "Oops - illegal instruction [#1]", "Internal error: Oops: 96000004 [#1] SMP".
        r"[^\[\]]+\[#\d+\](?::|(?: [\w=()]+)*) ?$",
        r"(?:CPU \d+ )?Unable to handle kernel .+",
        r"Internal error: .+",
        r"SError Interrupt on CPU\d+.*",
        r"Bad mode in .+ handler detected.*",
        r"Unexpected kernel .+ exception.*",
        r"Unhandled (?:prefetch )?(?:fault|abort): .+",
        r"UBSAN: .+",
        r"KASAN: .+",
        r"KCSAN: .+",
        r"kmemleak: \d+ new suspected .+",
        r"INFO: task .+ blocked for more than .+",
        r"INFO: rcu_\w+ .*stall.*",
        r"rcu: INFO: .*stall.*",
        r"watchdog: BUG: .+",
        r"INFO: possible .+ detected.*",
        r"INFO: trying to register non-static key.*",
        r"=+ WARNING: possible .+",
        r"list_(?:add|del) corruption.*",
    )
)


#: Disks of virtio drivers, as the kernel's log names them.
_DISK = r"(?:vd[a-z]+|sd[a-z]+|pykit\d+)"
#: Lines of a guest's kernel about a failed request, or about a ring that it cannot understand:
#: blk_update_request() in block/blk-mq.c, buffer_io_error() in fs/buffer.c, BAD_RING() in
#: drivers/virtio/virtio_ring.c, virtnet_tx_timeout() and xmit_skb() in drivers/net/virtio_net.c.
_IO_ERRORS = tuple(
    re.compile(_STAMP + pattern)
    for pattern in (
        rf"(?:blk_update_request: )?(?:critical )?[\w/ ]+ error, dev {_DISK}, sector .+",
        rf"Buffer I/O error on dev {_DISK}, .+",
        rf"EXT4-fs error \(device {_DISK}\).+",
        r"\S+ virtio\d+: \S+:(?:id|used) .+",
        r"\S+ virtio\d+ \S+: (?:Unexpected TXQ|TX timeout on queue).+",
        r"\S+ virtio\d+: virtio: (?:device|bogus) .+",
    )
)
#: What QEMU reports on its standard error (error_report() in util/qemu-error.c), which is on the
#: console: in the middle of a line where the guest has not ended its own.
_QEMU_ERROR = re.compile(r"qemu-system-[\w-]+: (?!warning: )(.*\b(?:virtio|vhost|vring)\b.*)", re.I)
#: The same of a process that serves a device and has closed its socket: hw/virtio/vhost-user.c.
_GONE = re.compile(
    r"qemu-system-[\w-]+: (.*(?:Failed to (?:read|write|set) msg|Broken pipe|Connection reset).*)",
    re.I,
)


@dataclass(frozen=True)
class Allowed:
    """A console line that is a splat by its shape and known to be harmless here."""

    pattern: re.Pattern[str]
    reason: str
    #: How many lines the pattern takes, from the splat's own on.
    lines: int = 1


#: An entry says why, and where that was found out.
ALLOWED: tuple[Allowed, ...] = (
    Allowed(
        re.compile(r"KCSAN: data-race in ktime_get_\w+_fast_ns / timekeeping_update"),
        "the trace clock's data are a latch: of two copies one is at rest, and a reader that "
        "met the other reads again; KCSAN accepts this where kernel/time/timekeeping.c calls "
        'read_seqcount_latch() (93190bc35d6d, "seqlock, treewide: Switch to non-raw '
        'seqcount_latch interface"), which 6.12.117 does not; seen there at every trace event',
    ),
    Allowed(
        re.compile(r"KCSAN: data-race in inode_(?:needs_update_time|update_timestamps) / inode_up"),
        "the times of a block device's inode are written by every writer of it, and no lock is "
        "taken for that (file_update_time() of blkdev_write_iter() in block/fops.c); seen in "
        "6.12.117 with two jobs of fio on one disk, no driver's function being in between",
    ),
    Allowed(
        re.compile(r"KCSAN: data-race in __tmigr_cpu_activate / tmigr_handle_remote"),
        "the timer wheel's hierarchy sets an event's ignore flag without the group's lock when "
        "a CPU becomes active, and says so (tmigr_active_up() in kernel/time/timer_migration.c); "
        "seen in 6.12.117, once in 130,000 requests",
    ),
    Allowed(
        re.compile(
            r"KCSAN: data-race in (?:mas_topiary_replace / mas_walk|mas_walk / mas_wr_node_store)"
        ),
        "a page fault walks the tree of mappings without its lock while mprotect() puts "
        "another node in (lock_vma_under_rcu() in mm/memory.c, mas_topiary_replace() and "
        "mas_wr_node_store() in lib/maple_tree.c), and finds out afterwards; seen in 6.12.117 "
        "between threads of one program, once in 1,024,231 requests",
    ),
    Allowed(
        re.compile(
            r"KCSAN: data-race in (?:bio_first_folio|aio_read_events|__handle_mm_fault) / lru_add"
        ),
        "a completed request, a reader of the ring of completions or a page fault looks at its "
        "pages' flags for a bit that is fixed while others of that word change by atomic "
        "operations (__bio_release_pages() in block/bio.c, aio_read_events_ring() in fs/aio.c, "
        "lru_add() in mm/swap.c); seen in 6.12.117, once in 20 loads and once in 200 hot-unplugs "
        "under I/O, each time without a function of a driver",
    ),
    Allowed(
        re.compile(r"KCSAN: data-race in debugfs_u64_set / fail_stacktrace"),
        "whom fault injection aims at is changed by the scenario while an allocation asks for it "
        "(fail_stacktrace() in lib/fault-inject.c); seen in 6.12.117, once in 30 suspends",
    ),
    Allowed(
        re.compile(r"KCSAN: data-race in copy_from_read_buf / n_tty_receive_buf_common"),
        "a terminal's reader moves its index with a release, and the writer, which knows the room "
        "by an acquire, looks at it once more without (chars_in_buffer() in drivers/tty/n_tty.c): "
        "of the agent's serial port, seen in 6.12.117, once in 200 hot-unplugs",
    ),
    Allowed(
        re.compile(
            r"possible circular locking dependency detected\n(?:.*\n)+"
            r".*, at: configfs_depend_item\+.*\n.*\n.*holding lock:\n"
            r".*tpg->tv_tpg_mutex.*, at: vhost_scsi_ioctl\+"
        ),
        "vhost_scsi takes a port group's mutex and then configfs's lock of the directory, as an "
        "endpoint is set; a LUN's link takes them the other way round (vhost_scsi_set_endpoint(), "
        "vhost_scsi_port_link() in drivers/vhost/scsi.c). Seen in 6.12.117 each time; lockdep says "
        "nothing more after it",
        lines=8,
    ),
    Allowed(
        re.compile(
            r"inconsistent lock state\n(?:.*\n)+.*->kick_lock\)\{.*, at: vduse_vq_kick\+",
        ),
        "VDUSE takes the lock of a queue's eventfd with soft interrupts on (vduse_dev_reset(), "
        "vduse_kickfd_setup() in drivers/vdpa/vdpa_user/vduse_dev.c), and a network driver "
        "notifies from one. Seen in 6.12.117 each time; lockdep says nothing more after it",
        lines=6,
    ),
)


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    kind: Kind
    #: One line: what happened, with the guest's own words where it left any.
    message: str
    #: The command that booted the guest.
    command: tuple[str, ...] = ()
    #: QEMU's version.
    qemu: str = ""
    #: How often the active mutant's place was executed; None where that is not known.
    reached: int | None = None

    @property
    def exit_code(self) -> Exit:
        """The contract's exit code for this end, before any rule has spoken."""
        return EXIT_CODES[self.kind]


def panic(console: str) -> str | None:
    """What the kernel said as it panicked, and what it had complained of first; or None."""
    before, found, _ = console.partition(PANIC)
    words = next((m.group(1) for line in _lines(console) if (m := _PANIC.match(line))), None)
    if not found or words is None:
        return None
    complaints = splats(before)
    return f"{words}, after: {complaints[0]}" if complaints else words


def splats(console: str) -> list[str]:
    """Lines in which the kernel complains of itself, without time stamps."""
    lines = list(_lines(console))
    return [
        re.sub(_STAMP, "", line)
        for at, line in enumerate(lines)
        if any(pattern.match(line) for pattern in _SPLATS)
        and not any(
            entry.pattern.search("\n".join(lines[at : at + entry.lines])) for entry in ALLOWED
        )
    ]


def trouble(console: str, expected: Collection[str]) -> tuple[Kind, str] | None:
    """The first trouble that a console shows and that is not expected, with a sentence; or None."""
    lines = list(_lines(console))
    shown: tuple[tuple[Kind, list[str], str], ...] = (
        ("back-end-gone", list(_said(_GONE, lines)), "the process that serves a device hung up"),
        ("qemu-errors", list(_said(_QEMU_ERROR, lines)), "QEMU reported errors"),
        ("io-errors", list(_failed(lines)), "the guest's kernel reported errors"),
    )
    for kind, found, who in shown:
        if found and kind not in expected:
            return kind, f"{who}: {found[0]} (lines like it: {len(found)})"
    return None


def _said(pattern: re.Pattern[str], lines: Iterable[str]) -> Iterable[str]:
    return (match[1] for line in lines if (match := pattern.search(line)))


def _failed(lines: Iterable[str]) -> Iterable[str]:
    return (
        re.sub(_STAMP, "", line)
        for line in lines
        if any(pattern.match(line) for pattern in _IO_ERRORS)
    )


def _lines(console: str) -> Iterable[str]:
    return (line.rstrip("\r") for line in console.split("\n"))
