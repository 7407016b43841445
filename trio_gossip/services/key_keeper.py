"""The answering side: one member's keys, and the lease that keeps two operators apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import attrs

from trio_gossip.services.key_wire import KeyOperation, KeyRequest, Phase

if TYPE_CHECKING:
    from trio_gossip.services.key_store import KeyStore

LEASE_SECONDS: Final = 60.0
"""How long a checked change may take until it is done; then another operator may begin."""


@attrs.frozen
class Lease:
    """The right to change the keys of this member, until ``until`` of the engine's clock."""

    holder: str
    change: int
    until: float


class KeyKeeper:
    """Does what others ask of this member's keys, or says why not.

    Args:
        store: the keys.
        is_active: tells if a member of a name is alive or suspect: the lease of one that is
            gone is void.
    """

    def __init__(self, store: KeyStore, is_active: Callable[[str], bool]) -> None:
        self.store = store
        self._is_active = is_active
        self._lease: Lease | None = None

    def act(self, request: KeyRequest, source: str, now: float) -> str:
        """Do what ``source`` asks. Returns why it was not done, or an empty text."""
        try:
            if request.operation is not KeyOperation.LIST:
                self._change(request, source, now)
        except ValueError as error:
            return str(error) or "not possible"
        return ""

    def _change(self, request: KeyRequest, source: str, now: float) -> None:
        lease = self._held(now)
        is_its_own = lease is not None and (lease.holder, lease.change) == (source, request.change)
        if request.phase is Phase.CHECK:
            if lease is not None and lease.holder != source:
                raise ValueError(f"{lease.holder} is changing the keys")
            self._check(request)
            self._lease = Lease(source, request.change, now + LEASE_SECONDS)
        elif request.phase is Phase.DO:
            if not is_its_own:
                raise ValueError("the lease for this change has run out")
            self._lease = None
            self._check_fault()  # a key must not leave for the others if that began meanwhile
            self._do(request)
        elif is_its_own:
            self._lease = None

    def _held(self, now: float) -> Lease | None:
        lease = self._lease
        if lease is None or now >= lease.until or not self._is_active(lease.holder):
            return None
        return lease

    def _check(self, request: KeyRequest) -> None:
        self._check_fault()
        store = self.store
        ids = store.ids()
        if request.operation is KeyOperation.INSTALL:
            if request.key_id not in ids:
                store.check_install(request.key_id)
        elif request.operation is KeyOperation.USE:
            if request.key_id not in ids:
                raise ValueError("the key is not installed")
        elif request.key_id == ids[0]:
            raise ValueError("the key is its primary key")

    def _check_fault(self) -> None:
        fault = self.store.fault()
        if fault:
            raise ValueError(fault)

    def _do(self, request: KeyRequest) -> None:
        store = self.store
        if request.operation is KeyOperation.INSTALL:
            if store.identify(request.secret) != request.key_id:
                raise ValueError("the key is not the one that was checked")
            store.install(request.secret)
        elif request.operation is KeyOperation.USE:
            store.use(request.key_id)
        else:
            store.remove(request.key_id, leaked=request.leaked)
