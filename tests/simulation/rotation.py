"""A cluster under load whose keys are rotated, and what became of every message."""

from __future__ import annotations

import random
from collections import Counter
from functools import partial

import attrs

from trio_gossip.events import Delivery, MemberFailed, MemberSuspected, MessageReceived
from trio_gossip.testing import Observer, Process, Simulation
from trio_gossip.testing.sealed import NativeSealing, key_of

NAMES = tuple(f"n{number}" for number in range(10))
LOAD_SECONDS = 30.0
BROADCASTS = 150
RELIABLES = 100
RELIABLE_BYTES = 60_000
"""Longest reliable message; a few records and frames."""
ROTATIONS = 2
RETRANSMIT_MULT = 8
"""Twice the usual. Gossip is a matter of chance: with the usual 4 about one delivery of a broadcast
in 10,000 does not happen, with a rotation or without one."""
DROPS = (
    *("unsealed", "unknown_key", "unknown_token", "forged", "replayed", "handshake_forged"),
    *("unasked", "waiting_dropped", "handshake_over_rate", "reset_over_rate"),
)
"""Why a datagram that arrived is not opened, or one that waited for a handshake is not sent."""
QUIET_SECONDS = 20.0
"""After the load: a reliable message or a rumour is through by then."""


@attrs.define
class Outcome:
    """What one run came to."""

    seed: int
    broadcasts: dict[bytes, str] = attrs.Factory(dict)
    reliables: dict[int, tuple[str, str, bytes]] = attrs.Factory(dict)
    errors: list[str] = attrs.Factory(list)
    heard: Counter[tuple[str, bytes]] = attrs.Factory(Counter)
    received: Counter[tuple[str, str, bytes]] = attrs.Factory(Counter)
    suspicions: list[str] = attrs.Factory(list)
    failures: list[str] = attrs.Factory(list)
    changes: list[str] = attrs.Factory(list)
    rings: set[tuple[str, ...]] = attrs.Factory(set)
    drops: Counter[str] = attrs.Factory(Counter)
    packets: int = 0
    digest: str = ""

    @property
    def missing_broadcasts(self) -> list[tuple[str, bytes]]:
        """Members that did not hear a broadcast exactly once."""
        return [
            (name, payload)
            for payload, origin in self.broadcasts.items()
            for name in NAMES
            if name != origin and self.heard[name, payload] != 1
        ]

    @property
    def lost_reliables(self) -> list[tuple[str, str, bytes]]:
        """Reliable messages that did not arrive exactly once."""
        return [sent for sent in self.reliables.values() if self.received[sent] != 1]


class Listener(Observer):
    """Notes what every application is told."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome

    def event(self, process: Process, event: object) -> None:
        outcome = self.outcome
        if isinstance(event, MemberSuspected):
            outcome.suspicions.append(f"{process.name} suspects {event.member.name}")
        elif isinstance(event, MemberFailed):
            outcome.failures.append(f"{process.name} gives up {event.member.name}")
        elif isinstance(event, MessageReceived) and event.delivery is Delivery.BROADCAST:
            outcome.heard[process.name, event.payload] += 1
        elif isinstance(event, MessageReceived):
            outcome.received[event.sender, process.name, event.payload] += 1


def sealed_cluster(
    seed: int,
    names: tuple[str, ...] = NAMES,
    *,
    sealing: NativeSealing | None = None,
    loss: float = 0.0,
    **changes: object,
) -> Simulation:
    """A sealed cluster whose members all know each other."""
    sealing = sealing or NativeSealing([key_of(seed)])
    simulation = Simulation(seed, sealing=sealing, loss=loss)
    for name in names:
        simulation.start(name, **changes)
        if name != names[0]:
            simulation.join(name, names[0])
    assert simulation.run_until(simulation.agree, 30.0), "the cluster never formed"
    return simulation


def rotate_under_load(
    seed: int,
    *,
    loss: float = 0.0,
    rotations: int = ROTATIONS,
    retransmit_mult: int = RETRANSMIT_MULT,
) -> Outcome:
    """Ten members talk for half a minute, while one of them changes the key of all, twice."""
    outcome = Outcome(seed)
    simulation = sealed_cluster(seed, loss=loss, retransmit_mult=retransmit_mult)
    simulation.observe(Listener(outcome))
    rng = random.Random(f"{seed} load")
    tokens: dict[tuple[str, int], int] = {}

    def broadcast(number: int) -> None:
        origin = rng.choice(NAMES)
        payload = b"broadcast %d " % number + rng.randbytes(rng.randrange(200))
        outcome.broadcasts[payload] = origin
        simulation.do(origin, "broadcast", payload)

    def send(number: int) -> None:
        source, target = rng.sample(NAMES, 2)
        payload = b"reliable %d " % number + rng.randbytes(rng.randrange(RELIABLE_BYTES))
        outcome.reliables[number] = (source, target, payload)
        tokens[source, simulation.command(source, "send_reliable", target, payload)] = number

    for number in range(BROADCASTS):
        simulation.at(LOAD_SECONDS * rng.random(), partial(broadcast, number))
    for number in range(RELIABLES):
        simulation.at(LOAD_SECONDS * rng.random(), partial(send, number))
    began = simulation.now
    for number in range(1, rotations + 1):
        simulation.run(rng.uniform(0.5, 4.0))
        rotate(simulation, rng.choice(NAMES), number, outcome, rng)
    simulation.run(max(0.0, began + LOAD_SECONDS - simulation.now) + QUIET_SECONDS)
    for (name, token), number in tokens.items():
        complete = simulation.processes[name].results.get(token)
        if complete is None or complete.error is not None:
            outcome.errors.append(f"{number} of {name}: {complete and complete.error}")
    for process in simulation.processes.values():
        counts = process.seal.counts
        outcome.packets += process.packets_sent
        outcome.drops.update({reason: counts[reason] for reason in DROPS if counts[reason]})
    outcome.rings = {process.seal.key_ids for process in simulation.processes.values()}
    outcome.digest = simulation.digest()
    return outcome


def rotate(
    simulation: Simulation, name: str, number: int, outcome: Outcome, rng: random.Random
) -> None:
    """Install, use and remove, as an operator does: the next one when all have answered."""
    new, old = key_of(simulation.seed, number), key_of(simulation.seed, number - 1)
    for operation, key in (("install", new), ("use", new), ("remove", old)):
        token = simulation.keys(name, operation, key.secret)
        results = simulation.processes[name].results
        assert simulation.run_until(lambda token=token, of=results: token in of, 60.0)
        outcome.changes.append(f"{operation} by {name}: {results[token].error}")
        simulation.run(rng.uniform(0.5, 3.0))
