"""The public face: open a cluster, read its members and events, send messages."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import trio

from trio_gossip.addresses import Address
from trio_gossip.cluster_keys import ClusterKeys
from trio_gossip.cluster_state import ClusterShared, ClusterState
from trio_gossip.cluster_statistics import ClusterStatistics
from trio_gossip.config import Config
from trio_gossip.driver import Driver
from trio_gossip.errors import LocalProtocolError
from trio_gossip.events import (
    ContactLost,
    ContactRegained,
    Lagged,
    MemberReaped,
    MessageReceived,
    NameConflict,
)
from trio_gossip.joining import Joiner
from trio_gossip.members import Member, MemberState
from trio_gossip.subscription import EVENTS_DEFAULT, Subscription
from trio_gossip.transport import Transport
from trio_gossip.unwrapping import raise_unwrapped

if TYPE_CHECKING:
    from trio_gossip.events import JoinResult


class Cluster:
    """One member of a cluster, alive. Made by :func:`open_cluster` and :func:`serve_cluster`.

    Methods that are not async never block and may be called from any task of the same trio
    run, also while events are handled.
    """

    def __init__(self, driver: Driver, joiner: Joiner) -> None:
        self._driver = driver
        self._joiner = joiner
        self._keys = ClusterKeys(driver)
        self._state = ClusterState(driver)
        self._shared = ClusterShared(driver)

    def __repr__(self) -> str:
        local = self.local
        return f"<Cluster {local.name!r} at {local.address}, {len(self.members())} members>"

    # -- looking ------------------------------------------------------------------------

    @property
    def local(self) -> Member:
        """This member."""
        return self._driver.engine.local

    @property
    def health_score(self) -> int:
        """This process's own health: 0 is healthy, more means that it is slow to be heard."""
        return self._driver.engine.health_score

    @property
    def is_isolated(self) -> bool:
        """True while nobody answers this process, neither members nor helpers: it is cut off, or
        all others are gone. :class:`~trio_gossip.ContactLost` tells when that begins.
        """
        return self._driver.engine.is_isolated

    def members(self, *, all: bool = False) -> tuple[Member, ...]:  # noqa: A002 - public name
        """Alive and suspect members, this one included; with ``all`` also failed and left
        ones that are not reaped yet. A snapshot that holds every event delivered so far.
        """
        return self._driver.engine.members(all=all)

    def member(self, name: Member | str) -> Member | None:
        """One member in whatever state; None when it is unknown or reaped."""
        return self._driver.engine.member(_name(name))

    def explain(self, name: str) -> str:
        """What happened to a member, for a person: a line for each of its last changes."""
        return self._driver.history.explain(name, trio.current_time())

    def statistics(self) -> ClusterStatistics:
        """Everything that is counted."""
        driver = self._driver
        return ClusterStatistics(
            engine=driver.engine.statistics(),
            transport=driver.transport.statistics(),
            subscriptions=len(driver.subscriptions),
            events_missed=driver.subscriptions.missed,
            streams=len(driver.conduits),
            streams_rejected=driver.conduits.rejected,
            refusals_dropped=driver.refusals_dropped,
            loop_lag=driver.lag.snapshot(),
        )

    def events(self, limit: int = EVENTS_DEFAULT) -> Subscription:
        """Subscribe to events from now on.

        Args:
            limit: events that may wait; when the reader is slower, the rest collapses into
                one :class:`~trio_gossip.Lagged`.
        """
        engine = self._driver.engine
        return self._driver.subscriptions.add(engine.members(), engine.version, limit)

    async def wait_member(
        self, name: Member | str, *, state: MemberState | str = MemberState.ALIVE
    ) -> Member:
        """Wait until a member is in a state, and return it; at once when it is already.

        Args:
            name: the member, or its name.
            state: a :class:`MemberState` or its text; ``"reaped"`` waits until a member that is
                in the table is removed from it.

        Raises:
            LocalProtocolError: there is no such state, or the cluster has stopped.
        """
        name = _name(name)
        if state != "reaped":
            try:
                state = MemberState(state)
            except ValueError:
                raise LocalProtocolError(f"{state!r} is no state of a member") from None
        with self.events() as events:
            member = self.member(name)
            if member is not None and member.state == state:
                await trio.lowlevel.checkpoint()
                return member
            async for event in events:
                if isinstance(event, Lagged):
                    before, member = member, self.member(name)
                    if member is not None and member.state == state:
                        return member
                    if member is None and before is not None and state == "reaped":
                        return before
                elif isinstance(
                    event, MessageReceived | NameConflict | ContactLost | ContactRegained
                ):
                    continue
                elif event.member.name == name:
                    reaped = isinstance(event, MemberReaped)
                    if reaped if state == "reaped" else event.member.state == state and not reaped:
                        return event.member
        raise LocalProtocolError("the cluster has stopped")

    # -- coming and going ---------------------------------------------------------------

    async def join(self, seeds: Iterable[str | Address]) -> list[JoinResult]:
        """Join a cluster through seeds, all dialled at once.

        Seeds are remembered: while one is not a member it is tried again for ever at a low
        rate, so that a partition heals and a seed that was down is found. Also brings this
        member back after :meth:`leave`.

        Args:
            seeds: addresses, or texts like ``"10.0.0.2:7946"``, ``"[2001:db8::1]:7946"`` or
                ``"gossip.example:7946"``; every address of a host name is tried.

        Returns:
            One result for each seed, in order. At least one has joined, or there were none.

        Raises:
            JoinError: no seed could be joined; holds the reason of each.
            LocalProtocolError: a seed cannot be parsed; nothing was dialled.
        """
        await self._driver.check_running()
        texts = _texts(seeds)
        if not texts:
            await trio.lowlevel.checkpoint()
            return []
        return await self._joiner.join(texts)

    async def leave(self) -> int:
        """Say goodbye and wait until it was heard, at most ``leave_timeout`` seconds.

        Returns:
            How many members acknowledged it. The cluster object stays usable: :meth:`join`
            brings this member back.
        """
        engine = self._driver.engine
        acked = await self._driver.command(engine.leave)
        assert isinstance(acked, int)
        return acked

    def update_meta(self, meta: bytes) -> None:
        """Change this member's metadata, at most 512 bytes; others see a MemberUpdated.

        Raises:
            LocalProtocolError: too long, or this member has left.
        """
        self._check_running()
        _check_bytes("meta", meta)
        driver = self._driver
        driver.turn(driver.engine.update_meta, meta)

    # -- messages -----------------------------------------------------------------------

    def broadcast(self, payload: bytes, key: bytes | None = None) -> None:
        """Send a message to every other member by gossip; each delivers it once.

        Best effort: members that are away do not get it later. It is not delivered to this
        member itself.

        Args:
            payload: at most 65,536 bytes. One of more than ``lazy_bytes`` is announced, and
                members fetch it from each other by stream; with ``lazy_bytes=65536`` each must fit
                a packet beside a few bytes of header.
            key: a broadcast of the same key that is still queued here is replaced.

        Raises:
            LocalProtocolError: it is too long, or this member has left.
            BroadcastRateError: this member has sent more than ``broadcast_rate`` and
                ``broadcast_burst`` allow. Sleep for its ``retry_after`` and call again, or drop it.
        """
        self._check_running()
        _check_bytes("payload", payload)
        if key is not None:
            _check_bytes("key", key)
        driver = self._driver
        driver.turn(driver.engine.broadcast, payload, key=key)

    def send(self, member: Member | str, payload: bytes) -> None:
        """Send one datagram to a member; it may be lost.

        Raises:
            LocalProtocolError: it does not fit a packet, or there is no such active member.
        """
        self._check_running()
        _check_bytes("payload", payload)
        driver = self._driver
        driver.turn(driver.engine.send, _name(member), payload)

    async def send_reliable(self, member: Member | str, payload: bytes) -> None:
        """Send a message by stream; returns when the member's process has taken it.

        A receiver whose application does not read its events makes the caller wait; after
        ``stream_timeout`` without progress the call fails.

        Args:
            member: the receiver.
            payload: at most ``message_bytes_max`` bytes.

        Raises:
            LocalProtocolError: it is too large, or there is no such active member.
            PeerUnreachableError: the stream could not be opened, broke or made no progress.
                The message may have been delivered.
            RemoteProtocolError: the receiver refused it.
        """
        _check_bytes("payload", payload)
        engine = self._driver.engine
        name = _name(member)
        await self._driver.command(engine.send_reliable, name, payload)

    async def ping(self, member: Member | str) -> float:
        """Ping a member once; returns the round-trip time in seconds.

        Raises:
            PeerUnreachableError: no answer within the probe timeout. Membership is untouched.
            LocalProtocolError: there is no such active member.
        """
        engine = self._driver.engine
        name = _name(member)
        seconds = await self._driver.command(engine.ping, name)
        assert isinstance(seconds, float)
        return seconds

    @property
    def state(self) -> ClusterState:
        """Keys of each member: it writes its own, all read all."""
        return self._state

    @property
    def shared(self) -> ClusterShared:
        """Keys of the cluster: every member writes them, the last writer wins."""
        return self._shared

    @property
    def keys(self) -> ClusterKeys:
        """The keys of all members: list, install, use and remove them."""
        return self._keys

    # -- inside -------------------------------------------------------------------------

    def _check_running(self) -> None:
        if self._driver.stopped:
            raise LocalProtocolError("the cluster has stopped")


