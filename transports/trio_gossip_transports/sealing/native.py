"""The native sealed format: a session for each sender, a counter as nonce, a replay window.

``docs/security`` has every byte. In short: a sender derives its own key from the cluster key and
from a random id of its boot, and numbers all that it seals, so that no pair of key and nonce comes
twice. A receiver admits a sender by handing it a random token, and admits each number once. What
was recorded before the receiver started, or for another receiver, bears no token of it.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from trio_gossip_transports.sealing.base import Opened, Trouble
from trio_gossip_transports.sealing.budget import Budget
from trio_gossip_transports.sealing.receivers import NONCE_BYTES, Receivers
from trio_gossip_transports.sealing.senders import BOOT_BYTES, Sender, Senders

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip.addresses import Address
    from trio_gossip_transports.keyring import Keyring
    from trio_gossip_transports.keys import Key

HELLO: Final = 0xE1
WELCOME: Final = 0xE2
DATA: Final = 0xE3
RESET: Final = 0xE4
NOTICE: Final = 0xE5

HEADER_BYTES: Final = 19
"""Type, key id 4, token or boot id 8, counter 6."""

TAG_BYTES: Final = 16

OVERHEAD: Final = HEADER_BYTES + TAG_BYTES
"""Bytes that a sealed packet is longer than its content."""

TOKEN_BYTES: Final = 8

BODY_BYTES: Final = NONCE_BYTES + TOKEN_BYTES
"""Content of each message of a handshake: all are as long as one another, so that no answer is
longer than what it answers."""

COUNTER_MAX: Final = 1 << 40
"""Packets under one boot id. A new one is taken then; the field has room for 256 times more."""

NOTICE_BYTES: Final = 6
"""Type, reason, key id 4."""

_HELLOS_PER_SECOND: Final = 4000.0
_ANSWERS_PER_SECOND: Final = 4000.0
_RESETS_PER_SECOND: Final = 200.0
_NOTICES_PER_SECOND: Final = 5.0

_NO_NONCE: Final = bytes(6)

_UNKNOWN_KEY: Final = 1
_OTHER_LABEL: Final = 2
_PLAIN_REFUSED: Final = 3
_NOTICES: Final = {
    _UNKNOWN_KEY: Trouble.REFUSES_OUR_KEY,
    _OTHER_LABEL: Trouble.REFUSES_OUR_LABEL,
    _PLAIN_REFUSED: Trouble.REFUSES_PLAIN,
}
_NOTHING: Final = Opened([], [])

_sealers: WeakSet[NativeSealer] = WeakSet()


class NativeSealer:
    """Seals and opens the datagrams of one node.

    Args:
        keyring: the keys; read anew whenever it changes.
        label: both sides must have the same.
        entropy: random bytes; the operating system's, but for tests.
    """

    overhead = OVERHEAD

    def __init__(
        self, keyring: Keyring, label: bytes = b"", *, entropy: Callable[[int], bytes] = os.urandom
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._keyring = keyring
        self._label = label
        self._entropy = entropy
        self._senders = Senders(self.counts)
        self._proven = self._senders.proven
        self._receivers = Receivers(self.counts, entropy)
        self._tokens = self._receivers.tokens
        # A bucket for each kind, so that a flood of one does not hold up the others.
        self._budgets = {
            HELLO: Budget(_HELLOS_PER_SECOND, _HELLOS_PER_SECOND),
            WELCOME: Budget(_ANSWERS_PER_SECOND, _ANSWERS_PER_SECOND),
            RESET: Budget(_RESETS_PER_SECOND, _RESETS_PER_SECOND),
        }
        self._resets = Budget(_RESETS_PER_SECOND, _RESETS_PER_SECOND)
        self._notices = Budget(_NOTICES_PER_SECOND, _NOTICES_PER_SECOND)
        self._new_boot()
        _sealers.add(self)

    def _new_boot(self) -> None:
        """Take another boot id: peers get to know us anew."""
        self._boot = self._entropy(BOOT_BYTES)
        self._counter = 0
        self._receivers.clear()
        self._read_keyring()

    def after_fork(self) -> None:
        """Begin anew in a child: with the boot id of its parent it would seal under the same pairs
        of key and nonce, and with its tokens it would open what the parent has opened.
        """
        self._senders.clear()
        self._new_boot()

    def _read_keyring(self) -> None:
        """Make what follows from the keys; removed keys open nothing any more."""
        ring = self._ring = self._keyring.snapshot
        self._cipher = AESGCM(ring.primary.derive(b"packet" + self._boot))
        self._data_head = bytes((DATA,)) + ring.primary.id
        self._tail = self._boot + self._label
        self._senders.forget_ciphers()

    def _renew(self) -> None:
        """Follow the keyring; take a new boot id before the numbers come to their end."""
        if self._counter >= COUNTER_MAX:
            self._new_boot()
        else:
            self._read_keyring()

    # -- sealing ------------------------------------------------------------------------

    def seal(self, data: bytes, address: Address, now: float) -> list[tuple[bytes, Address]]:
        """Seal a packet; at first contact it waits, and a hello is sent instead."""
        if self._keyring.snapshot is not self._ring or self._counter >= COUNTER_MAX:
            self._renew()
        token = self._tokens.get(address)
        if token is None:
            self._receivers.hold(data, address, now)
            return self._say_hello(address, now)
        self._tokens.move_to_end(address)
        return [(self._sealed(data, token), address)]

    def _sealed(self, data: bytes, token: bytes) -> bytes:
        number = self._next_number()
        header = self._data_head + token + number
        return header + self._cipher.encrypt(_NO_NONCE + number, data, header + self._tail)

    def _next_number(self) -> bytes:
        counter = self._counter
        self._counter = counter + 1
        return counter.to_bytes(6, "big")

    def _say_hello(self, address: Address, now: float) -> list[tuple[bytes, Address]]:
        nonce = self._receivers.ask(address, now)
        if nonce is None:
            return []
        self.counts["hello_sent"] += 1
        return [(self._control(HELLO, self._ring.primary, nonce), address)]

    def _control(self, kind: int, key: Key, body: bytes) -> bytes:
        """A message of the handshake."""
        number = self._next_number()
        header = bytes((kind,)) + key.id + self._boot + number
        return header + AESGCM(key.derive(b"handshake" + self._boot)).encrypt(
            _NO_NONCE + number, body.ljust(BODY_BYTES, b"\0"), header + self._label
        )

    # -- opening ------------------------------------------------------------------------

    def open(self, data: bytes, source: Address, now: float) -> Opened:
        """Open a datagram; what it answers to is in ``outgoing``. Never raises for its bytes."""
        if self._keyring.snapshot is not self._ring or self._counter >= COUNTER_MAX:
            self._renew()
        if len(data) < OVERHEAD or data[0] != DATA:
            return self._other(data, source, now)
        token = data[5:13]
        sender = self._proven.get(token)
        is_newcomer = False
        if sender is None:
            sender = self._senders.newcomer(token)
            if sender is None:
                return self._unknown_token(data, source, now)
            is_newcomer = True
        cipher = sender.ciphers.get(data[1:5]) or self._cipher_of(sender, data[1:5])
        if cipher is None:
            return self._unknown_key(data[1:5], source, now)
        number = data[13:19]
        counter = int.from_bytes(number, "big")
        if not sender.window.is_new(counter):
            self.counts["replayed"] += 1
            return _NOTHING
        try:
            plain = cipher.decrypt(_NO_NONCE + number, data[19:], data[:19] + sender.tail)
        except InvalidTag:
            self.counts["forged"] += 1
            return _NOTHING
        sender.window.admit(counter)
        if is_newcomer:
            return Opened([plain], self._prove(token, source, now))
        self._proven.move_to_end(token)
        return Opened([plain], [])

    def _cipher_of(self, sender: Sender, key_id: bytes) -> AESGCM | None:
        key = self._ring.find(key_id)
        if key is None:
            return None
        cipher = AESGCM(key.derive(b"packet" + sender.tail[:BOOT_BYTES]))
        sender.ciphers[key_id] = cipher
        return cipher

    def _prove(self, token: bytes, source: Address, now: float) -> list[tuple[bytes, Address]]:
        """A newcomer is alive. If we write to its address already it may have restarted, and know
        no token of ours: ask for a new one, and do not rely on its reset alone.
        """
        self._senders.prove(token)
        return self._say_hello(source, now) if source in self._tokens else []

    def _other(self, data: bytes, source: Address, now: float) -> Opened:
        """Whatever is no sealed packet."""
        kind = data[0] if data else 0
        if kind == NOTICE and len(data) == NOTICE_BYTES:
            return self._noticed(data)
        if kind not in self._budgets or len(data) != OVERHEAD + BODY_BYTES:
            return self._unsealed(data, source, now)
        if self._is_unwanted(kind, data):
            return _NOTHING
        if not self._budgets[kind].take(now):
            self.counts["handshake_over_rate"] += 1
            return _NOTHING
        key = self._ring.find(data[1:5])
        if key is None:
            return self._unknown_key(data[1:5], source, now)
        try:
            body = AESGCM(key.derive(b"handshake" + data[5:13])).decrypt(
                _NO_NONCE + data[13:19], data[19:], data[:19] + self._label
            )
        except InvalidTag:
            self.counts["handshake_forged"] += 1
            return self._notice(_OTHER_LABEL, data[1:5], source, now, Trouble.OTHER_LABEL)
        if kind == HELLO:
            return self._hello(data, key, body, source)
        return self._welcome(body, now) if kind == WELCOME else self._reset(body, now)

    def _is_unwanted(self, kind: int, data: bytes) -> bool:
        """What can be dropped before anything is computed."""
        if kind == HELLO:
            sender = self._senders.of_boot(data[5:13])
            if sender is None or sender.window.is_new(int.from_bytes(data[13:19], "big")):
                return False
            self.counts["replayed"] += 1
            return True
        if self._receivers.is_waiting if kind == WELCOME else self._tokens:
            return False
        self.counts["unasked"] += 1
        return True

    # -- handshakes ---------------------------------------------------------------------

    def _hello(self, data: bytes, key: Key, body: bytes, source: Address) -> Opened:
        """Somebody with the key wants to send to us: here is its token, under the same key."""
        boot = data[5:13]
        sender = self._senders.of_boot(boot)
        if sender is None:
            sender = self._senders.admit(self._entropy(TOKEN_BYTES), boot, self._label)
        sender.window.admit(int.from_bytes(data[13:19], "big"))
        answer = self._control(WELCOME, key, body[:NONCE_BYTES] + sender.token)
        return Opened([], [(answer, source)])

    def _welcome(self, body: bytes, now: float) -> Opened:
        """An address answered: our own random number in it proves that it is no recording."""
        token = body[NONCE_BYTES:]
        found = self._receivers.answered(body[:NONCE_BYTES], token, now)
        if found is None:
            self.counts["unasked"] += 1
            return _NOTHING
        address, packets = found
        return Opened([], [(self._sealed(data, token), address) for data in packets])

    def _unknown_token(self, data: bytes, source: Address, now: float) -> Opened:
        """The sender takes us for a former boot, or was forgotten: have it say hello again."""
        self.counts["unknown_token"] += 1
        key = self._ring.find(data[1:5])
        if key is None:
            return self._unknown_key(data[1:5], source, now)
        if len(data) < OVERHEAD + BODY_BYTES:
            return _NOTHING  # the answer would be longer
        if not self._resets.take(now):
            self.counts["reset_over_rate"] += 1
            return _NOTHING
        return Opened([], [(self._control(RESET, key, data[5:13]), source)])

    def _reset(self, body: bytes, now: float) -> Opened:
        """Somebody does not know a token that we use: perhaps its receiver has restarted.

        Perhaps not: whoever replays our packets to a third member makes that one say so. So the
        session stays until the receiver itself answers another hello with another token.
        """
        addresses = self._receivers.addresses_of(body[:TOKEN_BYTES])
        if not addresses:
            self.counts["unasked"] += 1
            return _NOTHING
        self.counts["reset"] += 1
        # At each of them: what is sealed for a former boot comes to nothing at all alike.
        return Opened([], [each for to in addresses for each in self._say_hello(to, now)])

    # -- trouble ------------------------------------------------------------------------

    def _noticed(self, data: bytes) -> Opened:
        """The other side says what is wrong with us; anybody can forge that."""
        self.counts["notice"] += 1
        trouble = _NOTICES.get(data[1])
        is_ours = data[1] == _PLAIN_REFUSED or data[2:] == self._ring.primary.id
        return Opened([], [], trouble if is_ours else None)

    def _unsealed(self, data: bytes, source: Address, now: float) -> Opened:
        """No message of this format: perhaps a packet in the clear, an array of CBOR."""
        self.counts["unsealed"] += 1
        if len(data) < NOTICE_BYTES or not 0x80 <= data[0] < 0xA0:
            return Opened([], [], Trouble.UNSEALED if data and 0x80 <= data[0] < 0xA0 else None)
        return self._notice(_PLAIN_REFUSED, bytes(4), source, now, Trouble.UNSEALED)

    def _unknown_key(self, key_id: bytes, source: Address, now: float) -> Opened:
        self.counts["unknown_key"] += 1
        return self._notice(_UNKNOWN_KEY, key_id, source, now, Trouble.UNKNOWN_KEY)

    def _notice(
        self, reason: int, key_id: bytes, source: Address, now: float, trouble: Trouble
    ) -> Opened:
        """Six bytes in the clear, for one line in the other side's log. Believed for nothing."""
        if not self._notices.take(now):
            return Opened([], [], trouble)
        return Opened([], [(bytes((NOTICE, reason)) + key_id, source)], trouble)


def _after_fork() -> None:
    for sealer in list(_sealers):
        sealer.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_after_fork)
