# SPDX-License-Identifier: GPL-2.0-only
"""Why a symbol has the value it has: the chain of unmet dependencies, in one line."""

from __future__ import annotations

from typing import Any

import kconfiglib

_MOST_LINKS = 6
_MOST_SELECTORS = 4


def explain(kconf: Any, name: str, wanted: str) -> str:
    """What keeps a symbol from `wanted`, with what keeps that, and so on.

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
    if wanted == "n":
        return _selected(symbol) or f"it is {symbol.str_value}"
    need = kconfiglib.STR_TO_TRI[wanted]
    links: list[str] = []
    queue, seen = [symbol], {symbol}
    while queue and len(links) < _MOST_LINKS:
        link = queue.pop(0)
        reason, further = _unmet(link, need if link is symbol else 1)
        if reason:
            links.append(reason if link is symbol else f"{link.name} {reason}")
        queue += [s for s in further if s not in seen]
        seen.update(further)
    return "; ".join(links) or f"it is {symbol.str_value} although it could be set"


def _unmet(symbol: Any, need: int) -> tuple[str, list[Any]]:
    """The reason why a symbol cannot reach `need`, and the symbols to ask next."""
    prompts = [node.prompt[1] for node in symbol.nodes if node.prompt]
    if prompts and symbol.visibility < need:
        # Of several definitions the one with the least missing says the most.
        terms = min((_missing(cond, need) for cond in prompts), key=len)
        return "depends on " + " && ".join(map(show, terms)), _symbols(terms)
    if symbol.choice and prompts:
        other = symbol.choice.selection
        return f"is not taken: its choice has {other.name if other else 'nothing'}", []
    if not prompts:
        terms = [
            term
            for expr in [symbol.rev_dep, *(cond for _, cond in symbol.defaults)]
            for term in kconfiglib.split_expr(expr, kconfiglib.OR)
            if not _constant(term)
        ]
        if not terms:
            return "has no prompt and nothing selects it", []
        # A selector without conditions says more than its whole expression.
        shown = " or ".join(map(show, terms[:_MOST_SELECTORS]))
        more = len(terms) - _MOST_SELECTORS
        return f"has no prompt and is set by {shown}" + (f" and {more} more" * (more > 0)), []
    return "", []


def _selected(symbol: Any) -> str:
    by = [
        term
        for term in kconfiglib.split_expr(symbol.rev_dep, kconfiglib.OR)
        if kconfiglib.expr_value(term)
    ]
    return "it is selected by " + ", ".join(map(show, by[:_MOST_SELECTORS])) if by else ""


def _missing(expr: Any, need: int) -> list[Any]:
    """The terms of a conjunction that are below `need`."""
    terms = kconfiglib.split_expr(expr, kconfiglib.AND)
    return [term for term in terms if kconfiglib.expr_value(term) < need]


def _symbols(terms: list[Any]) -> list[Any]:
    """Symbols of positive terms that are off: those one would have to turn on."""
    found = []
    for term in terms:
        for leaf in kconfiglib.split_expr(term, kconfiglib.OR):
            plain = isinstance(leaf, kconfiglib.Symbol) and not leaf.is_constant
            if plain and leaf.nodes and leaf.tri_value == 0:
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
        return "(" + sign.join(map(show, kconfiglib.split_expr(expr, operator))) + ")"
    sign = kconfiglib.REL_TO_STR[operator]
    return f"({expr[1].name} {sign} {expr[2].name}, {expr[1].name} is {expr[1].str_value or 'n'})"
