# SPDX-License-Identifier: GPL-2.0-only
"""All rules, a module a topic of the specification. Importing the package registers them.

A rule is one function that can be read alone::

    @rule("NA-DR-01", needs="driver:queue", local=True)
    def used_flags_start_at_zero(view: View) -> Result:
        '''Section 2.7.10: the driver sets the used ring's flags to 0 when it sets a queue up.

        Checked: each set-up of a split queue.
        '''
        setups = view.queue_setups(SPLIT)
        return setups.check(setups["used_flags"] == 0, "{queue}: used flags are …", none=NO_SPLIT)

Its docstring has, in this order:

- the section and the clause in our own words, never the specification's text;
- ``Checked:`` and what is counted, one sentence;
- for each tolerance (a window, a limit, a case that is left undecided) the reason for it.

Its code states what *holds*; the helpers report what does not:

- ``Rows`` (columns): ``rows.where(mask)`` keeps the candidates that the clause is about,
  ``rows.plus(name=column)`` adds columns for the condition and the message, and
  ``rows.check(holds, message)`` decides all that are left. ``view.events_of(*kinds)``,
  ``view.queue_setups(layout)`` and ``Rows.of(view.rings, view.adds)`` make rows.
- ``Tally`` (one by one): ``tally.check(holds, rows, message)``, ``tally.undecided()`` and
  ``tally.result()``, for rules over the events of a device's life.

Functions that rules of one topic share have no ``@rule`` and no section. Time limits are in
``pykit/spec/timing.py``. The name of a rule's function states what holds, its message what is
wrong. Each rule has logs that break it in ``tests/spec/cases/<topic>.py``; ``pykit rules ID``
prints all of it, with the topic's own docstring, which has the terms that its rules share.

The package is called topics because ``pykit.spec.rules()`` is a function.
"""

import importlib
import pkgutil

for _topic in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_topic.name}")
