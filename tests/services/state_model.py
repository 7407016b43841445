"""A few replicas, a network that delays, cuts and parts, and what must hold at every step."""

from __future__ import annotations

import random

import attrs

from trio_gossip.services.state_clock import HybridClock
from trio_gossip.services.state_delta import Ask
from trio_gossip.services.state_intake import Intake
from trio_gossip.services.state_records import Plane, Record, Slot, StateLimits, order_of, slot_of
from trio_gossip.services.state_replica import Outcome, Replica
from trio_gossip.services.state_sending import make_chunk
from trio_gossip.services.state_vector import Vector
from trio_gossip.services.state_wire import (
    encode_ask,
    encode_chunk,
    encode_news,
    parse_ask_untrusted,
    parse_chunk_untrusted,
    parse_news_untrusted,
)

KEYS = "abcd"
STEP_MS = 1000
CHUNK_BYTES = 200
"""Two records or so, so that most exchanges have several chunks and can be cut."""


class Broken(AssertionError):
    """A rule does not hold."""


@attrs.define(eq=False)
class Node:
    """One life of one member, and what the model remembers of it."""

    replica: Replica
    born: int
    paused_until: int = 0
    deleted: dict[Slot, tuple] = attrs.field(factory=dict)
    """For each slot, the newest tombstone that this life knows of, also by adoption."""
    shown: dict[Slot, tuple] = attrs.field(factory=dict)
    highest: dict[Slot, tuple] = attrs.field(factory=dict)
    """For each slot, the newest record that was ever shown here."""


@attrs.define(eq=False)
class Exchange:
    """One asks, one answers; a chunk at each step."""

    asker: str
    giver: str
    vector: Vector
    intake: Intake
    node: Node
    giver_node: Node
    deleted: dict[Slot, tuple] | None = None


