# SPDX-License-Identifier: GPL-2.0-only
"""Read what an agent in the guest printed of its kernel's lists and log, for the survey."""

from __future__ import annotations

import re
from typing import Any

#: What the kit's own steps print (MAPPED_LINES and REPORTED_LINES in pykit/guests/kitsteps.py).
_MAPPED = re.compile(
    r"^mapped ([0-9]{1,9})((?: [0-9a-f]{1,16}:[0-9]{1,18}:[A-Za-z0-9_.]{0,99})*) *$"
)
_REPORTED = re.compile(r"^reported 1((?: [0-9a-f]{1,16}:[0-9]{1,9})*) *$")


def read_mapped(printed: str) -> dict[str, Any] | None:
    """Return which memory of devices is mapped: whole pages, and the function that asked.

    ``{"page": bytes, "areas": [[address, bytes, caller], …]}``, None where the kernel has no list.
    It counts the page behind each area, which is not there to find accesses beyond it
    (get_vm_area() in mm/vmalloc.c), as a part of the area.
    """
    line = next((line for line in printed.splitlines() if line.startswith("mapped ")), "")
    match = _MAPPED.match(line)
    if match is None:
        return None
    page = int(match[1])
    areas = []
    for word in match[2].split():
        address, length, caller = word.split(":")
        if int(length) > page:
            areas.append([int(address, 16), int(length) - page, caller])
    return {"page": page, "areas": areas}


def read_reported(printed: str) -> dict[int, int] | None:
    """Return how many errors the kernel reported of each slot of virtio-mmio, by its address.

    None where the beginning of its log is gone: what it reported cannot be counted.
    """
    line = next((line for line in printed.splitlines() if line.startswith("reported ")), "")
    match = _REPORTED.match(line)
    if match is None:
        return None
    words = (word.split(":") for word in match[1].split())
    return {int(address, 16): int(errors) for address, errors in words}
