# SPDX-License-Identifier: GPL-2.0-only
"""One test a construct that kconfiglib itself does not know."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pykit.errors import InfraError, UsageError
from pykit.kconfig.compat import load_tree

from .tiny_tree import MakeTree

VALUES = {"n": 0, "m": 1, "y": 2}


def tristate(name: str, extra: str = "") -> str:
    return f'config {name}\n\ttristate "{name}"\n{extra}\n'


def test_the_bare_modules_keyword(make_tree: MakeTree) -> None:
    kconf = load_tree(make_tree(tristate("A")))
    assert kconf.syms["MODULES"].str_value == "y"
    kconf.syms["A"].set_value(1)
    assert kconf.syms["A"].str_value == "m"
    kconf.syms["MODULES"].set_value(0)
    assert kconf.syms["A"].str_value == "y"


def test_the_transitional_keyword(make_tree: MakeTree) -> None:
    text = "config OLD\n\tbool\n\ttransitional # since then\n\thelp\n\t  Old.\n\n"
    text += 'config NEW\n\tbool "new"\n\tdefault OLD\n'
    kconf = load_tree(make_tree(text))
    assert kconf.syms["OLD"].str_value == "n"
    assert kconf.syms["NEW"].str_value == "n"
    assert "OLD" not in kconf.syms["OLD"].config_string


def test_keywords_in_a_help_text_stay_text(make_tree: MakeTree) -> None:
    text = 'config A\n\tbool "a"\n\thelp\n\t  This is about\n\t  modules\n\t  transitional\n'
    kconf = load_tree(make_tree(text))
    assert kconf.syms["A"].nodes[0].help == "This is about\nmodules\ntransitional"


@pytest.mark.parametrize(
    ("depends", "expected"),
    [
        # A if B is A || B = n: no limit while B is n, else the limit is A.
        ("A if B", lambda a, b, c: max(a, 2 * (b == 0))),
        ("A if A", lambda a, b, c: 2 if a == 0 else a),
        ("A if B && C", lambda a, b, c: max(a, 2 * (b == 0 or c == 0))),
        ("A if B || C", lambda a, b, c: max(a, 2 * (b == 0 and c == 0))),
        # A negation flips the comparison, so m counts as set here.
        ("A if !B", lambda a, b, c: max(a, 2 * (b != 0))),
        ("A if !(B && C)", lambda a, b, c: max(a, 2 * (b != 0 and c != 0))),
        ("A if B = m", lambda a, b, c: max(a, 2 * (b != 1))),
        ("A if !(B = m)", lambda a, b, c: max(a, 2 * (b == 1))),
        ("A if y", lambda a, b, c: a),
    ],
)
def test_conditional_dependencies(make_tree: MakeTree, depends: str, expected: object) -> None:
    assert callable(expected)
    text = "".join(map(tristate, "ABC")) + tristate("X", f"\tdepends on {depends}\n")
    kconf = load_tree(make_tree(text))
    for a in VALUES.values():
        for b in VALUES.values():
            for c in VALUES.values():
                for name, value in zip("ABC", (a, b, c), strict=True):
                    kconf.syms[name].set_value(value)
                assert kconf.syms["X"].visibility == expected(a, b, c), (a, b, c)


def test_two_dependencies_are_both_needed(make_tree: MakeTree) -> None:
    text = "".join(map(tristate, "ABC"))
    text += tristate("X", "\tdepends on A if B\n\tdepends on C\n")
    kconf = load_tree(make_tree(text))
    assert kconf.syms["X"].visibility == 0
    kconf.syms["C"].set_value(1)
    assert kconf.syms["X"].visibility == 1


def test_an_if_elsewhere_keeps_its_meaning(make_tree: MakeTree) -> None:
    text = (
        tristate("A") + tristate("B", "\tdefault y if A\n") + "if A\n" + tristate("C") + "endif\n"
    )
    kconf = load_tree(make_tree(text))
    assert [kconf.syms[n].str_value for n in "BC"] == ["n", "n"]
    kconf.syms["A"].set_value(2)
    assert kconf.syms["B"].str_value == "y"
    assert kconf.syms["C"].visibility == 2


def test_macros_see_the_build_environment_and_leave_nothing(
    make_tree: MakeTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    text = (
        'config V\n\tstring\n\tdefault "$(KERNELVERSION) $(SRCARCH) $(CC)"\n'
        'config S\n\tstring\n\tdefault "$(shell,cat $(srctree)/Makefile | head -n 2; mkdir t)"\n'
    )
    kconf = load_tree(make_tree(text))
    assert kconf.syms["V"].str_value == "7.2.0-rc1 x86 gcc"
    assert kconf.syms["S"].str_value == "VERSION = 7 PATCHLEVEL = 2"
    assert not list(tmp_path.rglob("t"))
    assert dict(os.environ) == before


def test_what_does_not_parse_is_one_line(make_tree: MakeTree) -> None:
    with pytest.raises(UsageError, match=r"Kconfig does not parse: .*Kconfig:6") as error:
        load_tree(make_tree("nonsense here\n"))
    assert "\n" not in str(error.value)


def test_no_tree_and_no_compiler(make_tree: MakeTree, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no kernel source tree"):
        load_tree(tmp_path / "nowhere")
    with pytest.raises(InfraError, match="compiler no-such-cc is not installed"):
        load_tree(make_tree(""), "no-such-cc")
