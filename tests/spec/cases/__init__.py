# SPDX-License-Identifier: GPL-2.0-only
"""For every rule: a log in which it holds, and ways to break it, by topic of the rule.

Logs come from a machine that conforms to the specification; a case alters its events as another
driver or device would have. The first line of a case's docstring says what breaks the rule.
"""

import importlib
import pkgutil

from tests.spec.cases.base import CASES, Case

for _topic in pkgutil.iter_modules(__path__):
    if _topic.name != "__main__":
        importlib.import_module(f"{__name__}.{_topic.name}")

__all__ = ["CASES", "Case"]
