# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pykit.errors import InfraError
from pykit.kernels import Kernel
from pykit.modules import closure

DEP = """\
kernel/fs/ext4/ext4.ko.xz: kernel/lib/crc16.ko.xz kernel/fs/mbcache.ko.xz kernel/fs/jbd2/jbd2.ko.xz
kernel/fs/jbd2/jbd2.ko.xz:
kernel/fs/mbcache.ko.xz:
kernel/lib/crc16.ko.xz:
kernel/net/9p/9pnet.ko.xz: kernel/fs/netfs.ko.xz
kernel/fs/netfs.ko.xz:
kernel/arch/x86/crypto/crc32c-intel.ko.xz:
kernel/crypto/crc32c_generic.ko.xz: kernel/crypto/hash.ko.xz
kernel/crypto/hash.ko.xz:
kernel/drivers/vfio.ko.xz:
kernel/drivers/vfio-type1.ko.xz: kernel/drivers/vfio.ko.xz
kernel/a.ko.xz:
kernel/b.ko.xz:
"""
ALIAS = """\
# Aliases extracted from modules themselves.
alias crypto-crc32c crc32c_intel
alias crypto-crc32c crc32c_generic
alias fs-ext4 ext4
"""
SOFTDEP = """\
# Soft dependencies extracted from modules themselves.
softdep ext4 pre: crypto-crc32c not-there
softdep vfio post: vfio_type1
softdep netfs ignored
softdep a pre: b
softdep b pre: a
"""


@pytest.fixture
def kernel(kernel: Kernel) -> Kernel:
    directory = kernel.modules_dir
    (directory / "modules.dep").write_text(DEP)
    (directory / "modules.alias").write_text(ALIAS)
    (directory / "modules.softdep").write_text(SOFTDEP)
    (directory / "modules.builtin").write_text("kernel/drivers/virtio/virtio-pci.ko\n")
    for line in DEP.splitlines():
        path = directory / line.partition(":")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return kernel


def names(paths: list[Path]) -> list[str]:
    return [path.name.partition(".")[0] for path in paths]


def test_dependencies_come_first_and_once(kernel: Kernel) -> None:
    found = names(closure(kernel, ["9pnet", "ext4", "9pnet", "crc16"]))
    assert found == ["netfs", "9pnet", "jbd2", "mbcache", "crc16", "hash", "crc32c_generic", "ext4"]


def test_paths_are_absolute_and_as_they_stand(kernel: Kernel) -> None:
    assert closure(kernel, ["mbcache"]) == [kernel.modules_dir / "kernel/fs/mbcache.ko.xz"]


def test_a_built_in_module_adds_nothing(kernel: Kernel) -> None:
    assert closure(kernel, ["virtio_pci", "virtio-pci"]) == []


def test_dashes_and_underscores_are_the_same(kernel: Kernel) -> None:
    assert names(closure(kernel, ["crc32c_intel"])) == ["crc32c-intel"]
    assert names(closure(kernel, ["crc32c-intel"])) == ["crc32c-intel"]


def test_an_alias_takes_the_generic_implementation(kernel: Kernel) -> None:
    assert names(closure(kernel, ["crypto-crc32c"])) == ["hash", "crc32c_generic"]
    assert names(closure(kernel, ["fs-ext4"]))[-1] == "ext4"


def test_post_softdeps_follow_their_module(kernel: Kernel) -> None:
    assert names(closure(kernel, ["vfio"])) == ["vfio", "vfio-type1"]


def test_softdeps_in_a_circle_end(kernel: Kernel) -> None:
    assert names(closure(kernel, ["a"])) == ["b", "a"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("nosuch", "no module nosuch: "),
        ("9pnet_virtio", "no module 9pnet_virtio (CONFIG_NET_9P_VIRTIO is not set): "),
        ("virtio_scsi", "(CONFIG_SCSI_VIRTIO is not in its configuration)"),
        ("vhost", "(CONFIG_VHOST=m)"),
    ],
)
def test_an_unknown_module_is_named_with_its_symbol(kernel: Kernel, name: str, hint: str) -> None:
    with pytest.raises(InfraError) as error:
        closure(kernel, [name])
    assert hint in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_without_modules_dep(kernel: Kernel) -> None:
    (kernel.modules_dir / "modules.dep").unlink()
    with pytest.raises(InfraError, match=r"no modules\.dep: run depmod"):
        closure(kernel, ["ext4"])


def test_a_file_that_is_gone_is_named(kernel: Kernel) -> None:
    (kernel.modules_dir / "kernel/fs/mbcache.ko.xz").unlink()
    with pytest.raises(InfraError, match=r"mbcache\.ko\.xz is missing"):
        closure(kernel, ["ext4"])


@pytest.mark.parametrize("text", ["garbage\n", "kernel/a.ko: kernel/gone.ko\n"])
def test_a_damaged_modules_dep(kernel: Kernel, text: str) -> None:
    (kernel.modules_dir / "modules.dep").write_text(text)
    with pytest.raises(InfraError, match=r"modules\.dep"):
        closure(kernel, ["a"])


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_every_module_follows_what_it_needs(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """modules.dep as depmod writes it, from a random acyclic graph."""
    letters = string.ascii_lowercase[:8]
    direct = {
        name: data.draw(st.sets(st.sampled_from(letters[:place])) if place else st.just(set()))
        for place, name in enumerate(letters)
    }

    def chain(name: str) -> list[str]:
        """All it needs, the first to be loaded at the end."""
        order: list[str] = []
        for needed in sorted(direct[name]):
            for one in [*reversed(chain(needed)), needed]:
                if one not in order:
                    order.append(one)
        return order[::-1]

    directory = tmp_path_factory.mktemp("modules")
    for name in letters:
        (directory / f"{name}.ko").touch()
    (directory / "modules.dep").write_text(
        "".join(f"{n}.ko: {' '.join(f'{c}.ko' for c in chain(n))}\n" for n in letters)
    )
    kernel = Kernel("t", "1", directory, directory, directory, directory / ".config", "build")
    wanted = data.draw(st.lists(st.sampled_from(letters)))
    loaded: set[str] = set()
    for name in names(closure(kernel, wanted)):
        assert direct[name] <= loaded
        assert name not in loaded
        loaded.add(name)
    assert set(wanted) <= loaded
