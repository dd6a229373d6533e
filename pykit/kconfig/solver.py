# SPDX-License-Identifier: GPL-2.0-only
"""Enable symbols together with their dependencies.

Kconfig silently ignores a symbol whose dependencies are unmet. Here the
dependencies are met: an expression is made true by the cheapest of the ways that leave
every wanted symbol as it is wanted, and a way that turns out closed is undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import kconfiglib

_TRISTATES = (kconfiglib.BOOL, kconfiglib.TRISTATE)
_FAR = 1000

_Way = Callable[[Any, int], bool]


class Solver:
    """Works on one kconfiglib.Kconfig, in place.

    Attributes:
        pulled: symbols that were changed on behalf of others, with the name of the one
            that needed it.
    """

    def __init__(self, kconf: Any, accepted: dict[Any, set[int]]) -> None:
        """`accepted` gives, for wanted tristate symbols, the only values they may have."""
        self._kconf = kconf
        self._accepted = accepted
        self._undo: list[Callable[[], None]] = []
        self._active: list[Any] = []
        self.pulled: dict[Any, str] = {}

    def reach(self, symbol: Any, value: int) -> bool:
        """Give a symbol exactly `value` (0, 1, 2), changing others as needed."""
        if symbol.tri_value == value:
            return True
        if value == 0:
            return self._lower(symbol, 0)
        return self._raise(symbol, value, exact=True)

    def satisfy(self, expr: Any, need: int) -> bool:
        """Make an expression at least `need` (1 is m, 2 is y)."""
        return self._attempt(lambda: self._satisfy(expr, need))

    def _satisfy(self, expr: Any, need: int) -> bool:
        if kconfiglib.expr_value(expr) >= need:
            return True
        if isinstance(expr, kconfiglib.Choice):
            return self._open_choice(expr, need)
        if not isinstance(expr, tuple):
            return self._raise(expr, need)
        operator = expr[0]
        if operator is kconfiglib.AND:
            terms = kconfiglib.split_expr(expr, kconfiglib.AND)
            # A later term may undo an earlier one; asked again, it then fails for good.
            return all(self.satisfy(term, need) for term in terms) and (
                kconfiglib.expr_value(expr) >= need
            )
        if operator is kconfiglib.OR:
            terms = kconfiglib.split_expr(expr, kconfiglib.OR)
            return self._first(terms, need)
        if operator is kconfiglib.NOT:
            return self._lower(expr[1], 2 - need)
        return self._compare(expr)

    def _first(self, terms: Iterable[Any], need: int) -> bool:
        ways = sorted((_cost(term, need), i, term) for i, term in enumerate(terms))
        return any(cost < _FAR and self.satisfy(term, need) for cost, _, term in ways)

    def _raise(self, symbol: Any, need: int, *, exact: bool = False) -> bool:
        """Turn a symbol on: by its prompt, else by a default or a selector of it."""
        if symbol.is_constant or not symbol.nodes or symbol.orig_type not in _TRISTATES:
            return False
        if symbol in self._active:
            return False
        value = self._permitted(symbol, need)
        if value is None:
            return False
        self._active.append(symbol)
        try:
            prompted = any(node.prompt for node in symbol.nodes)
            ways = [self._by_prompt] if prompted else [self._by_default, self._by_selector]
            return any(self._attempt(partial(self._try, w, symbol, value, exact)) for w in ways)
        finally:
            self._active.pop()

    def _try(self, way: _Way, symbol: Any, value: int, exact: bool) -> bool:
        return way(symbol, value) and bool(
            symbol.tri_value == value if exact else symbol.tri_value >= value
        )

    def _permitted(self, symbol: Any, need: int) -> int | None:
        """The lowest value from `need` up that the symbol's own want leaves it."""
        values = {1, 2} if symbol.type is kconfiglib.TRISTATE else {2}
        allowed = sorted((values & self._accepted.get(symbol, values)) - set(range(need)))
        return allowed[0] if allowed else None

    def _by_prompt(self, symbol: Any, value: int) -> bool:
        # A bool may be set as soon as its prompt is visible, even if only for modules.
        need = value if symbol.type is kconfiglib.TRISTATE else 1
        conds = [node.prompt[1] for node in symbol.nodes if node.prompt]
        if symbol.visibility < need and not self._first(conds, need):
            return False
        self._set(symbol, value)
        return True

    def _by_default(self, symbol: Any, value: int) -> bool:
        both = [
            (kconfiglib.AND, default, cond)
            for default, cond in symbol.defaults
            if not (isinstance(default, kconfiglib.Symbol) and default.name == "n")
        ]
        return self._first(both, value)

    def _by_selector(self, symbol: Any, value: int) -> bool:
        return self._first(kconfiglib.split_expr(symbol.rev_dep, kconfiglib.OR), value)

    def _open_choice(self, choice: Any, need: int) -> bool:
        conds = [node.prompt[1] for node in choice.nodes if node.prompt]
        if not self._first(conds, 1):
            return False
        if choice.tri_value < need:
            self._set(choice, need)
        return bool(choice.tri_value >= need)

    def _lower(self, expr: Any, limit: int) -> bool:
        """Make an expression at most `limit`."""
        if kconfiglib.expr_value(expr) <= limit:
            return True
        if isinstance(expr, tuple):
            operator = expr[0]
            if operator is kconfiglib.NOT:
                return self.satisfy(expr[1], 2 - limit)
            parts = kconfiglib.split_expr(expr, operator)
            if operator is kconfiglib.AND:
                return any(self._attempt(partial(self._lower, p, limit)) for p in parts)
            if operator is kconfiglib.OR:
                return all(self._lower(part, limit) for part in parts)
            return False
        if isinstance(expr, kconfiglib.Choice) or expr.is_constant:
            return False
        values = {0, 1, 2} if expr.type is kconfiglib.TRISTATE else {0, 2}
        allowed = values & self._accepted.get(expr, values) & set(range(limit + 1))
        if not allowed or expr in self._active:
            return False
        return self._attempt(lambda: self._turn_down(expr, max(allowed), limit))

    def _turn_down(self, symbol: Any, value: int, limit: int) -> bool:
        # Some prompts are hidden while the default is on, until EXPERT shows them.
        conds = [node.prompt[1] for node in symbol.nodes if node.prompt]
        self._active.append(symbol)
        try:
            if not symbol.visibility and not self._first(conds, 1):
                return False
            self._set(symbol, value)
            return bool(symbol.tri_value <= limit)
        finally:
            self._active.pop()

    def _compare(self, expr: Any) -> bool:
        """Equality of a tristate symbol with y, m or n; others are left as they are."""
        operator, symbol, other = expr
        if symbol.is_constant:
            symbol, other = other, symbol
        if symbol.orig_type not in _TRISTATES or other.name not in kconfiglib.STR_TO_TRI:
            return False
        value = kconfiglib.STR_TO_TRI[other.name]
        if operator is kconfiglib.EQUAL:
            return self.reach(symbol, value)
        if operator is kconfiglib.UNEQUAL:
            return self._raise(symbol, 1) if value == 0 else self._lower(symbol, value - 1)
        return False

    def _set(self, item: Any, value: int) -> bool:
        """Set a symbol or choice, so that it can be undone."""
        choice = item.choice if isinstance(item, kconfiglib.Symbol) else item
        before = item.user_value
        selection = choice.user_selection if choice else None

        def restore() -> None:
            if before is None:
                item.unset_value()
            else:
                item.set_value(before)
            if choice:
                choice.user_selection = selection
                choice._rec_invalidate()

        self._undo.append(restore)
        if isinstance(item, kconfiglib.Symbol) and item not in self._accepted:
            asker = next((s for s in reversed(self._active) if s is not item), None)
            had = self.pulled.get(item)
            self._undo.append(lambda: self._forget(item, had))
            self.pulled[item] = asker.name if asker else item.name
        item.set_value(value)
        return True

    def _forget(self, item: Any, had: str | None) -> None:
        if had is None:
            self.pulled.pop(item, None)
        else:
            self.pulled[item] = had

    def _attempt(self, way: Callable[[], bool]) -> bool:
        """Try a way; leave no trace of one that fails."""
        mark = len(self._undo)
        if way():
            return True
        while len(self._undo) > mark:
            self._undo.pop()()
        return False


def _cost(expr: Any, need: int, depth: int = 4) -> int:
    """A guess at how many symbols would change, _FAR for what cannot be."""
    if kconfiglib.expr_value(expr) >= need:
        return 0
    if isinstance(expr, tuple):
        if expr[0] is kconfiglib.AND:
            return sum(_cost(t, need, depth) for t in kconfiglib.split_expr(expr, kconfiglib.AND))
        if expr[0] is kconfiglib.OR:
            return min(_cost(t, need, depth) for t in kconfiglib.split_expr(expr, kconfiglib.OR))
        return 2
    if isinstance(expr, kconfiglib.Choice):
        return 2
    if expr.is_constant or not expr.nodes or expr.orig_type not in _TRISTATES:
        return _FAR
    if not depth:
        return 1
    conds = [node.prompt[1] for node in expr.nodes if node.prompt]
    if not conds:
        return 5
    return 1 + min(_cost(cond, 1, depth - 1) for cond in conds)
