"""The real sealing of ``trio_gossip_transports`` for simulated clusters: :class:`NativeSealing`.

Loaded only when it is used: the simulator itself knows no cipher and no transport.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from trio_gossip.services.keys import Keys
from trio_gossip.testing.simulation.sealing import Fed
from trio_gossip_transports.keyring import GRACE_SECONDS, Keyring, KeyringError
from trio_gossip_transports.keyring_store import KeyringStore
from trio_gossip_transports.keys import Key
from trio_gossip_transports.sealing.native import DATA, NativeSealer
from trio_gossip_transports.sealing.streams import (
    NewKeyringError,
    SealedStreamError,
    StreamSealer,
)

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable, Sequence

    from trio_gossip.addresses import Address


def key_of(seed: int, number: int = 0) -> Key:
    """A key for simulated clusters. It follows from the seed alone: guard nothing with it.

    Args:
        seed: of the simulation.
        number: which; 0 is the first one.
    """
    return Key(random.Random(f"{seed} key {number}").randbytes(32))


class NativeSealing:
    """Seals a simulated cluster with the native format, as ``EncryptedTransport`` does real ones.

    Every life of a member takes another boot id, and finds the keys that its former life had at
    its end, as in a file that is saved at each change. Removed keys are not in that file.

    Args:
        keys: of every member that was never there before, the primary first.
        label: of the cluster.
        grace: seconds for which a removed key still brings a member up.

    Raises:
        KeyringError: of the keys.
    """

    def __init__(
        self,
        keys: Iterable[Key | bytes | str],
        *,
        label: bytes = b"",
        grace: float = GRACE_SECONDS,
    ) -> None:
        self._keys = Keyring(keys).list()
        self._label = label
        self._grace = grace
        self._saved: dict[str, tuple[Key, ...]] = {}

    def begin(self, name: str, entropy: random.Random, clock: Callable[[], float]) -> NativeSeal:
        """See :class:`~trio_gossip.testing.simulation.sealing.Sealing`."""
        keys = self._saved.get(name, self._keys)
        ring = Keyring(keys, grace=self._grace, clock=clock)

        def save() -> None:
            self._saved[name] = ring.list()

        return NativeSeal(ring, self._label, entropy, save)

    def saved(self, name: str) -> tuple[bytes, ...]:
        """The keys that the next life of a member will find, the primary first."""
        return tuple(key.secret for key in self._saved.get(name, self._keys))

    def give(self, name: str, secrets: Sequence[bytes]) -> None:
        """Put other keys there: a wrong file, or an old one.

        Raises:
            KeyringError: they are none.
        """
        self._saved[name] = Keyring(secrets).list()

    def hand_out(self, secrets: Sequence[bytes]) -> None:
        """Let whoever was never there before begin with these keys from now on.

        Raises:
            KeyringError: they are none.
        """
        self._keys = Keyring(secrets).list()


class NativeSeal:
    """One life of one member: its ring, its boot id, its sessions."""

    def __init__(
        self, ring: Keyring, label: bytes, entropy: random.Random, save: Callable[[], None]
    ) -> None:
        self.ring = ring
        self.save = save
        self._label = label
        self._entropy = entropy.randbytes
        self._sealer = NativeSealer(ring, label, entropy=self._entropy)
        store = KeyringStore(ring, lambda: "")
        self.services = (Keys(store),)
        self.identify = store.identify

    @property
    def overhead(self) -> int:
        """See :class:`~trio_gossip.testing.simulation.sealing.NodeSeal`, also for the others."""
        return self._sealer.overhead

    @property
    def counts(self) -> Counter[str]:
        """What happened to datagrams."""
        return self._sealer.counts

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The keys, the primary first."""
        return tuple(key.fingerprint for key in self.ring.list())

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """The same keys themselves."""
        return tuple(key.secret for key in self.ring.list())

    def brings_up(self, key_id: str) -> bool:
        """True when whoever dials with this key is heard."""
        found = bytes.fromhex(key_id)
        return key_id in self.key_ids or self.ring.find_retired(found) is not None

    def seal(self, data: bytes, address: Address, now: float) -> list[tuple[bytes, Address]]:
        """Seal a packet."""
        return self._sealer.seal(data, address, now)

    def open(
        self, data: bytes, source: Address, now: float
    ) -> tuple[Sequence[bytes], Sequence[tuple[bytes, Address]]]:
        """Open a datagram."""
        packets, outgoing, _ = self._sealer.open(data, source, now)
        return packets, outgoing

    def is_handshake(self, data: bytes) -> bool:
        """True for a hello, a welcome, a reset or a notice."""
        return data[0] != DATA

    def stream(self, *, accepted: bool) -> NativeStreamSeal:
        """Begin one end of a stream."""
        return NativeStreamSeal(self.ring, self._label, self._entropy, accepted=accepted)


class NativeStreamSeal:
    """One end of a stream, with what ``EncryptedTransport`` makes of its errors."""

    def __init__(
        self, ring: Keyring, label: bytes, entropy: Callable[[int], bytes], *, accepted: bool
    ) -> None:
        self._ring = ring
        self._at_first = ring.snapshot
        self._sealer = StreamSealer(ring, label, accepted=accepted, entropy=entropy)

    @property
    def can_seal(self) -> bool:
        """See :class:`~trio_gossip.testing.simulation.sealing.StreamSeal`."""
        return self._sealer.can_seal

    @property
    def ended(self) -> bool:
        """True when the peer has said its end."""
        return self._sealer.ended

    def take_outgoing(self) -> bytes:
        """Prefaces, proofs and refusals."""
        outgoing, self._sealer.outgoing = self._sealer.outgoing, b""
        return outgoing

    def feed(self, data: bytes) -> Fed:
        """Open what came; newer keys go onto the ring."""
        try:
            return Fed(self._sealer.feed_untrusted(bytes(data)))
        except NewKeyringError as error:
            return self._brought_up(error)
        except SealedStreamError as error:
            return Fed(fault=str(error))

    def _brought_up(self, error: NewKeyringError) -> Fed:
        if self._ring.snapshot is not self._at_first:
            return Fed(again=True)  # given to a ring that has changed since: no news any more
        try:
            self._ring.replace(error.keys)
        except KeyringError as fault:
            return Fed(fault=f"{error}: {fault}")
        return Fed(again=True)

    def seal(self, data: bytes) -> bytes:
        """Content as records."""
        return self._sealer.seal(data)

    def end(self) -> bytes:
        """The last record."""
        return self._sealer.end()
