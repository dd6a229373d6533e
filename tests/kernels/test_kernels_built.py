# SPDX-License-Identifier: GPL-2.0-only
"""Building kernels from source: kconfig and make are real, the tree has four objects."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from pykit import kconfig, kernels
from pykit.errors import InfraError, UsageError
from pykit.kconfig import Profile, Want
from pykit.kernels import built, store, trees

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("make", "gcc")))
    or not shutil.which("depmod", path="/usr/sbin:/sbin"),
    reason="no make, gcc or depmod",
)

#: kbuild's products and its way of saying what it does; FAIL is a file that is a C source.
MAKEFILE = """\
VERSION = 7
PATCHLEVEL = 2
SUBLEVEL = 0
OBJECTS = a.o b.o c.o drivers/d.o

olddefconfig:
\t@sed -i '/FORGOTTEN/d' $(O)/.config

bzImage modules: $(addprefix $(O)/,$(OBJECTS))
\t@mkdir -p $(O)/arch/x86/boot $(O)/include/config
\t@echo 7.2.0$(LOCALVERSION) > $(O)/include/config/kernel.release
\t@touch $(O)/Module.symvers $(O)/modules.order $(O)/arch/x86/boot/bzImage
\t@ln -sfn $(CURDIR) $(O)/source

$(O)/%.o: $(wildcard *.c)
\t@echo '  CC      $*.o'
\t@mkdir -p $(@D) && if [ -e fail.c ]; then gcc -c fail.c -o $@; fi
\t@touch $@ $(@D)/.$(@F).cmd

.PHONY: olddefconfig bzImage modules
"""

KCONFIG = """\
config MODULES
	bool "modules"
	modules

config THING
	bool "thing"

config FORGOTTEN
	bool "forgotten"
"""


class Steps:
    """Takes the steps of a build."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int, str]] = []

    def __call__(self, done: int, about: int, what: str) -> None:
        self.seen.append((done, about, what))


@pytest.fixture(autouse=True)
def _machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, one small profile, and no need of the kernel's own tools."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(built, "_TOOLS", ("make", "gcc"))
    monkeypatch.setattr(built, "_HEADERS", {})
    want_symbol(monkeypatch, "THING")


def want_symbol(monkeypatch: pytest.MonkeyPatch, symbol: str) -> None:
    def load(name: str) -> Profile:
        wants = tuple(Want(s, "y", ("y",), "configs/x.config") for s in ("MODULES", symbol))
        return Profile(name, "", "allnoconfig", ("x",), wants)

    monkeypatch.setattr(kconfig, "load_profile", load)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "my-linux"
    (tree / "scripts").mkdir(parents=True)
    (tree / "Makefile").write_text(MAKEFILE)
    (tree / "Kconfig").write_text(KCONFIG)
    return tree


def build(tree: Path, profile: str = "minimal", steps: Steps | None = None) -> kernels.Kernel:
    return kernels.build(profile, str(tree), step=steps or Steps())


def test_a_kernel_is_built_once_and_found_by_name(tree: Path, tmp_path: Path) -> None:
    steps = Steps()
    kernel = build(tree, steps=steps)
    assert (kernel.name, kernel.release) == ("minimal-my-linux", "7.2.0-minimal")
    assert kernel.image.exists()
    assert "CONFIG_THING=y" in kernel.config.read_text()
    assert kernels.source_tree(kernel) == tree
    assert [done for done, _, _ in steps.seen] == [0, 1, 2, 3, 4]
    assert all(done <= about for done, about, _ in steps.seen)
    assert steps.seen[-1][2].startswith("CC")

    again = Steps()
    assert build(tree, steps=again) == kernel
    assert again.seen == []
    assert kernels.resolve("minimal-my-linux") == kernel
    (known,) = [k for k in kernels.list_known() if k.state == "built"]
    assert (known.name, known.release) == ("minimal-my-linux", "7.2.0-minimal")
    # Nothing was made in the source.
    assert sorted(p.name for p in tree.iterdir()) == ["Kconfig", "Makefile", "scripts"]


def test_the_last_build_of_a_profile_says_how_many_objects_there_will_be(tree: Path) -> None:
    build(tree)
    (tree / "more.c").write_text("")
    steps = Steps()
    build(tree, steps=steps)
    assert {about for _, about, _ in steps.seen} == {4}


def test_a_changed_source_is_another_kernel_of_that_name(tree: Path) -> None:
    first = build(tree)
    time.sleep(0.01)
    (tree / "more.c").write_text("")
    second = build(tree)
    assert first.build_dir != second.build_dir
    assert kernels.resolve("minimal-my-linux").build_dir == second.build_dir
    names = [k.name for k in kernels.list_known() if k.state == "built"]
    assert names == ["minimal-my-linux", first.build_dir.parent.name]
    assert kernels.resolve(names[1]).build_dir == first.build_dir
    # The name is that of the kernel that was asked for last, though it had been built before.
    time.sleep(0.01)
    (tree / "more.c").unlink()
    again = build(tree)
    assert (again.name, again.build_dir) == ("minimal-my-linux", first.build_dir)
    assert kernels.resolve(again.name).build_dir == first.build_dir


