"""Seeds as people write them: parsed, resolved and dialled at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from trio_gossip.addresses import parse_address
from trio_gossip.errors import (
    JoinError,
    LocalProtocolError,
    PeerUnreachableError,
    RemoteProtocolError,
)
from trio_gossip.events import JoinResult
from trio_gossip.unwrapping import raise_unwrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.driver import Driver

JOINS_AT_ONCE: Final = 16
"""Seeds that are dialled at the same time."""

NAMES_MAX: Final = 64
"""Host names of seeds that are resolved again; the same number as the engine remembers."""

REFRESH_INTERVALS: Final = 10
"""Host names of seeds are resolved again after this many rejoin intervals: in a cluster manager
the same name leads to other addresses every day."""


def _parse(seed: str) -> Address:
    try:
        address = parse_address(seed)
    except ValueError as error:
        raise LocalProtocolError(str(error)) from None
    if not address.port or address.is_wildcard:
        raise LocalProtocolError(f"{seed!r} is no address that can be dialled")
    return address


class Joiner:
    """Joins seeds and remembers the names among them."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._names: dict[str, Address] = {}

    async def join(self, seeds: Sequence[str]) -> list[JoinResult]:
        """Join every seed, of which there is one; see :meth:`Cluster.join`."""
        parsed = {seed: _parse(seed) for seed in seeds}
        results: dict[str, JoinResult] = {}
        limiter = trio.CapacityLimiter(JOINS_AT_ONCE)
        try:
            async with trio.open_nursery() as nursery:
                for seed, address in parsed.items():
                    nursery.start_soon(self._join_seed, seed, address, results, limiter)
        except BaseExceptionGroup as group:
            raise_unwrapped(group)
        ordered = [results[seed] for seed in seeds]
        errors = [result.error for result in ordered if result.error is not None]
        if errors and len(errors) == len(ordered):
            failure = JoinError(f"none of {len(errors)} seeds could be joined", errors)
            failure.results = tuple(ordered)
            raise failure
        return ordered

    async def _join_seed(
        self,
        seed: str,
        address: Address,
        results: dict[str, JoinResult],
        limiter: trio.CapacityLimiter,
    ) -> None:
        async with limiter:
            try:
                places = await self._resolve(address)
            except OSError as error:
                self._remember(seed, address)  # it may become known: see refresh
                unknown = PeerUnreachableError(f"{seed}: unknown host ({error})")
                results[seed] = JoinResult(seed, error=unknown)
                return
            if places != [address]:
                self._remember(seed, address)
            outcomes: list[JoinResult] = []
            try:
                async with trio.open_nursery() as nursery:
                    for place in places:
                        nursery.start_soon(self._join_address, seed, place, outcomes)
            except BaseExceptionGroup as group:
                raise_unwrapped(group)
        outcomes.sort(key=lambda outcome: not outcome.joined)
        results[seed] = outcomes[0]

    async def _resolve(self, address: Address) -> list[Address]:
        places = await self._driver.transport.resolve(address)
        if not places:
            raise OSError("it stands for no address")
        return places

    def _remember(self, seed: str, address: Address) -> None:
        """Keep a host name for :meth:`refresh`; the oldest makes room."""
        self._names.pop(seed, None)
        self._names[seed] = address
        if len(self._names) > NAMES_MAX:
            del self._names[next(iter(self._names))]

    async def _join_address(self, seed: str, address: Address, outcomes: list[JoinResult]) -> None:
        engine = self._driver.engine
        try:
            members = await self._driver.command(engine.join, address)
        except (PeerUnreachableError, RemoteProtocolError) as error:
            outcomes.append(JoinResult(seed, error=error))
        else:
            assert isinstance(members, int)
            outcomes.append(JoinResult(seed, address, members))

    async def refresh(self) -> None:
        """Resolve seeds given by name again and again, for the engine to come back to."""
        wait = REFRESH_INTERVALS * self._driver.config.rejoin_interval
        while True:
            await trio.sleep(wait)
            for address in list(self._names.values()):
                try:
                    places = await self._resolve(address)
                except OSError:
                    continue  # what was known before stays remembered
                self._driver.turn(self._driver.engine.remember_seeds, places)
