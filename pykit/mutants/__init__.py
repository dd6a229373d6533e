# SPDX-License-Identifier: GPL-2.0-only
"""Mutants of the kernel's own virtio core and drivers: deliberate faults that a rule has to name.

Each is a semantic patch (``mutants/*.cocci``) behind one run-time switch, so that one build of a
kernel's modules serves all of them.
"""

from pykit.mutants.build import MutantBuild, build_mutants
from pykit.mutants.catalog import Mutant, load_mutants

__all__ = ["Mutant", "MutantBuild", "build_mutants", "load_mutants"]
