"""Keys and keyrings: what is allowed, what is shown, what a snapshot promises."""

from __future__ import annotations

import copy
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transports.sealing.helpers import K1, K2, K3
from trio_gossip_transports import Key, Keyring, KeyringError
from trio_gossip_transports.keyring import FELLOWS_SECONDS, KEYS_MAX, RETIRED_MAX


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


# -- keys -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [16, 24, 32])
def test_a_key_in_text_and_back(size: int):
    key = Key.generate(size)
    assert Key.parse(key.text) == key == Key(key.secret)
    assert Key.parse(f"  {key.text.rstrip('=')}\n") == key
    assert len(key.id) == 4
    assert Key.generate(size) != key


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_a_text_is_a_key_or_one_clear_error_without_the_text(text: str):
    try:
        key = Key.parse(text)
    except ValueError as error:
        told, cause = str(error), error.__cause__
    else:
        assert len(key.secret) in (16, 24, 32)
        return
    assert re.fullmatch(r"a key (is base64 of|has) 16, 24 or 32 bytes(, not \d+)?", told)
    assert cause is None


def test_other_lengths_and_types_are_no_keys():
    for size in (0, 1, 15, 17, 31, 33, 64):
        with pytest.raises(ValueError, match=f"not {size}$"):
            Key(bytes(size))
    for wrong in ("x" * 32, bytearray(32), 32, None):
        with pytest.raises(TypeError, match="a key is bytes"):
            Key(wrong)
    with pytest.raises(ValueError, match="not 20"):
        Key.generate(20)


def test_a_key_shows_its_id_alone_and_never_changes():
    key = Key(K1)
    assert repr(key) == str(key) == f"<Key {key.fingerprint}, 256 bits>"
    assert copy.copy(key) is copy.deepcopy(key) is key
    with pytest.raises(AttributeError, match="never changes"):
        key.id = b"else"
    with pytest.raises(AttributeError, match="never changes"):
        del key.id
    assert {key: 1}[Key(K1)] == 1
    assert key != "else"


def test_what_is_derived_differs_by_purpose_and_by_key():
    found = {Key(secret).derive(purpose) for secret in (K1, K2) for purpose in (b"a", b"b")}
    assert len(found) == 4
    assert {len(each) for each in found} == {32}
    with pytest.raises(ValueError, match="from 1 to 32"):
        Key(K1).derive(b"a", 33)


# -- keyrings ---------------------------------------------------------------------------


def test_the_first_key_seals_and_repeated_ones_count_once():
    ring = Keyring([K1, Key(K2), Key(K1).text])
    assert [key.secret for key in ring.list()] == [K1, K2]
    assert ring.snapshot.primary == Key(K1)


def test_install_use_remove():
    ring = Keyring([K1])
    ring.install(K2)
    ring.install(K2)
    assert ring.list() == (Key(K1), Key(K2))
    ring.use(K2)
    assert ring.list() == (Key(K2), Key(K1))
    ring.remove(K1)
    assert ring.list() == (Key(K2),)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda ring: ring.use(K3), "is not installed"),
        (lambda ring: ring.remove(K3), "is not installed"),
        (lambda ring: ring.remove(K1), "use another one first"),
        (lambda ring: ring.install(b"short"), "not 5"),
        (lambda ring: ring.install("no base64!"), "base64"),
        (lambda ring: ring.replace([]), "at least one"),
    ],
)
def test_what_is_not_allowed_changes_nothing(change, words: str):
    ring = Keyring([K1, K2])
    before = ring.snapshot
    with pytest.raises(KeyringError, match=words):
        change(ring)
    assert ring.snapshot is before


def test_at_most_eight_keys():
    keys = [bytes([number]) * 16 for number in range(KEYS_MAX + 1)]
    with pytest.raises(KeyringError, match="at most 8"):
        Keyring(keys)
    ring = Keyring(keys[:KEYS_MAX])
    with pytest.raises(KeyringError, match="full"):
        ring.install(keys[-1])
    ring.install(keys[0])
    for wrong in ([], ()):
        with pytest.raises(KeyringError, match="at least one"):
            Keyring(wrong)
    for wrong in (K1, "text", Key(K1)):
        with pytest.raises(TypeError, match="list of keys"):
            Keyring(wrong)
    with pytest.raises(KeyringError, match="grace"):
        Keyring([K1], grace=-1.0)


def test_a_snapshot_never_changes():
    ring = Keyring([K1])
    before = ring.snapshot
    ring.install(K2)
    assert before.keys == (Key(K1),)
    assert before.find(Key(K2).id) is None
    assert ring.snapshot.find(Key(K2).id) == Key(K2)


def test_a_removed_key_is_remembered_for_its_grace_and_not_a_moment_longer():
    clock = Clock()
    ring = Keyring([K1, K2, K3], grace=10.0, clock=clock)
    ring.remove(K2)
    ring.remove(K3, grace=0.0)
    assert ring.find_retired(Key(K2).id) == Key(K2)
    assert ring.find_retired(Key(K3).id) is None
    assert ring.snapshot.find(Key(K2).id) is None
    clock.now = 10.0
    assert ring.find_retired(Key(K2).id) is None


def test_a_key_that_is_installed_again_is_no_removed_one():
    ring = Keyring([K1, K2])
    ring.remove(K2)
    ring.install(K2)
    assert ring.find_retired(Key(K2).id) is None


def test_removed_keys_are_bounded():
    ring = Keyring([K1])
    for number in range(100, 100 + 3 * RETIRED_MAX):
        ring.install(bytes([number]) * 16)
        ring.remove(bytes([number]) * 16)
    assert len(ring.snapshot.retired) == RETIRED_MAX


def test_an_error_names_a_key_by_its_id_alone():
    with pytest.raises(KeyringError) as caught:
        Keyring([K1]).use(K2)
    assert Key(K2).fingerprint in str(caught.value)
    assert Key(K2).text not in str(caught.value)


def test_a_ring_that_was_replaced_brings_up_those_with_its_former_primary_for_a_while():
    now = [100.0]
    ring = Keyring([K1, K3], clock=lambda: now[0])
    ring.replace([K2])
    assert ring.list() == (Key(K2),)
    assert ring.find_retired(Key(K1).id) == Key(K1)
    assert ring.find_retired(Key(K3).id) is None, "nobody was let in with that one"
    now[0] += FELLOWS_SECONDS
    assert ring.find_retired(Key(K1).id) is None


def test_a_ring_that_was_replaced_never_retires_what_is_on_it_and_keeps_no_grace_without_one():
    ring = Keyring([K1])
    ring.replace([K2, K1])
    assert ring.find_retired(Key(K1).id) is None
    strict = Keyring([K1], grace=0.0)
    strict.replace([K2])
    assert strict.find_retired(Key(K1).id) is None
