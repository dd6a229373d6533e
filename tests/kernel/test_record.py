# SPDX-License-Identifier: GPL-2.0-only
"""The recorder, beside another observer in one guest: both record the same events."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pykit import steps
from pykit.record import compile_recorder
from pykit.spec import check
from pykit.trace import Events, load
from pykit.trace.guest import DecodedGuest, decode_guest
from pykit.trace.tracing import read_tracing

Run = Callable[..., steps.RunResult]

pytestmark = pytest.mark.slow

HEAD = """
summary = "the recorder beside another observer"
deadline = 400
modules = [{modules}]
kernel-modules = [{stock}]
programs = ["{recorder}", "blkdiscard", "blkzone", "insmod", "rmmod"]
"""
START = """
[[step]]
name = "start"
guest = '''
{before}/usr{recorder} -o /tmp/record.dat --watch >/tmp/record.log 2>&1 &
echo $! >/tmp/record.pid
# It loads and hooks some fifty programs: half a minute where the machine is busy.
recording='grep -q recording /tmp/record.log'
waited "$recording" || waited "$recording" || waited "$recording" || die "$(cat /tmp/record.log)"
'''
"""
STOP = """
[[step]]
name = "stop"
guest = '''
kill -INT $(cat /tmp/record.pid)
waited 'grep -q written /tmp/record.log' || die "$(cat /tmp/record.log)"
cat /tmp/record.log
'''
"""
#: Two lives of a disk, which both observers see from before the first one on.
DISK = """
[[device]]
id = "vd0"
type = "virtio-blk-pci"
size-mib = 16
driver = "{driver}"
options = {{ serial = "recorded", num-queues = 2{options} }}
"""
WORK = """
[[step]]
name = "plug"
do = "plug"
device = "vd0"

[[step]]
name = "work"
guest = '''
disk=$(disk) || die "no disk appeared"
[ "$(cat /sys/block/${disk#/dev/}/serial)" = recorded ] || die "the serial number is wrong"
dd if=$disk of=/dev/null bs=4k count=60 iflag=direct 2>/dev/null &
dd if=/dev/zero of=$disk bs=256k count=8 seek=8 oflag=direct 2>/dev/null || die "dd failed"
wait
dd if=$disk of=/dev/null bs=1M count=4 skip=8 2>/dev/null || die "dd failed"
blkdiscard -f -o 1048576 -l 65536 $disk || die "discard failed"
blkdiscard -f -z -o 1048576 -l 65536 $disk || die "write-zeroes failed"
rebind || die "no second life"
dd if=$disk of=/dev/null bs=64k count=8 iflag=direct 2>/dev/null || die "dd failed"
'''

[[step]]
name = "unplug"
do = "unplug"
device = "vd0"
"""
#: A device that is no block device: its driver sends control messages.
PORTS = """
[[device]]
id = "serial0"
type = "virtio-serial-pci"
driver = "virtio_console"
backing = "none"

[[device.child]]
type = "virtserialport"
backing = "pipe"
options = { name = "one" }
"""
SERVE = """
[[step]]
name = "plug-serial"
do = "plug"
device = "serial0"

[[step]]
name = "serial"
guest = "waited '[ -c /dev/vport0p1 ] || [ -c /dev/vport1p1 ]' || die 'no port appeared'"

[[step]]
name = "unplug-serial"
do = "unplug"
device = "serial0"
"""
#: A zoned disk, which is in software: its transport's notifications are not hooked.
ZONES = """
[parameters.pykit_selftest]
test = "0"

