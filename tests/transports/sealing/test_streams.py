"""The native records: prefaces, keys of each direction, and what an interferer can do: nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transports.sealing.helpers import K1, K2, K3
from trio_gossip_transports.keyring import Keyring
from trio_gossip_transports.keys import Key
from trio_gossip_transports.sealing.streams import (
    ACCEPTOR,
    OPENER,
    PREFACE_BYTES,
    RECORD_BYTES_MAX,
    REFUSAL,
    NewKeyringError,
    SealedStreamError,
    StreamSealer,
)


def taken(sealer: StreamSealer) -> bytes:
    data, sealer.outgoing = sealer.outgoing, b""
    return data


def ends(
    *, ours: Keyring | None = None, theirs: Keyring | None = None, label: bytes = b""
) -> tuple[StreamSealer, StreamSealer]:
    opener = StreamSealer(ours or Keyring([K1]), label, accepted=False)
    return opener, StreamSealer(theirs or Keyring([K1]), label, accepted=True)


def shaken(**options) -> tuple[StreamSealer, StreamSealer, bytes, bytes]:
    opener, acceptor = ends(**options)
    hello = taken(opener)
    assert acceptor.feed_untrusted(hello) == b""
    answer = taken(acceptor)
    assert opener.feed_untrusted(answer) == b""
    assert opener.can_seal
    assert acceptor.can_seal
    assert opener.ready
    assert not acceptor.ready
    return opener, acceptor, hello, answer


@pytest.mark.parametrize("step", [1, 3, 10_000])
def test_content_crosses_both_ways_in_pieces_of_any_size(step: int):
    opener, acceptor = ends(label=b"label")
    acceptor.feed_untrusted(taken(opener))
    answer = taken(acceptor) + acceptor.seal(b"early words")
    assert b"early words" not in answer
    pieces = [answer[at : at + step] for at in range(0, len(answer), step)]
    assert b"".join(opener.feed_untrusted(each) for each in pieces) == b"early words"
    data = opener.seal(b"question" * 100) + opener.end()
    pieces = [data[at : at + step] for at in range(0, len(data), step)]
    assert b"".join(acceptor.feed_untrusted(each) for each in pieces) == b"question" * 100
    assert acceptor.ended
    assert not opener.ended


def test_long_content_is_cut_into_records_of_the_allowed_length():
    opener, acceptor, _, _ = shaken()
    content = bytes(2 * RECORD_BYTES_MAX + 5)
    assert acceptor.feed_untrusted(opener.seal(content)) == content


def test_the_opener_seals_nothing_before_the_peer_has_proved_itself():
    opener, acceptor = ends()
    acceptor.feed_untrusted(taken(opener))
    preface = taken(acceptor)[:PREFACE_BYTES]
    opener.feed_untrusted(preface)
    assert not opener.can_seal
    with pytest.raises(AssertionError):
        ends()[0].seal(b"x")


def test_the_same_content_is_never_the_same_bytes():
    seen = set()
    for _ in range(20):
        opener, acceptor, *_ = shaken()
        for each in (opener, acceptor):
            seen |= {each.seal(b"same"), each.seal(b"same")}
    assert len(seen) == 80


def broken(sealer: StreamSealer, data: bytes, words: str) -> None:
    with pytest.raises(SealedStreamError, match=words) as caught:
        sealer.feed_untrusted(data)
    assert "\n" not in str(caught.value)
    assert not sealer.can_seal
    with pytest.raises(SealedStreamError) as again:
        sealer.feed_untrusted(b"more")
    assert again.value is caught.value


FORGED = "forged, repeated or damaged"


def test_an_altered_byte_anywhere_breaks_the_stream():
    opener, _, _, _ = shaken()
    size = len(opener.seal(b"content"))
    for place in range(size):
        opener, acceptor, _, _ = shaken()
        acceptor.feed_untrusted(opener.seal(b"proof"))
        data = opener.seal(b"content")
        data = data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :]
        with pytest.raises(SealedStreamError, match=f"{FORGED}|impossible length"):
            acceptor.feed_untrusted(data + bytes(70_000))


def test_an_altered_preface_breaks_the_stream():
    for place in range(PREFACE_BYTES):
        opener, acceptor = ends()
        hello = taken(opener)
        hello = hello[:place] + bytes((hello[place] ^ 1,)) + hello[place + 1 :]
        try:
            acceptor.feed_untrusted(hello)
            opener.feed_untrusted(taken(acceptor))
        except SealedStreamError:
            continue
        pytest.fail(f"byte {place}")


def test_records_that_are_left_out_swapped_or_repeated_break_the_stream():
    for change in (
        lambda one, two, three: two + three,
        lambda one, two, three: two + one,
        lambda one, two, three: one + one,
        lambda one, two, three: one + three,
    ):
        opener, acceptor, _, _ = shaken()
        acceptor.feed_untrusted(opener.seal(b"proof"))
        records = [opener.seal(content) for content in (b"1", b"2", b"3")]
        broken(acceptor, change(*records), FORGED)


def test_records_sent_back_to_their_sender_break_the_stream():
    opener, acceptor, _, answer = shaken()
    broken(opener, opener.seal(b"x"), FORGED)
    opener, acceptor, _, answer = shaken()
    broken(acceptor, answer[PREFACE_BYTES:], "another label, or does not really hold")
    opener, _ = ends()
    broken(opener, taken(opener), "does not seal")


def test_a_recorded_stream_is_of_no_use_at_either_end():
    opener, acceptor, hello, answer = shaken()
    said = opener.seal(b"pay 100") + opener.end()
    replied = acceptor.seal(b"done")
    _, later = ends()
    later.feed_untrusted(hello)
    broken(later, said, "another label, or does not really hold the key")
    assert taken(later)[-6:-4] == bytes((REFUSAL, 2))
    dialling, _ = ends()
    broken(dialling, answer + replied, "another label, or does not really hold the key")


def test_nothing_comes_after_the_end():
    opener, acceptor, _, _ = shaken()
    acceptor.feed_untrusted(opener.end())
    broken(acceptor, opener.seal(b"x"), "went on after its end")


@pytest.mark.parametrize("size", [0, 1, 16, RECORD_BYTES_MAX + 18, 2**32 - 1])
def test_an_impossible_length_is_refused_before_its_record_comes(size: int):
    _, acceptor, _, _ = shaken()
    broken(acceptor, size.to_bytes(4, "big"), "impossible length")


@pytest.mark.parametrize(
    ("kind", "words"),
    [(b"\4", "unknown kind"), (b"\2", "unknown kind"), (b"\3", "unknown kind")],
)
def test_a_kind_that_has_no_place_breaks_the_stream(kind: bytes, words: str):
    opener, acceptor, _, _ = shaken()
    assert opener._ours is not None
    broken(acceptor, opener._ours.seal(kind, b"x"), words)


# -- peers that do not fit --------------------------------------------------------------


def test_another_key_is_refused_by_name():
    opener, acceptor = ends(ours=Keyring([K2]))
    broken(acceptor, taken(opener), "key that is not on our keyring")
    refusal = taken(acceptor)
    assert refusal == bytes((REFUSAL, 1)) + Key(K2).id
    broken(opener, refusal, "does not know our key")


def test_another_label_is_refused():
    opener = StreamSealer(Keyring([K1]), b"one", accepted=False)
    acceptor = StreamSealer(Keyring([K1]), b"other", accepted=True)
    acceptor.feed_untrusted(taken(opener))
    broken(opener, taken(acceptor), "another label, or does not really hold the key")


def test_a_peer_that_does_not_seal_is_refused():
    _, acceptor = ends()
    broken(acceptor, b"\0\0\0\5plain", "does not seal its streams")
    assert taken(acceptor)[:2] == bytes((REFUSAL, 3))
    for answer in (b"\0\0\0\5plain", b"HTTP/1.1 400"):
        opener, _ = ends()
        broken(opener, answer, "does not seal its streams")


def test_an_answer_under_another_key_is_refused():
    opener, _ = ends()
    broken(opener, bytes((ACCEPTOR,)) + Key(K2).id + bytes(16), "under another key")


def test_refusals_of_a_later_version_are_understood_as_such():
    opener, _ = ends()
    broken(opener, bytes((REFUSAL, 99)) + bytes(4), "refuses the stream")


# -- members that were away -------------------------------------------------------------


def rotated(grace: float = 10.0) -> Keyring:
    ring = Keyring([K2, K1, K3], grace=grace)
    ring.remove(K1)
    return ring


def test_a_member_that_was_away_is_given_the_new_keys_once_it_proved_that_it_has_the_old_one():
    opener, acceptor = ends(theirs=rotated())
    acceptor.feed_untrusted(taken(opener))
    asked = taken(acceptor)
    assert not acceptor.can_seal
    assert len(asked) < 50, "no keys in it yet"
    assert opener.feed_untrusted(asked) == b""
    assert not opener.can_seal
    with pytest.raises(SealedStreamError, match="was given the new ones"):
        acceptor.feed_untrusted(taken(opener))
    given_keys = taken(acceptor)
    assert K2 not in given_keys
    with pytest.raises(NewKeyringError) as caught:
        opener.feed_untrusted(given_keys)
    assert caught.value.keys == (Key(K2), Key(K3))
    assert Key(K2).text not in f"{caught.value!r} {caught.value}"


def test_who_only_knows_the_id_of_a_removed_key_is_given_nothing():
    _, acceptor = ends(theirs=rotated())
    acceptor.feed_untrusted(bytes((OPENER,)) + Key(K1).id + bytes(16))
    taken(acceptor)
    broken(acceptor, (21 + 1).to_bytes(4, "big") + bytes(22), "does not really hold the key")
    assert taken(acceptor) == bytes((REFUSAL, 2)) + Key(K1).id


def test_without_grace_a_removed_key_is_unknown():
    opener, acceptor = ends(theirs=rotated(grace=0.0))
    broken(acceptor, taken(opener), "not on our keyring")


def test_a_keyring_in_the_middle_of_a_stream_of_an_acceptor_is_taken_for_junk():
    opener, acceptor, _, _ = shaken()
    assert acceptor._ours is not None
    for junk in (b"", b"\5abc", b"\20" + bytes(15)):
        opener, acceptor, _, _ = shaken()
        assert acceptor._ours is not None
        broken(opener, acceptor._ours.seal(b"\2", junk), "keyring")


# -- anything ---------------------------------------------------------------------------


@settings(max_examples=300)
@given(st.booleans(), st.lists(st.binary(max_size=60), max_size=6))
def test_any_bytes_are_nothing_or_a_sealed_stream_error(accepted: bool, pieces: list[bytes]):
    sealer = StreamSealer(Keyring([K1]), accepted=accepted)
    for each in pieces:
        try:
            assert sealer.feed_untrusted(each) == b""
        except SealedStreamError:
            assert not sealer.can_seal


@settings(max_examples=300)
@given(st.booleans(), st.lists(st.binary(max_size=60), max_size=6), st.binary(max_size=4))
def test_any_bytes_after_the_handshake(accepted: bool, pieces: list[bytes], head: bytes):
    opener, acceptor, _, _ = shaken()
    sealer = acceptor if accepted else opener
    for each in (head, *pieces):
        try:
            assert sealer.feed_untrusted(each) == b""
        except SealedStreamError:
            return
        assert len(sealer._buffer) <= RECORD_BYTES_MAX + 100


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(b"\0\1\2\3\4"), st.binary(max_size=70)), max_size=8))
def test_any_records_of_who_has_the_key(records: list[tuple[int, bytes]]):
    opener, acceptor, _, _ = shaken()
    for source, target in ((opener, acceptor), (acceptor, opener)):
        assert source._ours is not None
        for kind, content in records:
            record = source._ours.seal(bytes((kind,)), content)
            try:
                assert target.feed_untrusted(record) == (content if kind == 0 else b"")
            except SealedStreamError:
                break


# -- a key that is on the ring, and not the one in use ----------------------------------


def test_who_lacks_the_key_in_use_is_given_it_although_its_own_still_opens():
    """It was away when the new key was installed, and came back before the old one was removed."""
    opener, acceptor = ends(ours=Keyring([K1]), theirs=Keyring([K2, K1]))
    acceptor.feed_untrusted(taken(opener))
    opener.feed_untrusted(taken(acceptor))
    assert not opener.ready
    assert not opener.can_seal
    with pytest.raises(SealedStreamError, match="has not got the key that we use"):
        acceptor.feed_untrusted(taken(opener))
    assert not acceptor.can_seal
    with pytest.raises(NewKeyringError) as caught:
        opener.feed_untrusted(taken(acceptor))
    assert caught.value.keys == (Key(K2), Key(K1))


def test_who_has_the_key_in_use_and_seals_with_another_one_just_talks():
    opener, acceptor, _, _ = shaken(ours=Keyring([K1, K2]), theirs=Keyring([K2, K1]))
    assert acceptor.feed_untrusted(opener.seal(b"between install and use")) == (
        b"between install and use"
    )
    assert opener.feed_untrusted(acceptor.seal(b"yes")) == b"yes"


@pytest.mark.parametrize("ring", [Keyring([K1]), Keyring([K1, K2])])
def test_keys_are_given_to_nobody_who_asks_with_the_key_in_use(ring: Keyring):
    opener, acceptor, _, _ = shaken(theirs=ring)
    with pytest.raises(SealedStreamError, match="unknown kind"):
        acceptor.feed_untrusted(opener._ours.seal(b"\5", b""))
    assert not taken(acceptor)


@pytest.mark.parametrize("kind", [b"\4", b"\5"])
def test_words_of_the_other_side_make_no_sense_here(kind: bytes):
    opener, acceptor, _, _ = shaken()
    receiver = acceptor if kind == b"\4" else opener
    sender = opener if kind == b"\4" else acceptor
    with pytest.raises(SealedStreamError, match="unknown kind"):
        receiver.feed_untrusted(sender._ours.seal(kind, Key(K3).id))


def test_a_stranger_who_only_knows_the_id_of_a_key_gets_no_keyring():
    """Its preface is a copy: it cannot seal the question."""
    opener, acceptor = ends(ours=Keyring([K1]), theirs=Keyring([K2, K1]))
    acceptor.feed_untrusted(taken(opener))
    taken(acceptor)
    with pytest.raises(SealedStreamError):
        acceptor.feed_untrusted((1 + 16 + 4).to_bytes(4, "big") + bytes(21))
    assert K2 not in taken(acceptor)


def test_a_ring_without_grace_gives_its_keys_to_nobody():
    opener, acceptor, _, _ = shaken(ours=Keyring([K1]), theirs=Keyring([K2, K1], grace=0.0))
    assert acceptor.feed_untrusted(opener.seal(b"it just talks")) == b"it just talks"
    with pytest.raises(SealedStreamError, match="unknown kind"):
        acceptor.feed_untrusted(opener._ours.seal(b"\5", b""))
