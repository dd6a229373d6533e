# SPDX-License-Identifier: GPL-2.0-only
"""Fetching kernels: apt, dpkg and depmod are real, the archive is a small one."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pykit import kernels
from pykit.arch import ARM64
from pykit.errors import InfraError, UsageError
from pykit.kernels import debian, store, trees
from pykit.kernels.model import silent

from .fake_archive import FakeArchive

META = "linux-image-6.12-amd64"
OLD, NEW = "6.12.95+deb12-amd64", "6.12.117+deb12-amd64"


def test_the_default_is_fetched_fixed_up_and_then_served_offline(
    archive: FakeArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.add_kernel("bookworm-security", NEW, "6.12.117-1", META)
    said: list[str] = []
    kernel = kernels.resolve(progress=said.append)

    assert (kernel.name, kernel.release, kernel.origin) == ("debian-6.12", NEW, "debian")
    assert kernel.image.read_bytes()[:1] == b"\0"
    assert kernel.config.read_text() == "CONFIG_X=y\n"
    assert (kernel.modules_dir / "modules.dep").exists()
    included = (kernel.build_dir / "Makefile").read_text().split()[1]
    assert Path(included).read_text() == "x\n"
    assert (kernel.modules_dir / "build").resolve() == kernel.build_dir
    assert (kernel.modules_dir / "source" / "Makefile").exists()
    assert any("downloading 4 packages" in line for line in said)
    assert not list(store.kernels_dir().rglob("*.deb"))
    assert not list(store.kernels_dir().glob(".new-*"))

    monkeypatch.setenv("PATH", "")
    begin = time.monotonic()
    assert kernels.resolve("debian-6.12") == kernel
    assert time.monotonic() - begin < 0.1


def test_a_kernel_of_another_architecture(archive: FakeArchive) -> None:
    release = NEW.replace("amd64", "arm64")
    archive.add_kernel("bookworm-security", release, "6.12.117-1", META.replace("amd64", "arm64"))
    kernel = kernels.resolve("debian-6.12-arm64")
    assert (kernel.name, kernel.release, kernel.arch) == ("debian-6.12-arm64", release, ARM64)
    assert (store.kernels_dir() / release / "usr/lib/linux-kbuild-6.12/x").exists()
    assert kernels.resolve(release) == replace(kernel, name=release)


@pytest.mark.parametrize(
    ("spec", "arch", "name"),
    [
        (None, None, None),
        ("debian-6.1", "amd64", "debian-6.1"),
        (None, "arm64", "debian-6.12-arm64"),
        ("default", "arm64", "debian-6.12-arm64"),
        ("debian-6.1", "arm64", "debian-6.1-arm64"),
        ("debian-6.1-arm64", "arm64", "debian-6.1-arm64"),
        ("6.1.0-50-arm64", "arm64", "6.1.0-50-arm64"),
    ],
)
def test_the_same_kernel_of_an_architecture(
    spec: str | None, arch: str | None, name: str | None
) -> None:
    assert kernels.on_arch(spec, arch) == name


def test_no_profile_for_another_architecture() -> None:
    for source in ("debian-6.1-arm64", "6.1.0-50-arm64"):
        with pytest.raises(UsageError, match=f"kernel {source} is of arm64, and profiles are"):
            kernels.build("minimal", source, step=lambda *_: None)


def test_no_such_architecture() -> None:
    with pytest.raises(UsageError, match=r"unknown architecture 'arm' \(did you mean 'arm64'\?\)"):
        kernels.on_arch(None, "arm")
    # Its suite has a compiler of its own, and none for others.
    for spec in ("debian-7.2", "6.1.0-50-amd64", "/boot"):
        with pytest.raises(UsageError, match=f"kernel {spec} is not of arm64: leave --arch out"):
            kernels.on_arch(spec, "arm64")


def test_backports_serve_when_security_has_no_such_kernel(archive: FakeArchive) -> None:
    archive.add("bookworm-security", "other", "1", {})
    archive.add_kernel("bookworm-backports", OLD, "6.12.95-1", "linux-image-amd64")
    assert kernels.resolve().release == OLD


def test_a_refresh_replaces_the_older_release(archive: FakeArchive) -> None:
    archive.add_kernel("bookworm-security", OLD, "6.12.95-1", META)
    assert kernels.resolve().release == OLD
    archive.add_kernel("bookworm-security", NEW, "6.12.117-1", META)
    assert kernels.resolve().release == OLD
    assert kernels.get("default", refresh=True).release == NEW
    assert debian.cached_releases() == [NEW]


def test_a_refresh_follows_a_rebuild_under_the_same_release(archive: FakeArchive) -> None:
    archive.add_kernel("bookworm-security", NEW, "6.12.117-1", META)
    kernel = kernels.resolve()
    archive.add_kernel("bookworm-security", NEW, "6.12.117-2", META)
    assert kernels.get(refresh=True) == kernel
    assert debian.version_of(NEW) == ("6.12.117-2", "bookworm-security")
    said: list[str] = []
    kernels.get(refresh=True, progress=said.append)
    assert "newest" in said[-1]


def test_an_exact_release_is_taken_from_any_suite(archive: FakeArchive) -> None:
    archive.add_kernel("bookworm-backports", OLD, "6.12.95-1", "linux-image-amd64")
    kernel = kernels.resolve(OLD)
    assert (kernel.name, kernel.release) == (OLD, OLD)
    known = {k.name: k for k in kernels.list_known()}
    assert known[OLD].state == "cached"
    assert known["debian-6.12"].state == "available"
    # Asked for by its name, it is the same folder, now of that name.
    assert kernels.resolve().release == OLD
    assert [k.release for k in kernels.list_known() if k.state == "cached"] == [OLD]


def test_a_release_that_nobody_has_is_a_usage_error(archive: FakeArchive) -> None:
    archive.add_kernel("bookworm-security", NEW, "6.12.117-1", META)
    with pytest.raises(UsageError, match=r"no kernel 5.10.0-1-amd64.*bookworm-security"):
        kernels.resolve("5.10.0-1-amd64")


def test_an_archive_without_the_kernel_says_what_to_do(archive: FakeArchive) -> None:
    archive.add("bookworm-security", "other", "1", {})
    with pytest.raises(InfraError, match=r"no debian-6.12 kernel: name an installed kernel"):
        kernels.resolve()


def test_what_a_killed_process_left_is_swept_and_redone(archive: FakeArchive) -> None:
    archive.add_kernel("bookworm-security", NEW, "6.12.117-1", META)
    half = store.kernels_dir() / NEW
    (half / "boot").mkdir(parents=True)
    leftover = store.kernels_dir() / ".new-dead"
    leftover.mkdir()
    assert kernels.resolve().image.exists()
    assert not leftover.exists()


def test_a_damaged_package_leaves_nothing_behind(archive: FakeArchive) -> None:
    archive.add_kernel("bookworm-security", NEW, "6.12.117-1", META)
    deb = archive.root / "pool" / f"linux-image-{NEW}_6.12.117-1_amd64.deb"
    deb.write_bytes(b"x" * deb.stat().st_size)
    with pytest.raises(InfraError, match="cannot download") as error:
        kernels.resolve()
    assert "\n" not in str(error.value)
    assert [p.name for p in store.kernels_dir().iterdir()] == [".lock"]


def test_a_disk_too_small_is_refused_before_the_download(
    archive: FakeArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.add_kernel("bookworm-security", NEW, "6.12.117-1", META)
    monkeypatch.setattr(store.shutil, "disk_usage", lambda _: type("U", (), {"free": 1000})())
    with pytest.raises(InfraError, match="free some, or set XDG_CACHE_HOME"):
        kernels.resolve()


@pytest.mark.parametrize("message", ["write failed: No space left on device", "plain failure"])
def test_a_tool_that_fails_is_one_line(tmp_path: Path, message: str) -> None:
    script = f"echo noise >&2; echo '{message}' >&2; exit 1"
    with pytest.raises(InfraError) as error:
        debian.run(["sh", "-c", script], tmp_path)
    text = str(error.value)
    assert "\n" not in text
    assert ("is full" in text) == ("No space" in message)


def test_a_cache_that_cannot_be_written_is_an_infra_error(
    archive: FakeArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(InfraError, match="set XDG_CACHE_HOME"):
        kernels.resolve()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "with space"))
    archive.add_kernel("bookworm-security", NEW, "6.12.117-1", META)
    with pytest.raises(InfraError, match="space or colon"):
        kernels.resolve()


def test_a_machine_without_apt_is_told_to_name_a_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InfraError, match=r"no apt here.*--kernel"):
        kernels.resolve()


def test_only_one_process_fills_the_cache(archive: FakeArchive) -> None:
    archive.add_kernel("bookworm-security", NEW, "6.12.117-1", META)
    store.kernels_dir().mkdir(parents=True)
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import fcntl, time; f = open({str(store.kernels_dir() / '.lock')!r}, 'w'); "
            "fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); time.sleep(0.5)",
        ],
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    said: list[str] = []
    kernels.resolve(progress=said.append)
    assert "waiting for another pykit" in said[0]
    assert holder.wait() == 0
    with (store.kernels_dir() / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_the_source_of_the_same_version_is_unpacked_in_part(archive: FakeArchive) -> None:
    archive.add_kernel("bookworm-security", NEW, "6.12.117-1", META)
    archive.add_source("bookworm-security", "6.12.117-1")
    archive.add_source("bookworm-security", "6.12.118-1")
    kernel = kernels.resolve()
    tree = kernels.source_tree(kernel)
    for name in ("Kconfig", "Makefile", "scripts/checkpatch.pl", "drivers/vhost/vhost.h"):
        assert (tree / name).exists()
    assert not (tree / "drivers/gpu").exists()
    assert not list(tree.parent.glob("*.deb"))
    assert tree.name == "6.12.117-1"
    said: list[str] = []
    assert kernels.source_tree(kernel, said.append) == tree
    assert not said


def test_the_whole_source_is_unpacked_to_build_from(archive: FakeArchive) -> None:
    archive.add_kernel("bookworm-security", NEW, "6.12.117-1", META)
    archive.add_source("bookworm-security", "6.12.117-1")
    source = trees.of_kernel(kernels.resolve("debian-6.12"), silent)
    assert (source.name, source.identity) == ("6.12", "debian 6.12.117-1")
    assert (source.tree / "drivers/gpu/big.c").exists()
    assert (source.tree / "Kconfig").exists()
    # The part that modules are built with is a folder of its own.
    assert kernels.source_tree(kernels.resolve()) != source.tree


def test_a_source_that_debian_dropped_is_an_infra_error(archive: FakeArchive) -> None:
    archive.add_kernel("bookworm-security", NEW, "6.12.117-1", META)
    archive.add_source("bookworm-security", "6.12.118-1")
    with pytest.raises(InfraError, match=r"no longer has linux-source-6.12 6.12.117-1"):
        kernels.source_tree(kernels.resolve())


@pytest.mark.slow
def test_the_real_default_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Downloads 120 MB from this machine's mirror."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kernel = kernels.resolve()
    assert kernel.release.startswith("6.12.")
    assert "virtio_blk" in (kernel.modules_dir / "modules.dep").read_text()
