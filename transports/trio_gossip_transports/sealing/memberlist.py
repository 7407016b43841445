"""The sealed format of memberlist for datagrams: for clusters that speak its wire.

A datagram is ``label header | version | nonce 12 | ciphertext and tag 16``. The label header,
``F4 | length 1 | label``, is in the clear and left out when there is no label; the label is bound
into the tag as well. There are no sessions and no answers. There is no protection against replays
either, and a limit on the number of messages; see :mod:`.memberlist_cipher`. Prefer the native
format wherever all members are of this library.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Final

from trio_gossip_transports.sealing.base import Opened, Trouble
from trio_gossip_transports.sealing.memberlist_cipher import (
    LABEL,
    SEALED_BYTES,
    Flaw,
    MemberlistCipher,
    label_header,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip.addresses import Address
    from trio_gossip_transports.keyring import Keyring

_MAPS: Final = range(0x80, 0x90)
"""Second byte of memberlist's plain messages: a small map in MessagePack."""

_SHORT_TEXTS: Final = range(0xA0, 0xC0)
"""Third byte of those: the name of a field, which begins with a capital."""

_ARRAYS: Final = range(0x80, 0xA0)
"""First byte of this library's own plain packets: an array in CBOR."""

_SEALED: Final = range(2)
"""First byte of a sealed packet, its version; also of memberlist's plain ping and indirect ping."""

_TYPES: Final = range(14)
"""First byte of memberlist's plain messages."""

_LABELLED: Final = bytes((LABEL,))
_NOTHING: Final = Opened([], [])


class MemberlistSealer:
    """Seals and opens the datagrams of one node as memberlist does (encryption version 1).

    Packets of version 0 are opened as well, never made. Counted are ``other_label``,
    ``unsealed``, ``unknown_key`` (a forgery counts there too: nothing tells it from one),
    ``padding`` (of version 0), ``garbage`` and ``short``.

    Args:
        keyring: the keys; read anew whenever it changes.
        label: at most 255 bytes; both sides must have the same. It can be read by anybody.
        entropy: random bytes; the operating system's, but for tests.
    """

    def __init__(
        self, keyring: Keyring, label: bytes = b"", *, entropy: Callable[[int], bytes] = os.urandom
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._cipher = MemberlistCipher(keyring, entropy=entropy)
        self._label = label
        self._header = label_header(label)
        self.overhead = len(self._header) + SEALED_BYTES

    def seal(self, data: bytes, address: Address, now: float) -> list[tuple[bytes, Address]]:
        """Seal a packet under the primary key: always one datagram, at once."""
        return [(self._header + self._cipher.seal(data, self._label), address)]

    def open(self, data: bytes, source: Address, now: float) -> Opened:
        """Open a datagram with the first key of the ring that fits; nothing is ever answered.

        ``Trouble.UNSEALED`` means that all after the label header is plain.
        """
        header = self._header
        if not data.startswith(header) or (not header and data[:1] == _LABELLED):
            return self._other_label(data)
        body = data[len(header) :]
        opened = self._cipher.open_untrusted(body, self._label)
        if isinstance(opened, bytes):
            return Opened([opened], [])
        return self._flawed(body, opened)

    def _flawed(self, body: bytes, flaw: Flaw) -> Opened:
        """What is not sealed with a key of ours under our label."""
        if _is_plain(body):
            self.counts["unsealed"] += 1
            return Opened([], [], Trouble.UNSEALED)
        if flaw is Flaw.VERSION:
            self.counts["garbage"] += 1
            return _NOTHING
        self.counts[flaw.value] += 1
        return Opened([], [], Trouble.UNKNOWN_KEY if flaw is Flaw.UNKNOWN_KEY else None)

    def _other_label(self, data: bytes) -> Opened:
        """What does not begin with our label: perhaps with another one, perhaps with none."""
        is_labelled = len(data) > 2 and data[0] == LABEL and 0 < data[1] < len(data) - 1
        if is_labelled or _is_plain(data) or (len(data) >= SEALED_BYTES and data[0] in _SEALED):
            self.counts["other_label"] += 1
            return Opened([], [], Trouble.OTHER_LABEL)
        self.counts["garbage" if data else "short"] += 1
        return _NOTHING


def _is_plain(body: bytes) -> bool:
    """Whether it looks like a packet that nobody sealed.

    A plain ping begins like a sealed packet. So this is asked only of what did not open, and
    then one in a thousand packets under an unknown key looks plain too.
    """
    if len(body) < 2:
        return False
    if body[0] in _SEALED:
        field = body[3:4]
        return field.isupper() and body[1] in _MAPS and body[2] in _SHORT_TEXTS
    return body[0] in _TYPES or body[0] in _ARRAYS
