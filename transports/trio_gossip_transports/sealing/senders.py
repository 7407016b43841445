"""Who may send to us: the sessions that this node has admitted, bounded."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import attrs

from trio_gossip_transports.sealing.window import Window

if TYPE_CHECKING:
    from collections import Counter

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

BOOT_BYTES: Final = 8
"""Of the random id that a sender takes when it starts."""

SENDERS_MAX: Final = 16_384
"""Senders whose sessions are kept; beyond it the one silent for longest must begin anew."""

NEWCOMERS_MAX: Final = 1024
"""Senders that said hello and have not sent a packet since; beyond it the oldest is forgotten."""


@attrs.define(eq=False)
class Sender:
    """A peer's boot that may send to us."""

    token: bytes = attrs.field(repr=False)
    tail: bytes = attrs.field(repr=False)
    """What its packets are bound to beside their header: its boot id, and our label."""
    window: Window = attrs.field(factory=Window, repr=False)
    ciphers: dict[bytes, AESGCM] = attrs.field(factory=dict[bytes, "AESGCM"], repr=False)
    """By key id; made when they are first needed."""


class Senders:
    """Two tables, each with the one heard of last at its end.

    A hello alone proves little: it can be a recording, and whoever has recorded many of them
    could fill any table. So a sender that has not sent a packet under its own token is a newcomer,
    and newcomers push out newcomers only.
    """

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self.proven: OrderedDict[bytes, Sender] = OrderedDict()
        """By token. Read and moved by the hot path itself."""
        self._newcomers: OrderedDict[bytes, Sender] = OrderedDict()
        self._by_boot: dict[bytes, Sender] = {}

    def __len__(self) -> int:
        return len(self._by_boot)

    def newcomer(self, token: bytes) -> Sender | None:
        """The sender with this token, if it has not proved itself yet."""
        return self._newcomers.get(token)

    def of_boot(self, boot: bytes) -> Sender | None:
        """The sender with this boot id."""
        return self._by_boot.get(boot)

    def admit(self, token: bytes, boot: bytes, label: bytes) -> Sender:
        """Add a newcomer."""
        sender = Sender(token, boot + label)
        self._newcomers[token] = self._by_boot[boot] = sender
        self._counts["senders_admitted"] += 1
        if len(self._newcomers) > NEWCOMERS_MAX:
            self._forget(self._newcomers.popitem(last=False)[1], "newcomers_forgotten")
        return sender

    def prove(self, token: bytes) -> None:
        """A packet under its token was authentic: it is no recording."""
        self.proven[token] = self._newcomers.pop(token)
        if len(self.proven) > SENDERS_MAX:
            self._forget(self.proven.popitem(last=False)[1], "senders_forgotten")

    def _forget(self, sender: Sender, counter: str) -> None:
        del self._by_boot[sender.tail[:BOOT_BYTES]]
        self._counts[counter] += 1

    def forget_ciphers(self) -> None:
        """The keys have changed: a removed one must open nothing any more."""
        for sender in self._by_boot.values():
            sender.ciphers.clear()

    def clear(self) -> None:
        """Forget all."""
        self.proven.clear()
        self._newcomers.clear()
        self._by_boot.clear()