def test_a_changed_profile_is_another_kernel(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = build(tree)
    want_symbol(monkeypatch, "MODULES")
    assert build(tree).build_dir != first.build_dir


def test_a_compile_error_is_one_line_and_no_kernel(tree: Path) -> None:
    (tree / "fail.c").write_text("int main(void) { return nothing; }\n")
    with pytest.raises(InfraError) as error:
        build(tree)
    text = str(error.value)
    assert "\n" not in text
    assert "fail.c:1:25: error: 'nothing' undeclared" in text
    log = Path(text.rpartition("log: ")[2].rstrip(")"))
    assert "nothing" in log.read_text()
    with pytest.raises(UsageError, match="minimal-my-linux is not built: pykit kernel build"):
        kernels.resolve("minimal-my-linux")


def test_an_interrupted_build_goes_on(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupting(Steps):
        def __call__(self, done: int, about: int, what: str) -> None:
            super().__call__(done, about, what)
            # One job, so that the object it speaks of is the last that may be there.
            if done == 3:
                raise KeyboardInterrupt

    monkeypatch.setattr(built.kbuild.os, "sched_getaffinity", lambda _: {0})
    with pytest.raises(KeyboardInterrupt):
        build(tree, steps=Interrupting())
    with pytest.raises(UsageError, match="is not built"):
        kernels.resolve("minimal-my-linux")
    assert [k for k in kernels.list_known() if k.state == "built"] == []
    (place,) = store.built_dir().iterdir()
    there = len(list(place.rglob("*.o.cmd")))
    assert there >= 2
    steps = Steps()
    assert build(tree, steps=steps).build_dir.parent == place
    assert steps.seen[0][0] == there
    assert steps.seen[-1][0] == 4


def test_a_full_disk_is_said_as_such(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / "Makefile").write_text(
        MAKEFILE.replace("@touch $@", "@echo 'as: a.o: No space left on device'; exit 1; touch $@")
    )
    with pytest.raises(InfraError, match=r"disk of .* is full: free some space"):
        build(tree)
    monkeypatch.setattr(store.shutil, "disk_usage", lambda _: type("U", (), {"free": 1 << 30})())
    (tree / "new.c").write_text("")
    with pytest.raises(InfraError, match="needs 4096 MB and its disk has 1024 MB free"):
        build(tree)


def test_what_make_drops_from_the_configuration_is_told(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    want_symbol(monkeypatch, "FORGOTTEN")
    with pytest.raises(InfraError, match="lacks CONFIG_FORGOTTEN"):
        build(tree)


def test_missing_tools_are_named(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(built, "_TOOLS", ("make", "flexi", "bisonte"))
    monkeypatch.setattr(built, "_HEADERS", {"libelf": "no/gelf.h"})
    with pytest.raises(InfraError, match=r"lacks flexi, bisonte, libelf's headers: see 'pykit doc"):
        build(tree)


def test_a_tree_that_cannot_be_built_from(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no kernel source tree"):
        build(tmp_path / "nowhere")
    (tree / "include/config").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"has been built in: run 'make mrproper' there.*--kernel"):
        build(tree)
    spaced = tree.rename(tmp_path / "a b")
    with pytest.raises(UsageError, match="without spaces"):
        build(spaced)


@pytest.mark.skipif(not shutil.which("git"), reason="no git")
def git_in(tree: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@t")
    subprocess.run(["git", "-C", tree, *identity, *arguments], check=True, capture_output=True)


def test_a_git_tree_at_each_of_its_commits(tree: Path) -> None:
    """As a bisection goes: from commit to commit and back, nothing is built twice."""
    git_in(tree, "init", "-q", "-b", "main")
    git_in(tree, "add", ".")
    git_in(tree, "commit", "-qm", "one")
    first = build(tree)
    (tree / "more.c").write_text("")
    git_in(tree, "add", ".")
    git_in(tree, "commit", "-qm", "two")
    second = build(tree)
    assert second.build_dir != first.build_dir
    git_in(tree, "bisect", "start", "main", "main~1")
    git_in(tree, "checkout", "-q", "--detach", "main~1")
    steps = Steps()
    again = build(tree, steps=steps)
    assert again.build_dir == first.build_dir == kernels.resolve(again.name).build_dir
    assert steps.seen == []


def test_git_says_what_a_tree_holds(tree: Path) -> None:
    def git(*arguments: str) -> None:
        git_in(tree, *arguments)

    def state() -> str:
        return trees.of_directory(tree).identity

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "x")
    committed = state()
    (tree / "Makefile").touch()
    assert state() == committed
    (tree / "Makefile").write_text(MAKEFILE + "# changed\n")
    changed = state()
    (tree / "new.c").write_text("")
    added = state()
    (tree / "new.c").write_text("int i;\n")
    assert len({committed, changed, added, state()}) == 4
    (tree / "new.c").unlink()
    git("checkout", "Makefile")
    assert state() == committed
