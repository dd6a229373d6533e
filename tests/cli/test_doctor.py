# SPDX-License-Identifier: GPL-2.0-only
"""Check `pykit doctor` and the set-up script on machines without the required tools."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from pykit import cli, doctor
from pykit.errors import Exit
from pykit.paths import ROOT


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("ID=debian\nVERSION_ID=12\n", "debian"),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"\n', "debian"),
        ("ID=fedora\n", "fedora"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "fedora"),
        ("ID=manjaro\nID_LIKE=arch\n", "arch"),
        ("ID=nixos\n", None),
    ],
)
def test_distribution(tmp_path: Path, text: str, family: str | None) -> None:
    release = tmp_path / "os-release"
    release.write_text(text)
    assert doctor.distribution(release) == family


def test_distribution_without_a_release_file(tmp_path: Path) -> None:
    assert doctor.distribution(tmp_path / "none") is None


def test_every_requirement_has_a_package_everywhere() -> None:
    rows = doctor.requirements()
    assert rows
    for row in rows:
        assert set(row.packages) == {"debian", "fedora", "arch"}
        assert all(row.packages.values())


def _machine(tmp_path: Path, *tools: str) -> dict[str, str]:
    """An environment whose PATH holds the shell's own tools and nothing that pykit needs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("cat", "cksum", "dirname", "grep", "id", "sort", "tr", *tools):
        path = next(Path(p, tool) for p in ("/usr/bin", "/bin") if Path(p, tool).exists())
        (folder / tool).symlink_to(path)
    return {"PATH": str(folder)}


def _copy_of_setup(tmp_path: Path) -> Path:
    """The script in a tree of its own, with checks that no machine satisfies."""
    tools = tmp_path / "tree" / "tools"
    tools.mkdir(parents=True)
    script = tools / "setup.sh"
    # The script adds the directories of the superuser's tools; keep it to our PATH.
    script.write_text(
        (ROOT / "tools" / "setup.sh").read_text().replace("PATH=$PATH:/usr/sbin:/sbin\n", "")
    )
    script.chmod(0o755)
    (tools / "packages.tsv").write_text("no-such-tool\tx\tdeb-x\tfed-x\tarch-x\n")
    return script


def test_setup_without_apt_lists_packages_and_exits_3(tmp_path: Path) -> None:
    script = _copy_of_setup(tmp_path)
    done = subprocess.run(
        ["/bin/sh", script], env=_machine(tmp_path), capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert "dnf install fed-x" in done.stderr
    assert "pacman -S arch-x" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="drops root's rights, so it needs them")
def test_setup_without_rights_lists_packages_and_exits_3(tmp_path: Path) -> None:
    script = _copy_of_setup(tmp_path)
    for folder in (tmp_path, *tmp_path.parents):
        if folder != Path("/tmp") and folder != Path("/"):
            folder.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", script],
        env=_machine(tmp_path, "apt-get"),
        capture_output=True,
        text=True,
        user=12345,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert "needs root" in done.stderr
    assert "apt-get install deb-x" in done.stderr


def test_json_names_the_command_that_installs_a_missing_tool(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = doctor.Requirement("no-such-tool", "x", {"debian": "d", "fedora": "f", "arch": "a"})
    monkeypatch.setattr(doctor, "requirements", lambda: [row])
    monkeypatch.setattr("sys.argv", ["pykit", "doctor", "--json"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == Exit.INFRA
    first = json.loads(capsys.readouterr().out)[0]
    assert first["name"] == "no-such-tool"
    assert first["fix"] == {
        "debian": "apt-get install d", "fedora": "dnf install f", "arch": "pacman -S a",
    }  # fmt: skip
    assert not first["ok"]
