# SPDX-License-Identifier: GPL-2.0-only
"""tools/drgn/virtqueue.py on a guest that QEMU stopped with requests in flight: its dump and
the guest itself, against what QEMU says of the same queues."""

from __future__ import annotations

import json
import mmap
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from qemu.qmp.legacy import QEMUMonitorProtocol

from pykit import kernels
from pykit.guests.payload import copy_module, plain_name
from pykit.guests.programs import PATH
from pykit.guests.vmlinux import bootable
from pykit.modules import closure
from pykit.paths import ROOT
from pykit.qemu import accel, program
from pykit.qemu.keeper import Keeper

pytest.importorskip("drgn", reason="no drgn: make setup brings it")

SCRIPT = ROOT / "tools" / "drgn" / "virtqueue.py"
BOOT_S = 120
#: Writes that do not adjoin, which a sync puts on the queue; QEMU stops at the first. How
#: many are there by then is a matter of time.
WRITES = 8
INIT = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
mount -t sysfs sys /sys
for module in $(cat /modules/order); do insmod /modules/$module; done
ifconfig eth0 up
# Held open: the last to close a disk has it written.
exec 3</dev/vda
n=0
while [ $n -lt WRITES ]; do
	dd if=/dev/zero of=/dev/vda bs=4k count=1 seek=$((2 * n)) conv=notrunc
	n=$((n + 1))
