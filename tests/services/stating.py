"""Several ``State`` services in one place, with made-up hosts; all is delivered by hand."""

from __future__ import annotations

import math
import random
from collections import Counter, deque
from typing import Any

import attrs

from trio_gossip.addresses import Address
from trio_gossip.codec.frames import SERVICE_BYTES_MAX
from trio_gossip.errors import LocalProtocolError, PeerUnreachableError, RemoteProtocolError
from trio_gossip.members import VERSIONS_DEFAULT, Member, MemberState
from trio_gossip.services.base import Answered, RequestRefusedError
from trio_gossip.services.state import State, StateWrite
from trio_gossip.services.state_records import Plane, StateLimits
from trio_gossip.services.state_replica import Replica

ROOM = 1000
START_MS = 1_000_000_000_000


@attrs.define(eq=False)
class Letter:
    """A request that is under way."""

    source: str
    target: str
    payload: bytes
    answered: Answered


class StateHost:
    """The host of one member."""

    def __init__(self, world: StateWorld, name: str) -> None:
        self._world = world
        self.name = name
        self.rng = random.Random(name)
        self.counters: Counter[str] = Counter()
        self.told: dict[object, bytes] = {}
        self.sent: list[tuple[str, bytes]] = []
        self.deadline = math.inf
        self.room = ROOM

    @property
    def now(self) -> float:
        return self._world.now

    def members(self) -> tuple[Member, ...]:
        return tuple(
            Member(name, Address(name, 1), MemberState.ALIVE, 1, b"", VERSIONS_DEFAULT)
            for name in self._world.states
        )

    def is_known(self, name: str) -> bool:
        return name in self._world.known

    def tell(self, key: object, payload: bytes) -> None:
        assert len(payload) <= self.room
        self.told.pop(key, None)
        self.told[key] = payload

    def send(self, member: str, payload: bytes) -> None:
        if member not in self._world.states:
            raise LocalProtocolError(f"{member!r} is no other alive or suspect member")
        assert len(payload) <= self.room
        self.sent.append((member, payload))

    def request(self, member: str, payload: bytes, answered: Answered) -> None:
        if member not in self._world.states or member == self.name:
            raise LocalProtocolError(f"{member!r} is no other alive or suspect member")
        assert len(payload) <= SERVICE_BYTES_MAX
        self._world.letters.append(Letter(self.name, member, payload, answered))

    def complete(self, token: int, result: object = None, error: Exception | None = None) -> None:
        self._world.results[token] = (result, error)

    def set_deadline(self, at: float) -> None:
        self.deadline = at

    def bump(self, counter: str) -> None:
        self.counters[counter] += 1


class StateWorld:
    """Members that all know each other, and what is under way between them."""

    def __init__(self, names: str = "ab", exchange: str = "push-pull", **limits: int) -> None:
        self.now = 100.0
        self.letters: deque[Letter] = deque()
        self.results: dict[int, Any] = {}
        self.known: dict[str, None] = dict.fromkeys(names)
        self.shown: list[Any] = []
        self.limits = StateLimits(**limits)
        self.exchange = exchange
        self.hosts: dict[str, StateHost] = {}
        self.states: dict[str, State] = {}
        for name in names:
            self.add(name)

    def add(self, name: str) -> None:
        self.known[name] = None
        self.hosts[name] = StateHost(self, name)
        state = State(
            lambda: START_MS + int(1000 * self.now),
            shown=lambda *change: self.shown.append((name, *change)),
            limits=self.limits,
            exchange=self.exchange,
        )
        state.attach(self.hosts[name])
        self.states[name] = state

    def write(self, name: str, key: str, value: bytes | None, plane: Plane = Plane.STATE) -> Any:
        token = len(self.results) + 1
        self.states[name].call(StateWrite(plane, key, value), token)
        return self.results[token][0]

    def gossip(self, source: str, *targets: str) -> None:
        """Tell the targets all that the source has queued, once."""
        told, self.hosts[source].told = self.hosts[source].told, {}
        for payload in told.values():
            for target in targets:
                self.states[target].news_untrusted(payload, source)

    def deliver(self) -> bytes | Exception:
        """Deliver the oldest request and its answer."""
        letter = self.letters.popleft()
        answer: bytes | Exception
        if letter.target not in self.states:
            answer = PeerUnreachableError(f"{letter.target}: timed out")
        else:
            try:
                answer = self.states[letter.target].answer_untrusted(letter.payload, letter.source)
            except RequestRefusedError as error:
                answer = RemoteProtocolError(str(error))
            else:
                assert len(answer) <= SERVICE_BYTES_MAX
        letter.answered(answer)
        return answer

    def settle(self) -> int:
        """Deliver until nothing is under way; returns how many."""
        count = 0
        while self.letters:
            self.deliver()
            count += 1
            assert count < 10_000, "it does not end"
        return count

    def replica(self, name: str, plane: Plane = Plane.STATE) -> Replica:
        return self.states[name].replica(plane)

    def get(self, name: str, key: str, owner: str = "a", plane: Plane = Plane.STATE) -> Any:
        record = self.replica(name, plane).get(("" if plane is Plane.SHARED else owner, key))
        return None if record is None else record.value

    def plane(self, name: str, plane: Plane = Plane.STATE) -> Any:
        return self.states[name].planes[plane]
