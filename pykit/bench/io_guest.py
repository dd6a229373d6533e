# SPDX-License-Identifier: GPL-2.0-only
"""A guest with one disk by each I/O path, and what its reads do on the way to the device.

All disks are in one guest, so that they are compared at the same time on the same machine. Each but
that of the loopback is answered from nothing (null-co), by QEMU or by qemu-storage-daemon: what is
left is the path. Accesses to registers are QEMU's memory_region_ops_*; doorbells are counted
where the driver rings them, as those that QEMU turns into an eventfd are in no log.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

from pykit.bench.shell import measuring
from pykit.errors import InfraError
from pykit.guests import kitsteps, payload, runner, served
from pykit.guests.channel import GuestChannel, GuestEndedError
from pykit.guests.monitor import REGISTER_EVENTS, Monitor
from pykit.kernels import Kernel
from pykit.qemu import accel, program
from pykit.qemu.keeper import Keeper
from pykit.scenario.model import SOCKET, Device, Scenario, Step
from pykit.trace.registers import logged_access

Watch = Literal["no", "doorbells", "idle"]
BLOCK = 4096
#: VIRTIO_PCI_QUEUE_NOTIFY of the legacy interface (4.1.4.8), and what its BAR is aligned to.
_LEGACY_NOTIFY, _LEGACY_BAR = 16, 32
MIB = 64
_STALLED_NS = 10_000_000_000
_DEADLINE_S = 1800.0
_PREPARE, _STEP, LOOPBACK = "prepare", "read", "loopback"
#: Where the paths' devices are on the root bus, one a slot.
_FIRST_SLOT = 0x10


@dataclass(frozen=True)
class IoPath:
    """One way from a guest's block layer to a device.

    Attributes:
        name: in tables.
        type: QEMU's disk or controller; empty for the loopback.
        options: of that device.
        regions: what QEMU's names of its registers begin with.
        child: QEMU's disk on the bus that the device makes.
        back_end: program and arguments of what serves it where another process does.
    """

    name: str
    type: str
    options: Mapping[str, object]
    regions: tuple[str, ...]
    child: str = ""
    iothread: bool = False
    queues: int = 1
    back_end: tuple[str, ...] = ()

    @property
    def vhost_user(self) -> bool:
        """Whether another process serves it."""
        return self.type.startswith("vhost-user")


def _virtio(name: str, **options: object) -> IoPath:
    queues = int(str(options.get("num-queues", 1)))
    thread = bool(options.pop("thread", False))
    given = {"num-queues": 1, **options}
    return IoPath(name, "virtio-blk-pci", given, ("virtio-pci",), iothread=thread, queues=queues)


def _scsi(name: str, queues: int) -> IoPath:
    options = {"num_queues": queues}
    regions = ("virtio-pci",)
    return IoPath(name, "virtio-scsi-pci", options, regions, child="scsi-hd", queues=queues)


def _null(name: str) -> dict[str, object]:
    return {"driver": "null-co", "node-name": name, "size": MIB << 20, "read-zeroes": True}


#: Serves a disk that is answered from nothing as well.
NULL_DAEMON = (
    "qemu-storage-daemon", "--blockdev", json.dumps(_null("null")), "--export",
    json.dumps(
        {
            "type": "vhost-user-blk", "id": "disk", "node-name": "null", "writable": True,
            "addr": {"type": "unix", "path": SOCKET},
        }
    ),
)  # fmt: skip
#: The way that all others are compared with.
PEER = "virtio-blk"
PATHS = (
    IoPath("IDE, PIO", "piix3-ide", {}, ("ide", "piix-bmdma"), child="ide-hd"),
    IoPath("AHCI", "ich9-ahci", {}, ("ahci",), child="ide-hd"),
    IoPath("NVMe", "nvme", {"serial": "io"}, ("nvme",)),
    _virtio("virtio-blk, legacy", **{"disable-modern": True, "disable-legacy": "off"}),
    _virtio(PEER),
    _virtio("virtio-blk, packed", packed=True),
    _virtio("virtio-blk, I/O thread", thread=True),
    _virtio("virtio-blk, 2 queues", **{"num-queues": 2}),
    _scsi("virtio-scsi", 1),
    _scsi("virtio-scsi, 2 queues", 2),
    IoPath(
        "vhost-user-blk", "vhost-user-blk-pci", {"num-queues": 1}, ("virtio-pci",),
        back_end=NULL_DAEMON,
    ),
    IoPath("loopback, vhost", "", {}, ()),
)  # fmt: skip


@dataclass(frozen=True)
class IoReading:
    """What one measurement reported, in total; ``doorbells``, ``span`` and ``idle`` if watched.

    Attributes:
        ns, median, p99, longest, span, idle: ns of the guest's clock.
        accesses: the guest's accesses to registers but for doorbells, and the bytes that they
            carried; both 0 unless ``doorbells`` were watched.
    """

    requests: int
    ns: int
    median: int
    p99: int
    longest: int
    interrupts: int
    doorbells: int = 0
    span: int = 0
    idle: int = 0
    accesses: int = 0
    moved: int = 0

    @property
    def stalled(self) -> bool:
        """Whether a request waited for the driver's time-out, by which it resets the device too.

        Then its interrupts are counted anew.
        """
        return self.longest > _STALLED_NS or self.interrupts < 0


def reading(output: str) -> IoReading:
    """Return what a step printed; raises InfraError where a figure is missing."""
    found = dict(re.findall(r"^([a-z0-9]+) (-?[0-9]+)$", output, re.MULTILINE))
    names = IoReading.__dataclass_fields__.keys() & found.keys()
    try:
        return IoReading(**{name: int(found[name]) for name in names})
    except TypeError as error:
        raise InfraError(f"the bench's guest reported {output!r}: {error}") from error


def count_accesses(lines: Iterable[str], path: IoPath) -> tuple[int, int, int]:
    """Return accesses to a path's registers but for doorbells, their bytes, and doorbells."""
    accesses = moved = doorbells = 0
    for line in lines:
        found = logged_access(line)
        if found is None or not found.region.startswith(path.regions):
            continue
        legacy = found.region == "virtio-pci" and found.address % _LEGACY_BAR == _LEGACY_NOTIFY
        if found.write and ("-notify" in found.region or legacy):
            doorbells += 1
        else:
            accesses += 1
            moved += found.size
    return accesses, moved, doorbells


