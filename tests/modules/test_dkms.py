# SPDX-License-Identifier: GPL-2.0-only
"""dkms.conf with DKMS itself, in trees of its own, and what it is made from."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import pykit
from pykit import kernels
from pykit.modules.elf import read_module
from pykit.paths import ROOT


def make(*arguments: str, **environment: str) -> str:
    """What make says in the checkout."""
    done = subprocess.run(
        ["make", "-s", "--no-print-directory", *arguments],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_the_version_has_one_place() -> None:
    assert make("version") == pykit.__version__


def test_the_list_of_modules_depends_on_the_kernel(tmp_path: Path) -> None:
    config = tmp_path / "include" / "config"
    config.mkdir(parents=True)
    (tmp_path / "vhost.h").touch()
    (config / "auto.conf").write_text("# nothing\n")
    without = make("list", f"KDIR={tmp_path}", VHOST_H=str(tmp_path)).split()
    (config / "auto.conf").write_text("CONFIG_VHOST=m\n")
    withal = make("list", f"KDIR={tmp_path}", VHOST_H=str(tmp_path)).split()
    assert {"pykit_trace", "pykit_virtio_blk"} <= set(without)
    assert set(withal) - set(without) == {"pykit_vhost"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["debian-6.12", "debian-6.1", "debian-7.2"])
def test_modules_install_puts_every_module_where_depmod_looks(tmp_path: Path, name: str) -> None:
    kernel = kernels.resolve(name)
    make("dkms", f"DESTDIR={tmp_path}")
    (source,) = (tmp_path / "usr/src").iterdir()
    kdir = f"KDIR={kernel.build_dir}"

    def install() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", "-s", kdir, f"INSTALL_MOD_PATH={tmp_path}", "modules_install"],
            cwd=source, capture_output=True, text=True, check=False,
        )  # fmt: skip

    too_early = install()
    assert too_early.returncode == 2
    assert too_early.stderr.startswith("no module was built here: make modules first\n")
    subprocess.run(["make", kdir], cwd=source, capture_output=True, check=True)
    done = install()
    assert done.returncode == 0
    assert "SSL error" not in done.stdout + done.stderr
    (modules,) = (tmp_path / "lib/modules").iterdir()
    assert modules.name == kernel.release
    installed = {path.name.split(".")[0] for path in modules.rglob("*.ko*")}
    assert installed == set(make("list", kdir).split())
    assert {path.parent.name for path in modules.rglob("*.ko*")} <= {"updates", "extra"}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("dkms") is None, reason="no dkms: make setup brings it")
@pytest.mark.skipif(os.geteuid() != 0, reason="dkms wants to be root")
def test_dkms_builds_and_installs_every_module(tmp_path: Path) -> None:
    kernel = kernels.resolve()
    vhost = str(kernels.source_tree(kernel) / "drivers" / "vhost")
    make("dkms", f"DESTDIR={tmp_path}")
    trees = {name: tmp_path / name for name in ("dkms", "modules")}
    trees["dkms"].mkdir()
    (trees["modules"] / kernel.release).mkdir(parents=True)

    def dkms(action: str, *options: str) -> str:
        done = subprocess.run(
            [
                "dkms", action, f"pykit/{pykit.__version__}", "-k", kernel.release,
                "--dkmstree", trees["dkms"], "--sourcetree", tmp_path / "usr/src",
                "--installtree", trees["modules"], "--kernelsourcedir", kernel.build_dir,
                *options,
            ],
            env={**os.environ, "VHOST_H": vhost}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        said = done.stdout + done.stderr
        logs = "".join(path.read_text() for path in trees["dkms"].rglob("make.log"))
        assert done.returncode == 0, said + logs
        return said

    dkms("install", "--no-depmod")
    names = make("list", f"KDIR={kernel.build_dir}", VHOST_H=vhost).split()
    installed = {path.name.split(".")[0]: path for path in trees["modules"].rglob("*.ko*")}
    assert set(installed) == set(names)
    assert "installed" in dkms("status")
    for path in installed.values():
        (vermagic,) = read_module(path).info("vermagic")
        assert vermagic.startswith(kernel.release)
    dkms("remove", "--no-depmod")
    assert not list(trees["modules"].rglob("*.ko*"))
