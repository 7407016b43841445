"""Which connections for packets there are, and which leads to a member: :class:`LinkTable`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip.addresses import Address
    from trio_gossip_transports.tls_packet_link import PacketLink

LINKS_MAX: Final = 512
"""Connections that we opened, are opening, or may not try again yet. One more closes the one that
was not used for the longest time."""

ACCEPTED_MAX: Final = 512
"""Packet connections that peers have open with us. One more closes the one that was not used for
the longest time."""

ACCEPTED_PER_HOST_MAX: Final = 128
"""The same for one host, so that no host closes the connections of all the others."""


class LinkTable:
    """All links, in three views: those we dialled, those we accepted, and those of an address.

    Args:
        evicted: told of each link that had to go for another one. It has left the table then.
    """

    def __init__(self, evicted: Callable[[PacketLink], None]) -> None:
        self._evicted = evicted
        self._at: dict[Address, dict[PacketLink, None]] = {}
        self._dialled: dict[PacketLink, None] = {}
        self._accepted: dict[PacketLink, None] = {}

    def __len__(self) -> int:
        return len(self._dialled) + len(self._accepted)

    @property
    def all(self) -> tuple[PacketLink, ...]:
        """Every link."""
        return (*self._dialled, *self._accepted)

    def find(self, address: Address, name: str | None) -> PacketLink | None:
        """The best way to a member: the youngest open connection, before what is not open."""
        best: PacketLink | None = None
        for link in reversed(self._at.get(address, {})):
            if link.serves(name):
                if link.opened is not None:
                    return link
                best = best or link
        return best

    def add_dialled(self, link: PacketLink) -> None:
        """Add a link that we are about to open."""
        if len(self._dialled) >= LINKS_MAX:
            self._evict(self._dialled)
        self._dialled[link] = None
        self._at.setdefault(link.address, {})[link] = None

    def add_accepted(self, link: PacketLink) -> None:
        """Add a link; only the host of its address is known yet."""
        host = link.address.host
        if sum(each.address.host == host for each in self._accepted) >= ACCEPTED_PER_HOST_MAX:
            self._evict(self._accepted, host)
        elif len(self._accepted) >= ACCEPTED_MAX:
            self._evict(self._accepted)
        self._accepted[link] = None

    def place(self, link: PacketLink, address: Address) -> None:
        """An accepted link leads to ``address``. Whoever reaches us from there is there again: no
        link to it rests any more.
        """
        for each in [each for each in self._at.get(address, {}) if each.rest_until is not None]:
            self.forget(each)
        link.address = address
        self._at.setdefault(address, {})[link] = None

    def forget(self, link: PacketLink) -> None:
        """Remove a link, if it is here."""
        self._dialled.pop(link, None)
        self._accepted.pop(link, None)
        there = self._at.get(link.address, {})
        there.pop(link, None)
        if not there:
            self._at.pop(link.address, None)

    def clear(self) -> None:
        """Remove all."""
        for view in (self._at, self._dialled, self._accepted):
            view.clear()

    def _evict(self, links: dict[PacketLink, None], host: str | None = None) -> None:
        """Let the link go that was not used for the longest time, of one host or of all."""
        candidates = (link for link in links if host is None or link.address.host == host)
        oldest = min(candidates, key=lambda link: link.used)
        self.forget(oldest)
        self._evicted(oldest)