def _name(member: object) -> str:
    if isinstance(member, str):
        return member
    if isinstance(member, Member):
        return member.name
    raise TypeError(f"a member or its name is wanted, not {type(member).__name__}")


def _texts(seeds: Any) -> list[str]:
    if seeds.__class__ in (str, bytes, Address) or not hasattr(seeds, "__iter__"):
        raise TypeError(f"seeds must be a list of texts, not {type(seeds).__name__}")
    texts: list[str] = []
    for seed in seeds:
        if not isinstance(seed, str | Address):
            raise TypeError(f"a seed is a text or an Address, not {type(seed).__name__}")
        texts.append(str(seed))
    return texts


def _check_bytes(what: str, value: object) -> None:
    if not isinstance(value, bytes):
        raise TypeError(f"{what} must be bytes, not {type(value).__name__}")


def _check_arguments(config: object, transport: object) -> None:
    if not isinstance(config, Config):
        raise TypeError(f"config must be a Config, not {type(config).__name__}")
    if not isinstance(transport, Transport):
        raise TypeError(f"transport must be a Transport, not {type(transport).__name__}")


async def serve_cluster(
    config: Config,
    transport: Transport,
    *,
    task_status: trio.TaskStatus[Cluster] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a cluster in a nursery of your own: ``await nursery.start(serve_cluster, ...)``.

    Gives the :class:`Cluster` to ``task_status`` and runs until cancelled; then it stops at
    once, without a goodbye: call :meth:`Cluster.leave` before. Does not own the transport.

    Raises:
        ConfigError: the config and the transport do not go together.
        OSError, trio.BrokenResourceError: the transport is dead.
    """
    _check_arguments(config, transport)
    driver = Driver(config, transport)
    joiner = Joiner(driver)
    cluster = Cluster(driver, joiner)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(driver.run)
            nursery.start_soon(joiner.refresh)
            task_status.started(cluster)
    except BaseExceptionGroup as group:
        raise_unwrapped(group)
    finally:
        driver.end()


@asynccontextmanager
async def open_cluster(config: Config, transport: Transport) -> AsyncGenerator[Cluster, None]:
    """Be a member of a cluster for the length of a block.

    Leaving the block normally says goodbye within ``leave_timeout``; an exception or a
    cancellation stops at once and the others detect it. Does not own the transport. A single
    error, the block's own or the transport's, arrives as itself and not in a group.

    Raises:
        ConfigError: the config and the transport do not go together.
        OSError, trio.BrokenResourceError: the transport died; the block was cancelled.
    """
    try:
        async with trio.open_nursery() as nursery:
            cluster: Cluster = await nursery.start(serve_cluster, config, transport)
            yield cluster
            await cluster.leave()
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise_unwrapped(group)