class IoGuest:
    """A guest with the disks of some paths, up until the block is left.

    With ``icount`` its clock counts instructions, one a nanosecond, and it has one vCPU.
    """

    def __init__(
        self, kernel: Kernel, modules: Iterable[Path], *, icount: bool,
        paths: Sequence[IoPath] = PATHS,
    ) -> None:  # fmt: skip
        self._kernel, self._modules, self._icount = kernel, modules, icount
        self._paths = tuple(paths)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with self._stack:
            self._start(self._stack.enter_context(Keeper()))
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def read(
        self, path: IoPath, depth: int, threads: int = 1, *, requests: int, seconds: float,
        watch: Watch = "no",
    ) -> IoReading:  # fmt: skip
        """Read random blocks of a path's disk.

        Each thread keeps ``depth`` requests in flight until it has had ``requests``, or
        ``seconds`` have passed. Raises InfraError where that fails.
        """
        values = {
            "PLACE": self._place(path), "DEPTH": depth, "THREADS": threads, "REQUESTS": requests,
            "TIME": seconds, "WATCH": watch,
        }  # fmt: skip
        if watch != "doorbells":
            return reading(self._run(_STEP, path.name, values))
        before = self._log.stat().st_size if self._log.exists() else 0
        self._monitor.trace(REGISTER_EVENTS)
        said = reading(self._run(_STEP, path.name, values))
        for name in REGISTER_EVENTS:
            self._monitor.ask("trace-event-set-state", name=name, enable=False)
        with self._log.open(errors="replace") as log:
            log.seek(before)
            accesses, moved, rung = count_accesses((line.rstrip("\n") for line in log), path)
        self._log.write_bytes(b"")
        if rung not in (0, said.doorbells):
            raise InfraError(
                f"{path.name}: the driver rang {said.doorbells} times, and QEMU logged {rung}: "
                "another QEMU may do (PYKIT_QEMU)"
            )
        return replace(said, accesses=accesses, moved=moved)

    def _place(self, path: IoPath) -> str:
        """Return where a path's device is: on PCI, or the loopback."""
        return f"0000:00:{_FIRST_SLOT + self._paths.index(path):02x}.0" if path.type else LOOPBACK

    def _run(self, step: str, what: str, values: Mapping[str, object]) -> str:
        name = payload.step_path(self._scenario, step)
        try:
            given = {key: str(value) for key, value in values.items()}
            code, said = self._guest.run(name, given)
        except GuestEndedError as ended:
            raise InfraError(f"the bench's guest: {ended.kind}: {ended.message}") from ended
        if code != 0:
            raise InfraError(f"{what}: {kitsteps.last_lines(said)}")
        return said

    def _start(self, keeper: Keeper) -> None:
        folder, nonce = keeper.folder, secrets.token_hex(8)
        self._scenario = _scenario(self._paths, self._icount)
        self._log = folder / "qemu.log"
        accelerator = "tcg" if self._icount else accel.probe(self._kernel.image)
        staged = payload.stage(folder, nonce, self._scenario, self._kernel, list(self._modules), {})
        command = runner("direct", self._scenario.transport).command(
            self._kernel, staged, accelerator, self._log
        )
        for number, path in enumerate(self._paths):
            command += _options(path, number, folder)
        for device in self._scenario.devices:
            self._stack.enter_context(served(device, folder))
        console = folder / "console.log"
        process = keeper.start(command, self._stack.enter_context(console.open("wb")))
        end = time.monotonic() + _DEADLINE_S
        self._guest = GuestChannel(process, folder, console, nonce, end)
        self._stack.callback(keeper.stop)
        self._stack.callback(self._guest.close)
        try:
            self._guest.connect()
            code, said = self._guest.run(kitsteps.LOAD)
            if code != 0:
                raise InfraError(f"the bench's guest: {kitsteps.last_lines(said)}")
            self._monitor = self._stack.enter_context(contextlib.closing(Monitor(folder / "qmp")))
        except GuestEndedError as ended:
            raise InfraError(f"the bench's guest: {ended.kind}: {ended.message}") from ended
        self._run(_PREPARE, "the bench's guest", {})


