"""One engine on a workbench: packets go in as messages, outputs come out decoded."""

from __future__ import annotations

import random
from typing import Any

import attrs

from trio_gossip.addresses import Address
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import Ack, Alive, Frame, Message, Ping
from trio_gossip.config import Config
from trio_gossip.engine import (
    Complete,
    Deliver,
    Engine,
    Notify,
    OpenExchange,
    Output,
    SendFrame,
    SendPacket,
)
from trio_gossip.events import Event
from trio_gossip.members import VERSIONS_DEFAULT, Member, MemberState

CODEC = NativeCodec()


def address_of(name: str) -> Address:
    return Address(f"h-{name}", 7946)


def alive(name: str, incarnation: int = 1, **changes: Any) -> Alive:
    values: dict[str, Any] = {
        "address": address_of(name),
        "meta": b"",
        "versions": VERSIONS_DEFAULT,
        "vouched_by": "",
    }
    return Alive(incarnation, name, **(values | changes))


@attrs.define
class Sent:
    """One packet that the engine sent, decoded."""

    address: Address
    messages: list[Message]
    size: int


class Bench:
    """An engine called ``me``, started at time 100, and everything that it did."""

    def __init__(self, *, seed: int = 1, packet_limit: int = 1400, **changes: Any) -> None:
        changes.setdefault("name", "me")
        changes.setdefault("detector", "memberlist")  # tests of the other one say so
        # Whether peers answer pings is up to each test; most do not care.
        changes.setdefault("lossy_transmit_floor", 1)
        name = changes.pop("name")
        self.config = Config.lan(name=name, **changes)
        self.engine = Engine(
            self.config,
            address_of(name),
            rng=random.Random(seed),
            packet_limit=packet_limit,
            incarnation=10,
        )
        self.now = 100.0
        self.sent: list[Sent] = []
        self.events: list[Event] = []
        self.outputs: list[Output] = []
        self.results: dict[int, Complete] = {}
        self._written: set[int] = set()
        self.answering: set[Address] = set()
        """Where pings are answered at once."""
        self.take(self.engine.start(now=self.now))

    # -- in -----------------------------------------------------------------------------

    def take(self, outputs: list[Output]) -> list[Output]:
        for output in outputs:
            self.outputs.append(output)
            if isinstance(output, SendPacket):
                messages = CODEC.unpack_untrusted(output.data)
                self.sent.append(Sent(output.address, messages, len(output.data)))
                if output.address in self.answering:
                    self._answer(output.address, messages)
            elif isinstance(output, Notify | Deliver):
                self.events.append(output.event)
            elif isinstance(output, Complete):
                self.results[output.token] = output
        return outputs

    def receive(self, source: str | Address, *messages: Message) -> list[Output]:
        where = address_of(source) if isinstance(source, str) else source
        data = CODEC.pack([CODEC.encode(message) for message in messages])
        return self.take(self.engine.receive_packet(data, where, now=self.now))

    def _answer(self, source: Address, messages: list[Message]) -> None:
        for message in messages:
            if isinstance(message, Ping):
                self.receive(source, Ack(message.sequence))

    def answer(self, *names: str) -> None:
        """From now on these members answer pings."""
        self.answering.update(map(address_of, names))

    def know(self, *names: str, incarnation: int = 1) -> None:
        """Make members known, as if they had announced themselves."""
        for name in names:
            self.receive(name, alive(name, incarnation))

    def wait(self, seconds: float) -> None:
        """Let time pass, with a turn at each deadline."""
        end = self.now + seconds
        while self.engine.next_deadline <= end:
            self.now = max(self.now, self.engine.next_deadline)
            self.take(self.engine.handle_timeout(now=self.now))
        self.now = end

    def wait_for(self, kind: type, limit: float = 60.0) -> tuple[Sent, Any]:
        """Let time pass until a message of this class is sent; returns it."""
        before = len(self.sent)
        end = self.now + limit
        while True:
            for sent in self.sent[before:]:
                for message in sent.messages:
                    if isinstance(message, kind):
                        return sent, message
            before = len(self.sent)
            assert self.engine.next_deadline <= end, f"no {kind.__name__} within {limit} s"
            self.now = max(self.now, self.engine.next_deadline)
            self.take(self.engine.handle_timeout(now=self.now))

    def frames(self, exchange: int, *frames: Frame) -> list[Output]:
        outputs: list[Output] = []
        for frame in frames:
            data = CODEC.encode_frame(frame)
            outputs += self.take(self.engine.exchange_received(exchange, data, now=self.now))
        return outputs

    def accept(self, source: str = "peer") -> int:
        exchange = self.engine.new_exchange()
        where = Address(f"h-{source}", 40000)
        self.take(self.engine.exchange_accepted(exchange, where, now=self.now))
        return exchange

    # -- out ----------------------------------------------------------------------------

    def clear(self) -> None:
        self.sent.clear()
        self.events.clear()
        self.outputs.clear()

    def messages(self, kind: type, to: str | Address | None = None) -> list[Any]:
        where = address_of(to) if isinstance(to, str) else to
        return [
            message
            for sent in self.sent
            for message in sent.messages
            if isinstance(message, kind) and where in (None, sent.address)
        ]

    def seen(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def opened(self) -> list[OpenExchange]:
        return [output for output in self.outputs if isinstance(output, OpenExchange)]

    def frames_sent(self, exchange: int) -> list[Frame]:
        """All frames sent on an exchange, reporting each as written."""
        decoder = CODEC.stream_decoder(accepted=True)
        found: list[Frame] = []
        at = 0
        while at < len(self.outputs):
            output = self.outputs[at]
            at += 1
            if isinstance(output, SendFrame) and output.exchange == exchange:
                found += decoder.feed_untrusted(output.data)
                if output.more and id(output) not in self._written:
                    self._written.add(id(output))
                    self.take(self.engine.exchange_writable(exchange, now=self.now))
        return found

    def member(self, name: str) -> Member:
        member = self.engine.member(name)
        assert member is not None, f"{name} is not in the table"
        return member

    def state(self, name: str) -> MemberState:
        return self.member(name).state

    def count(self, counter: str) -> int:
        return self.engine.statistics().counters.get(counter, 0)
