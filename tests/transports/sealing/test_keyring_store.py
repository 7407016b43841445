"""A keyring changed from afar, and written to its file each time."""

from __future__ import annotations

import logging
import stat
from pathlib import Path

import pytest

from tests.transports.tls_helpers import named
from trio_gossip import Transport
from trio_gossip_transports import (
    EncryptedTransport,
    Key,
    Keyring,
    KeyringError,
    MemoryNetwork,
)
from trio_gossip_transports.keyring import KEYS_MAX
from trio_gossip_transports.keyring_store import KeyringStore
from trio_gossip_transports.tls import TLSTransport

OLD, NEW, OTHER = (Key(bytes([number]) * 32) for number in (1, 2, 3))


def store_of(keyring: Keyring) -> KeyringStore:
    return KeyringStore(keyring, lambda: "")


def test_a_ring_is_changed_by_ids_alone() -> None:
    keyring = Keyring([OLD])
    store = store_of(keyring)
    assert store.identify(NEW.secret) == NEW.id
    store.install(NEW.secret)
    store.install(NEW.secret)
    assert store.ids() == (OLD.id, NEW.id)
    store.use(NEW.id)
    assert keyring.list() == (NEW, OLD)
    store.remove(OLD.id, leaked=False)
    store.remove(OLD.id, leaked=False)
    assert store.ids() == (NEW.id,)
    assert keyring.find_retired(OLD.id) == OLD


def test_a_leaked_key_has_no_grace_also_if_it_had_one_before() -> None:
    for first in (False, True):
        keyring = Keyring([NEW, OLD, OTHER])
        store = store_of(keyring)
        store.remove(OTHER.id, leaked=False)
        store.remove(OLD.id, leaked=first)
        store.remove(OLD.id, leaked=True)
        assert keyring.find_retired(OLD.id) is None
        assert keyring.find_retired(OTHER.id) == OTHER


def test_what_a_ring_does_not_allow_is_an_error_with_the_id_and_not_the_key() -> None:
    store = store_of(Keyring([OLD]))
    with pytest.raises(ValueError, match="16, 24 or 32 bytes, not 5"):
        store.identify(b"short")
    with pytest.raises(KeyringError, match=f"key {NEW.fingerprint} is not installed"):
        store.use(NEW.id)
    with pytest.raises(KeyringError, match="primary key cannot be removed"):
        store.remove(OLD.id, leaked=True)
    store.check_install(NEW.id)
    full = store_of(Keyring([Key(bytes([number]) * 16) for number in range(KEYS_MAX)]))
    full.check_install(full.ids()[3])
    with pytest.raises(KeyringError, match="its keyring is full: 8 keys"):
        full.check_install(NEW.id)
    with pytest.raises(KeyringError, match="full"):
        full.install(NEW.secret)
    assert OLD.text not in repr(store)


def transport_of(keyring: Keyring, **options: bool) -> EncryptedTransport:
    return EncryptedTransport(MemoryNetwork(seed=1).transport("a"), keyring, **options)


def test_a_sealing_transport_gives_out_its_ring_and_a_plain_one_has_none() -> None:
    transport = transport_of(Keyring([OLD]))
    assert transport.keyring is transport.keyring
    transport.keyring.install(NEW.secret)
    assert transport.keyring.ids() == (OLD.id, NEW.id)
    plain: Transport = MemoryNetwork(seed=1).transport("a")
    assert plain.keyring is None


@pytest.mark.parametrize("switch", ["send_plain", "accept_plain"])
def test_keys_are_not_changed_from_afar_while_something_travels_in_the_clear(switch: str) -> None:
    transport = transport_of(Keyring([OLD]), **{switch: True})
    assert transport.keyring.fault() == "it still sends or takes what is not sealed"
    setattr(transport, switch, False)
    assert transport.keyring.fault() == ""


# -- saving -----------------------------------------------------------------------------


def file_of(folder: Path, *keys: Key) -> Path:
    path = folder / "keys"
    Keyring(keys).save(path)
    return path


def test_a_ring_that_saves_itself_is_in_its_file_after_each_change(tmp_path: Path) -> None:
    path = file_of(tmp_path, OLD)
    keyring = Keyring.load(path, autosave=True)
    keyring.install(NEW)
    assert Keyring.load(path).list() == (OLD, NEW)
    keyring.use(NEW)
    assert Keyring.load(path).list() == (NEW, OLD)
    keyring.remove(OLD)
    assert Keyring.load(path).list() == (NEW,)
    keyring.replace([OTHER, NEW])
    assert Keyring.load(path).list() == (OTHER, NEW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keyring.save_failures == 0


def test_a_ring_does_not_save_itself_unless_it_is_told_to(tmp_path: Path) -> None:
    path = file_of(tmp_path, OLD)
    keyring = Keyring.load(path)
    keyring.install(NEW)
    assert Keyring.load(path).list() == (OLD,)
    given = Keyring([OLD], path=path)
    given.install(OTHER)
    assert Keyring.load(path).list() == (OLD, OTHER)


def test_what_changes_no_key_writes_nothing(tmp_path: Path) -> None:
    path = file_of(tmp_path, OLD, NEW)
    keyring = Keyring.load(path, autosave=True)
    path.unlink()
    keyring.install(NEW)
    keyring.use(OLD)
    keyring.replace([OLD, NEW])
    keyring.forget(NEW.id)
    assert not path.exists()


def test_a_ring_that_cannot_be_saved_changes_all_the_same_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    keyring = Keyring.load(file_of(folder, OLD), autosave=True)
    (folder / "keys").unlink()
    folder.rmdir()
    with caplog.at_level(logging.WARNING):
        keyring.install(NEW)
        store_of(keyring).use(NEW.id)
    assert keyring.list() == (NEW, OLD)
    assert keyring.save_failures == 2
    [record, _] = caplog.records
    assert record.getMessage() == (
        f"the keyring was changed but not written to {folder / 'keys'}: No such file or directory"
    )
    assert NEW.text not in caplog.text


async def test_a_tls_transport_passes_on_the_ring_of_the_transport_below() -> None:
    sealed = transport_of(Keyring([OLD]))
    async with TLSTransport(sealed, *named("a")) as outer:
        assert outer.keyring is sealed.keyring
    async with TLSTransport(MemoryNetwork(seed=1).transport("a"), *named("a")) as outer:
        assert outer.keyring is None