[[step]]
name = "zones"
guest = '''
rmmod pykit_selftest
insmod "$PAYLOAD/modules/pykit_selftest.ko" test=0 disk=1 zoned=1 || die "cannot load"
disk=$(disk) || die "no disk in software"
[ "$(blkzone report $disk | wc -l)" = 16 ] || die "$(blkzone report $disk)"
echo "$disk 2048" >/sys/module/pykit_selftest/parameters/append || die "no append"
blkzone report $disk >/tmp/zones || die "no report"
rmmod pykit_selftest
'''
"""
#: What a driver serialises, so that both record it in the same order.
SERIAL = (
    *("queue", "add", "desc", "slot", "kick", "used", "callback", "compared", "opening"),
    *("blk_start", "blk_range", "blk_done"),
)
#: Rules that need what the recorder reads of requests, and of chains that are back.
BLOCK = (
    *("BK-DE-01", "BO-DR-02", "BO-DR-06", "BO-DR-07", "BO-DR-08", "DX-19", "DX-20", "DX-22"),
    *("DX-23", "DX-25", "DX-74", "DX-76", "DX-77"),
)
#: What the probe records before the core takes a chain, and the recorder when it has.
ANSWERS = ("blk_answer", "blk_zone")
#: When or by whose count something was traced.
OWN = {"row", "ts", "time", "source", "cpu", "seq", "before", "life"}
#: What the device may write between the looks of two observers.
RACED = {
    "add": {"used_idx"},
    "used": {"used_idx"},
    "callback": {"used_idx", "pending"},
    "interrupt": {"used_idx", "last_used"},
    "stray": {"used_idx", "last_used"},
    "kick": {"event", "event_after", "flags", "flags_after"},
}
UNNUMBERED = ("driver", "features", "status", "config", "generation")


def write(folder: Path, modules: str, stock: str, devices: str, work: str, before: str = "") -> str:
    """A file with a scenario: what is done meanwhile; lines of ``before`` come first."""
    recorder = compile_recorder()
    path = folder / "record.toml"
    head = HEAD.format(modules=modules, stock=stock, recorder=recorder)
    start = START.format(before=before, recorder=recorder)
    path.write_text(head + devices + start + work + STOP)
    return str(path)


def scenario(folder: Path, modules: str, driver: str, options: str = "", before: str = "") -> str:
    """Work on a disk; options begin with a comma. Drivers of the kernel's have a console, too."""
    disk, work = DISK.format(driver=driver, options=options), WORK
    if driver != "virtio_blk":
        return write(folder, modules, "", disk, work, before)
    stock = '"virtio_blk", "virtio_console"'
    return write(folder, modules, stock, disk + PORTS, work + SERVE, before)


class Both:
    """The events of a run's own observer and those of the recorder."""

    def __init__(self, result: steps.RunResult) -> None:
        self.result = result
        assert result.directory is not None
        capture = result.directory / "capture"
        self.path = capture / "record.dat"
        self.other = decode_guest(read_tracing(capture / "tracing"))
        self.record = decode_guest(read_tracing(self.path))

    @property
    def events(self) -> Events:
        """The recorder's file as pykit check reads it."""
        return load(self.path)


def numbered(observer: DecodedGuest) -> pl.DataFrame:
    """All events, those of a queue by their numbers, which begin anew when it is set up."""
    base = observer.frames.base.with_columns(pl.col("kind").cast(pl.String))
    life = (pl.col("seq") == 1).cast(pl.UInt32).cum_sum().over("dev", "vq")
    return base.with_columns(life=life).sort("dev", "vq", "life", "seq", maintain_order=True)


def rows(observer: DecodedGuest, kind: str) -> pl.DataFrame:
    """An observer's events of a kind, those of a queue in their order."""
    own = observer.frames.own_of(kind)
    return numbered(observer).filter(kind=kind).join(own, on="row", maintain_order="left")


def order(observer: DecodedGuest) -> pl.DataFrame:
    """The kinds of what a driver serialises, of each queue in their order."""
    table = numbered(observer).filter(pl.col("kind").is_in(SERIAL))
    return table.select("dev", "vq", "life", "kind")


@pytest.fixture(
    scope="module",
    # With two vectors the queues share one: each interrupt is a stray one of the other queue.
    params=[
        ("debian-6.12", ""),
        ("debian-7.2", ", vectors = 2"),
        ("debian-7.2", ", packed = true, vectors = 2, iommu_platform = true"),
    ],
    ids=["6.12", "7.2", "7.2-packed"],
)
def both(
    request: pytest.FixtureRequest, run: Run, tmp_path_factory: pytest.TempPathFactory
) -> Both:
    """The kernel's own driver, with the probe and the recorder."""
    kernel, options = request.param
    folder = tmp_path_factory.mktemp("record")
    path = scenario(folder, '"pykit_probe"', "virtio_blk", options)
    return Both(run(path, kernel_name=kernel))


