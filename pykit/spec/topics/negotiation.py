# SPDX-License-Identifier: GPL-2.0-only
"""What a driver makes of an offer: that it reads it, and what it does without a part of it (2.2.1).

A driver's own list of the features that it knows is in its event ``features``. Reads of the offer
are in the register accesses.
"""

from __future__ import annotations

from pykit.spec import bits
from pykit.spec.accepted import accepted_words
from pykit.spec.lives import Life
from pykit.spec.model import Result, rule
from pykit.spec.registers import registers
from pykit.spec.rows import Tally
from pykit.spec.topics.pci_registers import SEEN
from pykit.spec.view import View

_NOT_FAR = "the driver did not get to DRIVER_OK, and may have had another reason"


@rule("FB-DR-03", needs=SEEN)
def offer_is_read(view: View) -> Result:
    """Section 2.2.1: the driver validates the feature bits that the device offers.

    Checked: each write of accepted features other than 0, in a log that has the reset before it:
    the driver has read the same 32 bits of the offer since that reset. What it makes of them is
    FB-DR-01's and its neighbours'; a driver that has not read them cannot have validated anything.
    A driver that resumes after a suspend writes again what it wrote before: a write of the same
    bits as one behind a read of the offer counts as validated too, but for a driver whose trace
    has its steps, and no resumption among them.
    """
    regs = registers(view)
    writes, held, word = accepted_words(view)
    rows = regs.where(writes, held=held, word=word)
    return regs.check(
        rows,
        rows["held"],
        "{place}: {value:#x} is accepted of feature word {word}, which was not read",
        none="no driver accepted a feature",
    )


@rule("FB-DR-09", needs=("driver:features", "driver:status"))
def works_without_what_it_knows(view: View) -> Result:
    """Section 2.2.1: a driver does without a feature that it knows and the device does not offer.

    Checked: each life in which a device does not offer some of the features in the driver's list:
    the driver goes on to DRIVER_OK. That it gives up is a violation where the same driver got that
    far in another life of the device, whose offer had some of these features more and was the same
    otherwise, and in no life with the lesser offer. VERSION_1 is left out: a driver need not have
    the legacy interface.

    Undecided: the driver did not get that far, and no such life shows why. The clause allows
    a driver that cannot do without a feature to set FAILED, which FB-DR-10 looks at.
    """
    tally = Tally(none="each device offered all that its driver knows", doubt=_NOT_FAR)
    lives = [(life, life.negotiated) for life in view.lives.values()]
    good = {(life.dev, last.driver, last.offered) for life, last in lives if last and works(life)}
    for life, last in lives:
        missing = last.driver & ~last.offered & ~(1 << bits.VERSION_1) if last else 0
        if last is None or not missing:
            continue
        if works(life):
            tally.check(True, last.row, "")
            continue
        same = {offer for dev, known, offer in good if (dev, known) == (life.dev, last.driver)}
        wanted = next(
            (o & missing for o in same if o & ~missing == last.offered and o & missing), 0
        )
        gave_up = life.stage(bits.PROBE_FAILED) or life.first_write(bits.FAILED)
        if wanted and gave_up and last.offered not in same:
            text = f"{life.name}: gives up where bits {bits.names_of(wanted)} are not offered"
            tally.check(False, last.row, text)
        else:
            tally.undecided()
    return tally.result()


def works(life: Life) -> bool:
    """Return whether the driver got as far as DRIVER_OK."""
    return life.first_write(bits.DRIVER_OK) is not None
