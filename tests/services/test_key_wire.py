"""The bytes of requests and answers about keys."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from cbor2 import dumps
from hypothesis import given
from hypothesis import strategies as st

from tests.codec.strategies import cbor_values
from tests.services.wired import NEW, OLD, World, id_of
from trio_gossip.codec import DecodeError
from trio_gossip.services.base import RequestRefusedError
from trio_gossip.services.key_report import KeyAnswer
from trio_gossip.services.key_wire import (
    ERROR_TEXT_MAX,
    IDS_MAX,
    SECRET_BYTES_MAX,
    KeyOperation,
    KeyRequest,
    Phase,
    decode_answer_untrusted,
    decode_request_untrusted,
    encode_answer,
    encode_request,
)

IDS = st.binary(min_size=4, max_size=4)
CHANGES = st.integers(0, 2**64 - 1)
REQUESTS = st.one_of(
    st.builds(KeyRequest, st.just(KeyOperation.LIST), st.just(Phase.CHECK), CHANGES),
    st.builds(
        KeyRequest,
        st.sampled_from([KeyOperation.USE, KeyOperation.REMOVE]),
        st.sampled_from(Phase),
        CHANGES,
        IDS,
        leaked=st.booleans(),
    ),
    st.builds(
        KeyRequest,
        st.just(KeyOperation.INSTALL),
        st.sampled_from([Phase.CHECK, Phase.RELEASE]),
        CHANGES,
        IDS,
    ),
    st.builds(
        KeyRequest,
        st.just(KeyOperation.INSTALL),
        st.just(Phase.DO),
        CHANGES,
        IDS,
        st.binary(min_size=1, max_size=SECRET_BYTES_MAX),
    ),
)
GOOD: list[Any] = [1, 1, 1, 5, b"idid", b"secret", False]


@given(REQUESTS)
def test_a_request_comes_back_as_it_was(request: KeyRequest) -> None:
    assert decode_request_untrusted(encode_request(request)) == request


@given(st.text(max_size=300), st.lists(IDS, min_size=1, max_size=IDS_MAX + 2))
def test_an_answer_comes_back_printable_and_within_its_bounds(error: str, ids: list[bytes]) -> None:
    answer = decode_answer_untrusted(encode_answer(error, tuple(ids)))
    assert answer.ok is (not error)
    assert len(answer.error) == min(len(error), ERROR_TEXT_MAX)
    assert answer.keys == tuple(each.hex() for each in ids[:IDS_MAX])
    if error[:ERROR_TEXT_MAX].isprintable():
        assert answer.error == error[:ERROR_TEXT_MAX]


def test_requests_and_answers_have_these_bytes() -> None:
    request = KeyRequest(KeyOperation.INSTALL, Phase.DO, 5, b"idid", b"secret")
    assert encode_request(request).hex() == "87010101054469646964" + "46736563726574" + "f4"
    assert encode_answer("no", (b"aaaa", b"bbbb")).hex() == "8301626e6f4861616161" + "62626262"
    assert decode_answer_untrusted(dumps([1, "", b"aaaa"])) == KeyAnswer(True, "", ("61616161",))


@pytest.mark.parametrize(
    ("at", "value"),
    [
        *((0, bad) for bad in (0, 2, True, "1")),
        *((1, bad) for bad in (-1, 4, True, None, "1")),
        *((2, bad) for bad in (-1, 3, False, None)),
        *((3, bad) for bad in (-1, 1.0, None, True)),
        *((4, bad) for bad in (b"", b"ididi", "idid")),
        *((5, bad) for bad in (b"", bytes(65), "secret")),
        *((6, bad) for bad in (0, None)),
        (1, 0),  # a list has no key
        (1, 2),  # only an install has a secret
        (2, 0),  # and only when it is done
    ],
)
def test_a_request_that_makes_no_sense_is_refused(at: int, value: object) -> None:
    assert decode_request_untrusted(dumps(GOOD)).secret == b"secret"
    with pytest.raises(DecodeError):
        decode_request_untrusted(dumps([*GOOD[:at], value, *GOOD[at + 1 :]]))


@pytest.mark.parametrize(
    "items",
    [
        [1, ""],
        [1, "", b"aaaa", 1],
        [2, "", b"aaaa"],
        [1, "", b""],
        [1, "", b"aaa"],
        [1, "", bytes(4 * (IDS_MAX + 1))],
        [1, "x" * (ERROR_TEXT_MAX + 1), b"aaaa"],
        [1, "\x1b[2J", b"aaaa"],
        [1, b"", b"aaaa"],
    ],
)
def test_an_answer_that_makes_no_sense_is_refused(items: list[Any]) -> None:
    with pytest.raises(DecodeError):
        decode_answer_untrusted(dumps(items))


def _outcome(payload: bytes) -> None:
    """A member that is asked this answers or refuses, and an answer is read or refused."""
    world = World("ab", OLD, NEW)
    try:
        answer = world.keys["a"].answer_untrusted(payload, "b")
    except RequestRefusedError:
        assert world.rings["a"].keys == [id_of(OLD), id_of(NEW)]
    else:
        decode_answer_untrusted(answer)
    with suppress(DecodeError):
        decode_answer_untrusted(payload)


@given(st.binary(max_size=100) | cbor_values.map(dumps))
def test_any_bytes_are_answered_or_refused(payload: bytes) -> None:
    _outcome(payload)


@given(REQUESTS, st.integers(0, 200), st.integers(0, 255))
def test_a_request_with_another_byte_is_answered_or_refused(
    request: KeyRequest, at: int, byte: int
) -> None:
    payload = bytearray(encode_request(request))
    payload[at % len(payload)] = byte
    _outcome(bytes(payload))
