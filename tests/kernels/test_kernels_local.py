# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that are already here: installed, built in place, built elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pykit import kernels
from pykit.arch import ARM64
from pykit.errors import UsageError
from pykit.kernels import local
from pykit.kernels.model import Kernel, silent

from .fake_archive import banner

RELEASE = "6.1.0-56-amd64"

needs_depmod = pytest.mark.skipif(
    not shutil.which("depmod", path="/usr/sbin:/sbin:/usr/bin"), reason="no depmod"
)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with one kernel and its headers."""
    root = tmp_path / "root"
    for folder in ("boot", f"lib/modules/{RELEASE}", "usr/src/headers"):
        (root / folder).mkdir(parents=True)
    (root / f"boot/vmlinuz-{RELEASE}").write_bytes(banner(f"{RELEASE} (x) #1 Debian 6.1.192-2 ()"))
    (root / f"boot/config-{RELEASE}").write_text("")
    (root / "usr/src/headers/Makefile").write_text("")
    (root / f"lib/modules/{RELEASE}/build").symlink_to(root / "usr/src/headers")
    return root


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source tree after make, with one module."""
    tree = tmp_path / "linux"
    files = {
        "Kconfig": "",
        "scripts/x": "",
        ".config": "",
        "Module.symvers": "",
        "arch/x86/boot/bzImage": "",
        "include/config/kernel.release": "7.2.0-rc1+\n",
        "modules.order": "drivers/a.o\n",
        "drivers/a.ko": "",
        "modules.builtin": "",
    }
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    return tree


def test_an_installed_kernel(root: Path) -> None:
    kernel = local.installed(RELEASE, root)
    assert kernel is not None
    assert kernel.build_dir == root / "usr/src/headers"
    assert (kernel.origin, kernel.config.name) == ("installed", f"config-{RELEASE}")
    assert local.debian_version(kernel) == "6.1.192-2"
    assert local.installed("6.1.0-1-amd64", root) is None
    assert local.installed_releases(root) == [RELEASE]


def test_an_installed_kernel_without_headers_names_the_package(root: Path) -> None:
    (root / f"lib/modules/{RELEASE}/build").unlink()
    with pytest.raises(UsageError, match=f"install linux-headers-{RELEASE} "):
        local.installed(RELEASE, root)


def test_an_image_kept_beside_its_modules(root: Path) -> None:
    image = root / f"lib/modules/{RELEASE}/vmlinuz"
    (root / f"boot/vmlinuz-{RELEASE}").rename(image)
    (root / f"boot/config-{RELEASE}").rename(root / "usr/src/headers/.config")
    kernel = local.installed(RELEASE, root)
    assert kernel is not None
    assert (kernel.image, kernel.config.name) == (image, ".config")


def test_leftover_modules_without_an_image_are_no_kernel(root: Path) -> None:
    (root / f"boot/vmlinuz-{RELEASE}").unlink()
    assert local.installed(RELEASE, root) is None
    assert local.installed_releases(root) == []


def test_the_architecture_is_that_of_the_configuration(tree: Path) -> None:
    (tree / ".config").write_text("# x\nCONFIG_ARM64=y\n")
    assert kernels.arch_of(str(tree)) == ARM64
    with pytest.raises(UsageError, match=r"arch/arm64/boot/Image is missing"):
        kernels.resolve(str(tree))


@needs_depmod
def test_a_built_source_tree(tree: Path) -> None:
    kernel = kernels.resolve(str(tree))
    assert (kernel.release, kernel.origin) == ("7.2.0-rc1+", "source")
    assert kernel.modules_dir.parts[-3:] == ("lib", "modules", "7.2.0-rc1+")
    assert (kernel.modules_dir / "kernel/drivers/a.ko").resolve() == tree / "drivers/a.ko"
    assert "kernel/drivers/a.ko" in (kernel.modules_dir / "modules.dep").read_text()
    assert kernels.source_tree(kernel) == tree


@needs_depmod
def test_the_index_of_a_tree_is_made_anew_when_it_was_built_again(tree: Path) -> None:
    said: list[str] = []
    local.built(tree, said.append)
    local.built(tree, said.append)
    assert len(said) == 1
    (tree / "drivers/b.ko").write_text("")
    (tree / "modules.order").write_text("kernel/drivers/a.ko\nkernel/drivers/b.ko\n")
    kernel = local.built(tree, said.append)
    assert len(said) == 2
    assert "kernel/drivers/b.ko" in (kernel.modules_dir / "modules.dep").read_text()


@needs_depmod
def test_a_build_directory_beside_its_source(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    tree.rename(out)
    (out / "Kconfig").unlink()
    shutil.rmtree(out / "scripts")
    kernel = local.built(out, silent)
    assert kernel.origin == "build"
    with pytest.raises(UsageError, match="no 'source' link"):
        kernels.source_tree(kernel)
    (tmp_path / "src/scripts").mkdir(parents=True)
    (tmp_path / "src/Kconfig").write_text("")
    (out / "source").symlink_to(tmp_path / "src")
    assert kernels.source_tree(kernel) == tmp_path / "src"


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        (".config", "without a build: run make there first"),
        ("arch/x86/boot/bzImage", r"arch/x86/boot/bzImage is missing\): run make"),
        ("Module.symvers", r"Module.symvers is missing\): run make"),
        ("include/config/kernel.release", "kernel.release is missing"),
        ("drivers/a.ko", "drivers/a.ko is missing"),
    ],
)
def test_a_tree_that_is_not_fully_built(tree: Path, gone: str, message: str) -> None:
    (tree / gone).unlink()
    with pytest.raises(UsageError, match=message):
        kernels.resolve(str(tree))


def test_a_headers_folder_is_pointed_to_its_kernel(tree: Path) -> None:
    headers = tree.rename(tree.parent / f"linux-headers-{RELEASE}")
    (headers / "arch/x86/boot/bzImage").unlink()
    with pytest.raises(UsageError, match=f"holds headers only: use --kernel {RELEASE}"):
        kernels.resolve(str(headers))


@pytest.mark.parametrize("spec", ["foo", "linux-6.1", "6.1", "9.9.9", "-o", "6.1.0;rm-amd64"])
def test_an_unknown_name_lists_the_valid_forms(spec: str) -> None:
    with pytest.raises(UsageError, match=r"unknown kernel .*, an installed release"):
        kernels.resolve(spec)


def test_a_directory_that_is_no_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no kernel build directory"):
        kernels.resolve(str(tmp_path))
    with pytest.raises(UsageError, match="is not a directory"):
        kernels.resolve("./nowhere")
    (tmp_path / "linux").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="no kernel build directory"):
        kernels.resolve("linux")


def test_the_source_of_a_foreign_kernel_is_not_guessed(tmp_path: Path) -> None:
    image = tmp_path / "vmlinuz"
    image.write_bytes(banner("6.9.0-foo (me@here) #1 SMP"))
    kernel = Kernel("x", "6.9.0-foo", image, tmp_path, tmp_path, tmp_path / ".config", "installed")
    with pytest.raises(UsageError, match=r"not Debian's\): name its source"):
        kernels.source_tree(kernel)
    image.write_bytes(b"short")
    with pytest.raises(UsageError, match="name its source"):
        kernels.source_tree(kernel)
