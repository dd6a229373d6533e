# SPDX-License-Identifier: GPL-2.0-only
"""Events of chains that a tap wrote down, against a plain loop over the same descriptors."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pykit.trace.tapped import layouts
from pykit.trace.tapped_chains import CHAIN, DESCRIPTOR, expand

NEXT, WRITE, INDIRECT, HEADER = 1, 2, 4, 16
DTYPES = {name: np.dtype([(n, f"<{c}") for n, c in layout]) for name, layout in layouts().items()}
ELEMENTS = st.tuples(
    st.integers(0, 0xFFFF), st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 32) - 1),
    st.integers(0, 0xFFFF), st.integers(0, 0xFFFF),
)  # fmt: skip
CHAINS = st.lists(
    st.tuples(st.lists(ELEMENTS, max_size=3), st.lists(ELEMENTS, max_size=4), st.booleans()),
    min_size=1,
    max_size=5,
)
Chains = list[tuple[list[tuple[int, ...]], list[tuple[int, ...]], bool]]


def recorded(chains: Chains) -> tuple[Any, Any]:
    """Both files."""
    row, first, second = 7, [], []
    for number, (ring, inner, blk) in enumerate(chains):
        first.append(
            (row, 1000 + number, 2, 1, row + 1, 900, 3, 40 + number, number, len(ring), 5,
             len(inner), blk, 1, 77, 0xABC)
        )  # fmt: skip
        second += [(*element, table) for table, part in ((0, ring), (1, inner)) for element in part]
        row += 1 + len(ring) + len(inner) + blk
    return np.array(first, DTYPES[CHAIN]), np.array(second, DTYPES[DESCRIPTOR])


@given(CHAINS)
def test_events_are_those_of_a_plain_loop(chains: Chains) -> None:
    events = [row for frame in expand(*recorded(chains)) for row in frame.to_dicts()]
    events.sort(key=lambda event: event["row"])
    assert [event["row"] for event in events] == list(range(7, 7 + len(events)))
    assert all(event["seq"] == event["row"] + 1 for event in events)
    left = iter(events)
    for number, (ring, inner, blk) in enumerate(chains):
        buffers = [d for d in ring if not d[3] & INDIRECT] + inner
        reads = [d[2] for d in buffers if not d[3] & WRITE]
        writes = [d[2] for d in buffers if d[3] & WRITE]
        add = next(left)
        assert (add["kind"], add["readable"], add["writable"]) == ("add", sum(reads), sum(writes))
        assert (add["chain"], add["slots"], add["indirect"]) == (
            len(buffers), len(ring), bool(inner)
        )  # fmt: skip
        for table, part in enumerate((ring, inner)):
            for pos, (slot, addr, length, flags, following) in enumerate(part):
                desc = next(left)
                assert desc["kind"] == "desc"
                found = tuple(desc[name] for name in ("slot", "addr", "len", "flags", "next"))
                assert found == (slot, addr, length, flags, following)
                assert (desc["pos"], desc["table"], desc["head"]) == (pos, table, 40 + number)
        if blk:
            start, sent = next(left), sum(reads) - HEADER
            size, count = (sent, len(reads)) if sent > 0 else (sum(writes) - 1, len(writes))
            assert (start["kind"], start["sector"], start["status_addr"]) == (
                "blk_start",
                77,
                0xABC,
            )
            assert (start["bytes"], start["segments"]) == (max(size, 0), max(count - 1, 0))


def test_a_chain_that_is_cut_off_has_no_events() -> None:
    element = (0, 0x1000, 16, 0, 0)
    chains, descriptors = recorded([([element], [], False), ([element, element], [], False)])
    frames = expand(chains, descriptors[:-1])
    assert [frame.height for frame in frames] == [1, 1, 0]
    assert [frame.height for frame in expand(chains, descriptors[:0])] == [0, 0, 0]
