# SPDX-License-Identifier: GPL-2.0-only
"""The back-ends that have names, where Debian keeps them, and how they are started."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pykit.errors import UsageError
from pykit.kernels.programs import PackagedProgram
from pykit.toml import choice


@dataclass(frozen=True)
class KnownDeviation:
    """A case that a back-end does not do as it has to, and that harms nobody.

    Attributes:
        row: of the table of cases.
        classes: what comes of it.
        reason: what is known.
        evidence: where that was seen.
        detail: what the case's outcome says, as a regular expression; anything without one.
    """

    row: str
    classes: tuple[str, ...]
    reason: str
    evidence: str
    detail: str = ""

    def covers(self, row: str, verdict: str, detail: str) -> bool:
        """Whether the outcome of a row's case is this deviation."""
        known = row == self.row and verdict in self.classes
        return known and re.search(self.detail, detail) is not None


@dataclass(frozen=True)
class NamedPeer:
    """A back-end.

    Attributes:
        name: as on the command line.
        maker: program and library, as reports name it.
        kind: device type that it serves.
        packages: where it comes from.
        program: below the unpacked folder.
        arguments: `{socket}` is its socket; `{folder}` a new folder with a file ``disk`` of
            1 MiB and an empty folder ``share``.
        known: its known deviations. What lets a guest or a front-end end, block or corrupt it is
            none of them: SECURITY.md has the way of those.
    """

    name: str
    maker: str
    kind: str
    packages: PackagedProgram
    program: str
    arguments: tuple[str, ...]
    known: tuple[KnownDeviation, ...] = ()


_TABLE_AT_END = KnownDeviation(
    "table-behind-buffers",
    ("rejected", "wrong-data"),
    "libvhost-user serves no chain that begins in the ring and ends in an indirect table",
    "QEMU 7.2.22: vu_queue_map_desc() of subprojects/libvhost-user looks for "
    "INDIRECT at the head of a chain alone",
)
_STORAGE_DAEMON = (
    "--blockdev", "driver=file,filename={folder}/disk,node-name=disk",
    "--export",
    "vhost-user-blk,id=export,node-name=disk,addr.type=unix,addr.path={socket},writable=on,"
    "num-queues=2",
)  # fmt: skip

#: QEMU 7.2's tools; its C virtiofsd was removed in QEMU 8.
QEMU_7 = PackagedProgram("qemu-tools-7", ("bookworm",), ("qemu-system-common",))
QEMU_10 = PackagedProgram("qemu-tools-10", ("bookworm-backports", "bookworm"), ("qemu-utils",))
QEMU_11 = PackagedProgram("qemu-tools-11", ("sid",), ("qemu-utils",))
DPDK = PackagedProgram(
    "dpdk-testpmd",
    ("sid",),
    (
        "dpdk-dev",
        "ibverbs-providers",
        "librte-net-vhost26",
        "librte-net-pcap26",
        "librte-net-virtio26",
        "librte-mempool-ring26",
    ),
)

PEERS: dict[str, NamedPeer] = {
    peer.name: peer
    for peer in (
        *(
            NamedPeer(
                f"qemu-storage-daemon-{packages.name.rpartition('-')[2]}",
                "qemu-storage-daemon (libvhost-user)",
                "blk",
                packages,
                "usr/bin/qemu-storage-daemon",
                _STORAGE_DAEMON,
            )
            for packages in (QEMU_7, QEMU_10, QEMU_11)
        ),
        NamedPeer(
            "virtiofsd",
            "virtiofsd in Rust (rust-vmm)",
            "fs",
            PackagedProgram("virtiofsd", ("sid",), ("virtiofsd",)),
            "usr/libexec/virtiofsd",
            (
                "--socket-path={socket}", "--shared-dir={folder}/share", "--sandbox=none",
                "--seccomp=none", "--inode-file-handles=never",
            ),
        ),
        NamedPeer(
            "virtiofsd-c",
            "virtiofsd in C (libvhost-user)",
            "fs",
            QEMU_7,
            "usr/lib/qemu/virtiofsd",
            ("-f", "--socket-path={socket}", "-o", "source={folder}/share,sandbox=chroot"),
            (_TABLE_AT_END,),
        ),
        NamedPeer(
            "vhost-device-vsock",
            "vhost-device-vsock (rust-vmm)",
            "vsock",
            PackagedProgram("vhost-device-vsock", ("sid",), ("vhost-device-vsock",)),
            "usr/bin/vhost-device-vsock",
            ("--guest-cid=3", "--socket={socket}", "--uds-path={folder}/vsock"),
        ),
        NamedPeer(
            "passt",
            "passt",
            "net",
            PackagedProgram("passt", ("sid",), ("passt",)),
            "usr/bin/passt",
            (
                "-f", "--vhost-user", "-s", "{socket}", "-i", "lo", "-4", "-a", "10.0.2.15",
                "-g", "10.0.2.2",
            ),
        ),
        NamedPeer(
            "dpdk",
            "DPDK's net_vhost in testpmd",
            "net",
            DPDK,
            "usr/bin/dpdk-testpmd",
            (
                "--no-huge", "--no-pci", "-m", "256", "-l", "0-1", "--file-prefix=pykit",
                "-d", "librte_net_vhost.so.26", "-d", "librte_mempool_ring.so.26",
                "--vdev", "net_vhost0,iface={socket},queues=1", "--",
                "--total-num-mbufs=4096", "--nb-cores=1", "--forward-mode=rxonly", "--auto-start",
                "--stats-period=600",
            ),
        ),
    )
}  # fmt: skip


def peer_of(name: str) -> NamedPeer:
    """Return the back-end of this name.

    Raises:
        UsageError: there is none.
    """
    if name not in PEERS:
        raise UsageError(choice(name, PEERS, "peer"))
    return PEERS[name]
