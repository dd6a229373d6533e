# SPDX-License-Identifier: GPL-2.0-only
"""Resolving profiles against trees of a few lines: what is pulled in, and what is refused."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pykit import kconfig
from pykit.errors import InfraError, UsageError
from pykit.kconfig import Mismatch, Profile, Want
from pykit.kconfig.fragments import parse_line

from .tiny_tree import MakeTree


def want(line: str, *others: str) -> Want:
    symbol, value = parse_line(line) or ("", "")
    return Want(symbol, value, (value, *others), "configs/x.config")


def profile(*wants: Want, base: str = "allnoconfig") -> Profile:
    modules = want("CONFIG_MODULES=y")
    return Profile("p", "", base, ("x",), (modules, *wants))  # type: ignore[arg-type]


def values(config: str) -> dict[str, str]:
    return dict(filter(None, map(parse_line, config.splitlines())))


def bool_(name: str, *lines: str) -> str:
    return f'config {name}\n\tbool "{name}"\n' + "".join(f"\t{line}\n" for line in lines) + "\n"


def tri(name: str, *lines: str) -> str:
    return bool_(name, *lines).replace("bool", "tristate", 1)


def hidden(name: str, *lines: str) -> str:
    return f"config {name}\n\tbool\n" + "".join(f"\t{line}\n" for line in lines) + "\n"


CHAIN = bool_("BLOCK") + bool_("BLK_DEV", "depends on BLOCK") + tri("DISK", "depends on BLK_DEV")


def test_a_chain_of_dependencies_is_pulled_in(make_tree: MakeTree) -> None:
    found = kconfig.resolve(profile(want("CONFIG_DISK=m")), make_tree(CHAIN))
    assert found.pulled == {"BLOCK": "BLK_DEV", "BLK_DEV": "DISK"}
    got = values(found.config)
    assert (got["DISK"], got["BLK_DEV"], got["BLOCK"]) == ("m", "y", "y")
    assert found.fragment.endswith("# for DISK\nCONFIG_BLK_DEV=y\n# for BLK_DEV\nCONFIG_BLOCK=y\n")
    assert values(found.fragment) == got


def test_what_is_on_already_is_preferred(make_tree: MakeTree) -> None:
    text = bool_("A") + bool_("B") + bool_("X", "depends on A || B")
    found = kconfig.resolve(profile(want("CONFIG_B=y"), want("CONFIG_X=y")), make_tree(text))
    assert found.pulled == {}
    assert values(found.config)["A"] == "n"


def test_the_shorter_way_is_taken(make_tree: MakeTree) -> None:
    text = bool_("D") + bool_("A", "depends on D") + bool_("B") + bool_("X", "depends on A || B")
    found = kconfig.resolve(profile(want("CONFIG_X=y")), make_tree(text))
    assert found.pulled == {"B": "X"}


def test_a_closed_way_is_left_without_a_trace(make_tree: MakeTree) -> None:
    text = hidden("NEVER") + bool_("C") + bool_("D")
    text += bool_("A", "depends on C", "depends on !D || NEVER") + bool_("B", "depends on C && D")
    text += bool_("X", "depends on (A && D) || (B && D)")
    found = kconfig.resolve(profile(want("CONFIG_X=y")), make_tree(text))
    assert set(found.pulled) == {"B", "C", "D"}


def test_a_symbol_without_a_prompt_is_set_by_a_selector(make_tree: MakeTree) -> None:
    text = hidden("CORE") + bool_("ARCH") + bool_("FAR", "depends on ARCH", "select CORE")
    text += bool_("NEAR", "select CORE")
    found = kconfig.resolve(profile(want("CONFIG_CORE=y")), make_tree(text))
    assert found.pulled == {"NEAR": "CORE"}


def test_a_wanted_selector_is_enough_wherever_it_stands(make_tree: MakeTree) -> None:
    text = hidden("CORE") + bool_("FIRST", "select CORE") + bool_("MINE", "select CORE")
    wants = (want("CONFIG_CORE=y"), want("CONFIG_MINE=y"))
    assert kconfig.resolve(profile(*wants), make_tree(text)).pulled == {}


def test_a_symbol_without_a_prompt_is_set_by_its_default(make_tree: MakeTree) -> None:
    text = bool_("A") + hidden("X", "default y if A")
    assert kconfig.resolve(profile(want("CONFIG_X=y")), make_tree(text)).pulled == {"A": "X"}


def test_a_negated_dependency_is_turned_off(make_tree: MakeTree) -> None:
    text = bool_("BAD", "default y") + bool_("X", "depends on !BAD")
    tree = make_tree(text)
    (tree / "arch/x86/configs").mkdir(parents=True)
    (tree / "arch/x86/configs/x86_64_defconfig").write_text("CONFIG_BAD=y\n")
    found = kconfig.resolve(profile(want("CONFIG_X=y"), base="defconfig"), tree)
    assert found.pulled == {"BAD": "X"}
    assert "# CONFIG_BAD is not set" in found.fragment


def test_comparisons_with_a_value(make_tree: MakeTree) -> None:
    text = tri("A") + tri("B") + bool_("X", "depends on A = m && B != n")
    found = kconfig.resolve(profile(want("CONFIG_X=y")), make_tree(text))
    got = values(found.config)
    assert (got["A"], got["B"], got["X"]) == ("m", "m", "y")


def test_a_member_of_a_choice(make_tree: MakeTree) -> None:
    text = bool_("GATE") + 'choice\n\tprompt "which"\n\tdepends on GATE\n\n'
    text += bool_("ONE") + bool_("TWO") + "endchoice\n"
    found = kconfig.resolve(profile(want("CONFIG_TWO=y")), make_tree(text))
    got = values(found.config)
    assert (got["TWO"], got["ONE"], got["GATE"]) == ("y", "n", "y")


def test_text_and_numbers(make_tree: MakeTree) -> None:
    text = bool_("A") + 'config N\n\tint "n" if A\n\tdefault 5\n\nconfig S\n\tstring "s"\n'
    found = kconfig.resolve(profile(want("CONFIG_N=7"), want('CONFIG_S="a b"')), make_tree(text))
    assert values(found.config)["N"] == "7"
    assert values(found.config)["S"] == "a b"


def test_m_and_y_reach_only_as_far_as_the_dependency(make_tree: MakeTree) -> None:
    text = tri("CORE") + tri("X", "depends on CORE")
    found = kconfig.resolve(profile(want("CONFIG_X=y")), make_tree(text))
    assert values(found.config)["CORE"] == "y"
    found = kconfig.resolve(
        profile(want("CONFIG_CORE=m"), want("CONFIG_X=y", "m")), make_tree(text)
    )
    assert (values(found.config)["X"], values(found.config)["CORE"]) == ("m", "m")
    with pytest.raises(UsageError, match=r"CONFIG_X=y wanted by .* depends on CORE=m"):
        kconfig.resolve(profile(want("CONFIG_CORE=m"), want("CONFIG_X=y")), make_tree(text))


def test_a_wanted_value_is_not_sacrificed_for_another(make_tree: MakeTree) -> None:
    text = bool_("A") + bool_("B") + bool_("X", "depends on !A || B") + bool_("Y", "depends on A")
    wants = (want("CONFIG_Y=y"), want("CONFIG_X=y"))
    got = values(kconfig.resolve(profile(*wants), make_tree(text)).config)
    assert (got["A"], got["B"], got["X"], got["Y"]) == ("y",) * 4


def test_a_hidden_default_is_turned_off_through_its_prompt(make_tree: MakeTree) -> None:
    text = bool_("EXPERT") + 'config X\n\tbool "x" if EXPERT\n\tdefault y\n'
    found = kconfig.resolve(profile(want("# CONFIG_X is not set")), make_tree(text))
    assert found.pulled == {"EXPERT": "X"}


@pytest.mark.parametrize(
    ("text", "wants", "message"),
    [
        (
            CHAIN,
            [want("CONFIG_DISK=m"), want("# CONFIG_BLOCK is not set")],
            "CONFIG_DISK=m wanted by configs/x.config did not stick: "
            "depends on BLK_DEV=n; BLK_DEV depends on BLOCK=n",
        ),
        ("", [want("CONFIG_GONE=y")], "this kernel's Kconfig has no such symbol"),
        (bool_("X"), [want("CONFIG_X=m")], "it cannot be a module"),
        (hidden("X"), [want("CONFIG_X=y")], "has no prompt and nothing selects it"),
        (
            hidden("X") + hidden("S") + bool_("A", "depends on S", "select X"),
            [want("CONFIG_X=y")],
            "has no prompt and is set by A=n",
        ),
        (
            tri("X") + tri("S", "select X"),
            [want("CONFIG_X=m"), want("CONFIG_S=y")],
            "CONFIG_X=m wanted by configs/x.config did not stick: it is selected by S=y",
        ),
        (
            hidden("H") + bool_("X", "depends on !H || H", "depends on H && MODULES"),
            [want("CONFIG_X=y")],
            "depends on H=n; H has no prompt and nothing selects it",
        ),
        (
            'choice\n\tprompt "w"\n\n' + bool_("ONE") + bool_("TWO") + "endchoice\n",
            [want("CONFIG_ONE=y"), want("CONFIG_TWO=y")],
            "is not taken: its choice has TWO",
        ),
        (
            'config E\n\tbool\n\nconfig X\n\tbool "x" if E\n\tdefault y\n',
            [want("# CONFIG_X is not set")],
            "it is y by default, and turning it off depends on E=n",
        ),
        (
            'config N\n\tint "n"\n\trange 1 5\n\tdefault 2\n',
            [want("CONFIG_N=9")],
            "its value is '2'",
        ),
        (
            bool_("A") + bool_("X", "depends on A"),
            [want("# CONFIG_A is not set"), want("CONFIG_X=y"), want("CONFIG_GONE=y")],
            "(and 1 more: GONE)",
        ),
    ],
)
def test_what_does_not_stick_is_named_with_its_reason(
    make_tree: MakeTree, text: str, wants: list[Want], message: str
) -> None:
    with pytest.raises(UsageError) as error:
        kconfig.resolve(profile(*wants), make_tree(text))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_tree_without_defaults(make_tree: MakeTree) -> None:
    with pytest.raises(UsageError, match="x86_64_defconfig: name a whole tree"):
        kconfig.resolve(profile(base="defconfig"), make_tree(""))


NAMES = "ABCDE"
literals = st.tuples(st.sampled_from(NAMES), st.booleans())
clauses = st.lists(st.lists(literals, min_size=1, max_size=3), max_size=2)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(clauses, min_size=5, max_size=5), st.booleans())
def test_what_is_resolved_holds_and_what_can_be_is_resolved(
    make_tree: MakeTree, rules: list[list[list[tuple[str, bool]]]], negations: bool
) -> None:
    """Against every assignment of five symbols; each depends on earlier ones only."""
    depends: dict[str, list[list[tuple[str, bool]]]] = {}
    text = ""
    for i, name in enumerate(NAMES):
        usable = [
            [(n, positive or not negations) for n, positive in clause if n in NAMES[:i]]
            for clause in rules[i]
        ]
        depends[name] = [clause for clause in usable if clause]
        lines = [
            "depends on " + " || ".join(n if positive else f"!{n}" for n, positive in clause)
            for clause in depends[name]
        ]
        text += bool_(name, *lines)

    def valid(on: set[str]) -> bool:
        return all(
            any((n in on) == positive for n, positive in clause)
            for name in on
            for clause in depends[name]
        )

    subsets = (
        set(names) for k in range(len(NAMES) + 1) for names in itertools.combinations(NAMES, k)
    )
    possible = any("E" in on and valid(on) for on in subsets)
    try:
        got = values(kconfig.resolve(profile(want("CONFIG_E=y")), make_tree(text)).config)
    except UsageError:
        # With negations the search is not complete; it must not be wrong, only modest.
        assert not possible or any(not p for c in depends.values() for cl in c for _, p in cl)
        return
    on = {name for name in NAMES if got.get(name) == "y"}
    assert "E" in on
    assert valid(on)


def test_checking_a_config(make_tree: MakeTree, tmp_path: Path) -> None:
    config = tmp_path / "config-6.1"
    config.write_text("CONFIG_MODULES=y\nCONFIG_BLOCK=y\n# CONFIG_DISK is not set\nCONFIG_BAD=y\n")
    wants = (
        want("CONFIG_DISK=m", "y"),
        want("CONFIG_BLOCK=y"),
        want("CONFIG_BAD=m"),
        want("# CONFIG_BAD2 is not set"),
    )
    mismatches = kconfig.check(profile(*wants), config)
    assert mismatches == [Mismatch(wants[0], "n", None), Mismatch(wants[2], "y", None)]
    assert [str(found) for found in mismatches] == [
        "this kernel lacks CONFIG_DISK: needed (m or y) by configs/x.config",
        "this kernel has CONFIG_BAD=y: needed as m by configs/x.config",
    ]
    tree = make_tree(CHAIN + bool_("BAD"))
    assert [str(found) for found in kconfig.check(profile(*wants), config, tree)] == [
        "this kernel lacks CONFIG_DISK: needed (m or y) by configs/x.config: depends on BLK_DEV=n",
        "this kernel has CONFIG_BAD=y: needed as m by configs/x.config: it cannot be a module",
    ]
    config.write_text("CONFIG_MODULES=y\nCONFIG_BAD=y\n")
    (found,) = kconfig.check(profile(want("# CONFIG_BAD is not set")), config)
    assert str(found) == "this kernel has CONFIG_BAD=y: unwanted by configs/x.config"


def test_writing_never_replaces_what_is_there(make_tree: MakeTree, tmp_path: Path) -> None:
    found = kconfig.resolve(profile(want("CONFIG_DISK=m")), make_tree(CHAIN))
    out = tmp_path / "out"
    out.mkdir()
    path = out / ".config"
    assert found.write(path) == [
        f"{path}: Main menu, profile p",
        f"{path}.fragment: what was set",
        "CONFIG_BLK_DEV is for DISK",
        "CONFIG_BLOCK is for BLK_DEV",
    ]
    assert path.read_text() == found.config
    assert (out / ".config.fragment").read_text() == found.fragment

    path.write_text("mine")
    (out / ".config.fragment").unlink()
    with pytest.raises(UsageError, match="exists: name another file, or pass --force"):
        found.write(path)
    assert path.read_text() == "mine"
    found.write(path, overwrite=True)
    assert path.read_text() == found.config
    path.unlink()
    with pytest.raises(UsageError, match="fragment exists"):
        found.write(path)
    assert sorted(p.name for p in out.iterdir()) == [".config.fragment"]


def test_writing_where_one_cannot(make_tree: MakeTree, tmp_path: Path) -> None:
    found = kconfig.resolve(profile(), make_tree(""))
    with pytest.raises(UsageError, match="there is no folder"):
        found.write(tmp_path / "no/where/.config")
    with pytest.raises(InfraError, match="cannot be written"):
        found.write(Path("/proc/pykit.config"))
