# SPDX-License-Identifier: GPL-2.0-only
"""Reading the machine's apt sources, in both formats and with other vendors among them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pykit.errors import InfraError
from pykit.kernels.mirrors import AptSource, debian_archive, machine_sources

KEY = "/usr/share/keyrings/debian-archive-keyring.gpg"

DEB822 = f"""\
# the machine's own
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
# a comment in a stanza
Signed-By: {KEY}

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://src.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://key.example/debian
Suites: bookworm
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 AAAA
 -----END PGP PUBLIC KEY BLOCK-----
"""


def etc(tmp_path: Path, **files: str) -> Path:
    (tmp_path / "sources.list.d").mkdir()
    for name, text in files.items():
        stem, _, suffix = name.rpartition("_")
        (tmp_path / "sources.list.d" / f"{stem}.{suffix}").write_text(text)
    return tmp_path


def test_deb822_stanzas(tmp_path: Path) -> None:
    found = machine_sources(etc(tmp_path, debian_sources=DEB822))
    signed = (("Signed-By", KEY),)
    assert found[:2] == [
        AptSource("http://mirror.example/debian", "bookworm", ("main", "contrib"), signed),
        AptSource("http://mirror.example/debian", "bookworm-updates", ("main", "contrib"), signed),
    ]
    (inline,) = found[2:]
    assert inline.uri == "http://key.example/debian"
    assert inline.options[0][1].endswith("-----END PGP PUBLIC KEY BLOCK-----")


def test_one_line_sources(tmp_path: Path) -> None:
    folder = etc(tmp_path)
    (folder / "sources.list").write_text(
        f"deb [arch=amd64 signed-by={KEY},/other.gpg] http://m.example/debian bookworm main\n"
        "#deb http://off.example/debian bookworm main\n"
        "deb-src http://m.example/debian bookworm main\n"
        "  deb http://s.example/debian-security bookworm-security main contrib # why\n"
    )
    assert machine_sources(folder) == [
        AptSource(
            "http://m.example/debian", "bookworm", ("main",), (("Signed-By", f"{KEY} /other.gpg"),)
        ),
        AptSource("http://s.example/debian-security", "bookworm-security", ("main", "contrib")),
    ]


def test_files_that_apt_ignores_are_ignored(tmp_path: Path) -> None:
    text = "deb http://m.example/debian bookworm main\n"
    assert machine_sources(etc(tmp_path, a_disabled=text, b_save=text)) == []
    assert machine_sources(tmp_path / "nothing") == []


def test_other_vendors_are_no_mirror() -> None:
    others = [
        AptSource("https://a.example/debian", "bookworm", ("stable",)),
        AptSource("https://b.example/debian", "bookworm", ("main",), (("Signed-By", "/b.gpg"),)),
        AptSource("https://c.example/apt", "bookworm-pgdg", ("main",)),
        AptSource("http://d.example/ubuntu", "noble", ("main",)),
        AptSource("http://e.example/multimedia", "bookworm", ("main",)),
    ]
    with pytest.raises(InfraError, match=r"no Debian archive.*--kernel"):
        debian_archive("bookworm", others)
    debian = AptSource("http://m.example/debian", "trixie", ("main", "contrib"))
    assert debian_archive("bookworm", [*others, debian]) == AptSource(
        "http://m.example/debian", "bookworm", ("main",)
    )


def test_security_has_its_own_archive_and_the_keyring_is_kept() -> None:
    key = (("Signed-By", KEY),)
    main = AptSource("http://m.example/debian", "bookworm", ("main",), key)
    security = AptSource("http://s.example/debian-security", "bookworm-security", ("main",), key)
    plain = AptSource("http://p.example/debian", "bookworm", ("main",))
    found = debian_archive("bookworm-backports", [plain, security, main])
    assert found == AptSource("http://m.example/debian", "bookworm-backports", ("main",), key)
    assert debian_archive("bookworm-security", [plain, main]) is None
    assert debian_archive("bookworm-security", [main, security]) == security
