# SPDX-License-Identifier: GPL-2.0-only
"""How long rules wait before they hold it against driver or device that nothing came (ns).

The specification sets no time, so that each of these is a tolerance: large against what was
observed on loaded hosts without KVM, and small against the time that a run lasts after its last
event. A trace that ends sooner leaves the candidate undecided.
"""

#: A notification that was not requested belongs to the decision before it only if it comes so
#: soon: later ones may be the doing of code that is not traced.
AT_ONCE = 1_000_000
#: A step that one task takes in a row, without waiting for the other side: a driver whose probe
#: failed writes FAILED, a driver that reads the status after a reset reads it again.
SAME_TASK = 1_000_000_000
#: A reaction of the other side: an interrupt for a used entry, a driver's read of a changed
#: configuration. It crosses the host's scheduler twice (vCPU and device).
OTHER_SIDE = 5_000_000_000
#: A task that may be preempted between two of its steps, on one vCPU that others share. Doubled
#: from OTHER_SIDE, as both the guest's scheduler and the host's take part.
PREEMPTED_TASK = 10_000_000_000
