# SPDX-License-Identifier: GPL-2.0-only
"""Put another back-end in the place of one that is gone, so that the front-end learns nothing.

All that the front-end has said is said again, and chains in flight are offered again in new shadow
rings. They are done twice: right for disks, not for every device.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from pykit.tap.queues import TappedQueue, notify
from pykit.tap.relay import Relay
from pykit.tap.stream import Stream
from pykit.vhost_user import (
    NEED_REPLY,
    REPLY,
    U64,
    VRING,
    FrontEndRequest,
    Message,
    PeerGoneError,
    receive,
)

R = FrontEndRequest
#: How long a back-end may take to listen again, and the pause between two attempts, in seconds.
RETURNING, _PAUSE = 10.0, 0.02
#: Requests whose reply carries no state, so that they are made again.
_ASKED = frozenset(
    {
        R.GET_FEATURES, R.GET_PROTOCOL_FEATURES, R.GET_VRING_BASE, R.GET_QUEUE_NUM, R.GET_CONFIG,
        R.GET_MAX_MEM_SLOTS, R.GET_STATUS,
    }
)  # fmt: skip


def heal(relay: Relay, dial: Callable[[], Stream]) -> None:
    """Connect to a back-end that listens at the same place, and bring it to where it was.

    Raises:
        PeerGoneError: none listens in time, or none takes what it has to.
    """
    deadline = time.monotonic() + RETURNING
    while True:
        try:
            back = dial()
            try:
                _say_again(relay, back)
            except BaseException:
                back.close()
                raise
            break
        except PeerGoneError:
            # A daemon that was killed may leave a listener that resets its first connection.
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE)
    relay.back = back
    _ask_again(relay)


def _say_again(relay: Relay, back: Stream) -> None:
    negotiated = relay.negotiated
    _reply(back, R.GET_FEATURES)
    if negotiated.protocol is not None:
        _reply(back, R.GET_PROTOCOL_FEATURES)
        back.send(R.SET_PROTOCOL_FEATURES, U64.pack(negotiated.protocol))
    if negotiated.owner:
        back.send(R.SET_OWNER, b"")
    if negotiated.features is not None:
        back.send(R.SET_FEATURES, U64.pack(negotiated.features))
    if relay.channel.taken:
        back.send(R.SET_BACKEND_REQ_FD, b"", 0, relay.channel.open())
        relay.channel.sent()
    relay.regions.share_again(back)
    for queue in relay.queues.values():
        if queue.address and queue.size:
            _set_up_again(relay, back, queue)


def _set_up_again(relay: Relay, back: Stream, queue: TappedQueue) -> None:
    index = queue.index
    back.send(R.SET_VRING_NUM, VRING.pack(index, queue.size))
    base = queue.ring.heal() if queue.ring is not None else queue.base or 0
    back.send(R.SET_VRING_BASE, VRING.pack(index, base))
    back.send(R.SET_VRING_ADDR, queue.place(queue.address, relay.negotiated.accepted))
    back.send(R.SET_VRING_CALL, U64.pack(index), 0, (queue.back_call,))
    if queue.has_kick:
        back.send(R.SET_VRING_KICK, U64.pack(index), 0, (queue.back_kick,))
    if queue.enabled:
        back.send(R.SET_VRING_ENABLE, VRING.pack(index, 1))
    if queue.ring is not None and queue.ring.outstanding:
        notify(queue.back_kick)


def _reply(back: Stream, request: FrontEndRequest) -> Message:
    back.send(request, b"")
    while (reply := receive(back.sock)).request != request:
        pass
    return reply


def _ask_again(relay: Relay) -> None:
    """Answer what the back-end that is gone had not: ask again, or acknowledge what was set."""
    waiting, relay.waiting = relay.waiting, []
    for message in waiting:
        if message.request in _ASKED:
            relay.waiting.append(message)
            relay.back.send(message.request, message.payload, message.flags & ~1)
        elif message.flags & NEED_REPLY:
            relay.front.send(message.request, U64.pack(0), REPLY)
