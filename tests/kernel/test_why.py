# SPDX-License-Identifier: GPL-2.0-only
"""Hangs, each made live: `pykit why` names queue and side, from outside and inside.

From outside by the QMP socket of the running QEMU, whose guest needs nothing of ours for that;
inside by what the run left, where the probe traced the driver.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pykit import analysis, kernels, modules
from pykit.analysis.why import Why, why_running
from pykit.arch import AMD64, Arch
from pykit.errors import Exit
from pykit.guests.bundle import bundle
from pykit.kernels import Kernel
from pykit.modules import BroughtModules
from pykit.qemu import program
from pykit.run.shared import SharedGuest
from pykit.scenario import load_scenario, served_by, under_driver
from pykit.scenario.model import SOCKET, Scenario

from .conftest import say
from .test_brought import RING, built

pytestmark = pytest.mark.slow

KERNEL = "debian-6.1"
#: What a parameter of the patched modules makes the driver do.
WITHHELD, HEAD_WRONG, EVENT_WRONG = 1, 2, 3
HEAD = "extern int pykit_hang;\n"
DEFINED = """
int pykit_hang;
EXPORT_SYMBOL_GPL(pykit_hang);
module_param(pykit_hang, int, 0644);
MODULE_LICENSE("GPL");
"""
RING_CHANGES = {
    r"\A": HEAD,
    r"\bMODULE_LICENSE\([^)]*\);": DEFINED,
    r"(avail->ring\[avail\] = cpu_to_virtio16\(_vq->vdev, head)\)": (
        rf"\1 + (pykit_hang == {HEAD_WRONG} ? 5000 : 0))"
    ),
    r"return needs_kick;": f"return needs_kick && pykit_hang != {WITHHELD};",
    # Of an entry, or a place, that will not come.
    r"(last_used_idx = vq->last_used_idx)\)(?=;\n\tEND_USE)": (
        rf"\1) + (pykit_hang == {EVENT_WRONG} ? 9 : 0)"
    ),
    r"(driver->off_wrap =\s*cpu_to_le16\(vq->last_used_idx\))": (
        rf"\1 + (pykit_hang == {EVENT_WRONG} ? 9 : 0)"
    ),
}
#: One byte a second: the disk takes requests, and returns none in the time that a test has.
STILL = dict.fromkeys(("bps", "bps_wr", "iops", "iops_rd", "iops_wr"), 0) | {"bps_rd": 1}
READS = 'disk=$(disk) || die "no disk appeared"\n'
ONE = "dd if=$disk of=/dev/null bs=4k count=1 iflag=direct </dev/null >/dev/null 2>&1 &\n"
FIRST = "dd if=$disk of=/dev/null bs=4k count=1 iflag=direct 2>/dev/null\n"
SET = "echo {} >/sys/module/virtio_ring/parameters/pykit_hang\n"
#: Sets Function Mask of the capability MSI-X (its id is 17), which is enabled.
MASKED = """
config=/sys/bus/virtio/devices/$(virtio_device)/../config
byte() { hexdump -v -s $1 -n 1 -e '1/1 "%u"' $config; }
at=$(byte 52)
while [ $(byte $at) != 17 ]; do at=$(byte $((at + 1))); done
printf '\\300' | dd of=$config bs=1 seek=$((at + 3)) conv=notrunc 2>/dev/null
"""


#: Until the disk has requests.
HELD = "while ! grep -q '[1-9]' /sys/block/vda/inflight; do sleep 0.1; done\n"
#: A reset of the PCI function, behind the driver's back.
RESET = "echo 1 >$(readlink -f /sys/bus/virtio/devices/$(virtio_device)/..)/reset"
#: A back-end of two queues: from its tenth chain on the first is never interrupted for, and the
#: second asks for a notification one entry too late.
DEAF = """
from pykit.device.memory import store16
from pykit.device.queue import SplitQueue

served = {0: 0, 1: 0}
numbers = {}


def change(step):
    number = min({0, 1} - step.others.keys())
    numbers[id(step.queue)] = number
    served[number] += 1
    if number == 0 and served[0] >= 10:
        step.interrupt = False


def asks(queue):
    if numbers.get(id(queue)) != 1 or served[1] < 10:
        return
    if isinstance(queue, SplitQueue):
        store16(queue.device, 4 + 8 * queue.size, queue.next + 1)
    else:
        store16(queue.device, 0, queue.next + 1 | queue.wrap << 15)
"""
#: Reads by one CPU or the other, each of which has a queue.
BY_CPU = """
for cpu in 1 2; do
	(
		for n in $(seq 20); do
			taskset $cpu dd if=$disk of=/dev/null bs=4k count=1 iflag=direct
		done
	) </dev/null >/dev/null 2>&1 &
