# SPDX-License-Identifier: GPL-2.0-only
"""Reading fragments, profiles and .config files."""

from __future__ import annotations

from pathlib import Path

import pytest

from pykit import kconfig
from pykit.errors import UsageError
from pykit.kconfig.fragments import Want, load_profile, read_config, read_fragment
from pykit.paths import ROOT


def fragment(tmp_path: Path, text: str) -> Path:
    folder = tmp_path / "configs"
    folder.mkdir(exist_ok=True)
    path = folder / "x.config"
    path.write_text(text)
    return path


def profile(tmp_path: Path, text: str, **fragments: str) -> Path:
    configs = tmp_path / "configs"
    (configs / "profiles").mkdir(parents=True, exist_ok=True)
    (configs / "profiles/p.toml").write_text(text)
    for name, lines in fragments.items():
        (configs / f"{name}.config").write_text(lines)
    return configs


def test_the_notation(tmp_path: Path) -> None:
    path = fragment(
        tmp_path,
        "# a comment\nCONFIG_A=y\n\n#@ or m\n# why\nCONFIG_B=y\nCONFIG_C=y\n\n"
        '# CONFIG_D is not set\nCONFIG_E="a \\"b\\""\nCONFIG_F=0x10\n#@ or n y\nCONFIG_G=m\n',
    )
    name = "configs/x.config"
    assert read_fragment(path) == [
        Want("A", "y", ("y",), name),
        Want("B", "y", ("y", "m"), name),
        Want("C", "y", ("y", "m"), name),
        Want("D", "n", ("n",), name),
        Want("E", 'a "b"', ('a "b"',), name),
        Want("F", "0x10", ("0x10",), name),
        Want("G", "m", ("m", "n", "y"), name),
    ]


@pytest.mark.parametrize("line", ["CONFIG_A", "FOO=y", "#@ and m", "#@", "#@ or"])
def test_a_line_that_is_nothing_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(UsageError, match=r"configs/x.config:2: "):
        read_fragment(fragment(tmp_path, f"CONFIG_X=y\n{line}\n"))


def test_a_fragment_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_fragment(tmp_path / "none.config")


GOOD = 'summary = "s"\nbase = "allnoconfig"\nfragments = ["a", "b"]\n'


def test_a_profile_joins_its_fragments(tmp_path: Path) -> None:
    configs = profile(tmp_path, GOOD, a="CONFIG_A=y\nCONFIG_X=y\n", b="CONFIG_X=y\nCONFIG_B=m\n")
    found = load_profile("p", configs)
    assert [w.symbol for w in found.wants] == ["A", "X", "B"]
    assert found.wants[1].fragment == "configs/a.config"
    assert kconfig.profiles(configs) == [found]


def test_fragments_that_contradict_each_other(tmp_path: Path) -> None:
    configs = profile(tmp_path, GOOD, a="CONFIG_X=y\n", b="CONFIG_X=m\n")
    with pytest.raises(UsageError, match=r"as y by configs/a.config and as m by configs/b.config"):
        load_profile("p", configs)


@pytest.mark.parametrize("text", ["summary = 1\n", "x = [", GOOD.replace("allno", "all")])
def test_a_broken_profile(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"p.toml: "):
        load_profile("p", profile(tmp_path, text, a="", b=""))


@pytest.mark.parametrize("name", ["nope", "../guest", "", "p.toml"])
def test_an_unknown_profile_lists_the_known(name: str) -> None:
    known = ", ".join(profile.name for profile in kconfig.profiles())
    with pytest.raises(UsageError, match=f"choose from {known}|did you mean 'guest'"):
        load_profile(name)


def test_the_shipped_files() -> None:
    names = {p.name for p in kconfig.profiles()}
    assert names >= {"debug", "guest", "kcsan", "minimal", "mmio", "pci-iommu", "vdpa", "vng"}
    used = {name for p in kconfig.profiles() for name in p.fragments}
    files = sorted((ROOT / "configs").glob("*.config"))
    assert used == {path.stem for path in files}
    for path in files:
        text = path.read_text()
        assert text.startswith("# SPDX-License-Identifier: GPL-2.0-only\n#\n# ")
        assert all(
            v in ("y", "m", "n") or v.isdigit() for w in read_fragment(path) for v in w.accepted
        )


def test_reading_a_config(tmp_path: Path) -> None:
    path = tmp_path / ".config"
    path.write_text('#\n# Linux\n#\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C="x y"\r\n')
    assert read_config(path) == {"A": "y", "B": "n", "C": "x y"}


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\x7fELF\0\xff\xfe"])
def test_a_file_that_is_no_config(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / ".config"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"is no kernel .config"):
        read_config(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_config(tmp_path)
