"""Whom we may send to: tokens that receivers gave us, and packets that wait for one."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from trio_gossip.addresses import Address

NONCE_BYTES: Final = 8
"""Of the random number by which the answer to a hello is known."""

RECEIVERS_MAX: Final = 16_384
"""Receivers whose tokens are kept; beyond it the one not written to for longest is forgotten."""

ADDRESSES_OF_TOKEN_MAX: Final = 8
"""Addresses at which one receiver is known: a host may have several. Beyond it the oldest one is
forgotten, and said hello to again."""

WAITING_ADDRESSES_MAX: Final = 1024
"""Addresses that have not answered a hello yet; beyond it the oldest is given up."""

WAITING_PACKETS_MAX: Final = 8
"""Packets that wait for the answer of one address; beyond it the oldest is dropped."""

WAITING_SECONDS: Final = 2.0
"""A packet that waited longer for the answer is dropped: what it says is old by then."""

HELLO_RETRY_SECONDS: Final = 0.25
"""An address is said hello to once in so long, however much is sent to it."""


@attrs.define(eq=False)
class Waiting:
    """An address that has not answered yet."""

    nonce: bytes = attrs.field(repr=False)
    said_hello: float = float("-inf")
    """When, in monotonic seconds."""
    packets: deque[tuple[float, bytes]] = attrs.field(
        factory=deque[tuple[float, bytes]], repr=False
    )
    """With the time of each."""


class Receivers:
    """Tokens by address, the one used last at the end; and who is being asked for one."""

    def __init__(self, counts: Counter[str], entropy: Callable[[int], bytes]) -> None:
        self._counts = counts
        self._entropy = entropy
        self.tokens: OrderedDict[Address, bytes] = OrderedDict()
        """By address. Read and moved by the hot path itself."""
        self._addresses: dict[bytes, dict[Address, None]] = {}  # the same the other way round
        self._waiting: OrderedDict[Address, Waiting] = OrderedDict()
        self._nonces: dict[bytes, Address] = {}

    @property
    def is_waiting(self) -> bool:
        """True when some answer is due."""
        return bool(self._nonces)

    def addresses_of(self, token: bytes) -> tuple[Address, ...]:
        """Where the receiver is that gave us this token; empty if there is none."""
        return tuple(self._addresses.get(token, ()))

    def hold(self, data: bytes, address: Address, now: float) -> None:
        """Keep a packet until the address answers."""
        packets = self._asked(address).packets
        if len(packets) == WAITING_PACKETS_MAX:
            packets.popleft()
            self._counts["waiting_dropped"] += 1
        packets.append((now, data))

    def ask(self, address: Address, now: float) -> bytes | None:
        """The number for a hello to an address; None when one was said a moment ago."""
        waiting = self._asked(address)
        if now - waiting.said_hello < HELLO_RETRY_SECONDS:
            return None
        waiting.said_hello = now
        return waiting.nonce

    def _asked(self, address: Address) -> Waiting:
        waiting = self._waiting.get(address)
        if waiting is None:
            waiting = self._waiting[address] = Waiting(self._entropy(NONCE_BYTES))
            self._nonces[waiting.nonce] = address
            if len(self._waiting) > WAITING_ADDRESSES_MAX:
                _, given_up = self._waiting.popitem(last=False)
                self._nonces.pop(given_up.nonce, None)
                self._counts["handshake_given_up"] += 1
                self._counts["waiting_dropped"] += len(given_up.packets)
        return waiting

    def answered(
        self, nonce: bytes, token: bytes, now: float
    ) -> tuple[Address, list[bytes]] | None:
        """Note a token; returns its address and what waited for it.

        None when nobody was asked with this number: somebody repeats an old answer.
        """
        address = self._nonces.pop(nonce, None)
        if address is None:
            return None
        waiting = self._waiting.pop(address)
        self._forget(address)
        self.tokens[address] = token
        there = self._addresses.setdefault(token, {})
        there[address] = None
        if len(there) > ADDRESSES_OF_TOKEN_MAX:
            self._forget(next(iter(there)))
            self._counts["receivers_forgotten"] += 1
        if len(self.tokens) > RECEIVERS_MAX:
            self._forget(next(iter(self.tokens)))
            self._counts["receivers_forgotten"] += 1
        fresh = [data for then, data in waiting.packets if now - then <= WAITING_SECONDS]
        self._counts["waiting_dropped"] += len(waiting.packets) - len(fresh)
        return address, fresh

    def _forget(self, address: Address) -> None:
        token = self.tokens.pop(address, None)
        if token is not None:
            there = self._addresses[token]
            del there[address]
            if not there:
                del self._addresses[token]

    def clear(self) -> None:
        """Forget all."""
        self.tokens.clear()
        self._addresses.clear()
        self._waiting.clear()
        self._nonces.clear()
