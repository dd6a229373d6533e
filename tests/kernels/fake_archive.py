# SPDX-License-Identifier: GPL-2.0-only
"""A Debian archive of tiny packages, served from a folder to a real apt."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class FakeArchive:
    """``dists/<suite>`` and a pool below `root`; every `add` rewrites the suite's index."""

    root: Path
    stanzas: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def add(
        self,
        suite: str,
        name: str,
        version: str,
        files: dict[str, bytes],
        depends: str = "",
        arch: str = "amd64",
    ) -> None:
        """Build a package; a file's content that begins with b"->" makes it a link."""
        tree = self.root / "build" / f"{name}_{version}"
        for path, content in files.items():
            target = tree / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if content.startswith(b"->"):
                target.symlink_to(content[2:].decode())
            else:
                target.write_bytes(content)
                target.chmod(0o755 if content.startswith((b"\x7fELF", b"#!")) else 0o644)
        control = tree / "DEBIAN/control"
        control.parent.mkdir(parents=True)
        text = f"Package: {name}\nVersion: {version}\nArchitecture: {arch}\nMaintainer: t <t@t>\n"
        # As essential packages have it: what has to be there before they are unpacked.
        before, _, rest = depends.rpartition(" before ")
        text += f"Pre-Depends: {before}\n" if before else ""
        text += (f"Depends: {rest}\n" if rest else "") + "Description: test\n"
        control.write_text(text)
        pool = self.root / "pool"
        pool.mkdir(exist_ok=True)
        deb = pool / f"{name}_{version}_{arch}.deb"
        subprocess.run(
            ["dpkg-deb", "-Znone", "--root-owner-group", "-b", str(tree), str(deb)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        digest = hashlib.sha256(deb.read_bytes()).hexdigest()
        text += f"Filename: pool/{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {digest}\n"
        self.stanzas.setdefault((suite, arch), []).append(text)
        self._index(suite)

    def _index(self, suite: str) -> None:
        sums = ""
        for arch in ("amd64", "arm64"):
            name = f"main/binary-{arch}/Packages"
            packages = self.root / "dists" / suite / name
            packages.parent.mkdir(parents=True, exist_ok=True)
            packages.write_text("\n".join(self.stanzas.get((suite, arch), [])))
            digest = hashlib.sha256(packages.read_bytes()).hexdigest()
            sums += f" {digest} {packages.stat().st_size} {name}\n"
        (self.root / "dists" / suite / "Release").write_text(
            f"Origin: Debian\nSuite: {suite}\nCodename: {suite}\nComponents: main\n"
            f"Architectures: amd64 arm64\nDate: Thu, 01 Jan 2026 00:00:00 UTC\n"
            f"SHA256:\n{sums}"
        )

    def add_kernel(self, suite: str, release: str, version: str, metapackage: str) -> None:
        """Metapackage, image, both headers packages and kbuild of one kernel.

        Kbuild's programs are those of amd64 for every architecture.
        """
        arch = release.rpartition("-")[2]
        headers = f"usr/src/linux-headers-{release}"
        common = f"usr/src/linux-headers-{release}-common"
        self.add(suite, metapackage, version, {}, f"linux-image-{release} (= {version})", arch)
        self.add(
            suite,
            f"linux-image-{release}",
            version,
            {
                f"boot/vmlinuz-{release}": banner(f"{release} (x) #1 SMP Debian {version} (now)"),
                f"boot/config-{release}": b"CONFIG_X=y\n",
                f"lib/modules/{release}/modules.order": b"",
                f"lib/modules/{release}/modules.builtin": b"",
            },
            "kmod, linux-base (>= 4.3~), initramfs-tools | linux-initramfs-tool",
            arch,
        )
        self.add(
            suite,
            f"linux-headers-{release}",
            version,
            {
                f"{headers}/Makefile": f"include /{common}/Makefile\n".encode(),
                f"{headers}/Module.symvers": b"",
                f"lib/modules/{release}/build": f"->/{headers}".encode(),
                f"lib/modules/{release}/source": f"->/{common}".encode(),
            },
            f"linux-base, linux-headers-{release}-common (= {version}), linux-image-{release} "
            f"| linux-image-{release}-unsigned, linux-kbuild-6.12 (>= 1), linux-compiler-12",
            arch,
        )
        shared = f"linux-headers-{release}-common"
        self.add(suite, shared, version, {f"{common}/Makefile": b"x\n"}, arch=arch)
        self.add(suite, "linux-kbuild-6.12", version, {"usr/lib/linux-kbuild-6.12/x": b"x"})

    def add_source(self, suite: str, version: str) -> None:
        """The linux-source-6.12 package, with a file that must not be unpacked."""
        top = self.root / "linux-source-6.12"
        wanted = (
            "COPYING CREDITS Kbuild Kconfig MAINTAINERS Makefile README scripts/checkpatch.pl "
            "init/Kconfig include/linux/kconfig.h include/uapi/linux/vhost.h arch/x86/Makefile "
            "arch/x86/configs/x86_64_defconfig kernel/configs/tiny.config drivers/vhost/vhost.h "
            "drivers/gpu/big.c"
        )
        for name in wanted.split():
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            (top / name).write_text(name)
        packed = self.root / "source.tar.xz"
        with tarfile.open(packed, "w:xz") as tar:
            tar.add(top, "linux-source-6.12")
        shutil.rmtree(top)
        content = {"usr/src/linux-source-6.12.tar.xz": packed.read_bytes()}
        self.add(suite, "linux-source-6.12", version, content)


def banner(text: str) -> bytes:
    """The head of a bzImage whose version string is `text`."""
    head = bytearray(0x400)
    head[0x20E:0x210] = (0x100).to_bytes(2, "little")
    return bytes(head[:0x300]) + text.encode() + b"\0"
