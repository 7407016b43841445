"""Engines without a network, and ready-made packets for them: what ``bench_engine`` measures on.

Everything here goes through the engine's public contract: bytes and time in, outputs out.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable

import harness  # noqa: F401  # makes the project importable

from trio_gossip.addresses import Address
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import Ack, Alive, Ping
from trio_gossip.config import Config
from trio_gossip.engine import (
    CloseExchange,
    Complete,
    Engine,
    OpenExchange,
    Output,
    SendFrame,
    SendPacket,
)
from trio_gossip.members import VERSIONS_DEFAULT

CODEC = NativeCodec()
PACKET_LIMIT = 1400
NEVER = 1e6
"""Seconds: further away than any benchmark lasts."""


def member_name(number: int) -> str:
    """A name of 16 characters."""
    return f"member-{number:09}"


def member_address(number: int) -> Address:
    """An address that no other member has."""
    return Address(f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", 7946)


def alive(number: int, incarnation: int = 1, meta: bytes = b"") -> Alive:
    """The alive message of a member."""
    return Alive(incarnation, member_name(number), member_address(number), meta, VERSIONS_DEFAULT)


def packet(*messages: Alive | Ping | Ack) -> bytes:
    """Messages in one packet, as they come from the network."""
    return CODEC.pack([CODEC.encode(message) for message in messages])


class Bench:
    """One engine, number 0, whose peers all answer its pings at once."""

    def __init__(self, number: int = 0, **changes: object) -> None:
        settings: dict[str, object] = {
            "push_pull_interval": NEVER,
            "rejoin_interval": NEVER,
        }
        self.config = Config.lan(name=member_name(number), **(settings | changes))
        self.address = member_address(number)
        self.engine = Engine(
            self.config,
            self.address,
            rng=random.Random(number),
            packet_limit=PACKET_LIMIT,
        )
        self.now = 1000.0
        self.engine.start(now=self.now)

    def learn(self, numbers: Iterable[int], meta: bytes = b"") -> None:
        """Make members known by their own alive messages."""
        for number in numbers:
            data = packet(alive(number, 1, meta))
            self.engine.receive_packet(data, member_address(number), now=self.now)

    def step(self) -> list[Output]:
        """Let time pass until the next deadline, and have the engine handle it."""
        self.now = max(self.now, self.engine.next_deadline)
        return self.engine.handle_timeout(now=self.now)

    def answer(self, outputs: Iterable[Output]) -> None:
        """Acknowledge the pings among ``outputs``."""
        for output in outputs:
            ack = ack_of(output)
            if ack is not None:
                assert isinstance(output, SendPacket)
                self.engine.receive_packet(ack, output.address, now=self.now)

    def settle(self) -> None:
        """Let time pass until there is nothing to gossip."""
        while (seen := self.engine.statistics()).membership_queue or seen.user_queue:
            self.answer(self.step())


def ack_of(output: Output) -> bytes | None:
    """The packet that answers a ping; None when the output is none."""
    if isinstance(output, SendPacket):
        for message in CODEC.unpack_untrusted(output.data):
            if isinstance(message, Ping):
                return packet(Ack(message.sequence))
    return None


class Pipe:
    """A stream between two engines, as the two drivers would move it: frame by frame."""

    def __init__(self, asking: Bench, answering: Bench) -> None:
        self._benches = (asking, answering)
        self._token = 0

    def push_pull(self) -> int:
        """Run one whole exchange of tables; returns the number of turns that it took."""
        asking, answering = self._benches
        self._token += 1
        turns = 1
        outputs = asking.engine.join(answering.address, token=self._token, now=asking.now)
        work: deque[tuple[int, Output]] = deque((0, output) for output in outputs)
        exchanges: dict[int, int] = {}
        while True:
            while work:
                side, output = work.popleft()
                for moved in self._perform(side, output, exchanges):
                    turns += 1
                    work.extend(moved)
            for side, bench in enumerate(self._benches):  # slices of the merge
                if bench.engine.next_deadline <= bench.now:
                    turns += 1
                    work.extend((side, out) for out in bench.engine.handle_timeout(now=bench.now))
            if not work:
                return turns

    def _perform(
        self, side: int, output: Output, exchanges: dict[int, int]
    ) -> list[list[tuple[int, Output]]]:
        """Do what one engine wants; returns the outputs of each turn that this caused."""
        here, there = self._benches[side], self._benches[1 - side]
        if isinstance(output, OpenExchange):
            exchanges[0] = output.exchange
            exchanges[1] = there.engine.new_exchange()
            accepted = there.engine.exchange_accepted(exchanges[1], here.address, now=there.now)
            opened = here.engine.exchange_opened(output.exchange, now=here.now)
            return [[(1, o) for o in accepted], [(0, o) for o in opened]]
        if isinstance(output, SendFrame):
            other = exchanges[1 - side]
            turns = [
                [
                    (1 - side, o)
                    for o in there.engine.exchange_received(other, output.data, now=there.now)
                ]
            ]
            if output.more:
                written = here.engine.exchange_writable(output.exchange, now=here.now)
                turns.append([(side, o) for o in written])
            return turns
        if isinstance(output, Complete):
            assert output.error is None, output.error
        assert not isinstance(output, CloseExchange) or not output.drain, "an exchange was refused"
        return []
