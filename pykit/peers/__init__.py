# SPDX-License-Identifier: GPL-2.0-only
"""vhost-user back-ends of other makers by name, fetched from Debian as kernels are."""

from pykit.peers.catalog import PEERS, KnownDeviation, NamedPeer, peer_of
from pykit.peers.start import StartedPeer, folder, started

__all__ = ["PEERS", "KnownDeviation", "NamedPeer", "StartedPeer", "folder", "peer_of", "started"]
