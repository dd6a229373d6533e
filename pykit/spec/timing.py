# SPDX-License-Identifier: GPL-2.0-only
"""Time limits of rules on things that do not happen, in nanoseconds.

The specification sets no deadlines, so each of these is a tolerance. It is chosen large against
the milliseconds that the step takes, since guests run without KVM and share CPUs with other
guests; a trace that ends sooner leaves the candidate undecided. The limits differ by what has to
be scheduled in between.
"""

#: A notification that was not requested belongs to the decision before it only if it follows this
#: closely: a later one may come from code that is not traced.
AT_ONCE = 1_000_000
#: A step that one side takes alone: the device clears its status after a reset, the driver writes
#: FAILED after its probe failed.
ONE_SIDE = 1_000_000_000
#: A reaction of the other side: an interrupt for a used entry, or a work item of the guest after a
#: configuration change. It waits for the device's thread and a vCPU.
OTHER_SIDE = 5 * ONE_SIDE
#: A step of a guest task that may have been preempted just before it: it waits for a vCPU, and on
#: that one for other tasks.
PREEMPTED_TASK = 10 * ONE_SIDE
#: A driver that does nothing on a queue for so long after a used entry waits for its interrupt:
#: `pykit drive` waits twice as long.
WAITED_FOR = ONE_SIDE // 2
