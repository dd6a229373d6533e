# SPDX-License-Identifier: GPL-2.0-only
"""Back-ends by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from pykit.drive import kind_of
from pykit.errors import UsageError
from pykit.peers import PEERS, peer_of, start, started


def test_unknown_name() -> None:
    with pytest.raises(UsageError, match=r"virtiofs.*virtiofsd"):
        peer_of("virtiofs")


@pytest.mark.parametrize("name", PEERS)
def test_command(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start.programs, "unpacked", lambda *_: tmp_path)
    monkeypatch.setattr(start.programs, "version_of", lambda *_: "1:2.3-4")
    peer = PEERS[name]
    kind_of(peer.kind)
    with started(peer, lambda _: None) as one:
        assert one.title == f"{name} 1:2.3-4"
        assert one.command[0] == str(tmp_path / peer.program)
        words = " ".join(one.command)
        assert "{socket}" in words
        assert "{folder}" not in words
