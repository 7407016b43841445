"""Requests for changes of keys, and their answers: from members, which may be mad."""

from __future__ import annotations

from collections.abc import Callable

from cbor2 import dumps

from tests.fuzz.plain import A, Life
from tests.fuzz.sealed import KEYS
from tests.fuzz.steps import read_steps, timed
from trio_gossip.codec import DecodeError, NativeCodec
from trio_gossip.codec.messages import ServiceAnswer, ServiceRequest
from trio_gossip.services.key_wire import (
    KeyOperation,
    decode_answer_untrusted,
    decode_request_untrusted,
    encode_request,
)
from trio_gossip.services.keys import KEYS_SERVICE, KeyCommand, Keys
from trio_gossip_transports.keyring import KEYS_MAX, Keyring
from trio_gossip_transports.keyring_store import KeyringStore

CODEC = NativeCodec()
CHANGE = 7
PAUSES = (0.0, 0.5, 5.0, 60.0)


def request_of(chunk: bytes) -> bytes:
    """A request of a good shape: operation, phase, key and whether it leaked, a byte each."""
    operation, phase, which, leaked = chunk[:4].ljust(4, b"\0")
    key = KEYS[which % len(KEYS)]
    secret = chunk[4:] or (key.secret if operation == KeyOperation.INSTALL and phase == 1 else b"")
    key_id = b"" if operation == KeyOperation.LIST else key.id
    return dumps([1, operation, phase, CHANGE, key_id, secret, bool(leaked & 1)])


def _decode(payload: bytes) -> None:
    for decode in (decode_request_untrusted, decode_answer_untrusted):
        try:
            timed(decode, payload)
        except DecodeError:
            continue
        if decode is decode_request_untrusted:
            request = decode_request_untrusted(payload)
            assert decode_request_untrusted(encode_request(request)) == request


def key_requests(data: bytes) -> None:
    """What members say to the service behind ``cluster.keys``.

    The op says if the chunk is raw or becomes a good request (1 bit), who sends it (1 bit), how
    long after the one before (2 bits), if it is the answer to a change of ours (1 bit), and which
    change (the rest).
    """
    ring = Keyring(KEYS[:2])
    life = Life(Keys(KeyringStore(ring, lambda: "")))
    for number, (op, chunk) in enumerate(read_steps(data)):
        payload = request_of(chunk) if op & 1 else chunk
        _decode(payload)
        life.wait(PAUSES[op >> 2 & 3])
        if op & 16:
            _ask_others(life, op >> 5, number, payload)
            continue
        exchange = life.engine.new_exchange()
        source = "b" if op & 2 else "a"
        life.perform(life.engine.exchange_accepted(exchange, A, now=life.now))
        frame = CODEC.encode_frame(ServiceRequest(source, "me", KEYS_SERVICE, payload))
        life.perform(timed(life.engine.exchange_received, exchange, frame, now=life.now))
        assert 1 <= len(ring.list()) <= KEYS_MAX
        sent = b"".join(life.frames)
        assert not any(key.secret in sent for key in KEYS), "a secret was told"
    life.check()


def _ask_others(life: Life, what: int, token: int, answer: bytes) -> None:
    """Begin a change of ours, and have all whom it asks answer the same."""
    operation = KeyOperation(what & 3)
    key = KEYS[what >> 2]
    sent = len(life.frames)
    secret = key.secret if operation is KeyOperation.INSTALL else key.id
    command = KeyCommand(operation, b"" if operation is KeyOperation.LIST else secret)
    begun = len(life.opened)
    outputs = life.engine.call_service(KEYS_SERVICE, command, token=token, now=life.now)
    life.perform(outputs)
    for exchange in life.opened[begun:]:
        life.perform(life.engine.exchange_opened(exchange, now=life.now))
        frame = CODEC.encode_frame(ServiceAnswer(answer))
        life.perform(timed(life.engine.exchange_received, exchange, frame, now=life.now))
    # A key that we install is told to others, and only then.
    del life.frames[sent:]


KEY_CHANGES: dict[str, Callable[[bytes], None]] = {"key_requests": key_requests}
"""By name."""
