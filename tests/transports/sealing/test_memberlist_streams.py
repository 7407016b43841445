"""Streams as memberlist seals them: frames, labels, no end mark, plain peers, bombs, garbage."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from trio_gossip_transports.keyring import Keyring
from trio_gossip_transports.sealing import memberlist_streams
from trio_gossip_transports.sealing.memberlist_cipher import label_header
from trio_gossip_transports.sealing.memberlist_streams import (
    FRAME_BYTES_MAX,
    MemberlistStreamSealer,
    PlainStreamError,
)
from trio_gossip_transports.sealing.streams import SealedStreamError

KEY, OTHER = b"k" * 16, b"o" * 32
LABELS = st.binary(max_size=255)


def end(
    *keys: bytes, label: bytes = b"", accepted: bool = True, takes_plain: bool = False
) -> MemberlistStreamSealer:
    ring = Keyring(keys or [KEY])
    return MemberlistStreamSealer(ring, label, accepted=accepted, takes_plain=takes_plain)


def opener(*keys: bytes, label: bytes = b"") -> MemberlistStreamSealer:
    return end(*keys, label=label, accepted=False)


def frame(content: bytes, *, key: bytes = KEY, label: bytes = b"", version: int = 1) -> bytes:
    head = b"\x0a" + (len(content) + 29).to_bytes(4, "big")
    sealed = AESGCM(key).encrypt(bytes(12), content, head + label)
    return head + bytes((version,)) + bytes(12) + sealed


def in_pieces(one: MemberlistStreamSealer, data: bytes, sizes: list[int]) -> bytes:
    content, at = b"", 0
    for size in [*sizes, len(data)]:
        content += one.feed_untrusted(data[at : at + size])
        at += size
    return content


@given(LABELS, st.lists(st.binary(max_size=200), max_size=5), st.lists(st.integers(0, 99)))
def test_content_crosses_both_ways_however_it_is_cut(label, contents, sizes):
    ours, theirs = opener(label=label), end(label=label)
    assert ours.can_seal
    assert theirs.can_seal
    assert (ours.outgoing, theirs.outgoing) == (label_header(label), b"")
    data = ours.outgoing + b"".join(ours.seal(each) for each in contents)
    assert in_pieces(theirs, data, sizes) == b"".join(contents)
    assert theirs.ready == any(contents)
    data = b"".join(theirs.seal(each) for each in contents)
    assert in_pieces(ours, data, sizes) == b"".join(contents)


def test_content_is_one_frame_unless_that_is_too_long(monkeypatch):
    assert FRAME_BYTES_MAX >= 1 << 20
    monkeypatch.setattr(memberlist_streams, "FRAME_BYTES_MAX", 100)
    one = opener()
    assert [len(one.seal(bytes(size))) for size in (0, 1, 100, 101)] == [0, 35, 134, 134 + 35]
    assert end().feed_untrusted(one.seal(bytes(250))) == bytes(250)


def test_a_stream_may_end_between_frames_only():
    ours, theirs = opener(label=b"lab"), end(label=b"lab")
    assert ours.end() == b""
    data = ours.outgoing + ours.seal(b"one") + ours.seal(b"two")
    ends = {0, 5, 5 + 37, 5 + 74}
    for size in range(len(data)):
        assert theirs.may_end_here == (size in ends), size
        theirs.feed_untrusted(data[size : size + 1])
    assert theirs.may_end_here
    assert not theirs.ended


def test_what_the_format_does_not_notice():
    """Frames are not numbered and have no direction: this is documented, not wished for."""
    ours, theirs = opener(), end()
    one, two = ours.seal(b"one"), ours.seal(b"two")
    assert theirs.feed_untrusted(two + one + one) == b"twooneone"
    assert ours.feed_untrusted(one) == b"one"


def test_version_0_opens():
    padded = b"data" + b"\x0c" * 12
    assert end().feed_untrusted(frame(padded, version=0)) == b"data"
    with pytest.raises(SealedStreamError, match="padding"):
        end().feed_untrusted(frame(bytes(16), version=0))


def test_all_keys_open_and_the_primary_seals():
    ring = Keyring([KEY])
    one = MemberlistStreamSealer(ring, accepted=True)
    assert one.feed_untrusted(opener(KEY).seal(b"a")) == b"a"
    ring.install(OTHER)
    ring.use(OTHER)
    assert one.feed_untrusted(opener(OTHER).seal(b"b") + opener(KEY).seal(b"c")) == b"bc"
    assert opener(OTHER).feed_untrusted(one.seal(b"d")) == b"d"


# -- peers that cannot be talked to ------------------------------------------------------


def test_another_key_is_told_on_both_sides():
    ours, theirs = opener(KEY), end(OTHER)
    with pytest.raises(SealedStreamError, match="not on our keyring"):
        theirs.feed_untrusted(ours.seal(b"data"))
    assert theirs.outgoing
    with pytest.raises(SealedStreamError, match="not on our keyring"):
        ours.feed_untrusted(theirs.outgoing)
    assert ours.outgoing == b"", "the one who dialled does not answer an answer"


@pytest.mark.parametrize(
    ("ours", "theirs"), [(b"a", b"b"), (b"a", b""), (b"", b"b"), (b"a", b"ab")]
)
def test_another_label_is_told_on_both_sides(ours, theirs):
    one, other = opener(label=ours), end(label=theirs)
    with pytest.raises(SealedStreamError, match="another label"):
        other.feed_untrusted(one.outgoing + one.seal(b"data"))
    with pytest.raises(SealedStreamError, match="another label"):
        one.feed_untrusted(other.outgoing)


def test_the_label_is_bound_and_not_only_compared():
    with pytest.raises(SealedStreamError, match="another label"):
        end(label=b"ours").feed_untrusted(label_header(b"ours") + opener(label=b"x").seal(b"data"))


def test_the_refusal_is_memberlists_error_message_and_always_the_same():
    refusals = set()
    for junk in (b"\x00junk", b"\x0a\xff\xff\xff\xff", b"\xf4\x01a"):
        one = end()
        with pytest.raises(SealedStreamError):
            one.feed_untrusted(junk)
        refusals.add(one.outgoing)
    (refusal,) = refusals
    assert opener().feed_untrusted(refusal) == b"\x0d\x81\xa5Error\xb7cannot open this stream"


@pytest.mark.parametrize("label", [b"", b"lab"])
def test_a_plain_peer_is_refused(label):
    with pytest.raises(SealedStreamError, match="does not seal"):
        end(label=label).feed_untrusted(label_header(label) + b"\x06\x83")
    with pytest.raises(SealedStreamError, match="does not seal"):
        opener(label=label).feed_untrusted(b"\x06\x83")
    dialled = end(label=label, accepted=False, takes_plain=True)
    assert dialled.can_seal
    with pytest.raises(SealedStreamError, match="does not seal") as caught:
        dialled.feed_untrusted(b"\x06\x83")
    assert not isinstance(caught.value, PlainStreamError)


@pytest.mark.parametrize("label", [b"", b"lab"])
def test_a_plain_peer_is_taken_where_that_is_allowed(label):
    one = end(label=label, takes_plain=True)
    data = label_header(label) + b"\x06\x83"
    for at in range(len(label_header(label))):
        assert one.feed_untrusted(data[at : at + 1]) == b""
        assert not one.can_seal, "not before it is clear whether the peer seals"
    with pytest.raises(PlainStreamError) as caught:
        one.feed_untrusted(b"\x06\x83")
    assert caught.value.content == b"\x06\x83"
    assert one.outgoing == b""


def test_a_peer_that_seals_is_served_sealed_where_plain_is_allowed():
    one = end(takes_plain=True)
    assert not one.can_seal
    data = opener().seal(b"data")
    one.feed_untrusted(data[:1])
    assert one.can_seal
    assert one.feed_untrusted(data[1:]) == b"data"
    with pytest.raises(SealedStreamError, match="no frame"):
        one.feed_untrusted(b"\x06plain after sealed")


# -- garbage -----------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 29, FRAME_BYTES_MAX + 46, 0xFFFFFFFF])
def test_an_impossible_length_is_refused_as_soon_as_it_is_announced(size):
    one = end()
    with pytest.raises(SealedStreamError, match="impossible length"):
        one.feed_untrusted(b"\x0a" + size.to_bytes(4, "big"))


def test_a_long_length_alone_takes_no_memory():
    one = end()
    assert one.feed_untrusted(b"\x0a" + FRAME_BYTES_MAX.to_bytes(4, "big") + bytes(100)) == b""
    assert one._buffer.__sizeof__() < 1000


def test_an_empty_frame_of_version_0_is_refused():
    with pytest.raises(SealedStreamError, match="empty"):
        end().feed_untrusted(frame(b"\x10" * 16, version=0))


@pytest.mark.parametrize("version", [2, 255])
def test_an_unknown_version_is_refused(version):
    with pytest.raises(SealedStreamError, match="unknown version"):
        end().feed_untrusted(frame(b"data", version=version))


def test_after_a_good_frame_damage_is_called_damage():
    one = end()
    one.feed_untrusted(frame(b"data"))
    with pytest.raises(SealedStreamError, match="forged or damaged"):
        one.feed_untrusted(frame(b"data")[:-1] + b"\0")
    assert one.outgoing == b""


def test_nothing_is_read_after_a_flaw():
    one = end()
    with pytest.raises(SealedStreamError, match="does not seal"):
        one.feed_untrusted(b"?")
    with pytest.raises(SealedStreamError, match="does not seal"):
        one.feed_untrusted(frame(b"data"))
    assert not one.may_end_here


@given(LABELS, st.booleans(), st.booleans(), st.lists(st.binary(max_size=99), max_size=5))
def test_garbage_raises_nothing_else_and_yields_nothing(label, accepted, takes_plain, pieces):
    for head in (b"", label_header(label), label_header(label) + b"\x0a\0\0"):
        one = end(label=label, accepted=accepted, takes_plain=takes_plain)
        try:
            for piece in (head, *pieces):
                assert one.feed_untrusted(piece) == b""
        except PlainStreamError:
            assert takes_plain
            assert accepted
        except SealedStreamError:
            assert not one.may_end_here


@given(st.binary(min_size=1, max_size=50), st.data())
def test_a_changed_frame_never_opens(content, draw):
    data = bytearray(frame(content))
    place = draw.draw(st.integers(0, len(data) - 1).filter(lambda at: at != 5))
    data[place] ^= 1 << draw.draw(st.integers(0, 7))
    one = end()
    try:
        assert one.feed_untrusted(bytes(data)) == b""
    except SealedStreamError:
        return
    assert not one.may_end_here, "waits for the rest of a longer frame"