@pytest.fixture(scope="module")
def oldest(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Both:
    """Our driver, which traces itself, and the recorder: on 6.1 it does not go with the probe."""
    folder = tmp_path_factory.mktemp("record")
    path = scenario(folder, '"pykit_virtio_blk"', "pykit_virtio_blk")
    return Both(run(path, kernel_name="debian-6.1"))


def same(both: Both) -> None:
    """Both observers have the same events, in the same order."""
    assert both.record.losses == ()
    assert_frame_equal(order(both.other), order(both.record))
    for kind in (*SERIAL, *ANSWERS, "notify", "interrupt", "stray"):
        mine, other = rows(both.record, kind), rows(both.other, kind)
        left_out = OWN | RACED.get(kind, set())
        fields = [name for name in other.columns if name not in left_out]
        assert_frame_equal(mine.select(fields), other.select(fields))


def test_the_recorder_has_what_the_probe_has(both: Both) -> None:
    same(both)
    for kind in UNNUMBERED:
        fields = [name for name in rows(both.other, kind).columns if name not in OWN]
        mine, other = (rows(side, kind).select(fields) for side in (both.record, both.other))
        # The probe notes a device's status before its driver, the recorder all devices'.
        assert_frame_equal(mine, other)


def test_the_recorder_has_what_our_driver_has(oldest: Both) -> None:
    same(oldest)


def test_the_recorder_has_what_qemu_has(oldest: Both) -> None:
    """Chains by the descriptors on either side, and used lengths, in the order of each queue."""
    log = oldest.result.events
    pops, fills = log.of("dev_pop"), log.of("dev_fill")
    adds = rows(oldest.record, "add")
    descs = rows(oldest.record, "desc").filter(pl.col("flags") & 4 == 0)
    assert adds.height == pops.height
    assert descs.height == (pops["in_num"] + pops["out_num"]).sum()
    used = rows(oldest.record, "used")
    for queue in (0, 1):
        mine, theirs = used.filter(vq=queue), fills.filter(vq=queue)
        assert mine["len"].to_list() == theirs["len"].to_list()


def test_the_table_has_what_came_back(oldest: Both) -> None:
    """The looks' counts of each queue are its used entries."""
    assert oldest.result.directory is not None
    info = json.loads((oldest.result.directory / "capture/capture.json").read_text())
    (said,) = (step["output"] for step in info["steps"] if step["name"] == "stop")
    used = rows(oldest.record, "used").filter(accepted=1)
    for queue in (0, 1):
        looks = [line.split() for line in said.splitlines() if line.startswith(f"0.{queue} ")]
        assert looks
        assert sum(int(look[1]) for look in looks) == used.filter(vq=queue).height
        assert all(len(look) == len(looks[0]) for look in looks)


def test_the_file_is_judged(both: Both) -> None:
    events = both.events
    verdicts = check(events)
    assert set(events.table["source"].unique()) == {"record"}
    assert events.lost == 0
    # QEMU's devices never set WRITE there, and the file does not say that they are QEMU's.
    packed = bool(events.of("queue")["layout"].max())
    assert verdicts.having("fail") == (("DX-79",) if packed else ())
    assert len(verdicts.having("pass")) >= 60
    for name in BLOCK:
        assert verdicts.of(name).verdict == "pass", name


def test_zones_are_recorded(run: Run, tmp_path: Path) -> None:
    modules = '"pykit_virtio_blk", "pykit_selftest"'
    both = Both(run(write(tmp_path, modules, "", "", ZONES), kernel_name="debian-6.12"))
    for kind in ("add", "used", "blk_start", "blk_done", *ANSWERS):
        mine, other = rows(both.record, kind), rows(both.other, kind)
        fields = [name for name in other.columns if name not in OWN | {"used_idx"}]
        assert_frame_equal(mine.select(fields), other.select(fields))
    assert rows(both.record, "blk_zone").height >= 32
    assert both.record.losses
    assert check(both.events).having("pass") == ()


def test_it_records_under_lockdown(run: Run, tmp_path: Path) -> None:
    """No capture comes out of such a guest: the kit's way out is a PCI device's memory."""
    lock = (
        "mount -t securityfs none /sys/kernel/security\n"
        "echo integrity >/sys/kernel/security/lockdown || die 'no lockdown'\n"
        "cat /sys/kernel/security/lockdown\n"
    )
    result = run(scenario(tmp_path, '"pykit_virtio_blk"', "pykit_virtio_blk", before=lock))
    assert "resource2_wc: Operation not permitted" in result.outcome.message
    assert result.directory is not None
    done = json.loads((result.directory / "capture/capture.json").read_text())["steps"]
    assert [step["rc"] for step in done] == [0] * 5
    assert "[integrity]" in done[0]["output"]
    assert "is written, 0 lost" in done[-1]["output"]
