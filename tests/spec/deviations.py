# SPDX-License-Identifier: GPL-2.0-only
"""Logs of drivers and devices whose known deviations were seen on clean runs (waivers.toml)."""

from __future__ import annotations

from pykit.spec import bits
from pykit.spec.blkconfig import SEG_MAX, SIZE_MAX
from tests.spec import cases
from tests.spec.log import Log
from tests.spec.machine import OFFERED, run


def legacy_ipxe() -> Log:
    """The driver's bits at once, the first of them never; the address is read once."""
    log = Log()
    log.kernel, log.device_type = "iPXE", "virtio-net-pci"
    log.add("features", dev=1, life=0, cpu=0, pid=1, offered=0x20, driver=0x20, acked=0x20, stage=0)
    for status in (0, 6):
        log.add("dev_status", dev=1, life=0, pid=1, status=status)
    return log


def legacy_sea_bios() -> Log:
    """The configuration is read from its begin on, whatever is offered."""
    log = run(offered=OFFERED & ~(1 << bits.BLK_SIZE_MAX))
    log.kernel = "SeaBIOS"
    for offset in range(SIZE_MAX.offset, SIZE_MAX.offset + SIZE_MAX.width):
        log.insert(log.one("config"), "config", offset=offset, len=1, value=0, write=0)
    return log


def _in_the_guest(log: Log) -> Log:
    """The device is the guest's own, not QEMU's."""
    log.devices = {}
    log.add("vhost_attach", dev=1, life=0, cpu=0, pid=1, serves=1, ended=0)
    return log


def vsock_driver() -> Log:
    """64 bits of a vhost-vsock device's configuration are read without the generation."""
    log = cases.base.bare(id=19, offered=1 << bits.VERSION_1)
    log.add("config", dev=1, life=0, cpu=0, pid=7, offset=0, len=8, value=3, write=0)
    cases.base.later(log)
    return _in_the_guest(log)


def vhost_scsi() -> Log:
    """A response comes with a used len of 0."""
    log = cases.others.chain(bits.SCSI_ID, 2, 51, 108, 108)()
    cases.others.scsi_response_is_missing(log)
    return _in_the_guest(log)


def seg_max_not_adjusted() -> Log:
    """QEMU's own seg_max, on a queue of 16."""
    log = run()
    log.one("config", offset=SEG_MAX.offset)["value"] = 126
    return log


def edk_reads_early() -> Log:
    """As EDK II's virtio-blk does it: the capacity is read before the features are written."""
    log = cases.config_registers.on_mmio()
    cases.config_registers.wide_field_before_the_features(log)
    log.kernel = "OVMF"
    return log


def size_max_below_a_page() -> Log:
    """Segments are a page long all the same."""
    log = run()
    log.kernel, log.driver = "6.1.0", "virtio_blk"
    log.one("config", offset=SIZE_MAX.offset)["value"] = 1
    return log


def chains_as_long_as_seg_max() -> Log:
    """A queue of 16, a table of 20, and QEMU's own seg_max."""
    log = seg_max_not_adjusted()
    cases.indirect.longer_than_the_queue(log)
    log.driver = "virtio_blk"
    return log


def table_behind_buffers() -> Log:
    """As QEMU's virtio-blk does it: a chain that ends in a table does not come back."""
    log = cases.forms.forms(table=True, ahead=1)()
    cases.forms.the_form_is_not_served(log)
    log.qemu = "QEMU emulator version 7.2.22"
    return log


def cache_stays_on() -> Log:
    """CONFIG_WCE was negotiated without FLUSH, and writeback is 1."""
    log = cases.config.write_through()
    cases.config.writeback_starts_at_one(log)
    log.qemu = "7.2.22"
    return log


def ecn_without_segmentation() -> Log:
    """As DPDK's net_vhost does it: HOST_ECN is offered, and neither HOST_TSO4 nor HOST_TSO6."""
    log = cases.features.net()
    for event in log.of("features"):
        event["offered"] = int(event["offered"]) & ~(1 << 11) | 1 << 13
        for name in ("driver", "acked"):
            event[name] = int(event[name]) & ~(1 << 11)
    log.qemu, log.device_type = "dpdk 25.11.4-1", "virtio-net-pci"
    return log


def sea_bios_declines_packed_rings() -> Log:
    """A device that was there from power-on offers packed rings."""
    log = run()
    for event in log.of("features"):
        event["offered"] = int(event["offered"]) | 1 << bits.RING_PACKED
    log.driver = "SeaBIOS"
    return log


def balloon_gives_frame_numbers() -> Log:
    """The driver of a balloon declines ACCESS_PLATFORM, which is offered."""
    log = run()
    for event in log.of("features"):
        event["offered"] = int(event["offered"]) | 1 << bits.ACCESS_PLATFORM
    log.driver = "virtio_balloon"
    return log


def lengths_are_not_looked_at() -> Log:
    """As Linux's virtio_blk does it: a read of which nothing was written ends by its status."""
    log = cases.lengths.short()()
    cases.lengths.short_read_is_success(log)
    log.driver = "virtio_blk"
    return log


def broken_device_is_waited_for() -> Log:
    """As Linux's virtio_blk does it: the notification of a device that needs a reset is ignored."""
    log = cases.broken.broken_by_qmp(acts=False)
    log.driver = "virtio_blk"
    return log


def strays(packed: bool, event_idx: bool, count: int) -> Log:
    """A log in which each queue has its own vector, and so many interrupts bring nothing."""
    declined = 0 if event_idx else 1 << bits.EVENT_IDX
    log = cases.base.like(packed=packed, declined=declined)()
    for event in log.of("interrupt"):
        event["irq"] = 24 + event["vq"]
    place = {name: log.of("interrupt", vq=0)[0][name] for name in ("dev", "life", "cpu")}
    last = [event for event in log.of("callback", vq=0) if event["enable"]][-1]
    here = {"used_idx": last["last_used"], "last_used": last["last_used"]}
    for _ in range(count):
        log.insert(last, "stray", **place, vq=0, irq=24, **here)
    return log


def write_is_left_out() -> Log:
    """A device of QEMU's does not set WRITE in used descriptors of its packed ring."""
    log = run(packed=True)
    for event in log.of("used"):
        event["flags"] &= ~bits.WRITE
    return log


def number_of_buffers_is_left_out() -> Log:
    """A network device of QEMU's has no num_buffers without MRG_RXBUF."""
    log = cases.replies.PACKET()
    log.device_type = "virtio-net-pci"
    for event in log.of("reply"):
        event["second"] = 0
    return log


def acceptance_is_kept() -> Log:
    """A device of QEMU's shows after a reset what its driver had accepted before."""
    log = cases.pci_registers.acceptance_read()
    word = log.of("register", register="driver_feature", write=1)[-1]["value"]
    log.of("register", register="driver_feature", write=0)[-1]["value"] = word
    return log