done
sleep 3
"""


@dataclass(frozen=True)
class Hang:
    """A way to hang, and what is to be said of it.

    Attributes:
        guest: lines in the guest, once the disk is there.
        outside, inside: side whose turn it is, and words of a sentence; None for the side where
            the queue's state is not shown.
        fault: what `pykit device` is to have, which serves the disk.
        still: the disk holds what it takes, from when it is there on.
        size: of its queue.
        packed: its ring is.
    """

    guest: str
    outside: tuple[str | None, str]
    inside: tuple[str | None, str]
    fault: str = ""
    still: bool = False
    size: int = 64
    packed: bool = False


HANGS = {
    "device-withholds-completion": Hang(
        ONE * 3,
        ("device", "it took the chain and did not return it"),
        ("device", "it took the chain and did not return it"),
        still=True,
    ),
    "ring-full": Hang(
        ONE * 12,
        ("device", "the ring is full"),
        ("device", "the ring is full"),
        still=True,
        size=4,
    ),
    "kick-withheld-by-the-driver": Hang(
        FIRST + SET.format(WITHHELD) + ONE,
        ("driver", "the device asked for a notification of entry"),
        ("driver", "the device asked for a notification and none came"),
    ),
    "interrupt-masked": Hang(
        FIRST + MASKED + ONE,
        ("driver", "all of MSI-X is masked"),
        ("driver", "all of MSI-X is masked"),
    ),
    "device-needs-reset": Hang(
        FIRST + SET.format(HEAD_WRONG) + ONE,
        ("driver", "needs a reset"),
        ("driver", "needs a reset"),
    ),
    "back-end-dead": Hang(
        "",
        ("device", "the process that serves it has closed its socket"),
        ("device", "the process that serves it has closed its socket"),
        fault="--fault dies",
    ),
    "event-index-of-the-driver-wrong": Hang(
        FIRST + SET.format(EVENT_WRONG) + FIRST + ONE,
        (None, "interrupt of entry 14 only, which it has not made available, and used index 6"),
        ("driver", "it asked for an interrupt of entry 14 only"),
    ),
    "event-offset-of-the-driver-wrong": Hang(
        FIRST + SET.format(EVENT_WRONG) + FIRST + ONE,
        (None, "interrupt of place 14 only, and the device is at 6"),
        ("driver", "it asked for an interrupt of a place that no descriptor reaches"),
        packed=True,
    ),
}


def scenario(path: Path, hang: Hang, queues: int = 1) -> Scenario:
    """Return the scenario of a hang, written to ``path``."""
    packed = ", packed = true" if hang.packed else ""
    text = 'summary = "a hang"\ndeadline = 20\n[[device]]\nid = "vd0"\n'
    text += 'type = "virtio-blk-pci"\nsize-mib = 8\n'
    text += f"options = {{ num-queues = {queues}, queue-size = {hang.size}{packed} }}\n"
    path.write_text(f'{text}[[step]]\nname = "plug"\ndo = "plug"\ndevice = "vd0"\n')
    made = under_driver(load_scenario(str(path)), "virtio_blk")
    if not hang.fault:
        return made
    command = Path(sys.executable).with_name("pykit")
    return served_by(made, f"cmd:{command} device {hang.fault} --socket {SOCKET}")


@pytest.fixture(scope="module")
def patched(tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    """The kernel with a core and a driver that can be made to hang."""
    folder = tmp_path_factory.mktemp("patched")
    files = {"virtio_ring": built(KERNEL, RING, RING_CHANGES, folder / "ring")}
    return BroughtModules(replaced=files).into(kernels.resolve(KERNEL))


def said(found: Why, turn: str | None, words: str) -> None:
    """A queue of the disk is stuck and it is that side's turn, or a sentence has the words."""
    text = "\n".join(found.lines())
    assert words in text, text
    if turn is None:
        assert found.exit_code != Exit.OK, text
        return
    stuck = [queue for queue in found.queues if queue.stuck]
    assert [(queue.vq, queue.turn) for queue in stuck] == [(0, turn)], text
    assert "queue 0 of device 0 (vd0)" in stuck[0].sentence
    assert found.exit_code == Exit.FAILED


