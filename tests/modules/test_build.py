# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pykit import paths
from pykit.errors import InfraError
from pykit.kernels import Kernel
from pykit.modules import Build, build

from .conftest import RELEASE, source

# The package's attribute of that name is the function.
build_module = sys.modules["pykit.modules.build"]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with three modules, of which two need the one that sorts last."""
    root = tmp_path / "checkout"
    (root / "kernel").mkdir(parents=True)
    (root / "Kbuild").write_text("obj-m += kernel/\n")
    (root / "kernel/zz_trace.c").write_text(source(tracepoints=["t"]))
    (root / "kernel/blk.c").write_text(source(depends=["zz_trace", "virtio"]))
    (root / "kernel/lonely.c").write_text(source())
    (root / "kernel/blk.o").write_text("left by make in the tree")
    tree = tmp_path / "tree"
    (tree / "drivers/vhost").mkdir(parents=True)
    (tree / "drivers/vhost/vhost.h").touch()
    monkeypatch.setattr(paths, "ROOT", root)
    monkeypatch.setattr(build_module, "source_tree", lambda kernel, progress: tree)
    return root


@pytest.fixture
def folder(checkout: Path) -> Path:
    return checkout / "build" / RELEASE / "plain"


def stems(built: Build) -> list[str]:
    return [path.stem for path in built.modules]


def times(built: Build) -> dict[str, int]:
    return {path.stem: path.stat().st_mtime_ns for path in built.modules}


def test_modules_in_load_order(kernel: Kernel, folder: Path) -> None:
    said: list[str] = []
    built = build(kernel, progress=said.append)
    assert built.dir == folder
    assert stems(built) == ["zz_trace", "blk", "lonely"]
    assert built.needs == ("virtio",)
    assert not (folder / "kernel/blk.o").exists()
    assert said[0] == f"building modules for {RELEASE} (plain)"


def test_nothing_changed_nothing_done(kernel: Kernel, folder: Path) -> None:
    first = build(kernel)
    before = times(first)
    (folder.with_suffix(".log")).unlink()
    started = time.monotonic()
    said: list[str] = []
    assert build(kernel, progress=said.append) == first
    assert time.monotonic() - started < 0.3
    assert said == []
    assert times(first) == before
    assert not folder.with_suffix(".log").exists()


def test_only_what_changed_is_compiled(kernel: Kernel, checkout: Path) -> None:
    before = times(build(kernel))
    (checkout / "kernel/blk.c").write_text(source(depends=["zz_trace"]))
    # An older time than that of the object: as after a switch of branches.
    os.utime(checkout / "kernel/blk.c", (0, 0))
    built = build(kernel)
    after = times(built)
    assert built.needs == ()
    assert [name for name in after if after[name] != before[name]] == ["blk"]


def test_a_removed_source_goes(kernel: Kernel, checkout: Path, folder: Path) -> None:
    build(kernel)
    (checkout / "kernel/lonely.c").unlink()
    assert stems(build(kernel)) == ["zz_trace", "blk"]
    assert not (folder / "kernel/lonely.c").exists()


def test_another_kernel_under_the_same_release_starts_over(kernel: Kernel, folder: Path) -> None:
    build(kernel)
    (folder / "leftover").touch()
    symvers = kernel.build_dir / "Module.symvers"
    os.utime(symvers, (1, 1))
    build(kernel)
    assert not (folder / "leftover").exists()


def test_fault_and_plain_are_apart(kernel: Kernel, checkout: Path, folder: Path) -> None:
    (checkout / "kernel/lonely.c").write_text(
        source() + "#ifdef PYKIT_FAULT\nint fault_marker;\n#endif\n"
    )
    plain, fault = build(kernel), build(kernel, fault=True)
    assert fault.dir == folder.with_name("fault")
    assert b"fault_marker" not in plain.modules[-1].read_bytes()
    assert b"fault_marker" in fault.modules[-1].read_bytes()


def test_what_a_calling_make_exports_changes_nothing(
    kernel: Kernel, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"FAULT": "1", "MAKEFLAGS": "n", "VHOST_H": "/nowhere"}.items():
        monkeypatch.setenv(name, value)
    (checkout / "kernel/lonely.c").write_text("#ifdef PYKIT_FAULT\n#error no\n#endif\n" + source())
    build(kernel)


def test_a_compiler_error_is_shown_with_the_log(
    kernel: Kernel, checkout: Path, folder: Path
) -> None:
    (checkout / "kernel/blk.c").write_text("int a;\nint broken(void) { return undeclared; }\n")
    with pytest.raises(InfraError) as error:
        build(kernel)
    message = str(error.value)
    assert "kernel/blk.c:2:" in message
    assert "error:" in message
    assert f"(log: {folder}.log)" in message
    assert "\n" not in message
    (checkout / "kernel/blk.c").write_text(source())
    assert len(build(kernel).modules) == 3


def test_a_module_that_would_not_load_is_no_good_build(kernel: Kernel, checkout: Path) -> None:
    (checkout / "kernel/blk.c").write_text(source(vermagic="wrong"))
    for _ in range(2):
        with pytest.raises(InfraError, match=r"blk\.ko: vermagic"):
            build(kernel)


def test_a_damaged_product_is_built_again(kernel: Kernel, folder: Path) -> None:
    whole = build(kernel).modules[0].read_bytes()
    (folder / "kernel/zz_trace.ko").write_bytes(whole[:100])
    assert build(kernel).modules[0].read_bytes() == whole


@pytest.mark.parametrize("text", ["", "null", "{}", '{"schema": 1, "modules": [1]}', "[" * 9])
def test_a_damaged_state_file_means_a_new_build(kernel: Kernel, folder: Path, text: str) -> None:
    build(kernel)
    folder.with_suffix(".json").write_text(text)
    assert len(build(kernel).modules) == 3


def test_modules_that_need_each_other(kernel: Kernel, checkout: Path) -> None:
    (checkout / "kernel/zz_trace.c").write_text(source(depends=["blk"]))
    with pytest.raises(InfraError, match="depend on each other"):
        build(kernel)


def test_a_kernel_without_symvers(kernel: Kernel, checkout: Path) -> None:
    (kernel.build_dir / "Module.symvers").unlink()
    with pytest.raises(InfraError, match=r"Module\.symvers: No such file"):
        build(kernel)


def test_two_at_once_build_once(kernel: Kernel, checkout: Path) -> None:
    said: list[str] = []
    threads = [
        threading.Thread(target=build, args=(kernel,), kwargs={"progress": said.append})
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(line.startswith("building") for line in said) == 1


_VICTIM = """
import sys
from pathlib import Path
from pykit import paths
from pykit.kernels import Kernel
from pykit.modules import build
paths.ROOT, tree, *fields, origin = [Path(a) for a in sys.argv[1:]]
sys.modules["pykit.modules.build"].source_tree = lambda kernel, progress: tree
build(Kernel("t", str(fields[0]), *fields[1:], str(origin)))
"""


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_build_leaves_nothing_that_is_trusted(
    kernel: Kernel, checkout: Path, folder: Path, signum: signal.Signals
) -> None:
    (checkout / "kernel/sleep").touch()
    arguments = [checkout, checkout.parent / "tree", kernel.release, kernel.image]
    arguments += [kernel.modules_dir, kernel.build_dir, kernel.config, kernel.origin]
    victim = subprocess.Popen(
        [sys.executable, "-c", _VICTIM, *map(str, arguments)], stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 20
    while not (folder / "kernel/asleep").exists():
        assert time.monotonic() < deadline
        assert victim.poll() is None
        time.sleep(0.02)
    victim.send_signal(signum)
    victim.wait(10)
    if signum == signal.SIGKILL:
        # Its make outlives it, and holds the lock for as long.
        for process in _sleeping(folder):
            os.kill(process, signal.SIGKILL)
    (folder / "half-written").touch()
    (checkout / "kernel/sleep").unlink()
    assert stems(build(kernel)) == ["zz_trace", "blk", "lonely"]
    assert not (folder / "half-written").exists()
    assert _sleeping(folder) == []


def _sleeping(folder: Path) -> list[int]:
    """Processes with the folder in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in command:
                found.append(int(entry.name))
    return found


def test_read_only(
    kernel: Kernel, checkout: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modules that are there can be used; others are refused in one line."""
    first = build(kernel)
    opened = Path.open

    def read_only(path: Path, mode: str = "r", *rest: object, **more: object) -> object:
        if mode != "r" and path.suffix == ".lock":
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return opened(path, mode, *rest, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", read_only)
    monkeypatch.setattr(build_module.os, "access", lambda *_: False)
    # Where nothing can be written, products go to the cache: here, they are in the checkout.
    monkeypatch.setattr(build_module.paths, "build_dir", lambda: folder.parents[1])
    assert build(kernel) == first
    (checkout / "kernel/lonely.c").write_text(source(depends=["virtio"]))
    with pytest.raises(InfraError, match=f"{folder.parent}: read-only"):
        build(kernel)
