# SPDX-License-Identifier: GPL-2.0-only
"""Kernels of a suite whose programs do not run here: the suite is this machine's own, with
its C library and its programs in a folder, so that the wrapping is the real one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pykit import kernels
from pykit.errors import InfraError
from pykit.kernels import toolchain

from .fake_archive import FakeArchive, banner

RELEASE, VERSION = "7.2.13+deb14-amd64", "7.2.13-1"
LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")

needs_glibc = pytest.mark.skipif(
    not Path("/", toolchain.LOADER).exists(), reason="no amd64 C library where Debian has it"
)


def add_split_kernel(archive: FakeArchive, release: str = RELEASE) -> None:
    """A kernel as sid has it: the image in three packages, its own compiler and tools."""
    headers, common = f"usr/src/linux-headers-{release}", f"usr/src/linux-headers-{release}-common"
    modules = f"usr/lib/modules/{release}"
    program = Path("/bin/echo").read_bytes()

    def add(name: str, files: dict[str, bytes], depends: str = "") -> None:
        archive.add("sid", name, VERSION, files, depends)

    add("linux-image-amd64", {}, f"linux-base-amd64, linux-image-{release}")
    add(
        f"linux-image-{release}",
        {},
        f"dracut, linux-base-{release}, linux-binary-{release}, linux-modules-{release}",
    )
    add(f"linux-base-{release}", {f"{modules}/config": b"CONFIG_X=y\n"})
    image = banner(f"{release} (x) #1 SMP Debian {VERSION} (now)")
    add(f"linux-binary-{release}", {f"{modules}/vmlinuz": image})
    add(f"linux-modules-{release}", {f"{modules}/{n}": b"" for n in ("modules.order", "x.ko")})
    makefile = (
        f"KBUILD_OUTPUT=/{headers}\ninclude /{common}/Makefile\n"
        "all:\n\t@x86_64-linux-gnu-gcc-16 $(KBUILD_OUTPUT)\n"
    )
    add(
        f"linux-headers-{release}",
        {
            f"{headers}/Makefile": makefile.encode(),
            f"{headers}/Module.symvers": b"",
            f"{modules}/build": f"->../../../src/linux-headers-{release}".encode(),
        },
        f"gcc-16-for-host, linux-headers-{release}-common, linux-kbuild-7.2",
    )
    add(f"linux-headers-{release}-common", {f"{common}/Makefile": b"# common\n"})
    add("linux-kbuild-7.2", {"usr/lib/linux-kbuild-7.2/modpost": program}, "pahole, libc6")
    add("gcc-16-for-host", {}, "gcc-16-x86-64-linux-gnu")
    add(
        "gcc-16-x86-64-linux-gnu",
        {"usr/bin/x86_64-linux-gnu-gcc-16": program},
        "libc6, libgcc-16-dev, sphinx",
    )
    add("pahole", {"usr/bin/pahole": b"#!/bin/sh\n"})
    add("libgcc-16-dev", {"usr/lib/libgcc.a": b""})
    add(
        "libc6",
        {
            str(toolchain.LOADER): Path("/", toolchain.LOADER).read_bytes(),
            "usr/lib/x86_64-linux-gnu/libc.so.6": (LIBRARIES / "libc.so.6").read_bytes(),
        },
    )


@needs_glibc
def test_the_suites_own_programs_run_from_the_cache(archive: FakeArchive) -> None:
    add_split_kernel(archive)
    kernel = kernels.resolve("debian-7.2")
    root = kernel.build_dir.parents[2]

    assert (kernel.release, kernel.image.name, kernel.config.name) == (RELEASE, "vmlinuz", "config")
    assert (kernel.modules_dir / "build").resolve() == kernel.build_dir
    for tool in ("usr/bin/x86_64-linux-gnu-gcc-16", "usr/bin/gcc-16"):
        done = subprocess.run([root / tool, "a b", "*"], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, "a b *\n")
    wrapper = (root / "usr/lib/linux-kbuild-7.2/modpost").read_text()
    assert wrapper.startswith("#!/bin/sh\n")
    assert f"--library-path {root}/usr/lib/x86_64-linux-gnu" in wrapper
    assert (root / "usr/bin/pahole").read_text() == "#!/bin/sh\n"
    assert not (root / "usr/lib/x86_64-linux-gnu/libc.so.6.elf").exists()
    assert not (root / "usr/lib/libgcc.a").exists()


@needs_glibc
@pytest.mark.skipif(not shutil.which("make"), reason="no make")
def test_any_make_finds_them(archive: FakeArchive) -> None:
    add_split_kernel(archive)
    kernel = kernels.resolve("debian-7.2")
    done = subprocess.run(
        ["make", "-C", kernel.build_dir, "all", "--no-print-directory"],
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"{kernel.build_dir}\n", done.stderr


@needs_glibc
def test_a_suite_that_moved_on_has_no_such_kernel(archive: FakeArchive) -> None:
    add_split_kernel(archive, "7.3.1+deb14-amd64")
    with pytest.raises(InfraError, match=r"no debian-7.2 kernel"):
        kernels.resolve("debian-7.2")
