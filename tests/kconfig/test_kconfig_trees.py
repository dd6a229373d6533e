# SPDX-License-Identifier: GPL-2.0-only
"""The shipped profiles against the default kernel's real tree and its real configuration."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pykit import kconfig, kernels
from pykit.errors import InfraError
from pykit.kconfig.fragments import parse_line


@pytest.fixture(scope="module")
def kernel() -> kernels.Kernel:
    try:
        return kernels.resolve()
    except InfraError as error:
        pytest.skip(f"no kernel in the cache and none to be had: {error}")


@pytest.fixture(scope="module")
def tree(kernel: kernels.Kernel) -> Path:
    try:
        return kernels.source_tree(kernel)
    except InfraError as error:
        pytest.skip(f"no source in the cache and none to be had: {error}")


#: Profiles that a kernel for everybody has all of.
COMMON = ("guest", "minimal", "mmio", "pci-iommu", "pci-legacy", "s390x", "vng")

#: Fragments of options that no kernel for everybody has.
SPECIAL = {"kasan", "kcsan", "lockdep", "vdpa", "kunit", "virtio-modular"}


@pytest.mark.parametrize("name", COMMON)
def test_debians_kernel_has_what_the_profiles_want(name: str, kernel: kernels.Kernel) -> None:
    assert [str(lack) for lack in kconfig.check(name, kernel.config)] == []


def test_the_other_profiles_are_for_kernels_of_our_own(kernel: kernels.Kernel) -> None:
    for profile in kconfig.profiles():
        if profile.name not in COMMON:
            lacks = {
                Path(lack.want.fragment).stem for lack in kconfig.check(profile, kernel.config)
            }
            assert lacks & SPECIAL, profile.name


@pytest.mark.parametrize("name", [p.name for p in kconfig.profiles() if p.name != "minimal"])
def test_a_profile_resolves(name: str, tree: Path, tmp_path: Path) -> None:
    found = kconfig.resolve(name, tree)
    found.write(tmp_path / ".config")
    assert kconfig.check(name, tmp_path / ".config") == []
    # Little is pulled in beside what the fragments name.
    assert len(found.pulled) < 10


def test_the_kernels_own_tool_agrees_on_minimal(tree: Path, tmp_path: Path) -> None:
    """Its olddefconfig changes no symbol of ours, and the fragment says as much as the whole."""
    if not all(map(shutil.which, ("make", "flex", "bison"))):
        pytest.skip("scripts/kconfig cannot be built: flex and bison are needed")
    found = kconfig.resolve("minimal", tree)
    # Building the tool dirties the tree, so it gets one of its own.
    copy = tmp_path / "linux"
    shutil.copytree(tree, copy, symlinks=True)
    (copy / ".config").write_text(found.config)
    (copy / "fragment").write_text(found.fragment)

    def make(target: str, *variables: str) -> dict[str, str]:
        subprocess.run(
            ["make", "-s", "-C", str(copy), target, *variables],
            check=True,
            capture_output=True,
            timeout=120,
        )
        text = (copy / ".config").read_text()
        return dict(filter(None, map(parse_line, text.splitlines())))

    ours = dict(filter(None, map(parse_line, found.config.splitlines())))
    assert make("olddefconfig") == ours
    assert make("allnoconfig", f"KCONFIG_ALLCONFIG={copy / 'fragment'}") == ours
