"""Changing the keys of the whole cluster: the service behind ``cluster.keys``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from trio_gossip.codec import DecodeError
from trio_gossip.errors import LocalProtocolError
from trio_gossip.services.base import RequestRefusedError, Service
from trio_gossip.services.key_change import KeyChange, KeyListing
from trio_gossip.services.key_keeper import KeyKeeper
from trio_gossip.services.key_report import KeyAnswer, KeyChangeError, KeyReport
from trio_gossip.services.key_store import KEY_ID_BYTES
from trio_gossip.services.key_wire import (
    SECRET_BYTES_MAX,
    KeyOperation,
    KeyRequest,
    decode_request_untrusted,
    encode_answer,
)

if TYPE_CHECKING:
    from trio_gossip.services.base import Host
    from trio_gossip.services.key_store import KeyStore

KEYS_SERVICE: Final = 1
"""Code of the service on the wire."""

LISTINGS_MAX: Final = 8
"""Lists that a member may have under way; one more is refused to the caller."""


@attrs.frozen
class KeyCommand:
    """What :meth:`Keys.call` takes. ``key`` is the secret to install, else the id of a key."""

    operation: KeyOperation
    key: bytes = attrs.field(default=b"", repr=False)
    leaked: bool = False


class Keys(Service):
    """Lists, installs, uses and removes keys at all members, and answers others who do.

    A change has two phases. First all active members are asked if it is possible; each that says
    yes gives a lease, so that no second operator gets in between. Only when all said yes is it
    done. Every step may be repeated: what is done already is done.

    Args:
        store: the keys of this member.
    """

    code = KEYS_SERVICE

    _host: Host

    def __init__(self, store: KeyStore) -> None:
        self._keeper = KeyKeeper(store, self._is_active)
        self._listings: dict[int, KeyListing] = {}
        self._change: KeyChange | None = None
        self._change_token: int | None = None

    def attach(self, host: Host) -> None:
        """Take the host."""
        self._host = host

    def call(self, command: object, token: int) -> None:
        """Begin a :class:`KeyCommand`; completes with a :class:`KeyReport`, or with a
        :class:`KeyChangeError`.

        Raises:
            LocalProtocolError: it is none, the key is no key, or too many lists are under way.
        """
        if not isinstance(command, KeyCommand):
            raise LocalProtocolError(f"not a command for keys: {type(command).__name__}")
        if command.operation is KeyOperation.LIST:
            self._list(token)
        else:
            self._begin(command, token)

    def abandon(self, token: int) -> None:
        """Stop what was called with ``token``, unless it is being done already."""
        listing = self._listings.get(token)
        if listing is not None:
            listing.abandon()
        elif self._change is not None and token == self._change_token:
            self._change.abandon()

    def answer_untrusted(self, payload: bytes, source: str) -> bytes:
        """Answer the service of another member."""
        try:
            request = decode_request_untrusted(payload)
        except DecodeError as error:
            raise RequestRefusedError(f"no request for keys: {error.reason}") from None
        return encode_answer(*self._act(request, source))

    # -- inside -------------------------------------------------------------------------

    def _is_active(self, name: str) -> bool:
        return any(member.name == name for member in self._host.members())

    def _act(self, request: KeyRequest, source: str) -> tuple[str, tuple[bytes, ...]]:
        error = self._keeper.act(request, source, self._host.now)
        self._host.bump("key_request_denied" if error else "key_request_done")
        return error, self._keeper.store.ids()

    def _locally(self, request: KeyRequest) -> KeyAnswer:
        error, ids = self._act(request, self._host.name)
        return KeyAnswer(not error, error, tuple(each.hex() for each in ids))

    def _list(self, token: int) -> None:
        if len(self._listings) >= LISTINGS_MAX:
            raise LocalProtocolError(f"{LISTINGS_MAX} lists of keys are under way already")

        def ended(report: KeyReport) -> None:
            del self._listings[token]
            self._host.complete(token, report)

        listing = self._listings[token] = KeyListing(self._host, self._locally, ended)
        listing.start()

    def _begin(self, command: KeyCommand, token: int) -> None:
        key_id, secret = self._named(command)
        if self._change is not None:
            self._refuse_second(command, key_id, token)
            return

        def ended(report: KeyReport, error: KeyChangeError | None) -> None:
            self._change = self._change_token = None
            if error is None:
                self._host.bump("key_change_done")
            elif error.refused:
                self._host.bump("key_change_refused")
            else:
                self._host.bump("key_change_incomplete")
            self._host.complete(token, report, error)

        self._change_token = token
        self._change = KeyChange(
            self._host,
            command.operation,
            key_id,
            secret,
            leaked=command.leaked,
            locally=self._locally,
            ended=ended,
        )
        self._change.start()

    def _named(self, command: KeyCommand) -> tuple[bytes, bytes]:
        """The id and, if it is to be installed, the secret of a key."""
        if command.operation is not KeyOperation.INSTALL:
            if len(command.key) != KEY_ID_BYTES:
                raise LocalProtocolError(f"the id of a key has {KEY_ID_BYTES} bytes")
            return command.key, b""
        if len(command.key) > SECRET_BYTES_MAX:
            raise LocalProtocolError(f"a key has at most {SECRET_BYTES_MAX} bytes")
        try:
            return self._keeper.store.identify(command.key), command.key
        except ValueError as error:
            raise LocalProtocolError(str(error)) from None

    def _refuse_second(self, command: KeyCommand, key_id: bytes, token: int) -> None:
        name = self._host.name
        answer = KeyAnswer(ok=False, error=f"{name} is changing the keys already")
        report = KeyReport(command.operation.name.lower(), key_id.hex(), {name: answer})
        self._host.bump("key_change_refused")
        self._host.complete(token, report, KeyChangeError(report, refused=True))
