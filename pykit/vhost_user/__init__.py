# SPDX-License-Identifier: GPL-2.0-only
"""The vhost-user protocol (QEMU, docs/interop/vhost-user.rst), for both of its sides."""

from pykit.vhost_user.messages import (
    CONFIG,
    HEADER,
    LARGEST,
    LOG_ALL,
    NEED_REPLY,
    PATIENCE,
    PROTOCOL_FEATURES,
    REGION,
    REPLY,
    U64,
    VRING,
    VRING_ADDR,
    FrontEndRequest,
    Message,
    PeerGoneError,
    Protocol,
    receive,
    send,
)
from pykit.vhost_user.sockets import listen, listens

__all__ = [
    "CONFIG",
    "HEADER",
    "LARGEST",
    "LOG_ALL",
    "NEED_REPLY",
    "PATIENCE",
    "PROTOCOL_FEATURES",
    "REGION",
    "REPLY",
    "U64",
    "VRING",
    "VRING_ADDR",
    "FrontEndRequest",
    "Message",
    "PeerGoneError",
    "Protocol",
    "listen",
    "listens",
    "receive",
    "send",
]