done
sync
""".replace("WRITES", str(WRITES))
QUEUES = {"vd0": 1, "net0": 3}


@dataclass
class Stopped:
    """A guest that stands still, and its dump."""

    vmcore: Path
    #: A second QMP socket; the first is ``monitor``'s.
    socket: Path
    #: x-query-virtio-status, and x-query-virtio-queue-status of each queue, by device.
    status: dict[str, Any]
    queues: dict[str, list[dict[str, Any]]]
    monitor: QEMUMonitorProtocol

    def word(self, address: int) -> int:
        """32 bits of the guest's memory, as QEMU's monitor reads them."""
        said = ask(self.monitor, "human-monitor-command", **{"command-line": f"xp /1wx {address}"})
        return int(said.split()[1], 16)


def ask(monitor: QEMUMonitorProtocol, command: str, **arguments: Any) -> Any:
    answer = monitor.cmd_raw(command, arguments)
    assert "return" in answer, answer
    return answer["return"]


def initramfs(kernel: kernels.Kernel, folder: Path) -> Path:
    root = folder / "root"
    for name in ("bin", "modules", "dev", "sys"):
        (root / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox", path=PATH) or "busybox", root / "bin")
    needed = closure(kernel, ["virtio_pci", "virtio_net", "virtio_blk"])
    for module in needed:
        copy_module(module, root / "modules")
    (root / "modules/order").write_text(" ".join(plain_name(module.name) for module in needed))
    (root / "init").write_text(INIT)
    (root / "init").chmod(0o755)
    packed = folder / "initramfs"
    names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    with packed.open("wb") as output:
        subprocess.run(
            ["cpio", "--quiet", "-o", "-H", "newc"],
            input=names.encode(), stdout=output, cwd=root, check=True,
        )  # fmt: skip
    return packed


def command(kernel: kernels.Kernel, folder: Path, packed: bool) -> list[str]:
    """A disk and a network, one with packed rings and one with split; writing stops it."""
    layout = {True: "on", False: "off"}
    disk = {
        "driver": "blkdebug", "node-name": "disk",
        "image": {"driver": "null-co", "size": 64 << 20, "read-zeroes": True},
        "inject-error": [{"event": "none", "iotype": "write", "errno": 5}],
    }  # fmt: skip
    return [
        program.find()[0], "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-M", "q35", *program.cpu_options(accel.probe(kernel.image)), "-m", "256", "-smp", "1",
        "-kernel", str(bootable(kernel)), "-initrd", str(initramfs(kernel, folder)),
        "-append", "console=ttyS0 loglevel=4 panic=-1 random.trust_cpu=on mitigations=off",
        "-serial", "stdio", "-blockdev", json.dumps(disk),
        "-device", f"virtio-blk-pci,drive=disk,id=vd0,werror=stop,"
        f"packed={layout[packed]}",
        "-device", f"virtio-net-pci,id=net0,mrg_rxbuf=off,packed={layout[not packed]}",
        "-qmp", f"unix:{folder}/qmp,server=on,wait=off",
        "-qmp", f"unix:{folder}/second,server=on,wait=off",
    ]  # fmt: skip


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("debian-6.12", False), id="6.12-split"),
        pytest.param(("debian-6.12", True), id="6.12-packed", marks=pytest.mark.slow),
        pytest.param(("debian-6.1", False), id="6.1-split", marks=pytest.mark.slow),
        pytest.param(("debian-6.1", True), id="6.1-packed", marks=pytest.mark.slow),
        pytest.param(("debian-7.2", False), id="7.2-split", marks=pytest.mark.slow),
        pytest.param(("debian-7.2", True), id="7.2-packed", marks=pytest.mark.slow),
    ],
)
def stopped(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stopped]:
    name, packed = request.param
    kernel = kernels.resolve(name)
    console = tmp_path_factory.mktemp("stopped") / "console"
    with Keeper() as keeper, console.open("wb") as output:
        monitor = QEMUMonitorProtocol(str(keeper.folder / "qmp"), server=False)
        keeper.start(command(kernel, keeper.folder, packed), output)
        while not (keeper.folder / "second").exists():
            assert keeper.process is not None
            assert keeper.process.poll() is None, console.read_text()
        monitor.connect()
        while (event := monitor.pull_event(wait=BOOT_S)) and event["event"] != "STOP":
            pass
        vmcore = keeper.folder / "vmcore"
        ask(monitor, "dump-guest-memory", paging=False, protocol=f"file:{vmcore}")
        vmcore.chmod(0o600)
        paths = {id: f"/machine/peripheral/{id}/virtio-backend" for id in QUEUES}
        yield Stopped(
            vmcore,
            keeper.folder / "second",
            {id: ask(monitor, "x-query-virtio-status", path=path) for id, path in paths.items()},
            {
                id: [
                    ask(monitor, "x-query-virtio-queue-status", path=path, queue=n)
                    for n in range(QUEUES[id])
                ]
                for id, path in paths.items()
            },
            monitor,
        )
        monitor.close()


def script(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def devices(stopped: Stopped) -> dict[str, Any]:
    done = script("--json", stopped.vmcore)
    assert (done.returncode, done.stderr) == (0, "")
    block, network = json.loads(done.stdout)
    assert (block["type"], network["type"]) == ("block", "network")
    return {"vd0": block, "net0": network}


def test_devices_are_as_qemu_has_them(stopped: Stopped, devices: dict[str, Any]) -> None:
    for id, device in devices.items():
        assert device["driver"] == {"vd0": "virtio_blk", "net0": "virtio_net"}[id]
        assert not device["failed"]
        said = " ".join(stopped.status[id]["guest-features"]["transports"])
        for bit, name in ((28, "INDIRECT_DESC"), (29, "EVENT_IDX"), (34, "RING_PACKED")):
            assert (device["features"] >> bit & 1) == (f"_F_{name}:" in said)
        layout = "packed" if "RING_PACKED" in said else "split"
        assert [queue["ring"]["layout"] for queue in device["queues"]] == [layout] * QUEUES[id]


def test_rings_are_as_qemu_has_them(stopped: Stopped, devices: dict[str, Any]) -> None:
    for id, device in devices.items():
        for queue, said in zip(device["queues"], stopped.queues[id], strict=True):
            ring = queue["ring"]
            assert ring["size"] == said["vring-num"]
            assert ring["address"] == said["vring-desc"]
            assert ring["driver"]["used"] == said["used-idx"]
            assert ring["notes"] == []
            assert not queue["broken"]
            if ring["layout"] == "split":
                assert ring["memory"]["used"] == said["used-idx"]
                assert ring["memory"]["avail"] == ring["driver"]["avail"]
            if id == "vd0":
                # It has seen all there is, and answered none of these.
                assert ring["driver"]["avail"] == said["last-avail-idx"]
                assert len(ring["chains"]) == said["inuse"]


def test_requests_in_flight_are_the_writes(stopped: Stopped, devices: dict[str, Any]) -> None:
    chains = [c for queue in devices["vd0"]["queues"] for c in queue["ring"]["chains"]]
    assert 2 <= len(chains) <= WRITES
    sectors = set()
    for chain in chains:
        header, *data, status = chain["descriptors"]
        assert chain["table"] is not None
        assert (chain["used"], chain["note"]) == (None, "")
        # struct virtio_blk_req: type, reserved, sector.
        assert (header["length"], "write" in header["flags"]) == (16, False)
        assert stopped.word(header["address"]) == 1
        sectors.add(stopped.word(header["address"] + 8))
        assert [part["length"] for part in data] == [4096]
        assert (status["length"], status["flags"]) == (1, ["write"])
    assert len(sectors) == len(chains)
    assert sectors <= {16 * n for n in range(WRITES)}


def test_buffers_for_packets_are_all_there(devices: dict[str, Any]) -> None:
    receive, transmit, _ = devices["net0"]["queues"]
    chains = receive["ring"]["chains"]
    held = sum(len(chain["descriptors"]) if chain["table"] is None else 1 for chain in chains)
    assert held == receive["ring"]["size"] - receive["free"] > 0
    assert all("write" in part["flags"] for c in chains for part in c["descriptors"])
    assert transmit["ring"]["chains"] == []


def test_the_guest_itself_tells_the_same(stopped: Stopped, devices: dict[str, Any]) -> None:
    done = script("--json", stopped.socket)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == list(devices.values())


def test_text_has_every_queue_and_chain(stopped: Stopped, devices: dict[str, Any]) -> None:
    text = script(stopped.vmcore).stdout
    rings = [queue["ring"] for device in devices.values() for queue in device["queues"]]
    assert len(re.findall(r"^  queue \d+ ", text, re.MULTILINE)) == sum(QUEUES.values())
    assert text.count("    head ") == sum(len(ring["chains"]) for ring in rings)


def test_what_cannot_be_read_is_one_line(stopped: Stopped, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no dump\n" * 1000)
    (tmp_path / "empty").touch()
    for target, why in (
        (tmp_path / "none", "No such file or directory"),
        (tmp_path / "text", "is no vmcore"),
        (tmp_path / "empty", "is no vmcore"),
        (tmp_path, "directory"),
    ):
        refused(script(target), why)
    refused(script(), "name a vmcore")
    # A kernel that says nothing of itself, and one that has no types.
    for what, why in (
        (b"VMCOREINFO\0\0OSRELEASE=", "is no vmcore"),
        (b"\x9f\xeb\1\0", "CONFIG_DEBUG_INFO_BTF"),
    ):
        with stopped.vmcore.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
            places = [found.start() for found in re.finditer(re.escape(what), memory)]
            for at in places:
                memory[at : at + 1] = b"?"
            assert places
            refused(script(stopped.vmcore), why)
            for at in places:
                memory[at : at + 1] = what[:1]


def refused(done: subprocess.CompletedProcess[str], why: str) -> None:
    assert done.returncode == 2
    assert done.stdout == ""
    assert why in done.stderr
    assert done.stderr.startswith("virtqueue: ")
    assert done.stderr.count("\n") == 1
