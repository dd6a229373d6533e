# SPDX-License-Identifier: GPL-2.0-only
"""Deliberate bugs of the fault builds, and the rules that fail for each."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from pykit.spec import clauses

Side = Literal["driver", "device"]

_FAULTS: dict[Side, str] = {"driver": "faults.toml", "device": "device_faults.toml"}


@dataclass(frozen=True)
class Fault:
    """A deliberate bug of the fault build.

    Attributes:
        what: the error, in words.
        rules: ids of the rules that fail for it.
        either: ids of which one or more fail, depending on the negotiated features.
        ring: the one layout of rings that it needs, or ``both``.
        packed: what fails instead on packed rings, if anything else does.
        bugs: real bugs that it repeats, keys of mutants/real-bugs.toml.
    """

    name: str
    what: str
    rules: tuple[str, ...]
    either: tuple[str, ...]
    ring: str = "both"
    packed: tuple[str, ...] = ()
    bugs: tuple[str, ...] = ()

    def fits(self, ring: str) -> bool:
        """Whether it can go wrong on rings of this layout."""
        return self.ring in ("both", ring)

    def on(self, ring: str) -> Fault:
        """The bug with the rules that fail for it on rings of this layout."""
        if ring != "packed" or not self.packed:
            return self
        return replace(self, rules=self.packed, either=())

    def explains(self, failed: set[str]) -> bool:
        """Whether exactly the rules failed that name this bug."""
        rest = failed - {*self.rules}
        return (
            {*self.rules} <= failed and rest <= {*self.either} and bool(rest) == bool(self.either)
        )


@cache
def faults(side: Side = "driver") -> dict[str, Fault]:
    """Return the deliberate bugs of one side's fault build, by name.

    The block driver's are in data/faults.toml, the vhost driver's in data/device_faults.toml.
    """
    table = tomllib.loads(clauses.data(_FAULTS[side]))
    return {
        name: Fault(
            name,
            entry["what"],
            tuple(entry["rules"]),
            tuple(entry.get("either", ())),
            ring=entry.get("ring", "both"),
            packed=tuple(entry.get("packed", ())),
            bugs=tuple(entry.get("bugs", ())),
        )
        for name, entry in table.items()
    }