class Model:
    """A schedule out of a seed.

    Args:
        seed: of the schedule.
        plane: of the replicas.
        nodes: how many.
        make: builds a replica; tests of the model put broken ones in.
        intake: takes chunks; the same.
        chunk: makes chunks; the same.
        reuse: a member that lost its state takes its old generation again.
        restarts: how likely a member loses its state, at each step.
        wired: everything goes through the bytes of the wire.
    """

    def __init__(
        self,
        seed: int,
        plane: Plane,
        *,
        make=Replica,
        intake=Intake,
        chunk=make_chunk,
        reuse=False,
        wired=False,
        restarts: float = 0.02,
        ttl_steps: int | None = None,
    ) -> None:
        self.rng = random.Random(seed)
        self.plane = plane
        self.make, self.intake_class, self.chunk = make, intake, chunk
        self.reuse, self.wired, self.restarts = reuse, wired, restarts
        self.now = 1_000_000
        self.steps = 0
        self.names = [f"n{number}" for number in range(self.rng.randint(4, 6))]
        ttl = ttl_steps or self.rng.randint(5, 80)
        self.limits = StateLimits(tombstone_ms=ttl * STEP_MS)
        self.counts: dict[str, int] = {}
        self.gens: dict[str, int] = {}
        self.nodes = {name: self._born(name) for name in self.names}
        self.in_flight: list[tuple[str, Record]] = []
        self.exchanges: list[Exchange] = []
        self.parts: dict[str, int] = dict.fromkeys(self.names, 0)
        self.writes = 0

    # -- members --------------------------------------------------------------------------

    def _born(self, name: str) -> Node:
        gen = (self.now << 20) + self.rng.getrandbits(20)
        if self.gens.get(name) and self.rng.random() < 0.2:
            # A clock that was set back: smaller than a former one, but never the same.
            gen = self.gens[name] - 1 - self.rng.getrandbits(30)
        if self.gens.get(name) and self.reuse:
            gen = self.gens[name]
        self.gens[name] = gen
        node = Node(None, self.steps)  # type: ignore[arg-type]

        def changed(slot: Slot, before: Record | None, after: Record | None) -> None:
            if node.shown.get(slot) != (before and before.dot):
                raise Broken(f"{name} told of a change of {slot} from what was not shown")
            node.shown[slot] = after and after.dot
            if after is not None:
                order = order_of(self.plane, after)
                if order <= node.highest.get(slot, (-1,)):
                    raise Broken(f"{name} shows {after} after something newer: versions go back")
                node.highest[slot] = order

        node.replica = self.make(
            self.plane,
            name,
            gen,
            clock=HybridClock(60_000),
            limits=self.limits,
            rng=random.Random(gen),
            changed=changed,
            bump=self._bump,
        )
        receive = node.replica.receive

        def noting(record: Record, *, now_ms: int, in_exchange: bool = False) -> Outcome:
            outcome = receive(record, now_ms=now_ms, in_exchange=in_exchange)
            if outcome is not Outcome.REFUSED:
                self._note_deleted(node, record)
            return outcome

        node.replica.receive = noting  # type: ignore[method-assign]
        return node

    def _bump(self, counter: str) -> None:
        self.counts[counter] = self.counts.get(counter, 0) + 1

    def wall(self, name: str) -> int:
        """Each member's clock is wrong by up to two steps."""
        return self.now + (int(name[1:]) - 2) * STEP_MS

    def connected(self, one: str, other: str) -> bool:
        return self.parts[one] == self.parts[other]

    def awake(self, name: str) -> bool:
        return self.nodes[name].paused_until <= self.steps

    # -- what happens ---------------------------------------------------------------------

    def step(self, calm: bool = False) -> None:
        self.steps += 1
        self.now += STEP_MS
        if not calm:
            self._faults()
            for _ in range(self.rng.randint(0, 2)):
                self._write()
        self._deliver(calm)
        if self.rng.random() < 0.6 and not calm:
            self._open(*self.rng.sample(self.names, 2))
        for exchange in list(self.exchanges):
            self._move(exchange, calm)
        for name, node in self.nodes.items():
            if self.awake(name):
                node.replica.collect(now_ms=self.wall(name))
        for name, node in self.nodes.items():
            self._send(name, node)
            self.check(name)

    def _faults(self) -> None:
        rng = self.rng
        chance = rng.random()
        if chance < 0.02:
            self.parts = {name: rng.randint(0, 1) for name in self.names}
        elif chance < 0.04:
            self.parts = dict.fromkeys(self.names, 0)
        elif chance < 0.06:
            self.nodes[rng.choice(self.names)].paused_until = self.steps + rng.randint(5, 120)
        elif chance < 0.06 + self.restarts:
            name = rng.choice(self.names)
            self.nodes[name] = self._born(name)
            self._bump("model_restart")

    def _write(self) -> None:
        name = self.rng.choice(self.names)
        if not self.awake(name):
            return
        replica = self.nodes[name].replica
        key = self.rng.choice(KEYS)
        self.writes += 1
        if self.rng.random() < 0.4:
            replica.delete(key, now_ms=self.wall(name))
        else:
            replica.set(key, b"%d" % self.writes, now_ms=self.wall(name))

    def _send(self, name: str, node: Node) -> None:
        """News go to some; the rest of them are lost."""
        for record in node.replica.take_news():
            self._note_deleted(node, record)
            for other in self.names:
                if other != name and self.rng.random() < 0.4:
                    self.in_flight.append((other, record))

    def _carried(self, record: Record) -> Record:
        if self.wired:
            plane, record = parse_news_untrusted(encode_news(self.plane, record))
            assert plane is self.plane
        return record

    def _deliver(self, calm: bool) -> None:
        self.rng.shuffle(self.in_flight)
        later = []
        for name, record in self.in_flight:
            if not calm and (self.rng.random() < 0.5 or not self.awake(name)):
                later.append((name, record))
            elif calm or self.connected(name, record.writer):
                node = self.nodes[name]
                node.replica.receive(self._carried(record), now_ms=self.wall(name))
        self.in_flight = later

    def _open(self, asker: str, giver: str) -> None:
        if self.awake(asker) and self.awake(giver) and self.connected(asker, giver):
            node = self.nodes[asker]
            vector = node.replica.vector()
            if self.wired:
                vector = parse_ask_untrusted(encode_ask(Ask(vector))).seen
            self.exchanges.append(
                Exchange(
                    asker,
                    giver,
                    vector,
                    self.intake_class(node.replica),
                    node,
                    self.nodes[giver],
                )
            )

    def _move(self, exchange: Exchange, calm: bool) -> None:
        asker, giver = exchange.asker, exchange.giver
        is_cut = not calm and (
            self.rng.random() < 0.1
            or not self.connected(asker, giver)
            or self.nodes[asker] is not exchange.node
        )
        if is_cut:
            self.exchanges.remove(exchange)
            return
        if not (self.awake(asker) and self.awake(giver)):
            return
        source = self.nodes[giver]
        chunk = self.chunk(source.replica, exchange.vector, exchange.intake.cursor, CHUNK_BYTES)
        if self.wired:
            chunk = parse_chunk_untrusted(encode_chunk(chunk))
        node = self.nodes[asker]
        exchange.intake.take(chunk, now_ms=self.wall(asker))
        if exchange.intake.is_done:
            self.exchanges.remove(exchange)
            if exchange.intake.is_adopted:
                # What the giver knows to be deleted is deleted for the asker too.
                for slot, order in source.deleted.items():
                    node.deleted[slot] = max(order, node.deleted.get(slot, order))

    def _note_deleted(self, node: Node, record: Record) -> None:
        if record.value is None:
            slot = slot_of(self.plane, record)
            order = order_of(self.plane, record)
            node.deleted[slot] = max(order, node.deleted.get(slot, order))

    # -- what must hold -------------------------------------------------------------------

    def check(self, name: str) -> None:
        node = self.nodes[name]
        for record in node.replica.items():
            slot = slot_of(self.plane, record)
            if order_of(self.plane, record) < node.deleted.get(slot, (-1,)):
                raise Broken(f"step {self.steps}: {name} shows {record}, which was deleted")

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.step()
        self.calm()

    def calm(self) -> None:
        """No faults any more, until a round of exchanges changes nothing."""
        self.parts = dict.fromkeys(self.names, 0)
        for node in self.nodes.values():
            node.paused_until = 0
        for _ in range(12):
            self.step(calm=True)
            before = self.digests()
            for asker in self.names:
                for giver in self.names:
                    if asker != giver:
                        self._open(asker, giver)
                        while self.exchanges:
                            self._move(self.exchanges[-1], calm=True)
                        self.nodes[asker].replica.collect(now_ms=self.wall(asker))
                        self.check(asker)
            self.step(calm=True)
            if self.digests() == before and len(set(before)) == 1 and not self.in_flight:
                break
        self.check_equal()

    def digests(self) -> list[int]:
        return [node.replica.digest for node in self.nodes.values()]

    def stores(self) -> list[tuple[Record, ...]]:
        return [tuple(node.replica.items()) for node in self.nodes.values()]

    def check_equal(self) -> None:
        if len(set(self.digests())) != 1:
            raise Broken("digests differ after the calm")
        if len(set(self.stores())) != 1:
            raise Broken("stores differ although digests are equal")
