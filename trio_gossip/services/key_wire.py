"""What the ``keys`` services of two members say to each other, and its bytes."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import attrs
from cbor2 import dumps

from trio_gossip.codec import DecodeError
from trio_gossip.codec.cbor import load_arrays_untrusted
from trio_gossip.codec.fields import data, flag, text, uint64
from trio_gossip.services.key_report import KeyAnswer
from trio_gossip.services.key_store import KEY_ID_BYTES

KEYS_VERSION: Final = 1
"""First item of each request and answer; another one is refused."""

SECRET_BYTES_MAX: Final = 64
"""Longest key that a request carries."""

IDS_MAX: Final = 64
"""Keys that an answer lists; a store with more tells of the first ones."""

ERROR_TEXT_MAX: Final = 200
"""Characters of explanation in an answer; what is longer is cut."""


class KeyOperation(IntEnum):
    """What is to happen to a key; the number is the wire value."""

    LIST = 0
    INSTALL = 1
    USE = 2
    REMOVE = 3


class Phase(IntEnum):
    """How far a change has come; the number is the wire value."""

    CHECK = 0
    """Would it be possible? Yes means: and you have the lease. A list has this phase only."""
    DO = 1
    """Do it, and the lease ends."""
    RELEASE = 2
    """It will not be done: the lease ends."""


@attrs.frozen
class KeyRequest:
    """One member asks another.

    Attributes:
        operation, phase: what is wanted.
        change: number of the change, by chance; a lease belongs to it and to who asks.
        key_id: the key in question; empty for a list.
        secret: the key itself, where it is installed and nowhere else.
        leaked: the key is to be removed without grace.
    """

    operation: KeyOperation
    phase: Phase
    change: int = 0
    key_id: bytes = b""
    secret: bytes = attrs.field(default=b"", repr=False)
    leaked: bool = False


def encode_request(request: KeyRequest) -> bytes:
    """The bytes of a request."""
    return dumps(
        [
            KEYS_VERSION,
            int(request.operation),
            int(request.phase),
            request.change,
            request.key_id,
            request.secret,
            request.leaked,
        ]
    )


def decode_request_untrusted(payload: bytes) -> KeyRequest:
    """Read a request.

    Raises:
        DecodeError: it is none.
    """
    items = _items(payload, 7)
    try:
        operation = KeyOperation(_small(items[1]))
        phase = Phase(_small(items[2]))
    except ValueError:
        raise DecodeError("field") from None
    request = KeyRequest(
        operation,
        phase,
        uint64(items[3]),
        data(items[4], KEY_ID_BYTES),
        data(items[5], SECRET_BYTES_MAX),
        flag(items[6]),
    )
    is_list = operation is KeyOperation.LIST
    is_install = operation is KeyOperation.INSTALL and phase is Phase.DO
    if (
        (is_list and phase is not Phase.CHECK)
        or len(request.key_id) != (0 if is_list else KEY_ID_BYTES)
        or bool(request.secret) != is_install
    ):
        raise DecodeError("field")
    return request


def encode_answer(error: str, ids: tuple[bytes, ...]) -> bytes:
    """The bytes of an answer; ``error`` is empty for yes."""
    plain = "".join(letter if letter.isprintable() else " " for letter in error[:ERROR_TEXT_MAX])
    return dumps([KEYS_VERSION, plain, b"".join(ids[:IDS_MAX])])


def decode_answer_untrusted(payload: bytes) -> KeyAnswer:
    """Read an answer.

    Raises:
        DecodeError: it is none.
    """
    items = _items(payload, 3)
    error = text(items[1], ERROR_TEXT_MAX)
    ids = data(items[2], IDS_MAX * KEY_ID_BYTES)
    if not ids or len(ids) % KEY_ID_BYTES:
        raise DecodeError("field")
    starts = range(0, len(ids), KEY_ID_BYTES)
    return KeyAnswer(not error, error, tuple(ids[at : at + KEY_ID_BYTES].hex() for at in starts))


def _items(payload: bytes, count: int) -> list[object]:
    (items,) = load_arrays_untrusted(payload, 0, 1)
    if len(items) != count or type(items[0]) is not int:
        raise DecodeError("shape")
    if items[0] != KEYS_VERSION:
        raise DecodeError("version")
    return items


def _small(value: object) -> int:
    if type(value) is not int:
        raise DecodeError("field")
    return value
