"""Several ``Keys`` services in one place, with made-up hosts; requests are delivered by hand."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import attrs

from trio_gossip.addresses import Address
from trio_gossip.errors import LocalProtocolError, PeerUnreachableError, RemoteProtocolError
from trio_gossip.members import VERSIONS_DEFAULT, Member, MemberState
from trio_gossip.services.base import Answered, RequestRefusedError
from trio_gossip.services.key_report import KeyChangeError, KeyReport
from trio_gossip.services.key_wire import KeyOperation, KeyRequest, decode_request_untrusted
from trio_gossip.services.keys import KeyCommand, Keys

OLD, NEW, OTHER = b"o" * 16, b"n" * 16, b"x" * 16
"""Three keys."""

ROOM = 3
"""Keys that a made-up ring holds."""


def id_of(secret: bytes) -> bytes:
    return secret[:4]


class Ring:
    """A KeyStore that is easy to look into."""

    def __init__(self, *secrets: bytes) -> None:
        self.keys = [id_of(secret) for secret in secrets]
        self.secrets = {id_of(secret): secret for secret in secrets}
        self.leaked: list[bytes] = []
        self.reason = ""
        self.broken = ""

    def ids(self) -> tuple[bytes, ...]:
        return tuple(self.keys)

    def identify(self, secret: bytes) -> bytes:
        if len(secret) != 16:
            raise ValueError("a key has 16 bytes")
        return id_of(secret)

    def fault(self) -> str:
        return self.reason

    def check_install(self, key_id: bytes) -> None:
        if len(self.keys) >= ROOM:
            raise ValueError("its keyring is full")

    def install(self, secret: bytes) -> None:
        self._break()
        if id_of(secret) not in self.keys:
            self.check_install(id_of(secret))
            self.keys.append(id_of(secret))
            self.secrets[id_of(secret)] = secret

    def use(self, key_id: bytes) -> None:
        self._break()
        if key_id not in self.keys:
            raise ValueError("not installed")
        self.keys.remove(key_id)
        self.keys.insert(0, key_id)

    def remove(self, key_id: bytes, *, leaked: bool) -> None:
        self._break()
        if key_id == self.keys[0]:
            raise ValueError("the primary key")
        if key_id in self.keys:
            self.keys.remove(key_id)
        if leaked:
            self.leaked.append(key_id)

    def _break(self) -> None:
        if self.broken:
            raise ValueError(self.broken)


@attrs.define(eq=False)
class Letter:
    """A request that is under way."""

    source: str
    target: str
    payload: bytes
    answered: Answered

    @property
    def request(self) -> KeyRequest:
        return decode_request_untrusted(self.payload)


class WiredHost:
    """The host of one member."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self.name = name
        self.rng = random.Random(name)
        self.counters: dict[str, int] = {}

    @property
    def now(self) -> float:
        return self._world.now

    def members(self) -> tuple[Member, ...]:
        return tuple(
            Member(name, Address(name, 1), MemberState.ALIVE, 1, b"", VERSIONS_DEFAULT)
            for name in self._world.active
        )

    def request(self, member: str, payload: bytes, answered: Answered) -> None:
        assert member != self.name
        if member not in self._world.active:
            raise LocalProtocolError(f"{member!r} is no other alive or suspect member")
        self._world.letters.append(Letter(self.name, member, payload, answered))

    def complete(self, token: int, result: object = None, error: Exception | None = None) -> None:
        assert token not in self._world.results
        self._world.results[token] = (result, error)

    def set_deadline(self, at: float) -> None:
        raise AssertionError("keys need no deadline")

    def bump(self, counter: str) -> None:
        self.counters[counter] = self.counters.get(counter, 0) + 1


class World:
    """Members that all know each other, and what is under way between them."""

    def __init__(self, names: str | list[str] = "abc", *secrets: bytes) -> None:
        self.now = 100.0
        self.active = list(names)
        self.letters: deque[Letter] = deque()
        self.results: dict[int, tuple[Any, Exception | None]] = {}
        self.rings: dict[str, Ring] = {}
        self.hosts: dict[str, WiredHost] = {}
        self.keys: dict[str, Keys] = {}
        self.dead: set[str] = set()
        self._tokens = 0
        for name in names:
            self.add(name, *(secrets or (OLD,)))

    def add(self, name: str, *secrets: bytes) -> None:
        self.rings[name] = Ring(*secrets)
        self.hosts[name] = WiredHost(self, name)
        self.keys[name] = Keys(self.rings[name])
        self.keys[name].attach(self.hosts[name])
        if name not in self.active:
            self.active.append(name)

    # -- calls --------------------------------------------------------------------------

    def begin(self, name: str, operation: KeyOperation, key: bytes = b"", **more: Any) -> int:
        """Call; returns the token."""
        if operation in (KeyOperation.USE, KeyOperation.REMOVE):
            key = id_of(key)
        self._tokens += 1
        self.keys[name].call(KeyCommand(operation, key, **more), self._tokens)
        return self._tokens

    def run(self, name: str, operation: KeyOperation, key: bytes = b"", **more: Any) -> KeyReport:
        """Call and deliver everything; returns the report or raises."""
        token = self.begin(name, operation, key, **more)
        self.settle()
        return self.report(token)

    def report(self, token: int) -> KeyReport:
        result, error = self.results[token]
        if error is not None:
            raise error
        assert isinstance(result, KeyReport)
        return result

    def error(self, token: int) -> KeyChangeError:
        error = self.results[token][1]
        assert isinstance(error, KeyChangeError)
        return error

    # -- the network --------------------------------------------------------------------

    def deliver(self) -> Letter:
        """Deliver the oldest request and its answer; the dead time out."""
        letter = self.letters.popleft()
        if letter.target in self.dead:
            letter.answered(PeerUnreachableError(f"{letter.target}: timed out"))
        elif letter.source not in self.active:
            letter.answered(RemoteProtocolError(f"{letter.source} is no active member here"))
        else:
            try:
                answer = self.keys[letter.target].answer_untrusted(letter.payload, letter.source)
            except RequestRefusedError as error:
                letter.answered(RemoteProtocolError(str(error)))
            else:
                letter.answered(answer)
        return letter

    def settle(self) -> None:
        while self.letters:
            self.deliver()

    def rings_are(self, *secrets: bytes) -> bool:
        """True when all rings of active members hold just these keys, the first as primary."""
        wanted = [id_of(secret) for secret in secrets]
        return all(
            self.rings[name].keys[0] == wanted[0]
            and sorted(self.rings[name].keys) == sorted(wanted)
            for name in self.active
        )
