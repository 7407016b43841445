"""What the programs around simulated engines ask of services: to write state, to change keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_gossip.errors import LocalProtocolError
from trio_gossip.services.keys import KEYS_SERVICE
from trio_gossip.services.state import STATE_SERVICE, StateWrite
from trio_gossip.services.state_records import Plane
from trio_gossip.testing.simulation.arguments import key_command
from trio_gossip.testing.simulation.hosts import Hosts

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip.engine.outputs import Output


class Programs(Hosts):
    """The part of :class:`~trio_gossip.testing.Simulation` that calls services."""

    def write(self, name: str, key: str, value: bytes | None, *, shared: bool = False) -> int:
        """Have a process write its state, or shared state; None deletes. Returns the token.

        Raises:
            ValueError: the process is not running.
            LocalProtocolError: the key or value is too long, there is no room, or it has left.
        """
        process = self._running(name)
        process.tokens += 1
        token = process.tokens
        write = StateWrite(Plane.SHARED if shared else Plane.STATE, key, value)
        call = with_token(process.engine.call_service, token)
        before = process.wrote.copy()
        if not shared:
            process.wrote[key] = value
        try:
            self._runtime.give(process, call, STATE_SERVICE, write)
        except LocalProtocolError:
            process.wrote = before
            raise
        return token

    def keys(self, name: str, operation: str, secret: bytes = b"", *, leaked: bool = False) -> int:
        """Have a process change the keys of the whole cluster, or list them; returns the token.

        Args:
            name: of the process.
            operation: ``"list"``, ``"install"``, ``"use"`` or ``"remove"``.
            secret: the key, or for ``"use"`` and ``"remove"`` its id; for ``"list"`` none.
            leaked: remove it without grace.

        Raises:
            ValueError: no such operation, that is no key, the process is not running, or the
                cluster is not sealed.
            LocalProtocolError: the process has left.
        """
        process = self._running(name)
        seal = process.seal
        if seal is None:
            raise ValueError("the cluster is not sealed")
        command = key_command(operation, secret, seal.identify, leaked=leaked)
        process.tokens += 1
        token = process.tokens
        process.key_tokens[token] = self._runtime.schedule.now
        call = with_token(process.engine.call_service, token)
        self._runtime.give(process, call, KEYS_SERVICE, command)
        return token


def with_token(method: Callable[..., list[Output]], token: int) -> Callable[..., list[Output]]:
    """The same with the token of a command."""

    def call(*arguments: object, now: float) -> list[Output]:
        return method(*arguments, token=token, now=now)

    return call
