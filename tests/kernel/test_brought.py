# SPDX-License-Identifier: GPL-2.0-only
"""A user's own: patched modules of the kernel, a driver that it does not have, a back-end."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pykit import kernels, modules, steps
from pykit.errors import Exit, GuestError, UsageError
from pykit.kernels import kbuild
from pykit.modules import BroughtModules

pytestmark = pytest.mark.slow

Run = Callable[..., steps.RunResult]

BLK, RING = "drivers/block/virtio_blk.c", "drivers/virtio/virtio_ring.c"
#: The part of the kernel's source that mutants need too, so that it is fetched once.
PART = (Path(RING).parent.as_posix(), BLK, "drivers/vhost/vhost.c", "drivers/vhost/vhost.h")

#: The driver adds its disk before it sets DRIVER_OK, which the core then does.
NOT_READY = {r"\bvirtio_device_ready\(vdev\);": "(void)vdev;"}
#: Indirect tables are used whether or not they were negotiated.
INDIRECT = {r"(vq->indirect =)[^;]*;": r"\1 true;"}


def built(kernel: str, file: str, changes: Mapping[str, str], folder: Path, name: str = "") -> Path:
    """Return the module of one source file of the kernel, changed, under a name."""
    target = kernels.resolve(kernel)
    text = (kernels.source_part(target, PART, "mutants-vhost") / file).read_text()
    for pattern, new in changes.items():
        text, count = re.subn(pattern, new, text)
        assert count, pattern
    folder.mkdir(exist_ok=True)
    name = name or Path(file).stem
    (folder / f"{name}.c").write_text(text)
    (folder / "Kbuild").write_text(f"obj-m := {name}.o\n")
    log = folder / "make.log"
    arguments = ["-C", str(target.build_dir), f"M={folder}", "CONFIG_DEBUG_INFO_BTF_MODULES="]
    with (folder / ".lock").open("w") as lock:
        assert kbuild.make([*arguments, "modules"], log, lock.fileno()) == 0, log.read_text()
    return folder / f"{name}.ko"


@pytest.mark.parametrize("kernel", ["debian-6.12", "debian-7.2"])
def test_a_patched_driver_is_judged(kernel: str, run: Run, tmp_path: Path) -> None:
    file = built(kernel, BLK, NOT_READY, tmp_path)
    result = run(kernel_name=kernel, brought=BroughtModules(drivers=(file,)))
    assert result.outcome.kind == "clean", result.outcome.message
    assert "IN-DR-08" in result.verdicts.having("fail")
    assert result.exit_code == Exit.FAILED


def test_a_patched_core_is_judged(run: Run, tmp_path: Path) -> None:
    file = built("debian-6.1", RING, INDIRECT, tmp_path)
    brought = BroughtModules(replaced={"virtio_ring": file})
    result = run(kernel_name="debian-6.1", driver="virtio_blk", brought=brought)
    assert result.outcome.kind == "clean", result.outcome.message
    assert result.verdicts.having("fail") == ("SI-DR-01",)


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A driver that the kernel knows nothing of, and that does all right."""
    return built("debian-6.12", BLK, {}, tmp_path_factory.mktemp("mine"), "my_blk")


def test_a_driver_that_the_kernel_does_not_have(run: Run, mine: Path) -> None:
    result = run(kernel_name="debian-6.12", brought=BroughtModules(drivers=(mine,)))
    assert result.outcome.kind == "clean", result.outcome.message
    assert result.verdicts.having("fail") == ()
    assert result.exit_code == Exit.OK
    assert set(result.events.of("driver")["source"].unique()) == {"probe"}


def test_a_driver_that_the_module_does_not_register(run: Run, mine: Path) -> None:
    with pytest.raises(GuestError, match=r"no virtio driver his_blk .*: --driver my_blk"):
        run(
            kernel_name="debian-6.12",
            driver="his_blk",
            brought=BroughtModules(drivers=(mine,)),
        )


def test_what_the_kernel_would_refuse(mine: Path) -> None:
    """One line before anything is booted."""
    kernel = kernels.resolve("debian-6.12")
    with pytest.raises(UsageError, match=r"vermagic is '6\.12\S* .* but the kernel wants '6\.1\."):
        BroughtModules(drivers=(mine,)).into(kernels.resolve("debian-6.1"))
    with pytest.raises(UsageError, match=r"my_blk\.ko is the module my_blk: name that"):
        BroughtModules(replaced={"virtio_blk": mine}).into(kernel)


def test_a_missing_symbol(mine: Path, tmp_path: Path) -> None:
    data = mine.read_bytes().replace(b"\0virtqueue_add_sgs\0", b"\0virtqueue_add_sgz\0")
    other = tmp_path / "my_blk.ko"
    other.write_bytes(data)
    kernel = kernels.resolve("debian-6.12")
    assert modules.inspect(mine, kernel).problems() == ()
    with pytest.raises(UsageError, match=r"my_blk\.ko: needs virtqueue_add_sgz, which neither"):
        BroughtModules(drivers=(other,)).into(kernel)


def test_a_back_end_of_the_users(run: Run) -> None:
    command = shlex.join([sys.executable, "-m", "pykit.cli", "device", "--socket"])
    result = run("io", device=f"cmd:{command} {{socket}}")
    assert result.outcome.kind == "clean", result.outcome.message
    assert result.verdicts.having("fail") == ()
    assert {"DX-01", "DX-02"} <= set(result.verdicts.having("pass"))