@pytest.fixture
def monitored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guests have a second monitor, ``theirs`` in their folder."""
    talk = program.talk_options

    def and_a_monitor(folder: Path, log: Path, arch: Arch = AMD64) -> list[str]:
        return [*talk(folder, log, arch), *program.monitor_options(folder / "theirs")]

    monkeypatch.setattr(program, "talk_options", and_a_monitor)


@contextlib.contextmanager
def hung(
    kernel: Kernel, made: Scenario, hang: Hang, out: Path
) -> Iterator[tuple[SharedGuest, Callable[[str], None]]]:
    """A guest that hangs, and what runs lines in it; its run is in ``out`` afterwards."""
    modules_ = modules.build(kernel, progress=say).modules
    with SharedGuest(bundle(kernel, modules_, [made]), [made]) as guest:
        watch = guest.begin(made, out)
        assert watch.run() is None

        def shell(lines: str) -> None:
            code, said = watch.work.shell(guest.guest, lines)
            assert code == 0, said

        lines = READS + hang.guest
        if hang.still:
            # Its partitions are read before.
            shell("disk")
            disk = "/machine/peripheral/vd0/virtio-backend"
            guest.monitor.ask("block_set_io_throttle", id=disk, **STILL)
            lines = "disk=/dev/vda\n" + hang.guest
        elif not hang.guest:
            # Its partitions are looked for when it hangs.
            lines = "sleep 2"
        shell(lines)
        yield guest, shell
        watch.end(("hang", "the test ends here"))


def seen(guest: SharedGuest, meanwhile: Callable[[], None] = lambda: None) -> Why:
    """What shows from outside; ``meanwhile`` happens as soon as QEMU is observed."""

    def observed(text: str) -> None:
        say(text)
        if text.startswith("attached"):
            meanwhile()

    return why_running(guest.folder / "theirs", 4, observed)


@pytest.mark.usefixtures("monitored")
@pytest.mark.parametrize("name", HANGS)
def test_queue_and_side(name: str, patched: Kernel, tmp_path: Path) -> None:
    hang = HANGS[name]
    made = scenario(tmp_path / "hang.toml", hang)
    with hung(patched, made, hang, tmp_path / "run") as (guest, _):
        outside = seen(guest)
    said(outside, *hang.outside)
    said(analysis.why(tmp_path / "run"), *hang.inside)


@pytest.mark.usefixtures("monitored")
def test_a_guest_that_is_stopped_and_a_device_that_is_reset(
    patched: Kernel, tmp_path: Path
) -> None:
    """Neither is the queue's fault: first the host has to act, then the driver."""
    hang = Hang(ONE * 3 + HELD, (None, ""), (None, ""), still=True)
    made = scenario(tmp_path / "hang.toml", hang)
    with hung(patched, made, hang, tmp_path / "run") as (guest, shell):
        guest.monitor.ask("stop")
        stopped = seen(guest)
        guest.monitor.ask("cont")
        # To stop, QEMU let go of what the disk held.
        shell(f"disk=/dev/vda\n{hang.guest}")
        reset, later = seen(guest, lambda: shell(RESET)), seen(guest)
    said(stopped, "host", "the guest is stopped (QEMU's state: paused)")
    said(reset, "driver", "not returned, and the device was not set up again")
    said(later, None, "device 0 (vd0) was reset by another than its driver")
    said(analysis.why(tmp_path / "run"), "driver", "was reset by another than its driver")


@pytest.mark.usefixtures("monitored")
@pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
def test_a_device_that_notifies_and_asks_wrongly(
    packed: bool, patched: Kernel, tmp_path: Path
) -> None:
    script = tmp_path / "deaf.py"
    script.write_text(DEAF)
    hang = Hang(BY_CPU, (None, ""), (None, ""), fault=f"--script {script}", packed=packed)
    made = scenario(tmp_path / "hang.toml", hang, queues=2)
    with hung(patched, made, hang, tmp_path / "run") as (guest, _):
        outside = seen(guest)
    inside = analysis.why(tmp_path / "run")
    silent, late = (
        ("no interrupt of it reached the driver", "it asked for a notification of place")
        if packed
        else ("the driver still waits for an interrupt", "it asked for a notification of entry")
    )
    text = "\n".join([*outside.lines(), *inside.lines()])
    # An interrupt that was not sent and one that was lost look alike from outside.
    assert [(q.vq, q.turn) for q in outside.queues if q.stuck] == [
        (0, "unknown"), (1, "device")
    ], text  # fmt: skip
    assert silent in outside.queues[0].sentence
    assert late in outside.queues[1].sentence
    assert [(q.vq, q.turn) for q in inside.queues if q.stuck] == [
        (0, "device"), (1, "device")
    ], text  # fmt: skip
    assert "it sent no interrupt that was asked for" in inside.queues[0].sentence
    assert "it had asked for no notification of the entry" in inside.queues[1].sentence
