# SPDX-License-Identifier: GPL-2.0-only
"""What stands between virtme-ng and QEMU."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pykit.guests import runners


def test_qemu_gets_our_first_process_and_an_unpacked_image(tmp_path: Path) -> None:
    echo = tmp_path / "echo"
    echo.write_text("#!/bin/sh\nprintf '<%s>' \"$@\"\n")
    echo.chmod(0o755)
    known = {"INIT": tmp_path / "init", "IMAGE": "/cache/vmlinux", "QEMU": echo}
    before = runners._script(tmp_path / "qemu", known, runners._BEFORE_QEMU)
    words = ["-m", "1 G", "-kernel", "/boot/vmlinuz", "-append", "rdinit=/i x=1 init=/vng -- a  b"]
    done = subprocess.run([before, *words], capture_output=True, text=True, check=True)
    appended = f"rdinit=/i x=1 init={tmp_path}/init -- a  b"
    assert done.stdout == f"<-m><1 G><-kernel></cache/vmlinux><-append><{appended}>"
