# SPDX-License-Identifier: GPL-2.0-only
"""The vhost-user protocol (QEMU, docs/interop/vhost-user.rst), for both of its sides."""

from pykit.vhost_user.messages import (
    HEADER,
    LOG_ALL,
    NEED_REPLY,
    PATIENCE,
    PROTOCOL_FEATURES,
    REPLY,
    FrontEndRequest,
    Message,
    PeerGoneError,
    Protocol,
    receive,
    send,
)

__all__ = [
    "HEADER",
    "LOG_ALL",
    "NEED_REPLY",
    "PATIENCE",
    "PROTOCOL_FEATURES",
    "REPLY",
    "FrontEndRequest",
    "Message",
    "PeerGoneError",
    "Protocol",
    "receive",
    "send",
]