#: IDE's disk by programmed I/O: libata takes the parameter only when it is loaded.
_PREPARE_LINES = """
rmmod ata_piix ahci libahci libata
for module in "libata force=1:pio4" ata_piix libahci ahci; do
	set -- $module
	name=$1
	shift
	insmod "$PAYLOAD/modules/$name.ko" "$@" || die "cannot load $name"
done
echo 0 >$TRACING/events/pykit/enable
join transport blk mib=64 queues=1
for function in vp_notify pykit_loopback_notify; do
	echo "p:pykit_bell_$function $function" >>$TRACING/kprobe_events ||
		die "no kprobe in $function()"
done
"""


def _scenario(paths: Sequence[IoPath], icount: bool) -> Scenario:
    served_elsewhere = tuple(
        Device(
            f"io{number}", path.type, MIB, {}, "virtio_blk", backing="vhost-user",
            peer=path.back_end,
        )
        for number, path in enumerate(paths)
        if path.vhost_user
    )  # fmt: skip
    return Scenario(
        name="bench-io",
        summary="disks by every path, read in turn",
        deadline_s=_DEADLINE_S,
        modules=("pykit_loopback", "pykit_vhost"),
        kernel_modules=(
            "virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod", "ata_piix", "ahci", "nvme",
        ),
        programs=(),
        guest_programs=("iopath", "loopback"),
        devices=served_elsewhere,
        steps=(Step(_PREPARE, _PREPARE_LINES), Step(_STEP, measuring("iopath"))),
        parameters={},
        qemu_trace=False,
        cpus=1 if icount else program.CPUS,
        icount=icount,
    )  # fmt: skip


def _options(path: IoPath, number: int, folder: Path) -> list[str]:
    """Return QEMU's options for a path's device, there from power-on."""
    if not path.type:
        return []
    name = f"io{number}"
    front: dict[str, object] = {
        "driver": path.type, "id": name, "bus": "pcie.0", "addr": f"{_FIRST_SLOT + number:x}",
        **path.options,
    }  # fmt: skip
    disk: dict[str, object] = {"drive": f"{name}-disk"}
    options = ["-blockdev", json.dumps(_null(f"{name}-disk"))]
    if path.vhost_user:
        disk = {"chardev": f"{name}-disk"}
        socket = program.value(folder / f"{name}.sock")
        options = ["-chardev", f"socket,id={name}-disk,path={socket}"]
    if path.iothread:
        options += ["-object", f"iothread,id={name}-thread"]
        front["iothread"] = f"{name}-thread"
    if path.child:
        on = {"driver": path.child, "bus": f"{name}.0", **disk}
        return [*options, "-device", json.dumps(front), "-device", json.dumps(on)]
    return [*options, "-device", json.dumps(front | disk)]
