"""The second process of ``bench_floods.py``: sends one kind of flood to one member, and counts.

Plain sockets and no trio, so that what is measured is the member and not the sender. It binds to
loopback hosts of its own (127.1.0.1 and up) and to nothing else. Its one argument is an object of
JSON, the answer one line.
"""

from __future__ import annotations

import itertools
import json
import selectors
import socket
import struct
import sys
import time
from collections.abc import Callable

from flood_datagrams import PACKETS, Plan, codec

from trio_gossip import Address
from trio_gossip.codec.messages import Record, SyncEnd, SyncMembers, SyncOpen
from trio_gossip.members import VERSIONS_DEFAULT

BURST = 64
"""Datagrams between two looks at the clock and at the streams."""

TRICKLE_SECONDS = 1.0
"""A slow sender sends one byte in so long."""

STEP_SECONDS = 0.01
"""Pace at which streams are looked after, so that a flood of both goes on with both."""

STREAMS_PER_STEP = 32
"""Streams opened at once."""

# -- streams ----------------------------------------------------------------------------


class Streams:
    """As many streams as may be held, each opened again as soon as the member closes it.

    ``content`` makes what one stream says; None says nothing. ``is_slow``: a byte each second,
    else all at once.
    """

    def __init__(
        self, plan: Plan, held: int, content: Callable[[Plan], bytes] | None, *, is_slow: bool
    ) -> None:
        self._plan = plan
        self._held = held
        self._content = content
        self._is_slow = is_slow
        self._selector = selectors.DefaultSelector()
        self._open: dict[socket.socket, bytes] = {}
        self._hosts = itertools.cycle(plan.sources)
        self._next_trickle = 0.0
        self.opened = self.closed = self.failed = self.most = 0

    def step(self, patience: float) -> None:
        """Open what is missing, drop what was closed, say what is due."""
        for _ in range(min(STREAMS_PER_STEP, self._held - len(self._open))):
            if not self._dial():
                break
        for key, _ in self._selector.select(patience):
            self._heard(key.fileobj)  # type: ignore[arg-type]  # only sockets are registered
        now = time.monotonic()
        if self._is_slow and now >= self._next_trickle:
            self._next_trickle = now + TRICKLE_SECONDS
            for stream, left in list(self._open.items()):
                if left:
                    self._open[stream] = left[1:]
                    self._say(stream, left[:1])
        self.most = max(self.most, len(self._open))

    def _dial(self) -> bool:
        stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        # A reset at the end, so that no port is held for a minute.
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            stream.bind((next(self._hosts), 0))
            stream.setblocking(False)
            stream.connect_ex(self._plan.to)
            stream.getpeername()  # on loopback it is there at once, unless the queue is full
        except OSError:
            self.failed += 1
            stream.close()
            return False
        self.opened += 1
        content = self._content(self._plan) if self._content else b""
        self._open[stream] = content if self._is_slow else b""
        self._selector.register(stream, selectors.EVENT_READ)
        if content and not self._is_slow:
            self._say(stream, content)
        return True

    def _say(self, stream: socket.socket, data: bytes) -> None:
        try:
            stream.send(data)
        except OSError:
            self._drop(stream)

    def _heard(self, stream: socket.socket) -> None:
        try:
            if stream.recv(65536):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._drop(stream)

    def _drop(self, stream: socket.socket) -> None:
        if self._open.pop(stream, None) is not None:
            self.closed += 1
            self._selector.unregister(stream)
            stream.close()

    def close(self) -> None:
        """Reset all."""
        for stream in list(self._open):
            self._drop(stream)


def long_frame(plan: Plan) -> bytes:
    """A beginning that promises more: a sealed preface, or a frame."""
    if plan.is_sealed:
        return b"\xe8" + plan.recorded[0][0][1:5] + plan.chance.randbytes(16) + bytes(200)
    return (1000).to_bytes(4, "big") + plan.chance.randbytes(200)


def join(plan: Plan) -> bytes:
    """A whole join in plain, under a name of its own."""
    name = f"nobody-{plan.chance.getrandbits(60):x}"
    at = Address(plan.sources[0], 1 + plan.chance.randrange(65535))
    frames = [
        SyncOpen(name, at, True),
        SyncMembers([Record(name, at, b"", VERSIONS_DEFAULT, 1, 0)]),
        SyncEnd(1),
    ]
    return b"".join(map(codec.encode_frame, frames))


# -- one flood --------------------------------------------------------------------------


def streams_of(plan: Plan) -> list[Streams]:
    """The streams of a kind of flood."""
    silent = Streams(plan, plan.held, None, is_slow=False)
    slow = Streams(plan, plan.held, long_frame, is_slow=True)
    joins = Streams(plan, min(plan.held, 32), join, is_slow=False)
    kinds = {"half-open": [silent], "slow": [slow], "joins": [joins], "mix": [silent, slow, joins]}
    return kinds.get(plan.kind, [])


def main() -> None:
    plan = Plan(json.loads(sys.argv[1]))
    makers = [make(plan) for make in PACKETS.get(plan.kind, [])]
    datagrams = (each for group in zip(*makers, strict=True) for each in group)
    streams = streams_of(plan)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((plan.sources[0], 0))
    udp.connect(plan.to)
    sent = failed = 0
    next_step = 0.0
    print(json.dumps({"done": "ready"}), flush=True)
    sys.stdin.readline()
    started = time.monotonic()
    cpu = time.process_time()
    while (passed := time.monotonic() - started) < plan.seconds:
        for data in itertools.islice(datagrams, BURST):
            try:
                udp.send(data)
                sent += 1
            except OSError:
                failed += 1
        if not makers or passed >= next_step:
            next_step = passed + STEP_SECONDS
            for each in streams:
                each.step(0.0 if makers else STEP_SECONDS)
    answer = {
        "done": "flood",
        "sent": sent,
        "send_errors": failed,
        "seconds": passed,
        "cpu": time.process_time() - cpu,
        "opened": sum(each.opened for each in streams),
        "closed": sum(each.closed for each in streams),
        "dial_errors": sum(each.failed for each in streams),
        "most": sum(each.most for each in streams),
    }
    print(json.dumps(answer), flush=True)
    sys.stdin.readline()  # until the members have been looked at
    for each in streams:
        each.close()
    sys.stdin.readline()  # an end of ours would be taken for a failure


if __name__ == "__main__":
    main()
