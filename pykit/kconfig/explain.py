# SPDX-License-Identifier: GPL-2.0-only
"""Explain a symbol's value by its chain of unmet dependencies, in one line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import kconfiglib

_MOST_LINKS = 6
_MOST_SELECTORS = 4


def explain(kconf: Any, name: str, wanted: str) -> str:
    """Return the unmet dependencies that keep a symbol from `wanted`, recursively.

    `kconf` holds the configuration in question. For example: "depends on BLK_DEV=n;
    BLK_DEV depends on BLOCK=n".
    """
    symbol = kconf.syms.get(name)
    if symbol is None or not symbol.nodes:
        return "this kernel's Kconfig has no such symbol"
    if symbol.orig_type not in (kconfiglib.BOOL, kconfiglib.TRISTATE):
        return f"its value is {symbol.str_value!r}"
    if wanted == "m" and symbol.orig_type is kconfiglib.BOOL:
        return "it cannot be a module"
    need = kconfiglib.STR_TO_TRI[wanted]
    if symbol.tri_value > need:
        return _too_high(symbol)
    links: list[str] = []
    queue, seen = [symbol], {symbol}
    while queue and len(links) < _MOST_LINKS:
        link = queue.pop(0)
        reason, further = _unmet(link, need if link is symbol else 1)
        if reason:
            links.append(reason if link is symbol else f"{link.name} {reason}")
        queue += [s for s in further if s not in seen]
        seen.update(further)
    return "; ".join(links) or "nothing is in its way, it was left out"


def _unmet(symbol: Any, need: int) -> tuple[str, list[Any]]:
    """The reason why a symbol cannot reach `need`, and the symbols to ask next."""
    prompts = [node.prompt[1] for node in symbol.nodes if node.prompt]
    if prompts and symbol.visibility < need:
        # Of several definitions the one with the least missing says the most.
        terms = min((_missing(cond, need) for cond in prompts), key=len)
        return "depends on " + _join(map(show, terms), " && "), _symbols(terms)
    if symbol.choice and prompts:
        other = symbol.choice.selection
        return f"is not taken: its choice has {other.name if other else 'nothing'}", []
    if not prompts:
        ways = [show(_selector(term)) for term in _alternatives(symbol.rev_dep)]
        for default, cond in symbol.defaults:
            missing = _missing(default, need) + _missing(cond, need)
            if not any(map(_constant, missing)):
                ways.append("default with " + _join(map(show, missing), " && "))
        if not ways:
            return "has no prompt and nothing selects it", []
        return "has no prompt and is set by " + _join(ways, " or ", _MOST_SELECTORS), []
    return "", []


def _too_high(symbol: Any) -> str:
    by = [show(_selector(t)) for t in _alternatives(symbol.rev_dep) if kconfiglib.expr_value(t)]
    if by:
        return "it is selected by " + _join(by, " and ", _MOST_SELECTORS)
    prompts = [node.prompt[1] for node in symbol.nodes if node.prompt]
    if symbol.visibility or not prompts:
        return f"it is {symbol.str_value}"
    terms = min((_missing(cond, 1) for cond in prompts), key=len)
    return f"it is {symbol.str_value} by default, and turning it off depends on " + _join(
        map(show, terms), " && "
    )


def _join(words: Iterable[str], sign: str, most: int | None = None) -> str:
    """The words, each once; after `most` of them only how many follow."""
    unique = list(dict.fromkeys(words))
    rest = unique[most:] if most else []
    return sign.join(unique[:most]) + (f" and {len(rest)} more" if rest else "")


def _alternatives(expr: Any) -> list[Any]:
    return [t for t in kconfiglib.split_expr(expr, kconfiglib.OR) if not _constant(t)]


def _selector(term: Any) -> Any:
    """The selecting symbol of a reverse dependency: kconfiglib puts it first."""
    return kconfiglib.split_expr(term, kconfiglib.AND)[0]


def _missing(expr: Any, need: int) -> list[Any]:
    """The terms of a conjunction that are below `need`."""
    terms = kconfiglib.split_expr(expr, kconfiglib.AND)
    return [term for term in terms if kconfiglib.expr_value(term) < need]


def _symbols(terms: list[Any]) -> list[Any]:
    """Symbols of positive terms that are off: those one would have to turn on."""
    found = []
    for term in terms:
        for leaf in kconfiglib.split_expr(term, kconfiglib.OR):
            if isinstance(leaf, kconfiglib.Choice):
                conds = [node.prompt[1] for node in leaf.nodes if node.prompt]
                found += _symbols([t for cond in conds for t in _missing(cond, 1)])
            elif isinstance(leaf, kconfiglib.Symbol) and leaf.nodes and leaf.tri_value == 0:
                found.append(leaf)
    return found


def _constant(expr: Any) -> bool:
    return isinstance(expr, kconfiglib.Symbol) and expr.is_constant


def show(expr: Any) -> str:
    """An expression with every symbol's present value: ``(A=n || !B=y)``."""
    if not isinstance(expr, tuple):
        if isinstance(expr, kconfiglib.Choice):
            return f"the choice {expr.name or expr.nodes[0].prompt[0]!r}"
        return str(expr.name) if expr.is_constant else f"{expr.name}={expr.str_value or 'n'}"
    operator = expr[0]
    if operator is kconfiglib.NOT:
        return "!" + show(expr[1])
    if operator is kconfiglib.AND or operator is kconfiglib.OR:
        sign = " && " if operator is kconfiglib.AND else " || "
        return "(" + _join(map(show, kconfiglib.split_expr(expr, operator)), sign) + ")"
    sign = kconfiglib.REL_TO_STR[operator]
    return f"({expr[1].name} {sign} {expr[2].name}, {expr[1].name} is {expr[1].str_value or 'n'})"
