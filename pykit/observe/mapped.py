# SPDX-License-Identifier: GPL-2.0-only
"""Read which device memory a guest's kernel has mapped, from its list of mappings."""

from __future__ import annotations

import re
from typing import Any

#: What the kit's own step prints (MAPPED_LINES in pykit/guests/kitsteps.py).
_LINE = re.compile(r"^mapped ([0-9]{1,9})((?: [0-9a-f]{1,16}:[0-9]{1,18}:[A-Za-z0-9_.]{0,99})*) *$")


def read_mapped(printed: str) -> dict[str, Any] | None:
    """Return ``{"page": bytes, "areas": [[address, bytes, caller], …]}``, None without a list.

    Areas are whole pages. The kernel counts the page behind each, which is not there to find
    accesses beyond it (get_vm_area() in mm/vmalloc.c), as a part of the area.
    """
    line = next((line for line in printed.splitlines() if line.startswith("mapped ")), "")
    match = _LINE.match(line)
    if match is None:
        return None
    page = int(match[1])
    areas = []
    for word in match[2].split():
        address, length, caller = word.split(":")
        if int(length) > page:
            areas.append([int(address, 16), int(length) - page, caller])
    return {"page": page, "areas": areas}
