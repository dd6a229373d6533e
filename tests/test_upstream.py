# SPDX-License-Identifier: GPL-2.0-only
"""The series of patches for a kernel's virtio core; tests/kernel/test_upstream.py builds it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pykit.errors import UsageError
from pykit.upstream import series, write_series

FILE = "drivers/virtio/virtio_ring.c"


def test_heads() -> None:
    patches = series()
    assert [patch.path.name[:4] for patch in patches] == ["0001", "0002", "0003"]
    for patch in patches:
        assert patch.subject.startswith("virtio_ring: ")
        assert patch.file == FILE
        assert max(map(len, [patch.subject, *patch.body.splitlines()])) <= 75


@pytest.mark.skipif(shutil.which("spatch") is None, reason="Coccinelle is not installed")
@pytest.mark.parametrize(
    ("source", "words"),
    [(None, f"has no {FILE}"), ("int nothing;\n", "0001-events.cocci changes 0 places")],
)
def test_another_tree(tmp_path: Path, source: str | None, words: str) -> None:
    if source is not None:
        (tmp_path / FILE).parent.mkdir(parents=True)
        (tmp_path / FILE).write_text(source)
    with pytest.raises(UsageError, match=words):
        write_series(tmp_path, tmp_path / "patches")
