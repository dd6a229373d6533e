# SPDX-License-Identifier: GPL-2.0-only
"""Install pykit from a wheel in an empty virtual environment, and use it outside the checkout."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from pykit import kernels
from pykit.paths import ROOT, cache_dir

#: Directories of the checkout that no run reads.
NOT_SHARED = {".ci", ".github", "docs", "pykit", "tests", "tools"}
#: Files of tools/ that are installed all the same.
SHARED_TOOLS = ("tools/drgn/", "tools/packages.tsv")


def tracked(folder: Path) -> list[str]:
    """Files of the checkout, without build products: tracked, or new and not ignored."""
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [name for name in done.stdout.splitlines() if (folder / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the checkout with traces of an older build in it."""
    base = tmp_path_factory.mktemp("wheel")
    for name in tracked(ROOT):
        (base / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, base / "tree" / name)
    for stale in ("build/lib/pykit/gone.py", "kernel/trace/ring.o", "kernel/compat/base.probe"):
        (base / "tree" / stale).parent.mkdir(parents=True, exist_ok=True)
        (base / "tree" / stale).touch()
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", base, base / "tree")
    (found,) = base.glob("*.whl")
    return found


def pip(*arguments: str | Path) -> None:
    """Run the pip of the tests' own environment."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_wheel_has_every_file_of_the_checkout_that_a_run_reads(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        pages = {name for name in names if ".data/data/share/man/man1/pykit" in name}
    # What makes them may be missing where a wheel is built without isolation.
    made = importlib.util.find_spec("click_man") is not None
    assert any(name.endswith("/pykit-run.1") for name in pages) == made
    names -= pages
    share = "pykit/share/"
    expected = {
        name if name.startswith("pykit/") else share + name
        for name in tracked(ROOT)
        if name == "Kbuild"
        or name.startswith(("pykit/", *SHARED_TOOLS))
        or ("/" in name and name.split("/")[0] not in NOT_SHARED)
    }
    assert names == expected


def test_its_name_and_its_extras(wheel: Path) -> None:
    assert wheel.name.startswith("virtio_pykit-")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode()
    assert "Name: virtio-pykit\n" in metadata
    needed = [line for line in metadata.splitlines() if line.startswith("Requires-Dist: ")]
    for extra in ("dask", "drgn", "dev"):
        assert f"Provides-Extra: {extra}\n" in metadata
    optional = ("distributed", "drgn", "pytest", "mypy", "ruff")
    for line in needed:
        if line.removeprefix("Requires-Dist: ").startswith(optional):
            assert "extra ==" in line


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel, and an empty folder to work in."""

    prefix: Path
    folder: Path
    cache: Path

    def files(self) -> set[Path]:
        """Return the environment's files, but for compiled Python."""
        return {path for path in self.prefix.rglob("*") if "__pycache__" not in path.parts}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the installed command in the empty folder."""
        return subprocess.run(
            [self.prefix / "bin" / "pykit", *arguments],
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder),
                "XDG_CACHE_HOME": str(self.cache),
            },
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def succeed(self, *arguments: str) -> str:
        """Run it, and return what it prints; any exit code but 0 fails the test."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel alone in an environment that borrows its dependencies from the tests' own."""
    base = tmp_path_factory.mktemp("installed")
    venv.create(base / "venv", symlinks=True)
    pip("--python", base / "venv" / "bin" / "python", "install", "--no-deps", "--no-index", wheel)
    (site,) = (base / "venv").glob("lib/python3*/site-packages")
    # The path of a .pth file is searched after site-packages, and .pth files there are not
    # read: the tests' own pykit is not found by it.
    (lent,) = {path for path in sys.path if path.endswith("/site-packages")}
    (site / "dependencies.pth").write_text(f"{lent}\n")
    for path in (site / "pykit").rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    # Kernels are the tests' own, build products and what guests leave are not.
    kernels.resolve()
    cache = base / "cache" / "pykit"
    cache.mkdir(parents=True)
    for name in ("accelerator.json", "kernels", "sources", "vmlinux"):
        if (cache_dir() / name).exists():
            (cache / name).symlink_to(cache_dir() / name)
    (base / "empty").mkdir()
    return Installed(base / "venv", base / "empty", cache.parent)


def test_it_is_not_the_checkout_that_runs(installed: Installed) -> None:
    place = subprocess.run(
        [installed.prefix / "bin" / "python", "-c", "import pykit; print(pykit.__file__)"],
        cwd=installed.folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(place.stdout.strip()).is_relative_to(installed.prefix)


def test_a_missing_extra_is_one_line(installed: Installed) -> None:
    """Python finds a broken ``distributed`` before the one that is lent."""
    broken = installed.folder / "without"
    broken.mkdir()
    (broken / "distributed.py").write_text("raise ImportError('not installed')\n")
    code = f"import sys; sys.path.insert(0, {str(broken)!r}); from pykit.cli import main; main()"
    arguments = ["matrix", "--tag", "smoke", "--scheduler", "tcp://127.0.0.1:1", "--to", "dask"]
    done = subprocess.run(
        [installed.prefix / "bin" / "python", "-c", code, *arguments],
        cwd=installed.folder,
        env={"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(installed.cache)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stdout + done.stderr
    assert "pip install 'virtio-pykit[dask]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.boot
def test_a_run_from_the_wheel(installed: Installed) -> None:
    before = installed.files()
    found = installed.run("doctor")
    assert "make" in found.stdout
    assert "Traceback" not in found.stderr
    installed.succeed("config", "minimal", "-o", "minimal.config")
    assert "CONFIG_VIRTIO_BLK=" in (installed.folder / "minimal.config").read_text()
    installed.succeed("run", "--boot", "direct", "--to", "one")
    installed.succeed("check", "one")
    part = ("--kernel", "debian-6.12", "--shard", "1/8")
    installed.succeed("matrix", "--tag", "smoke", *part, "--to", "many")
    assert (installed.folder / "many" / "matrix.json").exists()
    (build,) = (installed.cache / "pykit" / "build").iterdir()
    assert list(build.glob("*/plain/kernel/**/*.ko")) or list(build.glob("*/plain/*.ko"))
    assert installed.files() == before
