"""Nobody takes a member back to a key that it has left behind: who offers it was away itself."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.transports.sealing.helpers import K1, K2, K3
from trio_gossip_transports import EncryptedTransport, Key, Keyring, MemoryNetwork
from trio_gossip_transports.keyring import FORMER_MAX, KeyringError
from trio_gossip_transports.sealing.streams import (
    NewKeyringError,
    SealedStreamError,
    StreamSealer,
)


def rotated(ring: Keyring, *, leaked: bool = True) -> Keyring:
    """From the first key to the second one, to the end."""
    ring.install(K2)
    ring.use(K2)
    ring.remove(K1, grace=0.0 if leaked else None)
    return ring


def dial(ours: Keyring, theirs: Keyring) -> bool:
    """Shake hands as a transport does. True if the stream came to be with the keys that we have."""
    opener, acceptor = StreamSealer(ours, accepted=False), StreamSealer(theirs, accepted=True)
    for _ in range(3):
        data, opener.outgoing = opener.outgoing, b""
        with suppress(SealedStreamError):  # when it gives its keys
            acceptor.feed_untrusted(data)
        data, acceptor.outgoing = acceptor.outgoing, b""
        try:
            opener.feed_untrusted(data)
        except NewKeyringError as error:
            ours.replace(error.keys)
            return False
    return opener.ready


@pytest.mark.parametrize("leaked", [True, False])
def test_a_member_that_missed_the_use_of_the_new_key_took_the_others_back_to_the_old_one(
    leaked: bool,
):
    """It had both keys, sealed with the old one, and called that the newer one. With a leaked key
    each that was taken back took others with it, and the thief was in again.
    """
    behind = Keyring([K1])
    behind.install(K2)
    one, other = (rotated(Keyring([K1]), leaked=leaked) for _ in range(2))
    assert dial(one, behind)
    assert one.list() == (Key(K2),)
    assert dial(other, one)
    assert other.list() == (Key(K2),)


def test_also_a_member_that_had_restarted_since_was_taken_back(tmp_path: Path):
    path = tmp_path / "keys"
    Keyring([K1]).save(path)
    rotated(Keyring.load(path, autosave=True))
    assert Key(K1).text not in path.read_text()
    behind = Keyring([K1, K2])
    again = Keyring.load(path)
    assert dial(again, behind)
    assert again.list() == (Key(K2),)


def test_also_a_member_that_was_brought_up_and_one_that_never_had_the_key_were_taken_back():
    behind, away = Keyring([K1, K2]), Keyring([K1])
    assert not dial(away, rotated(Keyring([K1]), leaked=False))
    assert dial(away, behind)
    assert away.list() == (Key(K2),)
    newcomer = Keyring([K2])
    newcomer.forget(Key(K1).id)  # what a removal as leaked does where the key is not
    assert dial(newcomer, behind)
    assert newcomer.list() == (Key(K2),)


def test_a_key_is_a_former_one_until_it_is_installed_or_used_again():
    ids = [Key(each).id for each in (K1, K2, K3)]
    ring = rotated(Keyring([K1]))
    assert ring.snapshot.former == (ids[0],)
    ring.install(K1)
    assert ring.snapshot.former == ()
    ring.use(K1)
    ring.replace([Key(K3), Key(K2)])
    assert ring.snapshot.former == (ids[1], ids[0])
    ring.replace([Key(K1), Key(K3)])
    assert ring.snapshot.former == (ids[1], ids[2])
    ring.install(K2)
    ring.remove(K2, grace=0.0)
    assert ring.snapshot.former == (ids[2], ids[1])


def test_a_key_that_was_never_used_and_was_removed_is_given_when_it_is_there_again():
    """A rotation was called off, then begun anew while the member was away."""
    away, there = Keyring([K1]), Keyring([K1])
    for ring in (away, there):
        ring.install(K2)
        ring.remove(K2)
    there.install(K2)
    there.use(K2)
    assert not dial(away, there)
    assert away.list() == (Key(K2), Key(K1))


def test_the_ids_of_former_keys_are_bounded_and_the_oldest_are_forgotten(tmp_path: Path):
    ring = Keyring([K1])
    ids = [number.to_bytes(4, "big") for number in range(FORMER_MAX + 3)]
    for key_id in ids:
        ring.forget(key_id)
    ring.forget(Key(K1).id)  # it is here
    assert ring.snapshot.former == tuple(ids[3:])
    ring.save(tmp_path / "keys")
    assert Keyring.load(tmp_path / "keys").snapshot.former == tuple(ids[3:])


@pytest.mark.parametrize("line", ["former", "former 1", "former 0011223x", "former 00112233 1"])
def test_a_line_with_the_id_of_a_former_key_that_is_none_is_refused(tmp_path: Path, line: str):
    path = tmp_path / "keys"
    Keyring([K1]).save(path)
    with path.open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(KeyringError, match="line 3: a former key is named by its id"):
        Keyring.load(path)


async def test_keys_that_were_held_back_until_the_ring_had_changed_were_taken_over(
    autojump_clock: trio.testing.MockClock,
):
    """Whoever has the old key, and answered a dial of before its removal only after it, gave the
    member any keys it liked.
    """
    network = MemoryNetwork()
    ring = Keyring([K1])
    thief = Keyring([K3, K1])
    one = EncryptedTransport(network.transport("a"), ring)
    other = network.transport("b")
    served: list[int] = []

    async def hold_back() -> None:
        sealer = StreamSealer(thief, accepted=True)
        stream, _ = await other.accept_stream()
        async with stream:
            while True:
                try:
                    sealer.feed_untrusted(bytes(await stream.receive_some()))
                except SealedStreamError:  # it gives its keys
                    break
                await stream.send_all(sealer.outgoing)
                sealer.outgoing = b""
            rotated(ring)
            await stream.send_all(sealer.outgoing)
        stream, _ = await other.accept_stream()
        served.append((await stream.receive_some())[1:5] == Key(K2).id)
        await trio.aclose_forcefully(stream)

    async with one, other, trio.open_nursery() as nursery:
        nursery.start_soon(hold_back)
        with pytest.raises(OSError, match="closed during the handshake"):
            await one.open_stream(other.local_address)
    assert served == [True], "it dials again, with the key of now"
    assert ring.list() == (Key(K2),)
