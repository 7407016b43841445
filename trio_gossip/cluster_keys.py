"""``cluster.keys``: the keys of all members, changed while the cluster runs."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from trio_gossip.errors import LocalProtocolError
from trio_gossip.services.key_report import KeyReport
from trio_gossip.services.key_store import KEY_ID_BYTES
from trio_gossip.services.key_wire import KeyOperation
from trio_gossip.services.keys import KEYS_SERVICE, KeyCommand

if TYPE_CHECKING:
    from trio_gossip.driver import Driver
    from trio_gossip.services.key_store import KeyStore


@runtime_checkable
class KeyObject(Protocol):
    """An object that is a key, as ``trio_gossip_transports.Key`` is one."""

    @property
    def id(self) -> bytes:
        """Four bytes that name it."""
        ...

    @property
    def secret(self) -> bytes:
        """The key itself."""
        ...


KeyLike: TypeAlias = bytes | str | KeyObject
"""A key as bytes, as base64 text, or as an object."""


class ClusterKeys:
    """Changes the keys of every active member, or of none. See :attr:`Cluster.keys`.

    Any member may do it; one at a time. A rotation is ``install`` of the new key, then ``use``
    of it, then ``remove`` of the old one. While one step is under way, packets and streams under
    the old keys go on being taken.

    A cancelled call changes nothing while members are only asked whether they can; what is being
    done already is done to the end in the background. After either, :meth:`list` tells.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def list(self) -> KeyReport:
        """Ask every active member which keys it has. Those that do not answer are in
        ``report.failed``; nothing is raised for them.

        Raises:
            LocalProtocolError: this member's transport has no keyring, or it has left.
        """
        self._store()
        return await self._run(KeyCommand(KeyOperation.LIST))

    async def install(self, key: KeyLike) -> KeyReport:
        """Give a new key to every member; it opens from then on.

        The key travels sealed with the present ones: who has those can read it.

        Raises:
            KeyChangeError: refused, as a member does not answer, has no room or sends or takes
                what is not sealed; or not done everywhere. Its report has each member's answer.
            LocalProtocolError: it is no key, this member's transport has no keyring, or it has
                left.
        """
        self._store()
        return await self._run(KeyCommand(KeyOperation.INSTALL, _secret_of(key)))

    async def use(self, key: KeyLike) -> KeyReport:
        """Have every member seal with a key that all of them have.

        Args:
            key: the key, or its id: four bytes, or eight hexadecimal digits.

        Raises:
            KeyChangeError: refused, as a member does not answer or has not got it; or not done
                everywhere.
            LocalProtocolError: as for :meth:`install`.
        """
        return await self._run(KeyCommand(KeyOperation.USE, self._id_of(key)))

    async def remove(self, key: KeyLike, *, leaked: bool = False) -> KeyReport:
        """Take a key away from every member.

        A member that is away meanwhile is brought up by means of the removed key when it comes
        back within the keyring's grace.

        Args:
            key: the key, or its id: four bytes, or eight hexadecimal digits.
            leaked: others have got the key. No grace, also if it was removed with one before: it
                is good for nothing from then on, and who was away needs the new keys by hand.

        Raises:
            KeyChangeError: refused, as a member seals with it or does not answer; or not done
                everywhere.
            LocalProtocolError: as for :meth:`install`.
        """
        command = KeyCommand(KeyOperation.REMOVE, self._id_of(key), leaked)
        return await self._run(command)

    async def _run(self, command: KeyCommand) -> KeyReport:
        engine = self._driver.engine
        report = await self._driver.command(engine.call_service, KEYS_SERVICE, command)
        assert isinstance(report, KeyReport)
        return report

    def _store(self) -> KeyStore:
        store = self._driver.transport.keyring
        if store is None:
            raise LocalProtocolError(
                "this member's transport has no keyring: wrap it in an EncryptedTransport"
            )
        return store

    def _id_of(self, key: KeyLike) -> bytes:
        store = self._store()
        if isinstance(key, KeyObject):
            return key.id
        if isinstance(key, bytes) and len(key) == KEY_ID_BYTES:
            return key
        if isinstance(key, str) and len(key) == 2 * KEY_ID_BYTES:
            try:
                return bytes.fromhex(key)
            except ValueError:
                raise LocalProtocolError("neither a key nor the id of one") from None
        try:
            return store.identify(_secret_of(key))
        except ValueError as error:
            raise LocalProtocolError(str(error)) from None


def _secret_of(key: object) -> bytes:
    if isinstance(key, KeyObject):
        return key.secret
    if isinstance(key, bytes):
        return key
    if not isinstance(key, str):
        raise TypeError(f"a key is bytes, text or a Key, not {type(key).__name__}")
    plain = key.strip().rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise LocalProtocolError("the text is no base64 of a key") from None
