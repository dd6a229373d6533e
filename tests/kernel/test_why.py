# SPDX-License-Identifier: GPL-2.0-only
"""Hangs, each made live: `pykit why` names queue and side, from outside and inside.

From outside by the QMP socket of the running QEMU, whose guest needs nothing of ours for that;
inside by what the run left, where the probe traced the driver.
"""

from __future__ import annotations

import sys
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
WITHHELD, HEAD_WRONG = 1, 2
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


@dataclass(frozen=True)
class Hang:
    """A way to hang, and what is to be said of it.

    Attributes:
        guest: lines in the guest, once the disk is there.
        outside, inside: side whose turn it is, and words of a sentence; None for the side where
            the queue's state is not shown.
        fault: of `pykit device`, which serves the disk.
        still: the disk holds what it takes, from when it is there on.
        size: of its queue.
    """

    guest: str
    outside: tuple[str | None, str]
    inside: tuple[str | None, str]
    fault: str = ""
    still: bool = False
    size: int = 64


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
        fault="dies",
    ),
}


def scenario(path: Path, hang: Hang) -> Scenario:
    """Return the scenario of a hang, written to ``path``."""
    text = 'summary = "a hang"\ndeadline = 20\n[[device]]\nid = "vd0"\n'
    text += 'type = "virtio-blk-pci"\nsize-mib = 8\n'
    text += f"options = {{ num-queues = 1, queue-size = {hang.size} }}\n"
    path.write_text(f'{text}[[step]]\nname = "plug"\ndo = "plug"\ndevice = "vd0"\n')
    made = under_driver(load_scenario(str(path)), "virtio_blk")
    if not hang.fault:
        return made
    command = Path(sys.executable).with_name("pykit")
    return served_by(made, f"cmd:{command} device --fault {hang.fault} --socket {SOCKET}")


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


@pytest.mark.parametrize("name", HANGS)
def test_queue_and_side(
    name: str, patched: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang = HANGS[name]
    talk = program.talk_options

    def and_a_monitor(folder: Path, log: Path, arch: Arch = AMD64) -> list[str]:
        return [*talk(folder, log, arch), *program.monitor_options(folder / "theirs")]

    monkeypatch.setattr(program, "talk_options", and_a_monitor)
    made = scenario(tmp_path / "hang.toml", hang)
    modules_ = modules.build(patched, progress=say).modules
    with SharedGuest(bundle(patched, modules_, [made]), [made]) as guest:
        watch = guest.begin(made, tmp_path / "run")
        assert watch.run() is None
        # A device with a fault hangs when its partitions are looked for.
        lines = "sleep 2" if hang.fault else READS + hang.guest
        if hang.still:
            # Its partitions are read before.
            assert watch.work.shell(guest.guest, "disk")[0] == 0
            disk = "/machine/peripheral/vd0/virtio-backend"
            guest.monitor.ask("block_set_io_throttle", id=disk, **STILL)
            lines = "disk=/dev/vda\n" + hang.guest
        assert watch.work.shell(guest.guest, lines)[0] == 0
        outside = why_running(guest.folder / "theirs", 4, say)
        watch.end(("hang", "the test ends here"))
    inside = analysis.why(tmp_path / "run")
    said(outside, *hang.outside)
    said(inside, *hang.inside)
