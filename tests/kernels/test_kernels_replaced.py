# SPDX-License-Identifier: GPL-2.0-only
"""A kernel some of whose modules are other files."""

from __future__ import annotations

from pathlib import Path

import pytest

from pykit.errors import UsageError
from pykit.kernels import Kernel
from pykit.kernels.replaced import with_modules
from pykit.modules import closure

VIRTIO = "kernel/drivers/virtio/virtio.ko.xz"
DEP = f"""\
{VIRTIO}:
kernel/drivers/virtio/virtio_ring.ko.xz: {VIRTIO}
kernel/drivers/virtio_blk.ko.xz: kernel/drivers/virtio/virtio_ring.ko.xz {VIRTIO}
"""


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    modules = tmp_path / "lib/modules/6.1.0-x"
    for line in DEP.splitlines():
        path = modules / line.partition(":")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("theirs")
    (modules / "modules.dep").write_text(DEP)
    config = tmp_path / "config"
    config.write_text("")
    return Kernel(
        name="x",
        release="6.1.0-x",
        image=tmp_path / "vmlinuz",
        modules_dir=modules,
        build_dir=tmp_path,
        config=config,
        origin="debian",
    )


def test_named_module_is_the_other_file(kernel: Kernel, tmp_path: Path) -> None:
    mine = tmp_path / "virtio_ring.ko"
    mine.write_text("mine")
    changed = with_modules(kernel, {"virtio_ring": mine})
    files = closure(changed, ["virtio_blk"])
    assert [file.read_text() for file in files] == ["theirs", "mine", "theirs"]
    # The kernel itself is as it was, and the same files give the same folder.
    assert [file.read_text() for file in closure(kernel, ["virtio_blk"])] == ["theirs"] * 3
    assert with_modules(kernel, {"virtio_ring": mine}) == changed


def test_changed_file_gives_another_folder(kernel: Kernel, tmp_path: Path) -> None:
    mine = tmp_path / "virtio_ring.ko"
    mine.write_text("mine")
    first = with_modules(kernel, {"virtio_ring": mine})
    mine.write_text("mine, newer")
    assert with_modules(kernel, {"virtio_ring": mine}).modules_dir != first.modules_dir


def test_compressed_file_is_known_as_one(kernel: Kernel, tmp_path: Path) -> None:
    mine = tmp_path / "mine.ko.xz"
    mine.write_bytes(b"mine")
    changed = with_modules(kernel, {"virtio_ring": mine, "my_blk": mine}, {"my_blk": ["virtio"]})
    names = [file.name for file in closure(changed, ["virtio_ring", "my_blk"])]
    assert names == ["virtio.ko.xz", "virtio_ring.ko.xz", "my_blk.ko.xz"]


def test_module_that_the_kernel_does_not_have(kernel: Kernel, tmp_path: Path) -> None:
    mine, helper = tmp_path / "my-blk.ko", tmp_path / "helper.ko"
    mine.write_text("mine")
    helper.write_text("helper")
    files = {"my_blk": mine, "helper": helper}
    changed = with_modules(
        kernel, files, {"my_blk": ["helper", "virtio_ring"], "helper": ["virtio"]}
    )
    names = [file.name for file in closure(changed, ["my_blk"])]
    assert names == ["virtio.ko.xz", "virtio_ring.ko.xz", "helper.ko", "my_blk.ko"]
    assert closure(changed, ["my_blk"])[-1].read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("virtio_net", r"virtio_net is no module of 6\.1\.0-x: check the name"),
        ("virtio_pci", r"virtio_pci is built into 6\.1\.0-x and cannot be replaced: use a kernel"),
    ],
)
def test_name_that_is_no_module(kernel: Kernel, tmp_path: Path, name: str, message: str) -> None:
    builtin = kernel.modules_dir / "modules.builtin"
    builtin.write_text("kernel/drivers/virtio/virtio-pci.ko\n")
    mine = tmp_path / "mine.ko"
    mine.write_text("mine")
    with pytest.raises(UsageError, match=message):
        with_modules(kernel, {name: mine})
